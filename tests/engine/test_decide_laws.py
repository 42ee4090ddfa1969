# ruff: noqa: ARG005 - atoms are lines of a table
"""The laws of placement, against a second telling of what a policy means that shares no code with the engine.

The universe is small enough to look at every node: which pool it belongs to, whether each policy is true on it, whether
Kubernetes admits it before and after the patch. Every label of it collides with every other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import jsonpatch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bundle import parse_bundle
from engine.cluster import Inventory, inventory_from_documents
from engine.decide import Decider
from engine.decision import Decision
from engine.document import Manifest, parse_documents, plain
from engine.program import compile_bundle
from engine.subject import Subject
from engine.text import Source

POOL, ZONE, TIER = "karpenter.sh/nodepool", "topology.kubernetes.io/zone", "tier"
Node = Mapping[str, str]
NODES: list[Node] = [
    {key: value for key, value in zip((POOL, ZONE, TIER), states, strict=True) if value}
    for states in product(("", "p", "q", "r"), ("", "a", "b"), ("", "gold", "base"))
]


# What pools there are: declared ones promise something of all their nodes, observed ones were only seen.


@dataclass(frozen=True)
class PoolSpec:
    """A pool as the test knows it."""

    name: str
    declared: bool
    tier: str
    zones: tuple[str, ...]
    gpus: int

    def owns(self, node: Node) -> bool:
        """Whether a node that could exist belongs to this pool."""
        return node.get(POOL) == self.name

    def possible(self, node: Node) -> bool:
        """Whether a node of this pool could look like this."""
        if not self.declared:
            return True
        return (not self.tier or node.get(TIER) == self.tier) and (not self.zones or node.get(ZONE) in self.zones)

    def objects(self) -> Iterator[dict[str, Any]]:
        """The pool as an Inventory, or the Nodes that show it."""
        if self.declared:
            labels = {POOL: self.name, **({TIER: self.tier} if self.tier else {})}
            values = {ZONE: list(self.zones)} if self.zones else {}
            pool = {"name": self.name, "selector": {POOL: self.name}, "labels": labels, "values": values}
            yield {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": [{**pool, "gpus": self.gpus}]}
            return
        for i, zone in enumerate(self.zones or ("",)):
            labels = {POOL: self.name, **({TIER: self.tier} if self.tier else {}), **({ZONE: zone} if zone else {})}
            status = {"allocatable": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": str(self.gpus)}}
            meta = {"name": f"{self.name}-{i}", "labels": labels}
            yield {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {}, "status": status}


POOLS = st.lists(
    st.builds(
        PoolSpec,
        st.sampled_from("pqr"),
        st.booleans(),
        st.sampled_from(["", "gold", "base"]),
        st.sampled_from([(), ("a",), ("b",), ("a", "b")]),
        st.sampled_from([0, 2]),
    ),
    unique_by=lambda pool: pool.name,
    max_size=3,
)


# What policies say: a tree of the test's own, with a text for the engine and a meaning for the oracle.


class EvaluationError(Exception):
    """CEL's error."""


class Atom:
    """A leaf: its text, what it reads, and its value given pod, pool and node (pool None: unknown)."""

    def __init__(self, text: str, reads: str, value: Any, demand: Any = None) -> None:
        self.text, self.reads, self.value, self.demand = text, reads, value, demand

    def __repr__(self) -> str:
        return self.text


def need(mapping: Mapping[str, str], key: str) -> str:
    """A label that must be there."""
    if key not in mapping:
        raise EvaluationError(key)
    return mapping[key]


def tier_again(pool: PoolSpec, node: Node) -> bool:
    """An observed tier, or its absence, once read, must be the same on the node."""
    return pool.declared or node.get(TIER, "") == pool.tier


def zones_again(pool: PoolSpec, node: Node) -> bool:
    """Observed zones, once read, must be among those seen."""
    return pool.declared or (node.get(ZONE) in pool.zones if pool.zones else ZONE not in node)


def tier_of(pool: PoolSpec) -> dict[str, str]:
    """The pool's labels as far as the atoms read them."""
    return {TIER: pool.tier} if pool.tier else {}


