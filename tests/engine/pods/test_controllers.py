"""engine.pods.controllers: the pods that workloads would make. Compared with the real controllers in tests/e2e."""

from __future__ import annotations

from typing import Any

import pytest

from engine.documents import Manifest, RequestError, Source
from engine.pods.authors import DAEMON_SET_CONTROLLERS, made_by_daemon_set_controller
from engine.pods.controllers import NODE, pod_of_workload, pod_template, user_of, vouched_owner, workload_name
from engine.pods.incoming import IncomingPod, Owner
from engine.pods.manifests import pods_from_documents
from engine.pods.owner import owner_of
from engine.struct import replace

Json = Any
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
TEMPLATE: Json = {
    "metadata": {"labels": {"app": "web"}, "annotations": {"note": "x"}, "creationTimestamp": None},
    "spec": {"containers": [{"name": "a", "image": "a"}]},
}


def workload(kind: str, version: str = "apps/v1", template: Json = None, **spec: Json) -> dict[str, Json]:
    made = {"template": template or TEMPLATE, **spec}
    if kind == "CronJob":
        made = {"jobTemplate": {"spec": made}}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "web"}, "spec": made}


def made(given: dict[str, Json]) -> tuple[dict[str, Json], Owner]:
    template = pod_template(given)
    assert template is not None
    return pod_of_workload(given, template, workload_name(given), "shop")


def test_what_all_controllers_do() -> None:
    pod, owner = made(workload("CloneSet", "apps.kruise.io/v1alpha1"))
    (reference,) = pod["metadata"].pop("ownerReferences")
    assert pod == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "web-",
            "namespace": "shop",
            "labels": {"app": "web"},
            "annotations": {"note": "x"},
        },
        "spec": TEMPLATE["spec"],
    }
    uid = reference.pop("uid")
    assert (len(uid), uid.count("-")) == (36, 4)
    assert reference == {
        "apiVersion": "apps.kruise.io/v1alpha1",
        "kind": "CloneSet",
        "name": "web",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert owner == Owner("apps.kruise.io/v1alpha1", "CloneSet", "web")


@pytest.mark.parametrize(
    ("given", "owner", "reference"),
    [
        (workload("Deployment"), "Deployment", "ReplicaSet"),
        (workload("ReplicaSet"), "ReplicaSet", "ReplicaSet"),
        (workload("ReplicationController", "v1"), "ReplicationController", "ReplicationController"),
        (workload("StatefulSet"), "StatefulSet", "StatefulSet"),
        (workload("DaemonSet"), "DaemonSet", "DaemonSet"),
        (workload("Job", "batch/v1"), "Job", "Job"),
        (workload("CronJob", "batch/v1"), "CronJob", "Job"),
        (workload("Rollout", "argoproj.io/v1alpha1"), "Rollout", "Rollout"),
    ],
)
def test_owners(given: dict[str, Json], owner: str, reference: str) -> None:
    pod, said = made(given)
    assert (said.kind, said.name, said.api_version) == (owner, "web", given["apiVersion"])
    assert pod["metadata"]["ownerReferences"][0]["kind"] == reference
    assert pod["metadata"]["labels"]["app"] == "web"
    found = owner_of(IncomingPod(pod, {}, {}))
    assert found is not None
    assert (found.kind, found.name) == (said.kind, said.name)


def test_a_deployments_pod_is_its_replica_sets() -> None:
    pod, _ = made(workload("Deployment"))
    suffix = pod["metadata"]["labels"]["pod-template-hash"]
    assert pod["metadata"]["generateName"] == f"web-{suffix}-"
    assert pod["metadata"]["ownerReferences"][0]["name"] == f"web-{suffix}"
    other, _ = made(workload("Deployment", template={**TEMPLATE, "spec": {"containers": [{"name": "b"}]}}))
    assert other["metadata"]["labels"]["pod-template-hash"] != suffix
    assert made(workload("Deployment")) == made(workload("Deployment"))


def test_a_stateful_sets_pod_is_its_first() -> None:
    claims = [{"metadata": {"name": "data"}, "spec": {}}]
    template = {
        **TEMPLATE,
        "spec": {**TEMPLATE["spec"], "volumes": [{"name": "data"}, {"name": "tmp", "emptyDir": {}}]},
    }
    given = workload(
        "StatefulSet", template=template, serviceName="svc", volumeClaimTemplates=claims, ordinals={"start": 3}
    )
    pod, _ = made(given)
    labels = pod["metadata"]["labels"]
    assert (pod["metadata"]["name"], pod["metadata"]["generateName"]) == ("web-3", "web-")
    assert labels["apps.kubernetes.io/pod-index"] == "3"
    assert labels["statefulset.kubernetes.io/pod-name"] == "web-3"
    assert labels["controller-revision-hash"].startswith("web-")
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("web-3", "svc")
    assert pod["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-3"}},
        {"name": "tmp", "emptyDir": {}},
    ]


