"""engine.pods.manifests: incoming pods from files."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.documents import Manifest, RequestError, Source, parse_manifests
from engine.pods.incoming import IncomingPod, Owner
from engine.pods.manifests import pods_from_documents
from engine.pods.namespaces import named
from engine.pods.shape import POD as POD_SHAPE
from engine.pods.shape import WORKLOAD, check_pod
from tests.examples import examples

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: a}]}\n"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: a, image: a, resources: {limits: {cpu: 1}}}]}
"""
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: x}}\n"


def documents(*texts: str) -> list[Manifest]:
    made: list[Manifest] = []
    for number, text in enumerate(texts):
        some, problems = parse_manifests(Source(f"f{number}.yaml", text))
        assert problems == ()
        made += some
    return made


def read(*texts: str, **options: Any) -> tuple[IncomingPod, ...]:
    return pods_from_documents(documents(*texts), **options)


def test_a_bare_pod() -> None:
    (incoming,) = read(POD)
    assert incoming.pod["metadata"] == {"name": "p", "namespace": "default"}
    assert incoming.pod["spec"]["schedulerName"] == "default-scheduler"
    assert (incoming.owner, incoming.name, incoming.namespace_name) == (None, "p", "default")
    labels = {"kubernetes.io/metadata.name": "default"}
    assert incoming.namespace == {"metadata": {"name": "default", "labels": labels}}
    assert incoming.request == {
        "operation": "CREATE",
        "namespace": "default",
        "dryRun": False,
        "userInfo": {"username": "", "uid": "", "groups": []},
    }


def test_a_workload() -> None:
    (incoming,) = read(DEPLOYMENT)
    assert (incoming.owner, incoming.namespace_name) == (Owner("apps/v1", "Deployment", "web"), "shop")
    assert incoming.pod["metadata"]["namespace"] == "shop"
    assert incoming.pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1"}
    assert incoming.request["userInfo"]["username"].endswith(":replicaset-controller")


def test_namespaces_are_matched_by_name_wherever_they_stand() -> None:
    other = NAMESPACE.replace("shop", "other").replace("x", "z")
    for texts in ((DEPLOYMENT, NAMESPACE, other), (other, NAMESPACE, DEPLOYMENT)):
        (incoming,) = read(*texts)
        assert incoming.namespace["metadata"]["labels"] == {"team": "x", "kubernetes.io/metadata.name": "shop"}


def test_where_a_pod_goes_that_does_not_say() -> None:
    assert [each.namespace_name for each in read(POD, DEPLOYMENT, namespace="team")] == ["team", "shop"]


def test_a_request_may_be_said() -> None:
    (incoming,) = read(POD, request={"dryRun": True, "userInfo": {"username": "ann"}})
    assert incoming.request == {
        "operation": "CREATE",
        "namespace": "default",
        "dryRun": True,
        "userInfo": {"username": "ann", "uid": "", "groups": []},
    }


def test_lists_of_lists_and_many_documents() -> None:
    (pod,), (deployment,) = documents(POD), documents(DEPLOYMENT)
    untyped = {key: value for key, value in pod.data.items() if key not in ("kind", "apiVersion")}
    pods = {"apiVersion": "v1", "kind": "PodList", "items": [untyped, untyped]}
    deployments = {
        "apiVersion": "apps/v1",
        "kind": "DeploymentList",
        "items": [{**deployment.data, "kind": "Deployment"}],
    }
    everything = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [pods, deployments, {"apiVersion": "v1", "kind": "Service"}],
    }
    found = read(json.dumps(everything), f"{POD}---\n{DEPLOYMENT}---\n# nothing\n---\nkind: ConfigMap\n")
    assert [each.name for each in found] == ["p", "p", "web", "p", "web"]


def test_pods_of_a_cluster_keep_what_they_have() -> None:
    given = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-abc-x",
            "namespace": "shop",
            "labels": {"pod-template-hash": "abc"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-abc", "controller": True}],
        },
        "spec": {"nodeName": "n1", "priority": 5, "containers": [{"name": "a", "image": "a"}]},
        "status": {"phase": "Running"},
    }
    (incoming,) = read(json.dumps(given))
    assert (incoming.pod["spec"]["nodeName"], incoming.pod["spec"]["priority"]) == ("n1", 5)
    assert incoming.pod["status"] == {"phase": "Running"}
    assert incoming.request["userInfo"]["username"].endswith(":replicaset-controller")


def test_old_yaml_is_read_as_kubectl_does() -> None:
    (incoming,) = read(POD.replace("spec: {", "spec: {hostNetwork: yes, terminationGracePeriodSeconds: 0o17, "))
    assert (incoming.pod["spec"]["hostNetwork"], incoming.pod["spec"]["terminationGracePeriodSeconds"]) == (True, 15)


def test_equal_files_give_equal_subjects() -> None:
    assert read(DEPLOYMENT, NAMESPACE) == read(DEPLOYMENT, NAMESPACE)


