"""What the page tells of each workload: its findings, shortened, and what a filter asks for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from audit.findings import FINDING_OUTCOMES, Effect, Finding, FindingOutcome, Workload
from audit.report.flows import Where
from audit.summary import BLOCKING, Summary
from audit.words import shortened, what_happens, why
from engine.struct import Struct

MOST_LINES = 120
"""Lines of a diff on the page."""
LONGEST_LINE = 300
"""Characters of it."""
MOST_NAMES = 12
"""Names of pools in one place on the page."""
KINDS = {"+": "add", "-": "del", "…": "at"}
MOST_INPUTS = 40
MOST_FINDINGS = 12
"""Findings of one workload on the page."""


class Names(NamedTuple):
    """Some names, and how many more there are."""

    some: tuple[str, ...]
    more: int


class Lines(NamedTuple):
    """Lines of a diff that follow each other, and what they are: `add`, `del`, `at` or `same`."""

    kind: str
    text: str


class Shown(NamedTuple):
    """A finding as the page shows it."""

    finding: Finding
    happens: str
    why: str
    follows: tuple[str, ...]
    kept: Names
    lost: Names
    diff: tuple[Lines, ...]
    more_lines: int
    inputs: tuple[tuple[str, str, Names], ...]
    more_inputs: int
    placed: tuple[tuple[Where, int], ...]
    more_placed: int


class Entry(Struct, frozen=True):
    """A workload: how it fares, and its findings, what hurts most first."""

    cluster: str
    workload: Workload
    outcome: FindingOutcome
    findings: tuple[Finding, ...]

    @property
    def pods(self) -> int:
        return sum(one.pods for one in self.findings)

    @property
    def template(self) -> bool:
        """Whether it has no pods of its own, and is told by its template."""
        return all(one.template for one in self.findings)

    @property
    def policies(self) -> list[str]:
        """The policies that did something, or would."""
        return list(dict.fromkeys(name for one in self.findings for name in one.effect.involved))

    @property
    def pools(self) -> list[str]:
        """The pools that its pods are in, or may be in afterwards."""
        found = (name for one in self.findings for name in (*one.effect.pools.after, *filter(None, one.placed)))
        return list(dict.fromkeys(found))

    @property
    def shown(self) -> list[Shown]:
        return [shown(one) for one in self.findings[:MOST_FINDINGS]]

    @property
    def more(self) -> int:
        """How many findings are left out."""
        return max(0, len(self.findings) - MOST_FINDINGS)


def entries_of(summary: Summary) -> list[Entry]:
    """The workloads: what hurts most first, and of what keeps a bundle from being enforced, what has most pods."""
    by_workload: dict[tuple[str, Workload], list[Finding]] = {}
    for one in summary.findings:
        by_workload.setdefault((one.cluster, one.workload), []).append(one)
    entries = [
        Entry(*who, summary.workloads[who], tuple(sorted(found, key=_rank))) for who, found in by_workload.items()
    ]

    def order(one: Entry) -> tuple[object, ...]:
        most_first = -one.pods if one.outcome in BLOCKING else 0
        workload = one.workload
        place = (one.cluster, workload.namespace, workload.name, workload.kind, workload.api_version)
        return (FINDING_OUTCOMES.index(one.outcome), most_first, *place)

    return sorted(entries, key=order)


def shown(finding: Finding) -> Shown:
    """A finding as the page shows it."""
    pools = finding.effect.pools
    left = set(pools.after)
    read = [one for one in finding.inputs if one.path != "pool.name"]  # which says nothing about any
    inputs = [(one.path, _value(one.value), _names(one.pools)) for one in read[:MOST_INPUTS]]
    placed = [(Where("pool", name) if name else Where("other"), count) for name, count in finding.placed.items()]
    return Shown(
        finding,
        what_happens(finding),
        shortened(why(finding)),
        tuple(one.text for one in finding.effect.follows if one.text not in finding.effect.reason),
        _names(pools.after),
        _names([name for name in pools.before if name not in left]),
        *_diff(finding.effect),
        tuple(inputs),
        max(0, len(read) - MOST_INPUTS),
        tuple(sorted(placed)[:MOST_NAMES]),
        max(0, len(placed) - MOST_NAMES),
    )


def _rank(finding: Finding) -> tuple[object, ...]:
    effect = finding.effect
    return FINDING_OUTCOMES.index(finding.outcome), -finding.pods, effect.reason, finding.revision, finding.time


def _names(names: Iterable[str]) -> Names:
    names = tuple(names)
    return Names(names[:MOST_NAMES], max(0, len(names) - MOST_NAMES))


def _sign(line: str) -> str:
    return line[:1]


def _value(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _diff(effect: Effect) -> tuple[tuple[Lines, ...], int]:
    """The diff without the lines that name its sides, and how many of its lines are left out."""
    if not effect.patch:
        return (), 0
    key = json.dumps([effect.before, list(effect.patch)], sort_keys=True, default=str)
    return _cached(_Keyed(key, effect))


class _Keyed:
    """An effect, equal to all with the same diff."""

    def __init__(self, key: str, effect: Effect) -> None:
        self.key, self.effect = key, effect

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and self.key == other.key


@lru_cache(maxsize=4096)
def _cached(keyed: _Keyed) -> tuple[tuple[Lines, ...], int]:
    """Lines that are alike and follow each other are one; between hunks stands an ellipsis."""
    hunks = ["…" if text.startswith("@@") else text for text in keyed.effect.diff[2:]]
    lines = hunks[1:] if hunks[:1] == ["…"] else hunks
    some = groupby((_shortened(line) for line in lines[:MOST_LINES]), _sign)
    told = tuple(Lines(KINDS.get(kind, "same"), "\n".join(alike)) for kind, alike in some)
    return told, max(0, len(lines) - MOST_LINES)


def _shortened(line: str) -> str:
    return (
        line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}… ({len(line) - LONGEST_LINE:,} characters more)"
    )
