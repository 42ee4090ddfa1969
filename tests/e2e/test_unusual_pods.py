"""Pods that other tools trip over, through the webhook of a real API server, to where the real scheduler puts them."""

from __future__ import annotations

from collections.abc import Sequence

import jsonpatch
import pytest

from engine.nodeselector import Term, parse_term
from engine.placement import Placement
from tests.engine.builders import patch_of
from tests.engine.matching import REQUIRED

from .controlplane import ApiError, ControlPlane, Json
from .fleet import ZONE, add_general, add_gpu
from .pods import daemon_set, pod
from .serving import admission

TRAINING, PERSONAL = {"workload": "training"}, {"data": "personal"}
IN_EUROPE = {"key": ZONE, "operator": "In", "values": ["eu-1a", "eu-1b"]}
GATED = {"schedulingGates": [{"name": "tests.bayplan.dev/wait"}]}
MIRROR = "kubernetes.io/config.mirror"
KUBELET = {"username": "system:node:general-1", "groups": ["system:nodes"]}


def affinity(*terms: Json) -> Json:
    """A spec with these required node selector terms."""
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}}


def term(key: str, operator: str, *values: str) -> Json:
    """A term of one match expression."""
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


def terms_of(given: Json) -> list[Json]:
    """The required node selector terms of a pod that has some."""
    return list(given["spec"]["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"])


def expressions_of(given: Json) -> list[Json]:
    """The match expressions of each term, None where a term has none."""
    return [one.get("matchExpressions") for one in terms_of(given)]


# Gated pods


def test_a_gated_pod_is_patched_when_it_is_created_and_goes_there_once_it_may(
    cluster: ControlPlane, namespace: str
) -> None:
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    with admission(cluster, namespace):
        made = cluster.create_pod(namespace, pod("t", labels=TRAINING, spec=GATED))
    assert len(cluster.admission_patches(namespace)) == 1
    assert "nodeName" not in cluster.pod(namespace, "t")["spec"]
    let_go = cluster.api(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/pods/t",
        {"spec": {"schedulingGates": None}},
        content_type="application/merge-patch+json",
    )
    assert let_go["spec"]["affinity"] == made["spec"]["affinity"]
    assert cluster.wait_bound(namespace, "t") == "gpu-1"


SSD, HDD = term("disk", "In", "ssd"), term("disk", "In", "hdd")
EUROPE, EAST = parse_term({"matchExpressions": [IN_EUROPE]}), parse_term(term("side", "In", "east"))
OF_GATED_PODS: dict[str, tuple[Json, list[Term], bool]] = {
    "no terms get some": ({}, [EUROPE, EAST], True),
    "each of several terms gets an expression more": (affinity(SSD, HDD), [EUROPE], True),
    "a term for each of two alternatives": (affinity(SSD), [EUROPE, EAST], False),
    "a term that can't be met goes": (affinity(term(ZONE, "In", "us-1a"), SSD), [EUROPE], False),
}


@pytest.mark.parametrize("name", OF_GATED_PODS)
def test_what_the_api_server_lets_change_on_a_gated_pod(cluster: ControlPlane, namespace: str, name: str) -> None:
    """Its terms may only be said more about, so a patch that fits at creation may come too late for a gated pod."""
    spec, required, allowed = OF_GATED_PODS[name]
    made = cluster.create_pod(namespace, pod("t", spec={**spec, **GATED}))
    operations = patch_of(made, Placement(tuple(required)))
    answer = cluster.request(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/pods/t",
        list(operations),
        content_type="application/json-patch+json",
    )
    assert answer.is_success == allowed, answer.text
    fresh = {**made, "metadata": {"name": "fresh"}, "status": {}}
    narrowed = cluster.create_pod(namespace, applied(fresh, required))
    if allowed:
        assert answer.json()["spec"]["affinity"] == narrowed["spec"]["affinity"]
    else:
        assert "no additions/deletions to non-empty NodeSelectorTerms list are allowed" in answer.text


def applied(given: Json, required: Sequence[Term]) -> Json:
    """A pod with a placement worked in before it is created."""
    return jsonpatch.apply_patch(given, list(patch_of(given, Placement(tuple(required)))))


# Pods that say their node


def test_a_pod_with_match_fields_keeps_them_and_runs_only_where_both_agree(
    cluster: ControlPlane, namespace: str
) -> None:
    add_gpu(cluster, "gpu-1")
    add_gpu(cluster, "gpu-2")
    add_general(cluster, "general-1")

    def named(name: str, node: str) -> Json:
        fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
        return pod(name, labels=TRAINING, spec=affinity({"matchFields": fields}))

    with admission(cluster, namespace):
        made = cluster.create_pod(namespace, named("fits", "gpu-2"))
        assert cluster.wait_bound(namespace, "fits") == "gpu-2"
        cluster.create_pod(namespace, named("does-not", "general-1"))
        cluster.wait_unschedulable(namespace, "does-not")
    (one,) = terms_of(made)
    assert one["matchFields"] == [{"key": "metadata.name", "operator": "In", "values": ["gpu-2"]}]
    assert {expression["key"] for expression in one["matchExpressions"]} == {
        "accelerator",
        "cloud.google.com/gke-nodepool",
    }


