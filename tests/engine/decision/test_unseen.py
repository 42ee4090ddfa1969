"""engine.decision.unseen: a decision that leaves only nodes that nobody has declared or seen says so."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import jsonpatch
import pytest
import yaml

from engine.decision import Decision
from engine.decision.unseen import MAX_PAIRS
from engine.pools import Inventory
from tests.engine.builders import decide, decider, incoming, inventory, pod, pools_of_nodes
from tests.engine.matching import admits

FEW = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: a, selector: {pool: a}, labels: {tier: gold, topology.kubernetes.io/zone: us-east-1a}}
  - {name: b, selector: {pool: b}, values: {disk: [ssd, hdd]}, present: [tenant], absent: [gone]}
"""
NODE_POOL = """
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: any}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
      requirements:
        - {key: topology.kubernetes.io/zone, operator: In, values: [us-east-1a]}
        - {key: example.com/shelf, operator: Gt, values: ["4"]}
"""
NODES = pools_of_nodes(
    {"karpenter.sh/nodepool": "k", "zone": "z", "rare": "1"},
    {"karpenter.sh/nodepool": "k", "zone": "z", "karpenter.k8s.aws/instance-cpu": "4"},
    {"alone": "x"},
)


def required(expression: str, pools: Inventory | str = FEW, given: Any = None, more: str = "") -> Decision:
    known = inventory(pools) if isinstance(pools, str) else pools
    return decide(f"require: [{{expression: {expression!r}}}]\n{more}", pools=known, given=given)


@pytest.mark.parametrize(
    ("pools", "expression", "unseen"),
    [
        (FEW, 'pool.labels["stedy"] == "true"', "`stedy In [true]`"),
        (FEW, '"stedy" in pool.labels', "`stedy Exists`"),
        (FEW, 'int(node.labels["slots"]) > 3', "`slots Gt 3`"),
        (FEW, 'pool.labels["tier"] == "golt"', "`tier In [golt]`"),  # of b nothing is known
        (FEW, 'node.labels["gone"] == "x"', "`gone In [x]`"),  # of a nothing is known
        (FEW, 'node.region == "eu"', "`topology.kubernetes.io/region In [eu]`"),
        (FEW, 'node.zone == "eu-1a"', "`topology.kubernetes.io/zone In [eu-1a]`"),
        (FEW, 'node.labels["x"] == "1" && node.labels["y"] == "2"', "`x In [1], y In [2]`"),
        (FEW, 'node.labels["x"] == "1" || node.labels["y"] == "2"', "`x In [1]` or `y In [2]`"),
        (FEW, 'node.labels["x"] == "1" && node.labels["disk"] == "ssd"', "`x In [1]`"),
        (NODE_POOL, 'node.labels["stedy"] == "true"', "`stedy In [true]`"),
        (NODE_POOL, 'node.region in ["eu-1", "eu-2"]', "`topology.kubernetes.io/region In [eu-1, eu-2]`"),
        (NODES, 'node.labels["rare"] == "2"', "`rare In [2]`"),
        (NODES, 'node.labels["zone"] == "y"', "`zone In [y]`"),
        (NODES, 'node.labels["alone"] == "y"', "`alone In [y]`"),
    ],
)
def test_the_label_and_its_value_are_named(pools: Inventory | str, expression: str, unseen: str) -> None:
    decision = required(expression, pools)
    assert decision.pools.unseen == unseen
    assert [unseen in warning for warning in decision.warnings] == [True]


