"""Say what a bundle would change for workloads that exist already, and whether it is ready to enforce.

Each pod is decided as if it were created now: from files as `kubectl get pods -A -o yaml` prints them or manifests of
workloads, or from a cluster. Pods that have finished are left out; workloads without pods are told by their template.
Nothing is changed.
Exit status: 0 nothing that --fail-on names, 1 something of it (by default: anything that does not stay as it is),
2 could not run.

example:
  bayplan audit --bundle policies/spot-first --context staging
  bayplan audit --bundle policies/spot-first --context staging --fail-on denied,unschedulable,failed
  bayplan audit --bundle policies/spot-first --context staging -o html > report.html
  bayplan audit --bundle policies/spot-first --pools policies/spot-first/pools/mixed.yaml --pods manifests/
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from audit import (
    FAILING,
    GROUPINGS,
    Amounts,
    Finding,
    Load,
    LostError,
    Replay,
    Selection,
    Summary,
    as_html,
    descheduler,
    drift_of,
    gather,
    in_order,
    loads_of,
    now,
    places_of,
    rows,
    script,
    selector_of,
    what_happens,
    why,
    worth_telling,
)
from cli.errors import CommandError
from cli.inputs import (
    add_bundles,
    add_cluster,
    add_pods,
    add_pools,
    decider_and_nodes,
    names_cluster,
    namespaces,
    pieces_at,
    told_without_lines,
)
from cli.terminal import GREEN, RED, amount, progress, styled, table
from delivery import Batch
from engine.documents import BundleError, Manifest

WORKLOADS = (
    ("/api/v1/replicationcontrollers", "v1", "ReplicationController"),
    ("/apis/apps/v1/daemonsets", "apps/v1", "DaemonSet"),
    ("/apis/apps/v1/deployments", "apps/v1", "Deployment"),
    ("/apis/apps/v1/replicasets", "apps/v1", "ReplicaSet"),
    ("/apis/apps/v1/statefulsets", "apps/v1", "StatefulSet"),
    ("/apis/batch/v1/cronjobs", "batch/v1", "CronJob"),
    ("/apis/batch/v1/jobs", "batch/v1", "Job"),
)
"""What a cluster is asked for beside its pods: path, version and kind. Controllers of other kinds are told by pods."""
FORBIDDEN = (401, 403, 404)
"""Answers of an API server that does not show, or does not know, a kind."""
MOST_JOBS = 64
MOST_BLOCKERS = 10
"""Lines about what keeps a bundle from being enforced."""
NOTHING = "none"


class View(NamedTuple):
    """How findings are to be shown: grouped by what, and those that stay as they are, too; `source` says where the pods
    were read from; and over how many seconds pods are to be moved, in which context of the kubeconfig."""

    by: str
    everything: bool
    source: str = ""
    seconds: float = 0
    context: str = ""


def add(parser: argparse.ArgumentParser) -> None:
    add_bundles(parser)
    add_pods(parser)
    add_pools(parser)
    add_cluster(parser)
    parser.add_argument(
        "-n",
        "--in",
        metavar="NAME",
        dest="within",
        action="append",
        default=[],
        help="pods of this namespace; may be repeated",
    )
    parser.add_argument(
        "-l", "--selector", metavar="LABELS", default="", help="pods with these labels, as kubectl has it"
    )
    parser.add_argument("--all", action="store_true", help="tell of workloads that stay as they are, too")
    parser.add_argument("--by", choices=GROUPINGS, default="owner", help="what the table is grouped by (owner)")
    parser.add_argument(
        "--fail-on",
        metavar="WHAT,…",
        type=_failing,
        default=frozenset(FAILING[: FAILING.index("changed") + 1]),
        help=f"exit with 1 for these: {', '.join(FAILING)}; or {NOTHING}",
    )
    parser.add_argument(
        "--jobs", metavar="N", type=_jobs, default=1, help="processes that share the work (1); 0 for as many as cores"
    )
    parser.add_argument(
        "--over",
        metavar="SECONDS",
        type=float,
        default=0,
        help="with -o restarts: over how long pods are moved (at once)",
    )
    parser.add_argument("-o", "--output", choices=[*FORMATS], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    if not args.pods and not names_cluster(args):
        raise CommandError("say which pods: --pods FILE…, or --context NAME for those of a cluster")
    summary = _replayed(args)
    FORMATS[args.output](summary, View(args.by, args.all, _source(args), args.over, args.context or ""))
    return int(summary.failing(args.fail_on))


def _jobs(text: str) -> int:
    number = int(text)
    if not 0 <= number <= MOST_JOBS:
        raise argparse.ArgumentTypeError(f"`{text}` is not between 0 and {MOST_JOBS}")
    return number or len(os.sched_getaffinity(0))


def _source(args: argparse.Namespace) -> str:
    """Where the pods were read from, and which of them, in words."""
    whence = (
        ", ".join(map(str, args.pods)) if args.pods else f"context {args.context}" if args.context else "the cluster"
    )
    some = [f"namespace {name}" for name in args.within] + [f"labels {args.selector}"] * bool(args.selector)
    return ", ".join([whence, *some])


def _failing(text: str) -> frozenset[str]:
    words = {word.strip() for word in text.split(",")} - {"", NOTHING}
    for word in sorted(words.difference(FAILING)):
        raise argparse.ArgumentTypeError(f"`{word}` is none of {', '.join(FAILING)}, {NOTHING}")
    return frozenset(words)


def selected(args: argparse.Namespace) -> Selection:
    """Which pods are meant."""
    try:
        return Selection(frozenset(args.within), selector_of(args.selector))
    except ValueError as error:
        raise CommandError(f"--selector: {error}") from error


def _replayed(args: argparse.Namespace) -> Summary:
    """The findings about the pods and workloads that the arguments name."""
    decider, nodes = decider_and_nodes(args)
    places = places_of(nodes, decider.pool_index)
    replay = Replay(decider, time=now(), cluster=args.cluster_name, places=places, selection=selected(args))
    found = chain(_from_files(args.pods) if args.pods else _of_cluster(args), namespaces(args))
    try:
        with progress() as tell:
            gather(replay.given, found, args.jobs, lambda pods: tell(f"{pods:,} pods read"))
            pods = replay.given.pods
            every = rows(replay, args.jobs, lambda kinds: tell(f"{pods:,} pods read, {kinds:,} kinds of them decided"))
    except LostError as error:
        raise CommandError(str(error)) from error
    findings = in_order(row.told() for row in every)
    return Summary.of(findings, loads_of(every, decider.pool_index.pools, places), drift_of(every))


def _from_files(paths: Iterable[str]) -> Iterator[Manifest | Batch]:
    """What is in files; where one is wrong no line is shown, for it may be a pod's environment."""
    try:
        for path in paths:
            yield from pieces_at(path)
    except BundleError as error:
        raise told_without_lines(error) from error


