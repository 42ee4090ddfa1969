"""Reviews as the API server sends them; a test says only what differs."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

Json = Any
UID = "3f0c1a52-7d6b-4a53-9b0c-58f1f6f1b0aa"
TOLERATIONS = [
    {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for what in ("not-ready", "unreachable")
]


def pod(labels: Mapping[str, str] | None = None, spec: Mapping[str, Json] | None = None, **metadata: Json) -> Json:
    """A pod as a webhook sees it: defaulted, with no name yet."""
    own = {"generateName": "web-5d4f8c7b9-", "namespace": "shop", "labels": dict(labels or {})}
    inside = {"containers": [{"name": "app", "image": "registry.invalid/app:1"}], "tolerations": TOLERATIONS}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**own, **metadata}, "spec": {**inside, **(spec or {})}}


def review(pod: Json, **request: Json) -> Json:
    """The creation of a pod; keywords replace fields of the request."""
    gvk = {"group": "", "version": "v1"}
    whole = {
        "uid": UID,
        "kind": {**gvk, "kind": "Pod"},
        "resource": {**gvk, "resource": "pods"},
        "namespace": "shop",
        "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": []},
        "object": pod,
        "oldObject": None,
        "dryRun": False,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {**whole, **request}}


def body(review: Json) -> bytes:
    return json.dumps(review).encode()


def patch_of(response: Json) -> list[Json]:
    """The operations of an answered review's response."""
    if "patch" not in response:
        assert "patchType" not in response
        return []
    assert response["patchType"] == "JSONPatch"
    operations: list[Json] = json.loads(base64.b64decode(response["patch"]))
    return operations
