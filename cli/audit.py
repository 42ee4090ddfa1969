"""Say what a bundle would change for workloads that exist already, aggregated by their owner. Nothing is changed.

Each pod is decided as if it were created now: from files as `kubectl get pods -A -o yaml` prints them or manifests of
workloads, or from a cluster. Pods that have finished are left out.
Exit status: 0 nothing would change, 1 something would, 2 could not run.

example:
  bayplan audit --bundle policies/spot-first --context staging
  bayplan audit --bundle policies/spot-first --pools policies/spot-first/pools/mixed.yaml --pods manifests/
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from cli.inputs import add_cluster, add_pools, decider, manifests, names_cluster, namespaces, of_cluster
from cli.terminal import GREEN, RED, amount, styled, table
from engine.decision import Decision, title
from engine.documents import Manifest
from engine.pods import Subject, pods_from_documents

FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Finding:
    """What would happen to the pods of one owner that would happen to all of them alike."""

    owner: str
    effect: str
    policies: tuple[str, ...]
    refused: bool
    pods: int


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", metavar="BUNDLE", type=Path, required=True, help="the bundle's folder")
    parser.add_argument(
        "--pods",
        metavar="FILE",
        nargs="+",
        default=[],
        help="files, folders, or - for standard input (default: the pods of the cluster)",
    )
    parser.add_argument(
        "--namespace",
        metavar="FILE",
        action="append",
        default=[],
        help="Namespaces with their labels, matched by name; may be repeated",
    )
    add_pools(parser)
    add_cluster(parser)
    parser.add_argument("--all", action="store_true", help="tell of workloads that stay as they are, too")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    if not args.pods and not names_cluster(args):
        raise CommandError("say which pods: --pods FILE…, or --context NAME for those of a cluster")
    deciding = decider(args)
    decisions = [deciding.decide(subject) for subject in _subjects(args)]
    found = [decision for decision in decisions if changes(decision)]
    if args.output == "json":
        print(json.dumps([decision.as_json() for decision in decisions], indent=2))
    else:
        _tell(aggregated(decisions if args.all else found), decisions, found)
    return int(bool(found))


def changes(decision: Decision) -> bool:
    """Whether there is something to tell: a patch, a refusal, a policy that failed, or one that only audits."""
    audited = decision.audited
    failed = any(policy.outcome in ("failed", "overruled") for policy in decision.policies)
    return bool(decision.patch) or not decision.allowed or failed or (audited is not None and changes(audited))


def aggregated(decisions: Iterable[Decision]) -> list[Finding]:
    """One line for each owner and effect, in order of the owners."""
    counts: dict[tuple[str, str, tuple[str, ...], bool], int] = {}
    for decision in decisions:
        key = (title(decision.subject), effect(decision), _involved(decision), not decision.allowed)
        counts[key] = counts.get(key, 0) + 1
    return sorted((Finding(*key, pods) for key, pods in counts.items()), key=lambda f: (f.owner, f.effect))


def effect(decision: Decision) -> str:
    """What would happen to the pod, in a few words."""
    if not decision.allowed:
        return "would be refused"
    done = list(dict.fromkeys(CHANGED[operation["path"].split("/")[2]] for operation in decision.patch))
    before, after = len(decision.pools.before), len(decision.pools.after)
    where = [f"pools {before} → {after}"] if after < before else []
    told = ", ".join(["gets " + ", ".join(done)] * bool(done) + where)
    if not told and decision.audited is not None and changes(decision.audited):
        return f"audited: {effect(decision.audited)}"
    return told or "stays as it is"


CHANGED = {
    "affinity": "affinity",
    "tolerations": "tolerations",
    "topologySpreadConstraints": "spread constraints",
    "annotations": "annotations",
}


def as_created(pod: dict[str, Any]) -> dict[str, Any]:
    """A pod as it was before it was bound, for it is decided as if it were created again."""
    created = {key: value for key, value in pod.items() if key != "status"}
    if isinstance(created.get("spec"), dict):
        created["spec"] = {key: value for key, value in created["spec"].items() if key != "nodeName"}
    return created


def _subjects(args: argparse.Namespace) -> tuple[Subject, ...]:
    found = manifests(args.pods) if args.pods else of_cluster(args, "/api/v1/pods", "Pod")
    return pods_from_documents([*_replayed(found), *namespaces(args)])


def _replayed(found: Iterable[Manifest]) -> Iterator[Manifest]:
    """The documents with running pods as they were created, and without those that have finished."""
    for manifest in found:
        data = manifest.data
        if not isinstance(data, dict):
            yield manifest
        elif isinstance(data.get("items"), list) and str(data.get("kind", "")).endswith("List"):
            kind = str(data["kind"]).removesuffix("List")
            typed = ({"kind": kind, **item} if kind and isinstance(item, dict) else item for item in data["items"])
            yield from _replayed(Manifest(manifest.source, item) for item in typed)
        elif data.get("kind") != "Pod":
            yield manifest
        elif not _finished(data.get("status")):
            yield Manifest(manifest.source, as_created(data), manifest.value)


def _finished(status: object) -> bool:
    return isinstance(status, dict) and status.get("phase") in FINISHED


def _involved(decision: Decision) -> tuple[str, ...]:
    loud = ("applied", "denied", "overruled", "failed", "audited")
    return tuple(policy.name for policy in decision.policies if policy.outcome in loud)


def _tell(findings: Sequence[Finding], decisions: Sequence[Decision], found: Sequence[Decision]) -> None:
    if findings:
        rows = [(f.owner, str(f.pods), f.effect, ", ".join(f.policies)) for f in findings]
        print(table(rows, ("OWNER", "PODS", "EFFECT", "POLICIES")))
        print()
    refused = sum(not decision.allowed for decision in found)
    owners = len({title(decision.subject) for decision in decisions})
    told = f"{amount(len(decisions), 'pod')} of {amount(owners, 'workload')}: "
    told += styled(f"{len(found) - refused} would change", RED if found else GREEN) + f", {refused} would be refused"
    print(told)