def pod_with(**spec: Any) -> str:
    return json.dumps({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}], **spec}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "f0.yaml: the document is not an object"),
        ("x", "f0.yaml: the document is not an object"),
        ("kind: List\nitems: [1]", "f0.yaml: items[0]: this is not an object"),
        ("kind: Namespace\nmetadata: {}", "f0.yaml: metadata.name: the namespace has no name"),
        ("kind: Pod\nmetadata: {name: p}", "f0.yaml: spec.containers: a pod needs a container"),
        ("kind: Pod\nmetadata: []", "f0.yaml: metadata: this must be a map"),
        (
            POD.replace("{name: p}", "{labels: {version: 1}}"),
            "f0.yaml: metadata.labels.version: this must be text: quote `1`",
        ),
        (
            POD.replace("{name: p}", "{labels: {spot: true}}"),
            "f0.yaml: metadata.labels.spot: this must be text: quote `true`",
        ),
        (POD.replace("{name: p}", "{labels: {a: []}}"), "f0.yaml: metadata.labels.a: this must be text"),
        (pod_with(nodeSelector=["a"]), "f0.yaml: spec.nodeSelector: this must be a map"),
        (pod_with(tolerations={}), "f0.yaml: spec.tolerations: this must be a list"),
        (
            pod_with(tolerations=[{"tolerationSeconds": "5"}]),
            "f0.yaml: spec.tolerations[0].tolerationSeconds: this must be a whole number",
        ),
        (
            pod_with(topologySpreadConstraints=[{"maxSkew": True}]),
            "f0.yaml: spec.topologySpreadConstraints[0].maxSkew: this must be a whole number",
        ),
        (
            pod_with(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}),
            "f0.yaml: spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution: this must be a map",
        ),
        (
            pod_with(containers=[{"name": "a", "resources": {"limits": {"cpu": []}}}]),
            "f0.yaml: spec.containers[0].resources.limits.cpu: this must be a quantity",
        ),
        (
            DEPLOYMENT.replace("cpu: 1", "cpu: one"),
            "f0.yaml: spec.template.spec.containers[0].resources.limits.cpu: `one` is not a quantity",
        ),
        (
            DEPLOYMENT.replace("namespace: shop", "namespace: 1"),
            "f0.yaml: metadata.namespace: this must be text: quote `1`",
        ),
        (DEPLOYMENT.replace("name: web, ", ""), "f0.yaml: metadata.name: the workload has no name"),
        (
            POD.replace("spec: {", "spec: {tolerations: [null], "),
            "f0.yaml: spec.tolerations[0]: an item of a list can't be null",
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w}\nspec: {}\n",
            "f0.yaml: spec.template.spec.containers: a pod needs a container",
        ),
        (
            "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: w}\nspec: {jobTemplate: {}}\n",
            "f0.yaml: spec.jobTemplate.spec.template.spec.containers: a pod needs a container",
        ),
        (
            '{"kind": "PodList", "items": [{"metadata": {"annotations": {"a": 1}}}]}',
            "f0.yaml: items[0].metadata.annotations.a: this must be text: quote `1`",
        ),
    ],
)
def test_what_the_api_server_would_not_take(text: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(text)
    assert str(caught.value) == message


KINDS = [("v1", "Pod"), ("v1", "ReplicationController"), ("v1", "Namespace"), ("v1", "List"), ("example.com/v1", "Own")]
KINDS += [("apps/v1", kind) for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")]
KINDS += [("batch/v1", "Job"), ("batch/v1", "CronJob")]
SHAPES = json.dumps([POD_SHAPE, WORKLOAD], default=str)
WORDS = sorted(set(re.findall(r'"(\w+)": ', SHAPES)) | {"jobTemplate", "template", "spec", "items"})
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 9) | st.sampled_from(["", "a", "1Gi", "Indexed"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=10,
)
PART = st.dictionaries(st.sampled_from(WORDS), ANYTHING, max_size=4)


def spec_of(part: dict[str, Any], template: dict[str, Any], metadata: Any) -> dict[str, Any]:
    inner = {"metadata": metadata, "spec": {"containers": [{"name": "a"}], **template}}
    return {"containers": [{"name": "a"}], "template": inner, "jobTemplate": {"spec": {"template": inner}}, **part}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("kind: [Pod]", "kind"),
        ("{kind: {Pod: 1}, spec: {template: {spec: {containers: [{name: c}]}}}}", "kind"),
        ("{kind: List, items: [{kind: [a]}]}", "items[0].kind"),
        ("{kind: PodList, items: [{kind: {a: b}, metadata: {name: x}}]}", "items[0].kind"),
        ("kind: 7", "kind"),
        ("kind: true", "kind"),
    ],
)
def test_a_kind_is_text(text: str, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(f"{text}\n")
    assert str(caught.value) == f"f0.yaml: {place}: this must be text"


@given(st.sampled_from(KINDS), ANYTHING | PART, st.builds(spec_of, PART, PART, ANYTHING) | ANYTHING)
@examples(150)
def test_no_object_breaks_the_reading(kind: tuple[str, str], metadata: Any, spec: Any) -> None:
    data = {"apiVersion": kind[0], "kind": kind[1], "metadata": metadata, "spec": spec, "items": spec}
    try:
        incoming_pods = pods_from_documents([Manifest(Source("f", ""), data)])
    except RequestError as error:
        assert str(error).startswith("f: ")  # noqa: PT017 - either outcome is right, a crash is not
    else:
        assert all(incoming.pod["spec"]["containers"] for incoming in incoming_pods)


def test_fields_of_a_newer_api_are_nobodys_business() -> None:
    check_pod(
        {"metadata": {"new": 1}, "spec": {"containers": [{"new": []}], "affinity": {"newAffinity": 1}, "new": {}}}
    )


def test_a_namespace_is_labelled_with_its_name() -> None:
    given = {"metadata": {"name": "a", "labels": {"b": "c"}, "annotations": {"d": "e"}}}
    assert named("a", given)["metadata"] == {
        "name": "a",
        "labels": {"b": "c", "kubernetes.io/metadata.name": "a"},
        "annotations": {"d": "e"},
    }
