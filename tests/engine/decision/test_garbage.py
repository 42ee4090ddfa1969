"""A decision leaves nothing behind that only the collector of garbage finds: it would stop all answers while it looks.

What does is an error that is kept with its traceback: that has the frames, which have all that the decision made, and
in it the error.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

import pytest

from tests.engine import worlds
from tests.engine.builders import decider, inventory

POOLS = """\
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: a, selector: {pool: a}, labels: {tier: x}, taints: [{key: k, effect: NoSchedule}], nodes: 1}
  - {name: b, selector: {pool: b}, nodes: 1}
"""
BAD = "pod.metadata.labels['none'] == 'x'"
POLICIES = {
    "a condition": f'matchConditions: [{{name: bad, expression: "{BAD}"}}]\ndeny: []',
    "a requirement": f'require: [{{expression: "{BAD}"}}]',
    "what pools lack": "require: [{expression: \"pool.labels['none'] == 'x'\"}]",
    "what is not known of pools": 'require: [{expression: "pool.cpu > 3.0"}]',
    "what only some nodes may have": "require: [{expression: \"pool.labels['tier'] == 'x'\"}]",
    "one that the other side outweighs": f"require: [{{expression: \"{BAD} || pool.name == 'a'\"}}]",
    "one that nothing outweighs": f"require: [{{expression: \"{BAD} && pool.name != 'c'\"}}]",
    "one of a walk": "require: [{expression: \"pod.spec.containers.exists(c, c.resources.limits['x'] == '1')\"}]",
    "a variable that is read twice": (
        "variables: [{name: v, expression: \"pod.metadata.labels['none']\"}]\n"
        "require: [{expression: \"variables.v == 'x'\"}, {expression: \"variables.v == 'y' || pool.name == 'a'\"}]"
    ),
    "a bound value": "require: [{expression: \"cel.bind(v, pod.metadata.labels['none'], v == 'x' || v == 'y')\"}]",
    "a preference": (
        "prefer: [{expression: \"pool.labels['none'] == 'x'\", weight: 9}, {expression: 'true', score: 'pool.cpu'}]"
    ),
    "a toleration": f"tolerate: [{{expression: \"taint.key == 'k' && {BAD}\"}}]",
    "a refusal": f'deny: [{{expression: "{BAD}"}}]',
}


@contextmanager
def leaving_nothing() -> Iterator[None]:
    """No traceback is left for the collector by what is done inside."""
    gc.collect()
    gc.disable()
    try:
        yield
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [one for one in gc.garbage if isinstance(one, TracebackType)]
        assert [f"{one.tb_frame.f_code.co_qualname}:{one.tb_lineno}" for one in left] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("what", POLICIES)
def test_of_what_goes_wrong(what: str) -> None:
    decide = decider(POLICIES[what], pools=inventory(POOLS)).decide
    pod = worlds.incoming({"metadata": {"name": "w", "labels": {"a": "b"}}, "spec": {"containers": [{"name": "c"}]}})
    with leaving_nothing():
        for _ in range(3):
            decide(pod)


def test_of_random_worlds() -> None:
    decisions: list[Callable[[], object]] = []
    for seed in range(30):
        dice = random.Random(seed)
        given = worlds.a_world(dice).decider()
        pods = [worlds.incoming(worlds.a_pod(dice)) for _ in range(5)]
        decisions += [lambda given=given, pod=pod: given.decide(pod) for pod in pods]  # type: ignore[misc]
    with leaving_nothing():
        for decide in decisions:
            decide()
