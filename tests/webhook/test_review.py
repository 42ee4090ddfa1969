"""webhook.review: what the API server sends is read, and what it would not understand is never answered."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.documents import RequestError
from tests.webhook.reviews import UID, body, pod, review
from webhook import review as reviews


def test_reads_the_request() -> None:
    request = reviews.decode(body(review(pod({"app": "web"}), dryRun=True)))
    assert reviews.creates_pod(request)
    assert reviews.pod_of(request) == pod({"app": "web"})
    assert request.uid == UID
    assert reviews.request_of(request, "shop") == {
        "operation": "CREATE",
        "namespace": "shop",
        "dryRun": True,
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": []},
    }


BROKEN = {
    "empty": (b"", "", "the body is not JSON"),
    "not JSON": (b"<html>", "", "the body is not JSON"),
    "cut": (body(review(pod()))[:-5], "", "the body is not JSON"),
    "not text": (b'{"kind": "\xff"}', "", "the body is not JSON"),
    "a list": (b"[]", "", "the body is not an AdmissionReview: expected `object`, got `array`"),
    "null": (b"null", "", "the body is not an AdmissionReview: expected `object`, got `null`"),
    "a pod": (body(pod()), "apiVersion", "expected `admission.k8s.io/v1`, got `v1`"),
    "no kind": (b'{"apiVersion": "admission.k8s.io/v1"}', "kind", "is missing, expected `AdmissionReview`"),
    "another kind": (body({**review(pod()), "kind": "Status"}), "kind", "expected `AdmissionReview`, got `Status`"),
    "another version": (
        body({**review(pod()), "apiVersion": "admission.k8s.io/v1beta1"}),
        "apiVersion",
        "expected `admission.k8s.io/v1`, got `admission.k8s.io/v1beta1`",
    ),
    "no request": (body({**review(pod()), "request": None}), "request", "is missing"),
    "request a list": (body({**review(pod()), "request": []}), "request", "expected `object | null`, got `array`"),
    "uid a number": (body(review(pod(), uid=7)), "request.uid", "expected `str`, got `int`"),
    "uid empty": (body(review(pod(), uid="")), "request.uid", "is empty"),
    "no object": (body(review(None)), "request.object", "is missing"),
    "object a text": (body(review("pod")), "request.object", "expected `object | null`, got `str`"),
    "no spec": (body(review({"metadata": {"namespace": "shop"}})), "request.object.spec", "is missing"),
    "another object": (body(review({**pod(), "kind": "Node"})), "request.object.kind", "expected `Pod`, got `Node`"),
    "label a number": (
        body(review(pod({"app": 1}))),  # type: ignore[dict-item]
        "request.object.metadata.labels[...]",
        "expected `str`, got `int`",
    ),
    "tolerations a map": (
        body(review(pod(spec={"tolerations": {}}))),
        "request.object.spec.tolerations",
        "expected `array | null`, got `object`",
    ),
    "term without key": (
        body(
            review(
                pod(
                    spec={
                        "affinity": {
                            "nodeAffinity": {
                                "requiredDuringSchedulingIgnoredDuringExecution": {
                                    "nodeSelectorTerms": [{"matchExpressions": [{"operator": "Exists"}]}]
                                }
                            }
                        }
                    }
                )
            )
        ),
        "request.object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
        ".nodeSelectorTerms[0].matchExpressions[0].key",
        "is missing",
    ),
    "a label selector of numbers": (
        body(
            review(
                pod(
                    spec={
                        "topologySpreadConstraints": [
                            {
                                "maxSkew": 1,
                                "topologyKey": "zone",
                                "whenUnsatisfiable": "DoNotSchedule",
                                "labelSelector": {"matchLabels": {"app": 1}},
                            }
                        ]
                    }
                )
            )
        ),
        "request.object.spec.topologySpreadConstraints[0].labelSelector.matchLabels[...]",
        "expected `str`, got `int`",
    ),
    "no namespace": (body(review(pod(namespace=None), namespace="")), "request.namespace", "is missing"),
    "too deep": (b"[" * 100_000, "", "the body is not"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_errors_point(what: str) -> None:
    sent, path, message = BROKEN[what]
    with pytest.raises(RequestError) as raised:
        reviews.pod_of(reviews.decode(sent))
    assert raised.value.path == path
    assert raised.value.message.startswith(message)


@pytest.mark.parametrize("field", ["uid", "operation", "resource"])
def test_required_fields_of_a_request_are_named(field: str) -> None:
    sent = review(pod())
    del sent["request"][field]
    with pytest.raises(RequestError, match=f"^request.{field}: is missing$"):
        reviews.decode(body(sent))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_an_error(sent: bytes) -> None:
    with contextlib.suppress(RequestError):
        assert reviews.decode(sent).uid


@pytest.mark.parametrize(
    "change",
    [
        {"operation": "UPDATE"},
        {"subResource": "binding"},
        {"resource": {"group": "", "version": "v1", "resource": "services"}},
        {"resource": {"group": "metrics.k8s.io", "version": "v1beta1", "resource": "pods"}},
    ],
)
def test_everything_but_pods_being_created_is_none_of_our_business(change: dict[str, Any]) -> None:
    assert not reviews.creates_pod(reviews.decode(body(review(pod(), **change))))


def test_quantities_may_be_numbers() -> None:
    """The API server writes text; YAML and JSON of others say `nvidia.com/gpu: 4`."""
    amounts = {"limits": {"nvidia.com/gpu": 4, "cpu": "1"}, "requests": {"cpu": 0.5}}
    said = {"limits": {"nvidia.com/gpu": "4", "cpu": "1"}, "requests": {"cpu": "0.5"}}
    given: dict[str, Any] = {
        "containers": [{"name": "a", "resources": amounts}, {"name": "b"}],
        "initContainers": [{"name": "i", "resources": amounts}],
        "resources": amounts,
        "overhead": {"memory": 1048576},
    }
    read = reviews.pod_of(reviews.decode(body(review(pod(spec=given)))))["spec"]
    assert [read["containers"][0]["resources"], read["initContainers"][0]["resources"], read["resources"]] == [said] * 3
    assert (read["containers"][1], read["overhead"]) == ({"name": "b"}, {"memory": "1048576"})


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"containers": [{"resources": {"limits": {"cpu": True}}}]}, "containers[0].resources.limits[...]"),
        ({"containers": [{"resources": {"requests": {"cpu": None}}}]}, "containers[0].resources.requests[...]"),
        ({"containers": [{"resources": {"requests": {"cpu": ["1"]}}}]}, "containers[0].resources.requests[...]"),
        ({"containers": [{"resources": {"requests": 1}}]}, "containers[0].resources.requests"),
        ({"containers": [{"resources": "all"}]}, "containers[0].resources"),
        ({"initContainers": ["a"]}, "initContainers[0]"),
        ({"overhead": {"cpu": {}}}, "overhead[...]"),
        ({"resources": [1]}, "resources"),
    ],
)
def test_what_is_no_quantity_is_refused_with_its_place(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(RequestError) as raised:
        reviews.pod_of(reviews.decode(body(review(pod(spec=spec)))))
    assert raised.value.path == f"request.object.spec.{path}"


def test_unknown_fields_are_left_alone() -> None:
    newer = pod(spec={"tomorrow": {"affinity": 1}})
    assert reviews.pod_of(reviews.decode(body(review(newer, someday=[1])))) == newer


def test_answers_have_the_shape_of_admission_v1() -> None:
    refusal = reviews.Response("u", allowed=False, status=reviews.Status("because", 403, "Forbidden"))
    assert json.loads(reviews.encode(refusal)) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": "u",
            "allowed": False,
            "status": {"message": "because", "code": 403, "reason": "Forbidden"},
        },
    }
    patched = reviews.Response("u", allowed=True, patch_type="JSONPatch", patch=b"[]", audit_annotations={"k": "v"})
    assert json.loads(reviews.encode(patched))["response"] == {
        "uid": "u",
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": "W10=",
        "auditAnnotations": {"k": "v"},
    }


def test_warnings_are_made_deliverable() -> None:
    sent = ["two\nlines\tand a tab", "", "  \n", "same", "same", "bell\x07", "naïve ✓"]
    assert reviews.warnings(sent) == ["two lines and a tab", "same", "bell", "naïve ✓"]


@given(st.lists(st.text(max_size=600), max_size=40))
def test_warnings_survive_the_api_server(texts: list[str]) -> None:
    """It drops those with control characters, and cuts each to 256 characters once all together exceed 4,096."""
    kept = reviews.warnings(texts)
    assert sum(map(len, kept)) <= 4096
    assert all(0 < len(text) <= 256 and "\n" not in text and "\t" not in text for text in kept)
    assert len(kept) == len(set(kept))


def test_annotations_are_cut() -> None:
    assert reviews.annotation("x" * 2000) == "x" * 2000
    assert len(reviews.annotation("x" * 2001)) == 2000


def with_tolerations(count: int, **metadata: Any) -> Any:
    return pod(spec={"tolerations": [{}] * count, "nodeName": "n", "containers": [{"name": "a"}]}, **metadata)


def test_of_a_pod_with_too_many_values_only_its_name_is_read() -> None:
    few = reviews.decode(body(review(with_tolerations(40_000))))
    assert len(reviews.pod_of(few)["spec"]["tolerations"]) == 40_000
    many = reviews.decode(body(review(with_tolerations(60_000))))
    assert isinstance(many, reviews.OutlinedRequest)
    metadata = {"generateName": "web-5d4f8c7b9-", "namespace": "shop"}
    assert reviews.pod_of(many) == {"metadata": metadata, "spec": {"nodeName": "n"}}
    assert "more than 100,000 values" in many.why
    assert reviews.creates_pod(many)


@pytest.mark.parametrize("text", ["," * 300_000, '\\",[{' * 90_000, '"\\\\",' * 90_000, "\\", "<{"])
def test_what_is_in_texts_is_no_value(text: str) -> None:
    """Also where it is written as the API server writes it."""
    given = with_tolerations(30_000, annotations={"a": text, "b": "," * 150_000, "c\\": "x"})
    for sent in (body(review(given)), body(review(given)).replace(b"<", b"\\u003c")):
        assert reviews.pod_of(reviews.decode(sent)) == given


def test_of_a_large_request_for_something_else_no_object_with_too_many_values_is_read() -> None:
    old = with_tolerations(60_000)
    request = reviews.decode(body(review(pod(), operation="UPDATE", oldObject=old)))
    assert (request.object, request.old_object) == (pod(), None)
    assert request.user_info["username"].endswith("replicaset-controller")


def test_a_user_of_whom_too_much_is_said_is_nobody_that_the_api_server_knows() -> None:
    with pytest.raises(RequestError, match=r"^request.userInfo: has more than 100,000 values$"):
        reviews.decode(body(review(pod(), userInfo={"extra": {"a": [""] * 110_000}})))


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"metadata": 1}, "request.object.metadata", "expected `object`, got `int`"),
        (
            {"spec": {"nodeName": 1, "tolerations": [{}] * 60_000}},
            "request.object.spec.nodeName",
            "expected `str | null`",
        ),
        ({"spec": None, "x": [{}] * 60_000}, "request.object.spec", "expected `object`, got `null`"),
    ],
)
def test_errors_of_what_is_read_of_it_point(change: Any, path: str, message: str) -> None:
    with pytest.raises(RequestError) as raised:
        reviews.pod_of(reviews.decode(body(review({**with_tolerations(60_000), **change}))))
    assert raised.value.path == path
    assert raised.value.message.startswith(message)


def test_nobody_says_of_a_request_that_its_pod_need_not_be_read() -> None:
    assert not isinstance(reviews.decode(body(review(pod(), why="it is fine"))), reviews.OutlinedRequest)
    with pytest.raises(RequestError, match=r"^request.namespace: is missing$"):
        reviews.pod_of(reviews.decode(body(review(with_tolerations(60_000, namespace=None), namespace=""))))
