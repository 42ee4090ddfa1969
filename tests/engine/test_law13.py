"""engine: the author does not choose the judge (law 13).

Whatever the author of a pod writes into it, besides what selectors and conditions of a policy read: it runs on nodes
that the policy allows, or it is refused. `tests.engine.worlds` tells what policies mean; what authors write is below.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decision import Decision
from engine.pods import IncomingPod
from engine.struct import replace
from tests.engine.laws import patched
from tests.engine.matching import REQUIRED, admits
from tests.engine.worlds import (
    ALPHABET,
    Json,
    PolicySpec,
    World,
    a_pod,
    a_policy,
    a_term,
    a_tree,
    a_world,
    an_expression,
    incoming,
)
from tests.examples import examples

CONDITION = {"name": "number", "expression": 'int(pod.metadata.?annotations[?"n"].orValue("1")) < 1000'}
"""Reads what authors write: it holds for what they write, or it is an error."""
REFUSES_DB = {"deny": [{"expression": 'pod.metadata.labels["app"] == "db"', "message": "no databases"}]}
ODD_TEXTS = ("", "x", "-5", "0", "007", "99999999999999999999", "1e3", "\u202e1", "NaN", "(", "\x00", "é" * 100)
PREFIX = "bayplan.dev/"

Mutation = Callable[[random.Random, Json], object]


def owned(dice: random.Random, pod: Json) -> None:
    """By what claims to be a DaemonSet, a Node, an operator, or many; with fields that are none."""
    kinds = [
        ("apps/v1", "DaemonSet"),
        ("example.com/v1", "DaemonSet"),
        ("v1", "Node"),
        ("apps/v1", "ReplicaSet"),
        ("batch/v1", "Job"),
        ("apps/v1", "StatefulSet"),
        ("core.strimzi.io/v1beta2", "StrimziPodSet"),
        ("", ""),
    ]
    owners = []
    for api_version, kind in dice.sample(kinds, dice.randint(1, 3)):
        owner: Json = {"apiVersion": api_version, "kind": kind, "name": dice.choice(["o", "kube-proxy"]), "uid": "u"}
        owners.append(owner | {"controller": dice.choice([True, True, False])})
    pod["metadata"]["ownerReferences"] = owners


def annotated(dice: random.Random, pod: Json) -> None:
    """As a mirror pod, with what Bayplan or kubectl might write, with odd and with very many texts."""
    annotations = pod["metadata"].setdefault("annotations", {})
    annotations |= {
        key: dice.choice([*ODD_TEXTS, "true", "{}", "a" * 10_000])
        for key in dice.sample(
            [
                "n",
                "kubernetes.io/config.mirror",
                "kubernetes.io/config.source",
                "kubectl.kubernetes.io/last-applied-configuration",
                f"{PREFIX}skip",
                f"{PREFIX}share",
                f"{PREFIX}exempt",
                "scheduler.alpha.kubernetes.io/critical-pod",
            ],
            dice.randint(1, 4),
        )
    }
    if dice.random() < 0.1:
        annotations |= {f"a{i}": "b" for i in range(3_000)}


def labelled(dice: random.Random, pod: Json) -> None:
    """With labels that no selector asks for, among them those by which an index is known."""
    keys = ["apps.kubernetes.io/pod-index", "batch.kubernetes.io/job-completion-index", "exempt", "bayplan", "x/y"]
    pod["metadata"]["labels"] |= {key: dice.choice(["", "0", "1", "x", "99999999999"]) for key in dice.sample(keys, 2)}


def named(dice: random.Random, pod: Json) -> None:
    pod["metadata"] |= dice.choice([{"generateName": "web-"}, {"name": "web-0"}, {"name": ""}, {"uid": "u"}])


def unlike(count: int) -> list[Json]:
    """Node selector terms that can't be made one, and that any node matches."""
    return [{"matchExpressions": [{"key": f"k{i}", "operator": "NotIn", "values": ["v"]}]} for i in range(count)]


