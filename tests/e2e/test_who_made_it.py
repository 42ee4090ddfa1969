"""Who made a pod decides whether it is left alone; what the pod says of itself does not.

A user with the role `edit` in one namespace plays the adversary, against the configuration that `serve --dev` prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from engine.names import REQUIRED
from tests.engine.builders import GOLD, decider, incoming
from tests.webhook.test_match_conditions import USERS, pods
from webhook.configuration import configuration

from .controlplane import CONTEXT, ApiError, ControlPlane, Json, wait_for
from .fleet import add_general, add_gpu
from .pods import daemon_set, pod
from .serving import BUNDLE, Serving, running

NAME = "bayplan-dev"
WEBHOOK = "mutate.bayplan.dev"
TRAINING = {"workload": "training"}
JANE = {"username": "jane", "groups": ["team"]}
KUBELET = {"username": "system:node:general-1", "groups": ["system:nodes"]}
CONTROLLER = "system:serviceaccount:kube-system:daemon-set-controller"
ON_GENERAL = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["general-1"]}]}
BOUND = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [ON_GENERAL]}}}


@pytest.fixture
def serving(cluster: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """The webhook as `--dev` has it called; `general-1` is no node for training, `gpu-1` is."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    cluster.grant(namespace, "edit", "team")
    cluster.grant(namespace, "edit", "system:nodes")
    strictly = ("--dev", "--failure-policy", "Fail")
    with running(cluster, ["serve", "--bundle", BUNDLE, "--context", CONTEXT, *strictly]) as started:
        cluster.kubectl("apply", "-f", "-", stdin=started.output())
        cluster.wait_called(NAME, namespace)
        yield started


def owned(name: str, version: str, kind: str = "DaemonSet", spec: Json = None) -> Json:
    made = pod(name, labels=TRAINING, spec={"affinity": BOUND, **(spec or {})})
    owner = {"apiVersion": version, "kind": kind, "name": "agent", "uid": "0", "controller": True}
    made["metadata"]["ownerReferences"] = [owner]
    return made


def mirrored(name: str, spec: Json) -> Json:
    made = pod(name, labels=TRAINING, spec={**spec, "automountServiceAccountToken": False})
    made["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    return made


@pytest.mark.parametrize("version", ["apps/v1", "apps/v1beta1", "invented.example/v1"])
def test_an_owner_that_is_only_claimed_is_no_way_out(
    serving: Serving, cluster: ControlPlane, namespace: str, version: str
) -> None:
    """The pod would have run on a node that the policies forbid, and the webhook not even been called."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    said = cluster.request("POST", path, owned("forged", version), user=JANE)
    assert said.status_code == 201, said.text
    claim = "the pod claims to be a DaemonSet's, but was made by `jane`, not by the DaemonSet controller"
    assert claim in said.headers["Warning"]
    (term,) = said.json()["spec"]["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    assert term["matchFields"] == ON_GENERAL["matchFields"]
    assert "nvidia-a100" in str(term["matchExpressions"])
    if version != "apps/v1":  # such a DaemonSet is not there, so the garbage collector takes its pod away
        cluster.wait_unschedulable(namespace, "forged")
    refused = cluster.request("POST", path, owned("refused", version, spec={"hostNetwork": True}), user=JANE)
    assert refused.status_code == 403
    assert f'admission webhook "{WEBHOOK}" denied the request' in refused.json()["message"]
    wait_for(lambda: len(serving.decisions(namespace)) == 2, "two decisions to be logged", serving.output)
    assert all(claim in str(line["warnings"]) for line in serving.decisions(namespace))


def test_a_mirror_pod_that_is_only_claimed_is_no_way_out(
    serving: Serving, cluster: ControlPlane, namespace: str
) -> None:
    on_host = {"nodeName": "general-1", "hostNetwork": True}
    for name, user in (("janes", JANE), ("others", {**KUBELET, "username": "system:node:gpu-1"})):
        with pytest.raises(ApiError, match="hostNetwork is not for workloads"):
            cluster.create_pod(namespace, mirrored(name, on_host), user=user)
    made = cluster.create_pod(namespace, mirrored("kubelets", on_host), user=KUBELET)
    assert "affinity" not in made["spec"]
    wait_for(lambda: len(serving.decisions(namespace)) > 1, "two decisions to be logged", serving.output)
    assert [line["pod"]["name"] for line in serving.decisions(namespace)] == ["janes", "others"]


def test_what_the_controller_makes_is_left_alone_and_not_even_sent(
    serving: Serving, cluster: ControlPlane, namespace: str
) -> None:
    """A DaemonSet is the way out that `handsOn` is for: its author's template decides where its pods run."""
    cluster.api("POST", f"/apis/apps/v1/namespaces/{namespace}/daemonsets", agents(namespace), user=JANE)
    assert set(cluster.wait_all_bound(namespace, "app=agents", 1).values()) == {"general-1"}
    (event,) = (event for event in cluster.audit_events(namespace) if event["user"]["username"] == CONTROLLER)
    assert not any(WEBHOOK in key for key in event["annotations"])
    assert serving.decisions(namespace) == []


def agents(namespace: str) -> Json:
    return daemon_set("agents", namespace, labels=TRAINING)


def test_the_api_server_skips_no_pod_that_the_engine_would_judge(cluster: ControlPlane, namespace: str) -> None:
    """The conditions on the real API server, which calls a webhook that is not there: who is called for is refused."""
    cluster.grant(namespace, "edit", "system:authenticated")
    whole = yaml.safe_load(
        configuration("https://127.0.0.1:1/mutate", cluster.authority.bundle.read_bytes(), "mine", "Fail", [namespace])
    )
    cluster.apply(whole)
    path = f"/api/v1/namespaces/{namespace}/pods"

    def create(given: Json, user: Any) -> str:
        body = {"apiVersion": "v1", "kind": "Pod", **given, "metadata": {**given["metadata"], "namespace": namespace}}
        return cluster.request("POST", path, body, user=user, dryRun="All").text

    wait_for(lambda: "failed calling webhook" in create(pod("probe"), None), "the configuration to be known")
    deciding = decider(GOLD, "deny: [{expression: 'true'}]")
    skipped = 0
    for given in list(pods())[::23]:
        for user in (user for user in USERS if user):
            answer = create(given, user)
            sent = "failed calling webhook" in answer
            assert "match condition" not in answer.lower(), answer
            alone = "left alone" in deciding.decide(incoming(given, user=user)).message
            assert sent != alone, (given, user, answer)
            skipped += not sent
    assert skipped
