"""engine.decision.shares: a pod's share of a split: kept, dealt, or the next one; required, or wished for."""

from __future__ import annotations

from typing import Any

import jsonpatch
import pytest
import yaml

from engine.decision import Decider, Decision
from engine.documents import Source, parse_manifests
from engine.pods import IncomingPod, pods_from_documents
from engine.struct import replace
from tests.engine.builders import decider, incoming, inventory, outcomes, pod, preferred, required
from tests.engine.matching import PREFERRED, REQUIRED

POOLS = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: s, selector: {karpenter.sh/nodepool: s}, labels: {disk: ssd}, values: {karpenter.sh/capacity-type: [spot]}}
  - {name: o, selector: {karpenter.sh/nodepool: o}, absent: [disk], values: {karpenter.sh/capacity-type: [on-demand]}}
"""
SPLIT = """
split:
  - {share: 70, expression: node.capacityType == "spot", message: spot}
  - {share: 30, expression: node.capacityType == "on-demand", message: on demand}
"""
SOFT = SPLIT.replace("message:", "whenUnsatisfiable: ScheduleAnyway, message:")
DEAD = """
split:
  - {share: 100, expression: node.capacityType == "reserved", message: reserved}
  - {share: 0, expression: node.capacityType == "on-demand", message: on demand}
