"""engine.decision: a Decider says the same to several threads at once: webhooks decide in two, shadows beside them."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decision import Decider
from tests.engine.worlds import Json, a_pod, a_world, incoming
from tests.examples import examples

THREADS = 4
PODS = 12


@pytest.fixture(autouse=True, scope="module")
def switching() -> Iterator[None]:
    """Threads are let in as often as there is."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def said(decider: Decider, pod: Json) -> Json:
    return decider.decide(incoming(pod)).as_json(show_pod=True)


@examples(40)
@given(st.randoms(use_true_random=False))
def test_threads_that_share_a_decider_are_told_what_one_alone_is(dice: random.Random) -> None:
    world = a_world(dice, nodes=12)
    pods = [a_pod(dice) for _ in range(PODS)]
    alone = world.decider()
    expected = [said(alone, pod) for pod in pods]
    shared = world.decider()
    order = list(range(PODS)) * THREADS
    dice.shuffle(order)
    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(lambda place: said(shared, pods[place]), order))
    assert found == [expected[place] for place in order]
