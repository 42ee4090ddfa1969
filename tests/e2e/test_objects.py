"""Policies as objects of a cluster: defined, explained, applied, refused, told of, lost and back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from .controlplane import ControlPlane, Json, wait_for
from .pods import pod
from .serving import BAYPLAN, Serving, admission

POLICIES = "/apis/bayplan.dev/v1alpha1/placementpolicies"
BUNDLES = "/apis/bayplan.dev/v1alpha1/bundles"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LABEL = "bayplan.dev/bundle"


def crds() -> str:
    return subprocess.run([BAYPLAN, "crds"], capture_output=True, text=True, check=True).stdout


def define(cluster: ControlPlane) -> None:
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=crds())
    wait_for(lambda: all(cluster.request("GET", path).is_success for path in (BUNDLES, POLICIES)), "the kinds")


@pytest.fixture
def defined(cluster: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with the kinds, which are gone afterwards."""
    define(cluster)
    yield cluster
    for plural in ("placementpolicies", "bundles"):
        cluster.request("DELETE", f"{DEFINITIONS}/{plural}.bayplan.dev")
    wait_for(lambda: not cluster.request("GET", POLICIES).is_success, "the kinds to be gone")


def test_every_field_is_explained(defined: ControlPlane) -> None:
    told = wait_for(
        lambda: defined.kubectl("explain", "placementpolicy.spec.prefer.weight", check=False).stdout,
        "kubectl to know of the kind",
    )
    assert "How much it counts, from 1 to 100" in told
    assert "FIELD: weight <integer>" in told
    spec = defined.kubectl("explain", "bundles.spec").stdout
    assert "Constants, by name: expressions use them as `params.<name>`." in spec
    conditions = defined.kubectl("get", "crd", "placementpolicies.bayplan.dev", "-o", "json").stdout
    said = {each["type"]: each["status"] for each in json.loads(conditions)["status"]["conditions"]}
    assert said.get("NonStructuralSchema", "False") == "False"


BUNDLE = {
    "apiVersion": "bayplan.dev/v1alpha1",
    "kind": "Bundle",
    "metadata": {"name": "objects"},
    "spec": {"version": "1.0.0", "params": {"zones": ["a", "b"]}},
}


def policy(name: str, spec: Json, bundle: str = "objects") -> Json:
    metadata = {"name": name, "labels": {LABEL: bundle}}
    return {"apiVersion": "bayplan.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": metadata, "spec": spec}


def in_zones(params: str = "params.zones") -> Json:
    return {"require": [{"expression": f"node.zone in {params}", "message": "only there"}]}


def zones(made: Json) -> list[str]:
    """The zones that a pod was confined to."""
    affinity = made["spec"].get("affinity", {}).get("nodeAffinity", {})
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [])
    found = [each["values"] for term in terms for each in term["matchExpressions"] if each["key"].endswith("/zone")]
    return sorted(value for values in found for value in values)


def placed(cluster: ControlPlane, namespace: str) -> list[str]:
    return zones(cluster.create_pod(namespace, pod("probe"), dry_run=True))


def wait_placed(cluster: ControlPlane, namespace: str, wanted: list[str], serving: Serving) -> None:
    wait_for(lambda: placed(cluster, namespace) == wanted, f"pods to be confined to {wanted}", serving.tail)


def ready(cluster: ControlPlane, name: str, path: str = POLICIES) -> Json:
    """The condition Ready of an object, with the generation that it is of."""
    thing = cluster.api("GET", f"{path}/{name}")
    status = thing.get("status", {})
    found = [each for each in status.get("conditions", []) if each["type"] == "Ready"]
    current = found and found[0].get("observedGeneration") == thing["metadata"]["generation"]
    return found[0] if current else {}


