"""engine.pools.inventory: inventories from documents of all kinds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.documents import BundleError, Manifest, Problem, RequestError, Source, parse_manifests
from engine.nodeselector import ABSENT, ANY, EXISTS, one_of
from engine.pools.inventory import inventory_from_documents, inventory_from_objects
from engine.pools.nodes import inventory_from_nodes
from engine.pools.pool import Inventory, Taint, capacity_types
from tests.engine.pools.test_nodes import node

HEAD = "apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools:\n"
GPU = """\
  - name: gpu
    provider: karpenter
    selector: {karpenter.sh/nodepool: gpu}
    labels: {accelerator: nvidia-a100}
    values: {topology.kubernetes.io/zone: [eu-1b, eu-1a, eu-1a]}
    annotations: {note: "a b"}
    taints: [{key: nvidia.com/gpu, value: "true", effect: NoSchedule}]
    nodes: 2
    readyNodes: 1
    cpu: 96
    memory: 64Gi
    gpus: 8
    weight: 10
    price: 32.77
"""
NODE_POOL = """\
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: gpu}
spec:
  weight: 5
  template:
    metadata: {labels: {team: ml}}
    spec:
      requirements: [{key: topology.kubernetes.io/zone, operator: In, values: [eu-1a, eu-1b]}]
      taints: [{key: gpu, effect: NoSchedule}]
