"""engine.decision: what a decision says and does, construct by construct. The laws are in test_laws."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from engine.documents import BundleError
from engine.names import REQUIRED
from engine.pools import Inventory
from tests.engine.builders import (
    BASE,
    DAEMON_SET_CONTROLLER,
    FLEET,
    GOLD,
    JANE,
    KUBELET,
    decide,
    decider,
    incoming,
    inventory,
    mirror,
    of_a_daemon_set,
    outcomes,
    patched,
    pod,
    preferred,
    required,
)

# Requirements


def test_pools_with_different_labels_become_alternative_terms() -> None:
    """Karpenter's and GKE's pool label can't share a term."""
    decision = decide(BASE)

    assert required(decision) == [
        {"matchExpressions": [{"key": "cloud.google.com/gke-nodepool", "operator": "In", "values": ["legacy"]}]},
        {"matchExpressions": [{"key": "karpenter.sh/nodepool", "operator": "In", "values": ["plain"]}]},
    ]
    assert decision.pools.before == ("gpu", "legacy", "plain")
    assert decision.pools.after == ("legacy", "plain")


def test_a_node_condition_that_reads_no_pool_needs_no_membership() -> None:
    """Nodes of no pool are eligible too: no pool's label is written."""
    decision = decide('require: [{expression: \'node.zone in ["a", "b"]\'}]')

    assert required(decision) == [
        {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a", "b"]}]}
    ]
    assert decision.pools.after == ("gpu", "plain")


def test_the_portable_capacity_type_is_said_as_each_provider_says_it() -> None:
    """On GKE the absence of the spot label says on-demand."""
    decision = decide("require: [{expression: 'node.capacityType == \"on-demand\"'}]")
    terms = {term["matchExpressions"][0]["key"]: term["matchExpressions"] for term in required(decision)}
    everything = [e for term in required(decision) for e in term["matchExpressions"]]

    assert {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]} in everything
    assert {"key": "cloud.google.com/gke-spot", "operator": "NotIn", "values": ["true"]} in everything
    assert len(terms) == 2


def test_an_error_on_a_pool_is_not_true_and_is_recorded() -> None:
    """The rest of the pools are judged all the same."""
    spec = (
        'require: [{expression: \'pool.labels.tier == "gold" && pool.annotations["rack"] == "r"\'}]\nwhenEmpty: ignore'
    )
    decision = decide(spec)

    assert outcomes(decision) == {"one": "overruled"}
    assert 'no such key: "rack"' in decision.policies[0].error
    assert decision.allowed
    assert decision.patch == ()


# Meeting, overruling, refusing


def test_a_choice_whose_test_fails_reads_nothing_of_pools() -> None:
    """It is an error on every node, so what stands beside it decides alone."""
    spec = """
require: [{expression: '(pod.metadata.labels["none"] == "x" ? "a" in pool.zones : true) || node.zone == "a"'}]
"""
    (term,) = required(decide(spec))
    assert term == {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}]}


def test_what_all_nodes_are_preferred_for_is_not_written() -> None:
    decision = decide("prefer: [{expression: 'true', weight: 10}]")
    assert (decision.patch, decision.as_json()["placement"]) == ((), {})


def test_what_leaves_nothing_is_refused_and_both_sides_are_named() -> None:
    """The sentence reaches whoever created the pod."""
    decision = decide(GOLD, BASE)

    assert not decision.allowed
    assert outcomes(decision) == {"one": "applied", "two": "overruled"}
    assert decision.message == (
        "policy two: base nodes only: that leaves legacy and plain, but policy one (gold nodes only) leaves gpu, "
        "so nothing is left"
    )


def test_the_sentence_says_when_it_is_other_nodes_of_the_same_pools() -> None:
    policy = """require: [{expression: 'pool.labels["tier"] == "gold" && node.zone == "a"', message: gold in a}]"""
    decision = decide(policy, given=pod(nodeSelector={"topology.kubernetes.io/zone": "b", "tier": "gold"}))
    assert not decision.allowed
    assert decision.message == (
        "policy one: gold in a: that allows zone a, but the pod's nodeSelector asks for zone b, so nothing is left"
    )
    two = """require: [{expression: 'node.zone == "a" ? node.os == "x" : node.os == "y"', message: two ways}]"""
    decision = decide(two, given=pod(nodeSelector={"topology.kubernetes.io/zone": "a", "kubernetes.io/os": "y"}))
    assert decision.message == (
        "policy one: two ways: that leaves gpu, legacy and plain, but the pod's own constraints leave gpu and plain "
        "(other nodes of gpu and plain), so nothing is left"
    )


@pytest.mark.parametrize(("when_empty", "warned"), [("warn", True), ("ignore", False)])
def test_the_lower_priority_is_left_out(when_empty: str, warned: bool) -> None:
    """Priority first, then name; `warn` tells the client."""
    decision = decide(f"{GOLD}\nwhenEmpty: {when_empty}", f"{BASE}\npriority: 10")

    assert decision.allowed
    assert outcomes(decision) == {"two": "applied", "one": "overruled"}
    assert decision.pools.after == ("legacy", "plain")
    assert bool(decision.warnings) == warned