def test_a_daemon_sets_pod_is_made_for_a_node() -> None:
    """Facts: exactly one term, the template's own terms replaced, its preferred terms and node selector stay."""
    affinity = {
        "nodeAffinity": {
            REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]},
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {}}],
        },
        "podAffinity": {},
    }
    own = {"key": "node.kubernetes.io/disk-pressure", "operator": "Exists", "effect": "NoSchedule"}
    spec = {**TEMPLATE["spec"], "affinity": affinity, "nodeSelector": {"b": "c"}, "tolerations": [own, {"key": "x"}]}
    pod, _ = made(workload("DaemonSet", template={"spec": {**spec, "hostNetwork": True}}))
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [NODE]}]}
    assert pod["spec"]["affinity"]["nodeAffinity"][REQUIRED] == {"nodeSelectorTerms": [term]}
    assert pod["spec"]["affinity"]["nodeAffinity"].keys() == affinity["nodeAffinity"].keys()
    assert (pod["spec"]["affinity"]["podAffinity"], pod["spec"]["nodeSelector"]) == ({}, {"b": "c"})
    keys = [toleration["key"].removeprefix("node.kubernetes.io/") for toleration in pod["spec"]["tolerations"]]
    assert keys[0] == "x"
    added = ["not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"]
    assert keys[1:] == [*added, "network-unavailable"]
    other, _ = made(workload("DaemonSet"))
    assert len(other["spec"]["tolerations"]) == len(added)
    assert other["metadata"]["labels"]["pod-template-generation"] == "1"


def test_a_jobs_pod() -> None:
    pod, _ = made(workload("Job", "batch/v1"))
    labels, uid = pod["metadata"]["labels"], pod["metadata"]["ownerReferences"][0]["uid"]
    assert labels == {
        "app": "web",
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "web",
        "controller-uid": uid,
        "job-name": "web",
    }
    assert pod["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]


def test_an_indexed_jobs_pod_is_its_first_and_its_own_selector_gets_no_uid() -> None:
    pod, _ = made(workload("Job", "batch/v1", completionMode="Indexed", manualSelector=True))
    metadata = pod["metadata"]
    assert metadata["labels"]["batch.kubernetes.io/job-completion-index"] == "0"
    assert metadata["annotations"] == {"note": "x", "batch.kubernetes.io/job-completion-index": "0"}
    assert (metadata["generateName"], pod["spec"]["hostname"]) == ("web-0-", "web-0")
    assert [each["name"] for each in pod["spec"]["containers"][0]["env"]] == ["JOB_COMPLETION_INDEX"]
    assert "env" not in TEMPLATE["spec"]["containers"][0]
    assert "controller-uid" not in metadata["labels"]


def test_a_cron_jobs_pod_is_its_jobs() -> None:
    pod, _ = made(workload("CronJob", "batch/v1"))
    name = pod["metadata"]["ownerReferences"][0]["name"]
    assert (name.startswith("web-"), pod["metadata"]["labels"]["job-name"]) == (True, name)


def test_what_stands_between_is_passed_over() -> None:
    replica_set = workload("ReplicaSet")
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "front", "controller": True}
    replica_set["metadata"] |= {"name": "front-abc", "ownerReferences": [reference]}
    pod, owner = made(replica_set)
    assert owner == Owner("apps/v1", "Deployment", "front")
    assert pod["metadata"]["ownerReferences"][0]["name"] == "front-abc"
    replica_set["metadata"]["ownerReferences"] = [{**reference, "kind": "Rollout"}]
    assert made(replica_set)[1].kind == "ReplicaSet"


