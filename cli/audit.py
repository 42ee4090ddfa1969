"""Say what a bundle would change for workloads that exist already, and whether it is ready to enforce.

Each pod is decided as if it were created now: from files as `kubectl get pods -A -o yaml` prints them or manifests of
workloads, or from a cluster. Pods that have finished are left out; workloads without pods are told by their template.
Nothing is changed.
Exit status: 0 nothing that --fail-on names, 1 something of it (by default: anything that does not stay as it is),
2 could not run.

example:
  bayplan audit --bundle policies/spot-first --context staging
  bayplan audit --bundle policies/spot-first --context staging --fail-on denied,unschedulable,failed
  bayplan audit --bundle policies/spot-first --pools policies/spot-first/pools/mixed.yaml --pods manifests/
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from audit import (
    FAILING,
    GROUPINGS,
    Finding,
    Replay,
    Summary,
    now,
    places_of,
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
    manifests,
    names_cluster,
    namespaces,
    of_cluster,
)
from cli.terminal import GREEN, RED, amount, styled, table
from engine.documents import Manifest

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
MOST_BLOCKERS = 10
"""Lines about what keeps a bundle from being enforced."""
NOTHING = "none"


class View(NamedTuple):
    """How findings are to be shown: grouped by what, and those that stay as they are, too."""

    by: str
    everything: bool


def add(parser: argparse.ArgumentParser) -> None:
    add_bundles(parser)
    add_pods(parser)
    add_pools(parser)
    add_cluster(parser)
    parser.add_argument("--all", action="store_true", help="tell of workloads that stay as they are, too")
    parser.add_argument("--by", choices=GROUPINGS, default="owner", help="what the table is grouped by (owner)")
    parser.add_argument(
        "--fail-on",
        metavar="WHAT,…",
        type=_failing,
        default=frozenset(FAILING[: FAILING.index("changed") + 1]),
        help=f"exit with 1 for these: {', '.join(FAILING)}; or {NOTHING}",
    )
    parser.add_argument("-o", "--output", choices=[*FORMATS], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    if not args.pods and not names_cluster(args):
        raise CommandError("say which pods: --pods FILE…, or --context NAME for those of a cluster")
    summary = Summary.of(_replayed(args))
    FORMATS[args.output](summary, View(args.by, args.all))
    return int(summary.failing(args.fail_on))


def _failing(text: str) -> frozenset[str]:
    words = {word.strip() for word in text.split(",")} - {"", NOTHING}
    for word in sorted(words.difference(FAILING)):
        raise argparse.ArgumentTypeError(f"`{word}` is none of {', '.join(FAILING)}, {NOTHING}")
    return frozenset(words)


def _replayed(args: argparse.Namespace) -> list[Finding]:
    """The findings about the pods and workloads that the arguments name."""
    decider, nodes = decider_and_nodes(args)
    places = places_of(nodes, decider.pool_index)
    replay = Replay(decider, time=now(), cluster=args.cluster_name, places=places)
    for found in (manifests(args.pods) if args.pods else _of_cluster(args), namespaces(args)):
        for manifest in found:
            replay.take(manifest.data, f"{manifest.source.name}: ")
    return replay.findings()


def _of_cluster(args: argparse.Namespace) -> Iterable[Manifest]:
    """The pods of a cluster, and the workloads as far as they may be read."""
    from cluster import RefusedError

    yield from of_cluster(args, "/api/v1/pods", "Pod")
    for path, version, kind in WORKLOADS:
        try:
            yield from of_cluster(args, path, kind, version, refusals=True)
        except RefusedError as refusal:
            if refusal.status not in FORBIDDEN:
                raise CommandError(str(refusal)) from refusal
            print(f"bayplan: {kind}s without pods are left out: {refusal}", file=sys.stderr)


# How they are shown


def _as_json(summary: Summary, _: View) -> None:
    print(json.dumps(summary.as_json(), indent=2, ensure_ascii=False))


def _as_lines(summary: Summary, _: View) -> None:
    for one in summary.findings:
        print(json.dumps(one.as_json(), ensure_ascii=False, separators=(",", ":")))


def _as_text(summary: Summary, view: View) -> None:
    told = [one for one in summary.findings if view.everything or worth_telling(one)]
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
    policies = [(one.name, one.text) for one in summary.by_policy()]
    if policies:
        print(table(policies))
        print()
    print(summary.total)
    print(styled(summary.verdict, GREEN if summary.ready else RED))
    for one in summary.blockers[:MOST_BLOCKERS]:
        print(f"  {one.workload.title} ({amount(one.pods, 'pod')}) {what_happens(one)}: {why(one)}")
    rest = len(summary.blockers) - MOST_BLOCKERS
    if rest > 0:
        print(f"  and {rest:,} more")


FORMATS: Mapping[str, Callable[[Summary, View], None]] = {"text": _as_text, "json": _as_json, "jsonl": _as_lines}
"""By the word that asks for it: what prints a summary."""
