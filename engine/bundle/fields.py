"""Tables of the fields of a bundle's documents, and the shapes that read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.bundle.contact import annotated
from engine.bundle.model import (
    FAILURE_POLICIES,
    MODES,
    OUTCOMES,
    SYSTEM_NAMESPACES,
    WHEN_EMPTY,
    Case,
    Exemption,
    Expression,
    HandsOn,
    Named,
    PodTerm,
    Preference,
    Share,
    Spread,
    Tolerance,
)
from engine.bundle.params import schema_of_params
from engine.bundle.selector import keys, label_selector, selector
from engine.documents import (
    API_VERSION,
    BAD,
    INT32,
    Field,
    List,
    Map,
    Problems,
    Read,
    Scalar,
    Shape,
    Span,
    Value,
    any_object,
    bad,
    boolean,
    checked,
    choice,
    constant,
    distinct,
    expression,
    filled,
    head,
    identifier,
    integer,
    items,
    label_key,
    mapping,
    namespace_name,
    object_name,
    record,
    some,
    text,
)
from engine.names import is_label_key
from engine.versions import VersionRange, version_of

# Each table of fields stands after the functions that make a value of what was read.


def _expression(read: Read, *_: object) -> Any:
    return Expression(read["expression"], read.get("message", "")) if "expression" in read else BAD


def _tolerance(read: Read, *_: object) -> Any:
    if not {"expression", "seconds"} <= read.keys():
        return BAD
    return Tolerance(Expression(read["expression"], read.get("message", "")), read["seconds"])


def _named(read: Read, *_: object) -> Any:
    return Named(read["name"], read["expression"]) if {"name", "expression"} <= read.keys() else BAD


def _preference(read: Read, value: Map, problems: Problems) -> Any:
    weight, score = value.key("weight"), value.key("score")
    if weight and score:
        bad(problems, "weight-or-score", "a preference has `weight` or `score`, not both", score.span)
    if not weight and not score:
        bad(problems, "weight-or-score", "a preference needs `weight` or `score`", head(value), "`weight`: 1 to 100")
    if not {"expression", "weight", "score"} <= read.keys() or bool(weight) == bool(score):
        return BAD
    return Preference(Expression(read["expression"], read.get("message", "")), read["weight"], read["score"])


def _share(read: Read, *_: object) -> Any:
    if not {"share", "expression"} <= read.keys():
        return BAD
    strict = read.get("whenUnsatisfiable") != "ScheduleAnyway"
    return Share(read["share"], Expression(read["expression"], read.get("message", "")), strict)


def check_shares(shares: Value | None, span: Span, problems: Problems) -> None:
    """Appends a problem where the shares of a split, as far as they are whole numbers, are not a hundred together.

    And one for the first share that is required beside others that are wished for, or the other way round.
    """
    items_given = shares.items if isinstance(shares, List) else ()
    given = [item.get("share") if isinstance(item, Map) else None for item in items_given]
    numbers = [one.value if isinstance(one, Scalar) else None for one in given]
    whole = [number for number in numbers if isinstance(number, int) and not isinstance(number, bool)]
    if len(whole) == len(given) and whole and sum(whole) != 100:
        missing = 100 - sum(whole)
        what = f"{missing} more" if missing > 0 else f"{-missing} fewer"
        bad(problems, "split-sum", f"the shares are {sum(whole)} % together", span, f"100 %, {what}")
    entries = [item for item in items_given if isinstance(item, Map)]
    soft = [_soft(entry) for entry in entries]
    for entry, mine in zip(entries, soft, strict=True):
        if mine != soft[0]:
            said = entry.key("whenUnsatisfiable")
            message = f"this share is {'preferred' if mine else 'required'}, the first one is not"
            bad(
                problems,
                "mixed-split",
                message,
                said.span if said else head(entry),
                "the same `whenUnsatisfiable` for all",
            )
            break


def _soft(entry: Map) -> bool:
    given = entry.get("whenUnsatisfiable")
    return isinstance(given, Scalar) and given.text == "ScheduleAnyway"


def _selected_keys(read: Read, value: Map, problems: Problems) -> None:
    """As in Kubernetes, a key of `matchLabelKeys` stands neither in `labelSelector` nor in `mismatchLabelKeys`."""
    elsewhere = {
        "labelSelector": keys(read.get("labelSelector") or {}),
        "mismatchLabelKeys": frozenset(read.get("mismatchLabelKeys") or ()),
    }
    given = value.get("matchLabelKeys")
    for item in given.items if isinstance(given, List) else ():
        for field, selected in elsewhere.items():
            if isinstance(item, Scalar) and item.text in selected:
                message = f"`{item.text}` is in `matchLabelKeys` and in `{field}`"
                bad(problems, "label-key-twice", message, item.span)


def _selected_besides(read: Read, value: Map, problems: Problems) -> None:
    """As in Kubernetes, keys of `mismatchLabelKeys` take something off a selector."""
    mismatched = value.key("mismatchLabelKeys")
    if mismatched and read.get("mismatchLabelKeys") and not (value.key("labelSelector") or value.key("matchLabelKeys")):
        first = read["mismatchLabelKeys"][0]
        message = "`mismatchLabelKeys` needs `labelSelector`, which says the pods that it leaves some out of"
        hint = f"`labelSelector: {{matchExpressions: [{{key: {first}, operator: Exists}}]}}`"
        bad(problems, "missing-field", message, mismatched.span, hint=hint)


def _spread(read: Read, value: Map, problems: Problems) -> Any:
    _selected_keys(read, value, problems)
    when, domains = read.get("whenUnsatisfiable"), value.key("minDomains")
    if domains and when not in (None, "DoNotSchedule"):
        message = "`minDomains` needs `whenUnsatisfiable: DoNotSchedule`"
        bad(problems, "min-domains", message, domains.span)
    if not {name for name, given in SPREAD.items() if given.required} <= read.keys():
        return BAD
    return Spread(
        read["topologyKey"],
        read.get("maxSkew", 1),
        read["whenUnsatisfiable"],
        read.get("labelSelector"),
        read.get("matchLabelKeys", ()),
        read.get("minDomains"),
        read.get("nodeAffinityPolicy"),
        read.get("nodeTaintsPolicy"),
        head(value),
    )


def _pod_term(read: Read, value: Map, problems: Problems) -> Any:
    _selected_keys(read, value, problems)
    _selected_besides(read, value, problems)
    weight, required = value.key("weight"), value.key("required")
    if weight and read.get("required"):
        bad(problems, "weight-or-required", "a term is preferred by `weight` or required, not both", weight.span)
    if not weight and not read.get("required") and (required is None or "required" in read):
        message = "a term needs `weight` or `required: true`"
        bad(problems, "weight-or-required", message, required.span if required else head(value), "`weight`: 1 to 100")
    if "topologyKey" not in read:
        return BAD
    return PodTerm(
        read["topologyKey"],
        read.get("labelSelector"),
        read.get("matchLabelKeys", ()),
        read.get("weight"),
        read.get("required") or False,
        read.get("namespaces", ()),
        read.get("namespaceSelector"),
        read.get("mismatchLabelKeys", ()),
        head(value),
    )


_condition_name = checked(is_label_key, "name", "a condition's name", "letters, digits, `-`, `_` and `.`, at most 63")
_weight = integer(1, 100)

EXPRESSION = {"expression": Field(expression, required=True), "message": Field(text, "")}
TOLERANCE = {**EXPRESSION, "seconds": Field(integer(0, INT32))}
CONDITION = {"name": Field(_condition_name, required=True), "expression": Field(expression, required=True)}
VARIABLE = {"name": Field(identifier, required=True), "expression": Field(expression, required=True)}
PREFERENCE = {**EXPRESSION, "weight": Field(_weight), "score": Field(expression)}
SHARE = {
    "share": Field(integer(0, 100), required=True),
    **EXPRESSION,
    "whenUnsatisfiable": Field(choice("DoNotSchedule", "ScheduleAnyway"), "DoNotSchedule"),
}
SPREAD = {
    "topologyKey": Field(label_key, required=True),
    "maxSkew": Field(integer(1, INT32), 1),
    "whenUnsatisfiable": Field(choice("DoNotSchedule", "ScheduleAnyway"), required=True),
    "labelSelector": Field(label_selector),
    "matchLabelKeys": Field(distinct(label_key), ()),
    "minDomains": Field(integer(1, INT32)),
    "nodeAffinityPolicy": Field(choice("Honor", "Ignore")),
    "nodeTaintsPolicy": Field(choice("Honor", "Ignore")),
}
POD_TERM = {
    "topologyKey": Field(label_key, required=True),
    "labelSelector": Field(label_selector),
    "matchLabelKeys": Field(distinct(label_key), ()),
    "mismatchLabelKeys": Field(distinct(label_key), ()),
    "weight": Field(_weight),
    "required": Field(boolean, False),
    "namespaces": Field(distinct(namespace_name), ()),
    "namespaceSelector": Field(label_selector),
}

_expressions = items(record("an expression's entry", EXPRESSION, _expression))
_pod_terms = items(record("a pod affinity term", POD_TERM, _pod_term))
POLICY = {
    "description": Field(text, ""),
    "podSelector": Field(label_selector, {}),
    "namespaceSelector": Field(label_selector, {}),
    "matchConditions": Field(items(record("a match condition", CONDITION, _named)), ()),
    "variables": Field(items(record("a variable", VARIABLE, _named)), ()),
    "require": Field(_expressions, ()),
    "split": Field(some(record("a share", SHARE, _share)), ()),
    "prefer": Field(items(record("a preference", PREFERENCE, _preference)), ()),
    "fallback": Field(_expressions, ()),
    "tolerate": Field(items(record("an entry of `tolerate`", TOLERANCE, _tolerance)), ()),
    "spread": Field(items(record("a spread constraint", SPREAD, _spread)), ()),
    "podAffinity": Field(_pod_terms, ()),
    "podAntiAffinity": Field(_pod_terms, ()),
    "deny": Field(_expressions, ()),
    "whenEmpty": Field(choice(*WHEN_EMPTY), "deny"),
    "failurePolicy": Field(choice(*FAILURE_POLICIES)),
    "mode": Field(choice(*MODES), "enforce"),
    "rollout": Field(integer(0, 100), 100),
    "priority": Field(integer(-INT32 - 1, INT32), 0),
}


def _exemption(read: Read, value: Map, problems: Problems) -> Any:
    check_unique_names(value.get("matchConditions"), problems)
    if not {"name", "reason"} <= read.keys():
        return BAD
    name, listed = value.get("name"), value.get("policies")
    return Exemption(
        read["name"],
        read["reason"],
        name.span if name else head(value),
        read.get("policies", ()),
        selector(read.get("podSelector", {})),
        selector(read.get("namespaceSelector", {})),
        read.get("matchConditions", ()),
        tuple(item.span for item in listed.items) if isinstance(listed, List) else (),
    )


def _daemon_sets(value: Value, problems: Problems) -> Any:
    """`template`, or true for their pods."""
    if isinstance(value, Scalar) and isinstance(value.value, bool):
        return "pods" if value.value else "no"
    said = choice(*_DAEMON_SETS)(value, problems)
    return said if said is BAD else _DAEMON_SETS[str(said)]


_DAEMON_SETS = {"true": "pods", "false": "no", "template": "template"}


def _hands_on(read: Read, *_: object) -> Any:
    return HandsOn(read.get("daemonSets") or "no", read.get("namespaces") or ())


def _is_version(said: str) -> bool:
    return version_of(said) is not None and not said.startswith("v")


def _is_range(said: str) -> bool:
    try:
        return bool(VersionRange(said))
    except ValueError:
        return False


_range = checked(_is_range, "version-range", "a range of versions", "as in `>=1.2`, `^1.2` or `>=1.2 <3`")


EXEMPTION = {
    "name": Field(object_name, required=True),
    "reason": Field(filled, required=True),
    "policies": Field(distinct(object_name), ()),
    "podSelector": Field(label_selector, {}),
    "namespaceSelector": Field(label_selector, {}),
    "matchConditions": Field(items(record("a match condition", CONDITION, _named)), ()),
}
HANDS_ON = {
    "daemonSets": Field(_daemon_sets, "no"),
    "namespaces": Field(distinct(choice(*SYSTEM_NAMESPACES)), ()),
}
BUNDLE = {
    "version": Field(
        checked(_is_version, "version", "a semantic version", "as in `1.2.0` or `1.2.0-rc.1`"), required=True
    ),
    "description": Field(text, ""),
    "requires": Field(record("`requires`", {"bayplan": Field(_range), "kubernetes": Field(_range)}), {}),
    "mode": Field(choice(*MODES), "enforce"),
    "annotate": Field(boolean, False),
    "failurePolicy": Field(choice(*FAILURE_POLICIES)),
    "params": Field(mapping(lambda key, _: key.text if isinstance(key, Scalar) else BAD, constant), {}),
    "paramsSchema": Field(schema_of_params),
    "exemptions": Field(items(record("an exemption", EXEMPTION, _exemption)), ()),
    "handsOn": Field(record("`handsOn`", HANDS_ON, _hands_on), HandsOn()),
    "workloadLabels": Field(distinct(label_key), ()),
}

_objects = items(any_object)
EXPECT = {
    "allowed": Field(boolean),
    "message": Field(filled),
    "unchanged": Field(boolean),
    "pools": Field(items(filled)),
    "untolerated": Field(items(filled)),
    "policies": Field(mapping(object_name, choice(*OUTCOMES))),
    "shares": Field(mapping(object_name, integer(0, 100))),
    "overruled": Field(items(object_name)),
    "warnings": Field(items(filled)),
    "nodeAffinity": Field(_objects),
    "preferred": Field(_objects),
    "tolerations": Field(_objects),
    "topologySpreadConstraints": Field(_objects),
    "podAffinity": Field(any_object),
    "podAntiAffinity": Field(any_object),
    "patch": Field(_objects),
}


def _expect(read: Read, value: Map, problems: Problems) -> Any:
    if not value.entries:
        return bad(problems, "no-expectation", "nothing is expected", value.span, "at least one field")
    spans = {key.text: item.span for key, item in value.entries}
    given = {name: list(said) if isinstance(said, tuple) else said for name, said in read.items() if name in spans}
    return given, spans


def _case(read: Read, value: Map, problems: Problems) -> Any:
    if bool(value.key("pod")) == bool(value.key("file")):
        return bad(problems, "pod-or-file", "a case needs `pod` or `file`, one of them", head(value))
    if not {"name", "expect"} <= read.keys():
        return BAD
    name, (expect, spans) = value.get("name"), read["expect"]
    file = value.get("file")
    spans = {**spans, **({"file": file.span} if file else {})}
    span = name.span if name else head(value)
    return Case(
        read["name"],
        span,
        read.get("pod"),
        read.get("file"),
        read.get("namespace"),
        read.get("request", {}),
        expect,
        spans,
        read.get("uid", ""),
    )


def _paths(value: Value, problems: Problems) -> Any:
    return items(filled)(value, problems) if isinstance(value, List) else _one(filled(value, problems))


def _one(said: Any) -> Any:
    return said if said is BAD else (said,)


CASE = {
    "name": Field(filled, required=True),
    "pod": Field(any_object),
    "file": Field(filled),
    "namespace": Field(namespace_name),
    "request": Field(any_object, {}),
    "uid": Field(filled, ""),
    "expect": Field(record("an expectation", EXPECT, _expect), required=True),
}
TEST = {
    "pools": Field(_paths, ()),
    "params": Field(BUNDLE["params"].shape, {}),
    "cluster": Field(record("a cluster", {"name": Field(filled, ""), "labels": Field(any_object, {})}), {}),
    "namespaces": Field(_objects, ()),
    "cases": Field(some(record("a case", CASE, _case)), required=True),
}
SPECS: Mapping[str, tuple[str, Mapping[str, Field]]] = {
    "Bundle": ("a bundle", BUNDLE),
    "PlacementPolicy": ("a policy", POLICY),
    "PlacementTest": ("a test", TEST),
}
METADATA = {
    "name": Field(object_name, required=True),
    "labels": Field(mapping(label_key, text), {}),
    "annotations": Field(annotated, {}),
}


def document_shape(kind: str) -> Shape:
    """The Shape of a whole document of one of SPECS' kinds; `spec` is read to a pair, what was read and its Map."""
    what, spec = SPECS[kind]
    metadata = record(f"{what}'s metadata", METADATA)
    fields = {
        "apiVersion": Field(choice(API_VERSION), required=True),
        "kind": Field(choice(kind), required=True),
        "metadata": Field(metadata, required=True),
        "spec": Field(record(what, spec, lambda read, value, _: (read, value)), required=True),
    }
    return record(what, fields)


def check_unique_names(value: Value | None, problems: Problems) -> None:
    """Appends a problem for each entry of a list that has the `name` of an earlier one."""
    seen: set[str] = set()
    for item in value.items if isinstance(value, List) else ():
        name = item.get("name") if isinstance(item, Map) else None
        if isinstance(name, Scalar):
            if name.text in seen:
                bad(problems, "duplicate-name", f"`{name.text}` is given twice", name.span)
            seen.add(name.text)
