"""Another webhook changes the pod after ours, and the API server asks ours again, or not."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from audit import Admissions, StoredDecisions, by_admission
from tests.engine.matching import REQUIRED, admits

from .controlplane import ControlPlane, Json, wait_for
from .fleet import ZONE, add_general, add_gpu
from .hooks import Change, serving
from .pods import IMAGE, deployment, pod
from .processes import free_ports
from .serving import admission

PERSONAL, TRAINING = {"data": "personal"}, {"workload": "training"}
SSD = {"key": "disk", "operator": "In", "values": ["ssd"]}
TOLERATION = {"key": "mesh", "operator": "Exists", "effect": "NoSchedule"}
SIDECAR = {"name": "proxy", "image": IMAGE}
UNIVERSE = [{ZONE: zone, "disk": disk} for zone in ("eu-1a", "eu-1b", "us-1a") for disk in ("ssd", "hdd")]
PASSES = pytest.mark.parametrize(("policy", "passes"), [("Never", 1), ("IfNeeded", 2)])


@contextmanager
def after_ours(
    cluster: ControlPlane,
    namespace: str,
    policy: str,
    change: Change,
    *,
    mode: str = "enforce",
    more: Sequence[Any] = (),
) -> Iterator[None]:
    """Our webhook with a reinvocation policy, and after it, by name, one that makes a change unless it did already."""
    (port,) = free_ports(1)
    with (
        admission(cluster, namespace, reinvocation_policy=policy, mode=mode, more=more),
        serving(cluster, port, lambda given: () if "proxy" in names_of(given) else change(given)),
    ):
        url = f"https://127.0.0.1:{port}/"
        cluster.activate(cluster.webhook_configuration(f"mesh-{namespace}", url, namespaces=[namespace]), namespace)
        yield
        cluster.api("DELETE", f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/mesh-{namespace}")


def changed(given: Json, terms: Sequence[Json], **labels: str) -> list[Json]:
    """Operations that give a pod these node selector terms, a sidecar, a toleration and labels."""
    spec = copy.deepcopy(given["spec"])
    spec["containers"].append(SIDECAR)
    spec["tolerations"] = [*spec.get("tolerations", ()), TOLERATION]
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    affinity.setdefault(REQUIRED, {})["nodeSelectorTerms"] = list(terms)
    labels = {**given["metadata"].get("labels", {}), **labels}
    return [
        {"op": "replace", "path": "/spec", "value": spec},
        {"op": "add", "path": "/metadata/labels", "value": labels},
    ]


def names_of(given: Json) -> list[str]:
    """A pod's containers."""
    return [container["name"] for container in given["spec"]["containers"]]


def passes_of(event: Json, configuration: str) -> list[bool]:
    """For each time that a webhook was asked about a pod whether it changed it, as the API server noted."""
    notes = sorted((key, note) for key, note in event["annotations"].items() if key.startswith("mutation.webhook."))
    said = [json.loads(note) for _, note in notes]
    return [one["mutated"] for one in said if one["configuration"] == configuration]


def terms_of(given: Json) -> list[Json]:
    """A pod's required node selector terms."""
    affinity = (given["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    return list((affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or ())


def narrow(given: Json) -> list[Json]:
    """As a careful webhook does it: each term is said more about."""
    terms = [
        {"matchExpressions": [*term["matchExpressions"], SSD]} for term in terms_of(given) or [{"matchExpressions": []}]
    ]
    return changed(given, terms)


def append(given: Json) -> list[Json]:
    """As many webhooks do it: a term of its own, beside which nobody else's counts."""
    return changed(given, [*terms_of(given), {"matchExpressions": [SSD]}])


def places(given: Json) -> list[Json]:
    """The nodes of the universe that a pod's selectors admit."""
    return [labels for labels in UNIVERSE if admits(given, labels, "n")]


@PASSES
def test_what_another_webhook_narrows_stays_narrowed_and_nothing_is_said_twice(
    cluster: ControlPlane, namespace: str, policy: str, passes: int
) -> None:
    with after_ours(cluster, namespace, policy, narrow):
        made = cluster.create_pod(namespace, pod("t", labels=PERSONAL))
        again = cluster.create_pod(namespace, renamed(made, "again"))
    in_europe = {"key": ZONE, "operator": "In", "values": ["eu-1a", "eu-1b"]}
    assert terms_of(made) == terms_of(again) == [{"matchExpressions": [in_europe, SSD]}]
    assert names_of(made) == ["app", "proxy"]
    first, second = (passes_of(event, f"bayplan-{namespace}") for event in cluster.audit_events(namespace))
    assert first == [True, False][:passes]
    assert second == [False]


@PASSES
def test_a_term_that_another_webhook_appends_is_narrowed_when_ours_is_asked_again(
    cluster: ControlPlane, namespace: str, policy: str, passes: int
) -> None:
    """One pass can't know of what comes later; two passes let the pod run where it may by everybody's words."""
    own = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [SSD]}]}}}
    with after_ours(cluster, namespace, policy, append):
        made = cluster.create_pod(namespace, pod("t", labels=PERSONAL, spec={"affinity": own}))
        if passes == 2:
            again = cluster.create_pod(namespace, renamed(made, "again"))
            assert again["spec"]["affinity"] == made["spec"]["affinity"]
    assert len(terms_of(made)) == 2
    in_europe = [labels for labels in UNIVERSE if labels[ZONE] != "us-1a" and labels["disk"] == "ssd"]
    abroad = {ZONE: "us-1a", "disk": "ssd"}
    assert places(made) == (in_europe if passes == 2 else [*in_europe, abroad])
    assert len(cluster.admission_patches(namespace)) == 1 + passes


