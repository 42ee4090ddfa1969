"""Say what a bundle would change for workloads that exist already, and whether it is ready to enforce.

Each pod is decided as if it were created now: from files as `kubectl get pods -A -o yaml` prints them or manifests of
workloads, or from a cluster. Pods that have finished are left out; workloads without pods are told by their template.
With --store, it is about the admissions that a webhook kept: what was decided about them or, with --bundle, what that
bundle would have decided. Nothing is changed.
Exit status: 0 nothing that --fail-on names, 1 something of it (by default: anything that does not stay as it is),
2 could not run.

example:
  bayplan audit --bundle policies/spot-first --context staging
  bayplan audit --bundle policies/spot-first --context staging --fail-on denied,unschedulable,failed
  bayplan audit --bundle policies/spot-first --context staging -o html > report.html
  bayplan audit --store /var/lib/bayplan-store --since 24h
  bayplan audit --bundle policies/spot-first --pools policies/spot-first/pools/mixed.yaml --pods manifests/
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

from audit import (
    FAILING,
    GROUPINGS,
    LostError,
    Replay,
    Selection,
    Summary,
    drift_of,
    gather,
    in_order,
    loads_of,
    places_of,
    rows,
    selector_of,
)
from cli.audit_formats import FORMATS, View
from cli.audit_merge import merged
from cli.audit_store import summary_of_store
from cli.errors import CommandError
from cli.inputs import (
    add_bundles,
    add_cluster,
    add_pods,
    add_pools,
    cluster_title,
    decider_and_nodes,
    names_cluster,
    namespaces,
    no_decisions,
    pieces_at,
    told_without_lines,
)
from cli.served import add_demands, demanded_programs, demands
from cli.stored import add_store, time_of
from cli.terminal import progress
from delivery import Batch
from engine.documents import BundleError, Manifest
from telemetry import now

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
MOST_SECONDS = 30 * 24 * 3600
NOTHING = "none"


def add(parser: argparse.ArgumentParser) -> None:
    add_bundles(parser, required=False)
    add_demands(parser)
    parser.add_argument(
        "--merge", metavar="FILE", nargs="+", default=[], help="findings that `-o jsonl` printed, instead of deciding"
    )
    add_store(parser)
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
        "--jobs",
        metavar="N",
        type=_jobs,
        default=1,
        help="processes that share the work on pods (1); 0 for as many as cores",
    )
    parser.add_argument(
        "--over",
        metavar="SECONDS",
        type=_seconds,
        default=0,
        help="with -o restarts: over how long pods are moved (at once)",
    )
    parser.add_argument(
        "--reports",
        action="store_true",
        help="also write what is found into the cluster, as a Report of OpenReports for each workload",
    )
    parser.add_argument("-o", "--output", choices=[*FORMATS], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    _check(args)
    if args.merge:
        summary = merged(args.merge)
    elif args.store:
        summary = summary_of_store(args, selected(args))
    elif not args.bundle:
        raise CommandError(
            "say which bundle: --bundle BUNDLE; or --store DIR for what a webhook decided, or --merge FILE… for "
            "findings that are there already"
        )
    elif not args.pods and not names_cluster(args):
        raise CommandError("say which pods: --pods FILE…, or --context NAME for those of a cluster")
    elif args.reports:
        return _reported(args)
    else:
        summary = _replayed(args, [])
    return _told(args, summary)


def _told(args: argparse.Namespace, summary: Summary) -> int:
    if not summary.findings:
        what = "decisions" if args.store else "pods and no workloads"
        raise CommandError(f"nothing is decided: there are no {what} in {_source(args)}")
    folders = [str(one) for one in args.bundle or () if os.path.isdir(one)]
    view = View(args.by, args.all, _source(args), args.over, args.context or "", args.fail_on, folders)
    FORMATS[args.output](summary, view)
    return int(summary.failing(args.fail_on))


def _check(args: argparse.Namespace) -> None:
    """Refuse what does not go together."""
    given = [
        flag
        for flag, one in (("--pods", args.pods), ("--merge", args.merge), ("--namespace", args.namespace))
        if args.store and one
    ]
    if given:
        raise CommandError(f"{given[0]} does not go with --store, which holds the pods with their Namespaces")
    if args.reports and (args.store or args.merge or args.pods):
        raise CommandError(
            "--reports goes with pods of a cluster: leave --merge, --store and --pods out, and say which one"
        )
    if args.jobs > 1 and (args.store or args.merge):
        other = "--store and --log" if args.store else "--merge"
        raise CommandError(f"--jobs goes with pods that are decided: what {other} hand over is read by one process")
    if args.since and not args.store:
        raise CommandError("--since goes with --store or --log")


def _reported(args: argparse.Namespace) -> int:
    """What is found, told, and then written into the cluster; the kind of reports is looked for before all else."""
    from cli.audit_reports import Looked, opened, write

    refused: list[str] = []
    spaces = _spaces(args)
    with opened(args.kubeconfig, args.context, spaces, args.in_cluster) as reports:
        summary = _replayed(args, refused)
        status = _told(args, summary)
        looked = Looked(WORKLOADS, spaces, bool(args.selector), refused)
        write(reports, summary.findings, looked, everything=args.all)
    return status


def _spaces(args: argparse.Namespace) -> list[str]:
    """The namespaces that are looked at; one that is empty for all."""
    return sorted(set(args.within)) or [""]


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_JOBS:
        raise argparse.ArgumentTypeError(f"`{text}` is no number from 0 to {MOST_JOBS}")
    return int(text) or os.cpu_count() or 1


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of seconds from 0 to {MOST_SECONDS:,}")
    return number


def _source(args: argparse.Namespace) -> str:
    """Where the pods were read from, and which of them, in words."""
    if args.merge:
        return ", ".join(args.merge)
    if args.store:
        whence = f"{args.store} since {time_of(args.since)}" if args.since else str(args.store)
    else:
        cluster = f"context {args.context}" if args.context else "the cluster"
        whence = ", ".join(map(str, args.pods)) if args.pods else cluster
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


def _replayed(args: argparse.Namespace, refused: list[str]) -> Summary:
    """The findings about the pods and workloads that the arguments name; kinds that may not be read are `refused`."""
    decider, nodes = decider_and_nodes(args, demanded_programs(args) if demands(args) else None)
    places = places_of(nodes, decider.pool_index)
    replay = Replay(decider, time=now(), cluster=args.cluster_name, places=places, selection=selected(args))
    found = chain(_from_files(args.pods) if args.pods else _of_cluster(args, refused), namespaces(args))
    try:
        with progress() as tell:
            gather(replay.given, found, args.jobs, lambda pods: tell(f"{pods:,} pods read"))
            pods = replay.given.pods
            every = rows(replay, args.jobs, lambda kinds: tell(f"{pods:,} pods read, {kinds:,} kinds of them decided"))
    except LostError as error:
        raise CommandError(str(error)) from error
    loads = loads_of(every, decider.pool_index.pools, places, args.cluster_name)
    findings = in_order(row.told() for row in every)
    return Summary.of(findings, loads, drift_of(every))


def _from_files(paths: Iterable[str]) -> Iterator[Manifest | Batch]:
    """What is in files; where one is wrong no line is shown, for it may be a pod's environment."""
    paths = [*paths]
    no_decisions(paths)
    try:
        for path in paths:
            yield from pieces_at(path)
    except BundleError as error:
        raise told_without_lines(error) from error


