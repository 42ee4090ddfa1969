"""webhook.validation: what is said of an object that somebody is about to write."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from tests.webhook.reviews import UID, body
from webhook import validation
from webhook.validation import MAX_MESSAGE, MAX_WAITING, Validation

Json = dict[str, Any]
REQUIRE: Json = {"require": [{"expression": "node.zone in params.zones"}]}
BUNDLE: Json = {
    "kind": "Bundle",
    "metadata": {"name": "gpu", "uid": "1", "generation": 1, "annotations": {}},
    "spec": json.dumps({"version": "1.0.0", "params": {"zones": ["a", "b"]}}).encode(),
    "status": b"null",
}
GROUP = {"group": "bayplan.dev", "version": "v1alpha1"}


def written(
    spec: object, kind: str = "PlacementPolicy", name: str = "training", bundle: str | None = "gpu", **metadata: object
) -> Json:
    labels = {"bayplan.dev/bundle": bundle} if bundle else {}
    said = {"name": name, "labels": labels, "resourceVersion": "7", **metadata}
    return {"apiVersion": "bayplan.dev/v1alpha1", "kind": kind, "metadata": said, "spec": spec}


def asked(thing: Json | None, old: Json | None = None, **request: Json) -> bytes:
    plural = {"Bundle": "bundles"}.get((thing or {}).get("kind", ""), "placementpolicies")
    whole = {
        "uid": UID,
        "resource": {**GROUP, "resource": plural},
        "operation": "UPDATE" if old else "CREATE",
        "object": thing,
        "oldObject": old,
    }
    return body({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {**whole, **request}})


def answer(review: bytes, bundle: Json | None = BUNDLE) -> tuple[int, Json]:
    validation = Validation(lambda name: bundle if name == "gpu" else None)
    said = asyncio.run(validation.answer(review))
    return said.status, json.loads(said.body)


def response(thing: Json, old: Json | None = None, bundle: Json | None = BUNDLE) -> Json:
    status, said = answer(asked(thing, old), bundle)
    assert status == 200
    found: Json = said["response"]
    assert found["uid"] == UID
    return found


def test_what_is_right_passes() -> None:
    assert response(written(REQUIRE)) == {"uid": UID, "allowed": True}
    assert response(written({"version": "1.0.0"}, kind="Bundle", name="gpu")) == {"uid": UID, "allowed": True}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"require": [{"expression": "node.zoone in params.zones"}]}, "zoone"),
        ({"require": [{"expression": "node.zone in parms.zones"}]}, "there is no variable `parms` here"),
        ({"require": [{"expression": "node.zone in params.zone"}]}, "did you mean `zones`?"),
        ({"require": [{"expression": "node.zone =="}]}, "^"),
        ({"requires": []}, "did you mean `require`?"),
        ({"require": [{"expression": "1 == 1"}], "mode": "on"}, "mode"),
        ({}, "does nothing"),
        (None, "spec"),
        ({"require": "x" * 200_000}, "bytes"),
    ],
)
def test_what_is_wrong_is_refused_as_check_says_it(spec: object, words: str) -> None:
    said = response(written(spec))
    assert not said["allowed"]
    message = said["status"]["message"]
    assert said["status"]["code"] == 422
    assert message.startswith("\npolicies/training.yaml")
    assert words in message


def test_all_that_is_wrong_is_said_at_once() -> None:
    message = response(written({"require": [{"expression": "nodee.zone == 1"}, {"expression": "poool.x"}]}))["status"][
        "message"
    ]
    assert "nodee" in message
    assert "poool" in message
    many = {"require": [{"expression": f"nothing{i} == 1"} for i in range(300)]}
    assert len(response(written(many))["status"]["message"]) <= MAX_MESSAGE


def test_a_bundle_is_judged_by_itself() -> None:
    said = response(written({"version": "one"}, kind="Bundle", name="gpu"))
    assert said["status"]["message"].startswith("\nbundle.yaml:")
    exempt = {"version": "1.0.0", "exemptions": [{"name": "x", "policies": ["elsewhere"], "reason": "y"}]}
    problems = response(written(exempt, kind="Bundle", name="gpu")).get("status", {}).get("message", "")
    assert "there is no policy" not in problems


def test_without_its_bundle_an_expression_is_not_judged_and_that_is_said() -> None:
    said = response(written({"require": [{"expression": "node.zoone == params.x"}]}), bundle=None)
    assert said["allowed"]
    assert said["warnings"] == ["Bundle gpu is not followed here, or not there yet: expressions were not checked"]
    assert not response(written({"requires": []}), bundle=None)["allowed"]
    (warning,) = response(written(REQUIRE, bundle=None))["warnings"]
    assert "bayplan.dev/bundle" in warning


def test_what_works_and_may_not_be_meant_is_warned_of() -> None:
    said = response(written({"require": [{"expression": '"spot" in pool.capacityTypes'}]}))
    assert said["allowed"]
    (warning,) = said["warnings"]
    assert warning.startswith("policies/training.yaml:")
    assert warning.endswith("[mixed-pool]")


def test_what_is_there_can_be_labelled_and_taken_down_however_wrong_it_is() -> None:
    wrong = written({"requires": []})
    labelled = written({"requires": []}, finalizers=["x"], annotations={"team": "a"})
    assert response(labelled, old=wrong)["allowed"]
    assert not response(written({"requires": []}, annotations={"bayplan.dev/owner": "a"}), old=wrong)["allowed"]
    assert not response(written({"requires": [1]}), old=wrong)["allowed"]


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "DELETE"},
        {"operation": "CONNECT"},
        {"subResource": "status"},
        {"resource": {"group": "", "version": "v1", "resource": "pods"}},
        {"resource": {"group": "other.dev", "version": "v1", "resource": "placementpolicies"}},
    ],
)
def test_what_else_is_asked_is_not_ours_to_refuse(request_: Json) -> None:
    status, said = answer(asked(written({"requires": []}), **request_))
    assert (status, said["response"]) == (200, {"uid": UID, "allowed": True})


@pytest.mark.parametrize(
    ("thing", "field"),
    [
        (None, "request.object"),
        ({"metadata": {"name": 7}}, "request.object.metadata.name"),
        ({"metadata": {"name": "a", "labels": ["x"]}}, "request.object.metadata.labels"),
        ({"metadata": {"name": "a", "labels": {"bayplan.dev/bundle": 1}}}, "request.object.metadata.labels"),
        ({"metadata": {"name": "a", "annotations": "x"}}, "request.object.metadata.annotations"),
        ({"metadata": []}, "request.object.metadata.name"),
        ({"metadata": "x"}, "request.object.metadata"),
    ],
)
def test_a_request_that_no_api_server_sends_gets_the_field(thing: Json | None, field: str) -> None:
    status, said = answer(asked(thing))
    assert status == 400
    assert said["details"]["causes"][0]["field"].startswith(field)


def test_hostile_names_and_texts_are_shown() -> None:
    spec = {"require": [{"expression": "no\u202eде == 1"}]}
    said = response(written(spec, name="a"))
    assert "\u202e" not in json.dumps(said, ensure_ascii=False)


def test_one_is_judged_at_a_time_and_too_many_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    go, at_once, most = threading.Event(), 0, 0

    def judged(*_: object) -> tuple[()]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        go.wait(10)
        at_once -= 1
        return ()

    monkeypatch.setattr(validation, "judged", judged)

    async def crowd() -> list[int]:
        all_of_them = Validation(lambda _: None)
        tasks = [asyncio.create_task(all_of_them.answer(asked(written(REQUIRE)))) for _ in range(MAX_WAITING + 5)]
        await asyncio.sleep(0.1)
        go.set()
        return [each.status for each in await asyncio.gather(*tasks)]

    statuses = asyncio.run(crowd())
    assert statuses.count(503) == 5
    assert statuses.count(200) == MAX_WAITING
    assert most == 1


def test_a_bug_lets_it_through_and_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(validation, "judged", broken)
    said = response(written(REQUIRE))
    assert said["allowed"]
    assert "could not judge" in said["warnings"][0]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(("letters", "allowed"), [(60_000, True), (70_000, False)])
def test_bytes_count_as_they_are_kept_in_whatever_script(letters: int, allowed: bool) -> None:
    """A Cyrillic letter is two bytes of UTF-8, as the API server keeps it, and would be six as an escape."""
    said = response(written({"description": "я" * letters, **REQUIRE}))
    assert said["allowed"] is allowed