def test_a_pod_that_contradicts_a_policy_is_told_so() -> None:
    """The pod's own constraints are a side, too."""
    decision = decide(GOLD, given=pod(nodeSelector={"karpenter.sh/nodepool": "plain"}))

    assert not decision.allowed
    assert decision.message == (
        "policy one: gold nodes only: that allows karpenter.sh/nodepool=gpu, "
        "but the pod's nodeSelector asks for karpenter.sh/nodepool=plain, so nothing is left"
    )


def test_a_pod_that_can_match_nothing_stays_that_way() -> None:
    """It is neither refused nor widened, and the decision says why it is stuck."""
    terms: dict[str, Any] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}
    decision = decide(GOLD, given=pod(affinity={"nodeAffinity": terms}))

    assert decision.allowed
    assert decision.patch == ()
    assert decision.warnings == ("the pod's own constraints match no known pool",)


def test_what_holds_already_is_satisfied_and_not_written_again() -> None:
    """However the pod spells it."""
    decision = decide(GOLD, given=pod(nodeSelector={"karpenter.sh/nodepool": "gpu"}))

    assert decision.patch == ()
    assert outcomes(decision) == {"one": "satisfied"}


def test_deny_refuses_with_its_message_and_a_failing_one_unless_it_is_to_be_ignored() -> None:
    """`deny` judges a pod that names its node, which is never patched."""
    bound = pod(nodeName="n1")
    spec = "deny: [{expression: has(pod.spec.nodeName), message: nodeName goes around the scheduler}]"
    assert decide(spec, given=bound).message == "policy one: nodeName goes around the scheduler"
    assert decide(spec).allowed
    assert decide(GOLD, given=bound).patch == ()

    failing = 'deny: [{expression: \'pod.metadata.labels["no"] == "x"\'}]'
    ignored, failed = decide(f"{failing}\nfailurePolicy: Ignore"), decide(failing)
    assert (ignored.allowed, outcomes(ignored)) == (True, {"one": "failed"})
    assert (failed.allowed, outcomes(failed)) == (False, {"one": "failed"})
    said = (
        r'could not be decided: policies/one\.yaml:\d+:\d+: no such key: "no"; '
        r"the pod has no metadata\.labels\[no\]: add it, or have whoever keeps the policy allow for it"
    )
    assert re.fullmatch(f"policy one {said}", failed.message)
    (warning,) = ignored.warnings
    assert re.fullmatch(f"policy one is left out, for it {said}", warning)


# Matching


def test_selectors_and_conditions_must_all_hold() -> None:
    """A condition that is false outweighs one that fails, as in Kubernetes."""
    never = "{name: never, expression: 'false'}"
    false = f'matchConditions: [{never}, {{name: fails, expression: \'pod.metadata.labels["no"] == ""\'}}]'
    fails = 'matchConditions: [{name: fails, expression: \'pod.metadata.labels["no"] == ""\'}]'

    assert outcomes(decide(f"podSelector: {{matchLabels: {{app: db}}}}\n{GOLD}")) == {"one": "notMatched"}
    assert outcomes(decide(f"namespaceSelector: {{matchLabels: {{env: prod}}}}\n{GOLD}")) == {"one": "notMatched"}
    assert outcomes(decide(f"{false}\n{GOLD}")) == {"one": "notMatched"}
    assert outcomes(decide(f"{fails}\n{GOLD}")) == {"one": "failed"}


def test_variables_are_lazy_and_fail_where_they_are_used() -> None:
    """A variable that nobody asks for costs and spoils nothing."""
    spec = """
variables:
  - {name: missing, expression: 'pod.metadata.labels["no"]'}
  - {name: gpus, expression: size(pod.spec.containers)}
require: [{expression: '%s'}]
"""
    unused, used = decide(spec % "variables.gpus <= pool.gpus"), decide(spec % 'variables.missing == "x"')

    assert unused.pools.after == ("gpu",)
    assert not used.allowed
    assert 'no such key: "no"' in used.policies[0].error


@pytest.mark.parametrize("failure_policy", ["Ignore", "Fail"])
def test_a_deny_that_holds_outweighs_an_error_in_another(failure_policy: str) -> None:
    holding, failing = "pod.spec.containers.size() == 1", 'pod.metadata.labels["none"] == "x"'
    for texts in ([holding, failing], [failing, holding]):
        entries = ", ".join(f"{{expression: '{text}', message: not so}}" for text in texts)
        decision = decide(f"deny: [{entries}]\nfailurePolicy: {failure_policy}")
        assert (decision.allowed, outcomes(decision)) == (False, {"one": "denied"})
    decision = decide(f"deny: [{{expression: '{failing}'}}]\nfailurePolicy: {failure_policy}")
    assert (decision.allowed, outcomes(decision)) == (failure_policy == "Ignore", {"one": "failed"})


STRICT = "{params: {strict: false, none: []}}"


