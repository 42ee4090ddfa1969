"""engine.program.open_expressions: what is not the same for all nodes of a pool is asked of the node."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.builders import decide, inventory, patched, pod, pools_of_nodes, required

KEY = "cloud.google.com/gke-nodepool"
ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
POOLS = inventory(f"""
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {{name: k}}
spec:
  template:
    metadata: {{labels: {{tier: gold}}}}
    spec:
      requirements:
        - {{key: tenant, operator: In, values: [blue, green, grey]}}
        - {{key: team, operator: Exists}}
        - {{key: slots, operator: Gt, values: ["8"]}}
        - {{key: gone, operator: DoesNotExist}}
        - {{key: rack, operator: NotIn, values: [r1]}}
        - {{key: {ZONE}, operator: In, values: [a, b]}}
""")


def terms(expression: str) -> Any:
    """What is asked of nodes besides their pool, by term; None where the pod is refused."""
    spec = f"require: [{{expression: {expression!r}}}]"
    decision = decide(spec, pools=POOLS)
    if not decision.allowed:
        return None
    required = patched(decision)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return [
        {(e["key"], e["operator"], *e.get("values", ())) for e in one["matchExpressions"] if "nodepool" not in e["key"]}
        for one in required["nodeSelectorTerms"]
    ]


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        # the same for all nodes: decided
        ('pool.labels["tier"] == "gold"', [set()]),
        ('pool.labels["tier"] != "gold"', None),
        ('"team" in pool.labels', [set()]),
        ('!("team" in pool.labels)', None),
        ('"gone" in pool.labels', None),
        ('!("gone" in pool.labels)', [set()]),
        ('int(pool.labels["slots"]) > 4', [set()]),
        ('int(pool.labels["slots"]) < 4', None),
        ('pool.labels["tenant"] in ["blue", "green", "grey", "red"]', [set()]),
        ('"a" in pool.zones', [set()]),
        ('pool.zones.all(z, z in ["a", "b", "c"])', [set()]),
        ('pool.labels[?"tenant"].hasValue()', [set()]),
        # what varies: asked of the node, or tried value by value
        ('pool.labels["tenant"] == "blue"', [{("tenant", "In", "blue")}]),
        ('pool.labels["tenant"] != "blue"', [{("tenant", "In", "green", "grey")}]),
        ('pool.labels["tenant"].startsWith("gr")', [{("tenant", "In", "green", "grey")}]),
        ('pool.labels["tenant"].size() + size("ab") == 6', [{("tenant", "In", "blue", "grey")}]),
        ('pool.labels["team"] == "blue"', [{("team", "In", "blue")}]),
        ('int(pool.labels["slots"]) > 16', [{("slots", "Gt", "16")}]),
        ('pool.labels[?"rack"].orValue("none") == "none"', [{("rack", "In", "none")}, {("rack", "DoesNotExist")}]),
        ('pool.labels["ten" + "ant"] == "blue"', [{("tenant", "In", "blue")}]),
        (f'pool.labels["{ZONE}"] == "a"', [{(ZONE, "In", "a")}]),
        # of what nothing is known: asked of the node
        ('pool.regions.all(r, r in ["eu", "us"])', [{(REGION, "In", "eu", "us")}]),
        ('"eu" in pool.regions', [{(REGION, "In", "eu")}]),
        ('pool.regions.exists(r, r == "eu") || pool.zones == ["c"]', [{(REGION, "In", "eu")}]),
        # a list that is known is not the node's own, also beside a label that is not
        ('pool.zones.all(z, z == "a") || pool.labels["team"] == "x"', [{("team", "In", "x")}]),
        # what Karpenter puts on no node, unless somebody labels one later
        ('!("other" in pool.labels)', [{("other", "DoesNotExist")}]),
        ('pool.labels[?"other"].orValue("") == ""', [{("other", "DoesNotExist")}]),
        ('"other" in pool.labels', None),
        # what can't be said, of values that nobody knows
        ('pool.labels["team"].startsWith("b")', None),
        ('pool.regions.all(r, r.startsWith("eu-"))', None),
        ('pool.labels.exists(k, k == "tier")', None),
        ("pool.gpus > 0", None),
        ("pool.gpus == 0", None),
        ("!has(pool.gpus)", [set()]),
        ("pool.?gpus.orValue(3) > 2", [set()]),
        ("has(pool.zones) && !has(pool.regions)", [set()]),
    ],
)
def test_what_is_asked_of_a_node(expression: str, asked: Any) -> None:
    said = terms(expression)
    assert said == asked or (
        said is not None and asked is not None and sorted(map(sorted, said)) == sorted(map(sorted, asked))
    )


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ('pool.labels["team"].startsWith("b")', "the nodes carry `team`, and with which value is not known"),
        ('pool.regions.all(r, r.startsWith("eu-"))', "which regions the nodes have is not known: say `values: {"),
        ("variables.missing > pool.gpus", "how many GPUs the nodes have is not known: say `gpus:` in an inventory"),
        ("pool.memory > 5", "how much memory the nodes have is not known: say `memory:` in an inventory"),
        ('pool.labels.exists(k, k == "tier")', "which labels besides the known ones the nodes carry is not known"),
        ('pool.values["team"] == ["a"]', "the nodes carry `team`, and with which value is not known"),
    ],
)
def test_a_refusal_names_the_fact_the_pool_and_where_to_say_it(expression: str, words: str) -> None:
    spec = f"variables: [{{name: missing, expression: '1'}}]\nrequire: [{{expression: {expression!r}}}]"
    decision = decide(spec, pools=POOLS)
    assert not decision.allowed
    assert words in decision.message
    assert "(pool `k`)" in decision.message


@pytest.mark.parametrize(
    ("score", "weights"),
    [
        ('pool.labels["tenant"] == "blue" ? 40 : 10', {"blue": 40, "green": 10, "grey": 10}),
        ('int(pool.labels["tenant"].size()) * 10', {"blue": 40, "green": 50, "grey": 40}),
    ],
)
def test_a_score_over_labels_that_vary(score: str, weights: dict[str, int]) -> None:
    decision = decide(f"prefer: [{{expression: 'true', score: {score!r}}}]", pools=POOLS)
    wishes = patched(decision)["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    found = {
        value: one["weight"]
        for one in wishes
        for e in one["preference"]["matchExpressions"]
        if e["key"] == "tenant"
        for value in e["values"]
    }
    assert found == weights


def test_more_combinations_than_are_tried() -> None:
    """They are an error on all nodes, not on those whose turn would have come last."""
    values = {key: [f"{key}{i}" for i in range(30)] for key in ("family", "size")}
    entry = f"{{name: k, selector: {{pool: k}}, values: {values}}}"
    pools = inventory(f"apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools: [{entry}]")
    expression = '!(pool.labels["family"] + "." + pool.labels["size"] in ["family0.size0"])'
    decision = decide(f"require: [{{expression: {expression!r}}}]", pools=pools)
    assert not decision.allowed
    assert "the nodes carry one of 30 values as `" in decision.message
    assert "no more than 256 combinations are tried: compare each label by itself" in decision.message
    assert decision.message.count("(pool `k`)") == 1


def test_many_combinations_of_a_few_values_each() -> None:
    values = {key: [f"{key}{i}" for i in range(7)] for key in "abc"}
    entry = f"{{name: k, selector: {{pool: k}}, values: {values}}}"
    pools = inventory(f"apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools: [{entry}]")
    expression = '(pool.labels["a"] + pool.labels["b"] + pool.labels["c"]).startsWith("a0")'
    decision = decide(f"require: [{{expression: {expression!r}}}]", pools=pools)
    assert not decision.allowed
    assert "no more than 256 combinations are tried: compare each label by itself" in decision.message
    one_by_one = 'pool.labels["a"] == "a0" && pool.labels["b"] == "b1" && pool.labels["c"] == "c2"'
    assert decide(f"require: [{{expression: {one_by_one!r}}}]", pools=pools).allowed


ARCH, CAPACITY, NODEPOOL = "kubernetes.io/arch", "karpenter.sh/capacity-type", "karpenter.sh/nodepool"
OPEN = """
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: k}
spec: {template: {spec: {requirements: [{key: tenant, operator: In, values: [blue]}]}}}
"""
NODE = f"""---
kind: Node
metadata:
  name: n
  labels: {{{NODEPOOL}: k, {ARCH}: amd64, {ZONE}: eu-a, {CAPACITY}: spot, tenant: blue, rack: r1}}
