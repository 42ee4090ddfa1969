"""The page: what findings come to in plain words, pictures and tables, and every workload with its diff.

All that is said of findings together is the Summary's. Nothing is pasted: the template escapes every value, and
`_plain` shows what is hidden in it and shortens it. The policy of the page lets its own style and script run, by their
digests, and nothing else; it loads nothing. It is of at most `MAX_BYTES`: what hurts least is told in less detail
first, and then only counted.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from audit.capacity import Load
from audit.findings import FINDING_OUTCOMES, Finding, FindingOutcome
from audit.report.entries import Entry, entries_of
from audit.report.flows import DENIED, OTHER, PENDING, Where, flows_of, totals_of
from audit.report.picture import picture_of
from audit.summary import BLOCKING, Summary
from audit.words import what_happens, why
from engine.documents import printable_lines

MAX_BYTES = 5_000_000
"""Of a page."""
BODIES, ROWS = 4_000_000, 4_600_000
"""Bytes of the workloads up to which they are told with all details, and up to which they are told at all."""
LONGEST = 2_000
"""Characters of one text on the page."""
MOST_CAUSES, MOST_POLICIES, MOST_POOLS, MOST_NAMESPACES = 20, 100, 60, 120
"""Rows of the tables."""
GIB = 2**30
MOST_FACTS = 10
"""Clusters, bundles and revisions that are named."""
MOST_CHOICES = 500
"""Entries of a list in the filter."""
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z")
FOLDER = Path(__file__).parent

TITLES: dict[FindingOutcome, str] = {
    "denied": "would be refused",
    "unschedulable": "would stay Pending",
    "failed": "could not be decided",
    "changed": "would change",
    "unchanged": "stay as they are",
}


class Choices(NamedTuple):
    """What a list of the filter has to choose from, each with a number by which entries refer to it."""

    names: tuple[str, ...]
    numbers: dict[str, int]

    @staticmethod
    def of(names: Iterable[str]) -> Choices:
        some = tuple(sorted(set(names)))[:MOST_CHOICES]
        return Choices(some, {name: number for number, name in enumerate(some)})

    def of_entry(self, names: Iterable[str]) -> str:
        """The numbers of names, for an attribute."""
        return " ".join(str(self.numbers[name]) for name in names if name in self.numbers)


class Group(NamedTuple):
    """The workloads that fare alike, as far as they are on the page: each as HTML."""

    outcome: FindingOutcome
    number: int
    entries: list[Markup]
    left_out: int


class Cause(NamedTuple):
    """What keeps policies from being enforced: the reason of a number of workloads, and whose doing it is."""

    outcome: FindingOutcome
    why: str
    policies: tuple[str, ...]
    workloads: int
    pods: int


class Row(NamedTuple):
    """A namespace or a policy, and how its workloads fare."""

    name: str
    counts: dict[FindingOutcome, int]
    pods: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def rank(self) -> tuple[object, ...]:
        """What hurts most first."""
        return (*(-self.counts.get(outcome, 0) for outcome in FINDING_OUTCOMES), self.name)


def as_html(summary: Summary, source: str = "") -> bytes:
    """The page of a summary, in UTF-8; `source` says in words where the pods were read from."""
    return _environment().get_template("page.html").render(_values(summary, source)).encode()


def _values(summary: Summary, source: str) -> dict[str, Any]:
    entries = entries_of(summary)
    found = sorted(summary.findings, key=lambda one: (one.cluster, one.workload, one.outcome, one.effect.reason))
    flows = flows_of(found)
    pools = sorted(totals_of(flows), key=lambda one: one.where in (OTHER, PENDING, DENIED))
    namespaces = _namespaces(entries)
    policies = [Row(one.name, one.workloads, 0, one.reasons) for one in summary.by_policy()]
    causes = _causes(summary)
    choices = {
        "namespace": Choices.of(one.workload.namespace for one in entries),
        "policy": Choices.of(name for one in entries for name in one.policies),
        "pool": Choices.of(name for one in entries for name in one.pools),
        "cluster": Choices.of(one.cluster for one in entries),
    }
    style, script = _file("style.css"), _file("script.js")
    present = [one for one in FINDING_OUTCOMES if summary.counted(one)]
    return {
        "present": present,
        "style": Markup(style),  # our own
        "script": Markup(script),  # our own
        "digests": {"style": _digest(style), "script": _digest(script)},
        "summary": summary,
        "source": source,
        "facts": _facts(summary),
        "counts": {one: summary.counted(one) for one in FINDING_OUTCOMES},
        "causes": causes[:MOST_CAUSES],
        "more_causes": len(causes) - MOST_CAUSES,
        "policies": sorted(policies, key=lambda one: one.rank)[:MOST_POLICIES],
        "more_policies": len(policies) - MOST_POLICIES,
        "picture": picture_of(flows),
        "estimated": any(one.pods > sum(one.placed.values()) for one in found),
        "pools": pools[:MOST_POOLS],
        "more_pools": len(pools) - MOST_POOLS,
        "loads": summary.loads[:MOST_POOLS],
        "gpus": any(one.before.gpus or one.after.gpus or one.room.gpus for one in summary.loads),
        "most_cores": max((max(one.before.cpu or 0, one.after.cpu or 0) for one in summary.loads), default=1),
        "drifting": sum(one.pods for one in summary.drifts),
        "most_in_a_pool": max((max(one.before, one.after) for one in pools), default=1),
        "namespaces": namespaces[:MOST_NAMESPACES],
        "more_namespaces": len(namespaces) - MOST_NAMESPACES,
        "choices": choices,
        "groups": _groups(entries, choices),
    }


def _facts(summary: Summary) -> dict[str, list[str]]:
    """What findings say of themselves: which clusters, revisions and modes, and from when to when."""
    found = summary.findings
    times = sorted({one.time for one in found})
    return {
        "bundles": _few(one.bundle for one in found),
        "clusters": _few(one.cluster for one in found if one.cluster),
        "revisions": _few(one.revision for one in found),
        "modes": sorted({one.mode for one in found}),
        "times": times[:1] + times[1:][-1:],
    }


def _few(words: Iterable[str]) -> list[str]:
    """Each of these once, if they are not many."""
    every = sorted(set(words))
    return every if len(every) <= MOST_FACTS else [*every[:MOST_FACTS], f"{len(every) - MOST_FACTS:,} more"]


def _causes(summary: Summary) -> list[Cause]:
    """Why it is not ready, what most workloads meet first of each outcome."""
    alike: dict[tuple[FindingOutcome, str], list[Finding]] = {}
    for one in summary.blockers:
        alike.setdefault((one.outcome, why(one) or what_happens(one)), []).append(one)
    causes = [
        Cause(*key, _blaming(some), len({(one.cluster, one.workload) for one in some}), sum(one.pods for one in some))
        for key, some in alike.items()
    ]
    return sorted(causes, key=lambda one: (FINDING_OUTCOMES.index(one.outcome), -one.workloads, one.why))


def _blaming(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The policies that refuse, or could not be decided, where any do; else all that did something."""
    names: set[str] = set()
    for one in findings:
        some = {part.name for part in one.effect.policies if part.outcome in ("denied", "overruled", "failed")}
        names |= some or set(one.effect.involved)
    return tuple(sorted(names))


