"""webhook.shadow: a second bundle is asked about what was answered, and changes nothing."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from delivery import Activation
from delivery.content import Content
from delivery.transaction import Candidate
from engine.bundle import Bundle
from engine.decision import Decider, Decision
from engine.pools import Inventory
from engine.program import Program
from telemetry import DecisionLog, Metrics
from tests.engine import builders
from tests.webhook.reviews import body, pod, review
from webhook import shadow as module
from webhook.admission import Admission
from webhook.shadow import Shadow

GOLD, BASE = builders.GOLD, builders.BASE
POD = pod({"app": "web"})
SECRET = "hunter2-the-secret"


def _lost(reason: str, lines: int) -> None:
    raise AssertionError(f"{lines} lines were lost: {reason}")


class Holder:
    """What is active."""

    def __init__(self, decider: Decider) -> None:
        self.decider: Decider | None = decider


class Bench:
    """A webhook without HTTP, with a shadow beside it."""

    def __init__(self, active: Decider, other: Decider, *, started: bool = True) -> None:
        self.stream, self.metrics = io.BytesIO(), Metrics("0")
        self.decisions = DecisionLog(self.stream, _lost)
        self.holder = Holder(active)
        self.built: list[Inventory] = []
        self.shadow = Shadow(cast("Activation", self.holder), self.build, self.metrics, self.decisions)
        candidate = Candidate(Content("1", "here", {}), Bundle("other", "1.0.0"), other.program)
        self.shadow.take(candidate, "bundle", 0.0)
        self.admission = Admission(self.holder, self.metrics, decisions=self.decisions, watchers=(self.shadow,))
        if started:
            self.shadow.start()

    def build(self, programs: tuple[Program, ...], inventory: Inventory, last: Decider | None) -> Decider:
        self.built.append(inventory)
        return last.renewed(inventory, programs) if last else Decider(programs, inventory)

    def ask(self, given: Any = POD) -> bytes:
        return asyncio.run(self.admission.answer(body(review(given)))).body

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"bayplan_shadow_{name}_total", labels) or 0.0

    def lines(self) -> list[dict[str, Any]]:
        """The lines of the log that a shadow wrote, once it has nothing to do any more."""
        self.decisions.close()
        found = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line for line in found if "difference" in line]

    def rest(self, decided: int) -> None:
        """Wait until the shadow has decided so many."""
        latest = time.monotonic() + 20
        while self.value("decisions") < decided and time.monotonic() < latest:
            time.sleep(0.01)
        assert self.value("decisions") == decided
        self.shadow.stop()


@contextmanager
def bench(active: Decider, other: Decider, *, started: bool = True) -> Iterator[Bench]:
    made = Bench(active, other, started=started)
    try:
        yield made
    finally:
        made.shadow.stop()
        made.decisions.close()


DENY = "deny: [{expression: 'true', message: not here}]"


@pytest.mark.parametrize(
    ("active", "other", "difference"),
    [
        (GOLD, BASE, "placed"),
        (GOLD, DENY, "refused"),
        (DENY, GOLD, "allowed"),
        (GOLD, f"{GOLD}\nmode: audit", "placed"),
        (f"{GOLD}\nmode: audit", f"{BASE}\nmode: audit", "audited"),
        (GOLD, GOLD, None),
        (GOLD, GOLD.replace("gold nodes only", "other words"), None),
    ],
)
def test_only_differences_are_recorded_and_the_answer_is_the_active_ones(
    active: str, other: str, difference: str | None
) -> None:
    alone = asyncio.run(Admission(Holder(builders.decider(active)), Metrics("0")).answer(body(review(POD)))).body
    with bench(builders.decider(active), builders.decider(other)) as made:
        assert made.ask() == alone
        made.rest(1)
        lines = made.lines()
        assert [line["difference"] for line in lines] == ([difference] if difference else [])
        if difference:
            assert made.value("differences", difference=difference) == 1
            assert lines[0]["message"] != "" != lines[0]["shadow"]["message"]
            assert lines[0]["uid"]


def test_it_goes_by_the_inventory_that_decides_now() -> None:
    first, second = builders.inventory(), builders.inventory(builders.FLEET.replace("tier: gold", "tier: tin"))
    with bench(builders.decider(GOLD, pools=first), builders.decider(BASE)) as made:
        made.ask()
        made.ask()
        while made.value("decisions") < 2:
            time.sleep(0.01)
        made.holder.decider = builders.decider(GOLD, pools=second)
        made.ask()
        made.rest(3)
        assert made.built == [first, second]


def test_no_answer_waits_and_what_does_not_fit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PODS", 3)
    with bench(builders.decider(GOLD), builders.decider(BASE), started=False) as made:
        for _ in range(5):
            made.ask()
        assert made.shadow.depth() == 3
        assert made.value("dropped") == 2


def test_large_pods_are_counted_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 3_000)
    large = pod({"app": "web"}, annotations={"a": "x" * 2_000})
    with bench(builders.decider(GOLD), builders.decider(BASE), started=False) as made:
        made.ask(large)
        made.ask(large)
        assert (made.shadow.depth(), made.value("dropped")) == (1, 1)


def test_without_a_bundle_nothing_waits() -> None:
    metrics = Metrics("0")
    log = DecisionLog(io.BytesIO(), _lost)
    shadow = Shadow(cast("Activation", Holder(builders.decider(GOLD))), lambda *_: builders.decider(GOLD), metrics, log)
    shadow.offer("1", False, builders.decide(GOLD), 10)
    assert shadow.depth() == 0
    log.close()


def test_a_bug_in_the_shadow_is_told_without_what_the_pod_holds(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Decider):
        def decide(self, incoming: Any, meter: Any = None) -> Decision:
            raise ValueError(str((incoming.pod, meter)))

    container = {"name": "app", "image": "a", "env": [{"name": "PASSWORD", "value": SECRET}]}
    with bench(builders.decider(GOLD), builders.decider(BASE)) as made, caplog.at_level(logging.ERROR):
        made.shadow._build = lambda program, inventory, _: Broken(program, inventory)
        expected = asyncio.run(Admission(Holder(builders.decider(GOLD)), Metrics("0")).answer(body(review(POD)))).body
        made.ask(pod({"app": "web"}, {"containers": [container]}))
        latest = time.monotonic() + 20
        while not made.value("dropped") and time.monotonic() < latest:
            time.sleep(0.01)
        assert made.ask() == expected
    assert "bug in the shadow about request" in caplog.text
    assert "ValueError" in caplog.text
    assert SECRET not in caplog.text


def test_a_line_that_is_too_long_leaves_out_what_the_shadow_would_write() -> None:
    zones = [f"zone-{i}-{'x' * 50}" for i in range(1_400)]
    sides = [json.dumps({"params": {"zones": [*zones, last]}}) for last in ("a", "b")]
    one, other = (builders.decider("require: [{expression: node.zone in params.zones}]", bundle=b) for b in sides)
    with bench(one, other) as made:
        made.ask()
        made.rest(1)
        (line,) = made.lines()
        assert line["shadow"]["omitted"] is True
        assert len(json.dumps(line)) < 66_000


def test_it_stops_at_once_though_pods_wait() -> None:
    with bench(builders.decider(GOLD), builders.decider(BASE), started=False) as made:
        for _ in range(500):
            made.shadow.offer("1", False, builders.decide(GOLD), 10)
        made.shadow.start()
        made.shadow.stop()
        assert not [thread for thread in threading.enumerate() if thread.name == "shadow"]
