"""cli.diff: what changes between revisions of a bundle, as text, JSON and a comment; and `check --since`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.comment import MARKER
from cli.main import main
from cli.markdown import MOST

from .conftest import Bayplan, Ran, sample

GOLDENS = Path(__file__).parent / "diffs"
REWRITE = bool(os.environ.get("BAYPLAN_REWRITE"))


def git(where: Path, *words: str) -> str:
    """Git, without anybody's configuration."""
    alone = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "HOME": str(where)}
    named = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *named, *words], cwd=where, env={**os.environ, **alone}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def versioned(tmp_path: Path) -> Path:
    """The sample `gpu` in a repository of its own, as its folder `policies/gpu`, committed on `main`."""
    folder = tmp_path / "repository" / "policies" / "gpu"
    shutil.copytree(sample("gpu"), folder)
    top = folder.parents[1]
    git(top, "init", "-q")
    git(top, "add", ".")
    git(top, "commit", "-qm", "first")
    return folder


def edit(folder: Path, old: str, new: str, name: str = "policies/gpu.yaml") -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


STRICTER = ("variables.gpus <= pool.gpus", "variables.gpus < pool.gpus")


def plain(ran: Ran) -> str:
    """Without digests, which say nothing to a reader of the golden files."""
    words = ran.out.split("sha256:")
    return words[0] + "".join(f"sha256:…{part[8:]}" for part in words[1:])


@pytest.mark.parametrize("shape", ["text", "json", "markdown"])
def test_a_policy_that_decides_otherwise_comes_with_a_pod(bayplan: Bayplan, versioned: Path, shape: str) -> None:
    edit(versioned, *STRICTER)
    edit(versioned, "weight: 100", "weight: 100 # all of it")
    pods = ("--pods", versioned / "examples", "--pools", versioned / "pools")
    ran = bayplan("diff", "--since", "main", versioned, *pods, "-o", shape)
    assert (ran.status, ran.err) == (1, "")
    said = plain(ran) if shape != "json" else json.dumps(_short(ran.json), indent=2) + "\n"
    golden = GOLDENS / f"stricter.{shape}"
    if REWRITE:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(said)
    assert said == golden.read_text()


def _short(data: Any) -> Any:
    """Without digests and whole decisions, which other tests are about."""
    for policy in data["policies"]:
        example = policy["example"]
        for side in ("before", "after") if example else ():
            example[side] = example[side]["message"]
    return {**data, "old": data["old"][:-8], "new": data["new"][:-8]}


def test_nothing_differs(bayplan: Bayplan, versioned: Path) -> None:
    ran = bayplan("diff", "--since", "HEAD", versioned)
    assert ran.status == 0
    assert ran.out.endswith("version: 1.0.0, and nothing differs\n")
    assert "**No decision changes.**" in bayplan("diff", "--since", "HEAD", versioned, "-o", "markdown").out
    assert bayplan("diff", versioned, versioned, "-o", "json").json["version"]["level"] == "none"


def test_what_is_only_written_otherwise_is_no_difference(bayplan: Bayplan, versioned: Path) -> None:
    edit(versioned, "variables.gpus <= pool.gpus", "pool.gpus >= variables.gpus # at least")
    ran = bayplan("diff", "--since", "main", versioned)
    assert ran.status == 0
    assert "written otherwise, meaning the same: gpu-nodes\n" in ran.out
    assert "patch (no decision changes), so at least 1.0.1" in ran.out


def test_revisions_are_whatever_git_takes(bayplan: Bayplan, versioned: Path) -> None:
    git(versioned, "tag", "-a", "v1", "-m", "v1")
    edit(versioned, *STRICTER)
    git(versioned, "commit", "-qam", "second")
    commit = git(versioned, "rev-parse", "HEAD~1")
    for revision in ("v1", "HEAD~1", commit, commit[:12], "main^", "refs/tags/v1"):
        assert bayplan("diff", "--since", revision, versioned).status == 1, revision
    assert bayplan("diff", "--since", "main", versioned).status == 0


