"""engine.decision.karpenter: Karpenter looks at each pod that its pools may serve, and can serve it."""

from __future__ import annotations

import copy
import json
import random
from itertools import product
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.decision import Decision
from engine.documents import Source, parse_manifests
from engine.pools import Inventory, inventory_from_documents
from tests.engine.builders import decide, decider, incoming, patched, pod, required
from tests.engine.karpenter import NODE_POOL, Template, looks, serves, template
from tests.engine.laws import patched as patched_pod
from tests.engine.matching import PREFERRED, REQUIRED, admits, matches_term
from tests.engine.worlds import a_pod, a_world
from tests.engine.worlds import incoming as on_its_way
from tests.examples import examples

OWN = "example.com/pool"
MEMORY = f'require: [{{expression: \'pool.labels[?"{OWN}"].orValue("") == "memory"\'}}]'
STATIC_FIRST = "prefer: [{expression: 'pool.provider != \"karpenter\"', weight: %d}]"


def node_pool(name: str, labels: dict[str, str] | None = None, *requirements: Any, taints: Any = ()) -> dict[str, Any]:
    inner = {
        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "r"},
        "requirements": list(requirements),
        "taints": list(taints),
    }
    made = {"metadata": {"labels": labels or {}}, "spec": inner}
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": {"template": made},
    }


def fleet(*node_pools: dict[str, Any], static: dict[str, dict[str, str]] | None = None) -> Inventory:
    """NodePools, and pools that a label of one's own identifies: by its value, more labels of their nodes."""
    own = [
        {"name": f"static-{value}", "selector": {OWN: value}, "labels": labels}
        for value, labels in (static or {"memory": {}}).items()
    ]
    made = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": own}
    return inventory_of(*node_pools, made)


def inventory_of(*documents: dict[str, Any]) -> Inventory:
    manifests, problems = parse_manifests(Source("pools.yaml", "\n---\n".join(map(json.dumps, documents))))
    assert not problems
    return inventory_from_documents(manifests, [OWN])


MEM = node_pool("mem", {OWN: "memory"})


def served(decision: Decision, *node_pools: dict[str, Any]) -> str:
    """The NodePool of which Karpenter makes a node for the patched pod."""
    return serves({**decision.incoming.pod, "spec": patched(decision)}, list(map(template, node_pools)))


def wishes(decision: Decision) -> list[tuple[int, list[str]]]:
    """The preferences that are written: weights, and what each asks."""
    affinity = patched(decision).get("affinity", {}).get("nodeAffinity", {})
    return [(one["weight"], list(map(_said, one["preference"]["matchExpressions"]))) for one in affinity[PREFERRED]]


def _said(expression: Any) -> str:
    return " ".join([expression["key"], expression["operator"], *expression.get("values", ())])


def keys(decision: Decision) -> list[list[str]]:
    return [list(map(_said, one["matchExpressions"])) for one in required(decision)]


K, S = [f"{NODE_POOL} In mem"], [f"{OWN} In memory", f"{NODE_POOL} DoesNotExist"]


def test_alternatives_that_karpenter_can_serve_stand_first() -> None:
    decision = decide(MEMORY, pools=fleet(MEM))
    assert keys(decision) == [K, S]
    assert served(decision, MEM) == "mem"


def test_what_can_not_be_given_up_stands_last_once_more() -> None:
    """Karpenter gives up alternatives before wishes, the first one first, and can't make a static node."""
    decision = decide(MEMORY, "prefer: [{expression: 'node.zone == \"z\"', weight: 9}]", pools=fleet(MEM))
    assert keys(decision) == [K, S, K]
    unavailable = node_pool(
        "mem", {OWN: "memory"}, {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["y"]}
    )
    assert served(decision, unavailable) == "mem"


@pytest.mark.parametrize(
    "soft",
    [
        "spread: [{topologyKey: zone, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway, matchLabelKeys: [app]}]",
        "podAntiAffinity: [{topologyKey: kubernetes.io/hostname, weight: 5, labelSelector: {matchLabels: {a: b}}}]",
        "podAffinity: [{topologyKey: kubernetes.io/hostname, weight: 5, labelSelector: {matchLabels: {a: b}}}]",
    ],
)
def test_whatever_is_soft_counts_as_a_wish(soft: str) -> None:
    assert keys(decide(MEMORY, soft, pools=fleet(MEM))) == [K, S, K]


def test_a_soft_taint_of_a_node_pool_is_tolerated_last_of_all() -> None:
    soft = node_pool("mem", {OWN: "memory"}, taints=[{"key": "a", "effect": "PreferNoSchedule"}])
    decision = decide(MEMORY, pools=fleet(soft))
    assert keys(decision) == [K, S, K]
    assert served(decision, soft) == "mem"


