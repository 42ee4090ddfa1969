"""engine.decision.words: outcomes and messages, word for word, and which policies are asked at all."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from engine.decision.decide import Decider
from engine.decision.part import most_careful_mode
from engine.decision.words import ABOUT_NONE, HELD, NO_TAINT, TOO_LIGHT
from engine.evaluation import UNSELECTED
from engine.nodeselector import TRUE
from engine.pools import Inventory
from tests.engine.builders import (
    BASE,
    DAEMON_SET_CONTROLLER,
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
)
from tests.engine.matching import PREFERRED, REQUIRED

DENY = "deny: [{expression: 'true', message: not today}]"


def messages(decision: Any) -> dict[str, str]:
    return {policy.name: policy.message for policy in decision.policies}


@pytest.mark.parametrize(
    ("given", "namespace", "user", "reason"),
    [
        (of_a_daemon_set(), "team", DAEMON_SET_CONTROLLER, "pods of DaemonSets are left alone"),
        (mirror(), "team", KUBELET, "mirror pods are left alone"),
        (pod(), "kube-system", JANE, "pods in namespace kube-system are left alone"),
    ],
)
def test_why_a_pod_is_left_alone(given: dict[str, Any], namespace: str, user: dict[str, Any], reason: str) -> None:
    decision = decider(GOLD, DENY).decide(incoming(given, namespace, user))
    assert (decision.allowed, decision.message) == (True, reason)
    assert outcomes(decision) == {"one": "notMatched", "two": "notMatched"}
    assert set(messages(decision).values()) == {reason}


def test_a_webhook_that_is_off_decides_nothing() -> None:
    decision = decide(GOLD, DENY, mode="off")
    assert (decision.allowed, decision.message, decision.mode) == (True, "switched off", "off")
    assert outcomes(decision) == {"one": "off", "two": "off"}


def test_most_careful_mode() -> None:
    assert (
        most_careful_mode(),
        most_careful_mode("enforce"),
        most_careful_mode("audit", "enforce"),
        most_careful_mode("off", "audit"),
    ) == (
        "enforce",
        "enforce",
        "audit",
        "off",
    )


def test_a_decider_that_is_told_nothing_enforces_in_a_nameless_cluster() -> None:
    program = decider("require: [{expression: 'cluster.name == \"\" && cluster.labels == {}'}]").program
    decision = Decider(program, Inventory()).decide(incoming())
    assert (decision.mode, outcomes(decision)) == ("enforce", {"one": "satisfied"})


def test_a_pod_that_names_its_node() -> None:
    """What applies is not matched, and what it ran into stays; what failed or did not match stays that.

    It is no reason to refuse the pod, for what it requires would not be written either.
    """
    failing = 'require: [{expression: \'pool.annotations["rack"] == "r" || pool.gpus > 0\'}]'
    broken = 'matchConditions: [{name: c, expression: \'pod.metadata.labels["no"] == "x"\'}]\n' + GOLD
    decision = decide(failing, broken, f"podSelector: {{matchLabels: {{app: db}}}}\n{GOLD}", given=pod(nodeName="n"))
    assert decision.message == "the pod names its node, so it is not patched"
    assert (decision.allowed, decision.patch) == (True, ())
    assert outcomes(decision) == {"one": "notMatched", "two": "failed", "three": "notMatched"}
    said = messages(decision)
    assert said["one"] == "the pod names its node"
    assert said["three"] == UNSELECTED
    assert 'no such key: "rack"' in next(p.error for p in decision.policies if p.name == "one")


def test_a_refusal_lists_what_each_policy_said() -> None:
    decision = decide(GOLD, DENY)
    assert (decision.allowed, decision.message) == (False, "policy two: not today")
    assert outcomes(decision) == {"one": "applied", "two": "denied"}
    assert messages(decision)["two"] == "not today"


def test_why_a_policy_does_not_match() -> None:
    unmet = "matchConditions: [{name: never, expression: 'false'}]\n" + GOLD
    decision = decide(unmet, f"rollout: 0\n{GOLD}")
    assert outcomes(decision) == {"one": "notMatched", "two": "notRolledOut"}
    assert messages(decision) == {
        "one": "`never` is false",
        "two": "rolled out to 0 % of workloads, not to this one",
    }
    unlike = decide(f"podSelector: {{matchExpressions: [{{key: app, operator: NotIn, values: [web]}}]}}\n{GOLD}")
    asked_for = decide(f"podSelector: {{matchLabels: {{app: db}}}}\n{GOLD}")
    assert messages(unlike) == messages(asked_for) == {"one": UNSELECTED}


def test_what_holds_already_and_what_denies_nothing() -> None:
    """Among several and alone."""
    never = "deny: [{expression: 'false'}]"
    mine = pod(nodeSelector={"karpenter.sh/nodepool": "gpu"})
    for specs in ((GOLD,), (GOLD, never), (GOLD, BASE.replace("base", "gold"), never)):
        decision = decide(*specs, given=mine)
        said = messages(decision)
        assert set(outcomes(decision).values()) == {"satisfied"}
        assert said["one"] == "it holds already"
        assert [said[p.name] for p in decision.policies if said[p.name] != "it holds already"] in (
            [],
            ["it denies nothing here"],
        )
    applied = decide(GOLD, "prefer: [{expression: pool.gpus > 4, weight: 5}]", given=mine)
    assert outcomes(applied) == {"one": "satisfied", "two": "applied"}
    both = decide(GOLD, "require: [{expression: pool.gpus > 4}]")
    assert outcomes(both) == {"one": "applied", "two": "applied"}


def test_what_is_required_is_told_also_of_a_pod_that_no_pool_can_take() -> None:
    """Though the pod asks for it itself."""
    mine = pod(nodeSelector={"karpenter.sh/nodepool": "gpu", "topology.kubernetes.io/zone": "elsewhere"})
    decision = decide(GOLD, given=mine)
    assert (outcomes(decision), decision.pools.after) == ({"one": "satisfied"}, ())
    assert decision.placement.required != TRUE


HUGE = "{expression: pool.gpus > 400, weight: 5}"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (f"prefer: [{HUGE}]", ABOUT_NONE),
        ("prefer: [{expression: 'true', score: '0'}]", ABOUT_NONE),
        ("fallback: [{expression: pool.gpus > 400}]", ABOUT_NONE),
        ('prefer: [{expression: \'node.labels["x"] == "no label"\', weight: 5}]', ABOUT_NONE),
        ("tolerate: [{expression: taint.key == 'nobody'}]", NO_TAINT),
        ("tolerate: [{expression: taint.key == 'node.kubernetes.io/not-ready'}]", NO_TAINT),
        (
            "tolerate: [{expression: taint.key == 'nobody'}]\nprefer: [{expression: pool.gpus > 400, weight: 5}]",
            ABOUT_NONE,
        ),
    ],
)
def test_what_is_about_no_node_that_is_left_says_so(spec: str, reason: str) -> None:
    """Rather than that it holds."""
    for specs in ((spec,), (spec, GOLD), (spec, spec)):
        decision = decide(*specs)
        assert outcomes(decision)["one"] == "satisfied"
        assert messages(decision)["one"] == reason
    assert f"one and two change nothing: {reason}" in decision.message
    assert f"one changes nothing: {reason}" in decide(spec, GOLD).message


PLAIN = "prefer: [{expression: pool.name == 'plain', weight: 5}]"


def test_what_is_about_other_pools_than_are_left_says_so() -> None:
    """Also where the policy requires something that the pod asks for itself."""
    assert messages(decide(PLAIN, GOLD))["one"] == ABOUT_NONE
    here = pod(nodeSelector={"topology.kubernetes.io/zone": "a"})
    zoned = decide(f"require: [{{expression: node.zone == 'a'}}]\n{PLAIN}", GOLD, given=here)
    assert (outcomes(zoned)["one"], messages(zoned)["one"]) == ("satisfied", HELD)
    stuck = pod(nodeSelector={"topology.kubernetes.io/zone": "elsewhere"})
    assert messages(decide("tolerate: [{expression: taint.key == 'nvidia.com/gpu'}]", given=stuck))["one"] == NO_TAINT


def test_what_adds_up_to_more_than_the_pod_has_is_applied() -> None:
    """Though what each policy asks for is there already."""
    zone = [{"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}]}]
    given = pod(affinity={"nodeAffinity": {PREFERRED: [{"weight": 5, "preference": zone[0]}]}})
    wish = "prefer: [{expression: node.zone == 'a', weight: 5}]"
    assert outcomes(decide(wish, given=given)) == {"one": "satisfied"}
    decision = decide(wish, wish, PLAIN, GOLD, given=given)
    assert outcomes(decision) == {"one": "applied", "two": "applied", "three": "satisfied", "four": "applied"}


def test_of_a_pod_that_nothing_admits_what_is_preferred_is_written() -> None:
    given = pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{}]}}})
    wishing = f"{GOLD}\nprefer: [{{expression: pool.gpus > 4, weight: 5}}]"
    assert outcomes(decide(wishing, given=given)) == {"one": "applied"}
    assert outcomes(decide(wishing, GOLD, given=given)) == {"one": "applied", "two": "satisfied"}


def test_what_weighs_too_little_beside_tiers_says_so() -> None:
    tiers = "fallback: [" + ", ".join(f"{{expression: node.labels.r == 'v{i}'}}" for i in range(100)) + "]"
    wish = "prefer: [{expression: node.labels.q == '1', weight: 1}]"
    decision = decide(wish, tiers)
    assert messages(decision) == {"one": TOO_LIGHT, "two": ""}
    assert "one changes nothing: what is preferred weighs too little beside tiers" in decision.message
    again = decide(wish, tiers, given=pod(**patched(decision)))
    assert messages(again) == {"one": TOO_LIGHT, "two": HELD}


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
def test_what_another_policy_tolerates_already_fails_nobody(policy: str) -> None:
    """Nor on the second call, when all is there: why nothing is written must not decide anything."""
    number = f"tolerate: [{{expression: taint.key == 'team' && int(taint.value) > 1}}]\nfailurePolicy: {policy}"
    team = "tolerate: [{expression: taint.key == 'team'}]"
    decision = decide(team, number)
    assert outcomes(decision) == {"one": "applied", "two": "satisfied"}
    again = decide(team, number, given=pod(**patched(decision)))
    assert (again.allowed, again.patch) == (True, ())
    assert messages(again) == {"one": HELD, "two": NO_TAINT}
    assert outcomes(decide(team, number, GOLD, given=pod(**patched(decision))))["two"] == "satisfied"


def test_a_policy_is_asked_once_about_each_taint(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its budget need not do for why nothing is written, too."""
    monkeypatch.setattr("engine.evaluation.pod_facts.POLICY_BUDGET", 60)
    numbers = "[1, 2, 3]"
    costly = f"{numbers}.all(x, {numbers}.all(y, x + y + size(taint.key) > 0))"
    spec = f"tolerate: [{{expression: \"taint.key == 'team' && {costly}\"}}]\nfailurePolicy: Fail"
    tolerating = pod(tolerations=[{"operator": "Exists"}])
    assert messages(decide(spec, given=tolerating)) == {"one": HELD}
    monkeypatch.setattr("engine.evaluation.pod_facts.POLICY_BUDGET", 30)
    assert outcomes(decide(spec, given=tolerating)) == {"one": "failed"}


