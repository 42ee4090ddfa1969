"""Pods on their way into a cluster, from files: bare ones, those in lists, and those that workloads would make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from engine.documents import Manifest, RequestError
from engine.pods.authors import DAEMON_SET
from engine.pods.controllers import pod_of_workload, pod_template, user_of, workload_name
from engine.pods.defaults import defaulted
from engine.pods.incoming import IncomingPod, Owner
from engine.pods.namespaces import named
from engine.pods.shape import NAMESPACE, POD, WORKLOAD, Object, check_object
from engine.struct import replace

DEFAULT_NAMESPACE = "default"
NOTHING: Object = {}


def pods_from_documents(
    documents: Iterable[Manifest], *, namespace: str | None = None, request: Object | None = None, uid: str = ""
) -> tuple[IncomingPod, ...]:
    """The pods in these documents, and those that the workloads in them would make, as a webhook would see them.

    Namespaces among the documents are matched by name. Objects of other kinds are left out. `namespace` is where a pod
    goes that does not say, `default` if None; `request` is laid over the request that is made up for each pod; `uid` is
    that request's, the pod's own if empty.
    Raises RequestError (file and field path) for a pod or workload that the API server would not take.
    """
    objects = [one for document in documents for one in unlisted(f"{document.source.name}: ", document.data)]
    namespaces = dict(namespace_of(place, data) for place, data in objects if data.get("kind") == "Namespace")
    incoming_pods = (
        incoming_of(place, data, namespaces, namespace or DEFAULT_NAMESPACE, request or {}) for place, data in objects
    )
    found = (incoming for incoming in incoming_pods if incoming is not None)
    return tuple(replace(incoming, uid=uid) if uid else incoming for incoming in found)


def pod_of_daemon_set(workload: Object, namespace: Object, *, dry_run: bool, unknown: str) -> IncomingPod:
    """The pod that stands for those of an `apps/v1` DaemonSet, as its controller would ask for them.

    `namespace` is its Namespace, and `unknown` says why nothing but its name is known. Raises RequestError.
    """
    if (workload.get("apiVersion"), workload.get("kind")) != DAEMON_SET:
        raise RequestError("kind", "expected `DaemonSet` of `apps/v1`")
    name = str(namespace["metadata"]["name"])
    incoming = incoming_of("", workload, {name: namespace}, name, {"dryRun": dry_run})
    assert incoming is not None
    return replace(incoming, namespace_unknown=unknown)


def unlisted(place: str, data: object) -> Iterator[tuple[str, Object]]:
    """The objects of a document, those in lists one by one, each with its place for messages. Raises RequestError."""
    if not isinstance(data, Mapping):
        raise RequestError(place.removesuffix(": "), "the document is not an object")
    kind, items = data.get("kind") or "", data.get("items")
    if not isinstance(kind, str):
        raise RequestError(f"{place}kind", "this must be text")
    if not (kind.endswith("List") and isinstance(items, list)):
        yield place, data
        return
    for at, item in enumerate(items):
        inside = f"{place}items[{at}]."
        if not isinstance(item, Mapping):
            raise RequestError(inside.rstrip("."), "this is not an object")
        typed = {"apiVersion": data.get("apiVersion"), "kind": kind.removesuffix("List"), **item}
        yield from unlisted(inside, typed if kind != "List" else item)


def namespace_of(place: str, data: Object) -> tuple[str, Object]:
    """The name of a Namespace, and what expressions see of it. Raises RequestError, its path under `place`."""
    check_object(data, NAMESPACE, place)
    metadata = data.get("metadata")
    if isinstance(metadata, Mapping) and isinstance(metadata.get("name"), str):
        return metadata["name"], named(metadata["name"], data)
    raise RequestError(f"{place}metadata.name", "the namespace has no name")


def incoming_of(
    place: str,
    data: Object,
    namespaces: Mapping[str, Object],
    namespace: str = DEFAULT_NAMESPACE,
    request: Object = NOTHING,
) -> IncomingPod | None:
    """The pod of one object, or the one that a workload would make; None for what is neither.

    `namespaces` are Namespaces by name, as expressions see them. Raises RequestError, its path under `place`.
    """
    template = None if data.get("kind") == "Pod" else pod_template(data)
    if template is None and data.get("kind") != "Pod":
        return None
    inside = place if template is None else f"{place}{_path_of(data)}"
    if template is not None:
        check_object(data, WORKLOAD, place)
    check_object(data if template is None else template, POD, inside)
    return _made(place, inside, data, template, namespaces, namespace, request)


def _made(
    place: str,
    inside: str,
    data: Object,
    template: Object | None,
    namespaces: Mapping[str, Object],
    namespace: str,
    request: Object,
) -> IncomingPod:
    metadata: Object = data.get("metadata") or {}
    where = str(metadata.get("namespace") or namespace)
    owner: Owner | None = None
    pod: Object
    if template is None:
        pod = {"apiVersion": "v1", "kind": "Pod", **data, "metadata": {**metadata, "namespace": where}}
    else:
        try:
            pod, owner = pod_of_workload(data, template, workload_name(data), where)
        except RequestError as error:
            raise RequestError(f"{place}{error.path}", error.message) from None
    pod = defaulted(pod, inside)
    uid = str(metadata.get("uid") or "") if template is None else ""
    namespace_object = namespaces.get(where) or named(where)
    of_daemon_set = template if (owner and (owner.api_version, owner.kind) == DAEMON_SET) else None
    return IncomingPod(pod, namespace_object, _request(pod, where, request), owner, uid, template=of_daemon_set)


def _path_of(workload: Object) -> str:
    return "spec.jobTemplate.spec.template." if workload.get("kind") == "CronJob" else "spec.template."


def _request(pod: Object, namespace: str, given: Object) -> Object:
    user = {**user_of(pod), **(given.get("userInfo") or {})}
    return {"operation": "CREATE", "namespace": namespace, "dryRun": False, **given, "userInfo": user}