def test_without_karpenter_s_pools_the_order_is_as_it_was() -> None:
    nodegroup = {"name": "b", "selector": {"eks.amazonaws.com/nodegroup": "b"}, "labels": {OWN: "memory"}}
    made = {"name": "a", "selector": {OWN: "memory"}}
    pools = inventory_of({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": [made, nodegroup]})
    decision = decide(MEMORY, "prefer: [{expression: 'pool.name == \"b\"', weight: 9}]", pools=pools)
    assert [one[0].split()[0] for one in keys(decision)] == sorted(one[0].split()[0] for one in keys(decision))
    assert len(keys(decision)) == 2


def test_a_wish_for_all_is_one_wish_without_the_absence() -> None:
    decision = decide(MEMORY, MEMORY.replace("require", "prefer").replace("'}", "', weight: 50}"), pools=fleet(MEM))
    assert wishes(decision) == [(50, [f"{OWN} In memory"])]
    assert served(decision, MEM) == "mem"


def test_a_wish_names_the_node_pools_that_are_not_meant() -> None:
    other = node_pool("other", {OWN: "memory"})
    wish = 'prefer: [{expression: \'pool.name in ["static-memory", "mem"]\', weight: 50}]'
    decision = decide(wish, pools=fleet(MEM, other))
    assert wishes(decision) == [(50, [f"{OWN} In memory", f"{NODE_POOL} NotIn other"])]


def test_a_wish_names_no_node_pool_that_can_not_fulfil_it() -> None:
    other = node_pool("other", {OWN: "compute"})
    decision = decide(STATIC_FIRST % 50, pools=fleet(other))
    assert wishes(decision) == [(50, [f"{OWN} In memory"])]


def test_a_part_of_a_node_pool_that_is_meant_is_told_apart() -> None:
    """The static pool is wished for, of the NodePool only what is in zone z."""
    wish = 'prefer: [{expression: \'pool.name == "static-memory" || node.zone == "z"\', weight: 50}]'
    decision = decide(wish, pools=fleet(MEM))
    static, made = {OWN: "memory"}, {OWN: "memory", NODE_POOL: "mem"}
    zone = "topology.kubernetes.io/zone"
    assert _score(decision, static) == _score(decision, {**static, zone: "z"}) == 50
    assert _score(decision, {**made, zone: "z"}) == 50
    assert _score(decision, made) == _score(decision, {**made, zone: "y"}) == 0


def _score(decision: Decision, labels: dict[str, str]) -> int:
    asked = patched(decision)["affinity"]["nodeAffinity"][PREFERRED]
    return sum(one["weight"] for one in asked if matches_term(one["preference"], labels, "n"))


@pytest.mark.parametrize(("weight", "written"), [(60, (61, 60)), (99, (100, 99)), (100, (100, 98))])
def test_a_wish_against_every_node_pool_that_is_left_is_not_the_heaviest(weight: int, written: tuple[int, int]) -> None:
    decision = decide(MEMORY, STATIC_FIRST % weight, pools=fleet(MEM))
    assert wishes(decision) == [
        (written[0], ["kubernetes.io/os Exists"]),
        (written[1], [f"{OWN} In memory", f"{NODE_POOL} NotIn mem"]),
    ]
    assert served(decision, MEM) == "mem"
    again = decider(MEMORY, STATIC_FIRST % weight, pools=fleet(MEM)).decide(
        incoming({**decision.incoming.pod, "spec": patched(decision)})
    )
    assert again.patch == ()


def test_of_node_pools_the_preferred_one_stands_first() -> None:
    """A first term that asks for another NodePool than the heaviest preference leaves none."""
    a, b = node_pool("a", {"site": "x"}), node_pool("b", {"site": "y"})
    spec = (
        'require: [{expression: \'(pool.name == "a" && node.zone == "z") || (pool.name == "b" && node.zone == "y")\'}]'
    )
    decision = decide(spec, "prefer: [{expression: 'pool.name == \"b\"', weight: 7}]", pools=fleet(a, b))
    assert [one[0] for one in keys(decision)] == [f"{NODE_POOL} In b", f"{NODE_POOL} In a"]
    assert served(decision, a, b) == "b"


def test_a_preference_of_the_pod_for_another_node_pool_is_outweighed() -> None:
    mine = {"weight": 20, "preference": {"matchExpressions": [{"key": NODE_POOL, "operator": "In", "values": ["x"]}]}}
    given = pod(affinity={"nodeAffinity": {PREFERRED: [mine]}})
    decision = decide(MEMORY, given=given, pools=fleet(MEM, node_pool("x")))
    assert wishes(decision) == [(20, [f"{NODE_POOL} In x"]), (21, ["kubernetes.io/os Exists"])]
    assert served(decision, MEM) == "mem"
    again = decider(MEMORY, pools=fleet(MEM, node_pool("x"))).decide(incoming({**given, "spec": patched(decision)}))
    assert again.patch == ()


def test_the_pod_s_own_terms_stay_and_one_of_them_stands_in_front() -> None:
    """The first of them can be met by static nodes alone; before, Karpenter could have served the second."""
    mine = [{"matchExpressions": [{"key": "site", "operator": "In", "values": [value]}]} for value in ("here", "cloud")]
    given = pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": mine}}})
    made = node_pool("mem", {OWN: "memory", "site": "cloud"})
    decision = decide(MEMORY, given=given, pools=fleet(made, static={"memory": {"site": "here"}}))
    written = required(decision)
    assert looks({**given, "spec": patched(decision)})
    assert served(decision, made) == "mem"
    own = [one["matchExpressions"][0]["values"][0] for one in written]
    assert own == sorted(own, key=["here", "cloud"].index) or own[1:] == sorted(own[1:], key=["here", "cloud"].index)


def test_a_pod_that_karpenter_would_not_look_at_is_left_as_it_is() -> None:
    mine = [{"matchExpressions": [{"key": NODE_POOL, "operator": operator}]} for operator in ("DoesNotExist", "Exists")]
    given = pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": mine}}})
    decision = decide(MEMORY, given=given, pools=fleet(MEM))
    assert [each[0] for each in keys(decision)] == [f"{NODE_POOL} DoesNotExist", f"{NODE_POOL} Exists"]


def test_order_of_pools_does_not_matter() -> None:
    many = [node_pool(f"p{i}", {OWN: "memory" if i % 2 else "compute", "site": str(i)}) for i in range(5)]
    spec = 'prefer: [{expression: \'pool.labels["site"] == "3"\', weight: 7}]'
    first = decide(MEMORY, spec, STATIC_FIRST % 80, pools=fleet(*many))
    second = decide(MEMORY, spec, STATIC_FIRST % 80, pools=fleet(*reversed(many)))
    assert json.dumps(first.as_json()) == json.dumps(second.as_json())


# Random fleets


ZONE, SITE = "topology.kubernetes.io/zone", "site"
REQUIRES = [
    f'pool.labels[?"{OWN}"].orValue("") == "memory"',
    f'pool.labels[?"{OWN}"].orValue("") in ["memory", "compute"]',
    f'pool.labels["{SITE}"] == "x"',
    'pool.provider == "karpenter" || node.zone == "b"',
    f'node.labels["{SITE}"] != "x"',
    'node.zone in ["a", "b"]',
    f'pool.name == "p" || (pool.labels[?"{OWN}"].orValue("") == "memory" && node.zone == "a")',
]
PREFERS = [
    'pool.provider != "karpenter"',
    'pool.provider == "karpenter"',
    'pool.name == "p"',
    'pool.name in ["static-memory", "q"]',
    f'pool.labels["{SITE}"] == "x"',
    'node.zone == "b"',
    f'pool.labels[?"{OWN}"].orValue("") == "memory"',
    f'!("{NODE_POOL}" in node.labels)',
]
ASKED = [
    {"key": ZONE, "operator": "In", "values": ["a"]},
    {"key": SITE, "operator": "In", "values": ["x"]},
    {"key": SITE, "operator": "NotIn", "values": ["x"]},
    {"key": OWN, "operator": "In", "values": ["memory"]},
    {"key": NODE_POOL, "operator": "In", "values": ["p"]},
    {"key": NODE_POOL, "operator": "NotIn", "values": ["q"]},
]


def a_term(dice: random.Random) -> Any:
    return {"matchExpressions": dice.sample(ASKED, dice.choice([1, 1, 2]))}


def a_case(dice: random.Random) -> tuple[list[Any], Inventory, list[str], Any]:
    """NodePools and static pools all of whose labels are said, policies, and a pod."""
    made = [
        node_pool(
            name,
            {OWN: dice.choice(["memory", "compute"]), SITE: dice.choice("xy")},
            {"key": ZONE, "operator": "In", "values": dice.choice([["a"], ["b"], ["a", "b"]])},
        )
        for name in dice.sample("pqr", dice.randint(1, 3))
    ]
    pools = fleet(*made, static={v: {SITE: dice.choice("xy"), ZONE: dice.choice("ab")} for v in ("memory", "compute")})
    specs = []
    for _ in range(dice.randint(1, 2)):
        require = [{"expression": one} for one in dice.sample(REQUIRES, dice.choice([0, 1, 1]))]
        prefer = [
            {"expression": one, "weight": dice.choice([1, 30, 60, 100])}
            for one in dice.sample(PREFERS, dice.randint(0, 2))
        ]
        spec = {**({"require": require} if require else {}), **({"prefer": prefer} if prefer else {})}
        specs += [yaml.safe_dump(spec)] if spec else []
    node: Any = {}
    if dice.random() < 0.4:
        node[REQUIRED] = {"nodeSelectorTerms": [a_term(dice) for _ in range(dice.randint(1, 3))]}
    if dice.random() < 0.3:
        node[PREFERRED] = [{"weight": dice.choice([1, 40, 99]), "preference": a_term(dice)}]
    return made, pools, specs or [MEMORY], pod(affinity={"nodeAffinity": node})


@examples(100)
@given(st.randoms(use_true_random=False).map(a_case))
def test_karpenter_makes_a_node_wherever_one_of_its_pools_is_left(case: Any) -> None:
    made, pools, specs, given_pod = case
    templates: list[Template] = list(map(template, made))
    engine = decider(*specs, pools=pools)
    decision = engine.decide(incoming(given_pod))
    if not decision.allowed or not serves(given_pod, templates):
        return
    new = patched_pod(given_pod, decision)
    written = [one for one in _preferences(new) if one not in _preferences(given_pod)]
    assert all(
        {"key": NODE_POOL, "operator": "DoesNotExist"} not in one["preference"]["matchExpressions"] for one in written
    )
    if {one["metadata"]["name"] for one in made} & set(decision.pools.after):
        name = serves(new, templates)
        assert name in decision.pools.after, (decision.patch, decision.pools)
    assert engine.decide(incoming(copy.deepcopy(new))).patch == ()


def _preferences(asked: Any) -> list[Any]:
    found: list[Any] = (asked["spec"].get("affinity") or {}).get("nodeAffinity", {}).get(PREFERRED) or []
    return found


@examples(50)
@given(st.randoms(use_true_random=False).map(a_case))
def test_what_is_written_for_karpenter_means_the_same_to_the_scheduler(case: Any) -> None:
    """Nodes that are admitted are the same as those of the placement; wishes are told apart as without Karpenter."""
    made, pools, specs, given_pod = case
    decision = decider(*specs, pools=pools).decide(incoming(given_pod))
    if not decision.allowed or not decision.patch:
        return
    new = patched_pod(given_pod, decision)
    names = [one["metadata"]["name"] for one in made]
    for own, site, zone, name in product((None, "memory", "compute"), "xy", "ab", (None, *names, "new")):
        labels = {SITE: site, ZONE: zone, **({OWN: own} if own else {}), **({NODE_POOL: name} if name else {})}
        inside = any(
            all(values.holds(labels.get(key)) for key, values in term.requirements)
            for term in decision.placement.required
        )
        assert admits(new, labels, "n") == (admits(given_pod, labels, "n") and inside)


@examples(50)
@given(st.randoms(use_true_random=False))
def test_karpenter_looks_at_each_pod_in_any_world(dice: random.Random) -> None:
    world, given_pod = a_world(dice, nodes=1), a_pod(dice)
    decision = world.decider().decide(on_its_way(given_pod))
    made = {pool.name for pool in world.pools if pool.key == NODE_POOL}
    if not decision.allowed or not made & set(decision.pools.after) or not looks(given_pod):
        return
    theirs = max((one["weight"] for one in _preferences(given_pod)), default=0)
    assert looks(patched_pod(given_pod, decision)) or theirs == 100


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ('require: [{expression: \'node.labels["kubernetes.io/hostname"] == "n"\'}]', "names `kubernetes.io/hostname`"),
        (
            'require: [{expression: \'node.labels["karpenter.sh/initialized"] == "true"\'}]',
            "names `karpenter.sh/initialized`",
        ),
        (f'require: [{{expression: \'!("{NODE_POOL}" in node.labels) && node.zone == "z"\'}}]', ""),
        ('require: [{expression: \'node.labels["site"] == "x"\'}]', ""),
    ],
)
def test_a_decision_warns_where_karpenter_drops_the_pod(spec: str, why: str) -> None:
    """Of a policy that leaves Karpenter's pools out on purpose nothing is said."""
    told = [one for one in decide(spec, pools=fleet(MEM)).warnings if "Karpenter" in one]
    assert [why in one for one in told] == ([True] if why else [])


def test_nothing_is_said_of_a_pod_that_karpenter_would_not_have_looked_at() -> None:
    given = pod(nodeSelector={"kubernetes.io/hostname": "n"})
    assert not any("Karpenter" in one for one in decide(MEMORY, given=given, pools=fleet(MEM)).warnings)
