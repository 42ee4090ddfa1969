"""webhook.notices: who is told what of refusals and of pods that will wait, how often, and what nobody is told."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.client import connect
from cluster.events import Events
from engine.decision import Decider, Decision
from engine.struct import replace
from telemetry import Metrics
from tests.cluster.apiserver import ApiServer, Handler
from tests.engine import builders
from tests.waiting import wait_for
from tests.webhook.reviews import body, pod, review
from webhook import notices as module
from webhook.admission import Admission
from webhook.notices import MAX_MESSAGE, Notices

GOLD = builders.GOLD
"""Gold nodes have a taint that a plain pod does not tolerate: it would wait."""
DENY = "deny: [{expression: 'true', message: not here}]"
CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"
JOHN = {"username": "john", "groups": []}
JOBS = {"username": "system:serviceaccount:kube-system:job-controller", "groups": []}
SHARED = {"username": "system:kube-controller-manager", "groups": []}
PODS = "/api/v1/namespaces/shop/pods"


def owned(kind: str = "ReplicaSet", version: str = "apps/v1", uid: str = "uid-1") -> dict[str, Any]:
    """Metadata of a pod that somebody controls."""
    reference = {"apiVersion": version, "kind": kind, "name": "web-5d4f8c7b9", "uid": uid, "controller": True}
    return {"ownerReferences": [reference]}


def refusal() -> Decision:
    """The refusal of a pod that a ReplicaSet's controller asked for."""
    given = builders.incoming(pod(**owned()), user={"username": CONTROLLER})
    return builders.decider(DENY).decide(given)


class Holder:
    def __init__(self, decider: Decider) -> None:
        self.decider: Decider | None = decider


class Bench:
    """A webhook without HTTP that writes events to a small API server, by a clock that stands still."""

    def __init__(self, api: ApiServer, folder: Path) -> None:
        self.api, self.metrics, self.now = api, Metrics("0"), 1_000.0
        self.deciders: dict[str, Decider] = {}
        self.cluster = connect(api.kubeconfig(folder))
        self.notices = Notices(Events(self.cluster, 0.5), self.metrics, lambda: self.now)

    def ask(self, given: Any, policy: str = DENY, **request: Any) -> Any:
        if policy not in self.deciders:
            self.deciders[policy] = builders.decider(policy)
        admission = Admission(Holder(self.deciders[policy]), self.metrics, watchers=(self.notices,))
        answer = asyncio.run(admission.answer(body(review(given, **request))))
        return json.loads(answer.body)["response"]

    def work(self, later: float = 0.0) -> None:
        self.now += later
        self.notices.work()

    def there_is(self, *pods: dict[str, Any]) -> None:
        """The pods that the API server lists from now on."""

        def answer(handler: Handler) -> None:
            handler.whole(200, json.dumps({"items": [{"metadata": each} for each in pods]}).encode())

        self.api.instead[PODS] = answer

    def events(self) -> list[Any]:
        return [body for method, _, _, body in self.api.written if method == "POST"]

    def counted(self, result: str) -> float:
        return self.metrics.registry.get_sample_value("bayplan_events_total", {"result": result}) or 0.0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ApiServer().running() as api:
        made = Bench(api, tmp_path)
        yield made
        made.notices.stop()
        made.cluster.close()


def later_pod(name: str, **more: Any) -> dict[str, Any]:
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"name": name, "uid": f"uid-of-{name}", "creationTimestamp": made, **more}


# refusals


@pytest.mark.parametrize(
    ("metadata", "user"),
    [
        (owned(), None),
        (owned(), SHARED),
        (owned("Job", "batch/v1"), JOBS),
    ],
)
def test_the_controller_of_a_refused_pod_is_told(bench: Bench, metadata: Any, user: Any) -> None:
    response = bench.ask(pod(**metadata), **({"userInfo": user} if user else {}))
    assert response["allowed"] is False
    bench.work()
    ((method, path, _, event),) = bench.api.written
    assert (method, path) == ("POST", "/api/v1/namespaces/shop/events")
    assert event["reason"] == "PlacementRefused"
    assert event["message"] == response["status"]["message"]
    owner = metadata["ownerReferences"][0]
    named = {key: owner[key] for key in ("apiVersion", "kind", "name", "uid")}
    assert event["involvedObject"] == {**named, "namespace": "shop"}