ATOMS = [
    Atom('pod.metadata.labels["app"] == "x"', "pod", lambda pod, pool, node: pod == "x"),
    Atom('pod.metadata.labels["none"] == "x"', "pod", lambda pod, pool, node: need({}, "none") == "x"),
    Atom(
        'pool.labels["tier"] == "gold"', "pool", lambda pod, pool, node: need(tier_of(pool), TIER) == "gold", tier_again
    ),
    Atom('"tier" in pool.labels', "pool", lambda pod, pool, node: bool(pool.tier), tier_again),
    Atom('pool.labels[?"tier"].orValue("base") != "gold"', "pool", lambda d, pool, n: pool.tier != "gold", tier_again),
    Atom('"a" in pool.zones', "pool", lambda pod, pool, node: "a" in pool.zones, zones_again),
    Atom("pool.gpus > 0", "pool", lambda pod, pool, node: pool.gpus > 0),
    Atom(
        "pool.gpus == (pod.metadata.labels['app'] == 'x' ? 2 : 0)",
        "pool",
        lambda d, p, n: p.gpus == (2 if d == "x" else 0),
    ),
    Atom(
        'pool.labels["ti" + "er"] == "gold"', "pool", lambda d, pool, n: need(tier_of(pool), TIER) == "gold", tier_again
    ),
    Atom('node.labels["tier"] == "gold"', "node", lambda pod, pool, node: need(node, TIER) == "gold"),
    Atom('node.labels["tier"] != "gold"', "node", lambda pod, pool, node: need(node, TIER) != "gold"),
    Atom("has(node.labels.tier)", "node", lambda pod, pool, node: TIER in node),
    Atom('node.zone in ["a", "c"]', "node", lambda pod, pool, node: need(node, ZONE) in ("a", "c")),
    Atom('node.zone == pod.metadata.labels["zone"]', "node", lambda pod, pool, node: need(node, ZONE) == "b"),
]
Tree = Any
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["&&", "||"]), inner, inner),
        st.tuples(st.just("!"), inner),
        st.tuples(st.just("?"), inner, inner, inner),
    ),
    max_leaves=4,
)


def text_of(tree: Tree) -> str:
    """The tree in CEL."""
    if isinstance(tree, Atom):
        return f"({tree.text})"
    parts = [text_of(part) for part in tree[1:]]
    if tree[0] == "!":
        return f"!{parts[0]}"
    return f"({parts[0]} ? {parts[1]} : {parts[2]})" if tree[0] == "?" else f"({parts[0]} {tree[0]} {parts[1]})"


UNKNOWN, ERROR = "unknown", "error"


def residue(tree: Tree, pod: str) -> Tree:
    """The tree with everything folded away that the pod alone decides: True, False, ERROR, or what is left."""
    if isinstance(tree, Atom):
        if tree.reads != "pod":
            return tree
        try:
            return bool(tree.value(pod, None, None))
        except EvaluationError:
            return ERROR
    parts = [residue(part, pod) for part in tree[1:]] if tree[0] != "?" else [residue(tree[1], pod)]
    if tree[0] == "!":
        return not parts[0] if isinstance(parts[0], bool) else parts[0] if parts[0] is ERROR else ("!", parts[0])
    if tree[0] == "?":
        if isinstance(parts[0], bool):
            return residue(tree[2] if parts[0] else tree[3], pod)
        return ERROR if parts[0] is ERROR else ("?", parts[0], residue(tree[2], pod), residue(tree[3], pod))
    absorbing = tree[0] == "||"
    if any(part is absorbing for part in parts):
        return absorbing
    left = [part for part in parts if part is not (not absorbing)]
    if len(left) < 2:
        return left[0] if left else not absorbing
    return ERROR if all(part is ERROR for part in left) else (tree[0], *left)


def atoms(tree: Tree) -> list[Atom]:
    """The leaves that are left."""
    if isinstance(tree, Atom):
        return [tree]
    return [atom for part in tree[1:] for atom in atoms(part)] if isinstance(tree, tuple) else []


def value(tree: Tree, pod: str, pool: PoolSpec | None, node: Node) -> Any:
    """True, False or ERROR on one node."""
    if tree is ERROR or isinstance(tree, bool):
        return tree
    if isinstance(tree, Atom):
        try:
            return bool(tree.value(pod, pool, node))
        except EvaluationError:
            return ERROR
    first = value(tree[1], pod, pool, node)
    if tree[0] == "!":
        return ERROR if first is ERROR else not first
    if tree[0] == "?":
        return ERROR if first is ERROR else value(tree[2] if first else tree[3], pod, pool, node)
    second, absorbing = value(tree[2], pod, pool, node), tree[0] == "||"
    if absorbing in (first, second):
        return absorbing
    return ERROR if ERROR in (first, second) else not absorbing