@pytest.mark.parametrize(
    ("pools", "expression"),
    [
        (FEW, 'pool.labels["tier"] == "gold"'),
        (FEW, 'node.labels["disk"] == "hdd"'),
        (FEW, 'pool.labels["tenant"] == "blue"'),  # it is there, with any value
        (FEW, '!("stedy" in pool.labels)'),
        (FEW, 'pool.labels[?"stedy"].orValue("") != "true"'),
        (FEW, 'node.os == "linux" && node.arch == "arm64"'),  # each node has them, and one of a few values
        (FEW, 'node.zone in ["us-east-1a", "eu-1a"]'),  # one is known of
        (FEW, 'node.labels["x"] == "1" || pool.name == "b"'),
        (FEW, "pod.metadata.name == node.labels['kubernetes.io/hostname'] || pool.name == 'a'"),
        (NODE_POOL, 'int(node.labels["karpenter.k8s.aws/instance-cpu"]) > 63'),  # Karpenter knows its instance types
        (NODE_POOL, 'node.capacityType == "spot"'),
        (NODE_POOL, 'int(node.labels["example.com/shelf"]) > 8'),
        (NODES, 'node.labels["rare"] == "1"'),  # some nodes are enough
        (NODES, '!("rare" in node.labels)'),
        (NODES, 'node.labels["alone"] == "x"'),  # so is one of no pool
        (NODES, 'int(node.labels["karpenter.k8s.aws/instance-cpu"]) > 63'),
    ],
)
def test_nothing_is_said_where_one_node_may_be_known(pools: Inventory | str, expression: str) -> None:
    decision = required(expression, pools)
    assert (decision.allowed, decision.pools.unseen, decision.warnings) == (True, "", ())


def test_what_the_pod_asks_for_itself_counts_beside_what_policies_require() -> None:
    given = pod(nodeSelector={"stedy": "true"})
    assert required('pool.labels["tier"] == "gold"', given=given).pools.unseen == "`stedy In [true]`"
    wish = 'prefer: [{expression: \'pool.labels["tier"] == "gold"\', weight: 5}]'
    assert decide(wish, pools=inventory(FEW), given=given).pools.unseen == ""  # a policy that confines nobody


def test_a_policy_that_is_left_out_asks_for_nothing() -> None:
    given = pod(nodeSelector={"stedy": "false"})
    decision = required('pool.labels["stedy"] == "true"', given=given, more="whenEmpty: warn")
    assert (decision.allowed, decision.pools.unseen) == (True, "")
    assert "left out" in decision.warnings[0]


def test_two_policies_meet_before_anything_is_said() -> None:
    specs = [f"require: [{{expression: {one!r}}}]" for one in ('node.labels["x"] == "1"', 'pool.name == "b"')]
    decision = decide(*specs, pools=inventory(FEW))
    assert (decision.pools.after, decision.pools.unseen) == (("b",), "`x In [1]`")
    known = inventory(FEW.replace("{disk: [ssd, hdd]}", "{x: ['1', '2']}"))
    assert decide(*specs, pools=known).pools.unseen == ""


def test_it_denies_nothing_and_is_a_warning_of_the_decision() -> None:
    decision = required('pool.labels["stedy"] == "true"')
    assert decision.allowed
    assert decision.as_json()["pools"]["unseen"] == "`stedy In [true]`"
    said = "nobody has declared or seen a node with `stedy In [true]`, and no other node is left"
    assert decision.warnings == (f"policy one: the pod may wait for long: {said}",)


def test_long_lists_and_many_alternatives_stay_a_sentence() -> None:
    zones = [f"somewhere-{i}" for i in range(200)]
    decision = required(f"node.zone in {zones}".replace("'", '"'))
    assert len(decision.warnings[0]) < 256
    some = " || ".join(f'(node.labels["x{i}"] == "1" && !("z{i}" in node.labels))' for i in range(9))
    assert " more" in required(some).warnings[0]


def test_of_more_alternatives_than_can_be_looked_at_nothing_is_said() -> None:
    terms = [{"matchExpressions": [{"key": f"x{i}", "operator": "Exists"}]} for i in range(MAX_PAIRS + 1)]
    many: Any = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    decision = required('node.labels["stedy"] == "true"', given=pod(affinity=many))
    assert (decision.allowed, decision.pools.unseen) == (True, "")
    del terms[1:]
    assert (
        "`stedy In [true], x0 Exists`"
        in required('node.labels["stedy"] == "true"', given=pod(affinity=many)).warnings[0]
    )


