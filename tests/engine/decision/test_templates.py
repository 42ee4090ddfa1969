"""engine.decision.templates: DaemonSets narrowed by their template, where their controller looks."""

from __future__ import annotations

import copy
from itertools import product
from typing import Any

import jsonpatch
import pytest

from audit.words import effect
from engine.decision import Decider, Decision
from engine.decision.templates import ONE_ON_EACH_NODE
from engine.documents import Manifest, Source
from engine.names import PREFERRED, REQUIRED
from engine.pods import pods_from_documents
from tests.engine.builders import BASE, GOLD, decide, decider, outcomes, pod

Json = Any
TEMPLATE = "handsOn: {daemonSets: template}"
GPU = 'tolerate: [{expression: \'taint.key in ["nvidia.com/gpu", "team"]\'}]'
STAY = "tolerate: [{expression: 'taint.key == \"node.kubernetes.io/not-ready\"', seconds: 30}]"
SPOT = "prefer: [{expression: 'node.capacityType == \"spot\"', weight: 5}]"
ZONE_A = {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}]}


def affinity(*terms: Json) -> Json:
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}


def daemon_set(spec: Json = None, namespace: str = "team", **metadata: Json) -> Json:
    template = {
        "metadata": {"labels": {"app": "agent"}, **metadata},
        "spec": {"containers": [{"name": "c", "image": "i"}], **(spec or {})},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template},
    }


def decided(engine: Decider, workload: Json) -> Decision:
    (incoming,) = pods_from_documents([Manifest(Source("f", ""), workload)])
    return engine.decide(incoming)


def applied(workload: Json, decision: Decision) -> Json:
    return jsonpatch.apply_patch(copy.deepcopy(workload), list(decision.patch))