def test_policies_decide_one_wrong_one_takes_nothing_down_and_kinds_may_vanish(
    defined: ControlPlane, namespace: str
) -> None:
    cluster = defined
    cluster.apply(BUNDLE, policy("zones", in_zones()))
    with admission(cluster, namespace, bundle="objects://objects") as serving:
        wait_placed(cluster, namespace, ["a", "b"], serving)
        cluster.apply({**BUNDLE, "spec": {"version": "1.1.0", "params": {"zones": ["a"]}}})
        wait_placed(cluster, namespace, ["a"], serving)
        cluster.apply(policy("wrong", in_zones("parms.zones")), policy("zones", in_zones('["c"]')))
        wait_for(lambda: "there is no variable `parms` here" in serving.tail(), "the wrong one to be told of")
        assert placed(cluster, namespace) == ["a"]
        wait_for(lambda: ready(cluster, "wrong").get("status") == "False", "it to say so itself", serving.tail)
        said = ready(cluster, "wrong")
        assert said["reason"] == "Refused"
        assert said["message"].startswith("policies/wrong.yaml:")
        assert "there is no variable `parms` here" in said["message"]
        wait_for(lambda: ready(cluster, "zones").get("reason") == "BundleRefused", "the other to wait", serving.tail)
        cluster.kubectl("delete", "placementpolicy", "wrong")
        wait_placed(cluster, namespace, ["c"], serving)
        wait_for(lambda: ready(cluster, "zones").get("status") == "True", "what decides to say so", serving.tail)

        cluster.request("DELETE", f"{DEFINITIONS}/placementpolicies.bayplan.dev")
        wait_for(lambda: "the step `look` failed" in serving.tail(), "the missing kind to be told of", serving.tail)
        assert placed(cluster, namespace) == ["c"]
        define(cluster)
        wait_for(lambda: "has no policies" in serving.tail(), "the kind to be back", serving.tail)
        assert placed(cluster, namespace) == ["c"]
        cluster.apply(policy("zones", in_zones('["d"]')))
        wait_placed(cluster, namespace, ["d"], serving)


def judged_by(cluster: ControlPlane, serving: Serving) -> Json:
    """A ValidatingWebhookConfiguration as the chart's, with the webhook at a local URL."""
    call = cluster.webhook_configuration("bayplan-objects", serving.url.replace("/mutate", "/validate"))["webhooks"][0]
    rule = {"apiGroups": ["bayplan.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"]}
    hook = {key: value for key, value in call.items() if key != "reinvocationPolicy"}
    hook |= {"rules": [{**rule, "resources": ["placementpolicies", "bundles"]}]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "bayplan-objects"},
        "webhooks": [hook],
    }


def test_who_applies_a_wrong_one_is_told_what_check_says(defined: ControlPlane, namespace: str) -> None:
    cluster = defined
    cluster.apply(BUNDLE, policy("zones", in_zones()))
    with admission(cluster, namespace, bundle="objects://objects") as serving:
        cluster.apply(judged_by(cluster, serving))
        try:
            wrong = policy("wrong", in_zones("params.zoness"))

            def refusal() -> str:
                return cluster.kubectl("apply", "-f", "-", stdin=wrong, check=False).stderr

            wait_for(lambda: "policies/wrong.yaml" in refusal(), "the refusal", serving.tail)
            told = refusal()
            assert 'admission webhook "bayplan-objects.tests.bayplan.dev" denied the request' in told
            assert "did you mean `zones`?" in told
            line, caret = (each for each in told.splitlines() if "params.zoness" in each or set(each.strip()) == {"^"})
            assert caret.index("^") == line.index("zoness")
            assert cluster.request("GET", f"{POLICIES}/wrong").status_code == 404
            done = cluster.kubectl("apply", "-f", "-", stdin=policy("right", in_zones('["a"]')))
            assert "placementpolicy.bayplan.dev/right created" in done.stdout
            cluster.kubectl("label", "placementpolicy", "right", "team=a")
        finally:
            path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/bayplan-objects"
            cluster.request("DELETE", path)


@pytest.mark.skipif("BAYPLAN_NIGHTLY" not in os.environ, reason="500 objects take a minute: nightly")
def test_five_hundred_policies(defined: ControlPlane, namespace: str) -> None:
    cluster = defined
    many = [policy(f"p{i:03}", {"podSelector": {"matchLabels": {"app": f"a{i}"}}, **in_zones()}) for i in range(500)]
    cluster.apply(BUNDLE, *many, policy("zones", in_zones()))
    with admission(cluster, namespace, bundle="objects://objects") as serving:
        wait_placed(cluster, namespace, ["a", "b"], serving)

        def unsaid() -> int:
            items = cluster.api("GET", POLICIES)["items"]
            said = [each.get("status", {}).get("conditions", [{}])[0].get("status") for each in items]
            return len(items) - said.count("True")

        wait_for(lambda: unsaid() == 0, "all to say that they decide", serving.tail)
        before = {
            each["metadata"]["name"]: each["metadata"]["resourceVersion"]
            for each in cluster.api("GET", POLICIES)["items"]
        }
        cluster.apply(policy("p007", {**many[7]["spec"], "priority": 3}))
        wait_for(lambda: ready(cluster, "p007").get("status") == "True", "the change to decide", serving.tail)
        after = {
            each["metadata"]["name"]: each["metadata"]["resourceVersion"]
            for each in cluster.api("GET", POLICIES)["items"]
        }
        assert [name for name in after if after[name] != before[name]] == ["p007"]
