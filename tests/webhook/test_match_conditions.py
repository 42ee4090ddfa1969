"""What the API server checks before it calls is never looser than what the engine leaves alone.

Both are asked about every pod of a small universe, from every user of it: owners, annotations, terms and nodes that a
pod may carry, from anybody who may have asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.documents import Excerpt
from engine.language import BOOL, DYN, Budget, check, compile_expression, parse
from tests.charts.conftest import helm
from tests.charts.test_bayplan import render
from tests.engine.builders import GOLD, decider, incoming
from webhook.configuration import configuration

__all__ = ["helm"]  # the fixture

Json = Any
Conditions = list[dict[str, str]]

KCM = "system:kube-controller-manager"
USERS: list[Json] = [
    {"username": "jane", "groups": ["dev", "system:authenticated"]},
    {"username": "system:serviceaccount:kube-system:daemon-set-controller", "groups": ["system:serviceaccounts"]},
    {"username": "system:serviceaccount:team:daemon-set-controller", "groups": ["system:serviceaccounts"]},
    {"username": KCM},
    {"username": "kcm"},
    {"username": "system:node:a", "groups": ["system:nodes"]},
    {"username": "system:node:b", "groups": ["system:nodes"]},
    {"username": "system:node:a", "groups": ["system:authenticated"]},
    {"username": "system:node:a"},
    {"username": "system:node:", "groups": ["system:nodes"]},
    {},
]
OWNERS: list[Json] = [
    None,
    [],
    [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True}],
    [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": False}],
    [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u"}],
    [{"apiVersion": "invented/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True}],
    [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "d", "uid": "u", "controller": True}],
    [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": True},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True},
    ],
]


def required(*terms: Json) -> Json:
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}


def by_name(operator: str, *values: str) -> Json:
    return {"matchFields": [{"key": "metadata.name", "operator": operator, "values": list(values)}]}


LABELLED = {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
AFFINITIES: list[Json] = [
    None,
    {},
    {"nodeAffinity": {}},
    {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": None}}},
    {"podAffinity": {}},
    required(),
    required(by_name("In", "a")),
    required({**by_name("In", "a"), **LABELLED}),
    required(by_name("In", "a", "b")),
    required(by_name("NotIn", "a")),
    required({"matchFields": [{"key": "metadata.name", "operator": "In"}]}),
    required(LABELLED),
    required(by_name("In", "a"), LABELLED),
    required(by_name("In", "a"), by_name("In", "b")),
]
ANNOTATIONS: list[Json] = [None, {}, {"kubernetes.io/config.mirror": ""}, {"note": "kubernetes.io/config.mirror"}]
NODES = [None, "a", "b"]


def pods() -> Iterator[Json]:
    for owners, affinity, notes, node in product(OWNERS, AFFINITIES, ANNOTATIONS, NODES):
        metadata = {"name": "p", "namespace": "team", "ownerReferences": owners, "annotations": notes}
        spec = {"containers": [{"name": "c", "image": "i"}], "affinity": affinity, "nodeName": node}
        yield {"metadata": without_none(metadata), "spec": without_none(spec)}


def without_none(value: Json) -> Json:
    return {key: each for key, each in value.items() if each is not None}


def compiled(expression: str) -> Callable[[Json, Json], object]:
    excerpt = Excerpt.of(expression)
    node, problems = parse(excerpt)
    assert node is not None, problems
    node, problems = check(node, excerpt, {"object": DYN, "request": DYN}, result=BOOL)
    assert problems == ()
    function = compile_expression(node, ("object", "request"))
    return lambda given, request: function(Budget(100_000), given, request)


def of_development(**more: Any) -> Conditions:
    whole = yaml.safe_load(configuration("https://127.0.0.1:1/mutate", b"PEM", "mine", **more))
    conditions: Conditions = whole["webhooks"][0]["matchConditions"]
    return conditions


def of_chart(helm: Path, **webhook: Any) -> Conditions:
    whole = render(helm, {"webhook": webhook})["MutatingWebhookConfiguration"]
    conditions: Conditions = whole["webhooks"][0]["matchConditions"]
    return conditions


def compared(conditions: Conditions, **engine: Any) -> tuple[int, int]:
    """How many of all requests the conditions keep from the webhook, and how many the engine would leave alone."""
    asked = [compiled(each["expression"]) for each in conditions]
    deciding = decider(GOLD, "deny: [{expression: 'true'}]", **engine)
    skipped = left_alone = 0
    for given, user in product(pods(), USERS):
        request = {"operation": "CREATE", "namespace": "team", "userInfo": user}
        # an error is not caught: under `failurePolicy: Ignore` it would skip the webhook
        answers = [condition(given, request) for condition in asked]
        sent = all(answer is True for answer in answers)
        alone = "left alone" in deciding.decide(incoming(given, user=user)).message
        assert sent or alone, (given, user)
        skipped += not sent
        left_alone += alone
    return skipped, left_alone


def test_what_serve_prints_leaves_out_what_the_engine_leaves_alone() -> None:
    skipped, left_alone = compared(of_development())
    assert skipped == left_alone > 0


def test_the_controller_s_users_can_be_said() -> None:
    mine = ["kcm"]
    skipped, left_alone = compared(of_development(daemon_set_controllers=mine), daemon_set_controllers=mine)
    assert skipped == left_alone > 0
    assert "kube-controller-manager" not in str(of_development(daemon_set_controllers=mine))


def test_the_chart_says_the_same(helm: Path) -> None:
    def words(conditions: Conditions) -> list[list[str]]:
        return [each["expression"].split() for each in conditions]

    assert words(of_chart(helm)) == words(of_development())
    assert words(of_chart(helm, daemonSetControllers=["kcm", 'a"b'])) == words(
        of_development(daemon_set_controllers=["kcm", 'a"b'])
    )
    one = {"name": "mine", "expression": "request.dryRun != true"}
    assert of_chart(helm, matchConditions=[one]) == [*of_chart(helm), one]


def test_pods_of_daemon_sets_are_sent_where_hands_are_on(helm: Path) -> None:
    (mirrors,) = of_chart(helm, handsOnDaemonSets=True)
    assert mirrors["name"] == "not-a-mirror-pod"
    skipped, left_alone = compared([mirrors], bundle="handsOn: {daemonSets: true}")
    assert skipped == left_alone > 0


@pytest.mark.parametrize("field", ["username", "groups"])
def test_a_pod_of_anybody_makes_no_condition_fail(field: str) -> None:
    """Whatever is in it, and even if the user had no name."""
    users = [{key: value for key, value in user.items() if key != field} for user in USERS]
    for condition in map(compiled, (each["expression"] for each in of_development())):
        for odd in ({"metadata": {}, "spec": {}}, *list(pods())[::97]):
            for user in users:
                assert condition(odd, {"userInfo": user}) in (True, False)
