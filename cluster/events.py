"""Events of the core API, which `kubectl describe` and `kubectl get events` show, and the pods that some are about.

`kubectl describe` finds the events of an object by its uid, and a pod has none yet when it is admitted: so whoever
wants to tell of a pod that was let by looks for it afterwards. Of pods only the metadata is asked for.
Source: k8s.io/kubernetes/pkg/apis/core/validation (events.go), k8s.io/kubectl/pkg/describe (searchEvents).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import urllib3

from cluster.client import Cluster, is_silence, plain

SECONDS = 2.0
"""How long the API server may take to be connected, and then to answer."""
MAX_ANSWER = 8 << 20
"""Bytes of one answer: the metadata of MAX_PODS pods."""
MAX_PODS = 500
"""Pods of one namespace without a node that are looked through."""
MAX_NAME = 220
"""Characters of an object's name that an event's name begins with."""
COMPONENT = "bayplan"
EARLY_SECONDS = 5.0
"""By how much the API server's clock may be behind ours."""
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_MERGE = "application/merge-patch+json"


class Subject(NamedTuple):
    """What an event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


class Sought(NamedTuple):
    """A pod that was asked for: its name or, where it has none yet, what its name begins with, and the uid of who
    controls it, empty if nobody does."""

    namespace: str
    name: str
    generate_name: str
    controller: str


class EventFailedError(Exception):
    """The API server did not do it; the text says why. `result` is a status or a word, `lasting` whether it is no use
    to ask again."""

    def __init__(self, text: str, result: str, *, lasting: bool) -> None:
        super().__init__(text)
        self.result, self.lasting = result, lasting


class Events:
    """Events of one cluster, written and counted on. Each call is one request, and raises EventFailedError."""

    def __init__(self, cluster: Cluster, seconds: float = SECONDS) -> None:
        self._cluster, self._seconds = cluster, seconds

    def create(self, about: Subject, reason: str, message: str, first: float, last: float, count: int) -> str:
        """Make an event of type Warning; its name. Times are seconds since 1970."""
        name = f"{about.name[:MAX_NAME].rstrip('.-')}.{time.time_ns():x}"
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": about.namespace, "name": name},
            "involvedObject": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
            "type": "Warning",
            "reason": reason,
            "message": message,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "firstTimestamp": _written(first),
            "lastTimestamp": _written(last),
            "count": count,
        }
        self._ask("POST", _events(about.namespace), {}, "application/json", event)
        return name

    def repeat(self, namespace: str, name: str, last: float, count: int) -> bool:
        """Count on; False if there is no such event any more."""
        said = {"lastTimestamp": _written(last), "count": count}
        try:
            self._ask("PATCH", f"{_events(namespace)}/{quote(name, safe='')}", {}, _MERGE, said)
        except EventFailedError as failure:
            if failure.result == "404":
                return False
            raise
        return True

    def pods(self, sought: Sought, since: float) -> list[Subject]:
        """The pods that are what was sought, were made since then, and have no node yet."""
        fields = "spec.nodeName=" + (f",metadata.name={sought.name}" if sought.name else "")
        path = f"/api/v1/namespaces/{quote(sought.namespace, safe='')}/pods"
        listed = self._ask("GET", path, {"fieldSelector": fields, "limit": str(MAX_PODS)}, "", None)
        found = [one.get("metadata") or {} for one in listed.get("items") or ()]
        return [
            Subject("v1", "Pod", sought.namespace, str(one["name"]), str(one["uid"]))
            for one in found
            if _is(one, sought) and _moment(str(one.get("creationTimestamp"))) >= since - EARLY_SECONDS
        ]

    def _ask(self, method: str, path: str, query: Mapping[str, str], content: str, body: Any) -> dict[str, Any]:
        headers = {"Content-Type": content} if content else {"Accept": _METADATA}
        sent = None if body is None else json.dumps(body).encode()
        try:
            response = self._cluster.ask(method, path, query, headers, self._seconds, self._seconds, sent)
            try:
                answer = response.read(MAX_ANSWER, decode_content=True)
            finally:
                response.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            word = "silence" if is_silence(error) else "unreachable"
            raise EventFailedError(plain(error), word, lasting=False) from error
        status = response.status
        if status not in (200, 201):
            lasting = 400 <= status < 500 and status not in (408, 429)
            raise EventFailedError(f"the API server answered {status}", str(status), lasting=lasting)
        try:
            whole: Any = json.loads(answer)
        except ValueError as error:
            raise EventFailedError("its answer can't be read", "malformed", lasting=True) from error
        return whole if isinstance(whole, dict) else {}


def _events(namespace: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/events"


def _is(metadata: Mapping[str, Any], sought: Sought) -> bool:
    """Whether it is called, and controlled, as was asked for."""
    called = (
        metadata.get("name") == sought.name if sought.name else metadata.get("generateName") == sought.generate_name
    )
    references = metadata.get("ownerReferences") or ()
    uid = next((one.get("uid") for one in references if one.get("controller")), "")
    return called and uid == sought.controller


def _written(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
