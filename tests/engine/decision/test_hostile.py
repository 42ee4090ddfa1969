"""Whatever a pod holds, it costs at most a budget: a search for pods that take most work, on hostile policies.

Work is counted in calls of functions, of Python's and of C's alike, for time changes from machine to machine; a unit of
a budget stands for two or three. What is not metered (labels, the sentences) is in it, too.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from random import Random
from types import FrameType

import pytest

from engine.evaluation.pod_facts import LEAST_FOR_COMBINING, REQUEST_BUDGET
from engine.pods import IncomingPod
from tests.engine.builders import decider, incoming, outcomes, pod
from tests.engine.decision.hostile import Shape, hostile_decider, pod_of, program_decider, slowest

NIGHTLY = "BAYPLAN_NIGHTLY" in os.environ
COUNTED = 40
"""Of so many of the slowest, calls are counted: that takes five times as long as the decision."""
CALLS = 7 * (REQUEST_BUDGET + LEAST_FOR_COMBINING) // 2
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def counted(run: Callable[[], object]) -> int:
    """How many functions a run calls."""
    count = 0

    def profile(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count


def processor_seconds(run: Callable[[], object]) -> float:
    """How long a run takes of the processor: one that others take, too, does not change the order by much, but looking
    for garbage among all that tests hold would."""
    gc.collect(0)
    gc.disable()
    try:
        start = time.process_time()
        run()
        return time.process_time() - start
    finally:
        gc.enable()


@pytest.mark.timeout(3600 if NIGHTLY else 300)
@pytest.mark.parametrize(("policies", "pods"), [(12, 500 if NIGHTLY else 12), (50, 2_000 if NIGHTLY else 12)])
def test_the_slowest_pods_stay_within_the_budget(policies: int, pods: int) -> None:
    """The search goes by processor time, which is measured once for each pod; calls are counted of the slowest."""
    one = hostile_decider(policies)
    one.decide(incoming())  # what is the same for every pod is decided once for an inventory

    def calls(given: IncomingPod) -> int:
        return counted(lambda: one.decide(given))

    def seconds(given: IncomingPod) -> float:
        return processor_seconds(lambda: one.decide(given))

    tried = slowest(pods, Random(7), seconds if NIGHTLY else calls)
    found = sorted(((calls(made(shape)), spent, shape) for spent, shape in tried[:COUNTED]), key=lambda each: -each[0])
    for count, _, shape in found[:3]:
        print(f"{count:,} calls, {1000 * min(seconds(made(shape)) for _ in range(5)):.0f} ms: {shape}")
    if NIGHTLY:
        print(f"{pods} pods, the slowest first: {', '.join(f'{1000 * spent:.0f}' for spent, _ in tried[:20])} ms")
    assert found[0][0] <= CALLS


def made(shape: Shape) -> IncomingPod:
    given = pod_of(shape)
    assert given is not None
    return incoming(given)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(terms=1_000, expressions=2, keys=100_000),
        Shape(terms=900, expressions=3, kind="gl", keys=3),
        Shape(terms=200, expressions=3, keys=100_000, kind="in", values=100),
        Shape(terms=1, expressions=9_000, kind="n", keys=1),
        Shape(terms=1, expressions=9_000, kind="n", keys=9_000),
        Shape(terms=40_000, expressions=1, kind="e", keys=1),
        Shape(terms=1_000, kind="f", values=0),
        Shape(tolerations=40_000),
        Shape(spread=3_000, labels=100),
        Shape(preferred=3_000, expressions=3, pod_terms=400),
        Shape(labels=10_000, arguments=40_000),
        Shape(selector=1_000, terms=100),
        Shape(selector=5_000),
        Shape(terms=1_000, expressions=10, values=5, kind="n"),
        Shape(
            terms=1_000, expressions=10, values=5, kind="n", tolerations=700, pod_terms=100, labels=100, selector=1_000
        ),
        Shape(expressions=3, values=20, kind="in", preferred=3_000, containers=1_000, arguments=10, selector=1_000),
        Shape(terms=3_000, kind="g", spread=10_000, pod_terms=3_000),
        Shape(text=1_000_000),
    ],
    ids=str,
)
def test_known_ways_to_take_long(shape: Shape) -> None:
    one = hostile_decider(12)
    one.decide(incoming())
    given = pod_of(shape)
    assert given is not None
    assert counted(lambda: one.decide(incoming(given))) <= CALLS


def test_a_list_of_the_pods_is_looked_through_at_the_pods_expense() -> None:
    """A million of arguments, each of which could be a pool's name, for one policy after the other."""
    given = pod(containers=[{"name": "c", "image": "i", "args": ["a"] * 1_000_000}])
    decision = decider("require: [{expression: 'pool.name in pod.spec.containers[0].args'}]").decide(incoming(given))
    assert outcomes(decision) == {"one": "failed"}
    assert "budget" in decision.message