@pytest.mark.parametrize(
    "text",
    [
        '!params.strict || pool.labels["tier"] == "gold"',
        'pool.labels["tier"] == "gold" || !params.strict',
        "params.strict ? pool.gpus > 0 : true",
        "true || pool.gpus > 0",
        "!(false && pool.gpus > 0)",
        "(params.strict && pool.gpus > 0) || (has(pod.metadata) && !params.strict)",
    ],
)
def test_what_parameters_decide_reads_nothing_of_pools(text: str) -> None:
    decision = decide(f"require: [{{expression: {text!r}}}]", bundle=STRICT)
    assert (decision.patch, outcomes(decision)) == ((), {"one": "satisfied"})
    narrowed = decide(f"require: [{{expression: {f'({text}) && has(node.zone)'!r}}}]", bundle=STRICT)
    assert required(narrowed) == [{"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "Exists"}]}]


def test_what_parameters_rule_out_leaves_nodes_of_no_pool() -> None:
    text = 'node.zone == "c" || (params.strict && pool.gpus > 0)'
    decision = decide(f"require: [{{expression: {text!r}}}]", bundle=STRICT)
    assert required(decision) == [
        {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["c"]}]}
    ]


def test_a_refusal_names_both_sides_also_where_no_pool_is_known() -> None:
    spec = "require: [{expression: 'node.zone == \"ZONE\"', message: zone ZONE}]"
    decision = decide(*(spec.replace("ZONE", zone) for zone in "ab"), pools=Inventory())
    assert decision.message == ("policy two: zone b: policy one (zone a) leaves no such node, so nothing is left")
    given = pod(nodeSelector={"topology.kubernetes.io/zone": "c"})
    own = decide(spec.replace("ZONE", "a"), given=given, pools=Inventory())
    words = "policy one: zone a: that allows zone a, but the pod's nodeSelector asks for zone c, so nothing is left"
    assert own.message == words


def test_a_pod_that_gets_a_name_stays_on_its_side_of_a_rollout() -> None:
    engine = decider(f"{GOLD}\nrollout: 50")
    sides = set()
    for i in range(40):
        asked = {"metadata": {"generateName": f"job{i}-", "labels": {"app": "web"}}}
        named = {"metadata": {**asked["metadata"], "name": f"job{i}-x7k2p"}}
        one, other = (outcomes(engine.decide(incoming(pod(**each))))["one"] for each in (asked, named))
        assert one == other
        sides.add(one)
    assert sides == {"applied", "notRolledOut"}


def test_order_within_maps_does_not_matter() -> None:
    text = 'pool.labels["tier"] == pod.metadata.labels.map(k, k)[0]'
    for keys in (("base", "gold"), ("gold", "base")):
        given = pod(metadata={"labels": dict.fromkeys(keys, "x")})
        assert decide(f"require: [{{expression: {text!r}}}]", given=given).pools.after == ("legacy", "plain")


def test_a_rollout_is_sticky_and_grows() -> None:
    """A workload that is in at 30 % is in at 60 %, and about that many are."""
    sides = {}
    for percent in (0, 30, 60, 100):
        engine = decider(f"{GOLD}\nrollout: {percent}")
        sides[percent] = {
            i
            for i in range(300)
            if outcomes(engine.decide(incoming(pod(metadata={"name": f"w{i}"}))))["one"] == "applied"
        }

    assert not sides[0]
    assert sides[30] < sides[60] < sides[100]
    assert 60 < len(sides[30]) < 120
    assert len(sides[100]) == 300


# Preferences, tolerations, spread


def test_preferences_weigh_what_they_say_and_tiers_stand_above_them() -> None:
    """A node counts for its best tier alone, and all preferences together weigh less than one tier."""
    spec = """
prefer:
  - {expression: 'node.capacityType == "spot"', weight: 60}
  - {expression: 'pool.labels["tier"] == "base"', weight: 40}
fallback:
  - {expression: 'pool.name == "plain"'}
  - {expression: 'pool.labels["tier"] == "base"'}
"""
    weights = preferred(decide(spec))

    tiers = {"plain": 66, "legacy": 33}
    wishes = {"base": 12, "spot": 19}  # 100 together, where 32 are less than a tier

    assert weights["plain"] == tiers["plain"] + wishes["base"]
    assert weights["legacy"] == tiers["legacy"] + wishes["base"]
    assert weights["spot,gpu,plain"] == wishes["spot"]


def test_a_score_weighs_each_pool_by_its_number() -> None:
    """Clipped to 0..100; zero writes nothing."""
    weights = preferred(decide("prefer: [{expression: 'true', score: pool.gpus * 20}]"))

    assert weights == {"gpu": 100}


def test_only_named_taints_of_what_is_left_are_tolerated() -> None:
    """Unnamed ones get none, and the pool is told as untolerated."""
    spec = f"{GOLD}\ntolerate: [{{expression: 'taint.key == \"nvidia.com/gpu\"'}}]"
    decision = decide(spec)

    assert patched(decision)["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
    ]
    assert decision.pools.untolerated == ("gpu",)
    assert decision.pools.taints == (("team=ml:NoExecute",),)
    assert decision.warnings == (
        "policy one: the pod would stay Pending, for it does not tolerate the taints of gpu (team=ml:NoExecute), "
        "and nothing else is left",
    )


