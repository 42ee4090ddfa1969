"""Objects of a running cluster, read once and page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import urllib3

from cluster.client import Cluster, ClusterError, connect

PAGE = 500
SILENCE_SECONDS = 30.0

Json = dict[str, Any]


def listed(kubeconfig: str | None, context: str | None, path: str, kind: str) -> list[Json]:
    """All objects under a path of the API (`/api/v1/nodes`), each with the kind that lists leave out.

    Raises ClusterError where there is no cluster, or no list as its answer.
    """
    cluster = connect(kubeconfig, context, "no")
    try:
        return [{"apiVersion": "v1", "kind": kind, **item} for page in _pages(cluster, path) for item in page["items"]]
    finally:
        cluster.close()


def _pages(cluster: Cluster, path: str) -> Iterator[Json]:
    query = {"limit": str(PAGE)}
    while True:
        page = _page(cluster, path, query)
        yield page
        following = page.get("metadata", {}).get("continue")
        if not following:
            return
        query["continue"] = following


def _page(cluster: Cluster, path: str, query: Json) -> Json:
    try:
        response = cluster.get(path, query, SILENCE_SECONDS)
        body = response.read(decode_content=True)
        response.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ClusterError(f"{cluster.url} can't be reached: {_reason(error)}") from error
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if response.status != 200 or not isinstance(answer, dict) or "items" not in answer:
        said = answer.get("message", "") if isinstance(answer, dict) else ""
        raise ClusterError(f"{cluster.url}{path} answered {response.status}{': ' + said if said else ''}")
    return answer


def _reason(error: Exception) -> str:
    text = str(getattr(error, "reason", None) or error)
    return text.rpartition(": ")[2] if ": " in text else text
