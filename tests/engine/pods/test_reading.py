"""engine.pods.reading: what the API server's types leave of a pod. Whole pods are compared in tests/e2e."""

from __future__ import annotations

from typing import Any

import pytest

from engine.documents import RequestError
from engine.pods.reading import as_read, types


def spec(**fields: Any) -> Any:
    return as_read({"spec": {"containers": [{"name": "a"}], **fields}})["spec"]


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"hostNetwork": False, "nodeSelector": {}, "hostname": "", "priority": None}, {}),
        ({"volumes": [], "affinity": None, "activeDeadlineSeconds": 0}, {"activeDeadlineSeconds": 0}),
        ({"affinity": {}}, {"affinity": {}}),
        ({"affinity": {"nodeAffinity": {}, "podAffinity": None}}, {"affinity": {"nodeAffinity": {}}}),
        ({"securityContext": {"runAsUser": 0, "runAsNonRoot": False, "sysctls": []}},
         {"securityContext": {"runAsUser": 0, "runAsNonRoot": False}}),
        ({"nodeselector": {"a": "b"}}, {}),
        ({"tolerations": [{"key": "", "operator": "Exists", "tolerationSeconds": 0}]},
         {"tolerations": [{"operator": "Exists", "tolerationSeconds": 0}]}),
        ({"tolerations": [{}]}, {"tolerations": [{}]}),
        ({"affinity": {"nodeAffinity": {REQUIRED: {}}}},
         {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": None}}}}),
        ({"terminationGracePeriodSeconds": 5.0}, {"terminationGracePeriodSeconds": 5}),
    ],
)  # fmt: skip
def test_what_is_left(given: dict[str, Any], left: dict[str, Any]) -> None:
    assert spec(**given) == {"containers": [{"name": "a", "resources": {}}], **left}


def test_what_is_always_written() -> None:
    made = spec(volumes=[{"csi": {}}], containers=[{"env": [{"valueFrom": {"resourceFieldRef": {}}}]}])
    assert made["volumes"] == [{"name": "", "csi": {"driver": ""}}]
    (container,) = made["containers"]
    assert container == {
        "name": "",
        "resources": {},
        "env": [{"name": "", "valueFrom": {"resourceFieldRef": {"resource": "", "divisor": "0"}}}],
    }
    assert as_read({}) == {"metadata": {}, "spec": {"containers": None}, "status": {}}


def test_the_given_pod_is_not_touched_and_all_is_new() -> None:
    given = {"spec": {"containers": [{"name": "a", "command": ["x"]}]}}
    made = as_read(given)
    made["spec"]["containers"][0]["command"].append("y")
    assert given == {"spec": {"containers": [{"name": "a", "command": ["x"]}]}}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hostNetwork": "yes"}, "spec.hostNetwork: this must be true or false"),
        ({"hostname": 7}, "spec.hostname: this must be text: quote it"),
        ({"volumes": {}}, "spec.volumes: this must be a list"),
        ({"nodeSelector": []}, "spec.nodeSelector: this must be a map"),
        ({"nodeSelector": {1: "a"}}, "spec.nodeSelector.1: this must be text: quote it"),
        ({"priority": True}, "spec.priority: this must be a whole number"),
        ({"priority": 2**31}, "spec.priority: this must be a number of 32 bits"),
        ({"containers": [{"name": "a"}, {"env": [{"name": "x", "value": 12345}]}]},
         "spec.containers[1].env[0].value: this must be text: quote it"),
        ({"containers": [{"ports": [{"containerPort": "80"}]}]},
         "spec.containers[0].ports[0].containerPort: this must be a whole number"),
        ({"volumes": [{"emptyDir": {"sizeLimit": "lots"}}]},
         "spec.volumes[0].emptyDir.sizeLimit: `lots` is not a quantity"),
    ],
)  # fmt: skip
def test_another_type_is_told_with_its_path_and_without_its_value(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError) as caught:
        as_read({"spec": {"containers": [{"name": "a"}], **fields}}, "f.yaml: ")
    assert str(caught.value) == f"f.yaml: {said}"


def test_moments_are_in_utc_and_whole_seconds() -> None:
    read = types()["PodCondition"]
    assert read({"lastProbeTime": "2026-01-01T01:00:00.9+02:00"})["lastProbeTime"] == "2025-12-31T23:00:00Z"
    with pytest.raises(RequestError):
        as_read({"metadata": {"deletionTimestamp": "yesterday"}, "spec": {}})
