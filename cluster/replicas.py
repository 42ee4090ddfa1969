"""Running webhooks, asked over their plain port: one at an address, or each pod of a Deployment.

Pods are reached through the API server, which needs no way to them from here and lets by whoever may `get`, and for
orders `create`, `pods/proxy`. It takes the header `Authorization` for itself, so the webhook's token has its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import urllib3

from cluster.client import Cluster, ClusterError, connect, plain
from cluster.listing import listed

SECONDS = 30.0
TOKEN = "X-Bayplan-Token"
MAX_ANSWER = 16 << 20


class Replica(NamedTuple):
    """A running webhook: what it is called, where it is asked, and the path of its plain port there."""

    name: str
    cluster: Cluster
    path: str = ""

    def ask(self, method: str, path: str, query: Mapping[str, str], token: str) -> tuple[int, Any]:
        """The status and the JSON of an answer. Raises ClusterError where there is none."""
        try:
            headers = {TOKEN: token} if token else {}
            response = self.cluster.ask(method, f"{self.path}{path}", query, headers, SECONDS)
            body = response.read(MAX_ANSWER, decode_content=True)
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(f"{self.name} can't be reached: {plain(error)}") from error
        try:
            return response.status, json.loads(body)
        except ValueError:
            raise ClusterError(
                f"{self.name} answered {response.status}, but not as a webhook of Bayplan does"
            ) from None


def replica_at(url: str) -> Replica:
    """The webhook whose plain port is at an address. Raises ClusterError for what is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ClusterError(f"`{url}` is no address of a plain port, as http://127.0.0.1:8080 is")
    return Replica(url.rstrip("/"), Cluster(url.rstrip("/"), urllib3.PoolManager(), str))


def replicas_of(
    kubeconfig: str | None, context: str | None, namespace: str, deployment: str, port: int
) -> Iterator[Replica]:
    """The webhooks that are the running pods of a Deployment. Raises ClusterError."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    found = [one for one in listed(kubeconfig, context, path, "Deployment") if one["metadata"]["name"] == deployment]
    if not found:
        raise ClusterError(f"there is no Deployment `{deployment}` in the namespace `{namespace}`")
    labels = found[0]["spec"]["selector"].get("matchLabels") or {}
    cluster = connect(kubeconfig, context, "no")
    for pod in listed(kubeconfig, context, f"/api/v1/namespaces/{namespace}/pods", "Pod"):
        name, metadata = pod["metadata"]["name"], pod["metadata"]
        mine = labels.items() <= (metadata.get("labels") or {}).items()
        if mine and pod.get("status", {}).get("phase") == "Running" and "deletionTimestamp" not in metadata:
            yield Replica(name, cluster, f"/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy")
