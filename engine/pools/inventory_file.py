"""`Inventory` documents: pools as a file declares them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Any

from engine.documents import (
    API_VERSION,
    BAD,
    INT32,
    Bad,
    Field,
    JsonSchema,
    Map,
    Problem,
    Problems,
    Read,
    Scalar,
    Shape,
    Span,
    Value,
    bad,
    boolean,
    choice,
    described,
    did_you_mean,
    filled,
    head,
    integer,
    items,
    label_key,
    label_value,
    mapping,
    number,
    parse_quantity,
    record,
    schema_of,
    some,
    text,
)
from engine.nodeselector import ABSENT, EXISTS, one_of
from engine.pools.evidence import Declared
from engine.pools.pool import TAINT_EFFECTS, Fact, Facts, Labels, Taint
from engine.pools.providers import BY_NAME, POOL_FIELDS, spot_markers

SOURCE = "the inventory"
_DERIVED = {**POOL_FIELDS, "capacityTypes": "karpenter.sh/capacity-type"}
"""Fields of `pool` that follow from its labels and values: the label to give instead."""


@described({"type": ["string", "number"]})
def _amount(value: Value, problems: Problems) -> Fraction | Bad:
    said = value.text if isinstance(value, Scalar) and not isinstance(value.value, bool) else ""
    try:
        amount = parse_quantity(said)
    except ValueError:
        return bad(problems, "quantity", "this is not a quantity", head(value), "a number, or as in `500m` or `64Gi`")
    if amount < 0:
        return bad(problems, "out-of-range", f"`{said}` is out of range", value.span, "a quantity that is not negative")
    return amount


@described({"type": "string", "minLength": 1})
def _provider(value: Value, problems: Problems) -> str | Bad:
    """Any word; what only looks like one of ours is a typo."""
    said = filled(value, problems)
    near = did_you_mean(said, BY_NAME) if isinstance(said, str) and said not in BY_NAME else ""
    return bad(problems, "unknown-provider", f"`{said}` is not a provider", value.span, hint=near) if near else said


@described({"type": "object"})
def _unread(*_: object) -> None:
    """Labels of the document itself mean nothing."""


def _pool(read: Read, value: Map, problems: Problems) -> Any:
    selector, labels, values = read.get("selector", {}), read.get("labels", {}), read.get("values", {})
    given = value.get("selector")
    if isinstance(given, Map) and not given.entries:
        message = "an empty selector selects all nodes"
        bad(problems, "empty-selector", message, given.span, "the labels that identify the pool's nodes")
    for key in labels.keys() & selector.keys():
        if labels[key] != selector[key]:
            message = f"`{key}` is `{labels[key]}` here and `{selector[key]}` in the selector"
            bad(problems, "contradiction", message, _entry(value, "labels", key))
    for key in values.keys() & (labels.keys() | selector.keys()):
        message = f"`{key}` is one of the pool's labels, so it does not vary"
        bad(problems, "contradiction", message, _entry(value, "values", key))
    told = labels.keys() | selector.keys() | values.keys()
    present, absent = read.get("present", ()), read.get("absent", ())
    for name, keys, others in (("present", present, told), ("absent", absent, {*told, *present})):
        for key in sorted(set(keys) & others):
            message = f"what the nodes carry as `{key}` is said elsewhere, too"
            bad(problems, "contradiction", message, _entry(value, name))
    nodes, ready = read.get("nodes"), read.get("readyNodes")
    if nodes is not None and ready is not None and ready > nodes:
        bad(problems, "out-of-range", f"{ready} of {nodes} nodes can't be ready", _entry(value, "readyNodes"))
    if "name" not in read or not selector:
        return BAD
    cpu, memory = read.get("cpu"), read.get("memory")
    return Declared(
        name=read["name"],
        selector=selector,
        provider=read.get("provider"),
        facts=_facts(labels, values, present, absent),
        annotations=read.get("annotations", {}),
        taints=read.get("taints"),
        nodes=nodes,
        ready_nodes=ready,
        cpu=None if cpu is None else float(cpu),
        memory=None if memory is None else ceil(memory),
        gpus=read.get("gpus"),
        weight=read.get("weight"),
        price=read.get("price"),
        source=SOURCE,
    ), value


def _facts(labels: Labels, values: Mapping[str, Sequence[str]], present: Iterable[str], absent: Iterable[str]) -> Facts:
    """What an entry says of labels. One that marks spot nodes only may be missing where it says values."""
    said = {key: one_of(each) | ABSENT if key in spot_markers() else one_of(each) for key, each in values.items()}
    said |= dict.fromkeys(present, EXISTS) | dict.fromkeys(absent, ABSENT)
    said |= {key: one_of([value]) for key, value in labels.items()}
    return {key: Fact(states, source=SOURCE, by_hand=True) for key, states in said.items()}


def _entry(value: Map, name: str, key: str = "") -> Span:
    inner = value.get(name)
    found = inner.key(key) if isinstance(inner, Map) else value.key(name)
    return found.span if found else head(value)


def _taint(read: Read, *_: object) -> Any:
    if not {"key", "effect"} <= read.keys():
        return BAD
    return Taint(read["key"], read.get("value", ""), read["effect"], bool(read.get("partial")))


TAINT = {
    "key": Field(label_key, required=True, about="The taint's key."),
    "value": Field(label_value, "", about="Its value."),
    "effect": Field(choice(*TAINT_EFFECTS), required=True, about="What it does to pods."),
    "partial": Field(boolean, False, about="Whether only some nodes of the pool have it."),
}
POOL = {
    "name": Field(filled, required=True, about="Its name, as decisions tell it."),
    "provider": Field(_provider, about="Who makes its nodes: says which labels the portable words are."),
    "selector": Field(mapping(label_key, label_value), required=True, about="The labels that identify its nodes."),
    "labels": Field(mapping(label_key, label_value), {}, about="Labels that every node carries, with this value."),
    "values": Field(mapping(label_key, some(label_value)), {}, about="The values that a label has on its nodes."),
    "present": Field(items(label_key), (), about="Labels that every node carries, with some value."),
    "absent": Field(items(label_key), (), about="Labels that no node carries."),
    "annotations": Field(mapping(label_key, text), {}, about="For expressions, as `pool.annotations`."),
    "taints": Field(items(record("a taint", TAINT, _taint)), about="The taints of its nodes."),
    "nodes": Field(integer(0, INT32), about="How many there are now; 0 for one that scales from zero."),
    "readyNodes": Field(integer(0, INT32), about="How many of them are ready."),
    "cpu": Field(_amount, about="Cores of its largest node."),
    "memory": Field(_amount, about="Memory of its largest node: bytes, or as in `64Gi`."),
    "gpus": Field(integer(0, INT32), about="GPUs of its largest node."),
    "weight": Field(integer(0, INT32), about="For expressions, as `pool.weight`."),
    "price": Field(number, about="Per hour."),
}
_METADATA = {
    "name": Field(filled, about="Its name."),
    "labels": Field(_unread, about="Labels, as on any object."),
}
INVENTORY = {
    "apiVersion": Field(choice(API_VERSION), required=True, about="The version of this format."),
    "kind": Field(choice("Inventory"), required=True, about="What the document is."),
    "metadata": Field(record("an inventory's metadata", _METADATA), about="Its name and labels."),
    "pools": Field(items(record("a pool", POOL, _pool)), required=True, about="The pools."),
}
INVENTORY_DOCUMENT: Shape = record("an inventory", INVENTORY)


def inventory_schema() -> JsonSchema:
    """What such a document is."""
    return schema_of(INVENTORY_DOCUMENT)


def explain_derived(problems: Problems) -> Problems:
    """The problems, with a hint where a field of `pool` was given that follows from labels."""
    return [_explained(problem) for problem in problems]


def _explained(problem: Problem) -> Problem:
    span = problem.span
    label = _DERIVED.get(span.source.text[span.start : span.end])
    if problem.rule != "unknown-field" or label is None:
        return problem
    hint = f"give the label: `values: {{{label}: [...]}}`"
    return Problem(problem.rule, problem.message, span, hint=hint)
