"""audit.report.flows, picture: every pod is counted once on both sides, and what is drawn is what was counted."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from typing import Any

import pytest

from audit.capacity import loads_of
from audit.findings import Effect, Finding, Workload
from audit.nodes import places_of
from audit.parallel import rows
from audit.replay import Replay
from audit.report.flows import DENIED, OTHER, PENDING, Flow, Where, flows_of, folded, totals_of
from audit.report.picture import MOST, picture_of
from engine.decision import PoolNames
from engine.struct import replace
from tests.audit.report.fleet import findings
from tests.audit.test_replay import NODES, TIME, a_fleet, workload
from tests.engine.worlds import a_world

A, B, C = (Where("pool", name) for name in "abc")


def found(before: str, after: str, pods: int = 6, outcome: Any = "changed", **more: Any) -> Finding:
    pools = PoolNames(tuple(before), tuple(after), *more.pop("barred", ()))
    effect = Effect(outcome, "because", pools=replace(pools, waits=more.pop("waits", False)))
    return Finding(Workload("apps/v1", "Deployment", "shop", "web"), effect, "audit", "b", "r", "t", pods=pods, **more)


def flows(*some: Finding) -> dict[tuple[Where, Where], float]:
    return {(flow.source, flow.target): flow.pods for flow in flows_of(some)}


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (found("abc", "ab", placed={"a": 4, "c": 2}), {(A, A): 4, (C, A): 1, (C, B): 1}),
        (found("abc", "ab"), {(A, A): 2, (B, B): 2, (C, A): 1, (C, B): 1}),
        (found("ab", "ab", placed={"a": 3}, pods=5), {(A, A): 4, (B, B): 1}),
        (found("ab", "b", outcome="denied", placed={"a": 6}), {(A, DENIED): 6}),
        (found("ab", "b", outcome="unschedulable", placed={"a": 6}), {(A, PENDING): 6}),
        (found("ab", "b", waits=True, placed={"a": 6}), {(A, PENDING): 6}),
        (found("ab", "ab", barred=(("b",), (("t:NoSchedule",),)), placed={"b": 6}), {(B, A): 6}),
        (found("a", "", placed={"": 4, "a": 2}), {(OTHER, OTHER): 4, (A, OTHER): 2}),
        (found("", ""), {(OTHER, OTHER): 6}),
        (found("ab", "a", pods=0), {}),
    ],
)
def test_where_pods_are_and_where_they_might_be(finding: Finding, expected: dict[tuple[Where, Where], float]) -> None:
    assert flows(finding) == expected


@pytest.mark.parametrize(("outcome", "target"), [("changed", A), ("denied", DENIED)])
def test_pods_of_a_daemon_set_go_to_no_other_pool(outcome: Any, target: Where) -> None:
    one = found("ab", "b", outcome=outcome, placed={"a": 6})
    daemon = replace(one, workload=one.workload._replace(kind="DaemonSet"))
    assert flows(daemon) == {(A, target): 6}


def test_cores_follow_the_pods() -> None:
    (flow,) = flows_of([found("a", "b", placed={"a": 6}, requests={"cpu": 0.5})])
    assert flow == Flow(A, B, 6, 3)
    before, after = totals_of([flow])
    assert (before.where, before.before, before.after, before.going, before.cores_before) == (A, 6, 0, 6, 3)
    assert (after.where, after.before, after.after, after.coming, after.cores_after) == (B, 0, 6, 6, 3)


def test_no_pod_is_lost_or_counted_twice() -> None:
    fleet = findings(400, 4000)
    whole = flows_of(fleet)
    assert sum(flow.pods for flow in whole) == pytest.approx(4000)
    for told in (whole, folded(whole, 3)):
        totals = totals_of(told)
        assert sum(one.before for one in totals) == pytest.approx(4000)
        assert sum(one.after for one in totals) == pytest.approx(4000)
        for one in totals:
            assert one.before - one.going + one.coming == pytest.approx(one.after)
    assert len([one for one in totals_of(folded(whole, 3)) if one.where.what in ("pool", "rest")]) == 3
    refused = sum(one.pods for one in fleet if one.outcome == "denied")
    assert {one.where: one.after for one in totals_of(whole)}[DENIED] == pytest.approx(refused)


def test_ribbons_lie_inside_of_their_bars_and_bars_beside_each_other() -> None:
    picture = picture_of(flows_of(findings(400, 4000)))
    for sides in (picture.sources, picture.targets):
        for upper, lower in pairwise(sides):
            assert upper.y + upper.height < lower.y
            assert lower.middle - upper.middle >= 18
        assert sides[-1].y + sides[-1].height < picture.height
    sources, targets = ({side.where: side for side in sides} for sides in (picture.sources, picture.targets))
    for ribbon in picture.ribbons:
        start, end = re.match(r"M\d+ ([\d.]+)C\d+ [\d.]+ \d+ ([\d.]+) ", ribbon.path).groups()  # type: ignore[union-attr]
        for y, side in ((float(start), sources[ribbon.flow.source]), (float(end), targets[ribbon.flow.target])):
            assert side.y - 0.2 <= y <= side.y + side.height + 0.2
    assert [one.course for one in picture.ribbons] == sorted(
        (o.course for o in picture.ribbons), key=lambda c: c != "stays"
    )


def test_a_hundred_pools_are_few_bars() -> None:
    many = [replace(found("", ""), placed={f"p{i:03}": i + 1}, pods=i + 1) for i in range(100)]
    picture = picture_of(flows_of(many))
    names = [side.where for side in picture.sources]
    assert len(names) == MOST
    assert Where("rest", "87 other pools") in names


def test_a_picture_of_nothing() -> None:
    assert picture_of([]).ribbons == []


@pytest.mark.parametrize("seed", range(6))
def test_the_picture_and_the_table_say_the_same(seed: int) -> None:
    """Pool by pool, now and afterwards, as far as the table knows of pools."""
    dice = random.Random(seed)
    engine = a_world(dice).decider()
    places = places_of(NODES, engine.pool_index)
    replay = Replay(engine, time=TIME, places=places)
    for one in a_fleet(dice):
        replay.given.take(one)
    replay.given.take(workload("Deployment", "asleep", replicas=5))
    every = rows(replay, 1, lambda _: None)
    table = {one.pool: one for one in loads_of(every, engine.pool_index.pools, places)}
    told = [row.told() for row in every]
    assert [Finding.from_json(one.as_json()) for one in told] == told
    totals = {one.where.pool: one for one in totals_of(flows_of(told)) if one.where.what == "pool"}
    for pool, load in table.items():
        if pool and (load.before.pods or load.after.pods):
            assert totals[pool].before == pytest.approx(load.before.pods)
            assert totals[pool].after == pytest.approx(load.after.pods)
    assert sum(one.after for one in totals_of(flows_of(told))) == pytest.approx(sum(one.pods for one in told))