@pytest.mark.parametrize(
    ("metadata", "user"),
    [
        ({}, JOHN),
        (owned(), JOHN),
        (owned("Job", "batch/v1"), None),
        (owned("Workflow", "argoproj.io/v1alpha1"), {"username": "system:serviceaccount:argo:argo", "groups": []}),
        ({"ownerReferences": [{**owned()["ownerReferences"][0], "controller": False}]}, None),
    ],
)
def test_who_asks_for_a_pod_writes_no_events_about_others(bench: Bench, metadata: Any, user: Any) -> None:
    """An owner is believed of Kubernetes' own controllers alone, each of which names owners of its kind."""
    bench.ask(pod(**metadata), **({"userInfo": user} if user else {}))
    bench.work()
    assert bench.api.written == []


def test_dry_runs_and_audit_mode_are_silent(bench: Bench) -> None:
    bench.ask(pod(**owned()), dryRun=True)
    bench.ask(pod(**owned()), f"{DENY}\nmode: audit")
    bench.ask(pod(**owned()), f"{GOLD}\nmode: audit")
    bench.ask(pod(**owned()), builders.BASE)
    bench.work(60)
    assert (bench.api.written, bench.api.queries(PODS)) == ([], [])
    assert bench.notices.depth() == 0


def test_what_is_alike_is_counted_in_one_event(bench: Bench) -> None:
    for _ in range(5):
        bench.ask(pod(**owned()))
    bench.work()
    bench.ask(pod(**owned()))
    bench.work(1)
    assert [event["count"] for event in bench.events()] == [5]
    bench.work(10)
    method, path, _, patch = bench.api.written[-1]
    assert (method, path) == ("PATCH", f"/api/v1/namespaces/shop/events/{bench.events()[0]['metadata']['name']}")
    assert patch["count"] == 6
    bench.work(100)
    assert len(bench.api.written) == 2
    assert (bench.counted("created"), bench.counted("repeated"), bench.notices.depth()) == (1, 1, 0)


def test_an_event_that_is_gone_is_made_again(bench: Bench) -> None:
    bench.ask(pod(**owned()))
    bench.work()
    bench.ask(pod(**owned()))
    bench.api.fail(404)
    bench.work(3_600)
    bench.work()
    assert [event["count"] for event in bench.events()] == [1, 2]


# pods that wait


def test_a_pod_that_waits_is_told_once_it_is_there(bench: Bench) -> None:
    response = bench.ask(pod(**owned(uid="uid-1")), GOLD)
    bench.there_is(
        later_pod("web-5d4f8c7b9-x", generateName="web-5d4f8c7b9-", **owned(uid="uid-1")),
        later_pod("web-5d4f8c7b9-y", generateName="web-5d4f8c7b9-", **owned(uid="uid-2")),
    )
    bench.work()
    assert bench.api.queries(PODS) == []
    for _ in range(4):
        bench.work(5)
    (event,) = bench.events()
    assert event["reason"] == "PlacementWaits"
    assert event["message"] == response["warnings"][0]
    assert event["involvedObject"]["uid"] == "uid-of-web-5d4f8c7b9-x"
    assert len(bench.api.queries(PODS)) == 3


def test_replicas_are_looked_for_together(bench: Bench) -> None:
    for _ in range(20):
        bench.ask(pod(**owned()), GOLD)
    names = [f"web-5d4f8c7b9-{i}" for i in range(20)]
    bench.there_is(*(later_pod(name, generateName="web-5d4f8c7b9-", **owned()) for name in names))
    bench.work(1)
    assert len(bench.api.queries(PODS)) == 1
    assert [event["involvedObject"]["name"] for event in bench.events()] == names
    assert {event["count"] for event in bench.events()} == {1}


def test_a_bare_pod_that_waits_is_found_by_its_name(bench: Bench) -> None:
    bench.ask(pod(name="lone", generateName=""), GOLD, userInfo=JOHN)
    bench.there_is(later_pod("lone"))
    bench.work(1)
    bench.work(60)
    assert [event["involvedObject"]["name"] for event in bench.events()] == ["lone"]
    assert len(bench.api.queries(PODS)) == 1


