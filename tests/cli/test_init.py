"""cli.init: the bundle that `bayplan init` writes, with and without pools to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import POLICIES, Bayplan
from .test_cluster import cluster, kubeconfig
from .test_pools import node

INVENTORIES = sorted(POLICIES.glob("*/pools/*.yaml"))


def policy(folder: Path) -> Mapping[str, Any]:
    """What the policy that was written says."""
    written: Mapping[str, Any] = yaml.safe_load((folder / "policies" / "critical.yaml").read_text())["spec"]
    return written


def content(bayplan: Bayplan, folder: Path, *pools: object, stdin: str = "") -> None:
    """`check` has nothing to say, on the bundle's own pools and on those given, and all tests pass."""
    for more in ((), pools):
        checked = bayplan("check", "--strict", folder, *more, stdin=stdin)
        assert (checked.status, checked.err) == (0, ""), checked.out
        assert checked.out.rstrip().endswith("1 policy  ok"), checked.out
    tested = bayplan("test", folder)
    assert tested.status == 0, tested.out
    assert "2 cases, all passed" in tested.out


def test_what_it_makes_of_nothing_passes_check_and_test(bayplan: Bayplan, tmp_path: Path) -> None:
    folder = tmp_path / "my-team"
    ran = bayplan("init", folder)
    assert (ran.status, ran.err) == (0, "")
    assert f"now: bayplan check {folder} && bayplan test {folder}\n" in ran.out
    content(bayplan, folder)
    assert "my-team@0.1.0" in bayplan("check", folder).out