def _of_cluster(args: argparse.Namespace) -> Iterator[Batch]:
    """The pods of a cluster, and the workloads as far as they may be read."""
    from cluster import ClusterError, RefusedError, pages

    spaces = sorted(set(args.within)) or [""]
    try:
        for space in spaces:
            for page in pages(
                args.kubeconfig, args.context, _within("/api/v1/pods", space), "Pod", labels=args.selector
            ):
                yield Batch(f"cluster {args.context or args.kubeconfig}", page.start, page.data)
    except ClusterError as error:
        raise CommandError(str(error)) from error
    for path, version, kind in WORKLOADS:
        try:
            for space in spaces:
                for page in pages(args.kubeconfig, args.context, _within(path, space), kind, version):
                    yield Batch(f"cluster {args.context or args.kubeconfig}", page.start, page.data)
        except RefusedError as refusal:
            if refusal.status not in FORBIDDEN:
                raise CommandError(str(refusal)) from refusal
            print(f"bayplan: {kind}s without pods are left out: {refusal}", file=sys.stderr)
        except ClusterError as error:
            raise CommandError(str(error)) from error


def _within(path: str, namespace: str) -> str:
    """The path of a list in one namespace."""
    before, _, resource = path.rpartition("/")
    return f"{before}/namespaces/{namespace}/{resource}" if namespace else path


# How they are shown


def _as_json(summary: Summary, _: View) -> None:
    print(json.dumps(summary.as_json(), indent=2, ensure_ascii=False))


def _as_lines(summary: Summary, _: View) -> None:
    for one in summary.findings:
        print(json.dumps(one.as_json(), ensure_ascii=False, separators=(",", ":")))


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
                one.why,
            )
            for one in lines
        ]
        print(table(rows, (view.by.upper(), *(["WORKLOADS"] * several), "PODS", "EFFECT", "POLICIES", "WHY")))
        print()
    if view.by == "pool" and summary.loads:
        print(table([_load_row(one) for one in summary.loads], LOAD_HEADER))
        print()
    noted = [(one.pool or "nodes of no pool", "; ".join(one.notes)) for one in summary.loads if one.notes]
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
        print(f"  {one.workload.title} ({amount(one.pods, 'pod')}) {what_happens(one)}: {why(one)}")
    rest = len(summary.blockers) - MOST_BLOCKERS
    if rest > 0:
        print(f"  and {rest:,} more")


def _load_row(one: Load) -> Sequence[str]:
    """What is asked of a pool in a line."""
    nodes = "?" if one.nodes is None else f"{one.nodes:,}"
    kinds = ("pods", "cpu", "memory", "gpus")
    return (one.pool or "-", nodes, *(_change(kind, one.before, one.after, one.room) for kind in kinds))


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
    "restarts": _as_script,
    "descheduler": _as_descheduler,
}
"""By the word that asks for it: what prints a summary."""