def test_tolerating_without_requiring_permits_and_attracts_nothing() -> None:
    """Each entry must name its taint, or is refused when the bundle is compiled."""
    decision = decide("tolerate: [{expression: taint.key == 'team'}]")
    assert "affinity" not in patched(decision)
    assert [t["key"] for t in patched(decision)["tolerations"]] == ["team"]

    with pytest.raises(BundleError) as error:
        decide("tolerate: [{expression: 'true'}]")
    assert [problem.rule for problem in error.value.problems] == ["tolerate-everything"]


def tolerated(*specs: str, pools: str = "", **more: Any) -> list[str]:
    """The tolerations that are added, in short."""
    decision = decide(*specs, pools=inventory(pools) if pools else None, **more)
    written = patched(decision).get("tolerations", [])[len(decision.incoming.pod["spec"].get("tolerations", [])) :]
    return [
        f"{t['key']}{'=' * bool(t.get('value'))}{t.get('value', '')}:{t['effect']}"
        + (f" {t['tolerationSeconds']}" if "tolerationSeconds" in t else "")
        for t in written
    ]


def test_taints_of_every_effect_are_tolerated_where_they_are_named() -> None:
    """Untolerated, a soft one outvotes a preference; it bars nobody."""
    assert tolerated("tolerate: [{expression: taint.key == 'soft'}]") == ["soft:PreferNoSchedule"]
    every = tolerated(f"{GOLD}\ntolerate: [{{expression: 'true'}}]")
    assert every == ["nvidia.com/gpu=true:NoSchedule", "soft:PreferNoSchedule", "team=ml:NoExecute"]
    keys = "taint.key in ['nvidia.com/gpu', 'team']"
    assert decide(f'{GOLD}\ntolerate: [{{expression: "{keys}"}}]').pools.untolerated == ()


SOME = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - name: gpu
    selector: {pool: gpu}
    taints: [{key: k, effect: NoSchedule}, {key: some, effect: NoSchedule, partial: true}]
"""


def test_a_taint_of_some_nodes_is_tolerated_by_its_key_alone() -> None:
    """And bars no pool: other nodes of it may take the pod."""
    require = "require: [{expression: pool.name == 'gpu'}]"
    assert tolerated(f"{require}\ntolerate: [{{expression: 'true'}}]", pools=SOME) == ["k:NoSchedule"]
    for expression in ("taint.key != ''", "taint.partial && taint.key != 'k' || taint.key == 'k'"):
        both = tolerated(f'{require}\ntolerate: [{{expression: "{expression}"}}]', pools=SOME)
        assert both == ["k:NoSchedule", "some:NoSchedule"]
    own = [{"key": "k", "operator": "Exists"}]
    decision = decide(require, given=pod(tolerations=own), pools=inventory(SOME))
    assert (decision.pools.untolerated, decision.pools.waits, decision.warnings) == ((), False, ())


BARE = """
apiVersion: v1
kind: List
items:
  - {kind: Node, metadata: {name: a, labels: {disk: ssd}}, spec: {taints: [{key: gpu, value: x, effect: NoSchedule}]}}
  - {kind: Node, metadata: {name: b, labels: {disk: hdd}}, spec: {taints: [{key: old, effect: NoExecute}]}}
  - {kind: Node, metadata: {name: c, labels: {disk: hdd, eks.amazonaws.com/nodegroup: g}}}
