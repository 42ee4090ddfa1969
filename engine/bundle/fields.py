"""Tables of the fields of a bundle's documents, and the shapes that read them.

They stand in one file, for they are one vocabulary: what a field is called, takes and is about is looked up here by
whoever reads documents, explains them to editors, or defines them as custom resources.
"""

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
    described,
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

EXPRESSION = {
    "expression": Field(
        expression, required=True, about="An expression of CEL. What it may read depends on its place."
    ),
    "message": Field(text, "", about="What people are told when it decides."),
}
TOLERANCE = {
    **EXPRESSION,
    "seconds": Field(
        integer(0, INT32), about="How long pods stay on a node that gets such a NoExecute taint; for ever without it."
    ),
}
CONDITION = {
    "name": Field(_condition_name, required=True, about="A name for messages, given once."),
    "expression": Field(
        expression, required=True, about="An expression of CEL over `pod`, `namespaceObject`, `request` and the like."
    ),
}
VARIABLE = {
    "name": Field(identifier, required=True, about="Expressions use it as `variables.<name>`."),
    "expression": Field(expression, required=True, about="An expression of CEL, evaluated when it is used."),
}
PREFERENCE = {
    **EXPRESSION,
    "weight": Field(_weight, about="How much it counts, from 1 to 100. Either this or `score`."),
    "score": Field(expression, about="An expression of CEL that gives the weight, cut to 0 to 100."),
}
SHARE = {
    "share": Field(integer(0, 100), required=True, about="Per cent of the pods; those of a split are 100 together."),
    **EXPRESSION,
    "whenUnsatisfiable": Field(
        choice("DoNotSchedule", "ScheduleAnyway"),
        "DoNotSchedule",
        about="DoNotSchedule (default): it is required. ScheduleAnyway: it is preferred. The same for all shares.",
    ),
}
_COUNTED = "Which pods count, as in Kubernetes. With neither this nor matchLabelKeys, those of the pod's own workload."
_COUNTED_KEYS = "Labels of which the pod's own values are asked for."
SPREAD = {
    "topologyKey": Field(label_key, required=True, about="The label of nodes over whose values pods are spread."),
    "maxSkew": Field(integer(1, INT32), 1, about="By how many pods the values may differ. Default: 1."),
    "whenUnsatisfiable": Field(
        choice("DoNotSchedule", "ScheduleAnyway"), required=True, about="Whether pods wait or go elsewhere."
    ),
    "labelSelector": Field(label_selector, about=_COUNTED),
    "matchLabelKeys": Field(distinct(label_key), (), about=_COUNTED_KEYS),
    "minDomains": Field(integer(1, INT32), about="How many values there must be. Only with DoNotSchedule."),
    "nodeAffinityPolicy": Field(choice("Honor", "Ignore"), about="Whether nodes that the pod excludes count."),
    "nodeTaintsPolicy": Field(choice("Honor", "Ignore"), about="Whether nodes whose taints keep the pod away count."),
}
POD_TERM = {
    "topologyKey": Field(label_key, required=True, about="The label of nodes by which nodes are the same place."),
    "labelSelector": Field(label_selector, about=_COUNTED),
    "matchLabelKeys": Field(distinct(label_key), (), about=_COUNTED_KEYS),
    "mismatchLabelKeys": Field(distinct(label_key), (), about="Labels of which the pod's own values are shut out."),
    "weight": Field(_weight, about="How much it counts, from 1 to 100. Either this or `required: true`."),
    "required": Field(boolean, False, about="Whether pods wait where it can't be had."),
    "namespaces": Field(distinct(namespace_name), (), about="Namespaces whose pods count. Default: the pod's own."),
    "namespaceSelector": Field(label_selector, about="The same by labels; an empty one means all."),
}

