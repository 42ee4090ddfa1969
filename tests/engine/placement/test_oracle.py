"""engine.placement: its laws against Kubernetes' own code, with alphabets so small that everything collides.

5,000 cases from fixed seeds; BAYPLAN_NIGHTLY=1 makes it 100,000.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonpatch
import pytest

from engine.nodeselector import parse_term, simplify
from engine.placement.placement import Placement
from engine.placement.pod_affinity import pod_term
from engine.placement.tolerations import toleration_for
from tests.engine.builders import patch_of
from tests.engine.matching import REQUIRED
from tests.engine.oracle import Oracle, built
from tests.engine.worlds import NAMES, SELECTORS, a_pod, a_spread, a_taint, a_term

BATCH = 1_000
BATCHES = 100 if os.environ.get("BAYPLAN_NIGHTLY") == "1" else 5
KEYS = ["zone", "pool", "size"]
VALUES = ["a", "b", "", "1", "2", "02", "7", "9223372036854775807", "9223372036854775808"]
ALPHABET = dict.fromkeys(KEYS, VALUES)
BOUNDS = {key: ["0", "1", "2", "6", "9223372036854775806", "9223372036854775807"] for key in KEYS}


@dataclass(frozen=True, slots=True)
class Case:
    pod: dict[str, Any]
    policy: list[dict[str, Any]]
    placement: Placement
    nodes: list[dict[str, Any]]


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return built()


def some_term(dice: random.Random, empty: float = 0.1) -> dict[str, Any]:
    return a_term(dice, empty, ALPHABET, BOUNDS)


def a_case(dice: random.Random) -> Case:
    policy = [some_term(dice, empty=0.02) for _ in range(dice.randint(1, 3))]
    wishes = tuple((dice.randint(1, 100), parse_term(some_term(dice))) for _ in range(dice.randint(0, 2)))
    weights: list[int | None] = [None, 3, 100]
    pod_terms = tuple(
        (dice.choice(weights), pod_term(dice.choice(["zone", "host"]), dice.choice(SELECTORS)))
        for _ in range(dice.randint(0, 2))
    )
    placement = Placement(
        simplify(parse_term(one) for one in policy),
        wishes,
        tuple(toleration_for(a_taint(dice)) for _ in range(dice.randint(0, 2))),
        tuple(a_spread(dice) for _ in range(dice.randint(0, 2))),
        pod_affinity=pod_terms,
        pod_anti_affinity=pod_terms[:1],
    )
    states = [None, None, *VALUES]
    nodes = []
    for _ in range(16):
        labels = {key: value for key in KEYS if (value := dice.choice(states)) is not None}
        taints = [a_taint(dice) for _ in range(dice.randint(0, 2))]
        nodes.append({"metadata": {"name": dice.choice(NAMES), "labels": labels}, "spec": {"taints": taints}})
    return Case(a_pod(dice, some_term, ALPHABET), policy, placement, nodes)


def only(pod: dict[str, Any], policy: list[dict[str, Any]], tolerations: list[Any]) -> dict[str, Any]:
    """A pod that asks for nothing but what a policy says, and that tolerates what both say."""
    terms = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": policy}}}
    both_tolerate = [*pod["spec"].get("tolerations", []), *tolerations]
    containers = pod["spec"]["containers"]
    return {"spec": {"containers": containers, "affinity": terms, "tolerations": both_tolerate}}


def asked(cases: list[Case]) -> Iterator[tuple[list[Any], list[Any]]]:
    for case in cases:
        before = copy.deepcopy(case.pod)
        operations = patch_of(case.pod, case.placement)
        assert case.pod == before
        patched = jsonpatch.apply_patch(case.pod, list(copy.deepcopy(operations)))
        assert patch_of(patched, case.placement) == ()
        policy_alone = only(case.pod, case.policy, list(case.placement.tolerations))
        yield [case.pod, patched, policy_alone], case.nodes


@pytest.mark.parametrize("seed", range(BATCHES))
def test_kubernetes_agrees(oracle: Oracle, seed: int) -> None:
    """Laws 1 to 4: exactly the nodes that both sides admit, exactly the taints that both name, nothing refused."""
    dice = random.Random(seed)
    cases = [a_case(dice) for _ in range(BATCH)]
    narrowed = refused = 0
    for case, (original, patched, policy) in zip(cases, oracle.ask(asked(cases)), strict=True):
        assert patched.admits == [a and b for a, b in zip(original.admits, policy.admits, strict=True)], case
        assert patched.tolerates == policy.tolerates, case
        assert patched.refused == original.refused, case
        narrowed += patched.admits != original.admits
        refused += bool(original.refused)
    assert narrowed > BATCH / 5
    assert refused < BATCH / 5