"""


def test_taints_of_nodes_in_no_pool_are_tolerated() -> None:
    """Of those that are left; an entry that reads `pool` names nothing there."""
    assert tolerated("tolerate: [{expression: taint.key != ''}]", pools=BARE) == ["gpu=x:NoSchedule", "old:NoExecute"]
    ssd = "require: [{expression: 'node.labels[\"disk\"] == \"ssd\"'}]\ntolerate: [{expression: 'true'}]"
    assert tolerated(ssd, pools=BARE) == ["gpu=x:NoSchedule"]
    mine = pod(nodeSelector={"disk": "hdd"})
    assert tolerated("tolerate: [{expression: taint.key != ''}]", pools=BARE, given=mine) == ["old:NoExecute"]
    named = "tolerate: [{expression: taint.key == 'gpu' && pool.name != 'z'}, {expression: taint.key == 'old'}]"
    assert tolerated(named, pools=BARE) == ["old:NoExecute"]
    confined = "require: [{expression: pool.name == 'g'}]\ntolerate: [{expression: 'true'}]"
    assert tolerated(confined, pools=BARE) == []


def test_a_pod_waits_where_nothing_is_left_that_it_tolerates() -> None:
    """A node of no pool that takes it is enough; so is a pool."""
    strays = inventory(BARE.replace(", eks.amazonaws.com/nodegroup: g", ""))
    ssd = 'require: [{expression: \'node.labels["disk"] == "ssd"\', message: fast disks}]'
    assert decide(ssd, pools=strays).message == (
        "pod team/web-0 would stay Pending, for it does not tolerate the taints of nodes in no pool "
        "(gpu=x:NoSchedule), and nothing else is left: one requires it (fast disks)"
    )
    idle = "deny: [{expression: 'false'}]"
    assert not decide(idle, pools=strays).pools.waits
    ssd_pod = pod(nodeSelector={"disk": "ssd"})
    assert decide(idle, pools=strays, given=ssd_pod).message.endswith("left: no policy says where it may run")
    tolerating = {**ssd_pod, "spec": {**ssd_pod["spec"], "tolerations": [{"key": "gpu", "operator": "Exists"}]}}
    assert not decide(ssd, pools=strays, given=tolerating).pools.waits
    assert not decide(idle, pools=inventory(BARE)).pools.waits
    tainted = inventory(SOME)
    waiting = decide("prefer: [{expression: 'true', weight: 1}]", pools=tainted)
    assert waiting.pools.waits
    assert waiting.warnings[0].startswith("the pod would stay Pending, for it does not tolerate the taints of gpu (k:")
    assert waiting.as_json()["pools"]["taints"] == {"gpu": ["k:NoSchedule"]}
    assert waiting.as_json()["pools"]["wouldStayPending"] is True
    numbers = [{"key": "k", "operator": "Gt", "value": "1"}]
    assert decide(idle, pools=tainted, given=pod(tolerations=numbers)).pools.waits


FAST = "tolerate: [{expression: 'taint.key in [\"node.kubernetes.io/unreachable\"]', seconds: 30}]"


def stays(seconds: int) -> dict[str, Any]:
    key = "node.kubernetes.io/unreachable"
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}


def test_pods_leave_dead_nodes_when_a_policy_says() -> None:
    """What the API server added is replaced in place; an author's own value is not; the shortest of several counts."""
    given = pod(tolerations=[{"key": "mine", "operator": "Exists"}, stays(300)])
    decision = decide(FAST, given=given)
    stays_less = {"op": "replace", "path": "/spec/tolerations/1/tolerationSeconds", "value": 30}
    assert decision.placement_patch == (stays_less,)
    assert decision.message.endswith("one tolerates taints")
    assert decide(FAST, given=pod(tolerations=[stays(60)])).patch == ()
    assert patched(decide(FAST))["tolerations"] == [stays(30)]
    two = decide(FAST.replace("30", "90"), FAST, given=given)
    assert patched(two)["tolerations"][1] == stays(30)
    assert outcomes(two) == {"one": "satisfied", "two": "applied"}
    again = decide(FAST.replace("30", "90"), FAST, given={**given, "spec": patched(two)})
    assert again.patch == ()


def test_only_seconds_name_what_comes_and_goes() -> None:
    """An entry must read the key, too; NoExecute taints of pools get the same seconds, others get none."""
    assert tolerated(FAST.replace(", seconds: 30", "")) == []
    assert tolerated(f"{GOLD}\ntolerate: [{{expression: 'true', seconds: 5}}]") == [
        "nvidia.com/gpu=true:NoSchedule",
        "soft:PreferNoSchedule",
        "team=ml:NoExecute 5",
    ]
    pooled = "tolerate: [{expression: 'taint.key.startsWith(\"node.\") && pool.gpus > 4', seconds: 0}]"
    assert tolerated(f"{GOLD}\n{pooled}") == [
        "node.kubernetes.io/not-ready:NoExecute 0",
        "node.kubernetes.io/unreachable:NoExecute 0",
    ]
    assert tolerated(f"{BASE}\n{pooled}") == []


def test_the_sentence_says_tolerates_only_where_a_toleration_is_written() -> None:
    spec = f"{GOLD}\ntolerate: [{{expression: taint.key == 'nobody'}}]"
    assert "tolerates" not in decide(spec).message
    own = pod(tolerations=[{"key": "team", "operator": "Exists"}])
    assert "tolerates" not in decide(spec.replace("nobody", "team"), given=own).message
    assert decide(spec.replace("nobody", "team")).message.endswith("(gold nodes only) and tolerates taints")


def test_tolerating_does_not_confine_to_known_pools() -> None:
    """What is required is the same with and without `tolerate`, in one policy or in two."""
    zone, team = "require: [{expression: 'node.zone == \"a\"'}]", "tolerate: [{expression: taint.key == 'team'}]"
    decision = decide(f"{zone}\n{team}")
    expression = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}

    assert required(decision) == [{"matchExpressions": [expression]}]
    assert decision.placement_patch == decide(zone, team).placement_patch


def test_spread_counts_the_pods_own_workload() -> None:
    """Labels that differ between revisions are left out; a pod without any others fails the policy."""
    spec = "spread: [{topologyKey: topology.kubernetes.io/zone, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway}]"

    assert patched(decide(spec))["topologySpreadConstraints"][0]["labelSelector"] == {"matchLabels": {"app": "web"}}
    assert outcomes(decide(spec, given={"metadata": {"name": "x"}, "spec": {"containers": []}})) == {"one": "failed"}


