"""cli.owned: several bundles on one command line, each with names of its own, which decide together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Bayplan

POOLS = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: a, selector: {pool: a}}
  - {name: b, selector: {pool: b}}
"""
TEST = """
apiVersion: bayplan.dev/v1alpha1
kind: PlacementTest
metadata: {name: places}
spec:
  pools: pools/two.yaml
  cases:
    - name: both
      pod: {metadata: {name: x}, spec: {containers: [{name: c, image: i}]}}
      expect: {pools: [a, b], policies: {a-x: applied}}
"""
HEAD = "apiVersion: bayplan.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def requiring(expression: str) -> str:
    return json.dumps({"require": [{"expression": expression}]})


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[Path, Path]:
    """One whose policy `a-x` leaves both pools, with a test of that, and one whose `b-x` leaves the pool `b`."""
    folders = (tmp_path / "a", tmp_path / "b")
    for folder, expression in zip(folders, ("pool.name != params.none", 'pool.name == "b"'), strict=True):
        name = folder.name
        folder.mkdir()
        (folder / "bundle.yaml").write_text(
            HEAD.format(kind="Bundle", name=name, spec=json.dumps({"version": "1.0.0", "params": {"none": "c"}}))
        )
        (folder / "x.yaml").write_text(
            HEAD.format(kind="PlacementPolicy", name=f"{name}-x", spec=requiring(expression))
        )
    for path, text in (("pools/two.yaml", POOLS), ("tests/t.yaml", TEST)):
        (folders[0] / path).parent.mkdir()
        (folders[0] / path).write_text(text)
    return folders


def test_tests_of_each_are_decided_by_all(bayplan: Bayplan, bundles: tuple[Path, Path]) -> None:
    a, b = bundles
    assert bayplan("test", a).status == 0
    ran = bayplan("test", "--bundle", a, "--owns", "a-", "--bundle", b, "--owns", "b-")
    assert ran.status == 1
    assert "FAIL  places: both" in ran.out
    assert "+pools: [b]" in ran.out
    (b / "x.yaml").write_text(HEAD.format(kind="PlacementPolicy", name="b-x", spec=requiring('pool.name != "c"')))
    assert bayplan("test", "--bundle", a, "--bundle", b).status == 0


def test_constants_of_a_test_are_those_of_its_own_bundle(bayplan: Bayplan, bundles: tuple[Path, Path]) -> None:
    a, b = bundles
    (a / "tests" / "t.yaml").write_text(TEST.replace("  cases:", "  params: {none: d}\n  cases:"))
    spec = requiring('pool.name != "a" || params.none == "c"')
    (b / "x.yaml").write_text(HEAD.format(kind="PlacementPolicy", name="b-x", spec=spec))
    assert bayplan("test", "--bundle", a, "--bundle", b).status == 0


def test_a_difference_is_told_as_it_is_beside_others(
    bayplan: Bayplan, bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = bundles
    new = tmp_path / "new"
    new.mkdir()
    (new / "bundle.yaml").write_text((a / "bundle.yaml").read_text().replace("1.0.0", "2.0.0"))
    (new / "x.yaml").write_text(HEAD.format(kind="PlacementPolicy", name="a-x", spec=requiring('pool.name == "b"')))
    pods = tmp_path / "pods.yaml"
    pods.write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: c, image: i}]}\n")
    asked = ("diff", a, new, "--pods", pods, "--pools", a / "pools" / "two.yaml", "-o", "json")
    (workload,) = bayplan(*asked).json["pods"]["workloads"]
    assert workload["outcome"] == "would be placed otherwise"
    ran = bayplan(*asked, "--bundle", b, "--owns", "b-").json
    assert ran["pods"]["workloads"] == [], "it runs in `b` either way, for the other bundle says so"
    assert ran["policies"][0]["example"]["alone"] is True
    assert ran["version"]["level"] == "major"
    clash = bayplan("diff", a, new, "--bundle", a)
    assert clash.status == 2
    assert "can't decide together: both have a policy `a-x`" in clash.err


def test_bundles_are_checked_as_they_will_be_served(bayplan: Bayplan, bundles: tuple[Path, Path]) -> None:
    a, b = bundles
    (b / "x.yaml").write_text(HEAD.format(kind="PlacementPolicy", name="b-x", spec=requiring('pool.name != "c"')))
    ran = bayplan("check", "--bundle", a, "--owns", "a-", "--bundle", b, "--owns", "b-")
    assert ran.status == 0
    assert "`b-x` changes nothing: `a-x` applies wherever it does" in ran.out


@pytest.mark.parametrize("command", ["check", "test", "explain"])
def test_names_that_could_be_either_s_to_say_are_refused(
    bayplan: Bayplan, bundles: tuple[Path, Path], command: str
) -> None:
    a, b = bundles
    more = ("-",) if command == "explain" else ()
    for words, said in (
        (("--bundle", a, "--owns", "a", "--bundle", b, "--owns", "a-"), "overlap: a policy could be either's to say"),
        (("--bundle", a, "--owns", "a-", "--bundle", b), f"how names of policies of bundle `{b}` begin"),
        (("--owns", "a-", "--bundle", a, "--bundle", b), "--owns stands behind the --bundle that it is about"),
        (("--bundle", a, "--owns", "a-", "--bundle", b, "--owns", "c-"), "`b-x` does not begin with `c-`"),
        (("--bundle", a, "--owns", "a-", "--bundle", a, "--owns", "b-"), "is given twice"),
        (("--bundle", a, "--owns", "z-"), "`a-x` does not begin with `z-`"),
    ):
        ran = bayplan(command, *words, *more)
        assert (ran.status, ran.out) == (2, "")
        assert said in ran.err


@pytest.mark.parametrize("command", ["check", "test"])
def test_bundles_are_named_in_one_way(bayplan: Bayplan, bundles: tuple[Path, Path], command: str) -> None:
    assert bayplan(command, bundles[0], "--bundle", bundles[1]).status == 2
    assert "say which bundles" in bayplan(command).err