def test_a_pod_that_never_came_to_be_is_given_up(bench: Bench) -> None:
    bench.ask(pod(name="lone", generateName=""), GOLD)
    bench.there_is()
    for _ in range(10):
        bench.work(10)
    assert (len(bench.api.queries(PODS)), bench.notices.depth()) == (3, 0)


# limits


def test_a_namespace_has_its_share_and_leaves_others_theirs(bench: Bench) -> None:
    for number in range(60):
        bench.ask(pod(**owned(uid=f"uid-{number}")))
    bench.ask(pod(**{**owned(uid="theirs"), "namespace": "other"}), namespace="other")
    bench.work()
    spaces = [event["metadata"]["namespace"] for event in bench.events()]
    assert (spaces.count("shop"), spaces.count("other")) == (25, 1)
    bench.work(20)
    assert len(bench.events()) == 26 + 10


def test_messages_that_differ_each_time_fill_no_memory(bench: Bench) -> None:
    decision = refusal()
    for number in range(module.MAX_EACH + 5):
        bench.notices.offer("1", False, replace(decision, message=f"not here: {number}"), 10)
    assert bench.notices.depth() == module.MAX_EACH
    assert bench.counted("dropped") == 5
    bench.work()
    assert bench.events()[0]["message"] == "not here: 5"


def test_a_message_is_one_line_of_characters_that_show_and_not_longer_than_may_be(bench: Bench) -> None:
    """What policies say may quote what a pod's author wrote."""
    hostile = "x\r\n\x1b[2J\u202egood\x00\ud800" + "é" * 5_000
    decision = refusal()
    bench.notices.offer("1", False, replace(decision, message=hostile), 10)
    bench.work()
    (event,) = bench.events()
    assert event["message"].startswith("x \\u001b[2J\\u202egood\\u0000\\ud800é")
    assert event["message"].isprintable()
    assert len(event["message"].encode()) <= MAX_MESSAGE
    assert event["message"].endswith("é…")


def test_a_slow_api_server_is_left_in_peace_and_the_oldest_are_dropped(bench: Bench) -> None:
    bench.ask(pod(**owned(uid="first")))
    bench.ask(pod(**owned(uid="second")))
    bench.api.fail(503)
    bench.work()
    bench.work(0.5)
    assert len(bench.api.written) == 1
    bench.work(1)
    assert len(bench.api.written) == 3
    assert bench.counted("failed") == 1


def test_rests_grow_and_end(bench: Bench) -> None:
    bench.ask(pod(**owned()))
    for tried, rest in enumerate((1, 2, 4, 8, 16, 30, 30), start=1):
        bench.api.fail(500)
        bench.work()
        bench.work(rest - 0.1)
        assert len(bench.api.written) == tried
        bench.now += 0.1
    bench.work()
    assert bench.counted("created") == 1


def test_without_the_right_nothing_is_asked_twice_and_the_log_says_so_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            bench.ask(pod(**owned(uid=f"uid-{number}")))
            bench.api.fail(403, "events is forbidden")
        bench.work()
        bench.work(60)
    assert len(bench.api.written) == 3
    assert caplog.messages == [
        "an event about ReplicaSet shop/web-5d4f8c7b9 was not written: the API server answered 403"
    ]
    bench.ask(pod(**owned(), name="lone"), GOLD)
    bench.api.fail(403, "pods is forbidden")
    with caplog.at_level(logging.WARNING):
        bench.work(5)
    assert caplog.messages[-1] == "the pods of shop could not be listed: the API server answered 403 (2 more before)"
    assert bench.notices.depth() == 0


def test_no_answer_waits_and_it_stops_at_once(bench: Bench) -> None:
    bench.notices._clock = time.monotonic
    bench.api.faults.extend([Handler.silent] * 50)
    bench.notices.start()
    for number in range(30):
        assert bench.ask(pod(**owned(uid=f"uid-{number}")))["allowed"] is False
    wait_for(lambda: bench.api.written, "the first event")
    bench.notices.stop()
    assert not bench.notices._thread.is_alive()


def test_the_thread_writes_what_it_hears_of(bench: Bench) -> None:
    bench.notices._clock = time.monotonic
    bench.notices.start()
    bench.ask(pod(**owned()))
    wait_for(lambda: bench.counted("created") == 1, "the event")
    wait_for(lambda: bench.notices.depth() == 0, "it to be done")