def test_pods_are_kept_apart() -> None:
    """`weight` is a wish, `required` a demand."""
    spec = "podAntiAffinity: [{topologyKey: kubernetes.io/hostname, weight: 50}]\n"
    spec += "podAffinity: [{topologyKey: topology.kubernetes.io/zone, required: true}]"
    affinity = patched(decide(spec))["affinity"]

    assert affinity["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]["weight"] == 50
    assert affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]["topologyKey"].endswith("zone")


# Modes, and what is left alone


def test_the_most_careful_mode_wins() -> None:
    """Of the webhook, the bundle and the policy."""
    assert decide(GOLD, mode="audit").answer_patch == ()
    assert decide(GOLD, bundle="mode: audit").answer_patch == ()
    assert decide(GOLD, mode="audit").patch == decide(GOLD).patch != ()
    assert outcomes(decide(GOLD, mode="off")) == {"one": "off"}
    assert outcomes(decide(f"{GOLD}\nmode: 'off'", BASE)) == {"one": "off", "two": "applied"}


ADD_IT = "add it, or have whoever keeps the policy allow for it"


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        (
            'node.labels["team"] == namespaceObject.metadata.labels["team"]',
            f'no such key: "team"; its Namespace has no metadata.labels[team]: {ADD_IT})',
        ),
        (
            'node.zone in pod.metadata.annotations["zones"].split(",")',
            f'no such key: "annotations"; the pod has no metadata.annotations: {ADD_IT})',
        ),
        ('int(node.labels["size"]) > int(pod.metadata.labels["app"])', 'cannot convert "web" to int)'),
        (
            'node.zone == pool.labels["no"]',
            "carry `no`: say it under `labels:` or `values:` in an inventory (pool `gpu`))",
        ),
    ],
)
def test_an_error_that_no_node_has_to_do_with_is_told_as_it_is(expression: str, told: str) -> None:
    decision = decide(yaml.safe_dump({"require": [{"expression": expression}]}))
    assert not decision.allowed
    assert re.search(r"no pool satisfies it \(policies/one\.yaml:\d+:\d+: ", decision.message)
    assert decision.message.endswith(told)


UNDECIDABLE = 'deny: [{expression: \'pod.metadata.labels["no"] == "x"\'}]'


@pytest.mark.parametrize("hard", ["deny: [{expression: has(pod.spec.nodeName)}]", UNDECIDABLE])
@pytest.mark.parametrize("audited", [f"{GOLD}\nmode: audit", f"{UNDECIDABLE}\nmode: audit"])
def test_what_a_pod_that_names_its_node_is_refused_for_is_not_undone_by_what_is_audited(
    hard: str, audited: str
) -> None:
    """Every policy has an outcome, whoever refused the pod."""
    decision = decide(hard, audited, given=pod(nodeName="n1"))
    assert not decision.allowed
    assert decision.audited is not None
    assert [one.name for one in decision.policies] == ["one", "two"]
    alone = decide(f"{hard}\nmode: audit", audited, given=pod(nodeName="n1"))
    assert alone.allowed
    assert alone.audited is not None
    assert (alone.audited.allowed, alone.audited.message.partition(":")[0]) == (
        False,
        decision.message.partition(":")[0],
    )


def test_an_audited_policy_changes_nothing_and_says_what_it_would() -> None:
    """Beside enforced ones, which go on."""
    decision = decide(f"{GOLD}\nmode: audit", "prefer: [{expression: 'node.zone == \"a\"', weight: 5}]")

    assert outcomes(decision) == {"one": "audited", "two": "applied"}
    assert "gpu" not in str(decision.patch)
    assert decision.audited is not None
    assert "gpu" in str(decision.audited.patch)
    assert decision.as_json()["audited"]["allowed"]


@pytest.mark.parametrize(
    ("given", "namespace", "user"),
    [
        (of_a_daemon_set(), "team", DAEMON_SET_CONTROLLER),
        (mirror(), "team", KUBELET),
        (pod(), "kube-system", JANE),
        (pod(), "kube-node-lease", JANE),
        (pod(), "bayplan-system", JANE),
    ],
)
def test_hands_off(given: dict[str, Any], namespace: str, user: dict[str, Any]) -> None:
    """Law 12: not even `deny` judges these."""
    engine = decider(GOLD, "deny: [{expression: 'true'}]", namespaces=["bayplan-system"])
    decision = engine.decide(incoming(given, namespace, user))

    assert decision.allowed
    assert decision.patch == ()
    assert "left alone" in decision.message
    assert decision.warnings == ()


def owned(kind: str, version: str, *, controller: bool = True) -> dict[str, Any]:
    """A pod of a DaemonSet, but for its owner."""
    owner = {"apiVersion": version, "kind": kind, "name": "d", "uid": "u", "controller": controller}
    return pod(metadata={"ownerReferences": [owner]}, affinity=of_a_daemon_set()["spec"]["affinity"])


def unbound(terms: list[dict[str, Any]] | None) -> dict[str, Any]:
    """A pod of a DaemonSet, but for its required terms."""
    given = of_a_daemon_set()
    affinity = {"nodeAffinity": {} if terms is None else {REQUIRED: {"nodeSelectorTerms": terms}}}
    return {**given, "spec": {**given["spec"], "affinity": affinity}}


