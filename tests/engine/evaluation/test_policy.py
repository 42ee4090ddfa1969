"""engine.evaluation.policy: what one policy hands on of spread and pod affinity."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.builders import decide, outcomes, patched, pod
from tests.engine.matching import PREFERRED, REQUIRED


def test_all_that_a_spread_constraint_says_is_written() -> None:
    spec = """
spread:
  - topologyKey: z
    maxSkew: 2
    whenUnsatisfiable: DoNotSchedule
    minDomains: 3
    nodeAffinityPolicy: Ignore
    nodeTaintsPolicy: Honor
    labelSelector: {matchLabels: {x: y}}
    matchLabelKeys: [app]
"""
    assert patched(decide(spec))["topologySpreadConstraints"] == [
        {
            "topologyKey": "z",
            "maxSkew": 2,
            "whenUnsatisfiable": "DoNotSchedule",
            "minDomains": 3,
            "nodeAffinityPolicy": "Ignore",
            "nodeTaintsPolicy": "Honor",
            "labelSelector": {"matchLabels": {"app": "web", "x": "y"}},
        }
    ]


def test_all_that_a_pod_term_says_is_written() -> None:
    spec = """
podAffinity:
  - {topologyKey: z, required: true, labelSelector: {matchLabels: {x: y}}, namespaceSelector: {matchLabels: {n: m}}}
podAntiAffinity:
  - {topologyKey: z, weight: 7, matchLabelKeys: [app], namespaces: [b, a]}
"""
    affinity = patched(decide(spec))["affinity"]
    assert affinity["podAffinity"] == {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {
                "topologyKey": "z",
                "labelSelector": {"matchLabels": {"x": "y"}},
                "namespaceSelector": {"matchLabels": {"n": "m"}},
            }
        ]
    }
    term = {"topologyKey": "z", "labelSelector": {"matchLabels": {"app": "web"}}, "namespaces": ["a", "b"]}
    assert affinity["podAntiAffinity"] == {PREFERRED: [{"weight": 7, "podAffinityTerm": term}]}


@pytest.mark.parametrize(
    ("effect", "what"),
    [
        (
            "spread: [{topologyKey: z, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway, matchLabelKeys: [lacking]}]",
            "spread over",
        ),
        ("podAffinity: [{topologyKey: z, weight: 5, matchLabelKeys: [lacking]}]", "pod affinity over"),
    ],
)
def test_what_would_count_no_pod_fails_the_policy(effect: str, what: str) -> None:
    """An empty selector counts everything."""
    decision = decide(effect)
    assert outcomes(decision) == {"one": "failed"}
    assert decision.policies[0].error == (
        f"{what} `z` would count no pod: the pod has none of the labels that it selects by"
    )


SPREAD = "spread: [{topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]"


def owned(api_version: str, kind: str, labels: dict[str, str], *, controls: bool = True) -> dict[str, Any]:
    """A pod with an owner."""
    reference = {"apiVersion": api_version, "kind": kind, "name": "orders", "uid": "1", "controller": controls}
    return pod(metadata={"labels": labels, "ownerReferences": [reference]})


def counted(given: dict[str, Any], **options: Any) -> Any:
    """The selector of the spread constraint that is written."""
    (constraint,) = patched(decide(SPREAD, given=given, **options))["topologySpreadConstraints"]
    return constraint["labelSelector"]


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "StatefulSet"),
        ("argoproj.io/v1alpha1", "Rollout"),
        ("batch/v1", "Job"),
        ("v1", "ReplicationController"),
    ],
)
def test_pods_of_one_template_are_told_by_its_labels(api_version: str, kind: str) -> None:
    labels = {"team": "a", "track": "x", "pod-template-hash": "7", "statefulset.kubernetes.io/pod-name": "orders-0"}
    assert counted(owned(api_version, kind, labels)) == {"matchLabels": {"team": "a", "track": "x"}}


@pytest.mark.parametrize(
    ("api_version", "kind", "labels", "left"),
    [
        (
            "core.strimzi.io/v1beta2",
            "StrimziPodSet",
            {"app.kubernetes.io/instance": "orders", "strimzi.io/pod-name": "orders-kafka-0"},
            {"app.kubernetes.io/instance": "orders"},
        ),
        (
            "postgresql.cnpg.io/v1",
            "Cluster",
            {"app.kubernetes.io/name": "postgresql", "cnpg.io/instanceName": "db-1", "cnpg.io/instanceRole": "primary"},
            {"app.kubernetes.io/name": "postgresql"},
        ),
        ("v1", "Pod", {"app": "spark", "spark-exec-id": "3"}, {"app": "spark"}),
        ("argoproj.io/v1alpha1", "Workflow", {"k8s-app": "etl", "workflows.argoproj.io/step": "7"}, {"k8s-app": "etl"}),
        ("batch.volcano.sh/v1alpha1", "Job", {"app": "train", "volcano.sh/task-index": "4"}, {"app": "train"}),
    ],
)
@pytest.mark.parametrize("controls", [True, False])
def test_pods_that_others_make_one_by_one_are_told_by_what_names_a_workload(
    api_version: str, kind: str, labels: dict[str, str], left: dict[str, str], controls: bool
) -> None:
    assert counted(owned(api_version, kind, labels, controls=controls)) == {"matchLabels": left}


def test_a_bundle_may_name_more_labels_that_name_a_workload() -> None:
    given = owned("sparkoperator.k8s.io/v1", "SparkApplication", {"spark-app-selector": "s1", "spark-exec-id": "3"})
    labels = "workloadLabels: [spark-app-selector]"
    assert counted(given, bundle=labels) == {"matchLabels": {"spark-app-selector": "s1"}}


def test_what_tells_no_workload_fails_the_policy_and_says_which_selector_to_write() -> None:
    given = owned("sparkoperator.k8s.io/v1", "SparkApplication", {"spark-app-selector": "s1", "spark-exec-id": "3"})
    decision = decide(SPREAD, given=given)
    assert outcomes(decision) == {"one": "failed"}
    assert decision.policies[0].error == (
        "spread over `zone`: which pods are this one's workload is not known, for SparkApplication orders may label "
        "each of its pods otherwise, and the pod has none of app, app.kubernetes.io/component, "
        "app.kubernetes.io/instance, app.kubernetes.io/name, k8s-app; write `matchLabelKeys` with the ones of its "
        "labels that all its pods share (spark-app-selector, spark-exec-id)"
    )
    assert decide(SPREAD, given=owned("x/v1", "X", {})).policies[0].error.endswith("write `labelSelector`")


def test_a_selector_or_keys_of_the_policy_count_whoever_owns_the_pod() -> None:
    given = owned("sparkoperator.k8s.io/v1", "SparkApplication", {"spark-app-selector": "s1", "spark-exec-id": "3"})
    spec = "podAntiAffinity: [{topologyKey: host, required: true, matchLabelKeys: [spark-app-selector]}]"
    (term,) = patched(decide(spec, given=given))["affinity"]["podAntiAffinity"][REQUIRED]
    assert term["labelSelector"] == {"matchLabels": {"spark-app-selector": "s1"}}
