"""engine.analysis.taints: policies whose pods wait, and taints that nobody has."""

from __future__ import annotations

import pytest

from tests.engine.analysis.bundles import examined, found, told

FLEET = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - name: steady
    selector: {pool: steady}
    labels: {tier: steady}
    taints: [{key: steady, value: "yes", effect: NoSchedule}]
  - name: both
    selector: {pool: both}
    labels: {tier: both}
    taints: [{key: a, effect: NoExecute}, {key: b, effect: NoSchedule}]
  - {name: soft, selector: {pool: soft}, labels: {tier: soft}, taints: [{key: s, effect: PreferNoSchedule}]}
  - {name: some, selector: {pool: some}, labels: {tier: some}, taints: [{key: p, effect: NoSchedule, partial: true}]}
  - {name: plain, selector: {pool: plain}, labels: {tier: plain}}
"""
POOLS = {"pools/fleet.yaml": FLEET}
WEB = "podSelector: {matchLabels: {app: web}}"


def requires(tier: str, *more: str) -> str:
    return "\n".join([f'require: [{{expression: \'pool.labels["tier"] == "{tier}"\'}}]', *more])


def tolerates(*expressions: str, more: str = "") -> str:
    entries = ", ".join(f"{{expression: '{expression}'}}" for expression in expressions)
    return f"tolerate: [{entries}]\n{more}"


@pytest.mark.parametrize(
    ("spec", "waits"),
    [
        (requires("steady"), True),
        (requires("both"), True),
        (requires("both", tolerates('taint.key == "a"')), True),
        (requires("both", tolerates('taint.key in ["a", "b"]')), False),
        (requires("both", tolerates('taint.key == "a"', 'taint.effect == "NoSchedule"')), False),
        (requires("steady", tolerates('pool.name == "steady"')), False),
        (requires("steady", tolerates('pool.name == "plain"')), True),
        (requires("steady", tolerates('pod.metadata.labels["x"] == taint.value')), False),
        (requires("soft"), False),
        (requires("some"), False),
        (requires("plain"), False),
        ('require: [{expression: \'pool.labels["tier"] in ["steady", "plain"]\'}]', False),
        ('require: [{expression: \'pool.labels["tier"] == pod.metadata.labels["tier"]\'}]', False),
        ("prefer: [{expression: 'pool.name == \"steady\"', weight: 5}]", False),
    ],
)
def test_a_policy_that_leaves_tainted_pools_alone_makes_its_pods_wait(spec: str, waits: bool) -> None:
    rules = [rule for rule, _ in found({"p": spec}, POOLS)]
    assert ("untolerated-pools" in rules) == waits


@pytest.mark.parametrize(
    ("selector", "waits"),
    [("", False), (WEB, False), ("podSelector: {matchLabels: {app: db}}", True), ("mode: 'off'", True)],
)
def test_another_policy_about_the_same_pods_may_tolerate(selector: str, waits: bool) -> None:
    other = tolerates('taint.key == "steady"', more=selector)
    rules = [rule for rule, _ in found({"p": requires("steady", WEB), "q": other}, POOLS)]
    assert ("untolerated-pools" in rules) == waits


def splits(first: str, second: str, *, how: str = "DoNotSchedule", more: str = "") -> str:
    shares = [
        f"{{share: 50, whenUnsatisfiable: {how}, expression: 'pool.name == \"{one}\"'}}" for one in (first, second)
    ]
    return f"split: [{', '.join(shares)}]\n{more}"


@pytest.mark.parametrize(
    ("spec", "waits"),
    [
        (splits("steady", "plain"), ["pods in the share of 50 % of `p`"]),
        (splits("steady", "both"), ["pods in the share of 50 % of `p`"] * 2),
        (splits("steady", "plain", how="ScheduleAnyway"), []),
        (splits("steady", "plain", more=tolerates('taint.key == "steady"')), []),
        (splits("plain", "soft"), []),
        (splits("steady", "both", more=requires("steady")), ["pods that `p` is about"]),
        (
            splits("steady", "plain", more='require: [{expression: pool.name != "some"}]'),
            ["pods in the share of 50 % of `p`"],
        ),
    ],
)
def test_a_share_that_leaves_tainted_pools_alone_makes_its_pods_wait(spec: str, waits: list[str]) -> None:
    said = [message for rule, message in told(examined({"p": spec}, POOLS)) if rule == "untolerated-pools"]
    assert [message.partition(" would stay Pending")[0] for message in said] == waits


def test_the_pools_and_what_to_say_are_told() -> None:
    (problem,) = examined({"p": requires("both")}, POOLS).problems
    assert problem.message == (
        "pods that `p` is about would stay Pending: it leaves only tainted pools, and nothing is tolerated"
    )
    assert problem.hint == (
        "both (a:NoExecute): say `tolerate: [{expression: 'taint.key == \"a\"'}]`, "
        "unless the pods tolerate it themselves"
    )


NODES = """
apiVersion: v1
kind: List
items:
  - {kind: Node, metadata: {name: a, labels: {gpu: "yes"}}, spec: {taints: [{key: gpu, effect: NoSchedule}]}}
  - {kind: Node, metadata: {name: b, labels: {pool: x, eks.amazonaws.com/nodegroup: x, gpu: "no"}}}
"""


def test_nodes_of_no_pool_count() -> None:
    """Tainted ones too, by the labels that they have."""
    spec = 'require: [{expression: \'node.labels["eks.amazonaws.com/nodegroup"] == "%s"\'}]'
    assert found({"p": spec % "x"}, {"pools/n.yaml": NODES}) == []
    free = "require: [{expression: '!(\"eks.amazonaws.com/nodegroup\" in node.labels)'}]"
    assert found({"p": free}, {"pools/n.yaml": NODES.replace("effect: NoSchedule", "effect: PreferNoSchedule")}) == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (tolerates('taint.key == "stedy"'), ["no pool has a taint `stedy`"]),
        (tolerates('taint.key in ["steady", "nvidia.com/gpu"]'), []),
        (tolerates('taint.key == "steady"', 'taint.key == "nvidia.com/gpu"'), []),
        (tolerates('taint.key in ["steady", "stead"]'), ["no pool has a taint `stead`"]),
        (tolerates('taint.key == "nvidia.com/gpu"'), ["no pool has a taint `nvidia.com/gpu`"]),
        (tolerates('taint.key == "nvidia.com/gpu" || taint.value == "yes" && taint.key != "z"'), []),
        (tolerates('taint.key != "stedy"'), []),
        (tolerates('taint.key.startsWith("nothing")'), []),
    ],
)
def test_names_of_taints_that_nobody_has(spec: str, said: list[str]) -> None:
    """Where none that is there is named, or one looks like one of those."""
    problems = [message for rule, message in told(examined({"p": spec}, POOLS)) if rule == "unseen-taint"]
    assert problems == said


def test_what_was_meant_is_told() -> None:
    hints = [
        examined({"p": tolerates(f'taint.key == "{key}"')}, POOLS).problems[0].hint
        for key in ("stedy", "nvidia.com/gpu")
    ]
    assert hints == ["did you mean `steady`?", "its nodes' taints are `a`, `b`, `p`, `s` and `steady`"]


def test_seconds_for_dead_nodes_name_what_no_pool_has() -> None:
    key = "node.kubernetes.io/not-ready"
    assert found({"p": f"tolerate: [{{expression: 'taint.key == \"{key}\"', seconds: 30}}]"}, POOLS) == []
