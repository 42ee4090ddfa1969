"""engine.evaluation: what is decided for all pools at once is what evaluating pool by pool and node by node gives.

Random well-typed conditions over random pods, pools and nodes, compiled twice: as a bundle's `require`, taken apart
into masks, indexes and node conditions; and as one function, called for each pool and each node of a small universe.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from random import Random
from typing import Any

import pytest

from engine.bundle import Bundle, parse_bundle
from engine.documents import BundleError, Excerpt
from engine.evaluation.pod_facts import Requests, Variables
from engine.evaluation.pool_facts import Inputs, PoolFacts
from engine.evaluation.verdicts import Verdict
from engine.language import (
    INT,
    STRING,
    Budget,
    CelError,
    ObjectType,
    Type,
    check,
    compile_expression,
    free_names,
    list_of,
    parse,
)
from engine.nodeselector import TooMany
from engine.pools import POOL_FIELDS, Inventory, Pool, PoolIndex, Taint
from engine.pools.providers import ZONE
from engine.program import POD_NAMES, CompiledPolicy, Program, Truth, compile_bundle, vocabulary
from engine.program.model import NAMES
from engine.program.pool_view import PoolView, Undecided
from tests.conformance import expressions
from tests.conformance.expressions import KEYS, STRINGS, Writer, quoted
from tests.engine.pools.inventories import facts
from tests.engine.terms import admits

NIGHTLY = os.environ.get("BAYPLAN_NIGHTLY") == "1"
BLOCKS = 20
FLEETS = 100 if NIGHTLY else 1
EXPRESSIONS, PODS, POOLS = 25, 4, 6  # for each fleet: 100 conditions on a pod, each on six pools
PLENTY = 10**9

VALUES = ("a", "b", "17", "3", "1.5", "true", "NaN", "eu-1a", "")
VARIABLES = {
    "gpus": 'pod.spec.containers.map(c, int(c.resources.limits["nvidia.com/gpu"])).sum()',
    "zone": 'pod.metadata.labels["zone"]',
    "names": "pod.spec.containers.map(c, c.name)",
}
VARIABLE_TYPES = ObjectType("variables", fields={"gpus": INT, "zone": STRING, "names": list_of(STRING)})
CONSTANTS: tuple[Mapping[str, Any], Mapping[str, Any]] = ({"name": "test", "labels": {}}, {})
ROOTS: Mapping[str, Type] = {
    "pod": vocabulary.POD,
    "namespaceObject": vocabulary.NAMESPACE,
    "request": vocabulary.REQUEST,
    "requests": vocabulary.REQUESTS,
    "variables": VARIABLE_TYPES,
    "cluster": vocabulary.CLUSTER,
    "params": vocabulary.params_type({}),
    "pool": vocabulary.POOL,
    "node": vocabulary.NODE,
}
NODES: Sequence[Mapping[str, Any]] = [
    {"labels": labels, **({"zone": labels[ZONE]} if ZONE in labels else {})}
    for states in product((None, "a", "17", ""), (None, "3"), (None, "eu-1a", "b"))
    for labels in [{k: v for k, v in zip(("a", "n", ZONE), states, strict=True) if v is not None}]
]

OF_POD = {
    "string": ("pod.metadata.name", "pod.spec.nodeName", "variables.zone", 'pod.metadata.labels["a"]',
               'pod.metadata.?labels[?"app"].orValue("a")'),
    "int": ("variables.gpus", "pod.spec.priority", "size(pod.spec.containers)", "int(variables.zone)",
            'requests["nvidia.com/gpu"]', "requests.memory", 'requests[?"nvidia.com/gpu"].orValue(0)'),
    "uint": ("uint(pod.spec.priority)", "uint(size(pod.spec.containers))"),
    "double": ("requests.cpu", "double(pod.spec.priority)", "double(variables.zone)",
               "double(size(pod.spec.containers)) / 0.0",
               "0.0 / 0.0 * double(size(pod.metadata.name))"),
    "bool": ("pod.spec.hostNetwork", "has(pod.spec.nodeName)", "bool(variables.zone)", '"cpu" in requests'),
    "strings": ("variables.names", '["gpu", pod.metadata.name]', "pod.metadata.labels.map(k, k)"),
    "ints": ("[variables.gpus, 3]", "[pod.spec.priority]"),
}  # fmt: skip
OF_POOL = {
    "string": ("pool.name", 'pool.labels["zone"]', 'pool.labels[?"a"].orValue("b")', "pool.zones[0]", "pool.provider"),
    "int": ("pool.gpus", "pool.nodes", "pool.memory", 'int(pool.labels["a"])', "10 / pool.gpus"),
    "uint": ("uint(pool.gpus)", 'uint(pool.labels["b"])'),
    "double": ("pool.cpu", "pool.price", "pool.cpu / pool.price", 'double(pool.labels["a"])'),
    "bool": ("has(pool.price)", '"a" in pool.labels', 'bool(pool.labels["b"])'),
    "strings": ("pool.zones", 'pool.values["zone"]', "pool.taints.map(t, t.key)", "pool.labels.map(k, k)"),
    "ints": ("[pool.gpus, pool.nodes]", 'pool.zones.map(z, int(z))'),
}  # fmt: skip
ORDERED = ("string", "int", "uint", "double")
NUMBERS = ("int", "uint", "double")


# Conditions.


def condition(w: Writer, depth: int) -> str:
    """`&& || !` and `?:` over leaves that read the pod, the pool, both, or a node."""
    forms = ("({} && {})", "({} || {})", "!{}", "({} ? {} : {})")
    if depth <= 0 or w.random.random() < 0.15:
        return str(w.pick((bridge, bridge, of_pool, of_pod, mixed, keyed, of_node))(w))
    form = w.pick(forms)
    return str(form.format(*(condition(w, depth - 1) for _ in range(form.count("{}")))))


def bridge(w: Writer) -> str:
    """A value of the pod compared with one of the pool, in either order."""
    if w.random.random() < 0.4:
        kind = w.pick(("string", "int"))
        sides = [w.pick(OF_POD[kind]), w.pick(OF_POOL[f"{kind}s"])]
        other = [w.pick(OF_POOL[kind]), w.pick(OF_POD[f"{kind}s"])]
        return "({} in {})".format(*w.pick((sides, other)))
    if w.random.random() < 0.5:
        kind, operator = w.pick(("string", "int", "uint", "bool", "double", "strings")), w.pick(("==", "!="))
        return _shuffled(w, operator, kind, kind)
    kind = w.pick(ORDERED)
    other_kind = w.pick(NUMBERS) if kind in NUMBERS else kind
    return _shuffled(w, w.pick(("<", "<=", ">", ">=")), kind, other_kind)


def _shuffled(w: Writer, operator: str, of_pod: str, of_pool: str) -> str:
    sides = [w.pick(OF_POD[of_pod]), w.pick(OF_POOL[of_pool])]
    w.random.shuffle(sides)
    return f"({sides[0]} {operator} {sides[1]})"


def of_pool(w: Writer) -> str:
    kind = w.pick(ORDERED)
    return f"({w.pick(OF_POOL[kind])} {w.pick(('==', '!=', '<', '>='))} {w.pick(OF_POOL[kind])})"


def of_pod(w: Writer) -> str:
    kind = w.pick(ORDERED)
    return f"({w.pick(OF_POD[kind])} {w.pick(('==', '!=', '<', '>='))} {w.pick(OF_POD[kind])})"


def mixed(w: Writer) -> str:
    return w.one("bool", w.pick((1, 2, 3)))


def keyed(w: Writer) -> str:
    """What reads a pool's labels through keys that only the pod says."""
    key = w.pick(OF_POD["string"])
    return str(w.pick((
        f"({key} in pool.labels)",
        f"(pool.labels[{key}] == {quoted(w.pick(VALUES))})",
        f"(pool.values[?{key}].orValue([]).size() > 0)",
        f"pool.labels.exists(k, v, k == {key} || v == {key})",
        f"{w.pick(OF_POD['strings'])}.all(s, s in pool.labels)",
        "(pool.labels == pod.metadata.labels)",
    )))  # fmt: skip


