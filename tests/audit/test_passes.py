"""audit.passes: what the API server asks about twice is one admission, and whatever else looks like it is not."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from audit import passes
from audit.kept import KeptDecision, as_plain
from audit.passes import Admitted, by_admission
from audit.stored import Named, StoredDecision
from engine.decision import Decider
from engine.pods import IncomingPod, Owner
from engine.struct import replace
from tests.engine import builders
from tests.engine.builders import GOLD

SIDECAR = {"name": "proxy", "image": "proxy"}
ENFORCES, AUDITS = builders.decider(GOLD), builders.decider(GOLD, mode="audit")
REFUSES = builders.decider("deny: [{expression: 'true', message: 'no'}]")
MANAGED = [{"manager": "kube-controller-manager", "operation": "Update", "time": "2026-11-27T12:00:00Z"}]


def asked(
    uid: str = "",
    *,
    name: str = "",
    token: str = "",
    user: str = "system:serviceaccount:kube-system:replicaset-controller",
    containers: Iterable[Any] = ({"name": "c", "image": "i"},),
    **spec: Any,
) -> IncomingPod:
    own = {"name": name} if name else {"generateName": "web-"}
    volumes = [{"name": "data", "emptyDir": {}}, *([{"name": f"kube-api-access-{token}"}] if token else [])]
    metadata = {**own, "namespace": "shop", "labels": {"app": "web"}, "managedFields": MANAGED}
    given = builders.incoming({"metadata": metadata, "spec": {"containers": [*containers], "volumes": volumes, **spec}})
    request = {**given.request, "userInfo": {**given.request["userInfo"], "username": user}}
    return replace(given, uid=uid, request=request)


def stored(
    incoming: IncomingPod | None, at: float = 0.0, engine: Decider = ENFORCES, kept: Any = None
) -> StoredDecision:
    decision = kept or as_plain(engine.decide(incoming or asked()).as_json())
    named = Named(f"0.{at}", at, "Deployment shop/web", "mutated", engine.revision.whole)
    return StoredDecision(named, KeptDecision(decision, incoming), engine, (), engine.pool_index.inventory, {})


def again(first: IncomingPod, engine: Decider = ENFORCES, uid: str = "", **spec: Any) -> IncomingPod:
    """The pod as the API server shows it again, once another webhook has given it a sidecar, or these fields."""
    decision = engine.decide(first)
    pod = as_plain(decision.patched if decision.answer_patch else first.pod)
    pod["spec"] |= spec or {"containers": [*pod["spec"]["containers"], SIDECAR]}
    return replace(first, pod=pod, uid=uid)


def told(*decisions: StoredDecision) -> list[tuple[str, bool]]:
    return [(one.last.named.id, one.first is not None) for one in by_admission(decisions)]


@pytest.mark.parametrize("engine", [ENFORCES, AUDITS])
@pytest.mark.parametrize("known", [{"name": "web-0"}, {"token": "x7k2p"}, {}])
def test_a_pod_that_is_asked_about_again_is_one_admission(engine: Decider, known: dict[str, str]) -> None:
    first = asked("1", **known)
    second = again(first, engine, "2")
    assert told(stored(first, 1, engine), stored(second, 1.2, engine)) == [("0.1.2", True)]


@pytest.mark.parametrize("known", [{"name": "web-0"}, {"token": "x7k2p"}])
def test_a_pod_that_is_known_may_be_changed_in_any_way(known: dict[str, str]) -> None:
    """Say, by one that takes images from elsewhere."""
    first = asked("1", **known)
    second = again(first, uid="2", containers=[{"name": "c", "image": "mirror/i"}])
    assert told(stored(first, 1), stored(second, 2)) == [("0.2", True)]


@pytest.mark.parametrize("engine", [ENFORCES, AUDITS])
def test_neighbours_of_one_template_are_counted_each(engine: Decider) -> None:
    """Without tokens, made in one second: nothing tells them apart, and their number is right all the same."""
    pods = [asked(f"{n}") for n in range(5)]
    decisions = [stored(one, n, engine) for n, one in enumerate(pods)]
    assert len(told(*decisions)) == 5
    seconds = [stored(again(one, engine, f"again-{one.uid}"), 5 + n, engine) for n, one in enumerate(pods)]
    found = told(*decisions, *seconds)
    assert (len(found), all(twice for _, twice in found)) == (5, True)
    mixed = [
        one
        for pair in zip(decisions, [replace(each, named=each.named) for each in seconds], strict=True)
        for one in pair
    ]
    assert len(told(*(replace(one, named=one.named._replace(at=float(n))) for n, one in enumerate(mixed)))) == 5


@pytest.mark.parametrize("engine", [ENFORCES, AUDITS])
def test_pods_of_a_daemon_set_differ_and_are_not_each_others_second(engine: Decider) -> None:
    def on(node: str) -> dict[str, Any]:
        field = {"key": "metadata.name", "operator": "In", "values": [node]}
        terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
        return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}

    pods = [asked(f"{n}", affinity=on(f"node-{n}")) for n in range(4)]
    assert len(told(*(stored(one, n, engine) for n, one in enumerate(pods)))) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"user": "somebody else"},
        {"name": "web-1"},
        {"token": "other"},
    ],
)
def test_somebody_elses_pod_takes_no_ones_place(change: dict[str, str]) -> None:
    """Who would hide a decision by a pod that looks alike must be who made the pod."""
    first = asked("1", **({"name": "web-0"} | ({"token": "x"} if "token" in change else {})))
    other = asked("2", **{"name": "web-0", **change}, containers=[SIDECAR])
    assert len(told(stored(first, 1), stored(other, 1.5))) == 2
    later = replace(first, pod={**first.pod, "metadata": {**first.pod["metadata"], "managedFields": []}})
    assert len(told(stored(first, 1), stored(again(later), 1.5))) == 2


def test_what_was_refused_was_not_asked_about_again() -> None:
    first = asked("1", name="web-0")
    retried = asked("2", name="web-0", containers=[SIDECAR])
    assert len(told(stored(first, 1, REFUSES), stored(retried, 1.5))) == 2


def test_what_is_tried_again_is_another_admission() -> None:
    """A StatefulSet's pod that a quota refused: the webhook was asked once for each, and what it gave is not there."""
    first = asked("1", name="web-0")
    for containers in ([{"name": "c", "image": "i"}], [{"name": "c", "image": "i"}, SIDECAR]):
        second = asked("2", name="web-0", containers=containers)
        assert len(told(stored(first, 1), stored(second, 1.5))) == 2
    assert len(told(stored(first, 1, AUDITS), stored(asked("2", name="web-0"), 1.5, AUDITS))) == 2


