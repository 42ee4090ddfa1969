"""A bundle that is objects of a cluster: its Bundle and its PlacementPolicies, followed; and what is told on them.

Kept of an object is its spec as the bytes of its JSON, for whoever may write policies may write large ones, and many:
one of more than MAX_SPEC bytes, with its annotations, is kept by its size alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

import urllib3
from msgspec import Raw, Struct

from cluster.client import Cluster, ClusterError, plain
from cluster.reflector import Kind, Reflector, Timing
from engine.bundle import BUNDLE_LABEL, BUNDLES, POLICIES, Resource
from engine.documents import API_VERSION
from telemetry import Metrics

Json = dict[str, Any]

MAX_SPEC = 128 * 1024
"""Bytes of the JSON of one spec, and of the annotations that are kept with it."""
PAGE = 20
"""Objects that are listed at a time: each may have 3 MiB on its way."""
SECONDS = 10.0
MANAGER = "bayplan"
"""Who writes statuses, as `managedFields` tells it."""
_GROUP = API_VERSION.partition("/")[0]
_OURS = f"{_GROUP}/"
"""How the annotations begin that are read."""
_APPLY = {"Content-Type": "application/apply-patch+yaml"}


class _Metadata(Struct, frozen=True):
    name: str = ""
    uid: str = ""
    generation: int = 0
    annotations: dict[str, str] = {}


class _Object(Struct, frozen=True):
    metadata: _Metadata
    spec: Raw = Raw(b"null")
    status: Raw = Raw(b"null")


class Policies(NamedTuple):
    """The objects of a bundle at one time: its Bundle, if there is one, and its policies, sorted by name.

    Each is `kind`, `metadata` (name, uid, generation, annotations of ours), `spec` (bytes of JSON, or how many there
    would be) and `status` (bytes of JSON).
    """

    bundle: Json | None
    policies: Sequence[Json]

    @property
    def all(self) -> Sequence[Json]:
        return [*([self.bundle] if self.bundle else ()), *self.policies]


def _kept(kind: str, found: _Object) -> Json:
    spec, status, about = bytes(found.spec), bytes(found.status), found.metadata
    said = {key: text for key, text in about.annotations.items() if key.startswith(_OURS)}
    size = len(spec) + sum(len(key) + len(text.encode()) for key, text in said.items())
    named = {"name": about.name, "uid": about.uid, "generation": about.generation}
    return {
        "kind": kind,
        "metadata": {**named, "annotations": said if size <= MAX_SPEC else {}},
        "spec": spec if size <= MAX_SPEC else size,
        "status": status if len(status) <= MAX_SPEC else b"null",
    }


def _kind(resource: Resource, query: Mapping[str, str]) -> Kind[Json]:
    keep = partial(_kept, resource.kind)
    return Kind(resource.plural, resource.path, _Object, keep, optional=True, query=query, page=PAGE)


class PolicyWatch:
    """The objects of the bundle of a name, followed. `changed` is called from other threads after each change."""

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        metrics: Metrics,
        changed: Callable[[], None] = lambda: None,
        timing: Timing | None = None,
    ) -> None:
        self.cluster, self.name = cluster, name
        kinds = (
            _kind(BUNDLES, {"fieldSelector": f"metadata.name={name}"}),
            _kind(POLICIES, {"labelSelector": f"{BUNDLE_LABEL}={name}"}),
        )
        self.reflectors = tuple(Reflector(cluster, kind, changed, metrics, timing) for kind in kinds)

    @property
    def answered(self) -> bool:
        """Whether `take` has something to say, be it what stands in the way."""
        return all(each.answered for each in self.reflectors)

    def take(self) -> Policies:
        """What there is now. Raises ClusterError where that can't be known, or the cluster has no such kinds."""
        for each in self.reflectors:
            if each.absent:
                raise ClusterError(
                    f"the cluster has no kind of objects `{each.kind.name}.{_GROUP}`: "
                    "`bayplan crds | kubectl apply --server-side --filename -` makes it"
                )
            if not each.readable:
                raise ClusterError(f"{each.kind.name} can't be read: {each.problem}")
        bundles, policies = (each.items() for each in self.reflectors)
        return Policies(bundles[0] if bundles else None, policies)

    def check_kinds(self) -> None:
        """Ask whether the kinds are there to stay. Raises ClusterError where one is being deleted, or nobody says.

        A kind that is being deleted takes its objects along one by one. Source: k8s.io/apiextensions-apiserver,
        pkg/apiserver/customresource_discovery_controller.go: it can't be created any more.
        """
        path = f"/apis/{API_VERSION}"
        status, answer = asked(self.cluster, "GET", path)
        found = answer.get("resources") if status == 200 and isinstance(answer, dict) else None
        if not isinstance(found, list):
            raise ClusterError(f"{self.cluster.url}{path} answered {status}, and with no kinds of objects")
        lasting = {each["name"] for each in found if "create" in each.get("verbs", ())}
        for each in self.reflectors:
            if each.kind.name not in lasting:
                raise ClusterError(f"the kind of objects `{each.kind.name}` is being deleted, and they with it")


def write_status(cluster: Cluster, thing: Mapping[str, Any], status: Json) -> None:
    """Have an object's status say this, and nothing else of ours. Raises ClusterError; an object that is gone is none.

    Server-side apply: fields that somebody else has written stay.
    """
    resource = BUNDLES if thing["kind"] == BUNDLES.kind else POLICIES
    name, uid = thing["metadata"]["name"], thing["metadata"]["uid"]
    applied = {
        "apiVersion": API_VERSION,
        "kind": resource.kind,
        "metadata": {"name": name, "uid": uid},
        "status": status,
    }
    path = f"{resource.path}/{quote(name, safe='')}/status"
    query = {"fieldManager": MANAGER, "force": "true"}
    answered, answer = asked(cluster, "PATCH", path, query, json.dumps(applied).encode())
    if answered not in (200, 404, 409):  # it is gone, or another one of the same name
        said = answer.get("message", "") if isinstance(answer, dict) else ""
        raise ClusterError(f"the status of {resource.kind} `{name}` can't be written: {answered} {said}".rstrip())


def asked(
    cluster: Cluster, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, Any]:
    """Status and JSON of an answer of the API server. Raises ClusterError where there is none."""
    try:
        response = cluster.ask(method, path, query or {}, _APPLY if body else {}, SECONDS, body=body)
        text = response.read(1 << 22, decode_content=True)
        response.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ClusterError(f"{cluster.url} can't be reached: {plain(error)}") from error
    try:
        return response.status, json.loads(text)
    except ValueError:
        return response.status, None