_expressions = items(record("an expression's entry", EXPRESSION, _expression))
_pod_terms = items(record("a pod affinity term", POD_TERM, _pod_term))
_ABOUT_MODE = "enforce (default), audit (decided and recorded, never patched) or off. The most careful one wins."
_ABOUT_FAILURE = "When the policy can't be decided for a pod: Fail refuses the pod, Ignore leaves the policy out."
_ABOUT_PODS = "The pods that it is about, by their labels. Default: all."
_ABOUT_NAMESPACES = "The namespaces whose pods it is about, by their labels. Default: all."
_ABOUT_CONDITIONS = "Expressions of CEL that must all be true of a pod."
POLICY = {
    "description": Field(text, "", about="For people: what it is for."),
    "podSelector": Field(label_selector, {}, about=_ABOUT_PODS),
    "namespaceSelector": Field(label_selector, {}, about=_ABOUT_NAMESPACES),
    "matchConditions": Field(items(record("a match condition", CONDITION, _named)), (), about=_ABOUT_CONDITIONS),
    "variables": Field(
        items(record("a variable", VARIABLE, _named)), (), about="What several expressions share, by name."
    ),
    "require": Field(
        _expressions, (), about="The pool, and the node, must satisfy every one: becomes required node affinity."
    ),
    "split": Field(
        some(record("a share", SHARE, _share)), (), about="Each pod falls into one share and goes to its nodes."
    ),
    "prefer": Field(
        items(record("a preference", PREFERENCE, _preference)), (), about="Becomes preferred node affinity, by weight."
    ),
    "fallback": Field(
        _expressions, (), about="Tiers, the best first, above all that is preferred. Nodes of none stay allowed."
    ),
    "tolerate": Field(
        items(record("an entry of `tolerate`", TOLERANCE, _tolerance)),
        (),
        about="Which taints of the nodes that are left are tolerated. Default: none.",
    ),
    "spread": Field(
        items(record("a spread constraint", SPREAD, _spread)),
        (),
        about="Topology spread constraints, as in Kubernetes.",
    ),
    "podAffinity": Field(_pod_terms, (), about="Which pods it goes near to."),
    "podAntiAffinity": Field(_pod_terms, (), about="Which pods it keeps away from."),
    "deny": Field(_expressions, (), about="Refuses a pod as it is, if one of them is true."),
    "whenEmpty": Field(
        choice(*WHEN_EMPTY),
        "deny",
        about="Where no node is left: deny (default) refuses the pod; warn and ignore leave the policy out.",
    ),
    "failurePolicy": Field(choice(*FAILURE_POLICIES), about=_ABOUT_FAILURE),
    "mode": Field(choice(*MODES), "enforce", about=_ABOUT_MODE),
    "rollout": Field(integer(0, 100), 100, about="Per cent of workloads; each stays on its side while it grows."),
    "priority": Field(
        integer(-INT32 - 1, INT32), 0, about="Who is taken first where not all can be had: the higher. Default: 0."
    ),
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


@described({"type": ["boolean", "string"], "enum": [True, False, "template"]})
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


@described({"type": "string"})
def _any_key(value: Value, _: Problems) -> Any:
    return value.text if isinstance(value, Scalar) else BAD


def _is_range(said: str) -> bool:
    try:
        return bool(VersionRange(said))
    except ValueError:
        return False


_range = checked(_is_range, "version-range", "a range of versions", "as in `>=1.2`, `^1.2` or `>=1.2 <3`")


EXEMPTION = {
    "name": Field(object_name, required=True, about="Told in decisions."),
    "reason": Field(filled, required=True, about="Why: told in decisions and in the audit."),
    "policies": Field(distinct(object_name), (), about="The policies that it is about. Default: all of the bundle."),
    "podSelector": Field(label_selector, {}, about=_ABOUT_PODS),
    "namespaceSelector": Field(label_selector, {}, about=_ABOUT_NAMESPACES),
    "matchConditions": Field(items(record("a match condition", CONDITION, _named)), (), about=_ABOUT_CONDITIONS),
}
HANDS_ON = {
    "daemonSets": Field(_daemon_sets, "no", about="true: pods of DaemonSets; template: DaemonSets, by their template."),
    "namespaces": Field(
        distinct(choice(*SYSTEM_NAMESPACES)), (), about="Namespaces that are otherwise left alone, and here are not."
    ),
}
REQUIRES = {
    "bayplan": Field(_range, about="A range of versions of Bayplan, as in `>=0.1`."),
    "kubernetes": Field(_range, about="A range of versions of Kubernetes, as in `>=1.30`."),
}
BUNDLE = {
    "version": Field(
        checked(_is_version, "version", "a semantic version", "as in `1.2.0` or `1.2.0-rc.1`"),
        required=True,
        about="A semantic version, part of the revision that decisions name.",
    ),
    "description": Field(text, "", about="For people: what it is for."),
    "requires": Field(record("`requires`", REQUIRES), {}, about="The versions that it is written for."),
    "mode": Field(choice(*MODES), "enforce", about=_ABOUT_MODE),
    "annotate": Field(
        boolean, True, about="Whether its name, its revision and the policies are written on pods that it places."
    ),
    "failurePolicy": Field(choice(*FAILURE_POLICIES), about=f"{_ABOUT_FAILURE} For policies that say nothing of it."),
    "params": Field(
        mapping(_any_key, constant), {}, about="Constants, by name: expressions use them as `params.<name>`."
    ),
    "paramsSchema": Field(
        schema_of_params, about="What the constants must be: type, items, properties, additionalProperties, required."
    ),
    "exemptions": Field(
        items(record("an exemption", EXEMPTION, _exemption)), (), about="Pods that policies leave alone, and why."
    ),
    "handsOn": Field(
        record("`handsOn`", HANDS_ON, _hands_on), HandsOn(), about="What of the system's pods is not left alone."
    ),
    "workloadLabels": Field(
        distinct(label_key), (), about="More labels that name a workload, by which pods of operators are counted."
    ),
}

_objects = items(any_object)
EXPECT = {
    "allowed": Field(boolean, about="Whether the pod is let in."),
    "message": Field(filled, about="A part of the sentence that explains the decision."),
    "unchanged": Field(boolean, about="Whether the pod stays as it is."),
    "pools": Field(items(filled), about="The names of the pools that are left."),
    "untolerated": Field(items(filled), about="Of these, the ones whose taints bar the pod."),
    "policies": Field(mapping(object_name, choice(*OUTCOMES)), about="What becomes of policies, by name."),
    "shares": Field(mapping(object_name, integer(0, 100)), about="Per cents of the pod's share, by policy."),
    "overruled": Field(items(object_name), about="The names of the policies that are overruled."),
    "warnings": Field(items(filled), about="Parts of the warnings, in order."),
    "nodeAffinity": Field(_objects, about="The required terms afterwards, exactly."),
    "preferred": Field(_objects, about="The preferred terms afterwards, exactly."),
    "tolerations": Field(_objects, about="The tolerations that are added, exactly."),
    "topologySpreadConstraints": Field(_objects, about="Those afterwards, exactly."),
    "podAffinity": Field(any_object, about="That afterwards, exactly."),
    "podAntiAffinity": Field(any_object, about="That afterwards, exactly."),
    "patch": Field(_objects, about="The operations of the patch, exactly."),
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


@described({"type": ["string", "array"], "items": {"type": "string"}})
def _paths(value: Value, problems: Problems) -> Any:
    return items(filled)(value, problems) if isinstance(value, List) else _one(filled(value, problems))


def _one(said: Any) -> Any:
    return said if said is BAD else (said,)


CASE = {
    "name": Field(filled, required=True, about="What the case shows."),
    "pod": Field(any_object, about="A Pod or a workload. Either this or `file`."),
    "file": Field(filled, about="The same in a file of the bundle, by its path."),
    "namespace": Field(namespace_name, about="The namespace of a pod that says none."),
    "request": Field(any_object, {}, about="Who asks, and how: instead of the controller's own request."),
    "uid": Field(filled, "", about="The request's, by which a pod falls into a share of a split."),
    "expect": Field(
        record("an expectation", EXPECT, _expect), required=True, about="What must follow; what it leaves out is free."
    ),
}
CLUSTER = {
    "name": Field(filled, "", about="`cluster.name` in expressions."),
    "labels": Field(any_object, {}, about="`cluster.labels` in expressions."),
}
TEST = {
    "pools": Field(_paths, (), about="Inventories: a file of the bundle, or a list of them, by path."),
    "params": Field(BUNDLE["params"].shape, {}, about="Constants instead of the bundle's own."),
    "cluster": Field(record("a cluster", CLUSTER), {}, about="What expressions see as `cluster`."),
    "namespaces": Field(_objects, (), about="Namespaces with their labels."),
    "cases": Field(some(record("a case", CASE, _case)), required=True, about="Pods, and what must follow for each."),
}
SPECS: Mapping[str, tuple[str, Mapping[str, Field]]] = {
    "Bundle": ("a bundle", BUNDLE),
    "PlacementPolicy": ("a policy", POLICY),
    "PlacementTest": ("a test", TEST),
}
_SPEC = {
    "Bundle": "What all its policies share.",
    "PlacementPolicy": "Which pods it is about, and what placement it intends for them.",
    "PlacementTest": "Pods, and where they must be placed.",
}
METADATA = {
    "name": Field(object_name, required=True, about="Its name, as decisions tell it."),
    "labels": Field(mapping(label_key, text), {}, about="Labels, as on any object."),
    "annotations": Field(
        annotated,
        {},
        about="Annotations, as on any object: `bayplan.dev/owner` and `bayplan.dev/link` say whom to ask.",
    ),
}


def document_shape(kind: str) -> Shape:
    """The Shape of a whole document of one of SPECS' kinds; `spec` is read to a pair, what was read and its Map."""
    what, spec = SPECS[kind]
    metadata = record(f"{what}'s metadata", METADATA)
    fields = {
        "apiVersion": Field(choice(API_VERSION), required=True, about="The version of this format."),
        "kind": Field(choice(kind), required=True, about="What the document is."),
        "metadata": Field(metadata, required=True, about="Its name, labels and annotations."),
        "spec": Field(record(what, spec, lambda read, value, _: (read, value)), required=True, about=_SPEC[kind]),
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