def test_the_work_tree_is_not_touched(bayplan: Bayplan, versioned: Path) -> None:
    edit(versioned, *STRICTER)
    before = git(versioned, "status", "--porcelain=v2", "--branch")
    bayplan("diff", "--since", "main", versioned)
    assert git(versioned, "status", "--porcelain=v2", "--branch") == before


def test_a_bundle_in_a_linked_work_tree_and_at_the_top_of_a_repository(
    bayplan: Bayplan, versioned: Path, tmp_path: Path
) -> None:
    git(versioned, "worktree", "add", "-q", str(tmp_path / "other"))
    other = tmp_path / "other" / "policies" / "gpu"
    edit(other, *STRICTER)
    assert bayplan("diff", "--since", "main", other).status == 1
    top = tmp_path / "top with a blank"
    shutil.copytree(sample("gpu"), top)
    git(top, "init", "-q")
    git(top, "add", ".")
    git(top, "commit", "-qm", "first")
    edit(top, *STRICTER)
    assert bayplan("diff", "--since", "main", top).status == 1


def test_what_was_not_there_yet_is_all_new(bayplan: Bayplan, versioned: Path) -> None:
    more = versioned.parent / "more"
    shutil.copytree(sample("spot-first"), more)
    ran = bayplan("diff", "--since", "main", more)
    assert ran.status == 1
    assert "never-spot is new (major)" in ran.out
    assert "spot-first is new (minor)" in ran.out
    assert bayplan("check", "--since", "main", more).status == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since=nowhere",), "`nowhere`: is no revision of the repository that holds"),
        (("--since=--upload-pack=x",), "`--upload-pack=x`: is no revision of the repository"),
        (("--since=",), "is no revision"),
        ((), "say two bundles, OLD and NEW, or --since REF BUNDLE"),
        (("a", "--since=main"), "--since REF takes one bundle"),
        (("gone",), "gone` does not exist"),
        (("oci://registry.example.com/gpu:1",), "oci"),
        (("git+https://u:p@h/r",), "an address holds no credentials"),
    ],
)
def test_what_can_not_be_compared(bayplan: Bayplan, versioned: Path, words: tuple[str, ...], said: str) -> None:
    ran = bayplan("diff", versioned, *words)
    assert ran.status == 2
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert bayplan("diff", versioned, *words, "--detailed-exitcode").status == 1


