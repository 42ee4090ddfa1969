"""engine.pods.defaults: what the API server has done to a pod before a webhook sees it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.documents import RequestError
from engine.pods.defaults import defaulted

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "a:1"}], **spec}}


def container(**fields: Any) -> dict[str, Any]:
    made = defaulted(pod(containers=[{"name": "a", "image": "a:1", **fields}]))
    (only,) = made["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def test_a_minimal_pod() -> None:
    """As `kubectl create --dry-run=server` prints it."""
    spec = defaulted(pod())["spec"]
    (volume,), (mount,) = spec.pop("volumes"), spec["containers"][0].pop("volumeMounts")
    assert mount == {"name": volume["name"], "mountPath": TOKEN_PATH, "readOnly": True}
    assert volume["name"].startswith("kube-api-access-")
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    assert spec == {
        "containers": [
            {
                "name": "a",
                "image": "a:1",
                "imagePullPolicy": "IfNotPresent",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "serviceAccount": "default",
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 30,
        "tolerations": [
            {"key": NOT_READY, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
        ],
    }


def test_requests_come_from_limits() -> None:
    limits = {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"}
    assert container(resources={"limits": limits})["resources"] == {"limits": limits, "requests": limits}
    resources = container(resources={"limits": limits, "requests": {"cpu": "500m"}})["resources"]
    assert resources["requests"] == {**limits, "cpu": "500m"}
    assert container(resources={"requests": {"cpu": "1"}})["resources"] == {"requests": {"cpu": "1"}}


def test_init_containers_too() -> None:
    made = defaulted(pod(initContainers=[{"name": "i", "image": "i", "resources": {"limits": {"cpu": 1}}}]))
    (first,) = made["spec"]["initContainers"]
    assert (first["resources"]["requests"], first["imagePullPolicy"]) == ({"cpu": "1"}, "Always")


def test_quantities_are_spelt_as_the_api_server_does() -> None:
    resources = container(resources={"limits": {"cpu": 0.5, "memory": "1024Mi", "nvidia.com/gpu": 2}})["resources"]
    assert resources["limits"] == {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "2"}
    spec = defaulted(pod(overhead={"cpu": "1000m"}, resources={"limits": {"memory": "2048Ki"}}))["spec"]
    of_pod = {"limits": {"memory": "2Mi"}, "requests": {"memory": "2Mi"}}
    assert (spec["overhead"], spec["resources"]) == ({"cpu": "1"}, of_pod)


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
        ("registry:5000/a", "Always"),
        ("registry:5000/a:1", "IfNotPresent"),
        ("a@sha256:0", "IfNotPresent"),
    ],
)
def test_pull_policy(image: str, policy: str) -> None:
    assert container(image=image)["imagePullPolicy"] == policy


def test_ports() -> None:
    ports = container(ports=[{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}])["ports"]
    assert ports == [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]
    made = defaulted(pod(hostNetwork=True, containers=[{"name": "a", "ports": [{"containerPort": 80}]}]))
    assert made["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]


@pytest.mark.parametrize(
    ("own", "added"),
    [
        ({"operator": "Exists"}, []),
        ({"operator": "Exists", "effect": "NoExecute"}, []),
        ({"operator": "Exists", "effect": "NoSchedule"}, [NOT_READY, UNREACHABLE]),
        ({"key": NOT_READY, "operator": "Exists"}, [UNREACHABLE]),
        ({"key": UNREACHABLE, "effect": "NoExecute", "operator": "Exists", "tolerationSeconds": 5}, [NOT_READY]),
        ({"key": NOT_READY, "operator": "Exists", "effect": "NoSchedule"}, [NOT_READY, UNREACHABLE]),
        ({"key": "spot", "operator": "Exists"}, [NOT_READY, UNREACHABLE]),
    ],
)
def test_default_tolerations_unless_covered(own: dict[str, Any], added: list[str]) -> None:
    """Facts, "What the webhook sees at CREATE": a Pod whose tolerations cover not-ready gets no default for it."""
    first, *rest = defaulted(pod(tolerations=[own]))["spec"]["tolerations"]
    assert (first, [toleration["key"] for toleration in rest]) == (own, added)


def test_what_is_said_stays() -> None:
    given = {
        "restartPolicy": "Never",
        "schedulerName": "mine",
        "serviceAccountName": "robot",
        "priority": 7,
        "terminationGracePeriodSeconds": 0,
        "enableServiceLinks": False,
    }
    spec = defaulted(pod(**given))["spec"]
    assert {key: spec[key] for key in given} == given
    assert spec["serviceAccount"] == "robot"


def test_priorities_of_classes_are_known_for_the_systems_only() -> None:
    assert defaulted(pod(priorityClassName="system-node-critical"))["spec"]["priority"] == 2_000_001_000
    assert "priority" not in defaulted(pod(priorityClassName="mine"))["spec"]


def test_a_token_is_mounted_where_nothing_else_is() -> None:
    taken = {"name": "b", "volumeMounts": [{"name": "own", "mountPath": TOKEN_PATH}]}
    spec = defaulted(pod(containers=[{"name": "a"}, taken], initContainers=[{"name": "i"}]))["spec"]
    paths = [
        [mount["name"] for mount in each["volumeMounts"]] for each in (*spec["containers"], *spec["initContainers"])
    ]
    assert paths == [["kube-api-access-00000"], ["own"], ["kube-api-access-00000"]]
    assert len(spec["volumes"]) == 1
    assert "volumes" not in defaulted(pod(containers=[taken]))["spec"]
    assert "volumes" not in defaulted(pod(automountServiceAccountToken=False))["spec"]
    running = defaulted(pod(volumes=[{"name": "kube-api-access-x7k2p", "projected": {"sources": []}}]))["spec"]
    assert len(running["volumes"]) == 1
    assert running["containers"][0]["volumeMounts"][0]["name"] == "kube-api-access-x7k2p"


def test_a_mirror_pod_has_no_service_account() -> None:
    given = pod()
    given["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert not {"serviceAccount", "serviceAccountName", "volumes"} & defaulted(given)["spec"].keys()


def test_what_the_api_server_says_itself_is_not_taken_from_a_file() -> None:
    owner = {"apiVersion": "v1", "kind": "X", "name": "x", "uid": "1"}
    old = "pod.beta.kubernetes.io/init-containers"
    about = {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z", "ownerReferences": [owner, owner]}
    made = defaulted({"metadata": {"name": "p", "annotations": {old: "[]"}, **about}, "spec": pod()["spec"]})
    assert made["metadata"] == {"name": "p", "ownerReferences": [owner]}
    assert made["status"] == {}


def test_null_is_nothing() -> None:
    made = defaulted(
        {"metadata": {"creationTimestamp": None, "labels": {"a": "b"}}, "spec": pod()["spec"] | {"affinity": None}}
    )
    assert made["metadata"] == {"labels": {"a": "b"}}
    assert "affinity" not in made["spec"]


def test_the_given_pod_is_not_touched_and_a_second_time_changes_nothing() -> None:
    given = pod(tolerations=[{"operator": "Exists"}], containers=[{"name": "a", "resources": {"limits": {"cpu": 1}}}])
    before = repr(given)
    made = defaulted(given)
    assert repr(given) == before
    assert defaulted(made) == made


def test_a_quantity_that_is_none_is_told_with_its_path() -> None:
    with pytest.raises(RequestError) as caught:
        defaulted(pod(containers=[{"name": "a", "resources": {"limits": {"cpu": "lots"}}}]), "f.yaml: spec.template.")
    assert (
        str(caught.value) == "f.yaml: spec.template.spec.containers[0].resources.limits.cpu: `lots` is not a quantity"
    )


TOLERATIONS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "key": st.sampled_from(["", NOT_READY, UNREACHABLE, "x"]),
            "operator": st.just("Exists"),
            "effect": st.sampled_from(["", "NoExecute", "NoSchedule"]),
        },
    ),
    max_size=3,
)


@given(TOLERATIONS)
def test_default_tolerations_come_last_and_once(tolerations: list[dict[str, Any]]) -> None:
    made = defaulted(pod(tolerations=tolerations))["spec"]["tolerations"]
    assert made[: len(tolerations)] == [{key: value for key, value in t.items() if value} for t in tolerations]
    assert defaulted(pod(tolerations=made))["spec"]["tolerations"] == made
    for key in (NOT_READY, UNREACHABLE):
        assert any(t.get("key", "") in ("", key) and t.get("effect", "") in ("", "NoExecute") for t in made)