def affinity_of(pod: Json) -> Json:
    """The pod's affinity, to be written into; null is none."""
    affinity: Json = pod["spec"].get("affinity") or {}
    pod["spec"]["affinity"] = affinity
    return affinity


def choosy(dice: random.Random, pod: Json) -> None:
    """About nodes: many terms, many values, terms that match nothing, by name, twice the same, odd ones."""
    many = [f"z{i}" for i in range(1_000)]
    nodes: list[list[Json]] = [
        [a_term(dice) for _ in range(dice.randint(1, 8))],
        unlike(12),
        [{}],
        [{}, a_term(dice)],
        [{"matchExpressions": []}],
        [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}],
        [{"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": many}]}],
        [{"matchExpressions": [an_expression(dice, ALPHABET, {}) for _ in range(60)]}],
        [a_term(dice)] * 8,
    ]
    affinity = affinity_of(pod)
    affinity["nodeAffinity"] = {REQUIRED: {"nodeSelectorTerms": dice.choice(nodes)}}


def multiplying(dice: random.Random, pod: Json) -> None:
    """With more terms than can be multiplied, or as many as there can be."""
    affinity = affinity_of(pod)
    affinity["nodeAffinity"] = {REQUIRED: {"nodeSelectorTerms": unlike(dice.choice([60, 300, 1001]))}}


def selecting(dice: random.Random, pod: Json) -> None:
    key = dice.choice([*ALPHABET, "kubernetes.io/hostname", "other"])
    pod["spec"]["nodeSelector"] = {key: dice.choice([*ALPHABET.get(key, ()), "", "x"])}


