"""engine.pods.dealing: into which share a pod falls: evenly by an index, on average by a request's uid."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pods.dealing import dealt, even, index_of
from engine.pods.incoming import IncomingPod
from tests.examples import examples

INDEX = "batch.kubernetes.io/job-completion-index"
KUBE_SYSTEM = "system:serviceaccount:kube-system"
JOB, STATEFUL_SET = ("batch/v1", "Job"), ("apps/v1", "StatefulSet")


def owned(
    owner: tuple[str, str] | None, metadata: Mapping[str, Any], user: str = "", uid: str = "", name: str = "db"
) -> IncomingPod:
    """A pod with an owner, created by a user."""
    references = [{"apiVersion": owner[0], "kind": owner[1], "name": name, "controller": True}] if owner else []
    pod = {"metadata": {**metadata, "ownerReferences": references}, "spec": {}}
    return IncomingPod(pod, {"metadata": {"name": "shop"}}, {"userInfo": {"username": user}}, uid=uid)


def replica(index: int, name: str = "db") -> IncomingPod:
    """A pod of a StatefulSet."""
    labels = {"apps.kubernetes.io/pod-index": str(index)}
    return owned(STATEFUL_SET, {"name": f"{name}-{index}", "labels": labels}, name=name)


@st.composite
def shares(draw: st.DrawFn) -> list[int]:
    """Per cents that sum to a hundred, some of them nothing."""
    cuts = sorted(draw(st.lists(st.integers(0, 100), max_size=6)))
    return [after - before for before, after in zip([0, *cuts], [*cuts, 100], strict=True)]


@examples(200)
@given(shares(), st.data())
def test_pods_with_an_index_are_dealt_out_evenly_and_exactly(percents: list[int], data: st.DataObject) -> None:
    start = data.draw(st.sampled_from([place for place, percent in enumerate(percents) if percent]))
    sequence = even(tuple(percents), start)
    assert sequence[0] == start
    for count in range(len(sequence) + 1):
        for place, percent in enumerate(percents):
            exact = count * percent / 100
            assert abs(sequence[:count].count(place) - exact) < 1
    assert [sequence.count(place) * 100 for place in range(len(percents))] == [p * len(sequence) for p in percents]


def test_replicas_of_one_stateful_set_have_their_shares() -> None:
    for name in ("db", "cache", "queue"):
        own = [dealt("policy", [70, 30], replica(index, name))[0] for index in range(40)]
        assert own.count(0) == 28
        for count in range(41):
            assert abs(own[:count].count(0) - count * 0.7) < 1


def test_single_replicas_of_many_stateful_sets_have_theirs_on_average() -> None:
    own = [dealt("policy", [70, 30], replica(0, f"db-{i}"))[0] for i in range(1000)]
    assert 650 < own.count(0) < 750


def test_other_pods_have_theirs_on_average_by_the_uid_of_the_request() -> None:
    pods = [owned(("apps/v1", "ReplicaSet"), {}, uid=f"uid-{i}") for i in range(2000)]
    own = [dealt("policy", [70, 20, 10], pod)[0] for pod in pods]
    assert [round(own.count(place) / 20) for place in range(3)] == pytest.approx([70, 20, 10], abs=3)
    assert own != [dealt("other", [70, 20, 10], pod)[0] for pod in pods]
    assert all(sorted(dealt("policy", [70, 20, 10], pod)) == [0, 1, 2] for pod in pods[:50])


def test_where_the_own_one_cannot_be_had_the_others_have_their_part_of_it() -> None:
    orders = [dealt("policy", [50, 40, 10], owned(None, {}, uid=f"uid-{i}")) for i in range(2000)]
    second = [order[1] for order in orders if order[0] == 0]
    assert second.count(1) / len(second) == pytest.approx(0.8, abs=0.05)


def test_without_a_uid_it_is_the_largest() -> None:
    assert dealt("policy", [20, 50, 30], owned(None, {})) == (1, 2, 0)
    assert dealt("policy", [50, 50], owned(None, {})) == (0, 1)


@pytest.mark.parametrize("percents", [[0, 100], [100, 0], [0, 0, 100]])
def test_nobody_falls_into_a_share_of_nothing(percents: list[int]) -> None:
    pods = [*(replica(i) for i in range(20)), *(owned(None, {}, uid=str(i)) for i in range(20)), owned(None, {})]
    assert {dealt("policy", percents, pod)[0] for pod in pods} == {percents.index(100)}


def test_the_share_is_the_same_in_every_process() -> None:
    code = (
        "from engine.pods.dealing import dealt\nfrom engine.pods.incoming import IncomingPod\n"
        "print([dealt('p', [70, 30], IncomingPod({}, {}, {}, uid=str(i)))[0] for i in range(40)])"
    )
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)}
    assert runs == {f"{[dealt('p', [70, 30], IncomingPod({}, {}, {}, uid=str(i)))[0] for i in range(40)]}\n"}


@pytest.mark.parametrize(
    ("owner", "metadata", "index"),
    [
        (STATEFUL_SET, {"name": "db-7"}, 7),
        (STATEFUL_SET, {"labels": {"statefulset.kubernetes.io/pod-name": "db-12"}}, 12),
        (STATEFUL_SET, {"name": "db-7", "labels": {"apps.kubernetes.io/pod-index": "3"}}, 3),
        (STATEFUL_SET, {"name": "other-7"}, None),
        (STATEFUL_SET, {"generateName": "db-"}, None),
        (STATEFUL_SET, {"labels": {"apps.kubernetes.io/pod-index": "9" * 60}}, None),
        (JOB, {"annotations": {INDEX: "5"}}, 5),
        (JOB, {"labels": {INDEX: "6"}}, 6),
        (JOB, {"annotations": {INDEX: "-1"}}, None),
        (JOB, {"annotations": {INDEX: "٣"}}, None),
        (JOB, {}, None),
        (("batch.volcano.sh/v1", "Job"), {"annotations": {INDEX: "5"}}, None),
        (("apps/v1", "ReplicaSet"), {"name": "db-7", "labels": {"apps.kubernetes.io/pod-index": "3"}}, None),
        (None, {"name": "db-7", "labels": {"apps.kubernetes.io/pod-index": "3"}}, None),
    ],
)
def test_the_index_is_that_which_a_controller_writes(
    owner: tuple[str, str] | None, metadata: dict[str, Any], index: int | None
) -> None:
    assert index_of(owned(owner, metadata)) == index


def test_an_index_that_somebody_else_wrote_does_not_count() -> None:
    written = {"name": "db-7"}
    assert index_of(owned(STATEFUL_SET, written, "jane")) is None
    assert index_of(owned(STATEFUL_SET, written, f"{KUBE_SYSTEM}:job-controller")) is None
    assert index_of(owned(STATEFUL_SET, written, f"{KUBE_SYSTEM}:statefulset-controller")) == 7
    assert index_of(owned(STATEFUL_SET, written, "system:kube-controller-manager")) == 7
    assert index_of(owned(JOB, {"labels": {INDEX: "1"}}, f"{KUBE_SYSTEM}:job-controller")) == 1
