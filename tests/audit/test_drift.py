"""audit.drift: pods that run where they would not be let, and how somebody may move them."""

from __future__ import annotations

import shlex
import subprocess
from typing import Any

import pytest
import yaml

from audit.drift import Drift, descheduler, drift_of, script
from audit.findings import Workload
from audit.nodes import places_of
from audit.parallel import rows
from audit.replay import Replay
from engine.decision import Decider
from tests.audit.test_replay import NODES, TIME, member, running
from tests.engine.builders import BASE, GOLD, decider

NOW = "2026-01-02T00:00:00Z"


def drifts(engine: Decider, *objects: Any) -> list[Drift]:
    replay = Replay(engine, time=TIME, places=places_of(NODES, engine.pool_index))
    for one in objects:
        replay.given.take(one)
    return drift_of(rows(replay, 1, lambda _: None))


def created(pod: dict[str, Any], at: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    pod["metadata"]["creationTimestamp"] = at
    return pod


@pytest.mark.parametrize(
    ("kind", "commands"),
    [
        ("ReplicaSet", ("kubectl rollout restart deployment/a -n shop",)),
        ("StatefulSet", ("kubectl rollout restart statefulset/a -n shop",)),
        ("Agent", ("kubectl delete pod a-1 -n shop", "kubectl delete pod a-3 -n shop")),
    ],
)
def test_who_makes_pods_again_is_asked_to(kind: str, commands: tuple[str, ...]) -> None:
    (found,) = drifts(
        decider(BASE), *(member(f"a-{i}", "a", f"node-{i}", kind) for i in (1, 2)), member("a-3", "a", "node-4", kind)
    )
    assert (found.pods, found.policies, found.text) == (
        2,
        ("one",),
        "2 of 3 pods run where they would not be let any more",
    )
    assert (found.commands, found.remark) == (commands, "")


def test_what_does_not_come_back_is_not_moved() -> None:
    (bare,) = drifts(decider(BASE), running("a"))
    assert (bare.commands, bare.remark) == ((), "nobody would make them again")
    (refused,) = drifts(decider("deny: [{expression: 'true'}]"), member("a-1", "a"))
    assert (refused.text, refused.commands) == ("1 pods run that would be refused", ())
    (waiting,) = drifts(decider(GOLD), member("a-1", "a", "node-2"))
    assert (waiting.lost, waiting.commands) == (True, ())
    for one in (refused, waiting):
        assert "would not come back" in one.remark
    assert drifts(decider(BASE), member("a-1", "a", "node-2")) == []
    pending = member("a-1", "a")
    del pending["spec"]["nodeName"]
    assert drifts(decider("deny: [{expression: 'true'}]"), pending) == []


def test_a_script_that_moves_them() -> None:
    some = [member("a-1", "a"), member("b-1", "b"), member("c-1", "c"), running("d")]
    lines = list(script(drifts(decider(BASE), *some), 120, "a b"))
    assert lines[4:] == [
        "# Deployment shop/a: 1 of 1 pods run where they would not be let any more",
        "kubectl rollout restart deployment/a -n shop --context 'a b'",
        "sleep 60",
        "# Deployment shop/b: 1 of 1 pods run where they would not be let any more",
        "kubectl rollout restart deployment/b -n shop --context 'a b'",
        "sleep 60",
        "# Deployment shop/c: 1 of 1 pods run where they would not be let any more",
        "kubectl rollout restart deployment/c -n shop --context 'a b'",
        "# Pod default/d: 1 of 1 pods run where they would not be let any more; nobody would make them again",
    ]
    assert subprocess.run(["sh", "-n"], input="\n".join(lines), text=True, check=False).returncode == 0


def test_names_are_no_commands() -> None:
    """The author of a file may write what they like into it."""
    evil = "$(touch /tmp/x)\n; reboot"
    one = Drift("", Workload("example.com/v1", "Agent", evil, evil), 1, f"text\n{evil}", (evil,))
    (words,) = [shlex.split(command) for command in one.commands]
    assert words == ["kubectl", "delete", "pod", evil, "-n", evil]
    lines = list(script([one]))
    assert [line for line in lines if "reboot" in line and not line.startswith("#")] == list(one.commands)


def test_a_policy_for_the_descheduler() -> None:
    pods = [created(member("a-1", "a")), created(member("a-2", "a"), "2026-01-01T23:00:00Z"), created(running("bare"))]
    text = "\n".join(descheduler(drifts(decider(BASE), *pods, member("c-1", "c")), NOW))
    policy = yaml.safe_load(text)
    assert (policy["apiVersion"], policy["kind"]) == ("descheduler/v1alpha2", "DeschedulerPolicy")
    (profile,) = policy["profiles"]
    assert profile["plugins"] == {"deschedule": {"enabled": ["PodLifeTime"]}}
    (config,) = profile["pluginConfig"]
    assert config["args"] == {
        "maxPodLifeTimeSeconds": 3599,
        "namespaces": {"include": ["shop"]},
        "labelSelector": {"matchLabels": {"app": "a", "pod-template-hash": "5d9c"}},
    }
    assert "# not here: Deployment shop/c: nobody knows how old its pods are" in text
    assert "# not here: Pod default/bare: nobody would make them again" in text


def test_labels_are_those_that_all_have() -> None:
    pods = [member(f"a-{i}", "a", kind="StatefulSet", same="x", own=str(i)) for i in (1, 2)]
    for i, one in enumerate(pods):
        one["metadata"]["labels"]["apps.kubernetes.io/pod-index"] = str(i)
    (found,) = drifts(decider(BASE), *pods)
    assert dict(found.labels) == {"app": "a", "same": "x"}
