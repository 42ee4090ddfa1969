"""engine.pods.namespaces: what policies are shown of a Namespace."""

from __future__ import annotations

from typing import Any

import pytest

from engine.documents import Manifest, RequestError, Source
from engine.pods import pods_from_documents
from engine.pods.namespaces import NAME_LABEL, named, namespace_object
from engine.program import NAMESPACE
from tests.engine.builders import decider

LIVE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "name": "shop",
        "uid": "u-1",
        "resourceVersion": "7",
        "generation": 2,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-02T00:00:00Z",
        "deletionGracePeriodSeconds": 0,
        "labels": {NAME_LABEL: "shop"},
        "annotations": {"a": "b"},
        "finalizers": ["x/y"],
    },
    "spec": {"finalizers": ["kubernetes"]},
    "status": {"phase": "Terminating", "conditions": [{"type": "A", "status": "True"}]},
}
HIDDEN = {"managedFields": [{}], "ownerReferences": [{"kind": "Tenant"}], "selfLink": "/x", "tomorrow": 1}


def test_what_kubernetes_shows_is_kept_and_nothing_else() -> None:
    shown = {key: value for key, value in LIVE.items() if key not in ("apiVersion", "kind")}
    assert namespace_object(LIVE | {"metadata": LIVE["metadata"] | HIDDEN, "tomorrow": {}}) == shown
    assert namespace_object(shown) == shown


def test_what_is_empty_is_not_there() -> None:
    empty = {"annotations": {}, "finalizers": [], "generateName": "", "generation": 0, "deletionTimestamp": None}
    given = {
        "metadata": {"name": "a", **empty},
        "spec": {"finalizers": []},
        "status": {"phase": "", "conditions": None},
    }
    assert namespace_object(given) == {"metadata": {"name": "a"}, "spec": {}, "status": {}}


def test_what_nobody_says_is_not_there_either() -> None:
    assert named("a") == {"metadata": {"name": "a", "labels": {NAME_LABEL: "a"}}}


def test_whatever_is_shown_has_a_type() -> None:
    metadata: Any = NAMESPACE.fields["metadata"]
    assert set(LIVE["metadata"]) - {"uid"} <= set(metadata.fields)
    assert {"spec", "status", "metadata"} == set(NAMESPACE.fields)


def incoming_with(namespace: Any) -> Any:
    pod = {"kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}, "spec": {"containers": [{"name": "c"}]}}
    documents = [Manifest(Source("a.yaml", ""), pod), Manifest(Source("b.yaml", ""), namespace)]
    return pods_from_documents(documents)[0]


def test_a_file_says_what_the_api_server_would() -> None:
    assert incoming_with(LIVE).namespace == namespace_object(LIVE)
    listed = {"apiVersion": "v1", "kind": "NamespaceList", "items": [{"metadata": LIVE["metadata"]}]}
    assert incoming_with(listed).namespace == {"metadata": LIVE["metadata"]}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"spec": {"finalizers": "kubernetes"}}, "spec.finalizers"),
        ({"spec": []}, "spec"),
        ({"status": {"phase": 1}}, "status.phase"),
        ({"status": {"conditions": [{"type": True}]}}, "status.conditions[0].type"),
        ({"metadata": {"name": "shop", "creationTimestamp": 2026}}, "metadata.creationTimestamp"),
        ({"metadata": {"name": "shop", "deletionGracePeriodSeconds": "30"}}, "metadata.deletionGracePeriodSeconds"),
        ({"metadata": {"name": "shop", "resourceVersion": 7}}, "metadata.resourceVersion"),
    ],
)
def test_what_no_namespace_can_say_is_refused_with_its_place(change: Any, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        incoming_with({**LIVE, **change})
    assert caught.value.path == f"b.yaml: {place}"


def test_policies_read_it() -> None:
    ending = 'deny: [{expression: \'namespaceObject.?status.?phase.orValue("") == "Terminating"\'}]'
    engine = decider(ending)
    assert [engine.decide(incoming_with(one)).allowed for one in (LIVE, {**LIVE, "status": {}})] == [False, True]
