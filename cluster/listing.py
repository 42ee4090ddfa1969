"""Objects of a running cluster, read once and page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import urllib3

from cluster.client import Cluster, ClusterError, connect, plain
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


def listed(kubeconfig: str | None, context: str | None, path: str, kind: str, version: str = "v1") -> list[Json]:
    """All objects under a path of the API (`/api/v1/nodes`), each with the version and kind that lists leave out.

    Raises ClusterError where there is no cluster, or no list as its answer; RefusedError for any status but 200.
    """
    cluster = connect(kubeconfig, context, "no")
    try:
        return [{"apiVersion": version, "kind": kind, **item} for item in _items(cluster, path)]
    finally:
        cluster.close()


def found(kubeconfig: str | None, context: str | None, path: str, kind: str) -> Json:
    """The one object under a path of the API. Raises ClusterError; RefusedError for any status but 200."""
    cluster = connect(kubeconfig, context, "no")
    try:
        answer = _answer(cluster, path, {})
    finally:
        cluster.close()
    if not isinstance(answer, dict) or answer.get("kind") != kind:
        raise ClusterError(f"{cluster.url}{path} answered 200, but with no {kind}")
    return answer


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
    answer = _answer(cluster, path, query)
    if not isinstance(answer, dict) or "items" not in answer or not _are_objects(answer["items"]):
        raise ClusterError(f"{cluster.url}{path} answered 200, but with no list of objects")
    return answer


def _answer(cluster: Cluster, path: str, query: Json) -> Any:
    """The JSON of an answer, None where it is none."""
    try:
        response = cluster.get(path, query, SILENCE_SECONDS)
        body = response.read(decode_content=True)
        response.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ClusterError(f"{cluster.url} can't be reached: {plain(error)}") from error
    try:
        answer: Any = json.loads(body)
    except ValueError:
        answer = None
    if response.status != 200:
        said = answer.get("message", "") if isinstance(answer, dict) else ""
        text = f"{cluster.url}{path} answered {response.status}{f': {said}' if said else ''}"
        raise RefusedError(text, response.status)
    return answer


def _are_objects(items: object) -> bool:
    return items is None or (isinstance(items, list) and all(isinstance(item, dict) for item in items))