def wishing(dice: random.Random, pod: Json) -> None:
    """With preferences, pod affinity and spread constraints, as many as there can be."""
    spec, count = pod["spec"], dice.choice([1, 30, 100])
    affinity = affinity_of(pod)
    preferred = [{"weight": 1 + i % 100, "preference": a_term(dice, empty=0)} for i in range(count)]
    affinity.setdefault("nodeAffinity", {})["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    affinity["podAntiAffinity"] = {REQUIRED: [{"topologyKey": "zone", "labelSelector": {}}] * dice.choice([1, 50])}
    spec["topologySpreadConstraints"] = [
        {"topologyKey": f"t{i}", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"} for i in range(count)
    ]


def tolerant(dice: random.Random, pod: Json) -> None:
    keys = ["k", "j", "node.kubernetes.io/not-ready"]
    many = [
        {"key": dice.choice(keys), "operator": "Equal", "value": f"v{i}", "effect": "NoExecute"} for i in range(300)
    ]
    pod["spec"]["tolerations"] = dice.choice(
        [[{"operator": "Exists"}], many, [{"key": "k", "operator": "Lt", "value": "x"}]]
    )


def large(dice: random.Random, pod: Json) -> None:
    """With containers, environment and quantities past what anybody means."""
    count, quantity = dice.choice([1, 50, 300]), dice.choice(["1", "0", "1e308", "999999999Ei", "-1", "abc", ""])
    pod["spec"]["containers"] = [
        {"name": f"c{i}", "image": "i", "resources": {"requests": {"cpu": quantity, "x/y": quantity}}}
        for i in range(count)
    ]
    pod["spec"]["containers"][0]["env"] = [{"name": f"e{i}", "value": "<" * 30} for i in range(dice.choice([1, 3_000]))]


def odd(dice: random.Random, pod: Json) -> None:
    """With fields that are about scheduling, or about nothing."""
    pod["spec"] |= dice.choice(
        [
            {"schedulerName": "other"},
            {"schedulingGates": [{"name": "later"}]},
            {"priority": 2_000_001_000, "priorityClassName": "system-node-critical"},
            {"hostNetwork": True, "hostPID": True},
            {"overhead": {"cpu": "1"}},
            {"runtimeClassName": "kata"},
            {"initContainers": [{"name": "i", "image": "i"}], "ephemeralContainers": []},
            {"nodeName": ""},
            {"tolerations": None, "affinity": None, "nodeSelector": None},
        ]
    )


MUTATIONS: tuple[Mutation, ...] = (
    owned,
    annotated,
    labelled,
    named,
    choosy,
    multiplying,
    selecting,
    wishing,
    tolerant,
    large,
    odd,
)


def hard(dice: random.Random, policy: PolicySpec) -> PolicySpec:
    """The policy with nothing by which it gives way, and sometimes with a condition or a `deny`."""
    more = {**policy.more}
    more |= {"matchConditions": [CONDITION]} if dice.random() < 0.4 else {}
    more |= REFUSES_DB if dice.random() < 0.3 else {}
    return replace(policy, when_empty="deny", more=more)


def is_hard(policy: PolicySpec) -> bool:
    return bool(policy.require or "deny" in policy.more or any(share.strict for share in policy.split))


def a_hard_world(dice: random.Random) -> World:
    """A world in which some policy says what must be."""
    world = a_world(dice, nodes=10)
    policies = tuple(hard(dice, policy) if dice.random() < 0.7 else policy for policy in world.policies)
    if not any(map(is_hard, policies)):
        policies = (*policies, hard(dice, replace(a_policy(dice, "sure"), split=(), require=(a_tree(dice),))))
    return replace(world, policies=policies)


def eligible(world: World, policy: PolicySpec, app: str, place: int) -> bool:
    """Whether a policy allows a node for pods of this app, in some share of its split."""
    shares = range(len(policy.split)) if policy.split else (None,)
    return any(world.eligible(policy.in_share(share), app, place) for share in shares)


def judged(world: World, pod: Json, decision: Decision) -> None:
    """The law."""
    app = pod["metadata"]["labels"]["app"]
    about = [policy for policy in world.policies if policy.app in ("", app)]
    if any("deny" in policy.more for policy in about) and app == "db":
        assert not decision.allowed, decision.policies
    if not decision.allowed:
        assert decision.message
        return
    new = patched(pod, decision)
    for place, node in enumerate(world.nodes):
        labels, name = node["metadata"]["labels"], node["metadata"]["name"]
        if world.possible(labels) and admits(nulls_dropped(new), labels, name):
            for policy in about:
                if policy.when_empty == "deny":
                    assert eligible(world, policy, app, place), (policy, node, decision)


def nulls_dropped(pod: Json) -> Json:
    return {**pod, "spec": {key: value for key, value in pod["spec"].items() if value is not None}}


def drawn(dice: random.Random, mutations: list[Mutation]) -> tuple[World, Json]:
    world, pod = a_hard_world(dice), a_pod(dice)
    for mutate in mutations:
        mutate(dice, pod)
    return world, pod


CASES = st.tuples(
    st.randoms(use_true_random=False), st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=4, unique=True)
).map(lambda drawing: drawn(*drawing))


@examples(60)
@given(CASES)
def test_nothing_that_an_author_writes_makes_a_policy_not_apply(case: tuple[World, Json]) -> None:
    world, pod = case
    judged(world, pod, world.decider().decide(incoming(pod)))


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_none_of_what_authors_write_alone_does(mutate: Mutation) -> None:
    for seed in range(10):
        world, pod = drawn(random.Random(seed), [mutate])
        judged(world, pod, world.decider().decide(incoming(pod)))


@pytest.mark.parametrize("user", ["u", "system:serviceaccount:team:builder", "system:node:n", ""])
def test_who_made_a_pod_is_known_from_the_request_alone(user: str) -> None:
    """Whatever the pod says of itself."""
    for seed in range(10):
        dice = random.Random(seed)
        world, pod = drawn(dice, [owned])
        plain = incoming(pod)
        request = {**plain.request, "userInfo": {"username": user, "groups": ["system:nodes"]}}
        judged(world, pod, world.decider().decide(IncomingPod(pod, plain.namespace, request, uid="1")))