"""


def documents(*texts: str) -> list[Manifest]:
    made: list[Manifest] = []
    for number, text in enumerate(texts):
        some, problems = parse_manifests(Source(f"f{number}.yaml", text))
        assert problems == ()
        made += some
    return made


def read(*texts: str, labels: tuple[str, ...] = ()) -> Inventory:
    return inventory_from_documents(documents(*texts), labels)


def problems_of(*texts: str) -> tuple[Problem, ...]:
    with pytest.raises(BundleError) as caught:
        read(*texts)
    return caught.value.problems


def node_list(*nodes: dict[str, Any], kind: str = "List") -> str:
    return json.dumps({"apiVersion": "v1", "kind": kind, "items": nodes})


# Inventory documents


def test_every_field_of_a_pool() -> None:
    (pool,) = read(HEAD + GPU).pools
    assert (pool.name, pool.provider, pool.selector) == ("gpu", "karpenter", {"karpenter.sh/nodepool": "gpu"})
    assert pool.labels == {"accelerator": "nvidia-a100", "karpenter.sh/nodepool": "gpu"}
    assert pool.values == {"topology.kubernetes.io/zone": ("eu-1a", "eu-1b")}
    assert (pool.annotations, pool.taints) == ({"note": "a b"}, (Taint("nvidia.com/gpu", "true", "NoSchedule"),))
    assert (pool.nodes, pool.ready_nodes, pool.weight, pool.price) == (2, 1, 10, 32.77)
    assert (pool.cpu, pool.memory, pool.gpus) == (96.0, 64 * 2**30, 8)
    assert pool.declared
    assert not pool.inferred


def test_labels_that_are_there_and_labels_that_are_not() -> None:
    (pool,) = read(HEAD + "  - {name: a, selector: {pool: a}, present: [team], absent: [tenant, gpu]}\n").pools
    known = {key: pool.fact(key).states for key in ("team", "tenant", "gpu", "other")}
    assert known == {"team": EXISTS, "tenant": ABSENT, "gpu": ABSENT, "other": ANY}
    said = "  - {name: a, selector: {pool: a}, labels: {x: y}, present: [x, z], absent: [pool, z]}\n"
    assert [(p.rule, p.message) for p in problems_of(HEAD + said)] == [
        ("contradiction", f"what the nodes carry as `{key}` is said elsewhere, too") for key in ("x", "pool", "z")
    ]


def test_what_is_left_out() -> None:
    (pool,) = read(HEAD + "  - {name: a, selector: {pool: a}, cpu: 500m, memory: 1024}\n").pools
    assert (pool.provider, pool.nodes, pool.ready_nodes, pool.price, pool.gpus) == ("", None, None, None, None)
    assert (pool.cpu, pool.memory, pool.taints) == (0.5, 1024, ())


def test_the_provider_follows_from_the_selector() -> None:
    found = read(HEAD + "  - {name: a, selector: {cloud.google.com/gke-nodepool: a}}\n")
    assert [pool.provider for pool in found.pools] == ["gke"]
    assert capacity_types(found.pools[0]) is None
    (spot,) = read(
        HEAD
        + "  - {name: a, selector: {cloud.google.com/gke-nodepool: a}, labels: {cloud.google.com/gke-spot: 'true'}}\n"
    ).pools
    assert capacity_types(spot) == ("spot",)


def test_pools_are_sorted_over_all_documents() -> None:
    found = read(HEAD + "  - {name: b, selector: {pool: b}}\n", HEAD + "  - {name: a, selector: {pool: a}}\n")
    assert [pool.name for pool in found.pools] == ["a", "b"]


def test_an_inventory_in_json() -> None:
    text = json.dumps(
        {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": [{"name": "a", "selector": {}}]}
    )
    (problem,) = problems_of(text)
    assert (problem.rule, problem.span.column) == ("empty-selector", text.index("{}") + 1)


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("{selector: {a: b}}", ["missing-field: selector"]),
        ("{name: a}", ["missing-field: name"]),
        ("{name: a, selector: {}}", ["empty-selector: {}"]),
        ("{name: a, selector: {a b: c}}", ["label-key: a b"]),
        ("{name: a, selector: {a: 'b c'}}", ["label-value: 'b c'"]),
        ("{name: a, selector: {a: 1}}", ["wrong-type: 1"]),
        ("{name: a, selector: {a: b}, labels: {c: true}}", ["wrong-type: true"]),
        ("{name: a, selector: {a: b}, labels: {a: c}}", ["contradiction: a"]),
        ("{name: a, selector: {a: b}, values: {a: [b]}}", ["contradiction: a"]),
        ("{name: a, selector: {a: b}, labels: {c: d}, values: {c: [d]}}", ["contradiction: c"]),
        ("{name: a, selector: {a: b}, values: {c: []}}", ["empty-list: []"]),
        ("{name: a, selector: {a: b}, values: {c: d}}", ["wrong-type: d"]),
        ("{name: a, selector: {a: b}, taints: [{key: x}]}", ["missing-field: key"]),
        ("{name: a, selector: {a: b}, taints: [{key: x, effect: NoSchedul}]}", ["unknown-word: NoSchedul"]),
        ("{name: a, selector: {a: b}, nodes: -1}", ["out-of-range: -1"]),
        ("{name: a, selector: {a: b}, nodes: 1, readyNodes: 2}", ["out-of-range: readyNodes"]),
        ("{name: a, selector: {a: b}, cpu: lots}", ["quantity: lots"]),
        ("{name: a, selector: {a: b}, memory: -1Gi}", ["out-of-range: -1Gi"]),
        ("{name: a, selector: {a: b}, memory: true}", ["quantity: true"]),
        ("{name: a, selector: {a: b}, memory: [1]}", ["quantity: [1]"]),
        ("{name: a, selector: {a: b}, price: .inf}", ["out-of-range: .inf"]),
        ("{name: a, selector: {a: b}, price: cheap}", ["wrong-type: cheap"]),
        ("{name: a, selector: {a: b}, provider: karpentr}", ["unknown-provider: karpentr"]),
        ("{name: a, selector: {a: b}, taint: []}", ["unknown-field: taint"]),
    ],
)
def test_wrong_pools(pool: str, expected: list[str]) -> None:
    problems = problems_of(f"{HEAD}  - {pool}\n")
    assert [f"{p.rule}: {p.span.source.text[p.span.start : p.span.end]}" for p in problems] == expected


def test_other_providers_than_ours_are_welcome() -> None:
    assert read(HEAD + "  - {name: a, selector: {a: b}, provider: cluster-api}\n").pools[0].provider == "cluster-api"


def test_fields_that_follow_from_labels_are_explained() -> None:
    (problem,) = problems_of(HEAD + "  - {name: a, selector: {a: b}, zones: [x]}\n")
    assert problem.hint == "give the label: `values: {topology.kubernetes.io/zone: [...]}`"


def test_all_is_told_at_once_over_all_documents() -> None:
    text = HEAD + "  - {name: a, selector: {p: a}}\n  - {name: a, selector: {p: b}}\n"
    problems = problems_of(text, HEAD + "  - {name: c, selector: {p: a}}\n  - {nme: d}\n")
    assert [str(problem).splitlines()[0] for problem in problems] == [
        "f0.yaml:5:12: error: a second pool `a`, the first at f0.yaml:4:12 [duplicate-pool]",
        "f1.yaml:4:26: error: a second pool with this selector, the first at f0.yaml:4:26 [duplicate-pool]",
        "f1.yaml:5:6: error: a pool needs `name` [missing-field]",
        "f1.yaml:5:6: error: a pool needs `selector` [missing-field]",
        "f1.yaml:5:6: error: `nme` is not a field of a pool [unknown-field]",
    ]


def test_a_policy_is_no_inventory() -> None:
    (problem,) = problems_of("apiVersion: bayplan.dev/v1alpha1\nkind: PlacementPolicy\n")
    assert (problem.rule, problem.message) == ("unknown-kind", "`PlacementPolicy` does not describe pools")


# Nodes, NodePools, and mixtures


def test_nodes_however_they_are_printed() -> None:
    nodes = [node({"karpenter.sh/nodepool": "a"}), node({"karpenter.sh/nodepool": "b"})]
    untyped = [{key: value for key, value in each.items() if key not in ("kind", "apiVersion")} for each in nodes]
    expected = inventory_from_nodes(nodes)
    assert read(node_list(*nodes)) == expected
    assert read(node_list(*untyped, kind="NodeList")) == expected
    assert read(json.dumps(nodes[0]), json.dumps(nodes[1])) == expected
    assert inventory_from_objects(nodes) == expected


def test_a_node_pool_with_its_nodes() -> None:
    labels = {"karpenter.sh/nodepool": "gpu", "topology.kubernetes.io/zone": "eu-1a", "team": "other", "new": "1"}
    found = read(NODE_POOL, node_list(node(labels, ready=False, taints=[Taint("x", "", "NoSchedule")])))
    (pool,) = found.pools
    assert pool.labels == {"karpenter.sh/nodepool": "gpu"}
    assert pool.fact("new").states == one_of(["1"]) | ABSENT
    assert pool.values == {"topology.kubernetes.io/zone": ("eu-1a", "eu-1b"), "team": ("ml", "other")}
    assert {key for key, fact in pool.facts.items() if fact.observed} == {"new"}
    assert pool.declared
    assert pool.contradictions == ("`team`: In [ml] says the NodePool, there are nodes with other; so a node is asked",)
    assert (pool.nodes, pool.ready_nodes, pool.cpu) == (1, 0, 3.92)
    assert pool.taints == (Taint("gpu", "", "NoSchedule"), Taint("x", "", "NoSchedule", partial=True))


def test_an_inventory_entry_may_say_more_about_a_node_pool() -> None:
    entry = "  - {name: gpu, selector: {karpenter.sh/nodepool: gpu}, cpu: 96, gpus: 8, price: 3}\n"
    for texts in ([NODE_POOL, HEAD + entry], [HEAD + entry, NODE_POOL]):
        (pool,) = read(*texts).pools
        assert (pool.cpu, pool.gpus, pool.price, pool.weight, pool.provider) == (96.0, 8, 3.0, 5, "karpenter")
        assert pool.labels["team"] == "ml"
        assert pool.taints == (Taint("gpu", "", "NoSchedule"),)


def test_nodes_of_declared_pools_go_to_the_one_that_says_most_about_them() -> None:
    entries = "  - {name: all, selector: {pool: a}}\n  - {name: some, selector: {pool: a, tier: b}}\n"
    nodes = [
        node({"pool": "a", "tier": "b", "eks.amazonaws.com/nodegroup": "g"}),
        node({"pool": "a"}),
        node({"eks.amazonaws.com/nodegroup": "g"}),
        node({"other": "x"}),
    ]
    found = read(HEAD + entries, node_list(*nodes))
    assert {pool.name: (pool.nodes, pool.declared) for pool in found.pools} == {
        "all": (1, True),
        "some": (1, True),
        "g": (1, False),
    }
    assert found.strays == 1


def test_a_declared_pool_gets_no_nodes_that_an_earlier_label_puts_elsewhere() -> None:
    """Karpenter's nodes on GKE carry both labels, and Karpenter's counts."""
    declared = "kind: Inventory\npools: [{name: g, selector: {cloud.google.com/gke-nodepool: g}}]"
    both = node({"karpenter.sh/nodepool": "k", "cloud.google.com/gke-nodepool": "g"})
    found = read(f"apiVersion: bayplan.dev/v1alpha1\n{declared}", node_list(both))
    assert [(pool.name, pool.nodes, pool.without) for pool in found.pools] == [
        ("g", 0, ("karpenter.sh/nodepool",)),
        ("k", 1, ()),
    ]


def test_order_of_documents_does_not_matter() -> None:
    texts = [NODE_POOL, HEAD + "  - {name: b, selector: {p: b}}\n", node_list(node({"p": "b"}), node({"p": "c"}))]
    assert read(*texts, labels=("p",)) == read(*texts[::-1], labels=("p",))


def test_other_objects_are_left_out_unless_there_is_nothing_else() -> None:
    pod = "apiVersion: v1\nkind: Pod\n"
    assert [pool.name for pool in read(NODE_POOL, pod).pools] == ["gpu"]
    with pytest.raises(RequestError, match="there are no pools, only Pod: expected Inventory, Node or NodePool"):
        read(pod)
    assert read(node_list()) == Inventory()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "f0.yaml: the document is not an object"),
        (
            node_list({"kind": "Node", "metadata": {"labels": {"a": 1}}}),
            "f0.yaml: items[0].metadata.labels.a: this must be text: quote it",
        ),
        (node_list({"kind": "Node", "metadata": []}), "f0.yaml: items[0].metadata: this must be an object"),
        ("kind: Node\nspec: {taints: [x]}", "f0.yaml: spec.taints[0]: a taint needs a key"),
        ("kind: Node\nspec: {taints: {}}", "f0.yaml: spec.taints: this must be a list"),
        (
            "kind: Node\nspec: {taints: [{key: k, value: true, effect: NoSchedule}]}",
            "f0.yaml: spec.taints[0].value: this must be text: quote `true`",
        ),
        (
            "kind: Node\nspec: {taints: [{key: k}]}",
            "f0.yaml: spec.taints[0].effect: a taint needs an effect: expected NoSchedule, PreferNoSchedule, NoExecute",
        ),
        ("kind: Node\nmetadata: {labels: {a: null}}", "f0.yaml: metadata.labels.a: this must be text: quote `null`"),
        ("kind: Node\nstatus: {allocatable: {cpu: x}}", "f0.yaml: status.allocatable.cpu: `x` is not a quantity"),
        (
            "kind: Node\nstatus: {conditions: {a: 1}}",
            "f0.yaml: status.conditions: conditions must be a list of objects",
        ),
        (NODE_POOL.replace("{name: gpu}", "{}"), "f0.yaml: metadata.name: a NodePool needs a name"),
    ],
)
def test_objects_that_are_of_no_use(text: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(text)
    assert str(caught.value) == message


def test_a_node_pool_that_is_being_deleted_is_its_nodes() -> None:
    """Karpenter makes no more of them, so there is no next node that could be different."""
    node_pool = """---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: k, deletionTimestamp: "2026-01-02T00:00:00Z"}
spec: {template: {spec: {requirements: [{key: team, operator: In, values: [a, b]}]}}}
"""
    node = """---
kind: Node
metadata: {name: n, labels: {karpenter.sh/nodepool: k, team: a, kubernetes.io/arch: amd64}}
"""
    (pool,) = (found := read(node_pool + node)).pools
    assert (pool.name, pool.declared, pool.nodes) == ("k", False, 1)
    assert pool.labels["team"] == "a"
    assert pool.fact("kubernetes.io/arch").values == ("amd64",)
    (remark,) = found.remarks
    assert (remark.kind, remark.about) == ("leaving", "NodePool k")
    assert read(node_pool).pools == ()