@pytest.mark.parametrize("path", INVENTORIES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_an_example_refuses_no_pod_anywhere(bayplan: Bayplan, tmp_path: Path, path: Path) -> None:
    """Where there are other pools than those of the example, nothing is required."""
    folder = tmp_path / "mine"
    bayplan("init", folder)
    words = ("explain", "--bundle", folder, "--pools", path, folder / "examples", "-o", "json")
    (decision,) = bayplan(*words).json
    assert decision["allowed"]
    assert decision["pools"]["after"] == decision["pools"]["before"]
    assert decision["policies"][0]["outcome"] == "applied"
    assert not decision["warnings"]


def test_the_example_of_a_pod_is_placed_as_its_comments_say(bayplan: Bayplan, tmp_path: Path) -> None:
    for folder, pools in ((tmp_path / "a", ()), (tmp_path / "b", ("--pools", INVENTORIES[0]))):
        bayplan("init", folder, *pools)
        first = (folder / "examples" / "pod.yaml").read_text().splitlines()[0]
        decision = bayplan(*first.removeprefix("# bayplan ").split(), "-o", "json").json[0]
        assert decision["pools"]["after"]
        assert decision["patch"]


@pytest.mark.parametrize("path", INVENTORIES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_pools_of_all_samples(bayplan: Bayplan, tmp_path: Path, path: Path) -> None:
    folder = tmp_path / "mine"
    ran = bayplan("init", folder, "--pools", path)
    assert (ran.status, ran.err) == (0, "")
    content(bayplan, folder, "--pools", path)
    assert "require" in policy(folder)
    written = (folder / "pools" / "cluster.yaml").read_text()
    assert written == bayplan("pools", "--pools", path, "-o", "yaml").out


def test_equal_pools_give_equal_files(bayplan: Bayplan, tmp_path: Path) -> None:
    nodes = [node(f"n{i}", {"cloud.google.com/gke-nodepool": f"p{i % 3}", "team": f"t{i % 2}"}) for i in range(6)]
    written: list[Any] = []
    for some in (nodes, nodes[::-1]):
        folder = tmp_path / f"{len(written)}" / "mine"
        folder.parent.mkdir()
        bayplan("init", folder, "--pools", "-", stdin=json.dumps({"kind": "NodeList", "items": some}))
        files = {path.name: path.read_text() for path in folder.rglob("*.yaml") if path.name != "pod.yaml"}
        written.append((files, policy(folder)))
    assert written[0] == written[1]


PLAIN = [
    node("control-1", {"node-role.kubernetes.io/control-plane": ""}),
    node("worker-1", {"disktype": "ssd"}),
    node("worker-2", {}),
]


def test_a_cluster_without_pools(bayplan: Bayplan, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with cluster(tmp_path, {"/api/v1/nodes": PLAIN, "/api/v1/namespaces": []}) as config:
        ran = bayplan("init", folder, "--kubeconfig", config, "--context", "here")
        assert ran.status == 0
        assert f"now: bayplan check {folder} --kubeconfig {config} --context here && bayplan test" in ran.out
        content(bayplan, folder)
        words = ("--bundle", folder, "--kubeconfig", config, folder / "examples" / "pod.yaml")
        assert "disktype" in bayplan("explain", *words).out
    assert policy(folder)["require"][0]["expression"] == 'node.labels[?"disktype"].orValue("") == "ssd"'
    written = (folder / "pools" / "cluster.yaml").read_text()
    assert written.startswith("# Without 3 nodes of no pool")
    assert yaml.safe_load(written)["pools"] == []


def test_what_could_not_be_read_is_said(bayplan: Bayplan, tmp_path: Path) -> None:
    with cluster(tmp_path, {"/api/v1/nodes": PLAIN}) as config:
        ran = bayplan("init", tmp_path / "mine", "--kubeconfig", config)
    assert ran.status == 0
    assert "you may not list /apis/karpenter.sh/v1/nodepools" in ran.err


def test_a_label_of_ones_own_makes_pools(bayplan: Bayplan, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    given = json.dumps({"kind": "NodeList", "items": [node(f"n{i}", {"team": f"t{i % 2}"}) for i in range(3)]})
    assert bayplan("init", folder, "--pools", "-", "--pool-label", "team", stdin=given).status == 0
    content(bayplan, folder, "--pools", "-", "--pool-label", "team", stdin=given)
    assert policy(folder)["require"][0]["expression"] == 'pool.labels[?"team"].orValue("") == "t0"'
    pools = yaml.safe_load((folder / "pools" / "cluster.yaml").read_text())["pools"]
    assert [pool["name"] for pool in pools] == ["t0", "t1"]


def test_an_empty_cluster_gets_the_example(bayplan: Bayplan, tmp_path: Path) -> None:
    with cluster(tmp_path, {"/api/v1/nodes": []}) as config:
        ran = bayplan("init", tmp_path / "mine", "--kubeconfig", config)
    assert ran.status == 0
    assert "this is an example" in ran.err
    assert (tmp_path / "mine" / "pools" / "example.yaml").exists()


@pytest.mark.parametrize("given", ["cluster", "file", "pods"])
def test_pools_that_can_t_be_read(bayplan: Bayplan, tmp_path: Path, given: str) -> None:
    """It says so and what to do, and writes nothing."""
    (tmp_path / "pod.yaml").write_text("{apiVersion: v1, kind: Pod, metadata: {name: a}}")
    named = {
        "cluster": ("--kubeconfig", kubeconfig(tmp_path, "http://127.0.0.1:9")),
        "file": ("--pools", tmp_path / "missing.yaml"),
        "pods": ("--pools", tmp_path / "pod.yaml"),
    }
    ran = bayplan("init", tmp_path / "mine", *named[given])
    assert ran.status == 2
    expected = {"cluster": "can't be reached", "file": "no such file", "pods": "there are no pools, only Pod"}
    assert expected[given] in ran.err
    assert "without --context and --pools" in ran.err
    assert not (tmp_path / "mine").exists()


def test_nothing_is_overwritten(bayplan: Bayplan, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert bayplan("init", tmp_path / "mine").status == 0
    (tmp_path / "mine" / "bundle.yaml").write_text("precious")
    ran = bayplan("init", tmp_path / "mine")
    assert ran.status == 2
    assert "exists already" in ran.err
    assert (tmp_path / "mine" / "bundle.yaml").read_text() == "precious"


@pytest.mark.parametrize("name", ["My-Team", "a b", "-x", "a" * 64, "äpfel"])
def test_names(bayplan: Bayplan, tmp_path: Path, name: str) -> None:
    ran = bayplan("init", tmp_path / name)
    assert ran.status == 2
    assert f"`{name}` can't be a bundle's name" in ran.err
    assert not (tmp_path / name).exists()