@PASSES
def test_a_policy_that_matches_only_what_another_webhook_made_of_the_pod(
    cluster: ControlPlane, namespace: str, policy: str, passes: int
) -> None:
    """Its tolerations join the other's, in place, and the scheduler binds the pod accordingly."""
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    with after_ours(
        cluster, namespace, policy, lambda given: changed(given, [{"matchExpressions": [NAMED]}], **TRAINING)
    ):
        made = cluster.create_pod(namespace, pod("t"))
        assert cluster.wait_bound(namespace, "t") == ("gpu-1" if passes == 2 else "general-1")
    tolerated = [
        toleration["key"] for toleration in made["spec"]["tolerations"] if "node.kubernetes.io" not in toleration["key"]
    ]
    assert tolerated == (["mesh", "nvidia.com/gpu"] if passes == 2 else ["mesh"])
    (term,) = terms_of(made)
    assert term["matchExpressions"][0] == NAMED


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_what_is_asked_about_twice_is_kept_twice_and_counted_once(
    cluster: ControlPlane, namespace: str, mode: str, tmp_path: Path
) -> None:
    """Pods with a name, with a token, and without either, many in one second; and one that nobody else changes."""
    without = {"automountServiceAccountToken": False}
    counts = {"bare": 1, "alone": 1, "token": 6, "plain": 6}
    unchanged = {"containers": [{"name": "app", "image": IMAGE}, SIDECAR]}
    with after_ours(cluster, namespace, "IfNeeded", narrow, mode=mode, more=("--store", tmp_path)):
        cluster.create_pod(namespace, pod("bare", labels=PERSONAL, spec=without))
        cluster.create_pod(namespace, pod("alone", labels=PERSONAL, spec=unchanged))
        cluster.apply(
            deployment("token", namespace, replicas=6, labels=PERSONAL),
            deployment("plain", namespace, replicas=6, labels=PERSONAL, spec=without),
        )
        wait_for(lambda: len(cluster.pods(namespace)) == 14, "the pods")
    with StoredDecisions(tmp_path) as store:
        kept = [one for one in store.newest() if one.kept.incoming and not one.kept.incoming.request["dryRun"]]
        found = list(by_admission(kept))
    uids = [one.kept.incoming.uid for one in kept if one.kept.incoming]
    assert len(set(uids)) == len(uids) == 27  # the API server makes a new one each time
    assert sum(one.first is not None for one in found) == 13
    told, again = Admissions(), Admissions(lambda one: one.decider)
    for one in found:
        told.add(one.told)
        again.add(one.as_asked)
    for admissions in (told, again):
        pods = {row.finding.workload.name: (row.finding.outcome, row.pods) for row in admissions.rows()}
        assert pods == {name: ("changed", count) for name, count in counts.items()}
    first, second = (names_of(one.kept.incoming.pod) for one in kept[:2] if one.kept.incoming)
    assert (first, second) == (["app"], ["app", "proxy"])


NAMED = {"key": "kubernetes.io/hostname", "operator": "Exists"}


def renamed(given: Json, name: str) -> Json:
    """An admitted pod as somebody could create it once more."""
    return {**given, "metadata": {"name": name, "labels": given["metadata"]["labels"]}, "status": {}}
