"""cli.check: what `bayplan check` tells of a bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import POLICIES, Bayplan, sample

BROKEN = """
require:
  - expression: pool.labls["a"] == "b"
  - expresion: pool.name == "x"
tolerate:
  - expression: taint.key == 5
"""


def test_samples_are_clean(bayplan: Bayplan) -> None:
    ran = bayplan("check", "--strict", *sorted(POLICIES.iterdir()))
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.count("ok") == len(list(POLICIES.iterdir()))


def test_everything_is_told_at_once_and_points(bayplan: Bayplan, bundle: Callable[..., Path]) -> None:
    folder = bundle({"broken": BROKEN})
    ran = bayplan("check", folder)
    assert ran.status == 1
    for place, word, hint in ((6, "labls", "did you mean `labels`?"), (7, "expresion", "did you mean `expression`?")):
        assert f"{folder}/policies/broken.yaml:{place}:" in ran.out
        line = next(i for i, line in enumerate(ran.out.splitlines()) if f"broken.yaml:{place}:" in line)
        text, carets = ran.out.splitlines()[line + 1 : line + 3]
        start = carets.index("^")
        assert text[start : start + carets.count("^")] == word
        assert hint in ran.out
    assert "broken.yaml:9:" in ran.out
    assert "errors" in ran.out.splitlines()[-1]


def test_json(bayplan: Bayplan, bundle: Callable[..., Path]) -> None:
    folder = bundle({"broken": BROKEN})
    bad, good = bayplan("check", folder, sample("gpu"), "-o", "json").json
    assert good["problems"] == []
    assert good["revision"].startswith("gpu@")
    assert {"file": "policies/broken.yaml", "line": 7, "rule": "unknown-field"}.items() <= max(
        bad["problems"], key=lambda problem: problem["line"] == 7 and problem["rule"] == "unknown-field"
    ).items()


WARNS = """
deny:
  - expression: pod.metadata.labels["a"] == "b"
"""


def test_warnings_are_findings_where_one_is_strict(bayplan: Bayplan, bundle: Callable[..., Path]) -> None:
    folder = bundle({"warns": WARNS})
    relaxed, strict = bayplan("check", folder), bayplan("check", folder, "--strict")
    assert (relaxed.status, strict.status) == (0, 1)
    assert "warning: " in relaxed.out
    assert relaxed.out.splitlines()[-1].endswith("1 warning")


def test_no_folder(bayplan: Bayplan, tmp_path: Path) -> None:
    assert "no such folder" in bayplan("check", tmp_path / "nope").err
    assert bayplan("check", tmp_path / "nope").status == 2
    (tmp_path / "file").write_text("")
    assert "not a folder" in bayplan("check", tmp_path / "file").err


def test_no_bundle_in_the_folder(bayplan: Bayplan, tmp_path: Path) -> None:
    ran = bayplan("check", tmp_path)
    assert ran.status == 1
    assert "there is no `bundle.yaml`" in ran.out


FINE = "apiVersion: bayplan.dev/v1alpha1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (FINE + "  requires: []\n", "5:3", "`requires` is not a field of a policy"),
        (FINE + "  require: [{expression: pool.zone == 'a'}]\n", "5:31", "`Pool` has no field `zone`"),
        (FINE + "  require: [{expression: pool.gpus == 'a'}]\n", "5:", "`==` compares"),
        (FINE + "  require: [{expression: pool.gpus}]\n", "5:26", "bool"),
        (FINE + "  mode: audit\n  mode: off\n", "6:3", "`mode`"),
        (FINE + "\trequire: []\n", "5:1", "tab"),
        ("", "1:1", "the file is empty"),
        ("# " + "x" * (10 << 20), "1:1", "too large"),
        (FINE.replace("{name: p}", "{}") + "  deny: [{expression: 'true'}]\n", "3:", "`name`"),
        (FINE + "  deny: &a [{expression: 'true'}]\n  require: *a\n", "6:12", "alias"),
        (FINE + "  deny: [{expression: 'pod.spec.'}]\n", "5:", "expected"),
        (FINE + "  require: [{expression: 'node.zone.startsWith(\"eu\")'}]\n", "5:", "affinity"),
        (FINE + "  deny: [{expression: \"matches('a', '(')\"}]\n", "5:", "regular expression"),
        ("kind: PlacementPolicy\n: {", "2:", ""),
        ("- just\n- a list\n", "1:1", "a map"),
        ("\x00\x01", "1:1", ""),
    ],
)
def test_broken_policies(bayplan: Bayplan, bundle: Callable[..., Path], text: str, place: str, words: str) -> None:
    folder = bundle({"sound": "deny: [{expression: has(pod.spec.nodeName)}]"}, {"policies/broken.yaml": text})
    ran = bayplan("check", folder)
    assert (ran.status, ran.err) == (1, "")
    assert f"{folder}/policies/broken.yaml:{place}" in ran.out
    assert words in ran.out
    assert "^" in ran.out or place == "1:1"  # where there is nothing to point at
    assert len(ran.out) < 5000


GOLD = "podSelector: {matchLabels: {class: gold}}\nrequire: [{expression: 'pool.name == \"gold\"'}]"
ARM = "podSelector: {matchLabels: {arch: arm64}}\nrequire: [{expression: 'pool.name == \"arm\"'}]"
POOLS = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: gold, selector: {pool: gold}}
  - {name: arm, selector: {pool: arm}}
"""


