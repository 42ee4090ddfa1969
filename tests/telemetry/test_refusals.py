"""telemetry.refusals: everything is counted, and logs are no flood."""

from __future__ import annotations

import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

from telemetry import Metrics, Refusals
from telemetry.refusals import QUIET_SECONDS


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def counts(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        sample.labels["reason"]: sample.value
        for family in families
        if family.name == "bayplan_refusals"
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def test_one_line_for_each_reason_and_then_how_many_more(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bayplan.refusals")
    metrics, clock = Metrics("0"), Clock()
    refuse = Refusals(metrics, "admission", clock)
    for _ in range(100):
        refuse("404", "10.0.0.1", "GET /x")
    refuse("tls", "10.0.0.2", "does not speak TLS")
    refuse.flush()
    assert caplog.messages == [
        "admission port, 404: 10.0.0.1 GET /x",
        "admission port, tls: 10.0.0.2 does not speak TLS",
    ]
    caplog.clear()
    clock.now += QUIET_SECONDS
    refuse("404", "10.0.0.1", "GET /y")
    refuse.flush()
    assert caplog.messages == ["admission port, 404: 10.0.0.1 GET /y (99 more before)"]
    assert counts(metrics) == {"404": 101, "tls": 1}


def test_the_end_of_a_flood_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bayplan.refusals")
    clock = Clock()
    refuse = Refusals(Metrics("0"), "health", clock)
    for _ in range(3):
        refuse("evicted", "10.0.0.1", "made room")
    clock.now += QUIET_SECONDS
    refuse.flush()
    refuse.flush()
    assert caplog.messages[1:] == ["health port, evicted: 2 more"]


def test_port_checks_are_only_counted(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics("0")
    Refusals(metrics, "admission")("left", "10.0.0.1", "closed")
    assert caplog.messages == []
    assert counts(metrics) == {"left": 1}


def test_what_a_client_says_does_not_mislead(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bayplan.refusals")
    Refusals(Metrics("0"), "admission")("404", "10.0.0.1", "GET /\x1b[31m\n\u202e" + "x" * 1000)
    (line,) = caplog.messages
    assert "GET /\\x1b[31m\\n\\u202exx" in line
    assert line.endswith("x…")
    assert len(line) < 400