def terms(workload: Json) -> Json:
    return workload["spec"]["template"]["spec"]["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]


def test_what_is_required_is_written_into_the_template() -> None:
    engine = decider(GOLD, GPU, bundle=TEMPLATE)
    decision = decided(engine, daemon_set())

    assert decision.message.startswith("DaemonSet team/agent may run in gpu (1 of 3 pools)")
    assert outcomes(decision) == {"one": "applied", "two": "applied"}
    assert [operation["path"] for operation in decision.placement_patch] == [
        "/spec/template/spec/affinity",
        "/spec/template/spec/tolerations",
    ]
    narrowed = applied(daemon_set(), decision)
    (term,) = terms(narrowed)
    assert term == {"matchExpressions": [{"key": "karpenter.sh/nodepool", "operator": "In", "values": ["gpu"]}]}
    tolerated = narrowed["spec"]["template"]["spec"]["tolerations"]
    assert [one["key"] for one in tolerated] == ["nvidia.com/gpu", "team"]
    assert decision.as_json()["template"] is True
    again = decided(engine, narrowed)
    assert (again.patch, again.patched["spec"]) == ((), narrowed["spec"]["template"]["spec"])


SPECS: list[Json] = [
    {},
    {"affinity": affinity(ZONE_A)},
    {"affinity": {**affinity(ZONE_A, ZONE_A), "podAffinity": {}}, "nodeSelector": {"tier": "gold"}},
    {"affinity": None, "tolerations": None},
    {"tolerations": [{"operator": "Exists"}]},
    {"tolerations": [{"key": "own", "operator": "Exists"}], "nodeSelector": {"disk": "ssd"}},
    {"affinity": {"nodeAffinity": {PREFERRED: [{"weight": 1, "preference": ZONE_A}]}}},
]
POLICIES = [
    (GOLD,),
    (BASE,),
    (GOLD, GPU),
    ("require: [{expression: 'node.zone == \"a\"'}]",),
    (GOLD, "require: [{expression: '!(\"x\" in node.labels)'}]"),
]


@pytest.mark.parametrize(("spec", "policies"), list(product(SPECS, POLICIES)))
def test_it_is_what_a_pod_of_that_template_would_get(spec: Json, policies: tuple[str, ...]) -> None:
    """Laws 1 to 7: the operations are those about a bare pod, below the template; and they hold when asked again."""
    engine = decider(*policies, bundle=TEMPLATE)
    decision = decided(engine, daemon_set(spec))
    bare = decide(*policies, given=pod(metadata={"labels": {"app": "agent"}}, **spec))

    assert decision.allowed == bare.allowed
    prefixed = [{**one, "path": f"/spec/template{one['path']}"} for one in bare.placement_patch]
    assert list(decision.placement_patch) == (prefixed if bare.allowed else [])
    for operation in decision.placement_patch:
        assert operation["path"].startswith(("/spec/template/spec/affinity", "/spec/template/spec/tolerations"))
    if decision.allowed:
        assert decided(engine, applied(daemon_set(spec), decision)).patch == ()


def test_where_its_pools_are_tainted_it_gets_no_pods() -> None:
    """Its controller makes none there, so nothing would be Pending."""
    decision = decided(decider(GOLD, bundle=TEMPLATE), daemon_set())
    assert decision.message.startswith(
        "DaemonSet team/agent would get no pods, for it does not tolerate the taints of "
    )
    assert [warning.partition(",")[0] for warning in decision.warnings] == [
        "policy one: the DaemonSet would get no pods"
    ]
    assert effect(decision).endswith(", would get no pods")
    plain = decide(GOLD)
    assert " would stay Pending, for it does not tolerate " in plain.message
    nowhere = {"nodeSelector": {"karpenter.sh/nodepool": "none", "cloud.google.com/gke-nodepool": "none"}}
    assert decided(decider(GOLD, bundle=TEMPLATE), daemon_set(nowhere)).warnings[-1].startswith("the DaemonSet's own")


def test_of_wishes_and_other_pods_nothing_follows() -> None:
    """There is one pod on each node: nothing of them is written, nor said, nor fails."""
    spread = "spread: [{topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}]"
    split = (
        "split: [{share: 50, expression: 'node.capacityType == \"spot\"'},"
        " {share: 50, expression: 'node.capacityType == \"on-demand\"'}]"
    )
    engine = decider(SPOT, spread, split, f"{GOLD}\n{SPOT}", bundle=TEMPLATE)
    decision = decided(engine, daemon_set())

    assert outcomes(decision) == {
        "one": "notMatched",
        "two": "notMatched",
        "three": "notMatched",
        "four": "applied",
    }
    assert {one.message for one in decision.policies if one.name != "four"} == {ONE_ON_EACH_NODE}
    assert "prefers" not in decision.message
    assert [one["path"] for one in decision.placement_patch] == ["/spec/template/spec/affinity"]
    assert PREFERRED not in str(decision.patch)
    assert decision.portions == ()
    plain = engine.decide(pods_from_documents([Manifest(Source("f", ""), {"kind": "Pod", **pod()})])[0])
    assert PREFERRED in str(plain.patch), "of pods the whole policy is asked, also after a template was"


def test_what_the_controller_adds_itself_is_not_written() -> None:
    decision = decided(decider(STAY, bundle=TEMPLATE), daemon_set())
    assert (decision.patch, outcomes(decision)) == ((), {"one": "satisfied"})


def test_deny_and_an_empty_rest_refuse_the_daemon_set() -> None:
    host = "deny: [{expression: 'pod.spec.?hostNetwork.orValue(false)', message: not of the host}]"
    denied = decided(decider(host, bundle=TEMPLATE), daemon_set({"hostNetwork": True}))
    assert (denied.allowed, denied.patch) == (False, ())
    assert "not of the host" in denied.message
    empty = decided(decider(GOLD, bundle=TEMPLATE), daemon_set({"nodeSelector": {"karpenter.sh/nodepool": "plain"}}))
    assert (empty.allowed, empty.patch) == (False, ())


def test_a_template_that_names_its_node_is_narrowed_and_judged() -> None:
    """Its controller looks at the affinity all the same."""
    named = daemon_set({"nodeName": "node-7"})
    assert decided(decider(GOLD, bundle=TEMPLATE), named).patch
    judged = decider("deny: [{expression: has(pod.spec.nodeName)}]", bundle=TEMPLATE)
    assert not decided(judged, named).allowed
    assert decided(judged, daemon_set()).allowed


def test_the_annotation_of_a_mirror_pod_and_owners_in_a_template_change_nothing() -> None:
    claiming = daemon_set(
        annotations={"kubernetes.io/config.mirror": "x"},
        ownerReferences=[{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u", "controller": True}],
    )
    decision = decided(decider(GOLD, bundle=TEMPLATE), claiming)
    assert decision.patch
    assert "claims" not in str(decision.warnings)


def test_audit_mode_and_audited_policies_say_what_would_be_written() -> None:
    audited = decided(decider(f"{GOLD}\nmode: audit", bundle=TEMPLATE), daemon_set())
    assert audited.patch == ()
    assert audited.audited is not None
    assert [one["path"] for one in audited.audited.placement_patch] == ["/spec/template/spec/affinity"]
    assert decided(decider(GOLD, bundle=TEMPLATE, mode="audit"), daemon_set()).patch


def test_what_is_left_alone_otherwise() -> None:
    assert "left alone" in decided(decider(GOLD), daemon_set()).message
    assert decided(decider(GOLD, bundle=TEMPLATE), daemon_set(namespace="kube-system")).patch == ()
    of_pods = decided(decider(GOLD, bundle="handsOn: {daemonSets: true}"), daemon_set())
    assert [one["path"] for one in of_pods.placement_patch] == [
        f"/spec/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms/0/matchExpressions"
    ]
    assert "template" not in of_pods.as_json()
