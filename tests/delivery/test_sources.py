"""delivery.sources: what is written for a source is understood, or pointed into."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from delivery.folder_source import FolderSource
from delivery.git import GitSource
from delivery.oci import OciSource
from delivery.sources import read_address, source_of
from engine.documents import BundleError

COMMIT = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32"
DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("text", "kind", "location", "folder", "wanted"),
    [
        ("policies/gpu", "folder", "policies/gpu", "", ("", "")),
        ("/etc/bayplan/bundle", "folder", "/etc/bayplan/bundle", "", ("", "")),
        ("./gpu-1.2.0.tar.gz", "archive", "./gpu-1.2.0.tar.gz", "", ("", "")),
        ("gpu.tgz", "archive", "gpu.tgz", "", ("", "")),
        ("a:b@c?d#e", "folder", "a:b@c?d#e", "", ("", "")),
        ("git+https://host/repo.git", "git", "https://host/repo.git", "", ("", "")),
        (
            "git+https://h.example:8443/a/b//c/d?branch=main",
            "git",
            "https://h.example:8443/a/b",
            "c/d",
            ("branch", "main"),
        ),
        (
            "git+https://host/repo.git//gpu/?tag=gpu/v1.2.0",
            "git",
            "https://host/repo.git",
            "gpu",
            ("tag", "gpu/v1.2.0"),
        ),
        ("git+https://host/repo.git?semver=%5E1.2", "git", "https://host/repo.git", "", ("semver", "^1.2")),
        ("git+https://host/a?semver=>=1.2 <2", "git", "https://host/a", "", ("semver", ">=1.2 <2")),
        (f"git+https://host/repo.git?commit={COMMIT}", "git", "https://host/repo.git", "", ("commit", COMMIT)),
        ("git+ssh://git@host:2222/team/repo.git//gpu", "git", "ssh://git@host:2222/team/repo.git", "gpu", ("", "")),
        ("git+file:///srv/repo//gpu?branch=main", "git", "file:///srv/repo", "gpu", ("branch", "main")),
        ("git+http://127.0.0.1:8000/repo", "git", "http://127.0.0.1:8000/repo", "", ("", "")),
        ("oci://registry.example/team/gpu:1.2.0", "oci", "registry.example/team/gpu", "", ("tag", "1.2.0")),
        (f"oci://localhost:5000/gpu@{DIGEST}", "oci", "localhost:5000/gpu", "", ("digest", DIGEST)),
        ("oci://registry.example/gpu?semver=^1.2", "oci", "registry.example/gpu", "", ("semver", "^1.2")),
        ("oci://[::1]:5000/gpu:a", "oci", "[::1]:5000/gpu", "", ("tag", "a")),
        ("objects://gpu.eu-1", "objects", "gpu.eu-1", "", ("", "")),
    ],
)
def test_a_source_is_understood(text: str, kind: str, location: str, folder: str, wanted: tuple[str, str]) -> None:
    address = read_address(text)
    assert (address.kind, address.location, address.folder, address.wanted) == (kind, location, folder, wanted)
    assert address.text == text
    assert address.local == (kind in ("folder", "archive"))


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("", 1, "this names no source"),
        ("a\u202eb", 1, "a character that does not show"),
        ("https://host/repo.git", 1, "did you mean `git+https://`?"),
        ("ssh://git@host/repo.git", 1, "did you mean `git+ssh://`?"),
        ("git://host/repo.git", 1, "`git://` is no kind of source"),
        ("objects://", 11, "is no name of a Bundle"),
        ("objects://GPU", 11, "`GPU` is no name of a Bundle"),
        ("objects://gpu?tag=1", 11, "is no name of a Bundle"),
        ("objects://" + "a" * 64, 11, "is no name of a Bundle"),
        ("object://gpu", 1, "did you mean `objects://`?"),
        ("oc://host/repo:1", 1, "did you mean `oci://`?"),
        ("ext::sh -c id://x", 1, "is no kind of source"),
        ("git+http://host/repo.git", 1, "without encryption"),
        ("git+http://localhost.evil.example/repo.git", 1, "without encryption"),
        ("git+https://user:secret@host/repo.git", 13, "holds no credentials"),
        ("git+https://token@host/repo.git", 13, "holds no credentials"),
        ("git+ssh://git:secret@host/repo.git", 11, "holds no credentials"),
        ("oci://user:secret@host/repo:1", 7, "holds no credentials"),
        ("git+https:///repo.git", 13, "is no host"),
        ("git+https://-oProxyCommand=id/repo.git", 13, "is no host"),
        ("git+ssh://git@-oProxyCommand=id/repo.git", 15, "is no host"),
        ("git+https://host:99999/repo.git", 13, "is no host"),
        ("git+https://host", 13, "there is no repository"),
        ("git+https://host/", 13, "there is no repository"),
        ("git+file://host/repo", 12, "is absolute"),
        ("git+https://host/repo.git//../etc", 28, "is no folder inside the repository"),
        ("git+https://host/repo.git//a//b", 28, "is no folder inside the repository"),
        ("git+https://host/repo.git//.git/hooks", 28, "is no folder inside the repository"),
        ("git+https://host/repo.git#main", 26, "has no fragment"),
        ("git+https://host/repo.git?ref=main", 27, "is nothing that can be asked for"),
        ("git+https://host/repo.git?branhc=main", 27, "did you mean `branch`?"),
        ("git+https://host/repo.git?branch=", 27, "has no value"),
        ("git+https://host/repo.git?branch", 27, "has no value"),
        ("git+https://host/repo.git?branch=a&tag=b", 27, "more than one thing is asked for"),
        ("git+https://host/repo.git?branch=a..b", 34, "is no name of a branch"),
        ("git+https://host/repo.git?tag=-x", 31, "is no name of a tag"),
        ("git+https://host/repo.git?commit=v1.2.0", 34, "say `branch=v1.2.0` or `tag=v1.2.0`"),
        ("git+https://host/repo.git?commit=4d7a214", 34, "is no commit"),
        ("git+https://host/repo.git?semver=newest", 34, "`newest` is no range of versions"),
        ("oci://host/repo?semver=1.2.3.4", 24, "is no range of versions"),
        ("oci://host/Repo:1", 12, "is no name of a repository"),
        ("oci://host:1", 14, "is no name of a repository"),
        ("oci://host/repo", 12, "which version is not said"),
        ("oci://host/repo@sha256:abc", 17, "is no digest"),
        ("oci://host/repo@sha1:" + "0" * 40, 17, "is no digest"),
        ("oci://host/repo:.a", 17, "is no tag"),
        ("oci://host/repo:", 17, "is no tag"),
        ("oci://host/repo:1?semver=^1", 12, "`tag` and `semver` can't both be said"),
        ("oci://host/repo?branch=main", 17, "is nothing that can be asked for"),
    ],
)
def test_what_is_wrong_with_a_source_is_pointed_at(text: str, at: int, words: str) -> None:
    with pytest.raises(BundleError) as raised:
        read_address(text)
    (problem,) = raised.value.problems
    assert words in str(problem)
    assert str(problem).startswith(f"--bundle:1:{at}: error: ")
    assert "secret" not in str(problem)
    assert "token" not in str(problem)


def test_a_folder_is_a_folder_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "odd.tar.gz").mkdir()
    address = read_address(str(tmp_path / "odd.tar.gz"))
    assert address.kind == "folder"
    assert isinstance(source_of(address), FolderSource)


def test_a_repository_is_a_source_that_was_not_asked_yet(tmp_path: Path) -> None:
    made = source_of(read_address("git+https://host.invalid/a//b?branch=main"), tmp_path, 1.0)
    assert isinstance(made, GitSource)
    assert made.origin == "git+https://host.invalid/a//b?branch=main"


@pytest.mark.parametrize(
    "text", ["oci://host:5000/a/b:1.0", f"oci://host/a@sha256:{'0' * 64}", "oci://host/a?semver=^1"]
)
def test_an_artifact_is_a_source_that_was_not_asked_yet(text: str, tmp_path: Path) -> None:
    made = source_of(read_address(text), tmp_path, 1.0)
    assert isinstance(made, OciSource)
    assert made.origin == text


def test_whoever_reads_a_folder_loads_no_library_for_other_sources() -> None:
    """All of it stands in the way of being ready."""
    others = "[m for m in sys.modules if m.startswith(('delivery.git', 'dulwich', 'urllib3', 'cryptography'))]"
    run = subprocess.run(
        [sys.executable, "-c", f"import sys, delivery; print({others})"], capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"
