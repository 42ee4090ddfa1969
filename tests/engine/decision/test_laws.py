"""engine.decision: the laws of placement on test_oracle's universe, made smaller where one is refuted.

Every part of it collides with every other; `tests.engine.matching` tells what Kubernetes makes of a pod.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.engine.laws import patched, uphold
from tests.engine.matching import PREFERRED, admits, matches_term, tolerates
from tests.engine.oracle import Answer
from tests.engine.worlds import TAINTED, Json, World, a_pod, a_world, as_text, incoming
from tests.examples import examples

CASES = st.randoms(use_true_random=False).map(lambda dice: (a_world(dice, nodes=12), a_pod(dice)))
Case = tuple[World, Json]


def answer(pod: Json, nodes: list[Json]) -> Answer:
    """What Kubernetes makes of a pod; that the API server accepts it only its own code can tell."""
    spec = pod["spec"]
    wishes = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(PREFERRED) or []
    places = [(node["metadata"]["labels"], node["metadata"]["name"]) for node in nodes]
    tolerations = spec.get("tolerations") or []
    barring = [
        {taint["effect"] for taint in node["spec"]["taints"] if not any(tolerates(one, taint) for one in tolerations)}
        for node in nodes
    ]
    return Answer(
        [admits(pod, labels, name) for labels, name in places],
        [effects <= {"PreferNoSchedule"} for effects in barring],
        ["PreferNoSchedule" not in effects for effects in barring],
        [
            sum(wish["weight"] for wish in wishes if matches_term(wish["preference"], labels, name))
            for labels, name in places
        ],
        "",
    )


@examples(150)
@given(CASES)
def test_the_patched_pod_is_admitted_exactly_where_it_should_be(case: Case) -> None:
    """Laws 1 to 3, 6 and 7; and a denial is right: nothing that could exist is left."""
    world, pod = case
    decision = world.decider().decide(incoming(pod))
    new, nodes = patched(pod, decision), [*world.nodes, *TAINTED]
    uphold(world, pod, decision, new, answer(pod, nodes), answer(new, nodes))


@examples(60)
@given(CASES)
def test_deciding_again_changes_nothing(case: Case) -> None:
    """Law 4: also where another request asks."""
    world, pod = case
    engine = world.decider()
    first = engine.decide(incoming(pod))
    if first.allowed:
        for uid in "12":
            again = engine.decide(incoming(patched(pod, first), uid))
            assert (again.allowed, again.patch) == (True, ())


@examples(40)
@given(CASES, st.randoms(use_true_random=False))
def test_order_does_not_matter(case: Case, dice: random.Random) -> None:
    """Law 5: of policies, pools and labels; equal inputs give byte-equal patches and sentences."""
    world, pod = case
    one, other = world.decider().decide(incoming(pod)), world.decider(dice).decide(incoming(turned(pod)))

    assert as_text(one) == as_text(other)


def turned(value: Any) -> Any:
    """The same value with the keys of every map in reverse."""
    if isinstance(value, list):
        return [turned(item) for item in value]
    return {key: turned(value[key]) for key in reversed(value)} if isinstance(value, dict) else value


@examples(40)
@given(CASES)
def test_audit_decides_the_same_and_answers_nothing(case: Case) -> None:
    """Law 8."""
    world, pod = case
    enforced, audited = (world.decider(mode=mode).decide(incoming(pod)) for mode in ("enforce", "audit"))

    assert (audited.patch, audited.allowed, audited.policies) == (enforced.patch, enforced.allowed, enforced.policies)
    assert (audited.answer_patch, audited.refused) == ((), False)
