"""audit.admissions: kept decisions as findings, each as if it were decided for itself."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from audit.admissions import DRY, TOO_LARGE, UNKEPT, Admissions
from audit.kept import KeptDecision, as_plain
from audit.of_decision import finding_of
from audit.replay import Row, as_created, in_order, joined
from audit.selection import Selection
from audit.stored import Named, StoredDecision, StoredDecisions
from engine.decision import Decider
from engine.pods import IncomingPod, incoming_of
from engine.struct import replace
from tests.audit.test_database import NIGHTLY
from tests.audit.test_replay import a_fleet
from tests.audit.test_stored import keep, one_policy
from tests.engine import builders
from tests.engine.builders import GOLD
from tests.engine.worlds import a_world

CLUSTER = {"cluster": {"name": "east"}}


def stored(engine: Decider, incoming: IncomingPod, at: float = 0.0) -> StoredDecision:
    kept = KeptDecision(as_plain(engine.decide(incoming).as_json()), incoming, tuple(engine.reading_environment))
    named = Named("0.1", at, "Pod a/b", "mutated", engine.revision.whole)
    return StoredDecision(named, kept, engine, (), engine.pool_index.inventory, CLUSTER)


def as_data(rows: Iterable[Row]) -> list[dict[str, Any]]:
    every = []
    for one in in_order(row.told() for row in rows):
        data = one.as_json()
        for key in ("example", "inputs", "asked"):  # of one of them
            del data[key]
        every.append(data)
    return sorted(every, key=lambda one: json.dumps(one, default=str))


@pytest.mark.parametrize("seed", range(200 if NIGHTLY else 8))
def test_decided_once_is_as_decided_one_by_one(seed: int) -> None:
    dice = random.Random(seed)
    engine = a_world(dice).decider()
    found = [incoming_of("", as_created(pod) if seed % 2 else pod, {}) for pod in a_fleet(dice)]
    pods = [one for one in found if one and not one.template]
    admissions = Admissions()
    alone: list[Row] = []
    for pod in pods:
        admissions.add(stored(engine, pod))
        finding = finding_of(engine, engine.decide(pod), time="1970-01-01T00:00:00.000000Z", cluster="east", asked=True)
        alone.append(Row(finding, 1))
    assert as_data(admissions.rows()) == as_data(joined(alone))
    assert admissions.otherwise == 0


def test_what_is_not_in_the_findings_is_counted(tmp_path: Path) -> None:
    keep(tmp_path, one_policy(GOLD), builders.incoming())
    with StoredDecisions(tmp_path) as store:
        (one,) = store.newest()
    incoming = one.kept.incoming
    assert incoming
    admissions = Admissions()
    dry = replace(incoming, request={**incoming.request, "dryRun": True})
    admissions.add(replace(one, kept=replace(one.kept, incoming=dry)))
    admissions.add(replace(one, kept=replace(one.kept, incoming=None)))
    admissions.add(replace(one, decider=None))
    assert admissions.left_out == {DRY: 1, TOO_LARGE: 1, UNKEPT: 1}
    assert admissions.rows() == []
    admissions.add(replace(one, kept=replace(one.kept, decision={**one.kept.decision, "message": "other"})))
    assert admissions.otherwise == 1


def test_who_bound_a_pod_already_is_told_apart() -> None:
    engine = builders.decider(f"{GOLD}\nmatchConditions: [{{name: c, expression: '!has(pod.spec.nodeName)'}}]")
    admissions = Admissions()
    for node in ("", "node-1"):
        pod = builders.pod(metadata={"name": "a"}, **({"nodeName": node} if node else {}))
        admissions.add(stored(engine, builders.incoming(pod)))
    assert sorted(row.finding.outcome for row in admissions.rows()) == ["unchanged", "unschedulable"]


def test_only_some_are_meant_and_the_latest_says_when() -> None:
    engine = builders.decider(GOLD)
    admissions, nobody = (Admissions(selection=Selection(frozenset([name]))) for name in ("team", "shop"))
    for at in (1.0, 3.0, 2.0):
        admissions.add(stored(engine, builders.incoming(), at))
        nobody.add(stored(engine, builders.incoming(), at))
    (row,) = admissions.rows()
    assert (row.pods, row.finding.time) == (3, "1970-01-01T00:00:03.000000Z")
    assert row.finding.asked
    assert nobody.rows() == []
