"""Policies as objects of a cluster: defined, explained, applied, refused, told of, lost and back."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .controlplane import ControlPlane, Json, wait_for
from .pods import pod
from .serving import BAYPLAN, Serving, admission

POLICIES = "/apis/bayplan.dev/v1alpha1/placementpolicies"
BUNDLES = "/apis/bayplan.dev/v1alpha1/bundles"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LABEL = "bayplan.dev/bundle"
SAMPLES = Path(__file__).parents[2] / "policies"
NIGHTLY = "BAYPLAN_NIGHTLY" in os.environ


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


def published(folder: Path, place: Path) -> str:
    """A folder as the only commit of a repository, and how that is written as a source."""
    shutil.copytree(folder, place)
    about = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    for command in (["init", "-q"], ["add", "."], [*about, "commit", "-q", "-m", "Policies"]):
        subprocess.run(["git", *command], cwd=place, check=True)
    return f"git+file://{place}"


def of_bundle(folder: Path) -> list[Json]:
    """The Bundle and the policies of a folder, as their author would apply them: with the label, and no tests."""
    files = [folder / "bundle.yaml", *sorted((folder / "policies").rglob("*.yaml"))]
    found: list[Json] = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    bundle, *policies = found
    for each in policies:
        each["metadata"] |= {"labels": {LABEL: bundle["metadata"]["name"]}}
    return found


@pytest.mark.parametrize("sample", [each.name for each in sorted(SAMPLES.iterdir()) if NIGHTLY or each.name == "gpu"])
def test_the_same_bundle_from_git_and_as_objects_decides_alike(
    defined: ControlPlane, tmp_path: Path, sample: str
) -> None:
    """Law 9: the way that policies came here changes no decision, nor what is told of it."""
    folder = SAMPLES / sample
    git = published(folder, tmp_path / "repository")
    defined.apply(*of_bundle(folder))

    def decided(source: str) -> list[Json]:
        pods = ("--pools", folder / "pools", folder / "examples", "--output", "json")
        text = defined.run(BAYPLAN, "explain", "--bundle", source, *pods).stdout
        said: list[Json] = json.loads(re.sub(r"\+sha256:[0-9a-f]+", "", text))  # pods are told the revision, too
        return said

    (name,) = {each["metadata"]["name"] for each in of_bundle(folder) if each["kind"] == "Bundle"}
    by_git = decided(git)
    assert any(each["outcome"] == "applied" for one in by_git for each in one["policies"])
    assert decided(f"objects://{name}") == by_git


@pytest.mark.skipif(not NIGHTLY, reason="500 objects take a minute: nightly")
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
