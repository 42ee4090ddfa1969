"""How `bayplan audit` shows what it found, by the word that asks for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from audit import (
    Amounts,
    Finding,
    Load,
    Summary,
    as_html,
    descheduler,
    script,
    shortened,
    what_happens,
    why,
    worth_telling,
)
from cli.audit_ci import as_annotations, as_junit, as_sarif
from cli.audit_markdown import as_markdown
from cli.terminal import GREEN, RED, amount, styled, table
from telemetry import now

MOST_BLOCKERS = 10
"""Lines about what keeps a bundle from being enforced."""


class View(NamedTuple):
    """How findings are to be shown: grouped by what, and those that stay as they are, too; `source` says where the pods
    were read from; and over how many seconds pods are to be moved, in which context of the kubeconfig. `failing` is
    what the command fails for, and `folders` are those of the bundles."""

    by: str
    everything: bool
    source: str = ""
    seconds: float = 0
    context: str = ""
    failing: frozenset[str] = frozenset()
    folders: Sequence[str] = ()


def _as_json(summary: Summary, _: View) -> None:
    print(json.dumps(summary.as_json(), indent=2, ensure_ascii=False))


def _as_lines(summary: Summary, _: View) -> None:
    for one in (*(finding.as_json() for finding in summary.findings), *summary.of_clusters()):
        print(json.dumps(one, ensure_ascii=False, separators=(",", ":")))


def _as_html(summary: Summary, view: View) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(as_html(summary, view.source))
    sys.stdout.buffer.flush()


def _as_text(summary: Summary, view: View) -> None:
    told: list[Finding] = [one for one in summary.findings if view.everything or worth_telling(one)]
    lines = summary.lines(view.by, told)  # type: ignore[arg-type]
    if lines:
        several = view.by != "owner"
        rows = [
            (
                one.group,
                *([f"{one.workloads:,}"] * several),
                f"{one.pods:,}",
                one.effect,
                ", ".join(one.policies),
                shortened(one.why),
            )
            for one in lines
        ]
        print(table(rows, (view.by.upper(), *(["WORKLOADS"] * several), "PODS", "EFFECT", "POLICIES", "WHY")))
        print()
    if view.by == "pool" and summary.loads:
        print(table([_load_row(one) for one in summary.loads], LOAD_HEADER))
        print()
    noted = [(one.title or "nodes of no pool", "; ".join(one.notes)) for one in summary.loads if one.notes]
    if noted:
        print(table(noted))
        print()
    policies = [(one.name, one.text) for one in summary.by_policy()]
    if policies:
        print(table(policies))
        print()
    print(summary.total)
    if summary.drifts:
        pods = amount(sum(one.pods for one in summary.drifts), "pod")
        where = amount(len(summary.drifts), "workload")
        print(f"{pods} of {where} would not be let where they run: `-o restarts` prints what moves them")
    print(styled(summary.verdict, GREEN if summary.ready else RED))
    for one in summary.blockers[:MOST_BLOCKERS]:
        where = f"{one.cluster} {one.workload.title}".lstrip()
        print(f"  {where} ({amount(one.pods, 'pod')}) {what_happens(one)}: {why(one)}")
    rest = len(summary.blockers) - MOST_BLOCKERS
    if rest > 0:
        print(f"  and {rest:,} more")


def _load_row(one: Load) -> Sequence[str]:
    """What is asked of a pool in a line."""
    nodes = "?" if one.nodes is None else f"{one.nodes:,}"
    kinds = ("pods", "cpu", "memory", "gpus")
    return (one.title or "-", nodes, *(_change(kind, one.before, one.after, one.room) for kind in kinds))


def _change(kind: str, before: Amounts, after: Amounts, room: Amounts) -> str:
    """`12 → 15 of 16`."""
    was, will, has = (getattr(amounts, kind) for amounts in (before, after, room))
    unit = 2**30 if kind == "memory" else 1
    told = f"{was / unit:,.4g}" if was == will else f"{was / unit:,.4g} → {will / unit:,.4g}"
    return told if has is None else f"{told} of {has / unit:,.4g}"


LOAD_HEADER = ("POOL", "NODES", "PODS", "CPU", "MEMORY (GiB)", "GPUS")


def _as_script(summary: Summary, view: View) -> None:
    for line in script(summary.drifts, view.seconds, view.context):
        print(line)


def _as_descheduler(summary: Summary, _: View) -> None:
    for line in descheduler(summary.drifts, now()):
        print(line)


FORMATS: Mapping[str, Callable[[Summary, View], None]] = {
    "text": _as_text,
    "json": _as_json,
    "jsonl": _as_lines,
    "html": _as_html,
    "markdown": lambda summary, _: print(as_markdown(summary)),
    "sarif": lambda summary, view: print(as_sarif(summary, view.folders)),
    "junit": lambda summary, view: print(as_junit(summary, view.failing)),
    "github": lambda summary, view: print(as_annotations(summary, view.failing, view.folders)),
    "restarts": _as_script,
    "descheduler": _as_descheduler,
}
"""By the word that asks for it: what prints a summary."""
