"""cluster.events: what is asked of an API server about events and the pods that they are about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.client import Cluster, connect
from cluster.events import EventFailedError, Events, Sought, Subject
from tests.cluster.apiserver import ApiServer, Handler

PODS = "/api/v1/namespaces/shop/pods"
WEB = Subject("apps/v1", "ReplicaSet", "shop", "web-5d4f8c7b9", "uid-of-web")
NOON = 1_700_000_000.0


@pytest.fixture
def cluster(api: ApiServer, tmp_path: Path) -> Iterator[Cluster]:
    made = connect(api.kubeconfig(tmp_path))
    yield made
    made.close()


@pytest.fixture
def events(cluster: Cluster) -> Events:
    return Events(cluster, 0.5)


def test_an_event_is_about_an_object_in_its_namespace(api: ApiServer, events: Events) -> None:
    name = events.create(WEB, "PlacementRefused", "policy gpu: no", NOON, NOON + 60, 3)
    ((method, path, content, event),) = api.written
    assert (method, path, content) == ("POST", "/api/v1/namespaces/shop/events", "application/json")
    assert event["metadata"] == {"namespace": "shop", "name": name}
    assert name.startswith("web-5d4f8c7b9.")
    assert event["involvedObject"] == {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "namespace": "shop",
        "name": "web-5d4f8c7b9",
        "uid": "uid-of-web",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "PlacementRefused", "policy gpu: no")
    assert (event["firstTimestamp"], event["lastTimestamp"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:14:20Z")
    assert (event["count"], event["source"]) == (3, {"component": "bayplan"})


def test_names_of_events_are_no_longer_than_names_may_be(events: Events) -> None:
    name = events.create(WEB._replace(name="a" * 219 + "." + "b" * 33), "R", "m", NOON, NOON, 1)
    assert len(name) <= 253
    assert ".." not in name


def test_an_event_is_counted_on_or_said_to_be_gone(api: ApiServer, events: Events) -> None:
    assert events.repeat("shop", "web.1", NOON, 2) is True
    ((method, path, content, body),) = api.written
    assert (method, path) == ("PATCH", "/api/v1/namespaces/shop/events/web.1")
    assert content == "application/merge-patch+json"
    assert body == {"lastTimestamp": "2023-11-14T22:13:20Z", "count": 2}
    api.fail(404)
    assert events.repeat("shop", "web.1", NOON, 3) is False


@pytest.mark.parametrize(("status", "lasting"), [(401, True), (403, True), (422, True), (429, False), (500, False)])
def test_a_refusal_says_whether_it_is_any_use_to_ask_again(
    api: ApiServer, events: Events, status: int, lasting: bool
) -> None:
    api.fail(status, "no")
    with pytest.raises(EventFailedError) as caught:
        events.create(WEB, "R", "m", NOON, NOON, 1)
    assert (caught.value.result, caught.value.lasting) == (str(status), lasting)


def test_nobody_is_waited_for(api: ApiServer, events: Events) -> None:
    api.faults.append(Handler.silent)
    with pytest.raises(EventFailedError) as caught:
        events.create(WEB, "R", "m", NOON, NOON, 1)
    assert (caught.value.result, caught.value.lasting) == ("silence", False)


def made(name: str, moment: str = "2023-11-14T22:13:21Z", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-of-{name}", "creationTimestamp": moment, **more}}


def listing(api: ApiServer, *pods: dict[str, Any]) -> None:
    import json

    def answer(handler: Handler) -> None:
        handler.whole(200, json.dumps({"items": list(pods)}).encode())

    api.faults.append(answer)


def owned(uid: str) -> list[dict[str, Any]]:
    return [{"kind": "Other", "uid": "x"}, {"kind": "ReplicaSet", "uid": uid, "controller": True}]


def test_a_pod_is_found_by_its_name_among_those_without_a_node(api: ApiServer, events: Events) -> None:
    listing(api, made("lone"))
    assert events.pods(Sought("shop", "lone", "", ""), NOON) == [Subject("v1", "Pod", "shop", "lone", "uid-of-lone")]
    (query,) = api.queries(PODS)
    assert query == {"fieldSelector": "spec.nodeName=,metadata.name=lone", "limit": "500"}


def test_pods_without_a_name_yet_are_found_by_who_controls_them(api: ApiServer, events: Events) -> None:
    begins = {"generateName": "web-"}
    listing(
        api,
        made("web-1", **begins, ownerReferences=owned("mine")),
        made("web-2", **begins, ownerReferences=owned("another")),
        made("web-3", **begins),
        made("web-4", "2023-11-14T22:00:00Z", **begins, ownerReferences=owned("mine")),
        made("net-5", generateName="net-", ownerReferences=owned("mine")),
    )
    assert [one.name for one in events.pods(Sought("shop", "", "web-", "mine"), NOON)] == ["web-1"]


def test_a_pod_of_that_name_that_was_there_before_is_another_one(api: ApiServer, events: Events) -> None:
    """Whoever asks for a pod of somebody else's name gets no event written about it."""
    listing(api, made("lone", "2023-11-14T22:13:00Z"))
    assert events.pods(Sought("shop", "lone", "", ""), NOON) == []
    listing(api, made("lone", ownerReferences=owned("theirs")))
    assert events.pods(Sought("shop", "lone", "", ""), NOON) == []