"""


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ('"arm64" in pool.architectures', [(ARCH, "In", "arm64")]),
        ('pool.architectures.all(a, a == "arm64")', [(ARCH, "In", "arm64")]),
        (f'pool.labels["{ARCH}"] == "arm64"', [(ARCH, "In", "arm64")]),
        (f'pool.labels["{ARCH}"] == "amd64"', [(ARCH, "In", "amd64")]),
        ('pool.labels["kubernetes.io/" + "arch"] != "amd64"', [(ARCH, "Exists"), (ARCH, "NotIn", "amd64")]),
        ('"eu-b" in pool.zones', [(ZONE, "In", "eu-b")]),
        ('"us" in pool.regions', [(REGION, "In", "us")]),
        ('"on-demand" in pool.capacityTypes', [(CAPACITY, "In", "on-demand")]),
        (f'!("{ZONE}" in pool.labels)', [(ZONE, "DoesNotExist")]),
        ('pool.labels["tenant"] == "blue"', []),
        ('pool.labels["tenant"] == "red"', None),
    ],
)
def test_a_node_that_is_there_closes_nothing_that_its_node_pool_leaves_open(expression: str, asked: Any) -> None:
    """The next node may be another: the NodePool with a node is asked what the empty one is asked."""
    for text in (OPEN, OPEN + NODE):
        decision = decide(f"require: [{{expression: {expression!r}}}]", pools=inventory(text))
        if asked is None:
            assert not decision.allowed
        else:
            (term,) = required(decision)
            said = [(e["key"], e["operator"], *e.get("values", ())) for e in term["matchExpressions"]]
            assert sorted(said) == sorted([*asked, (NODEPOOL, "In", "k")])


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ('pool.zones.all(z, z.startsWith("eu-"))', [(ZONE, "In", "eu-a")]),
        ('pool.zones.size() == 1 && pool.zones.exists(z, z.endsWith("-a"))', [(ZONE, "In", "eu-a")]),
        ('pool.zones[0] + pool.architectures[0] == "eu-aamd64"', [(ARCH, "In", "amd64"), (ZONE, "In", "eu-a")]),
        ('pool.capacityTypes.all(c, c.startsWith("s"))', [(CAPACITY, "In", "spot")]),
        (f'pool.values["{ZONE}"] == ["eu-a"]', [(ZONE, "In", "eu-a")]),
        (f'"{ZONE}" in pool.values', [(ZONE, "In", "eu-a")]),
        ("pool.zones.all(z, z.startsWith(pod.metadata.labels.area))", [(ZONE, "In", "eu-a")]),
        ("node.arch in pool.architectures", [(ARCH, "In", "amd64")]),
        ('pool.zones.all(z, z.startsWith("us-"))', None),
        ('pool.zones[1] == "eu-b"', None),
        (f'pool.values["{REGION}"] == ["eu"]', None),
    ],
)
def test_what_no_affinity_can_say_is_decided_for_nodes_like_those_that_are_there(expression: str, asked: Any) -> None:
    decision = decide(
        f"require: [{{expression: {expression!r}}}]",
        pools=inventory(OPEN + NODE),
        given=pod(metadata={"name": "p", "labels": {"area": "eu-"}}),
    )
    if asked is None:
        assert not decision.allowed
    else:
        (term,) = required(decision)
        said = [(e["key"], e["operator"], *e.get("values", ())) for e in term["matchExpressions"]]
        assert sorted(said) == sorted([*asked, (NODEPOOL, "In", "k")])


def test_a_taint_is_tolerated_by_what_is_open_as_it_is_on_the_nodes_that_have_it() -> None:
    tainted = OPEN + NODE + "spec: {taints: [{key: gpu, effect: NoSchedule}]}\n"
    spec = """
    require: [{expression: pool.name == "k"}]
    tolerate: [{expression: '"amd64" in pool.architectures && taint.key == "gpu"'}]
    """
    (toleration,) = patched(decide(spec, pools=inventory(tainted)))["tolerations"]
    assert toleration["key"] == "gpu"


def test_the_nodes_of_an_open_node_pool_score_by_what_they_are() -> None:
    decision = decide(
        "prefer: [{expression: 'true', score: \"pool.architectures.exists(a, a == 'arm64') ? 40 : 10\"}]",
        pools=inventory(OPEN + NODE),
    )
    wishes = patched(decision)["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    found = {
        one["weight"]: {(e["key"], e["operator"], *e.get("values", ())) for e in one["preference"]["matchExpressions"]}
        for one in wishes
    }
    assert (ARCH, "In", "arm64") in found[40]
    assert (ARCH, "NotIn", "arm64") in found[10]


def test_a_label_with_one_value_is_among_the_values() -> None:
    entry = f"{{name: a, selector: {{pool: a}}, labels: {{disk: ssd}}, values: {{{ZONE}: [eu-a], rack: [r1, r2]}}}}"
    pools = inventory(f"apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools: [{entry}]\n")
    for expression in (
        f'pool.values["{ZONE}"] == ["eu-a"]',
        'pool.values["disk"] == ["ssd"] && pool.values["rack"] == ["r1", "r2"]',
        '"disk" in pool.values',
        'pool.values.exists(k, v, k == "pool" && v == ["a"])',
        "size(pool.values) == 4",
    ):
        assert decide(f"require: [{{expression: {expression!r}}}]", pools=pools).allowed, expression
    seen = pools_of_nodes({NODEPOOL: "k", "rack": "r1"})
    (term,) = required(decide('require: [{expression: \'pool.values["rack"] == ["r1"]\'}]', pools=seen))
    assert {e["key"]: e["values"] for e in term["matchExpressions"]} == {NODEPOOL: ["k"], "rack": ["r1"]}