def by_name(*values: str) -> dict[str, Any]:
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": list(values)}]}


NOT_CONTROLLER = "the pod claims to be a DaemonSet's, but was made by `{}`, not by the DaemonSet controller"
NOT_KUBELET = "the pod claims to be a mirror pod, but was made by `{}`, not by the kubelet of the node that it names"
NOT_AS_MADE = "the pod claims to be a DaemonSet's, but is not as its controller makes them"


@pytest.mark.parametrize(
    ("given", "user", "warning"),
    [
        # what anybody can write
        (of_a_daemon_set(), JANE, NOT_CONTROLLER.format("jane")),
        (owned("DaemonSet", "invented.example/v7"), JANE, NOT_CONTROLLER.format("jane")),
        (mirror(), JANE, NOT_KUBELET.format("jane")),
        (mirror(), {**JANE, "groups": ["system:nodes"]}, NOT_KUBELET.format("jane")),
        # accounts with names alike
        (
            of_a_daemon_set(),
            {"username": "system:serviceaccount:team:daemon-set-controller"},
            NOT_CONTROLLER.format("system:serviceaccount:team:daemon-set-controller"),
        ),
        (mirror("node-2"), KUBELET, NOT_KUBELET.format("system:node:node-1")),
        (mirror(), {"username": "system:node:node-1"}, NOT_KUBELET.format("system:node:node-1")),
        (mirror(""), {"username": "system:node:", "groups": ["system:nodes"]}, NOT_KUBELET.format("system:node:")),
        (of_a_daemon_set(), KUBELET, NOT_CONTROLLER.format("system:node:node-1")),
        # what the controller does not make
        (owned("DaemonSet", "apps.kruise.io/v1alpha1"), DAEMON_SET_CONTROLLER, NOT_AS_MADE),
        (owned("DaemonSet", "apps/v1beta1"), DAEMON_SET_CONTROLLER, NOT_AS_MADE),
        (unbound(None), DAEMON_SET_CONTROLLER, NOT_AS_MADE),
        (unbound([]), DAEMON_SET_CONTROLLER, NOT_AS_MADE),
        (unbound([by_name("a", "b")]), DAEMON_SET_CONTROLLER, NOT_AS_MADE),
        (unbound([by_name("a"), {}]), DAEMON_SET_CONTROLLER, NOT_AS_MADE),
        (owned("DaemonSet", "apps/v1", controller=False), DAEMON_SET_CONTROLLER, ""),
        (owned("ReplicaSet", "apps/v1"), DAEMON_SET_CONTROLLER, ""),
        (of_a_daemon_set(), {}, "the pod claims to be a DaemonSet's, but was made by a user that is not known"),
    ],
)
def test_a_pod_does_not_say_itself_that_it_is_left_alone(
    given: dict[str, Any], user: dict[str, Any], warning: str
) -> None:
    """Law 13: it is decided like any other, and the decision says what it claimed."""
    decision = decider(GOLD, "deny: [{expression: 'true', message: not today}]").decide(incoming(given, user=user))

    assert not decision.allowed
    assert "not today" in decision.message
    assert len(decision.warnings) == bool(warning)
    assert all(text.startswith(warning) for text in decision.warnings)


def test_who_makes_the_pods_of_daemon_sets_can_be_said() -> None:
    engine = decider(GOLD, daemon_set_controllers=["kcm"])

    assert "left alone" in engine.decide(incoming(of_a_daemon_set(), user={"username": "kcm"})).message
    assert engine.decide(incoming(of_a_daemon_set(), user=DAEMON_SET_CONTROLLER)).patch


def test_a_claim_is_told_with_what_else_is_warned_of_and_with_hands_on_there_is_none() -> None:
    claims = decide("require: [{expression: 'false'}]\nwhenEmpty: warn", given=of_a_daemon_set())
    assert [text.partition(" ")[0] for text in claims.warnings] == ["the", "policy"]
    opted_in = decide(GOLD, given=of_a_daemon_set(), bundle="handsOn: {daemonSets: true}")
    assert "claims" not in str(opted_in.warnings)


def test_a_node_of_no_pool_keeps_a_free_requirement_alive() -> None:
    """Without known pools, or with nodes outside of them, a condition on nodes alone is never empty."""
    spec = "require: [{expression: 'node.zone == \"mars\"'}]"

    assert not decide(spec).allowed
    assert decide(spec, pools=Inventory()).allowed
    assert decide(spec, pools=Inventory(inventory().pools, strays=1)).allowed


def test_the_decision_is_data_in_one_shape() -> None:
    """design §6."""
    data = decide(GOLD).as_json(show_pod=True)

    keys = "pod revision mode allowed message policies pools placement patch warnings patched"
    assert list(data) == keys.split()
    assert data["message"] == (
        "pod team/web-0 would stay Pending, for it does not tolerate the taints of gpu "
        "(nvidia.com/gpu=true:NoSchedule and team=ml:NoExecute), and nothing else is left: "
        "one requires it (gold nodes only)"
    )
    assert data["revision"].startswith("test@1.0.0+sha256:")


