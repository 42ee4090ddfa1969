"""Objects of a running cluster, read once and page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec
import urllib3

from cluster.client import Cluster, ClusterError, InCluster, connect, plain
from cluster.reflector import Kind, key_of

PAGE = 500
SILENCE_SECONDS = 30.0

T = TypeVar("T", bound=Mapping[str, Any])
Json = dict[str, Any]


class RefusedError(ClusterError):
    """Any status but 200."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def listed(
    kubeconfig: str | None, context: str | None, path: str, kind: str, in_cluster: InCluster = "no"
) -> list[Json]:
    """All objects under a path of the API (`/api/v1/nodes`), each with the kind that lists leave out.

    Raises ClusterError where there is no cluster, or no list as its answer.
    """
    cluster = connect(kubeconfig, context, in_cluster)
    try:
        return [{"apiVersion": "v1", "kind": kind, **item} for item in _items(cluster, path)]
    finally:
        cluster.close()


def found(kubeconfig: str | None, context: str | None, path: str, kind: str, in_cluster: InCluster = "no") -> Json:
    """The one object under a path of the API. Raises ClusterError; RefusedError for any status but 200."""
    cluster = connect(kubeconfig, context, in_cluster)
    try:
        answer = json_in(_body(cluster, path, {}))
    finally:
        cluster.close()
    if not isinstance(answer, dict) or answer.get("kind") != kind:
        raise ClusterError(f"{cluster.url}{path} answered 200, but with no {kind}")
    return answer


class Page(NamedTuple):
    """Some objects of a kind: the text of a JSON list of them, each with the version and kind that lists leave out.
    `start` is the number of the first."""

    start: int
    data: bytes


def pages(
    kubeconfig: str | None,
    context: str | None,
    path: str,
    kind: str,
    version: str = "v1",
    labels: str = "",
    in_cluster: InCluster = "no",
) -> Iterator[Page]:
    """As `listed`, page by page, so that no more is in memory; of objects that a label selector selects."""
    head = json.dumps({"apiVersion": version, "kind": kind})[:-1].encode()
    query = {"limit": str(PAGE)} | ({"labelSelector": labels} if labels else {})
    cluster = connect(kubeconfig, context, in_cluster)
    start = 0
    try:
        while True:
            try:
                page = _pages.decode(_body(cluster, path, query))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                text = f"{cluster.url}{path} answered 200, but with no list of objects"
                raise ClusterError(text) from error
            texts = [bytes(item).strip() for item in page.items or ()]
            data = b",".join(head + (b"}" if text[1:].strip() == b"}" else b"," + text[1:]) for text in texts)
            yield Page(start, b"[%b]" % data)
            if not page.metadata.following:
                return
            start += len(texts)
            query["continue"] = page.metadata.following
    finally:
        cluster.close()


class About(msgspec.Struct, gc=False):
    """What is read of a list beside its objects: what leads to its next page."""

    following: str = msgspec.field(name="continue", default="")


class _Pages(msgspec.Struct, gc=False):
    items: list[msgspec.Raw] | None
    metadata: About = msgspec.field(default_factory=About)


_pages = msgspec.json.Decoder(_Pages)


def kept(cluster: Cluster, kind: Kind[T], path: str) -> list[T]:
    """What is kept of all objects of a kind under one of its paths, sorted by namespace and name.

    Raises ClusterError; RefusedError for any status but 200.
    """
    try:
        found = {key_of(item): kind.kept(item) for item in _items(cluster, path)}
        return [item for _, item in sorted(found.items())]
    except ValueError as error:
        raise ClusterError(f"{cluster.url}{path} answered with objects that can't be read: {error}") from error


def _items(cluster: Cluster, path: str) -> Iterator[Json]:
    query = {"limit": str(PAGE)}
    while True:
        page = _page(cluster, path, query)
        yield from page["items"] or ()
        metadata = page.get("metadata")
        following = metadata.get("continue") if isinstance(metadata, dict) else None
        if not following:
            return
        query["continue"] = str(following)


def _page(cluster: Cluster, path: str, query: Json) -> Json:
    answer = json_in(_body(cluster, path, query))
    if not isinstance(answer, dict) or "items" not in answer or not _are_objects(answer["items"]):
        raise ClusterError(f"{cluster.url}{path} answered 200, but with no list of objects")
    return answer


def _body(cluster: Cluster, path: str, query: Json) -> bytes:
    """What an answer with status 200 holds."""
    try:
        response = cluster.get(path, query, SILENCE_SECONDS)
        body = response.read(decode_content=True)
        response.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ClusterError(f"{cluster.url} can't be reached: {plain(error)}") from error
    if response.status != 200:
        answer = json_in(body)
        said = answer.get("message", "") if isinstance(answer, dict) else ""
        text = f"{cluster.url}{path} answered {response.status}{f': {said}' if said else ''}"
        raise RefusedError(text, response.status)
    return body


def json_in(body: bytes) -> Any:
    """What a body holds, None if it is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def _are_objects(items: object) -> bool:
    return items is None or (isinstance(items, list) and all(isinstance(item, dict) for item in items))