def _namespaces(entries: Sequence[Entry]) -> list[Row]:
    counts: dict[str, Counter[FindingOutcome]] = {}
    pods: Counter[str] = Counter()
    for one in entries:
        counts.setdefault(one.workload.namespace, Counter())[one.outcome] += 1
        pods[one.workload.namespace] += one.pods
    rows = [Row(name, dict(fares), pods[name]) for name, fares in counts.items()]
    return sorted(rows, key=lambda one: one.rank)


def _groups(entries: Sequence[Entry], choices: dict[str, Choices]) -> list[Group]:
    """The workloads by outcome, as HTML, as far as the page has room for them."""
    groups: list[Group] = []
    macro = _environment().get_template("entry.html").module.entry  # type: ignore[attr-defined]
    spent, several = 0, len(choices["cluster"].names) > 1
    for outcome in FINDING_OUTCOMES:
        mine = [one for one in entries if one.outcome == outcome]
        told: list[Markup] = []
        for one in mine:
            numbers = {
                "namespace": choices["namespace"].of_entry([one.workload.namespace]),
                "policy": choices["policy"].of_entry(one.policies),
                "pool": choices["pool"].of_entry(one.pools),
                "cluster": choices["cluster"].of_entry([one.cluster]) if several else "",
            }
            whole = macro(one, numbers, details=True)
            if spent + _size(whole) > BODIES:
                whole = macro(one, numbers, details=False)
            if spent + _size(whole) > ROWS:
                break
            spent += _size(whole)
            told.append(whole)
        if mine:
            groups.append(Group(outcome, len(mine), told, len(mine) - len(told)))
    return groups


def _size(text: Markup) -> int:
    return len(text.encode())


# The template and its values


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )
    environment.globals |= {"outcomes": FINDING_OUTCOMES, "titles": TITLES, "blocking": BLOCKING, "gib": GIB}
    environment.filters |= {
        "amount": _amount,
        "about": _about,
        "where": _where,
        "share": _share,
        "middle": _middle,
        "when": _when,
        "known": _known,
        "change": _change,
    }
    return environment


def _plain(value: object) -> object:
    """A value as the page may show it, before it is escaped: nothing hidden, and no longer than a reader reads."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if len(value) > LONGEST:
        value = f"{value[:LONGEST]}… ({len(value) - LONGEST:,} characters more)"
    return printable_lines(value)


def _amount(number: float, one: str = "", many: str = "") -> str:
    """`1,204 pods`."""
    word = one if number == 1 else many or f"{one}s"
    return f"{number:,} {word}" if one else f"{number:,}"


def _about(number: float) -> str:
    """A number of pods or cores of which parts are counted: `1,204`, `0.3`."""
    return f"{number:,.0f}" if number >= 10 or abs(number - round(number)) < 0.05 else f"{number:,.1f}"


def _known(amount: float | None, unit: float = 1) -> str:
    """An amount that may not be known."""
    return "?" if amount is None else _about(amount / unit)


def _change(load: Load, resource: str) -> str:
    """What is asked of a pool of one resource, now and afterwards: `3 → 5`; memory in GiB."""
    unit = GIB if resource == "memory" else 1
    before, after = (_known(getattr(one, resource), unit) for one in (load.before, load.after))
    return before if before == after else f"{before} → {after}"


def _share(part: float, whole: float) -> str:
    """Hundredths of a whole, as a coordinate."""
    return f"{100 * part / whole if whole else 0:.2f}".rstrip("0").rstrip(".")


def _where(where: Where) -> str:
    """A place in words."""
    words = {"other": "nodes of no pool", "pending": "would stay Pending", "denied": "refused"}
    return words.get(where.what, where.pool)


def _when(time: str) -> str:
    """A time of RFC 3339 in UTC as people write it, to the second."""
    found = _TIME.fullmatch(time)
    return f"{found[1]} {found[2]} UTC" if found else time


def _middle(text: str, most: int = 26) -> str:
    """A name with something left out of its middle, where it is too long for a picture."""
    text = " ".join(printable_lines(text[: 10 * most]).split())
    return text if len(text) <= most else f"{text[: most // 2]}…{text[1 - most // 2 :]}"


@cache
def _file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
