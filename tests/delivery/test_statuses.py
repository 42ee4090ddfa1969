"""delivery.statuses: what is told on objects, when, and how often."""

from __future__ import annotations

import json
from typing import Any

import pytest

import cluster
from cluster import ClusterError
from delivery.follower import Follower, followed
from delivery.sources import read_address
from delivery.statuses import MAX_MESSAGE, Statuses
from delivery.transaction import Demands
from engine.struct import replace
from telemetry import Metrics
from tests.delivery.object_place import REQUIRE, Json, Watched, thing


class Told(Watched):
    """Objects that are followed for real, whose statuses go into the objects, as the API server does it."""

    def __init__(self, *policies: Json) -> None:
        super().__init__(*policies)
        self.cluster: Any = None
        address = read_address("objects://small")
        asked = replace(followed(address, 1.0, Demands(), watch=self), source=self.source)
        self.follower = Follower(asked, lambda *_: None, Metrics("test"))
        self.statuses = Statuses(self, self.follower, lambda: 1_800_000_000.0 + self.time)
        self.denied, self.writes = "", 0

    def written(self, _: object, told: Json, status: Json) -> None:
        if self.denied:
            raise ClusterError(self.denied)
        self.writes += 1
        new = {**told, "status": json.dumps(status).encode()}
        if told["kind"] == "Bundle":
            self.bundle = new
        else:
            self.policies = [
                new if one["metadata"]["name"] == told["metadata"]["name"] else one for one in self.policies
            ]

    def rounds(self, count: int = 4) -> None:
        for _ in range(count):
            self.time += 2
            self.follower.ask()
            self.statuses.tell()

    def change(self, name: str, spec: Json) -> None:
        """As the API server does it: another generation, the same status."""
        (old,) = (one for one in self.policies if one["metadata"]["name"] == name)
        metadata = {**old["metadata"], "generation": old["metadata"]["generation"] + 1}
        new = {**old, "metadata": metadata, "spec": json.dumps(spec).encode()}
        self.policies = [new if one is old else one for one in self.policies]

    def status(self, name: str = "") -> Json:
        found = self.bundle if not name else next(one for one in self.policies if one["metadata"]["name"] == name)
        assert found is not None
        status: Json = json.loads(found["status"])
        return status

    def ready(self, name: str = "") -> tuple[str, str, str]:
        (condition,) = self.status(name)["conditions"]
        return condition["status"], condition["reason"], condition["message"]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told(thing("a", REQUIRE), thing("b", REQUIRE))
    monkeypatch.setattr(cluster, "write_status", told.written)
    return told


def test_what_decides_says_so_once(told: Told) -> None:
    told.rounds()
    assert [told.ready(name) for name in ("", "a", "b")] == [("True", "Active", "")] * 3
    revision = told.follower.status.revision
    assert revision is not None
    assert {told.status(name)["revision"] for name in ("", "a", "b")} == {revision.whole}
    assert told.status()["policies"] == 2
    told.rounds(10)
    assert told.writes == 3


def test_a_wrong_one_is_told_where_and_the_others_what_they_wait_for(told: Told) -> None:
    told.rounds()
    first = told.status("b")["revision"]
    told.change("a", {"require": [{"expression": 'node.zoone == "a"'}]})
    told.change("b", {**REQUIRE, "priority": 7})
    told.rounds()
    status, reason, message = told.ready("a")
    assert (status, reason) == ("False", "Refused")
    assert message.startswith("policies/a.yaml:")
    assert "^" in message
    assert "zoone" in message
    assert told.ready("b")[:2] == ("False", "BundleRefused")
    assert "policies/a.yaml" in told.ready("b")[2]
    assert told.ready() == ("True", "Active", "")  # the Bundle is as it was
    told.change("a", {**REQUIRE, "priority": 3})
    told.rounds()
    assert [told.ready(name)[0] for name in ("", "a", "b")] == ["True"] * 3
    assert told.status("b")["revision"] != first
    assert told.status("a")["observedGeneration"] == 3


def test_of_a_policy_that_stays_the_first_revision_is_told(told: Told) -> None:
    told.rounds()
    first = told.status("b")["revision"]
    told.change("a", {**REQUIRE, "priority": 3})
    told.rounds()
    assert told.status("b")["revision"] == first
    assert told.status("a")["revision"] == told.status()["revision"] != first


def test_since_when_is_kept_while_it_is_the_same(told: Told) -> None:
    told.rounds()
    since = told.status("a")["conditions"][0]["lastTransitionTime"]
    assert since.startswith("2027-01-15T08:00:0")
    told.change("a", {**REQUIRE, "priority": 3})
    told.rounds()
    assert told.status("a")["conditions"][0]["lastTransitionTime"] == since
    told.change("a", {"require": [{"expression": "1 +"}]})
    told.rounds()
    assert told.status("a")["conditions"][0]["lastTransitionTime"] > since


def test_replicas_do_not_write_over_each_other(told: Told) -> None:
    told.rounds()
    before = told.writes
    second = Statuses(told, told.follower, lambda: 1_900_000_000.0)
    assert [second.tell() for _ in range(3)] == [0, 0, 0]
    assert told.writes == before


def test_replicas_that_do_not_agree_write_over_each_other_ever_more_seldom(told: Told) -> None:
    told.rounds()
    second = Told(thing("a", REQUIRE))  # which never got to know of `b`, and is held at that
    second.rounds()
    second.follower.pin()
    other = Statuses(told, second.follower, told.statuses._now)
    before = told.writes
    for _ in range(1_000):
        told.rounds(1)
        other.tell()
    assert told.writes - before < 60
    told.change("b", {**REQUIRE, "priority": 3})
    told.rounds()
    assert told.status("b")["observedGeneration"] == 2  # what is new is told at once


def test_what_is_held_back_says_so(told: Told) -> None:
    told.rounds()
    told.follower.pin()
    told.change("a", {**REQUIRE, "priority": 3})
    told.rounds()
    assert told.ready("a")[:2] == ("False", "HeldBack")
    assert "pinned" in told.ready("a")[2]
    assert told.ready("b")[0] == "True"


@pytest.mark.parametrize(
    "status", [b"null", b"[]", b"{", b'{"conditions": "x"}', b'{"conditions": [1]}', b'{"conditions": [{}]}']
)
def test_a_status_that_somebody_else_wrote_is_written_over(told: Told, status: bytes) -> None:
    told.policies = [{**one, "status": status} for one in told.policies]
    told.rounds()
    assert told.ready("a") == ("True", "Active", "")


def test_messages_have_an_end(told: Told) -> None:
    told.rounds()
    told.change("a", {"require": [{"expression": f"nothing{i} == 1"} for i in range(200)]})
    told.rounds()
    assert len(told.ready("a")[2]) <= MAX_MESSAGE


def test_where_it_may_not_be_written_that_is_told_once_and_tried_again(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    told.denied = "the status of Bundle `small` can't be written: 403 no"
    told.rounds(6)
    assert [r.message for r in caplog.records if "statuses" in r.message] == [
        f"statuses of objects are not written for now: {told.denied}"
    ]
    told.denied = ""
    told.rounds()
    assert told.ready("a")[0] == "True"
