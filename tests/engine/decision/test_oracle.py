"""engine.decision: the laws of placement at the level of decisions, against Kubernetes' own code.

5,000 random cases from fixed seeds, and 21,060 that are all of a small shape; BAYPLAN_NIGHTLY=1 makes it 100,000, and
510,120 of a larger one.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterable, Iterator
from itertools import combinations, product
from typing import Any

import pytest

from engine.decision.decision import Decision
from tests.engine.laws import patched, uphold
from tests.engine.matching import PREFERRED, REQUIRED
from tests.engine.oracle import Answer, Oracle, built
from tests.engine.worlds import (
    ATOMS,
    CAPACITY,
    COMPUTED,
    GKE,
    KARPENTER,
    SIZE,
    SPOT,
    TAINTED,
    TIER,
    ZONE,
    Json,
    PolicySpec,
    PoolSpec,
    Tree,
    World,
    a_pod,
    a_world,
    as_text,
    incoming,
    node,
)

NIGHTLY = os.environ.get("BAYPLAN_NIGHTLY") == "1"
WORLDS, PODS = 50, 20
BATCHES = 100 if NIGHTLY else 5
Case = tuple[World, Json, Decision, Json]


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return built()


def judged(oracle: Oracle, worlds: Iterable[tuple[World, list[Json]]]) -> Iterator[tuple[Case, Answer, Answer]]:
    """Every pod of every world, decided, with what Kubernetes says of it before and after."""
    cases: list[list[Case]] = []
    for world, pods in worlds:
        engine = world.decider()
        decisions = [engine.decide(incoming(pod)) for pod in pods]
        cases.append([(world, pod, one, patched(pod, one)) for pod, one in zip(pods, decisions, strict=True)])
    asked = (
        ([each for _, pod, _, new in some for each in (pod, new)], [*some[0][0].nodes, *TAINTED]) for some in cases
    )
    for some, answers in zip(cases, oracle.ask(asked), strict=True):
        yield from zip(some, answers[::2], answers[1::2], strict=True)


@pytest.mark.parametrize("seed", range(BATCHES))
def test_kubernetes_agrees_with_every_decision(oracle: Oracle, seed: int) -> None:
    """Laws 1 to 3, 6 and 7."""
    dice = random.Random(seed)
    worlds = [(a_world(dice), [a_pod(dice) for _ in range(PODS)]) for _ in range(WORLDS)]
    changed = denied = overruled = preferring = tolerating = 0
    for (world, pod, decision, new), before, after in judged(oracle, worlds):
        try:
            uphold(world, pod, decision, new, before, after)
        except (AssertionError, StopIteration) as error:
            raise AssertionError(told(world, pod, decision)) from error
        changed += before.admits != after.admits
        denied += not decision.allowed
        overruled += any(policy.outcome == "overruled" for policy in decision.policies)
        preferring += before.scores != after.scores
        tolerating += before.tolerates != after.tolerates
    assert min(changed, denied, overruled, preferring, tolerating) > WORLDS * PODS / 50


def told(world: World, pod: Json, decision: Decision) -> str:
    """A case that can be read, and given to the command line."""
    policies = [json.dumps(policy.document()) for policy in world.policies]
    pools = [json.dumps(each) for pool in world.pools for each in pool.objects()]
    return "\n".join([json.dumps(pod), *policies, *pools, json.dumps(decision.as_json(), indent=1)])


@pytest.mark.parametrize("seed", range(BATCHES // 5))
def test_deciding_again_in_another_order(seed: int) -> None:
    """Laws 4 and 5: a patched pod, in whatever order its parts are, gets an empty patch; nor does other order count."""
    dice = random.Random(-1 - seed)
    for _ in range(WORLDS):
        world = a_world(dice)
        one, other = world.decider(), world.decider(dice)
        for pod in (a_pod(dice) for _ in range(PODS)):
            decision, turned = one.decide(incoming(pod)), other.decide(incoming(reversed_keys(pod)))
            assert as_text(decision) == as_text(turned), told(world, pod, decision)
            if decision.allowed:
                new = patched(pod, decision)
                for again in (new, respelled(new, dice)):
                    assert one.decide(incoming(again)).patch == (), told(world, pod, decision)


def reversed_keys(pod: Json) -> Any:
    return json.loads(json.dumps(pod), object_pairs_hook=lambda pairs: dict(reversed(pairs)))


def respelled(pod: Json, dice: random.Random) -> Json:
    """The same pod with what is unordered in another order, and the first value of an In said twice."""
    again: Json = copy.deepcopy(pod)
    node_affinity = (again["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    terms = (node_affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or []
    wishes = node_affinity.get(PREFERRED) or []
    for term in [*terms, *(wish["preference"] for wish in wishes)]:
        for expression in term.get("matchExpressions", ()):
            if expression["operator"] in ("In", "NotIn"):
                expression["values"] = dice.sample(
                    [expression["values"][0], *expression["values"]], k=len(expression["values"]) + 1
                )
        dice.shuffle(term.get("matchExpressions", []))
    for items in (terms, wishes, again["spec"].get("tolerations", [])):
        dice.shuffle(items)
    return again


# Exhaustive: one policy over one pool at most, and every small pod

POOL_SHAPES: list[tuple[PoolSpec, ...]] = [
    (),
    *(
        (PoolSpec("p", KARPENTER, known, tier, zones),)
        for known, tier, zones in product(("declared", "seen", "both"), ("", "gold"), ((), ("a",), ("a", "b")))
    ),
    *((PoolSpec("p", known="nodepool", tier=tier),) for tier in ("", "gold", "gold|base", "*", "!", "~gold")),
    *((PoolSpec("p", known="nodepool", size=size, zones=zones),) for size, zones in ((">1", ()), ("<2", ("a",)))),
    (PoolSpec("p", known="declared", tier="gold|base"),),
    *(
        (PoolSpec("g", GKE, known, capacity=capacity),)
        for known, capacity in product(("declared", "seen", "both"), ((), ("spot",)))
    ),
    (PoolSpec("p", known="seen", under=True), PoolSpec("g", GKE, tier="gold")),
]
EXPRESSIONS: list[Json] = [
    {"key": key, "operator": operator, **({"values": [value]} if operator in ("In", "NotIn") else {})}
    for (key, value), operator in product(
        ((KARPENTER, "p"), (ZONE, "a"), (TIER, "gold")), ("In", "NotIn", "Exists", "DoesNotExist")
    )
]
TERM_LISTS: list[list[Json] | None] = [
    None,
    [{}],
    *([{"matchExpressions": [one]}] for one in EXPRESSIONS),
    *([{"matchExpressions": [EXPRESSIONS[0]]}, {"matchExpressions": [one]}] for one in EXPRESSIONS[4:]),
    *([{"matchExpressions": [EXPRESSIONS[4], one]}] for one in EXPRESSIONS[8:]),
    [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}],
]
SMALL_NODES = tuple(
    node(dict(zip((KARPENTER, GKE, ZONE, TIER, SPOT, CAPACITY, SIZE), states, strict=True)), name)
    for *states, name in [
        *product(
            (None, "p", "z"), (None,), (None, "a", "c"), (None, "gold", "tin"), (None,), (None,), (None,), ("n1",)
        ),
        *product((None,), ("g", "h"), (None, "a"), (None, "gold", "tin"), (None, "true"), (None,), ("2",), ("n2",)),
        *product(
            ("p",), (None, "g"), ("b",), (None,), (None,), ("spot", "on-demand", "other"), ("1", "3", "x"), ("n3",)
        ),
    ]
)


def shapes() -> list[Tree]:
    """Every atom; in a long run also under `!`, and every two joined."""
    single: list[Tree] = [*ATOMS, *COMPUTED]
    if not NIGHTLY:
        return single
    joined = [(operator, a, b) for operator, (a, b) in product(("&&", "||"), combinations(ATOMS, 2))]
    return [*single, *(("!", one) for one in single), *joined]


def small_pods() -> list[Json]:
    """A pod without constraints, with each of the small lists of terms, or with one label in its nodeSelector."""
    specs: list[Json] = [
        {"nodeSelector": {key: value}} for key, value in ((KARPENTER, "p"), (GKE, "g"), (TIER, "base"))
    ]
    specs += [
        {} if terms is None else {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}}
        for terms in TERM_LISTS
    ]
    containers = [{"name": "main", "image": "image"}]
    return [
        {
            "metadata": {"name": "pod", "namespace": "default", "labels": {"app": "web", "zone": "b"}},
            "spec": {"containers": containers, **spec},
        }
        for spec in specs
    ]


@pytest.mark.timeout(3000 if NIGHTLY else 300)
def test_every_small_decision(oracle: Oracle) -> None:
    """All 27 policies of one atom (654 of one or two in a long run) × 26 sets of pools × 30 pods, on 69 nodes each."""
    pods, places = small_pods(), [(tree, pools) for tree in shapes() for pools in POOL_SHAPES]
    for start in range(0, len(places), 200):
        some = places[start : start + 200]
        worlds = ((World(pools, (PolicySpec("one", (tree,)),), SMALL_NODES), pods) for tree, pools in some)
        for (world, pod, decision, new), before, after in judged(oracle, worlds):
            try:
                uphold(world, pod, decision, new, before, after)
            except (AssertionError, StopIteration) as error:
                raise AssertionError(told(world, pod, decision)) from error