@dataclass(frozen=True)
class PolicySpec:
    """A policy as the test knows it."""

    name: str
    require: tuple[Tree, ...]
    priority: int
    when_empty: str
    tolerate: bool

    def document(self) -> dict[str, Any]:
        """The policy as the engine reads it."""
        spec: dict[str, Any] = {
            "require": [{"expression": text_of(tree)} for tree in self.require],
            "priority": self.priority,
            "whenEmpty": self.when_empty,
        }
        if self.tolerate:
            spec["tolerate"] = [{"expression": 'taint.key == "never"'}]
        return {
            "apiVersion": "bayplan.dev/v1alpha1",
            "kind": "PlacementPolicy",
            "metadata": {"name": self.name},
            "spec": spec,
        }

    def eligible(self, node: Node, pod: str, pools: list[PoolSpec]) -> bool:
        """design: on a node of a pool, the conjunction is true and what was read of the pool is so again."""
        whole: Tree = True
        for tree in self.require:
            whole = tree if whole is True else ("&&", whole, tree)
        left = residue(whole, pod)
        reads_pool = any(atom.reads == "pool" for atom in atoms(left))
        if not reads_pool and not self.tolerate:
            return value(left, pod, None, node) is True
        pool = next((pool for pool in pools if pool.owns(node)), None)
        if pool is None or value(left, pod, pool, node) is not True:
            return False
        return all(atom.demand(pool, node) for atom in atoms(left) if atom.demand)


POLICIES = st.lists(
    st.builds(
        PolicySpec,
        st.sampled_from(["one", "two", "three"]),
        st.lists(TREES, min_size=1, max_size=2).map(tuple),
        st.sampled_from([0, 0, 5]),
        st.sampled_from(["deny", "warn", "ignore"]),
        st.sampled_from([False, False, True]),
    ),
    unique_by=lambda policy: policy.name,
    min_size=1,
    max_size=3,
)


# What the pod asks for itself, and what Kubernetes makes of it.

EXPRESSIONS = st.one_of(
    st.tuples(
        st.sampled_from([TIER, ZONE, POOL]), st.sampled_from(["In", "NotIn"]), st.sampled_from(["a", "gold", "p"])
    ).map(lambda e: {"key": e[0], "operator": e[1], "values": [e[2]]}),
    st.tuples(st.sampled_from([TIER, ZONE, POOL]), st.sampled_from(["Exists", "DoesNotExist"])).map(
        lambda e: {"key": e[0], "operator": e[1]}
    ),
)
TERMS = st.lists(
    st.one_of(st.just({}), st.lists(EXPRESSIONS, min_size=1, max_size=2).map(lambda e: {"matchExpressions": e})),
    min_size=1,
    max_size=3,
)
PODS = st.tuples(
    st.sampled_from(["x", "y"]),
    st.one_of(st.none(), TERMS),
    st.sampled_from([{}, {TIER: "gold"}, {POOL: "p"}, {ZONE: "b"}]),
)


def pod_of(app: str, terms: list[Any] | None, selector: dict[str, str]) -> dict[str, Any]:
    """A Pod as the API server sends it."""
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": "i"}]}
    if selector:
        spec["nodeSelector"] = selector
    if terms is not None:
        required = {"nodeSelectorTerms": terms}
        spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return {"metadata": {"name": "pod", "labels": {"app": app, "zone": "b"}}, "spec": spec}


