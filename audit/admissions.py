"""Admissions out of the store as findings: what was decided about each, or what others would decide of it now.

Pods that a webhook met are told at their workloads, as in a replay, and those of which the same is certain to be
decided are decided once (see `folding.py`). `pods` are those that came: of a workload that is rolled out twice, twice
as many.
"""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b

from audit.findings import Finding
from audit.folding import Fold, pod_of
from audit.of_decision import finding_of
from audit.replay import Row, joined
from audit.selection import EVERYTHING, Selection
from audit.stored import StoredDecision
from engine.decision import Decider
from engine.pods import IncomingPod
from engine.struct import replace

REMEMBERED = 8
"""So many deciders are remembered with what their decisions depend on."""
DRY, UNKEPT, TOO_LARGE = (
    "were dry runs",
    "were made by a bundle that was not kept",
    "were about pods too large to be kept",
)

Judge = Callable[[StoredDecision], Decider | None]


class Admissions:
    """Findings about decisions that were kept, as these are added. `judge` says who decides each, in place of who did;
    `time` is when that is, RFC 3339; without it, findings are what was decided, and say who asked."""

    def __init__(self, judge: Judge | None = None, *, time: str = "", selection: Selection = EVERYTHING) -> None:
        self.left_out: Counter[str] = Counter()
        self.otherwise = 0
        self.unsure: set[str] = set()
        self._judge, self._time, self._selection = judge, time, selection
        self._rows: dict[tuple[int, bytes], Row] = {}
        self._rest: list[Row] = []
        self._folds: dict[Decider, tuple[int, Fold]] = {}
        self._turn = 0

    def add(self, one: StoredDecision) -> None:
        """One more decision; why it is left out, if it is, is counted."""
        incoming = one.kept.incoming
        decider = one.decider if self._judge is None else self._judge(one)
        if incoming is None or decider is None:
            self.left_out[TOO_LARGE if incoming is None else UNKEPT] += 1
        elif not self._selection.has(_placed(incoming)):
            return
        elif incoming.request.get("dryRun") is True:
            self.left_out[DRY] += 1
        else:
            self._take(one, incoming, decider)

    def rows(self) -> list[Row]:
        """One for each workload and what it comes to."""
        return joined((*self._rest, *self._rows.values()))

    def _take(self, one: StoredDecision, incoming: IncomingPod, decider: Decider) -> None:
        key = self._key(incoming, decider)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Row(self._found(one, incoming, decider))
        row.pods += incoming.template is None
        if not self._time:
            row.finding = replace(row.finding, time=max(row.finding.time, _time(one.named.at)))

    def _found(self, one: StoredDecision, incoming: IncomingPod, decider: Decider) -> Finding:
        decision = decider.decide(incoming)
        here = self._judge is None
        verdict = one.verdict(decision) if here else "same"
        self.otherwise += verdict == "other"
        told = {policy.name for policy in decision.policies if policy.outcome not in ("notMatched", "off")}
        self.unsure |= told.intersection(decider.reading_environment)
        cluster = str(one.settings["cluster"].get("name") or "")
        time = self._time or _time(one.named.at)
        return finding_of(decider, decision, time=time, cluster=cluster, asked=here)

    def _key(self, incoming: IncomingPod, decider: Decider) -> tuple[int, bytes]:
        """What is equal for decisions of which the same is certain to come."""
        known = self._folds.get(decider)
        if known is None:
            while len(self._folds) >= REMEMBERED:
                self._forget(next(iter(self._folds)))
            self._turn += 1
            known = self._folds[decider] = (self._turn, Fold(decider))
        turn, fold = known
        pod = None if incoming.template is not None else pod_of({"kind": "Pod", **incoming.pod})
        dealt = any(policy.split for program in decider.programs for policy in program.policies)
        parts = (
            fold.key(pod).hex() if pod else [incoming.pod, incoming.template],
            (incoming.pod.get("spec") or {}).get("nodeName"),
            incoming.namespace,
            incoming.namespace_unknown,
            incoming.request,
            incoming.owner,
            incoming.uid if dealt else "",
        )
        return turn, blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=16).digest()

    def _forget(self, decider: Decider) -> None:
        """What was decided by one that is not remembered any more needs no key."""
        turn, _ = self._folds.pop(decider)
        old = [key for key in self._rows if key[0] == turn]
        self._rest = joined((*self._rest, *(self._rows.pop(key) for key in old)))


def _placed(incoming: IncomingPod) -> dict[str, object]:
    """What of a pod it is chosen by."""
    metadata = incoming.pod.get("metadata") or {}
    return {"metadata": {"namespace": incoming.namespace_name, "labels": metadata.get("labels")}}


def _time(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