READING = " && ".join(
    f"pod.spec.{field}.all(c, c.{each} != 'x'))"
    for field in ("containers", "initContainers")
    for each in ("?args.orValue([]).all(a, a", "?command.orValue([]).all(a, a", "?env.orValue([]).all(a, a.name")
)


def test_what_policies_fail_for_is_looked_for_within_a_budget() -> None:
    """Fifty of them, each of which has the pod looked through for the largest of what it reads."""
    one = program_decider([json.dumps({"require": [{"expression": READING}]})] * 50)
    containers = [
        {"name": f"c{i}", "args": ["y"] * 64, "command": ["y"] * 64, "env": [{"name": "a"}] * 64} for i in range(250)
    ]
    given = incoming(pod(containers=containers, initContainers=containers))
    one.decide(incoming())
    assert counted(lambda: one.decide(given)) <= CALLS
    first, *_, last = [policy.message for policy in one.decide(given).policies if policy.outcome == "failed"]
    assert "the largest of what it reads is spec." in first
    assert last.startswith("it reads spec.containers")


SPENDING = "deny: [{expression: 'pod.spec.containers.exists(c, c.args.exists(a, a.matches(\"^(a|b)*c$\")))'}]\n"


@pytest.mark.parametrize(("terms", "outcome"), [(10, "applied"), (200, "failed")])
def test_what_evaluating_spends_is_not_there_for_combining(terms: int, outcome: str) -> None:
    """One budget for a request; but a little is always there, for policies that were decided."""
    wanted = [{"matchExpressions": [{"key": f"k{i}", "operator": "Exists"}]} for i in range(terms)]
    few, many = ([{"name": "c", "image": "i", "args": ["a"] * count}] for count in (1, 150_000))
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": wanted}}}
    requiring = 'require: [{expression: \'node.zone == "a" || node.labels["x"] == "y"\'}]\nfailurePolicy: Ignore'
    both = decider(f"{SPENDING}failurePolicy: Ignore", f"{requiring}\npriority: 9")  # which is asked first
    spared = outcomes(both.decide(incoming(pod(affinity=affinity, containers=few))))
    assert spared == {"one": "satisfied", "two": "applied"}
    assert outcomes(both.decide(incoming(pod(affinity=affinity, containers=many)))) == {"one": "failed", "two": outcome}


def test_what_is_too_much_is_refused_with_the_field_that_is() -> None:
    given = pod_of(Shape(tolerations=40_000))
    decision = decider("require: [{expression: pool.gpus == 0}]").decide(incoming(given))
    assert not decision.allowed
    assert "spec.tolerations has 40,000 entries" in decision.message
    ignored = decider("require: [{expression: pool.gpus == 0}]\nfailurePolicy: Ignore").decide(incoming(given))
    assert (ignored.allowed, ignored.patch, outcomes(ignored)) == (True, (), {"one": "failed"})


def test_many_expressions_on_one_key_are_one_set() -> None:
    """Nine thousand of them, and the pod is placed as any other."""
    given = pod_of(Shape(terms=1, expressions=9_000, kind="n", keys=1))
    decision = decider('require: [{expression: \'node.labels["a"] == "x"\'}]').decide(incoming(given))
    assert outcomes(decision) == {"one": "applied"}
    assert len(decision.placement_patch) == 1


def test_terms_on_one_key_are_one_set() -> None:
    terms = [{"matchExpressions": [{"key": "k", "operator": "In", "values": [f"v{i}"]}]} for i in range(300)]
    given = pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}})
    decision = decider('require: [{expression: \'node.labels["a"] == "x"\'}]').decide(incoming(given))
    assert outcomes(decision) == {"one": "applied"}


def test_alternatives_of_a_policy_that_nobody_asks_for_cost_little() -> None:
    """Where `||` does not hold has many alternatives more than where it does."""
    for count in (4, 7, 8, 10):
        pairs = " || ".join(f'node.labels["x"] == "a{i}" && node.labels["y"] == "b{i}"' for i in range(count))
        decision = decider(f"require: [{{expression: '{pairs}'}}]").decide(incoming())
        assert outcomes(decision) == {"one": "applied"}, count
