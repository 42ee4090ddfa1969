"""A pod of a cluster by its name, for `explain`: what was decided when it was created, and what would be now."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from audit import as_asked_for, as_created, unified
from cli.errors import CommandError
from cli.inputs import cluster_title, names_cluster, namespaces
from cli.narrative import visible
from cli.terminal import BOLD, coloured, styled, wrapped
from engine.decision import Decision, described_pod, listed, marks_on, placing_policies
from engine.documents import Manifest, RequestError, Source
from engine.pods import IncomingPod, pods_from_documents
from engine.struct import Struct

Json = Mapping[str, Any]
KINDS = {
    ("apps", "ReplicaSet"): "/apis/apps/v1/namespaces/{}/replicasets",
    ("apps", "StatefulSet"): "/apis/apps/v1/namespaces/{}/statefulsets",
    ("batch", "Job"): "/apis/batch/v1/namespaces/{}/jobs",
    ("", "ReplicationController"): "/api/v1/namespaces/{}/replicationcontrollers",
}
"""Where those are whose templates say how their pods were asked for. A DaemonSet's says nothing of a pod's node."""
POLICIES, REVISION = "bayplan.dev/policies", "bayplan.dev/revision"
PREFIXES = ("pod/", "pods/", "po/")
"""How `kubectl` lets a pod's name begin."""


class Running(Struct, frozen=True):
    """A pod as it is, as it was asked for, and who says how that was (in words, empty where nobody does). `created` is
    the pod as it is, with the API server's defaults, before it was bound.

    `pool` is that of its node, empty where it has no node, or one of no pool.
    """

    pod: Json
    created: Json
    incoming: IncomingPod
    said_by: str
    pool: str

    @property
    def node(self) -> str:
        return str((self.pod.get("spec") or {}).get("nodeName") or "")

    @property
    def phase(self) -> str:
        return str((self.pod.get("status") or {}).get("phase") or "Pending")

    @property
    def waits(self) -> str:
        """Why the scheduler finds no node, in its words."""
        for one in (self.pod.get("status") or {}).get("conditions") or ():
            if one.get("type") == "PodScheduled" and one.get("status") == "False":
                return str(one.get("message") or one.get("reason") or "")
        return ""

    @property
    def marks(self) -> Mapping[str, str]:
        return marks_on(self.pod)

    @property
    def policies(self) -> list[str]:
        return [name for name in self.marks.get(POLICIES, "").split(",") if name]

    def lines(self, now: Decision) -> Iterator[str]:
        """What is so, what was decided then, what would be now, and what is another thing now."""
        where = f"runs on {self.node}" + (f" of pool {self.pool}" if self.pool else ", a node of no pool")
        state = where if self.node else f"is {self.phase}" + (f": {self.waits}" if self.waits else "")
        owner = described_pod(now.incoming)
        own = f"pod {_name(self.pod, 'namespace')}/{_name(self.pod)}"
        yield styled(wrapped(f"P{own[1:]}{f', of {owner},' if owner != own else ''} {state}"), BOLD)
        then = f" ({self.marks[REVISION]})" if REVISION in self.marks else ""
        placed = f"placed by {listed(self.policies)}{then}" if self.policies else "nothing on it says who placed it"
        names = placing_policies(now)
        yield wrapped(f"then     {placed}", "  ", "         ")
        would = f"would be placed by {listed(names)}" if names else "no policy would place it"
        yield wrapped(f"now      {would if now.allowed else 'would be refused'} ({now.revision})", "  ", "         ")
        yield wrapped(f"changed  {'; '.join(self._changes(now))}", "  ", "         ")
        how = (
            f"decided as {self.said_by} says" if self.said_by else "decided as it is: what was written then is its own"
        )
        yield wrapped(f"         {how}", "  ", "         ")
        yield from self._difference(now)
        yield ""

    def as_json(self, now: Decision) -> dict[str, Any]:
        """What `lines` tell beside the decision."""
        gained, lost = self._policies(now)
        return {
            "name": _name(self.pod),
            "phase": self.phase,
            "node": self.node or None,
            "pool": self.pool or None,
            "unschedulable": self.waits or None,
            "askedForBy": self.said_by or None,
            "then": {"revision": self.marks.get(REVISION), "policies": self.policies},
            "changed": {
                "revision": self.marks.get(REVISION) not in (None, str(now.revision)),
                "policies": {"more": gained, "fewer": lost},
                "placement": now.allowed and self._placement(now),
            },
        }

    def _changes(self, now: Decision) -> Iterator[str]:
        gained, lost = self._policies(now)
        known = REVISION in self.marks
        if known and self.marks[REVISION] != str(now.revision):
            yield "another revision"
        if known and gained:
            yield f"{listed(gained)} now {'has' if len(gained) == 1 else 'have'} a say"
        if lost:
            yield f"{listed(lost)} no longer {'has' if len(lost) == 1 else 'have'} one"
        if not now.allowed:
            yield "it would be refused if it were created now"
        else:
            yield "its placement would be another one" if self._placement(now) else "its placement would be the same"
            if self.pool and self.pool not in now.pools.after and now.pools.before:
                yield f"it would not be let to {self.pool}, where it runs"

    def _policies(self, now: Decision) -> tuple[list[str], list[str]]:
        names, then = placing_policies(now), self.policies
        cut = any(name.endswith("…") for name in then)
        gained = [] if cut else [name for name in names if name not in then]
        return gained, [name for name in then if name not in names and not name.endswith("…")]

    def _placement(self, now: Decision) -> bool:
        return bool(_placed(self.created) != _placed(now.patched))

    def _difference(self, now: Decision) -> Iterator[str]:
        if now.allowed and self._placement(now):
            yield ""
            names = ("the pod as it is", "the pod as it would be placed now")
            for line in coloured(unified(_placed(self.created), _placed(now.patched), names)):
                yield f"  {line}".rstrip()