"""
TYPE = "karpenter.sh/capacity-type"


def engine(*specs: str, pools: str = POOLS) -> Decider:
    return decider(*specs, pools=inventory(pools))


def asked(given: dict[str, Any] | None = None, uid: str = "1") -> IncomingPod:
    """A pod by a request of this uid."""
    return replace(incoming(given), uid=uid)


def places(decision: Decision) -> dict[str, int]:
    return {policy.name: policy.share.place for policy in decision.policies if policy.share}


def again(decision: Decision) -> dict[str, Any]:
    """The pod after the patch."""
    after: dict[str, Any] = jsonpatch.apply_patch(decision.incoming.pod, list(decision.patch))
    return after


def bound_to(*types: str) -> dict[str, Any]:
    term = {"matchExpressions": [{"key": TYPE, "operator": "In", "values": list(types)}]}
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}}}


def test_each_pod_has_one_share_and_what_it_requires() -> None:
    deciding = engine(SPLIT)
    seen = []
    for i in range(200):
        decision = deciding.decide(asked(uid=f"uid-{i}"))
        (place,) = places(decision).values()
        wanted = ("spot", "on-demand")[place]
        assert {"key": TYPE, "operator": "In", "values": [wanted]} in required(decision)[0]["matchExpressions"]
        assert decision.pools.after == (("s",), ("o",))[place]
        seen.append(place)
    assert 120 < seen.count(0) < 160


@pytest.mark.parametrize("spec", [SPLIT, SOFT, "require: [{expression: 'pool.name != \"x\"'}]" + SPLIT])
def test_a_pod_that_has_its_share_keeps_it_whoever_asks(spec: str) -> None:
    deciding = engine(spec)
    for i in range(20):
        first = deciding.decide(asked(uid=f"uid-{i}"))
        for j in range(5):
            second = deciding.decide(asked(again(first), uid=f"again-{j}"))
            assert second.patch == ()
            assert places(second) == places(first)
            assert second.policies[0].share is not None
            assert second.policies[0].share.kept


@pytest.mark.parametrize(
    ("own", "place"),
    [
        (bound_to("on-demand"), 1),
        (bound_to("spot"), 0),
        ({"nodeSelector": {TYPE: "on-demand"}}, 1),
        ({"nodeSelector": {"karpenter.sh/nodepool": "o"}}, 1),  # what its pool declares counts
        ({"nodeSelector": {"karpenter.sh/nodepool": "s"}}, 0),
    ],
)
@pytest.mark.parametrize("spec", [SPLIT, SOFT])
def test_what_the_pod_asks_for_itself_decides(own: dict[str, Any], place: int, spec: str) -> None:
    deciding = engine(spec)
    for i in range(20):
        decision = deciding.decide(asked(pod(**own), uid=f"uid-{i}"))
        assert (decision.allowed, places(decision)) == (True, {"one": place})


def test_a_share_that_is_not_strict_is_wished_for() -> None:
    decision = engine(SOFT).decide(asked())
    (place,) = places(decision).values()
    assert preferred(decision) == {("spot", "on-demand")[place]: 100} or "nodepool" in str(decision.patch)
    assert REQUIRED not in str(decision.patch)
    assert decision.pools.after == ("o", "s")


def test_who_prefers_a_share_already_keeps_it() -> None:
    term = {"matchExpressions": [{"key": TYPE, "operator": "In", "values": ["on-demand"]}]}
    own = {"affinity": {"nodeAffinity": {PREFERRED: [{"weight": 5, "preference": term}]}}}
    for i in range(20):
        assert places(engine(SOFT).decide(asked(pod(**own), uid=f"uid-{i}"))) == {"one": 1}


def test_other_wishes_for_the_same_nodes_do_not_confuse_it() -> None:
    """Two splits and a preference over the same nodes: what was wished for is found again, whoever asks."""
    wish = 'prefer: [{expression: node.capacityType == "spot", weight: 100}]'
    deciding = engine(SOFT, SOFT, wish)
    for i in range(20):
        first = deciding.decide(asked(uid=f"uid-{i}"))
        for j in range(5):
            assert deciding.decide(asked(again(first), uid=f"again-{j}")).patch == ()


def test_a_share_without_nodes_refuses_the_pod_and_says_why() -> None:
    decision = engine(DEAD).decide(asked())
    assert not decision.allowed
    assert decision.message == "policy one: reserved for 100 % of pods: no pool satisfies it"


@pytest.mark.parametrize("when_empty", ["warn", "ignore"])
def test_the_next_share_takes_its_pods_only_where_the_policy_says_so(when_empty: str) -> None:
    decision = engine(f"{DEAD}whenEmpty: {when_empty}").decide(asked())
    assert (decision.allowed, places(decision), decision.pools.after) == (True, {"one": 1}, ("o",))
    assert engine(f"{DEAD}whenEmpty: {when_empty}").decide(asked(again(decision), "2")).patch == ()


def test_the_policy_is_left_out_where_no_share_has_nodes() -> None:
    gone = DEAD.replace("on-demand", "other")
    decision = engine(f"{gone}whenEmpty: warn").decide(asked())
    assert (decision.allowed, decision.patch, outcomes(decision)) == (True, (), {"one": "overruled"})
    assert decision.warnings


def test_a_wish_goes_to_a_share_that_is_left() -> None:
    soft = DEAD.replace("message:", "whenUnsatisfiable: ScheduleAnyway, message:")
    decision = engine(soft).decide(asked())
    assert places(decision) == {"one": 1}
    assert decision.patch


def test_what_is_required_besides_holds_too() -> None:
    spec = "require: [{expression: '\"disk\" in pool.labels', message: disks}]" + SPLIT
    for i in range(20):
        decision = engine(spec).decide(asked(uid=f"uid-{i}"))
        (place,) = places(decision).values()
        assert decision.allowed == (place == 0), decision.message
    assert "disks; on demand for 30 % of pods" in str(
        [engine(spec).decide(asked(uid=f"uid-{i}")).message for i in range(20)]
    )


def test_a_strict_split_that_fails_refuses_the_pod() -> None:
    spec = SPLIT + 'matchConditions: [{name: x, expression: \'pod.metadata.labels["none"] == "x"\'}]'
    assert not engine(spec).decide(asked()).allowed
    assert engine(spec.replace("message:", "whenUnsatisfiable: ScheduleAnyway, message:")).decide(asked()).allowed


def test_taints_of_the_share_alone_are_tolerated() -> None:
    taint = "taints: [{key: spot, effect: NoSchedule}]"
    pools = POOLS.replace("labels: {disk: ssd}", f"labels: {{disk: ssd}}, {taint}")
    deciding = engine(SPLIT + "tolerate: [{expression: 'true'}]", pools=pools)
    for i in range(20):
        decision = deciding.decide(asked(uid=f"uid-{i}"))
        assert bool(decision.placement.tolerations) == (places(decision) == {"one": 0})


# Templates


def template(kind: str = "Deployment", **spec: Any) -> IncomingPod:
    labels = {"app": "web"}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
    data = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": {"template": pods}}
    manifests, _ = parse_manifests(Source("web.yaml", yaml.safe_dump(data)))
    return pods_from_documents(manifests)[0]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_of_a_template_all_shares_are_told(kind: str) -> None:
    decision = engine(SPLIT).decide(template(kind))
    assert decision.message == (
        f"{kind} default/web: 70 % of its pods may run in s (1 of 2 pools): one splits its pods (spot for 70 %); "
        "30 % of its pods may run in o (1 of 2 pools): one splits its pods (on demand for 30 %)"
    )
    told = decision.as_json()["portions"]
    assert [(one["percent"], one["pools"]["after"]) for one in told] == [(70, ["s"]), (30, ["o"])]
    assert all(one["patch"] and one["placement"] for one in told)


def test_of_a_template_that_is_bound_to_one_share_nothing_more_is_told() -> None:
    decision = engine(SPLIT).decide(template(nodeSelector={TYPE: "spot"}))
    assert (decision.portions, places(decision)) == ((), {"one": 0})


def test_a_share_that_is_refused_is_told_too() -> None:
    gone = SPLIT.replace('"spot"', '"reserved"')
    decision = engine(gone).decide(template())
    assert [portion.decision.allowed for portion in decision.portions] == [False, True]
    assert "70 % of its pods are refused: policy one: spot for 70 % of pods: no pool satisfies it" in decision.message


def test_two_splits_make_portions_of_both() -> None:
    other = SPLIT.replace('node.capacityType == "spot"', "true").replace('node.capacityType == "on-demand"', "true")
    decision = engine(SPLIT, other).decide(template())
    assert [portion.named for portion in decision.portions] == ["49 %", "21 %", "21 %", "9 %"]


def test_many_splits_are_told_apart_as_far_as_a_person_can_read() -> None:
    decision = engine(*[SPLIT] * 4, pools=POOLS).decide(template())
    assert len(decision.portions) == 16


def test_a_request_has_no_portions() -> None:
    assert engine(SPLIT).decide(replace(template(), uid="1")).portions == ()


def test_a_split_in_audit_mode_is_told_with_its_share() -> None:
    decision = engine(SPLIT + "mode: audit").decide(asked())
    (outcome,) = decision.policies
    assert outcome.outcome == "audited"
    assert outcome.share is not None
    assert decision.audited is not None
    assert decision.audited.patch


def test_a_pod_that_can_run_nowhere_is_dealt_the_same_share_whoever_asks() -> None:
    own = {"nodeSelector": {"karpenter.sh/nodepool": "gone"}}
    deciding = engine(SPLIT)
    for i in range(10):
        first = deciding.decide(asked(pod(**own), uid=f"uid-{i}"))
        assert (first.allowed, places(first)) == (True, {"one": 0})
        assert deciding.decide(asked(again(first), uid=f"again-{i}")).patch == ()


def test_a_template_that_names_its_node_has_no_portions() -> None:
    assert engine(SPLIT).decide(template(nodeName="node-1")).portions == ()


OVERLAPPING = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: g, selector: {cloud.google.com/gke-nodepool: g}, taints: [{key: k, effect: NoSchedule}]}
  - {name: q, selector: {karpenter.sh/nodepool: q}}
"""
SIZES = """
split:
  - {share: 34, expression: 'node.labels["size"] == "x"'}
  - {share: 33, expression: 'pool.taints.exists(t, t.key == "k")'}
  - {share: 33, expression: node.zone == "b"}
"""


def test_a_pod_of_overlapping_shares_is_not_led_to_pools_that_its_own_had_ruled_out() -> None:
    """Both of the first shares are implied by what is written for the second and what another policy requires."""
    needs = (
        'require: [{expression: \'node.labels["size"] == "x"\'}]\nprefer: [{expression: node.zone == "a", weight: 9}]'
    )
    deciding = engine(SIZES, needs, pools=OVERLAPPING)
    seen = set()
    for i in range(60):
        first = deciding.decide(asked(uid=f"uid-{i}"))
        seen |= set(places(first).values())
        for j in range(3):
            second = deciding.decide(asked(again(first), uid=f"again-{j}"))
            assert second.patch == ()
            assert second.pools.after == first.pools.after
    assert seen == {0, 1, 2}