def _of_cluster(args: argparse.Namespace, refused: list[str]) -> Iterator[Batch]:
    """The pods of a cluster, and the workloads as far as they may be read; the others' kinds are `refused`."""
    from cluster import ClusterError, RefusedError, pages

    spaces, title = _spaces(args), cluster_title(args)
    where = partial(pages, args.kubeconfig, args.context, in_cluster=args.in_cluster)
    try:
        for space in spaces:
            for page in where(_within("/api/v1/pods", space), "Pod", labels=args.selector):
                yield Batch(title, page.start, page.data)
    except ClusterError as error:
        raise CommandError(str(error)) from error
    for path, version, kind in WORKLOADS:
        try:
            for space in spaces:
                for page in where(_within(path, space), kind, version):
                    yield Batch(title, page.start, page.data)
        except RefusedError as refusal:
            if refusal.status not in FORBIDDEN:
                raise CommandError(str(refusal)) from refusal
            refused.append(kind)
            print(f"bayplan: {kind}s without pods are left out: {refusal}", file=sys.stderr)
        except ClusterError as error:
            raise CommandError(str(error)) from error


def _within(path: str, namespace: str) -> str:
    """The path of a list in one namespace."""
    before, _, resource = path.rpartition("/")
    return f"{before}/namespaces/{namespace}/{resource}" if namespace else path