def test_one_review_that_came_twice_is_one_admission() -> None:
    first = asked("1", name="web-0")
    assert told(stored(first, 1), stored(first, 2)) == [("0.2", True)]
    assert len(told(stored(asked(), 1), stored(asked(), 2))) == 2  # no uid is known
    assert len(told(stored(first, 1), stored(asked("1", name="other"), 2))) == 2


def test_there_is_no_third_pass() -> None:
    first = asked("1", name="web-0")
    second = again(first, uid="2")
    third = again(second, uid="3", containers=[{"name": "other", "image": "i"}])
    assert told(stored(first, 1), stored(second, 2), stored(third, 3)) == [("0.2", True), ("0.3", False)]


def test_after_a_while_it_is_another_admission(monkeypatch: pytest.MonkeyPatch) -> None:
    first = asked("1", name="web-0")
    second = stored(again(first, uid="2"), 61.1)
    assert len(told(stored(first, 1), second)) == 2
    monkeypatch.setattr(passes, "HELD", 2)
    some = [stored(asked(name=f"other-{n}"), n / 10) for n in range(3)]
    assert len(told(stored(first, 0), *some, replace(second, named=second.named._replace(at=1.0)))) == 5


def test_of_what_was_not_kept_and_of_templates_nothing_is_known() -> None:
    assert len(told(stored(None, 1), stored(None, 1))) == 2
    template = replace(asked("1"), template={"spec": {}}, owner=Owner("apps/v1", "DaemonSet", "a"))
    other = replace(template, uid="2")
    whole = stored(asked(), 1).kept.decision
    assert len(told(stored(template, 1, kept=whole), stored(other, 2, kept=whole))) == 2


@pytest.mark.parametrize(
    "patch", [[{"op": "add", "path": "/spec/containers/9/a", "value": 1}], "text", [{}], [1], {"a": 1}]
)
def test_what_is_damaged_is_taken_as_it_is(patch: Any) -> None:
    first = asked("1", name="web-0")
    decision = {**stored(first).kept.decision, "patch": patch}
    found = list(by_admission([stored(first, 1, kept=decision), stored(again(first, uid="2"), 2)]))
    assert [one.last.named.at for one in found] == [2.0]
    odd = replace(first, pod={"metadata": [], "spec": {"volumes": [1, {"name": 2}]}}, request={"userInfo": 1})
    assert len(list(by_admission([stored(odd, 1, kept=decision), stored(odd, 2, kept=decision)]))) == 1