def of_node(w: Writer) -> str:
    """What an affinity can say, with values of the pod and the pool."""
    text = w.pick((quoted(w.pick(VALUES)), w.pick(OF_POD["string"]), w.pick(OF_POOL["string"])))
    texts = w.pick((f"[{quoted(w.pick(VALUES))}, {text}]", w.pick(OF_POD["strings"]), w.pick(OF_POOL["strings"])))
    number = w.pick(("3", w.pick(OF_POD["int"]), w.pick(OF_POOL["int"])))
    return str(w.pick((
        f'(node.labels["a"] == {text})', f'({text} != node.labels["a"])', f'(node.labels["a"] in {texts})',
        f'({text} in node.labels)', '("n" in node.labels)', "has(node.zone)", f"(node.zone == {text})",
        f'(int(node.labels["n"]) {w.pick(("<", "<=", ">", ">=", "=="))} {number})',
        f'(node.labels[?"a"].orValue({text}) == {quoted(w.pick(VALUES))})',
        f'node.labels[?{text}].hasValue()', f"{texts}.exists(x, node.zone == x)",
        f'{texts}.all(x, node.labels["a"] != x)', f"(({mixed(w)} ? node.zone : {text}) == {text})",
    )))  # fmt: skip


# The universe.


def pool(random: Random, number: int) -> Pool:
    """A pool, of which something may be known by observation only."""
    labels = {key: random.choice(VALUES) for key in random.sample(KEYS, random.randrange(len(KEYS)))}
    varying = [key for key in KEYS if key not in labels]
    values = {key: tuple(sorted(random.sample(VALUES, 2))) for key in random.sample(varying, min(2, len(varying)))}
    zones = tuple(sorted(random.sample(("3", "17", "a", "eu-1a", "gpu"), random.randrange(3))))
    seen = [key for key in (*labels, *values) if random.random() < 0.3]
    return Pool(
        name=f"{random.choice(STRINGS)}{number}" if random.random() < 0.5 else f"gpu-{number}",
        provider=random.choice(("", "gke", "karpenter")),
        selector={"pool": str(number)},
        facts=facts(labels, {**values, **({ZONE: zones} if zones else {})}, seen),
        annotations={key: random.choice(STRINGS) for key in random.sample(KEYS, 2)},
        taints=tuple(
            Taint(key, random.choice(VALUES), "NoSchedule") for key in random.sample(KEYS, random.randrange(3))
        ),
        nodes=random.randrange(4),
        cpu=random.choice((0.0, 0.5, 3.0, 96.0)),
        memory=random.choice((0, 17, 2**31, 2**53)),
        gpus=random.choice((0, 1, 2, 3, 8)),
        price=random.choice((None, 0.0, 1.5, 3.0)),
        declared=random.random() < 0.5,
    )