def test_where_nothing_is_known_of_any_pool_or_node_nothing_is_said() -> None:
    assert required('node.labels["stedy"] == "true"', Inventory()).pools.unseen == ""
    assert required('node.labels["stedy"] == "true"', Inventory(strays=3)).pools.unseen == ""


def test_after_a_change_of_the_inventory_it_is_decided_anew() -> None:
    spec = 'require: [{expression: \'node.labels["stedy"] == "true"\'}]'
    before = decider(spec, pools=inventory(FEW))
    assert before.decide(incoming()).pools.unseen
    known = before.renewed(inventory(FEW + "  - {name: c, selector: {pool: c}, labels: {stedy: 'true'}}\n"))
    assert known.decide(incoming()).pools.unseen == ""
    assert known.renewed(inventory(FEW)).decide(incoming()).pools.unseen == "`stedy In [true]`"


# Every pool with one fact of each kind about two labels, against a list of the nodes that are known of it.

VALUES = ("1", "2", "9")
KINDS: dict[str, tuple[dict[str, Any], tuple[str | None, ...]]] = {
    "one": ({"labels": "1"}, ("1",)),
    "some": ({"values": ["1", "2"]}, ("1", "2")),
    "there": ({"present": True}, VALUES),
    "none": ({"absent": True}, (None,)),
    "nothing": ({}, (None,)),
}
ASKED = [
    'node.labels["{}"] == "1"',
    'pool.labels["{}"] == "2"',
    '!("{}" in node.labels)',
    'node.labels[?"{}"].orValue("1") != "1"',
    'pool.labels[?"{}"].orValue("") != "2"',
    'int(node.labels["{}"]) > 1',
    '"{}" in node.labels',
]


def known_pool(name: str, x: str, y: str) -> dict[str, Any]:
    said: dict[str, Any] = {"name": name, "selector": {"pool": name}}
    for key, kind in (("x", x), ("y", y)):
        for field, value in KINDS[kind][0].items():
            if value is True:
                said.setdefault(field, []).append(key)
            else:
                said.setdefault(field, {})[key] = value
    return said


def known_nodes(name: str, x: str, y: str) -> list[dict[str, str]]:
    """Nodes as somebody has said that they are; of what nobody has said anything they have nothing."""
    both = product(KINDS[x][1], KINDS[y][1])
    return [{"pool": name, **{k: v for k, v in zip("xy", one, strict=True) if v is not None}} for one in both]


@pytest.mark.parametrize("seed", range(40))
def test_it_is_said_exactly_where_no_known_node_is_admitted(seed: int) -> None:
    chance = random.Random(seed)
    some: list[Any] = [(name, *chance.choices(list(KINDS), k=2)) for name in ("a", "b", "c")]
    document = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": [known_pool(*one) for one in some]}
    pools = inventory(yaml.safe_dump(document))
    for _ in range(25):
        asked = chance.choice(ASKED).format("x"), chance.choice(ASKED).format("y"), chance.choice(["&&", "||"])
        expression = f"{asked[0]} {asked[2]} {asked[1]}"
        given = pod(nodeSelector=chance.choice([{}, {}, {"x": "1"}, {"pool": "b"}]))
        decision = required(expression, pools, given)
        if not decision.allowed or "match no known pool" in "".join(decision.warnings):
            continue
        patched = jsonpatch.apply_patch(given, list(decision.patch))
        known = [labels for one in some for labels in known_nodes(*one)]
        admitted = [labels for labels in known if admits(patched, labels, "n")]
        assert bool(decision.pools.unseen) == (not admitted), (some, expression, given["spec"], admitted)
        again = required(expression, pools, patched)
        assert (again.patch, again.pools.unseen) == ((), decision.pools.unseen), (some, expression)
