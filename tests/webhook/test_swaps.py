"""webhook.admission while what decides is swapped: each answer is one revision's, and is what that revision decides.

Three bundles that decide differently take turns at a follower's source, as fast as they can be made active, and pools
change meanwhile, too; reviews come at a steady rate. CI does some swaps, the nightly run a thousand.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count, pairwise

import pytest

from delivery.activation import Activation, Stages, decider_of
from delivery.follower import Followed, Follower
from engine.documents import Source, parse_manifests
from engine.pools import Inventory, inventory_from_documents
from telemetry import Metrics
from tests.delivery import bundles
from tests.delivery.bad_bundles import good
from tests.delivery.shelf import Shelf
from tests.delivery.test_several import tree
from tests.webhook.reviews import Json, body, patch_of, pod, review
from webhook.admission import Admission

NIGHTLY = bool(os.environ.get("BAYPLAN_NIGHTLY"))
SWAPS = 1_000 if NIGHTLY else 40
RATE = 200
TRAINEE = body(review(pod({"workload": "training"})))
GENERAL = bundles.TRAINING.replace('pool.labels["accelerator"] == "a100"', 'pool.name == "general"')
REFUSING = bundles.TRAINING.replace("  require:", "  deny: [{expression: 'true'}]\n  require:")
TREES = [good("1.0.0"), good("1.1.0", training=GENERAL), good("1.2.0", training=REFUSING)]


def inventory(nodes: int) -> Inventory:
    return inventory_from_documents(
        parse_manifests(Source("pools", bundles.POOLS.replace("nodes: 3", f"nodes: {nodes}")))[0]
    )


class Rig:
    """All that answers, with a source that a test publishes to."""

    def __init__(self) -> None:
        self.shelf, self.metrics, self.nodes = Shelf(), Metrics("test"), 1
        build = partial(decider_of, mode="enforce", cluster={}, own_namespace="bayplan")
        self.activation = Activation(Stages(lambda: inventory(self.nodes), build), self.metrics)
        self.follower = Follower(Followed(self.shelf, "test", 60.0), self.activation.take, self.metrics)
        self.admission = Admission(self.activation, self.metrics)
        self.shelf.publish(TREES[0])
        self.follower.ask()
        self.activation.first()

    async def answer(self) -> tuple[str, str]:
        """Which revision answered, and what."""
        answer = await self.admission.answer(TRAINEE)
        assert answer.status == 200
        response: Json = json.loads(answer.body)["response"]
        said = [response["allowed"], patch_of(response), response.get("status")]
        return response["auditAnnotations"]["revision"], json.dumps(said, sort_keys=True)


@contextmanager
def swapping(rig: Rig, until: Callable[[int], bool]) -> Iterator[list[int]]:
    """Bundles and pools that are swapped meanwhile; how often, in the end."""
    swaps = [0]

    def swap() -> None:
        while not until(swaps[0]):
            rig.shelf.publish(TREES[(swaps[0] + 1) % 3])
            assert rig.follower.ask() is None
            swaps[0] += 1
            if swaps[0] % 5 == 0:
                rig.nodes += 1
                rig.activation.fleet_changed()

    thread = threading.Thread(target=swap)
    rig.activation.start()
    thread.start()
    try:
        yield swaps
    finally:
        thread.join()
        rig.activation.stop()


async def asked(rig: Rig, enough: Callable[[int], bool]) -> tuple[list[tuple[str, str]], list[float]]:
    """The answers to reviews that come at a steady rate, and how long each took, from when it was due."""
    answers: list[tuple[str, str]] = []
    seconds: list[float] = []
    begun = time.perf_counter()
    while not enough(len(answers)):
        due = begun + len(answers) / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        answers.append(await rig.answer())
        seconds.append(time.perf_counter() - due)
    return answers, sorted(seconds)


def expected(rig: Rig) -> dict[str, str]:
    """By revision, what it decides."""
    found = {}
    for files in TREES:
        rig.shelf.publish(files)
        assert rig.follower.ask() is None
        revision, said = asyncio.run(rig.answer())
        found[revision] = said
    assert len(found) == len(TREES)
    return found


def test_every_answer_is_one_revisions_and_right_while_revisions_are_swapped() -> None:
    rig = Rig()
    by_revision = expected(rig)
    assert len(set(by_revision.values())) == len(TREES)
    done = threading.Event()
    with swapping(rig, lambda swaps: swaps >= SWAPS or done.is_set()) as swaps:
        answers, _ = asyncio.run(asked(rig, lambda _: swaps[0] >= SWAPS))
        done.set()
    assert swaps[0] >= SWAPS
    assert {revision for revision, _ in answers} == set(by_revision)
    assert [said for revision, said in answers if said != by_revision[revision]] == []
    assert sum(one[0] != other[0] for one, other in pairwise(answers)) >= SWAPS // 4


BESIDE = tree("net", "3.0.0", net_no="false"), tree("net", "3.1.0", net_no="true")
BAD = tree("net", "6.6.6", net_no="nonsense")


class TwoBundles(Rig):
    """The same with a second bundle beside the first, from a source of its own, which is bad now and then."""

    def __init__(self) -> None:
        self.shelf, self.metrics, self.nodes, self.beside = Shelf(), Metrics("test"), 1, Shelf()
        build = partial(decider_of, mode="enforce", cluster={}, own_namespace="bayplan")
        stages = Stages(lambda: inventory(self.nodes), build)
        self.activation = Activation(stages, self.metrics, bundles=("one", "other"))
        self.follower = Follower(Followed(self.shelf, "test", 60.0), self.activation.take, self.metrics)
        take = partial(self.activation.take, place=1)
        self.other = Follower(Followed(self.beside, "test", 60.0), take, self.metrics)
        self.admission = Admission(self.activation, self.metrics)
        self.activation.first()
        self.publish(BESIDE[0])
        self.shelf.publish(TREES[0])
        self.follower.ask()

    def publish(self, files: dict[str, bytes]) -> None:
        self.beside.publish(files)
        self.other.ask()


def test_of_two_bundles_that_are_swapped_each_answer_is_one_pairs_and_right() -> None:
    rig = TwoBundles()
    by_pair: dict[str, str] = {}
    for files in BESIDE:
        rig.publish(files)
        by_pair |= expected(rig)
    assert len(by_pair) == 6
    done = threading.Event()

    def swap_other() -> None:
        for turn in count():
            if done.wait(0.01):
                return
            rig.publish((BESIDE[0], BAD, BESIDE[1])[turn % 3])

    thread = threading.Thread(target=swap_other)
    thread.start()
    with swapping(rig, lambda swaps: swaps >= SWAPS or done.is_set()) as swaps:
        answers, _ = asyncio.run(asked(rig, lambda _: swaps[0] >= SWAPS))
        done.set()
    thread.join()
    assert [said for revision, said in answers if said != by_pair[revision]] == []
    assert len({revision for revision, _ in answers}) >= 4
    assert rig.metrics.registry.get_sample_value("bayplan_activation_failures_total", {"step": "compile"})


@pytest.mark.skipif(not NIGHTLY, reason="measures time: nightly")
def test_swaps_do_not_hold_up_answers() -> None:
    """At a pace at which nobody publishes: one a second. Each is compiled and tested beside the answers."""
    rig = Rig()
    expected(rig)
    _, alone = asyncio.run(asked(rig, lambda answers: answers >= 2_000))
    done = threading.Event()

    def rested(_: int) -> bool:
        return done.wait(1.0)

    with swapping(rig, rested):
        _, beside = asyncio.run(asked(rig, lambda answers: answers >= 2_000))
        done.set()
    at = int(0.99 * len(alone))
    print(f"p99 {alone[at] * 1000:.1f} ms alone, {beside[at] * 1000:.1f} ms beside swaps")
    assert beside[at] <= max(2 * alone[at], 0.05)