def running(args: argparse.Namespace, places: Mapping[str, Any]) -> list[Running]:
    """The pods whose names are the arguments, in the namespace of `-n`. `places` are nodes by name."""
    if not names_cluster(args):
        raise CommandError("-n is about pods of a cluster: say which one with --context NAME")
    seen = namespaces(args)
    return [_running(args, name, seen, places) for name in args.pods]


def missing(path: str) -> str:
    """What to say of an argument that is no file, where files are asked for; empty where it is one."""
    named = path != "-" and "/" not in path.removeprefix("pod/") and not Path(path).exists()
    hint = f"for a pod of a cluster say its namespace: bayplan explain {path} -n NAMESPACE --context NAME"
    return f"{path}: no such file or folder; {hint}" if named else ""


def _running(args: argparse.Namespace, given: str, seen: Sequence[Manifest], places: Mapping[str, Any]) -> Running:
    name = next((given.removeprefix(begin) for begin in PREFIXES if given.startswith(begin)), given)
    pod = _found(args, f"/api/v1/namespaces/{quote(args.n, safe='')}/pods", name, "Pod")
    if pod is None:
        file = f"; {given} is a file: leave -n out to explain it" if Path(given).exists() else ""
        raise CommandError(f"there is no pod `{name}` in the namespace `{args.n}`{file}")
    asked, said_by = as_asked_for(pod, _maker(args, pod))
    source = Source(cluster_title(args), "")
    (as_it_is,) = pods_from_documents([Manifest(source, as_created(pod)), *seen])
    try:
        (incoming,) = pods_from_documents([Manifest(source, asked), *seen])
    except RequestError:  # whoever may change the pod may write into its annotations what is no pod
        said_by, incoming = "", as_it_is
    node = (pod.get("spec") or {}).get("nodeName") or ""
    return Running(pod, as_it_is.pod, incoming, said_by, places[node].pool if node in places else "")


def _maker(args: argparse.Namespace, pod: Json) -> Json | None:
    """The object whose template the pod was made of; without a spec where it may not be read, None for a bare pod."""
    references = (pod.get("metadata") or {}).get("ownerReferences") or ()
    reference = next((one for one in references if one.get("controller")), None)
    if reference is None:
        return None
    group, kind = str(reference.get("apiVersion", "")).rpartition("/")[0], str(reference.get("kind", ""))
    path = KINDS.get((group, kind))
    return (path and _found(args, path.format(quote(args.n, safe="")), str(reference["name"]), kind)) or {}


def _found(args: argparse.Namespace, path: str, name: str, kind: str) -> Json | None:
    """An object by its name; None where there is none, and of makers where they may not be read."""
    from cluster import ClusterError, RefusedError, found

    try:
        where = f"{path}/{quote(name, safe='')}"
        return found(args.kubeconfig, args.context, where, kind, args.in_cluster)
    except RefusedError as refusal:
        if refusal.status == 404 or (refusal.status == 403 and kind != "Pod"):
            return None
        raise CommandError(str(refusal)) from refusal
    except ClusterError as error:
        raise CommandError(str(error)) from error


def _placed(pod: Json) -> Any:
    return visible(pod)["spec"]


def _name(pod: Json, key: str = "name") -> str:
    return str((pod.get("metadata") or {}).get(key, ""))