def bundle(conditions: Sequence[str]) -> Bundle:
    """A policy for each condition, all with the same variables."""
    variables = [{"name": name, "expression": text} for name, text in VARIABLES.items()]
    files = {
        "bundle.yaml": "apiVersion: bayplan.dev/v1alpha1\nkind: Bundle\nmetadata: {name: b}\nspec: {version: 1.0.0}"
    }
    for i, text in enumerate(conditions):
        spec = {"variables": variables, "require": [{"expression": text}]}
        head = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": f"p{i}"}}
        files[f"policies/p{i}.yaml"] = json.dumps({**head, "spec": spec})
    parsed, problems = parse_bundle(files)
    assert parsed is not None, [str(problem) for problem in problems]
    return parsed


def accepted(random: Random) -> Iterator[str]:
    """Conditions that a bundle may have: constants that fail each time, for one, are refused."""
    while True:
        text = condition(Writer(random), random.choice((0, 1, 2, 3)))
        try:
            compile_bundle(bundle([text]))
        except BundleError:
            continue
        yield text


# The two ways.


def arguments(policy: CompiledPolicy, pod: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a policy's functions are called with, the pool aside."""
    variables = Variables(policy.variables)
    given: dict[str, Any] = {
        "pod": pod,
        "namespaceObject": {},
        "request": {},
        "requests": Requests(pod),
        "variables": variables,
    }
    variables.arguments = (Budget(PLENTY), *(given[name] for name in POD_NAMES), *CONSTANTS)
    return variables.arguments


class Direct:
    """A condition as one function of everything, `node` included."""

    def __init__(self, text: str) -> None:
        excerpt = Excerpt.of(text)
        node, _ = parse(excerpt)
        assert node is not None
        checked, _ = check(node, excerpt, ROOTS, strict=False)
        self.reads_node = "node" in free_names(checked)
        self._run = compile_expression(checked, (*NAMES, "node"))

    def __call__(self, given: tuple[Any, ...], view: Mapping[str, Any], node: Mapping[str, Any] | None) -> bool | None:
        """True, false, or None for an error."""
        try:
            value = self._run(*given, view, node)
        except CelError:
            return None
        assert value in (True, False)
        return bool(value)


def as_known(pool: Pool, node: Mapping[str, Any]) -> bool:
    """Whether a node is as a pool's nodes are known to be."""
    return all(fact.states.holds(node["labels"].get(key)) for key, fact in pool.facts.items())


def as_on(pool: Pool, node: Mapping[str, Any]) -> PoolView:
    """The pool, if what is not the same on all of its nodes, or not known, is as on this one."""
    view = PoolView(pool)
    for key in {*node["labels"], *pool.facts, *KEYS, *POOL_FIELDS.values()}:
        if not pool.fact(key).settled:
            view = view.assuming(key, node["labels"].get(key))
    return view


def masked(verdict: Verdict, every: int, pool: int, node: Mapping[str, Any]) -> bool | None:
    """What a verdict says of a node of a pool."""
    truths = [truth for mask, truth in verdict.cases(every) if mask >> pool & 1]
    assert len(truths) == 1, "every pool is in one case"
    return said(truths[0], node)


def said(truth: Truth, node: Mapping[str, Any]) -> bool | None:
    true, false = (admits(terms, node["labels"]) for terms in truth)
    assert not (true and false)
    return True if true else False if false else None


def compare(program: Program, pool_index: PoolIndex, pods: Sequence[Mapping[str, Any]]) -> None:
    pool_facts = PoolFacts(pool_index, program.leaves, lambda: (Budget(PLENTY), *(None,) * len(POD_NAMES), *CONSTANTS))
    for policy in program.policies:
        (rule,) = policy.require
        direct = Direct(rule.text)
        for pod in pods:
            given = arguments(policy, pod)
            inputs = Inputs(pool_facts, given, {})
            try:
                verdict = inputs.decide(rule.tree)
            except TooMany:
                continue
            some_error = False
            for i, each in enumerate(pool_index.pools):
                for node in NODES:
                    where = f"{rule.text}\npod {pod}\npool {each}\nnode {node}"
                    found = masked(verdict, pool_index.every, i, node)
                    try:
                        expected = direct(given, PoolView(each), node)
                    except Undecided:
                        assert not as_known(each, node) or found in (None, direct(given, as_on(each, node), node)), (
                            where
                        )
                        continue
                    some_error = some_error or expected is None
                    assert found is expected or not as_known(each, node), where
                    if verdict.anywhere is not None:
                        assert said(verdict.anywhere, node) is expected, f"anywhere: {where}"
            if some_error and not direct.reads_node:
                assert inputs.error(rule.tree), rule.text


@pytest.mark.parametrize("block", range(BLOCKS))
def test_masks_say_what_each_pool_and_node_says(block: int) -> None:
    random = Random(f"masks {block}")
    source = accepted(random)
    for _ in range(FLEETS):
        program = compile_bundle(bundle([next(source) for _ in range(EXPRESSIONS)]))
        pools = sorted((pool(random, number) for number in range(POOLS)), key=lambda pool: pool.name)
        compare(program, PoolIndex(Inventory(tuple(pools))), [expressions.pod(random) for _ in range(PODS)])