def test_a_workloads_own_uid_is_kept() -> None:
    given = workload("Job", "batch/v1")
    given["metadata"]["uid"] = "u"
    assert made(given)[0]["metadata"]["labels"]["controller-uid"] == "u"


def test_what_has_a_template() -> None:
    for kind, version in (("Service", "v1"), ("ConfigMap", "v1"), ("PodTemplate", "v1")):
        assert (
            pod_template({"apiVersion": version, "kind": kind, "spec": {"selector": {}}, "template": TEMPLATE}) is None
        )
    assert pod_template({"kind": "Certificate", "spec": {"template": {"spec": {"x": 1}}}}) is None
    assert pod_template({"kind": "Certificate", "spec": {"template": {"spec": {"containers": {}}}}}) is None
    assert (
        pod_template({"kind": "Service", "apiVersion": "serving.knative.dev/v1", "spec": {"template": TEMPLATE}})
        == TEMPLATE
    )
    assert pod_template({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {}}) == {}


def test_names() -> None:
    assert workload_name({"metadata": {"generateName": "nightly-"}}) == "nightly-00000"
    for metadata in ({}, {"name": ""}, {"name": 1}):
        with pytest.raises(RequestError, match=r"metadata\.name: the workload has no name"):
            workload_name({"metadata": metadata})


def test_who_creates_it() -> None:
    user = user_of(made(workload("Deployment"))[0])
    assert user == {
        "username": "system:serviceaccount:kube-system:replicaset-controller",
        "uid": "",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
    }
    assert user_of(made(workload("CronJob", "batch/v1"))[0])["username"].endswith(":job-controller")
    nobody = {"username": "", "uid": "", "groups": []}
    assert user_of({}) == user_of(made(workload("Rollout", "a/v1"))[0]) == nobody
    assert user_of(made(workload("DaemonSet", "apps.kruise.io/v1alpha1"))[0]) == nobody
    static = {"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}, "spec": {"nodeName": "n"}}
    assert user_of(static) == {
        "username": "system:node:n",
        "uid": "",
        "groups": ["system:nodes", "system:authenticated"],
    }
    assert user_of({**static, "spec": {}}) == nobody


@pytest.mark.parametrize(
    ("user", "believed"),
    [
        ("system:serviceaccount:kube-system:replicaset-controller", True),
        ("system:kube-controller-manager", True),
        ("system:serviceaccount:kube-system:job-controller", False),
        ("system:serviceaccount:team:replicaset-controller", False),
        ("john", False),
        ("", False),
    ],
)
def test_an_owner_is_vouched_for_by_the_controller_of_its_kind_alone(user: str, believed: bool) -> None:
    pod, _ = made(workload("Deployment"))
    incoming = IncomingPod(pod, {"metadata": {"name": "x"}}, {"userInfo": {"username": user}})
    owner = pod["metadata"]["ownerReferences"][0]
    assert vouched_owner(incoming) == (owner if believed else None)
    forged = {**pod, "metadata": {**pod["metadata"], "ownerReferences": [{**owner, "apiVersion": "apps.example/v1"}]}}
    assert vouched_owner(replace(incoming, pod=forged)) is None
    assert vouched_owner(replace(incoming, pod={})) is None


def test_a_daemon_sets_pod_in_a_file_is_left_alone_by_its_shape() -> None:
    """There is nobody to distrust: neither where the DaemonSet is, nor where a pod of it was written down."""
    (of_workload,) = pods_from_documents([Manifest(Source("f", ""), workload("DaemonSet"))])
    (dumped,) = pods_from_documents([Manifest(Source("f", ""), {"kind": "Pod", **dict(of_workload.pod)})])
    for one in (of_workload, dumped):
        assert made_by_daemon_set_controller(one, DAEMON_SET_CONTROLLERS)
    (asked_for,) = pods_from_documents(
        [Manifest(Source("f", ""), dict(of_workload.pod))], request={"userInfo": {"username": "jane"}}
    )
    assert not made_by_daemon_set_controller(asked_for, DAEMON_SET_CONTROLLERS)
