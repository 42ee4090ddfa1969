"""engine.decision.exclusion: of each pool that is out, the first requirement that rules it out, with values."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from engine.decision import why_not
from engine.pods import IncomingPod
from tests.engine.worlds import a_pod, a_world
from tests.engine.worlds import incoming as incoming_of
from tests.examples import examples

from ..builders import BASE, FLEET, GOLD, decider, incoming, inventory, pod

ZONE = "topology.kubernetes.io/zone"
IN_A = "require: [{expression: 'node.zone == \"a\"', message: in a}]"


def reasons(*specs: str, given: IncomingPod | dict[str, Any] | None = None, **options: Any) -> dict[str, str]:
    """Why pools are out, by name."""
    engine = decider(*specs, **options)
    one = given if isinstance(given, IncomingPod) else incoming(given)
    return {name: exclusion.reason for name, exclusion in why_not(engine, engine.decide(one)).items()}


def required(text: str) -> str:
    return f"require: [{{expression: {text!r}}}]"


def test_the_pods_own_constraints_come_first() -> None:
    assert reasons(GOLD, given=pod(nodeSelector={"tier": "gold", ZONE: "a"}), pools=inventory()) == {
        "plain": "the pod's nodeSelector asks for tier=gold; its nodes carry tier=base",
        "legacy": "the pod's nodeSelector asks for tier=gold; its nodes carry tier=base",
        "gpu": "the pod does not tolerate nvidia.com/gpu=true:NoSchedule, team=ml:NoExecute",
    }


def test_values_on_both_sides() -> None:
    found = reasons(GOLD)
    wanted = 'one requires `pool.labels["tier"] == "gold"` (gold nodes only); its nodes carry tier=base'
    assert (found["plain"], found["legacy"]) == (wanted, wanted)


def test_entries_in_their_order_and_policies_by_priority() -> None:
    entries = "require: [{expression: 'pool.gpus == 0'}, {expression: 'pool.name == \"none\"', message: never}]"
    found = reasons(f"{entries}\nwhenEmpty: deny", f"priority: 9\n{IN_A}")
    assert found == {
        "gpu": "one requires `pool.gpus == 0`; `pool.gpus` is 8",
        "plain": 'one requires `pool.name == "none"` (never); `pool.name` is plain',
        "legacy": f'two requires `node.zone == "a"` (in a), which asks for {ZONE}=a; its nodes carry {ZONE}=c',
    }


def test_policies_that_have_no_say_rule_nothing_out() -> None:
    left_out = f"priority: -1\nwhenEmpty: ignore\n{BASE}"
    assert set(reasons(GOLD, left_out)) == {"gpu", "legacy", "plain"}
    assert reasons(GOLD, left_out)["plain"].startswith("one requires `pool")
    assert "plain" not in reasons(f"mode: audit\n{GOLD}")
    assert "plain" not in reasons(f"mode: 'off'\n{GOLD}")
    assert "plain" not in reasons(f"matchConditions: [{{name: never, expression: 'false'}}]\n{GOLD}")


def test_what_is_not_known_is_said_with_what_to_write() -> None:
    fleet = FLEET.replace("    gpus: 0\n", "")
    found = reasons(required("pool.gpus > 0"), pools=inventory(fleet))
    assert found["plain"] == (
        "one requires `pool.gpus > 0`: how many GPUs the nodes have is not known: say `gpus:` in an inventory"
    )


def test_a_label_that_no_node_carries() -> None:
    fleet = FLEET.replace("    gpus: 0\n", "    gpus: 0\n    absent: [team]\n").replace(
        "tier: gold", "tier: gold, team: x"
    )
    found = reasons(required('pool.labels["team"] == "x"'), pools=inventory(fleet))
    assert found["plain"] == 'one requires `pool.labels["team"] == "x"`: no such key: "team"; its nodes carry no team'
    negated = reasons(required('!("team" in pool.labels)'), pools=inventory(fleet))
    assert negated["gpu"] == 'one requires `!("team" in pool.labels)`; its nodes carry team=x'


def test_what_the_pod_is_compared_with() -> None:
    given = pod(metadata={"name": "x", "labels": {"tier": "silver"}})
    text = 'pool.labels["tier"] == pod.metadata.labels["tier"]'
    found = reasons(required(text) + "\nwhenEmpty: deny", given=given)
    assert found["plain"] == f"one requires `{text}`; the pod's value is silver, its nodes carry tier=base"


def test_a_list_of_the_pods_is_told_too() -> None:
    text = 'pool.labels["tier"] in pod.spec.tolerations.map(t, t.key)'
    given = pod(tolerations=[{"key": "silver"}, {"key": "tin"}])
    assert (
        f"`{text}`; the pod's value is [silver, tin], its nodes carry tier=base"
        in reasons(required(text), given=given)["plain"]
    )


def test_of_a_choice_the_side_that_counts() -> None:
    text = 'pool.gpus > 0 ? pool.labels["tier"] == "base" : node.zone == "a"'
    found = reasons(required(text))
    assert found["gpu"] == f"one requires `{text}`; its nodes carry tier=gold, `pool.gpus` is 8"
    assert found["legacy"].endswith(f"which asks for {ZONE}=a; its nodes carry {ZONE}=c")


def test_sides_of_an_alternative_are_both_told() -> None:
    text = 'pool.gpus > 7 || pool.labels["tier"] == pod.metadata.labels["app"]'
    assert reasons(required(text))["plain"] == (
        f"one requires `{text}`; the pod's value is web, its nodes carry tier=base, `pool.gpus` is 0"
    )


def test_what_only_rules_out_beside_something_else() -> None:
    """Pool `gpu` has nodes in a and in b; each side alone leaves some of them."""
    given = pod(nodeSelector={ZONE: "b"})
    assert reasons(IN_A, given=given)["gpu"] == (
        f'one requires `node.zone == "a"` (in a), which asks for {ZONE}=a; the pod\'s nodeSelector asks for {ZONE}=b'
    )
    two = "priority: 3\n" + required('node.zone == "b"')
    assert reasons(f"{IN_A}\nwhenEmpty: deny", two)["gpu"] == (
        f'one requires `node.zone == "a"` (in a), which asks for {ZONE}=a; two asks for {ZONE}=b'
    )


def test_what_reads_no_pool() -> None:
    found = reasons("require: [{expression: 'pod.spec.hostNetwork', message: hosts}]", given=pod(hostNetwork=False))
    assert (
        found["gpu"]
        == "one requires `pod.spec.hostNetwork` (hosts); that does not hold for this pod, whatever the pool"
    )


def test_the_share_of_a_split_counts_where_it_is_strict() -> None:
    split = "split: [{share: 100, expression: 'pool.gpus > 0', message: GPUs}, {share: 0, expression: pool.gpus == 0}]"
    assert reasons(split.replace("", "")) == {
        "plain": "one has this pod among the 100 % for `pool.gpus > 0` (GPUs); `pool.gpus` is 0",
        "legacy": "one has this pod among the 100 % for `pool.gpus > 0` (GPUs); `pool.gpus` is 0",
        "gpu": "the pod does not tolerate nvidia.com/gpu=true:NoSchedule, team=ml:NoExecute",
    }
    soft = split.replace("", "").replace("expression:", "whenUnsatisfiable: ScheduleAnyway, expression:")
    assert set(reasons(soft)) == {"gpu"}


@pytest.mark.parametrize(
    ("spec", "more", "said"),
    [
        ("deny: [{expression: 'true', message: never}]", {}, "the pod is refused: policy one: never"),
        (GOLD, {"nodeName": "n1"}, "the pod names its node"),
    ],
)
def test_where_policies_do_not_meet(spec: str, more: dict[str, Any], said: str) -> None:
    assert reasons(spec, given=pod(**more)) == dict.fromkeys(("gpu", "legacy", "plain"), said)


def test_of_pods_that_are_left_alone_only_what_they_ask_for_counts() -> None:
    left_alone = incoming(pod(nodeSelector={"tier": "gold"}), namespace="kube-system")
    found = reasons(GOLD, given=left_alone)
    assert set(found) == {"legacy", "plain"}


def test_what_no_node_can_meet() -> None:
    terms: dict[str, Any] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}
    found = reasons(GOLD, given=pod(affinity={"nodeAffinity": terms}))
    assert set(found.values()) == {"no node meets the pod's node affinity"}


def test_a_pool_whose_nodes_are_all_of_others() -> None:
    more = """
  - {name: first, selector: {p: x, tier: a}}
  - {name: second, selector: {p: x, tier: b}}
  - {name: both, selector: {p: x}, values: {tier: [a, b]}}