def admits(pod: Mapping[str, Any], node: Node) -> bool:
    """Kubernetes' own rule (component-helpers, nodeaffinity): nodeSelector, and any term that is not empty."""
    spec = pod["spec"]
    if any(node.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(
        term.get("matchExpressions") and all(holds(expression, node) for expression in term["matchExpressions"])
        for term in required["nodeSelectorTerms"]
    )


def holds(expression: Mapping[str, Any], node: Node) -> bool:
    """One match expression on one node."""
    key, operator, values = expression["key"], expression["operator"], expression.get("values", [])
    match operator:
        case "In":
            return node.get(key) in values
        case "NotIn":
            return node.get(key) not in values
        case "Exists":
            return key in node
        case "DoesNotExist":
            return key not in node
        case _:
            raise AssertionError(operator)


# The laws.


def examples(count: int) -> settings:
    """So many cases, and fifty times as many in a long run (`BAYPLAN_NIGHTLY=1`)."""
    return settings(max_examples=count * (50 if os.environ.get("BAYPLAN_NIGHTLY") else 1), deadline=None)


def decider(policies: list[PolicySpec], pools: list[PoolSpec], *, mode: str = "enforce") -> Decider:
    """The engine over these policies and pools."""
    bundle, problems = parse_bundle(
        {
            "bundle.yaml": json.dumps(
                {
                    "apiVersion": "bayplan.dev/v1alpha1",
                    "kind": "Bundle",
                    "metadata": {"name": "laws"},
                    "spec": {"version": "1.0.0"},
                }
            ),
            **{f"policies/{policy.name}.yaml": json.dumps(policy.document()) for policy in policies},
        }
    )
    assert bundle is not None, problems
    return Decider(compile_bundle(bundle), inventory(pools), mode=mode)


def inventory(pools: list[PoolSpec]) -> Inventory:
    """The pools as the engine sees them."""
    text = "\n---\n".join(json.dumps(each) for pool in pools for each in pool.objects())
    source = Source("pools.yaml", text)
    values, problems = parse_documents(source)
    assert not problems
    return inventory_from_documents([Manifest(source, plain(value), value) for value in values])


def subject(pod: Mapping[str, Any]) -> Subject:
    """The pod on its way into a namespace."""
    namespace = {"metadata": {"name": "team", "labels": {"kubernetes.io/metadata.name": "team"}}}
    request = {"operation": "CREATE", "namespace": "team", "dryRun": False, "userInfo": {"username": "u", "groups": []}}
    return Subject(pod, namespace, request)


def universe(pools: list[PoolSpec]) -> list[Node]:
    """The nodes that could exist, given what pools promise."""
    return [node for node in NODES if all(pool.possible(node) for pool in pools if pool.owns(node))]


def outcomes(decision: Decision) -> dict[str, str]:
    """Each policy's outcome."""
    return {policy.name: policy.outcome for policy in decision.policies}


@examples(120)
@given(POLICIES, POOLS, PODS)
def test_the_patched_pod_is_admitted_exactly_where_it_should_be(
    policies: list[PolicySpec], pools: list[PoolSpec], given_pod: tuple[str, Any, dict[str, str]]
) -> None:
    """Laws 1, 2 and 3: never wider, sound, complete; and a denial is right: nothing that could exist is left."""
    pod = pod_of(*given_pod)
    decision = decider(policies, pools).decide(subject(pod))
    said = outcomes(decision)
    assert "failed" not in said.values(), said
    nodes = universe(pools)
    in_force = [p for p in policies if said[p.name] in ("applied", "satisfied")]
    if not decision.allowed:
        left = [n for n in nodes if admits(pod, n) and all(p.eligible(n, given_pod[0], pools) for p in policies)]
        assert not [node for node in left if any(pool.owns(node) for pool in pools)]
        return
    patched = jsonpatch.apply_patch(pod, list(decision.patch))
    for node in nodes:
        expected = admits(pod, node) and all(policy.eligible(node, given_pod[0], pools) for policy in in_force)
        assert admits(patched, node) == expected, (node, decision.patch)


@examples(60)
@given(POLICIES, POOLS, PODS)
def test_deciding_again_changes_nothing(
    policies: list[PolicySpec], pools: list[PoolSpec], given_pod: tuple[str, Any, dict[str, str]]
) -> None:
    """Law 4, and law 7: only the three places are touched."""
    engine, pod = decider(policies, pools), pod_of(*given_pod)
    first = engine.decide(subject(pod))
    if not first.patch:
        return
    paths = ("/spec/affinity", "/spec/tolerations", "/spec/topologySpreadConstraints")
    assert all(operation["path"].startswith(paths) for operation in first.patch)
    again = engine.decide(subject(jsonpatch.apply_patch(pod, list(first.patch))))

    assert again.allowed
    assert again.patch == ()


@examples(40)
@given(POLICIES, POOLS, PODS, st.randoms(use_true_random=False))
def test_order_does_not_matter(
    policies: list[PolicySpec], pools: list[PoolSpec], given_pod: tuple[str, Any, dict[str, str]], random: Any
) -> None:
    """Law 5: of policies, pools and labels; equal inputs give byte-equal patches and sentences."""
    pod = pod_of(*given_pod)
    one = decider(policies, pools).decide(subject(pod))
    shuffled, mixed = random.sample(policies, len(policies)), random.sample(pools, len(pools))
    turned = json.loads(json.dumps(pod), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    other = decider(shuffled, mixed).decide(subject(turned))
    ignoring_revision = {"revision": ""}

    assert json.dumps(one.as_json() | ignoring_revision, sort_keys=True) == json.dumps(
        other.as_json() | ignoring_revision, sort_keys=True
    )


@examples(40)
@given(POLICIES, POOLS, PODS)
def test_audit_decides_the_same_and_answers_nothing(
    policies: list[PolicySpec], pools: list[PoolSpec], given_pod: tuple[str, Any, dict[str, str]]
) -> None:
    """Law 8."""
    pod = pod_of(*given_pod)
    enforced = decider(policies, pools).decide(subject(pod))
    audited = decider(policies, pools, mode="audit").decide(subject(pod))

    assert (audited.patch, audited.allowed, audited.policies) == (enforced.patch, enforced.allowed, enforced.policies)
    assert (audited.answer_patch, audited.refused) == ((), False)