def test_a_folder_in_no_repository(bayplan: Bayplan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    shutil.copytree(sample("gpu"), tmp_path / "gpu")
    ran = bayplan("diff", "--since", "main", tmp_path / "gpu")
    assert ran.status == 2
    assert "is in no repository of Git that can be read: not a git repository" in ran.err


def test_what_was_no_sound_bundle_is_told_with_its_places(bayplan: Bayplan, versioned: Path) -> None:
    edit(versioned, *STRICTER)
    edit(versioned, "< pool.gpus", "< pool.gpu")
    git(versioned, "commit", "-qam", "broken")
    edit(versioned, "< pool.gpu", "< pool.gpus")
    ran = bayplan("diff", "--since", "main", versioned)
    assert ran.status == 2
    assert "`main` can't be compared, for it is no sound bundle" in ran.err
    assert "policies/gpu.yaml:" in ran.err
    assert "did you mean `gpus`?" in ran.err
    checked = bayplan("check", "--since", "main", versioned)
    assert checked.status == 0, "or nobody could mend it"
    assert "was compared with nothing" in checked.err


def test_exit_status_as_terraform_has_it(bayplan: Bayplan, versioned: Path) -> None:
    assert bayplan("diff", "--since", "main", versioned, "--detailed-exitcode").status == 0
    edit(versioned, *STRICTER)
    assert bayplan("diff", "--since", "main", versioned, "--detailed-exitcode").status == 2
    assert bayplan("diff", "--detailed-exitcode").status == 1
    assert bayplan("check", versioned, "--detailed-exitcode").status == 2, "an option of diff alone"


def test_given_pods_are_told_by_what_becomes_of_them(bayplan: Bayplan, versioned: Path) -> None:
    edit(versioned, *STRICTER)
    where = ("--pods", versioned / "examples", "--pools", versioned / "pools" / "gke.yaml")
    data = bayplan("diff", "--since", "main", versioned, *where, "-o", "json").json["pods"]
    assert sum(data["outcomes"].values()) == sum(one["pods"] for one in data["workloads"]) <= data["decided"]
    assert {one["outcome"] for one in data["workloads"]} <= data["outcomes"].keys()
    assert any(one["policies"] == ["gpu-nodes"] for one in data["workloads"])


def test_a_comment_is_never_too_long_and_nobody_is_called(bayplan: Bayplan, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, label in ((old, "a"), (new, "b")):
        (folder / "policies").mkdir(parents=True)
        head = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Bundle", "metadata": {"name": "many"}}
        (folder / "bundle.yaml").write_text(yaml.safe_dump({**head, "spec": {"version": "1.0.0"}}))
        for i in range(60):
            text = f"`{label}` @everyone </details><img src=x> ```` | {i} {'x' * 900}"
            rule = {"expression": f'node.labels["l"] == "{label}" || {json.dumps(text)} == "y"', "message": text}
            policy = {**head, "kind": "PlacementPolicy", "metadata": {"name": f"p{i}"}, "spec": {"require": [rule]}}
            (folder / "policies" / f"p{i}.yaml").write_text(yaml.safe_dump(policy, allow_unicode=True))
    ran = bayplan("diff", old, new, "-o", "markdown")
    assert ran.status == 1
    assert ran.out.startswith(f"{MARKER}\n### Bayplan: `many` `1.0.0` → `1.0.0`\n")
    assert len(ran.out) <= MOST
    assert "parts that do not fit into a comment" in ran.out
    outside = _outside_code(ran.out)
    assert "@everyone" not in outside
    assert "<img" not in outside
    assert outside.count("<details>") == outside.count("</details>")


def _outside_code(text: str) -> str:
    """What Markdown shows as text: not in fences nor in code spans."""
    lines, fence = [], ""
    for line in text.splitlines():
        run = line[: len(line) - len(line.lstrip("`"))]
        if not fence and len(run) >= 3:
            fence = run
        elif fence and line.strip() == fence:
            fence = ""
        elif not fence:
            parts = line.split("`")
            lines.append(line if len(parts) == 1 else parts[0] + parts[-1])
    return "\n".join(lines)


# check --since


def test_a_changed_placement_needs_another_version(bayplan: Bayplan, versioned: Path) -> None:
    assert bayplan("check", "--since", "main", versioned).status == 0
    edit(versioned, *STRICTER)
    ran = bayplan("check", "--since", "main", versioned)
    assert ran.status == 1
    assert "bundle.yaml:" in ran.out
    assert "the version is `1.0.0` as at `main`, although `gpu-nodes` decides otherwise [version-not-raised]" in ran.out
    assert "      ^^^^^\n" in ran.out
    assert "say `version: 2.0.0`; `bayplan diff --since main`" in ran.out
    edit(versioned, "version: 1.0.0", "version: 1.0.1", "bundle.yaml")
    assert "the version `1.0.1` is too near `1.0.0`" in bayplan("check", "--since", "main", versioned).out
    edit(versioned, "version: 1.0.1", "version: 2.0.0", "bundle.yaml")
    assert bayplan("check", "--since", "main", versioned).status == 0


def test_a_version_never_goes_down(bayplan: Bayplan, versioned: Path) -> None:
    edit(versioned, "version: 1.0.0", "version: 0.9.0", "bundle.yaml")
    ran = bayplan("check", "--since", "main", versioned)
    assert ran.status == 1
    assert "the version `0.9.0` is lower than `1.0.0`, which `main` has" in ran.out


def test_words_need_no_other_version(bayplan: Bayplan, versioned: Path) -> None:
    edit(versioned, "weight: 100", "weight: 100 # all of it")
    assert bayplan("check", "--since", "main", versioned).status == 0


def test_help_names_terraforms_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "--help"]) == 0
    assert "--detailed-exitcode" in capsys.readouterr().out