def test_pods_of_a_daemon_set_keep_the_one_node_that_each_is_for(cluster: ControlPlane, namespace: str) -> None:
    for name in ("general-1", "general-2"):
        add_general(cluster, name, {ZONE: "us-1a"})
    with admission(cluster, namespace):
        cluster.apply(daemon_set("agent", namespace, labels=PERSONAL))
        bound = cluster.wait_all_bound(namespace, "app=agent", 2)
        made = cluster.pods(namespace)
    assert set(bound.values()) == {"general-1", "general-2"}
    for each in made:
        (one,) = terms_of(each)
        node = each["spec"]["nodeName"]
        assert one == {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    assert cluster.admission_patches(namespace) == []


def test_the_mirror_of_a_static_pod_is_left_alone_even_by_what_denies(cluster: ControlPlane, namespace: str) -> None:
    add_general(cluster, "general-1")
    cluster.grant(namespace, "edit", "system:nodes")
    spec = {"nodeName": "general-1", "hostNetwork": True, "automountServiceAccountToken": False}
    mirror = pod("static-general-1", labels=TRAINING, spec=spec)
    mirror["metadata"]["annotations"] = {MIRROR: "0123456789abcdef"}
    with admission(cluster, namespace):
        with pytest.raises(ApiError, match="hostNetwork is not for workloads"):
            cluster.create_pod(namespace, mirror)
        made = cluster.create_pod(namespace, mirror, user=KUBELET)
        with pytest.raises(ApiError, match="hostNetwork is not for workloads"):
            cluster.create_pod(namespace, pod("no-mirror", labels=TRAINING, spec=spec))
    assert "affinity" not in made["spec"]
    assert cluster.admission_patches(namespace) == []


def test_a_pod_that_is_bound_when_it_is_created_is_judged_but_not_patched(
    cluster: ControlPlane, namespace: str
) -> None:
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    bound = {"nodeName": "general-1"}
    with admission(cluster, namespace):
        made = cluster.create_pod(namespace, pod("bound", labels=TRAINING, spec=bound))
        with pytest.raises(ApiError, match="hostNetwork is not for workloads"):
            cluster.create_pod(namespace, pod("denied", labels=TRAINING, spec={**bound, "hostNetwork": True}))
    assert "affinity" not in made["spec"]
    assert cluster.admission_patches(namespace) == []


# Terms that mislead


def test_a_pod_with_an_empty_term_can_not_run_there(cluster: ControlPlane, namespace: str) -> None:
    """The API server takes an empty term, and it matches nothing; with one requirement added it would match."""
    cluster.add_node("in-europe", {ZONE: "eu-1a"})
    with admission(cluster, namespace):
        alone = cluster.create_pod(namespace, pod("alone", labels=PERSONAL, spec=affinity({})))
        beside = pod("beside", labels=PERSONAL, spec=affinity({}, term("disk", "DoesNotExist")))
        with_another = cluster.create_pod(namespace, beside)
        cluster.wait_unschedulable(namespace, "alone")
        assert cluster.wait_bound(namespace, "beside") == "in-europe"
    assert terms_of(alone) == [{}]
    assert terms_of(with_another)[0] == {}
    assert expressions_of(with_another)[1] == [{"key": "disk", "operator": "DoesNotExist"}, IN_EUROPE]


def test_a_pod_whose_terms_contradict_stays_where_it_was_nowhere(cluster: ControlPlane, namespace: str) -> None:
    """Those that contradict themselves stay as they are; if another can be met, that one is narrowed."""
    cluster.add_node("in-europe", {ZONE: "eu-1a", "disk": "ssd"})
    never = {"matchExpressions": [*SSD["matchExpressions"], *HDD["matchExpressions"]]}
    with admission(cluster, namespace):
        told = cluster.kubectl(
            *("apply", "-n", namespace, "-f", "-"), stdin=pod("never", labels=PERSONAL, spec=affinity(never))
        )
        other = cluster.create_pod(namespace, pod("other", labels=PERSONAL, spec=affinity(never, SSD)))
        cluster.wait_unschedulable(namespace, "never")
        assert cluster.wait_bound(namespace, "other") == "in-europe"
    assert "the pod's own constraints" in told.stderr
    assert terms_of(cluster.pod(namespace, "never")) == [never]
    assert terms_of(other)[0] == never
    assert expressions_of(other)[1] == [*SSD["matchExpressions"], IN_EUROPE]


def test_a_pod_with_two_hundred_terms_is_narrowed_in_each(cluster: ControlPlane, namespace: str) -> None:
    cluster.add_node("abroad", {ZONE: "us-1a", "rack": "r7"})
    cluster.add_node("elsewhere", {ZONE: "eu-1a", "rack": "r200"})
    cluster.add_node("there", {ZONE: "eu-1b", "rack": "r199"})
    terms = [term("rack", "In", f"r{number}") for number in range(200)]
    with admission(cluster, namespace):
        made = cluster.create_pod(namespace, pod("t", labels=PERSONAL, spec=affinity(*terms)))
        assert cluster.wait_bound(namespace, "t") == "there"
        again = {**made, "metadata": {"name": "again", "labels": PERSONAL}, "status": {}}
        cluster.create_pod(namespace, again, dry_run=True)
    assert expressions_of(made) == [[*one["matchExpressions"], IN_EUROPE] for one in terms]