@pytest.mark.parametrize("kind", ["podAffinity", "podAntiAffinity"])
def test_pod_terms_that_say_the_same_in_other_words_add_up(kind: str) -> None:
    one = f"{kind}: [{{topologyKey: zone, weight: 5, labelSelector: {{matchLabels: {{a: b}}}}}}]"
    expression = "{matchExpressions: [{key: a, operator: In, values: [b]}]}"
    two = f"{kind}: [{{topologyKey: zone, weight: 5, labelSelector: {expression}}}]"
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}
    given = pod(affinity={kind: {PREFERRED: [{"weight": 7, "podAffinityTerm": term}]}})
    assert outcomes(decide(one, two, given=given)) == {"one": "applied", "two": "applied"}


def test_what_is_made_lighter_than_what_the_pod_has_is_not_applied() -> None:
    """Two wishes of 60 for one term come to 100, and the third to 50."""
    host, zone = (f"podAntiAffinity: [{{topologyKey: {key}, weight: 60}}]" for key in ("host", "zone"))
    (mine,) = patched(decide(zone))["affinity"]["podAntiAffinity"][PREFERRED]
    given = pod(affinity={"podAntiAffinity": {PREFERRED: [{**mine, "weight": 55}]}})
    assert outcomes(decide(host, host, zone, given=given)) == {"one": "applied", "two": "applied", "three": "satisfied"}