"""
    assert reasons(GOLD, pools=inventory(FLEET + more))["both"] == (
        "all its nodes belong to pools whose selectors say more"
    )


SECRET = "swordfish"


@pytest.mark.parametrize(
    "text",
    [
        "pool.name == pod.spec.containers[0].env[0].value",
        "node.zone == pod.spec.containers[0].env[0].value",
        "pool.gpus == int(pod.spec.containers[0].env[0].value)",
        'pool.labels[pod.spec.containers[0].env[0].value] == "x"',
        'node.labels[pod.spec.containers[0].env[0].value] == "x"',
    ],
)
def test_the_environment_is_not_told(text: str) -> None:
    container = {"name": "c", "image": "i", "env": [{"name": "KEY", "value": SECRET}]}
    fleet = FLEET.replace("    selector:", f"    absent: [{SECRET}]\n    selector:")
    found = reasons(required(text), given=pod(containers=[container]), pools=inventory(fleet))
    assert set(found) == {"gpu", "legacy", "plain"}
    assert SECRET not in str(found)


@examples(80)
@drawn(st.randoms(use_true_random=False))
def test_every_pool_that_is_out_has_a_reason(dice: random.Random) -> None:
    """And no other but those whose taints bar the pod; a policy that is named has a say."""
    world = a_world(dice, nodes=12)
    engine, one = world.decider(), incoming_of(a_pod(dice))
    for decision in (engine.decide(one), *(portion.decision for portion in engine.decide(one).portions)):
        found, pools = why_not(engine, decision), decision.pools
        if pools.before or not decision.allowed:
            assert {pool.name for pool in engine.pool_index.pools} - set(pools.after) <= set(found)
        assert set(found) & set(pools.after) <= set(pools.untolerated)
        outcomes = {policy.name: policy.outcome for policy in decision.policies}
        for exclusion in found.values():
            assert not exclusion.policy or outcomes[exclusion.policy] in ("applied", "satisfied", "overruled")
