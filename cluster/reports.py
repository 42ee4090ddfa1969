"""Reports of OpenReports in a cluster, read and written; and the uids of the objects that they belong to.

Server-side apply under a name of our own: what others have written on a report stays. A report that is owned by its
workload goes with it, so whose uid is not certain is not owned by anybody.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
import urllib3

from cluster.client import Cluster, ClusterError, plain
from cluster.listing import About, RefusedError, json_in

Json = dict[str, Any]

API_VERSION, PLURAL = "openreports.io/v1alpha1", "reports"
DEFINITIONS = "https://github.com/openreports/reports-api/releases/download/v0.2.1/install.yaml"
MANAGER = "bayplan-audit"
"""Who writes reports, as `managedFields` tells it."""
PAGE = 25
"""Reports that are listed at a time: each may have a MiB on its way."""
OWNERS_PAGE = 500
SECONDS = 30.0
PAUSES = (0.5, 2.0, 5.0)
"""Seconds until the API server is asked again where it says that it can't now."""
BUSY = (429, 500, 502, 503, 504)
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_APPLY, _JSON = "application/apply-patch+yaml", "application/json"


class Listed(NamedTuple):
    """A kind of objects that may own reports: the path of its lists, its version and its name."""

    path: str
    version: str
    kind: str


Owner = tuple[str, str, str, str]
"""Version, kind, namespace and name."""


class Reports:
    """The reports of one cluster. Each call raises ClusterError; RefusedError where the API server says no."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def check(self, namespace: str = "") -> None:
        """Whether there are reports, and they may be listed."""
        try:
            self._page(_path(namespace), {"limit": "1"}, _JSON)
        except RefusedError as refusal:
            if refusal.status != 404:
                raise
            raise ClusterError(
                f"the cluster has no kind of objects `{PLURAL}.{API_VERSION.partition('/')[0]}`: install OpenReports "
                f"first, by its chart or with `kubectl apply --server-side --filename {DEFINITIONS}`"
            ) from refusal

    def each(self, namespace: str, labels: Mapping[str, str]) -> Iterator[Json]:
        """Those with these labels, in one namespace, or in all if it is empty."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        query = {"limit": str(PAGE), "labelSelector": selector}
        while True:
            page = self._page(_path(namespace), query, _JSON)
            yield from (one for one in page.get("items") or () if isinstance(one, dict))
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return
            query["continue"] = str(following)

    def apply(self, report: Json) -> bool:
        """Make a report be as it is given; False where its namespace is gone, or going."""
        namespace, name = report["metadata"]["namespace"], report["metadata"]["name"]
        query = {"fieldManager": MANAGER, "force": "true"}
        path = f"{_path(namespace)}/{quote(name, safe='')}"
        status, answer = self._asked("PATCH", path, query, _APPLY, report)
        if status in (200, 201):
            return True
        if status == 404 or _is_going(answer):
            return False
        raise _refused(f"the report {namespace}/{name} can't be written", status, answer)

    def remove(self, report: Json) -> bool:
        """Delete a report; False where it is gone, or somebody has changed it since it was listed."""
        about = report["metadata"]
        path = f"{_path(str(about['namespace']))}/{quote(str(about['name']), safe='')}"
        same = {"uid": about["uid"], "resourceVersion": about["resourceVersion"]}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": same}
        status, answer = self._asked("DELETE", path, {}, _JSON, options)
        if status in (200, 202):
            return True
        if status in (404, 409):
            return False
        raise _refused(f"the report {about['namespace']}/{about['name']} can't be removed", status, answer)

    def uids(self, kind: Listed, namespaces: Iterable[str], wanted: Collection[Owner]) -> dict[Owner, str]:
        """The uids of objects of a kind, and of those that they name as their controllers, as far as they are wanted;
        empty where they do not agree. Only metadata is asked for."""
        own: dict[Owner, str] = {}
        named: dict[Owner, str] = {}
        for namespace in namespaces:
            for one in self._owners(kind, namespace):
                me = (kind.version, kind.kind, one.namespace, one.name)
                if me in wanted:
                    own[me] = one.uid
                for each in one.references or ():
                    maker = (each.version, each.kind, one.namespace, each.name)
                    if each.controller and maker in wanted:
                        named[maker] = each.uid if named.get(maker, each.uid) == each.uid else ""
        return {**named, **own}

    def _owners(self, kind: Listed, namespace: str) -> Iterator[_Metadata]:
        before, _, resource = kind.path.rpartition("/")
        path = f"{before}/namespaces/{quote(namespace, safe='')}/{resource}" if namespace else kind.path
        query = {"limit": str(OWNERS_PAGE)}
        while True:
            status, answer = self._raw("GET", path, query, {"Accept": _METADATA})
            if status != 200:
                raise _refused(f"{self._cluster.url}{path} can't be listed", status, json_in(answer))
            try:
                page = _owners.decode(answer)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise ClusterError(f"{self._cluster.url}{path} answered 200, but with no list of objects") from error
            yield from (one.metadata for one in page.items or ())
            if not page.metadata.following:
                return
            query["continue"] = page.metadata.following

    def _page(self, path: str, query: Mapping[str, str], accept: str) -> Json:
        status, answer = self._asked("GET", path, query, accept, None)
        if status != 200:
            raise _refused(f"{self._cluster.url}{path} can't be listed", status, answer)
        if not isinstance(answer, dict) or "items" not in answer:
            raise ClusterError(f"{self._cluster.url}{path} answered 200, but with no list of objects")
        return answer

    def _asked(self, method: str, path: str, query: Mapping[str, str], content: str, body: Any) -> tuple[int, Any]:
        """Status and JSON of an answer; one that says that it can't now is asked for again."""
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content} if sent else {"Accept": content}
        for pause in (*PAUSES, None):
            status, answer = self._raw(method, path, query, headers, sent)
            if status not in BUSY or pause is None:
                break
            time.sleep(pause)
        return status, json_in(answer)

    def _raw(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, bytes]:
        try:
            response = self._cluster.ask(method, path, query, headers, SECONDS, body=body)
            text = response.read(decode_content=True)
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(f"{self._cluster.url} can't be reached: {plain(error)}") from error
        return response.status, text


class _Reference(msgspec.Struct, gc=False):
    version: str = msgspec.field(name="apiVersion", default="")
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class _Metadata(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    references: list[_Reference] | None = msgspec.field(name="ownerReferences", default=None)


class _Object(msgspec.Struct, gc=False):
    metadata: _Metadata


class _Owners(msgspec.Struct, gc=False):
    items: list[_Object] | None
    metadata: About = msgspec.field(default_factory=About)


_owners = msgspec.json.Decoder(_Owners)


def _path(namespace: str) -> str:
    within = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"/apis/{API_VERSION}{within}/{PLURAL}"


def _is_going(answer: Any) -> bool:
    """Whether a namespace is being deleted, so that nothing may be made in it."""
    details = answer.get("details") if isinstance(answer, dict) else None
    causes = details.get("causes") if isinstance(details, dict) else None
    return any(one.get("reason") == "NamespaceTerminating" for one in causes or () if isinstance(one, dict))


def _refused(what: str, status: int, answer: Any) -> RefusedError:
    said = answer.get("message", "") if isinstance(answer, dict) else ""
    return RefusedError(f"{what}: {status} {said}".rstrip(), status)