def test_the_next_bundle_decides_without_what_the_first_answer_gave() -> None:
    """Else what one bundle wrote would be what the pod asks for itself, and the next one could not place it."""
    own = [{"key": "mesh", "operator": "Exists"}]
    first = asked("1", name="web-0", tolerations=own)
    (one,) = by_admission([stored(first, 1), stored(again(first, uid="2"), 2)])
    pod = one.as_asked.kept.incoming
    assert pod
    given = one.last.kept.incoming
    assert given
    assert given.pod["spec"]["affinity"]
    assert "affinity" not in pod.pod["spec"]
    assert pod.pod["spec"]["tolerations"] == own
    assert [each["name"] for each in pod.pod["spec"]["containers"]] == ["c", "proxy"]
    assert pod.pod["metadata"].get("annotations", {}) == first.pod["metadata"].get("annotations", {})
    assert Admitted(one.last).as_asked is one.last


def test_what_others_wrote_beside_it_stays_but_in_the_affinity() -> None:
    engine = builders.decider(f"{GOLD}\ntolerate: [{{expression: 'taint.key != \"\"'}}]")
    first = asked("1", name="web-0", tolerations=[{"key": "own", "operator": "Exists"}])
    more = again(first, engine, "2")
    spec, metadata = more.pod["spec"], more.pod["metadata"]
    given = len(spec["tolerations"])
    spec["tolerations"].insert(1, {"key": "mesh", "operator": "Exists"})
    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    term["matchExpressions"].append({"key": "disk", "operator": "In", "values": ["ssd"]})
    metadata["annotations"]["mesh"] = "yes"
    (one,) = by_admission([stored(first, 1, engine), stored(more, 2, engine)])
    kept = one.as_asked.kept.incoming
    assert kept
    assert given > 1
    assert [each["key"] for each in kept.pod["spec"]["tolerations"]] == ["own", "mesh"]
    assert "affinity" not in kept.pod["spec"]
    assert kept.pod["metadata"]["annotations"] == {"mesh": "yes"}


@pytest.mark.parametrize("engine", [ENFORCES, AUDITS])
def test_what_is_told_is_what_came_of_the_pod(engine: Decider) -> None:
    """Of what was enforced, the second review shows the pod with it: that one finds nothing to do."""
    first = asked("1", name="web-0")
    outcome = "unchanged" if engine is ENFORCES else "mutated"
    last = stored(again(first, engine, "2"), 2, engine)
    last = replace(last, named=last.named._replace(outcome=outcome))
    (one,) = by_admission([stored(first, 1, engine), last])
    assert one.told is (one.first if engine is ENFORCES else one.last)
    other = replace(last, named=last.named._replace(outcome="denied"))
    (one,) = by_admission([stored(first, 1, engine), other])
    assert one.told is other
    assert Admitted(last).told is last


@pytest.mark.parametrize("seed", range(20))
def test_as_many_are_told_as_came(seed: int) -> None:
    """Pods of several workloads at a time, some with tokens, some asked about twice, in any order that can be."""
    dice = random.Random(seed)
    engine = dice.choice([ENFORCES, AUDITS])
    coming: list[tuple[float, IncomingPod]] = []
    expected = Counter[str]()
    for number in range(60):
        kind = dice.choice(["named", "token", "alike", "alike"])
        known = {"named": {"name": f"web-{number}"}, "token": {"token": f"{number:05}"}}.get(kind, {})
        first, at = asked(f"{number}", **known), dice.random()
        expected[kind] += 1
        coming.append((at, first))
        if dice.random() < 0.5:
            coming.append((at + 0.01 + dice.random(), again(first, engine, f"again-{number}")))
    found = Counter[str]()
    for one in by_admission([stored(pod, at, engine) for at, pod in sorted(coming, key=lambda each: each[0])]):
        pod = one.last.kept.incoming
        assert pod
        token = any(each["name"].startswith("kube-api") for each in pod.pod["spec"]["volumes"])
        found["named" if "name" in pod.pod["metadata"] else "token" if token else "alike"] += 1
    assert found == expected


def test_many_neighbours_take_no_long_time() -> None:
    pods = [asked(f"{n}") for n in range(1_500)]
    whole = stored(pods[0]).kept.decision
    some = [stored(one, n / 1_000, kept=whole) for n, one in enumerate(pods)]
    started = time.process_time()
    assert len(told(*some)) == 1_500
    assert time.process_time() - started < 20