def test_a_spread_that_gives_way_to_another_policys_is_not_applied() -> None:
    spread = (
        "spread: [{topologyKey: zone, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: %s}}]"
    )
    both = f"{spread % '{b: c}'}\nprefer: [{HUGE}]"
    decision = decide(spread % "{a: b}", both)
    assert outcomes(decision) == {"one": "applied", "two": "satisfied"}
    assert "another policy's constraint on `zone`" in messages(decision)["two"]
    again = decide(spread % "{a: b}", both, given=pod(**patched(decision)))
    assert messages(again)["one"] == HELD
    assert "the pod's own constraint on `zone`" in messages(again)["two"]


def test_pools_that_no_policy_names_are_ruled_out_by_those_that_require_something() -> None:
    """The pod keeps to a zone that one of the teams' pools has; nobody knows that of the third pool."""
    text = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: p0, selector: {team: x}, values: {topology.kubernetes.io/zone: [a]}}
  - {name: p3, selector: {team: y}, values: {topology.kubernetes.io/zone: [b]}}
  - {name: p2, selector: {kind: u}}
"""
    terms = [{"matchExpressions": [{"key": "team", "operator": "In", "values": ["x", "y"]}]}]
    given = pod(
        nodeSelector={"topology.kubernetes.io/zone": "a"},
        affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}},
    )
    teams = 'require: [{expression: \'pool.name in ["p0", "p3"]\'}]'
    decision = decide(teams, f"prefer: [{HUGE}]", given=given, pools=inventory(text))
    assert decision.patch
    assert outcomes(decision) == {"one": "applied", "two": "satisfied"}


def test_of_the_wishes_only_those_for_nodes_that_are_left_weigh() -> None:
    tiers = "fallback: [" + ", ".join(f"{{expression: node.labels.r == 'v{i}'}}" for i in range(30)) + "]"
    wishes = "prefer: [{expression: pool.name == 'gpu', weight: 1}, {expression: pool.name == 'plain', weight: 90}]"
    assert messages(decide(wishes, tiers, GOLD))["one"] == TOO_LIGHT


def test_where_there_are_no_tiers_nothing_weighs_too_little() -> None:
    light = "prefer: [{expression: node.labels.q == '1', weight: 1}]"
    heavy = "prefer: [" + ", ".join(f"{{expression: node.labels.r{i} == 'x', weight: 90}}" for i in range(3)) + "]"
    again = decide(light, heavy, given=pod(**patched(decide(light, heavy))))
    assert messages(again) == {"one": HELD, "two": HELD}


def test_a_pod_that_no_pool_can_take_gets_no_tolerations() -> None:
    stuck = pod(nodeSelector={"topology.kubernetes.io/zone": "elsewhere"})
    decision = decide("tolerate: [{expression: taint.key == 'nvidia.com/gpu'}]", PLAIN, given=stuck)
    assert outcomes(decision) == {"one": "satisfied", "two": "applied"}


def test_a_spread_that_gave_way_is_not_told_to_hold() -> None:
    own = {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    spec = (
        "require: [{expression: 'true'}]\nspread: [{topologyKey: zone, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway}]"
    )
    decision = decide(spec, given=pod(topologySpreadConstraints=[own]))
    assert outcomes(decision) == {"one": "satisfied"}
    assert "counts other pods" in messages(decision)["one"]


@pytest.mark.parametrize("pair", ["podAffinity", "podAntiAffinity"])
def test_pod_terms_that_add_up_are_applied(pair: str) -> None:
    wish = f"{pair}: [{{topologyKey: zone, weight: 5}}]"
    given = pod(**patched(decide(wish)))
    assert outcomes(decide(wish, GOLD, given=given)) == {"one": "satisfied", "two": "applied"}
    assert outcomes(decide(wish, wish, GOLD, given=given)) == {"one": "applied", "two": "applied", "three": "applied"}


def test_pools_are_left_on_which_the_pod_and_the_policies_agree() -> None:
    """Each of them leaves `gpu`, but not the same nodes of it."""
    spec = 'require: [{expression: \'pool.name == "plain" || pool.name == "gpu" && node.zone == "b"\'}]'
    decision = decide(spec, given=pod(nodeSelector={"topology.kubernetes.io/zone": "a"}))
    assert (decision.pools.before, decision.pools.after) == (("gpu", "plain"), ("plain",))


@pytest.mark.parametrize(
    ("tolerated", "pools", "untolerated"),
    [
        ([], "abcd", "abc"),
        (["x"], "abcd", "bc"),
        (["x", "y"], "abcd", "c"),
        (["x", "y", "z"], "abcd", ""),
        (["y"], "ab", "a"),
        ([], "bd", "b"),
        ([], "d", ""),
    ],
)
def test_pools_whose_taints_the_pod_does_not_tolerate(tolerated: list[str], pools: str, untolerated: str) -> None:
    """Of those that are left; `c` has two taints."""
    taints = {"a": ["x"], "b": ["y"], "c": ["x", "y", "z"], "d": []}
    pool_index = [
        {"name": name, "selector": {"pool": name}, "taints": [{"key": key, "effect": "NoSchedule"} for key in keys]}
        for name, keys in taints.items()
    ]
    text = json.dumps({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": pool_index})
    given = pod(tolerations=[{"key": key, "operator": "Exists"} for key in tolerated])
    spec = json.dumps({"require": [{"expression": f"pool.name in {json.dumps(list(pools))}"}]})
    decision = decide(spec, given=given, pools=inventory(text))
    assert decision.pools.untolerated == tuple(untolerated)


@pytest.mark.parametrize(
    "spec",
    [
        "prefer: [{expression: pool.gpus > 4, weight: 5}]",
        "prefer: [{expression: 'true', score: pool.gpus}]",
        "prefer: [{expression: 'node.zone == \"a\"', weight: 5}]",
        "fallback: [{expression: pool.gpus > 4}]",
        "tolerate: [{expression: taint.key == 'nvidia.com/gpu'}]",
        "spread: [{topologyKey: zone, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway}]",
        "podAffinity: [{topologyKey: zone, weight: 5}]",
        "podAntiAffinity: [{topologyKey: zone, weight: 5}]",
        "require: [{expression: 'true'}]",
    ],
)
def test_what_was_written_holds(spec: str) -> None:
    """Alone, and beside another policy."""
    for specs in ((spec,), (spec, "prefer: [{expression: pool.name == 'plain', weight: 5}]")):
        again = decide(*specs, given=pod(**patched(decide(*specs))))
        assert messages(again)["one"] == HELD


@pytest.mark.parametrize(
    ("spec", "outcome", "said"),
    [
        (DENY, "denied", "would be denied: not today"),
        (GOLD, "applied", "would be applied: "),
        (GOLD.replace("gold", "nowhere"), "overruled", "would be overruled: "),
    ],
)
def test_an_audited_policy_says_what_it_would_do(spec: str, outcome: str, said: str) -> None:
    decision = decide(f"{spec}\nmode: audit", BASE)
    assert outcomes(decision) == {"one": "audited", "two": "applied"}
    assert messages(decision)["one"].startswith(said)
    assert decision.allowed
    assert decision.audited is not None
    assert outcomes(decision.audited)["one"] == outcome


def test_a_failing_audited_policy_is_told() -> None:
    fails = 'deny: [{expression: \'pod.metadata.labels["no"] == "x"\'}]\nfailurePolicy: Fail'
    decision = decide(f"{fails}\nmode: audit", BASE)
    assert outcomes(decision) == {"one": "failed", "two": "applied"}
    assert decision.audited is not None
    assert not decision.audited.allowed
    assert decision.audited.message.startswith("policy one could not be decided: ")


def test_the_environment_is_hidden_in_what_is_audited_too() -> None:
    secret = pod(containers=[{"name": "c", "image": "i", "env": [{"name": "K", "value": "hunter2-hunter2"}]}])
    fails = (
        "deny: [{expression: 'pod.metadata.labels[pod.spec.containers[0].env[0].value] == \"x\"'}]\nfailurePolicy: Fail"
    )
    decision = decide(f"{fails}\nmode: audit", BASE, given=secret)
    assert decision.audited is not None
    assert "hunter2" not in str(decision.audited.as_json()) + str(decision.as_json())
    assert "an error that is not told" in decision.audited.message


SELECTORS = [
    "matchLabels: {app: web}",
    "matchLabels: {app: db}",
    "matchExpressions: [{key: app, operator: In, values: [web, api]}]",
    "matchExpressions: [{key: app, operator: Exists}]",
    "matchExpressions: [{key: app, operator: DoesNotExist}]",
    "matchExpressions: [{key: app, operator: NotIn, values: [web]}]",
    "matchExpressions: [{key: tier, operator: NotIn, values: [x]}, {key: app, operator: In, values: [web]}]",
    "matchLabels: {app: web, tier: x}",
]


def test_policies_are_asked_exactly_where_their_selector_may_match() -> None:
    """Whatever finds them does not change the answer: as if each were the only one, with a condition instead."""
    pods = [
        {key: value for key, value in (("app", app), ("tier", tier)) if value}
        for app, tier in product(("", "web", "db", "api", "other"), ("", "x", "y"))
    ]
    for start in range(0, len(SELECTORS), 4):
        chosen = SELECTORS[start : start + 4]
        engine = decider(*(f"podSelector: {{{selector}}}\n{GOLD}" for selector in chosen))
        for labels in pods:
            decision = engine.decide(
                incoming({"metadata": {"name": "p", "labels": labels}, "spec": {"containers": []}})
            )
            said = outcomes(decision)
            for name, place in zip(("one", "two", "three", "four"), range(start, start + 4), strict=True):
                assert (said[name] != "notMatched") == matches(place, labels), (SELECTORS[place], labels)


def matches(place: int, labels: dict[str, str]) -> bool:
    app, tier = labels.get("app"), labels.get("tier")
    return [
        app == "web",
        app == "db",
        app in ("web", "api"),
        app is not None,
        app is None,
        app != "web",
        tier != "x" and app == "web",
        app == "web" and tier == "x",
    ][place]


# Weights


@pytest.mark.parametrize(
    ("tiers", "wishes", "weights"),
    [
        (1, [], {"t0": 100}),
        (2, [], {"t0": 100, "t1": 50}),
        (2, [10], {"t0": 90, "t1": 45, "w0": 10}),
        (2, [10, 20], {"t0": 70, "t1": 35, "w0": 10, "w1": 20}),
        (1, [60, 60], {"t0": 50, "w0": 24, "w1": 24}),
        (3, [100], {"t0": 75, "t1": 50, "t2": 25, "w0": 24}),
    ],
)
def test_how_tiers_and_wishes_share_a_hundred(tiers: int, wishes: list[int], weights: dict[str, int]) -> None:
    spec = "fallback:\n" + "".join(f"  - expression: node.labels['t'] == 't{i}'\n" for i in range(tiers))
    spec += "prefer:\n" if wishes else ""
    spec += "".join(
        f'  - {{expression: \'node.labels["w{i}"] == "w{i}"\', weight: {w}}}\n' for i, w in enumerate(wishes)
    )
    assert preferred(decide(spec)) == weights


def test_two_scores_of_one_policy_each_take_the_room_of_their_highest() -> None:
    pools = inventory(
        "apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools:\n"
        "  - {name: a, selector: {karpenter.sh/nodepool: a}, gpus: 20}\n"
        "  - {name: b, selector: {karpenter.sh/nodepool: b}, gpus: 10}\n"
    )
    spec = "prefer: [{expression: 'true', score: pool.gpus}, {expression: 'true', score: 30 - pool.gpus}]\n"
    spec += "fallback: [{expression: 'node.zone == \"z\"'}]"
    # 20 of the first and 20 of the second are 40 of a hundred: 60 are left for the tier
    assert preferred(decide(spec, pools=pools)) == {"z": 60, "a": 30, "b": 30}


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("prefer: [{expression: 'pool.gpus > 0', weight: 1}]", "prefers some nodes and tolerates taints"),
        ("prefer: [{expression: 'requests.cpu > 1.0', weight: 1}]", "prefers nothing (policies/one.yaml"),
        ("prefer: [{expression: 'true', score: requests.cpu}]", "prefers nothing (prefer[0].score: no such key"),
        ("fallback: [{expression: 'requests.cpu > 1.0'}]", "prefers nothing (policies/one.yaml"),
        ("prefer: [{expression: 'pool.gpus > 1000', weight: 1}]", "one tolerates taints"),
        (
            "prefer: [{expression: 'requests.cpu > 1.0', weight: 1}, {expression: 'pool.gpus > 0', weight: 1}]",
            "one prefers some nodes",
        ),
    ],
)
def test_a_wish_that_names_no_node_prefers_none(wish: str, said: str) -> None:
    """Beside something else that is written."""
    decision = decide(f"{wish}\ntolerate: [{{expression: 'taint.key == \"nvidia.com/gpu\"'}}]")
    assert said in decision.message
    assert ("prefers some nodes" in decision.message) is ("prefers some nodes" in said)


CONTACT = {"bayplan.dev/owner": "ml-platform", "bayplan.dev/link": "https://wiki.example/gpu"}
ASK = "ask ml-platform, https://wiki.example/gpu"
FAILING = """
matchConditions: [{name: m, expression: 'pod.metadata.labels["absent"] == "x"'}]
require: [{expression: 'true'}]
"""
NOWHERE = "require: [{expression: 'pool.name == \"nothing\"', message: no such pool}]"


@pytest.mark.parametrize(
    ("spec", "begins"),
    [
        (DENY, "policy one: not today"),
        (FAILING, "policy one could not be decided: "),
        (NOWHERE, "policy one: no such pool: no pool satisfies it"),
    ],
)
def test_a_refusal_ends_with_whom_to_ask(spec: str, begins: str) -> None:
    decision, silent = decide(spec, contact=CONTACT), decide(spec)
    assert not decision.allowed
    assert decision.message.startswith(begins)
    assert decision.message == f"{silent.message}; {ASK}"


@pytest.mark.parametrize(
    ("spec", "begins"),
    [
        (GOLD, f"policy one ({ASK}): the pod would stay Pending, for it "),
        (f"{NOWHERE}\nwhenEmpty: warn", f"policy one ({ASK}) is left out: no such pool"),
        (f"{FAILING}\nfailurePolicy: Ignore", f"policy one ({ASK}) is left out, for it could not be decided: "),
        (
            'require: [{expression: \'node.labels["stedy"] == "x"\'}]',
            f"policy one ({ASK}): the pod may wait for long: ",
        ),
    ],
)
def test_a_warning_begins_with_the_policy_and_whom_to_ask(spec: str, begins: str) -> None:
    decision = decide(spec, contact=CONTACT)
    assert decision.allowed
    (warning,) = decision.warnings
    assert warning.startswith(begins)


def test_all_who_say_where_a_pod_may_run_are_named_where_it_waits() -> None:
    decision = decide(GOLD, GOLD, "prefer: [{expression: 'true', weight: 1}]", contact=CONTACT)
    (warning,) = decision.warnings
    assert warning.startswith(f"policy one ({ASK}) and policy two ({ASK}): the pod would stay Pending")