def test_conflicts_on_the_pools_of_the_bundle(bayplan: Bayplan, bundle: Callable[..., Path]) -> None:
    folder = bundle({"gold": GOLD, "arm": ARM}, {"pools/fleet.yaml": POOLS})
    ran = bayplan("check", folder)
    assert (ran.status, ran.err) == (0, "")
    assert f"{folder}/policies/gold.yaml:3:" in ran.out
    assert "`arm` and `gold` together leave no pool to a pod labelled `arch: arm64`, `class: gold`" in ran.out
    assert bayplan("check", folder, "--strict").status == 1
    (report,) = bayplan("check", folder, "-o", "json").json
    assert report["conflicts"][0]["policies"] == ["arm", "gold"]
    assert report["conflicts"][0]["witness"]["pod"]["metadata"]["labels"] == {"arch": "arm64", "class": "gold"}


def test_conflicts_on_other_pools(bayplan: Bayplan, bundle: Callable[..., Path], tmp_path: Path) -> None:
    folder = bundle({"gold": GOLD})
    assert bayplan("check", folder, "--strict").status == 0
    (tmp_path / "other.yaml").write_text(POOLS.replace("gold", "silver"))
    ran = bayplan("check", folder, "--pools", tmp_path / "other.yaml", "--strict")
    assert ran.status == 1
    assert "[unsatisfiable-policy]" in ran.out


def test_what_could_not_be_decided(bayplan: Bayplan, bundle: Callable[..., Path]) -> None:
    depends = "require: [{expression: 'pool.name == pod.metadata.namespace'}]"
    folder = bundle({"p": depends}, {"pools/fleet.yaml": POOLS})
    assert "undecided" not in bayplan("check", folder).out
    assert "undecided: `p`: no pod was found" in bayplan("check", folder, "-v").out
    (report,) = bayplan("check", folder, "-o", "json").json
    assert report["undecided"][0]["policy"] == "p"


def test_bundles_that_decide_together_are_looked_at_together(bayplan: Bayplan, tmp_path: Path) -> None:
    pools = "pools: [{name: a, selector: {pool: a}}, {name: b, selector: {pool: b}}]\n"
    (tmp_path / "pools.yaml").write_text(f"apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\n{pools}")
    head = "apiVersion: bayplan.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    folders = []
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        (folder / "bundle.yaml").write_text(head.format(kind="Bundle", name=name, spec="{version: 1.0.0}"))
        spec = f"{{require: [{{expression: 'pool.name == \"{name}\"'}}]}}"
        (folder / "policy.yaml").write_text(head.format(kind="PlacementPolicy", name=f"{name}-only", spec=spec))
        folders.append(folder)
    alone = bayplan("check", *folders, "--pools", tmp_path / "pools.yaml")
    assert "conflicting-policies" not in alone.out
    ran = bayplan("check", *folders, "--pools", tmp_path / "pools.yaml", "--together")
    assert ran.status == 0
    assert "`a-only` and `b-only` together leave no pool to a pod" in ran.out
    assert "redundant-policy" not in ran.out
    same = (folders[0] / "policy.yaml").read_text().replace("a-only", "b-too")
    (folders[1] / "policy.yaml").write_text(same)
    ran = bayplan("check", *folders, "--pools", tmp_path / "pools.yaml", "--together", "--strict")
    assert ran.status == 1
    assert "`b-too` changes nothing: `a-only` applies wherever it does" in ran.out
    (folders[1] / "policy.yaml").write_text("nonsense")  # what has errors is left out
    assert bayplan("check", *folders, "--together").status == 1