def test_a_stuck_pod_tolerates_nothing_new() -> None:
    """Tolerations are those of the pools that are left, and none is."""
    spec = f"{GOLD}\ntolerate: [{{expression: 'taint.key == \"team\"'}}]"
    decision = decide(spec, given=pod(nodeSelector={"karpenter.sh/nodepool": "gone", "tier": "none"}))

    assert decision.allowed
    assert "tolerations" not in patched(decision)


def test_a_policy_that_denies_nothing_here_says_so() -> None:
    """It asks for nothing that could hold already."""
    decision = decide("deny: [{expression: 'false'}]")

    assert decision.policies[0].message == "it denies nothing here"
    assert decision.message == "no policy says where pod team/web-0 may run; it may run wherever it asks to"


def test_a_mixed_pool_whose_provider_marks_spot_nodes_only_may_have_others() -> None:
    """The declared values of the marker are what nodes may carry, and on-demand nodes carry none."""
    mixed = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - name: mixed
    selector: {cloud.google.com/gke-nodepool: mixed}
    values: {cloud.google.com/gke-spot: ["true"]}
"""
    decision = decide("require: [{expression: 'node.capacityType == \"on-demand\"'}]", pools=inventory(mixed))

    assert decision.pools.after == ("mixed",)
    assert {"key": "cloud.google.com/gke-spot", "operator": "NotIn", "values": ["true"]} in (
        required(decision)[0]["matchExpressions"]
    )


def test_what_is_required_and_holds_is_not_written_again_where_fewer_pools_are_left() -> None:
    """Somebody has ruled a pool out since: the pod still says which pools it may go to."""
    spec = "require: [{expression: 'pool.name != \"legacy\"'}]"
    again: dict[str, Any] = {**pod(), "spec": patched(decide(spec))}
    again["spec"]["nodeSelector"] = {"tier": "base"}
    decision = decide(spec, given=again)
    assert (decision.patch, decision.pools.after) == ((), ("plain",))


def test_what_parameters_decide_costs_no_pod_anything() -> None:
    """So that a decision does not depend on the pods before: what is the same for all is decided once."""
    loop = 'pod.spec.containers.all(c, c.env.all(e, c.env.all(f, e.name != f.name + "x")))'
    dear = f"prefer: [{{expression: {loop!r}, weight: 1}}]"
    plain = "require: [{expression: 'params.l.exists(x, x == 3) && pool.name == \"plain\"'}]"
    heavy = {"name": "c", "image": "i", "env": [{"name": f"E{i}", "value": "v"} for i in range(900)]}
    light = {"name": "c", "image": "i"}
    specs = ["\n".join([dear, f"priority: {i}"]) for i in (3, 2, 1)]
    bundle = "{params: {l: [1, 2, 3]}}"
    engine, other = (decider(*specs, plain, bundle=bundle) for _ in range(2))
    other.decide(incoming(pod(containers=[light])))
    one, two = (each.decide(incoming(pod(containers=[heavy]))) for each in (engine, other))
    assert one.as_json() == two.as_json()


def test_a_side_that_leaves_nodes_of_no_pool_only_is_said_to() -> None:
    stray = FLEET + "---\napiVersion: v1\nkind: Node\nmetadata: {name: s, labels: {rack: a}}\nspec: {}\n"
    free = "priority: 5\nrequire: [{expression: '!(\"tier\" in node.labels)', message: untiered}]"
    decision = decide(free, GOLD, pools=inventory(stray))
    assert decision.message == (
        "policy two: gold nodes only: that leaves gpu, but policy one (untiered) leaves only nodes of no pool, "
        "so nothing is left"
    )


TAINTED = "tolerate: [{expression: 'taint.key == \"nvidia.com/gpu\"'}]"
GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists"}


def test_of_several_policies_each_is_applied_where_something_of_it_is_written() -> None:
    """What it requires and what it tolerates, of the pools that are left."""
    other = "prefer: [{expression: 'node.zone == \"a\"', weight: 5}]"
    tolerating = pod(tolerations=[GPU_TOLERATION])
    assert outcomes(decide(f"{GOLD}\n{TAINTED}", other, given=tolerating))["one"] == "applied"
    confined = pod(tolerations=[GPU_TOLERATION], nodeSelector={"karpenter.sh/nodepool": "gpu"})
    assert outcomes(decide(f"{GOLD}\n{TAINTED}", other, given=confined))["one"] == "satisfied"
    elsewhere = pod(nodeSelector={"karpenter.sh/nodepool": "plain"})
    assert outcomes(decide(f"{BASE}\n{TAINTED}", other, given=elsewhere))["one"] == "satisfied"


def test_warnings_are_discreet_too() -> None:
    """A policy that is left out with a warning, and what it ran into."""
    secret = {"name": "c", "image": "i", "env": [{"name": "K", "value": "hunter2"}]}
    read = "int(pod.spec.containers[0].env[0].value) == pool.gpus"
    decision = decide(f"require: [{{expression: '{read}'}}]\nwhenEmpty: warn", given=pod(containers=[secret]))
    assert decision.warnings
    assert "hunter2" not in str(decision.warnings)
