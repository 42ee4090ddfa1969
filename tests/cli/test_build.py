"""`bayplan build` and `bayplan bundle`: what is made of a bundle, and what is not."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cli import bundle as command
from delivery import opened
from delivery.archive import ArchiveSource
from delivery.folder import bundle_of, load_bundle
from tests.cli.conftest import Bayplan, Ran, sample

TEST = """\
apiVersion: bayplan.dev/v1alpha1
kind: PlacementTest
metadata: {name: pods}
spec:
  cases:
    - name: any pod
      pod: {metadata: {name: a}, spec: {containers: [{name: a, image: a}]}}
      expect: {allowed: ALLOWED}
"""
DENY = "deny: [{expression: 'pod.metadata.name == \"b\"'}]"
Write = Callable[..., Path]


def built(bayplan: Bayplan, bundle: Path, target: Path) -> bytes:
    ran = bayplan("build", bundle, "-o", target)
    assert ran.status == 0, ran.err
    data = target.read_bytes()
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" in ran.out
    return data


def test_an_archive_is_named_after_the_bundle(
    bayplan: Bayplan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = bayplan("build", sample("gpu"))
    assert ran.status == 0
    assert ran.out.startswith("gpu-1.0.0.tar.gz  4 files  sha256:")
    assert [path.name for path in tmp_path.iterdir()] == ["gpu-1.0.0.tar.gz"]
    content = ArchiveSource("gpu-1.0.0.tar.gz").fetch()
    made, _ = bundle_of(content.files)
    assert made == load_bundle(sample("gpu"))


def test_an_archive_goes_into_a_folder_or_nothing_is_left(bayplan: Bayplan, tmp_path: Path) -> None:
    release = tmp_path / "release"
    release.mkdir()
    assert bayplan("build", sample("gpu"), "-o", release).out.startswith(f"{release}/gpu-1.0.0.tar.gz  4 files")
    (release / "gpu-1.0.0.tar.gz").unlink()
    (release / "gpu-1.0.0.tar.gz" / "in-the-way").mkdir(parents=True)
    ran = bayplan("build", sample("gpu"), "-o", release)
    assert (ran.status, ran.out) == (2, "")
    assert f"{release}/gpu-1.0.0.tar.gz can't be written: Is a directory" in ran.err
    assert [path.name for path in release.iterdir()] == ["gpu-1.0.0.tar.gz"]


def test_what_was_built_can_be_built_again(bayplan: Bayplan, bundle: Write, tmp_path: Path) -> None:
    folder = bundle({"a": DENY}, {"tests/t.yaml": TEST.replace("ALLOWED", "true")})
    data = built(bayplan, folder, tmp_path / "a.tar.gz")
    assert (
        built(bayplan, tmp_path / "a.tar.gz", tmp_path / "b.tar.gz")
        == data
        == built(bayplan, folder, tmp_path / "c.tar.gz")
    )


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"policies/b.yaml": "kind: PlacementPolcy\n"}, "would not be activated: parse"),
        ({"policies/b.yaml": ""}, "the file is empty"),
        ({"tests/t.yaml": TEST.replace("ALLOWED", "false")}, "would not be activated: test"),
        (
            {
                "bundle.yaml": "apiVersion: bayplan.dev/v1alpha1\nkind: Bundle\nmetadata: {name: trial}\n"
                "spec: {version: 1.0.0, requires: {bayplan: '>=99'}, anythingNew: 1}\n"
            },
            "the bundle requires Bayplan `>=99`, and this is ",
        ),
    ],
)
def test_what_would_not_be_activated_is_not_built(
    bayplan: Bayplan, bundle: Write, tmp_path: Path, files: dict[str, str], words: str
) -> None:
    folder = bundle({"a": DENY}, files)
    for words_given in (("build", folder, "-o", tmp_path / "a.tar.gz"), ("bundle", folder, "-o", "configmap")):
        ran = bayplan(*words_given)
        assert (ran.status, ran.out) == (1, "")
        assert words in ran.err or "tar.gz" not in str(words_given)
    assert not (tmp_path / "a.tar.gz").exists()


def test_what_is_not_there_could_not_be_built(bayplan: Bayplan, bundle: Write, tmp_path: Path) -> None:
    assert bayplan("build", tmp_path / "none").status == 2
    assert "no such folder" in bayplan("build", bundle({"a": DENY}), "-o", tmp_path / "none" / "a.tar.gz").err
    (tmp_path / "no.tar.gz").write_bytes(b"PK")
    ran = bayplan("build", tmp_path / "no.tar.gz")
    assert ran.status == 2
    assert "it is no gzip file, or damaged" in ran.err


def test_the_commit_is_named_where_all_is_committed(bayplan: Bayplan, bundle: Write, tmp_path: Path) -> None:
    folder = bundle({"a": DENY})

    def git(*words: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", "-C", folder, *identity, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def revision() -> str:
        return opened(built(bayplan, folder, tmp_path / "a.tar.gz")).manifest.revision

    assert revision() == ""
    git("init", "-q")
    assert revision() == ""
    git("add", ".")
    git("commit", "-qm", "A bundle")
    assert revision() == git("rev-parse", "HEAD")
    (folder / "README.md").write_text("not of the bundle")
    assert revision() == git("rev-parse", "HEAD")
    (folder / "more.yaml").write_text("# none\n")
    assert revision() == ""
    (folder / ".gitignore").write_text("more.yaml\n")
    assert revision() == ""
    (folder / "more.yaml").unlink()
    (folder / "policies" / "a.yaml").write_text((folder / "policies" / "a.yaml").read_text() + "# changed\n")
    assert revision() == ""


def test_an_archive_is_taken_wherever_a_bundle_is(bayplan: Bayplan, tmp_path: Path) -> None:
    built(bayplan, sample("gpu"), archive := tmp_path / "gpu.tar.gz")
    for words in (("check",), ("test",)):
        ours, folders = bayplan(*words, archive), bayplan(*words, sample("gpu"))
        assert (ours.status, ours.out, ours.err) == (folders.status, folders.out, folders.err)
    pools, pods = sample("gpu", "pools"), sample("gpu", "examples")
    for more in (("explain",), ("audit", "--pods")):
        said = [
            bayplan(more[0], "--bundle", one, "--pools", pools, *more[1:], pods, "-o", "json")
            for one in (archive, sample("gpu"))
        ]
        mine, its = (re.sub(r'"time": "[^"]*"', "", one.out) for one in said)  # of an audit
        assert mine == its != ""


def test_what_is_no_bundle_is_told_as_such(bayplan: Bayplan, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    assert "a bundle is a folder, or an archive (.tar.gz)" in bayplan("check", tmp_path / "notes.txt").err
    (tmp_path / "a.tar.gz").write_bytes(b"")
    ran = bayplan("check", tmp_path / "a.tar.gz")
    assert (ran.status, ran.out) == (2, "")
    assert "a.tar.gz: the archive can't be taken: it is cut off; build it anew with `bayplan build`" in ran.err
    assert bayplan("check", "git+https://a b//c").status == 2
    ran = bayplan("check", "--since", "HEAD", tmp_path / "a.tar.gz")
    assert ran.status == 2


# For the chart


def values_of(ran: Ran) -> dict[str, str]:
    assert ran.status == 0, ran.err
    values: dict[str, str] = yaml.safe_load(ran.out)["bundle"]
    return values


def test_a_config_map_holds_the_archive_and_what_signs_it(bayplan: Bayplan, tmp_path: Path) -> None:
    data = built(bayplan, sample("gpu"), tmp_path / "gpu.tar.gz")
    written = yaml.safe_load(bayplan("bundle", sample("gpu"), "-o", "configmap").out)
    assert written["metadata"]["name"] == "bayplan-bundle-gpu"
    assert base64.b64decode(written["binaryData"]["bundle.tar.gz"]) == data
    assert "data" not in written
    assert written["metadata"]["annotations"]["bayplan.dev/archive"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    (tmp_path / "gpu.tar.gz.sigstore.json").write_text('{"é": 1}\n')
    ran = bayplan("bundle", tmp_path / "gpu.tar.gz", "-o", "configmap", "--name", "mine", "--namespace", "bayplan")
    written = yaml.safe_load(ran.out)
    assert (written["metadata"]["name"], written["metadata"]["namespace"]) == ("mine", "bayplan")
    assert written["data"] == {"bundle.tar.gz.sigstore.json": '{"é": 1}\n'}
    mount = tmp_path / "mount"
    mount.mkdir()
    (mount / "bundle.tar.gz").write_bytes(base64.b64decode(written["binaryData"]["bundle.tar.gz"]))
    (mount / "bundle.tar.gz.sigstore.json").write_text(written["data"]["bundle.tar.gz.sigstore.json"])
    content = ArchiveSource(mount / "bundle.tar.gz").fetch()
    made, _ = bundle_of(content.files, content.problems)
    assert made == load_bundle(sample("gpu"))
    assert content.attestations == ('{"é": 1}\n'.encode(),)


def test_values_replace_all_that_was_said_of_a_bundle(bayplan: Bayplan, tmp_path: Path) -> None:
    data = built(bayplan, sample("gpu"), tmp_path / "gpu.tar.gz")
    values = values_of(bayplan("bundle", tmp_path / "gpu.tar.gz", "-o", "helm-values"))
    assert values == {"archive": base64.b64encode(data).decode(), "attestation": "", "configMap": "", "source": ""}
    assert bayplan("bundle", sample("gpu"), "-o", "helm-values").out.startswith("# gpu 1.0.0")


def test_what_is_too_large_says_where_else_to_put_it(bayplan: Bayplan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits are the API server's and Helm's; here they are small, for the sample is."""
    monkeypatch.setattr(command, "MAX_ANNOTATIONS", 1_000)
    ran = bayplan("bundle", sample("gpu"), "-o", "configmap")
    assert ran.status == 0
    assert "use `kubectl apply --server-side`" in ran.err
    monkeypatch.setattr(command, "MAX_VALUES", 1_000)
    monkeypatch.setattr(command, "MAX_CONFIG_MAP", 1_001)
    ran = bayplan("bundle", sample("gpu"), "-o", "helm-values")
    assert (ran.status, ran.out) == (2, "")
    assert "values of Helm can hold 1,000; use -o configmap instead" in ran.err
    ran = bayplan("bundle", sample("gpu"), "-o", "configmap")
    assert (ran.status, ran.out) == (2, "")
    assert "a ConfigMap can hold 1,001; use `bayplan push`" in ran.err


def test_json_is_what_kubectl_reads(bayplan: Bayplan) -> None:
    _, _, text = bayplan("bundle", sample("gpu"), "-o", "configmap").out.partition("\n")
    assert json.loads(text)["kind"] == "ConfigMap"
