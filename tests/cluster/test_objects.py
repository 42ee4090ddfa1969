"""cluster.objects: what is kept of a Node and of a Namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.client import connect
from cluster.lookup import LookupFailedError
from cluster.objects import Namespaces
from telemetry import Metrics
from tests.cluster.apiserver import NAMESPACES, ApiServer
from tests.cluster.following import QUICK, following


def test_keeps_what_pools_are_made_of(api: ApiServer, tmp_path: Path) -> None:
    taint = {"key": "gpu", "value": "true", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"}
    conditions: list[dict[str, str]] = [
        {"type": "MemoryPressure", "status": "False"},
        {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"},
    ]
    api.put(
        "n0",
        {"pool": "a"},
        spec={"taints": [taint], "podCIDR": "10.0.0.0/24"},
        status={"allocatable": {"cpu": "4"}, "conditions": conditions, "images": [{"sizeBytes": 1}]},
    )
    with following(api, tmp_path) as copy:
        copy.wait()
        assert copy.reflector.get("n0") == {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "n0", "labels": {"pool": "a"}},
            "spec": {"taints": [{"key": "gpu", "value": "true", "effect": "NoSchedule"}]},
            "status": {"allocatable": {"cpu": "4"}, "conditions": [{"type": "Ready", "status": "True"}]},
        }


def test_of_a_namespace_policies_see_what_kubernetes_shows_them(api: ApiServer, tmp_path: Path) -> None:
    cluster = connect(api.kubeconfig(tmp_path))
    about: dict[str, Any] = {
        "uid": "u-1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-02T00:00:00Z",
        "deletionGracePeriodSeconds": 0,
        "finalizers": ["example.com/keep"],
        "annotations": {"owner": "me"},
        "generateName": "sh",
    }
    hidden = {"managedFields": [{"manager": "kubectl"}], "ownerReferences": [{"kind": "Tenant"}], "selfLink": "/x"}
    conditions = [{"type": "NamespaceContentRemaining", "status": "True", "lastTransitionTime": "2026-01-02T00:00:00Z"}]
    api.put(
        "shop",
        {"team": "a"},
        path=NAMESPACES,
        metadata={**about, **hidden},
        spec={"finalizers": ["kubernetes"]},
        status={"phase": "Terminating", "conditions": conditions},
    )
    found: Any = Namespaces(cluster, Metrics("test"), QUICK).find("shop").result()
    version = found["metadata"].pop("resourceVersion")
    assert version
    assert found == {
        "metadata": {"name": "shop", "labels": {"team": "a"}, **about},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Terminating", "conditions": conditions},
    }
    cluster.close()


def test_namespaces_younger_than_the_watch_are_fetched(api: ApiServer, tmp_path: Path) -> None:
    cluster = connect(api.kubeconfig(tmp_path))
    namespaces = Namespaces(cluster, Metrics("test"), QUICK)
    api.put("shop", {"team": "a"}, path=NAMESPACES)
    assert namespaces.get("shop") is None
    found: Any = namespaces.find("shop").result()
    assert {key: found["metadata"][key] for key in ("name", "labels")} == {"name": "shop", "labels": {"team": "a"}}
    with pytest.raises(LookupFailedError):
        namespaces.find("nowhere").result()
    cluster.close()
