"""A bundle as values: what `bundle.yaml`, `policies/` and `tests/` say, with the places where they say it.

Expressions are kept as text with places; whether they are any good is seen when the bundle is compiled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Literal

import semver

from engine.document import List, Map, Plain, Scalar, Value, kind_of, parse_documents
from engine.errors import Problem, did_you_mean, ordered
from engine.fields import (
    BAD,
    INT32,
    Bad,
    Field,
    Problems,
    Read,
    Shape,
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
from engine.params import Schema, fitted, schema_of_params
from engine.selector import EVERYTHING, Selector, keys, label_selector, selector
from engine.text import Excerpt, Source, Span

API_VERSION = "bayplan.dev/v1alpha1"
KINDS = ("Bundle", "PlacementPolicy", "PlacementTest")
EFFECTS = ("require", "prefer", "fallback", "tolerate", "spread", "podAffinity", "podAntiAffinity", "deny")
MODES = ("enforce", "audit", "off")
OUTCOMES = ("applied", "satisfied", "notMatched", "overruled", "denied", "failed", "audited", "off", "notRolledOut")

LEFT_ALONE = ("kube-node-lease", "kube-system")
"""Namespaces whose pods are left alone unless `handsOn` names them."""

Mode = Literal["enforce", "audit", "off"]
WhenEmpty = Literal["deny", "warn", "ignore"]
FailurePolicy = Literal["Ignore", "Fail"]


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression and what to tell people when it decides; `message` may be empty."""

    excerpt: Excerpt
    message: str = ""


@dataclass(frozen=True, slots=True)
class Preference:
    """A preference: its weight, 1 to 100, or an expression that gives one, clipped to 0 to 100."""

    expression: Expression
    weight: int | None = None
    score: Excerpt | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A variable or a match condition."""

    name: str
    excerpt: Excerpt


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A term of pod affinity or anti-affinity: preferred with a weight, 1 to 100, or required."""

    topology_key: str
    label_selector: Mapping[str, Plain] | None = None
    match_label_keys: tuple[str, ...] = ()
    weight: int | None = None
    required: bool = False
    namespaces: tuple[str, ...] = ()
    namespace_selector: Mapping[str, Plain] | None = None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Spread:
    """A topology spread constraint, in Kubernetes' own fields."""

    topology_key: str
    max_skew: int
    when_unsatisfiable: str
    label_selector: Mapping[str, Plain] | None = None
    match_label_keys: tuple[str, ...] = ()
    min_domains: int | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """One PlacementPolicy. `span` is its name's place."""

    name: str
    span: Span = field(repr=False)
    description: str = ""
    pod_selector: Selector = EVERYTHING
    namespace_selector: Selector = EVERYTHING
    match_conditions: tuple[Named, ...] = ()
    variables: tuple[Named, ...] = ()
    require: tuple[Expression, ...] = ()
    prefer: tuple[Preference, ...] = ()
    fallback: tuple[Expression, ...] = ()
    tolerate: tuple[Expression, ...] = ()
    spread: tuple[Spread, ...] = ()
    pod_affinity: tuple[PodTerm, ...] = ()
    pod_anti_affinity: tuple[PodTerm, ...] = ()
    deny: tuple[Expression, ...] = ()
    when_empty: WhenEmpty = "deny"
    failure_policy: FailurePolicy = "Ignore"
    mode: Mode = "enforce"
    rollout: int = 100
    priority: int = 0

    @property
    def excerpts(self) -> Iterator[Excerpt]:
        """All its expressions."""
        yield from (named.excerpt for named in (*self.match_conditions, *self.variables))
        yield from (item.excerpt for item in (*self.require, *self.fallback, *self.tolerate, *self.deny))
        yield from (item.expression.excerpt for item in self.prefer)
        yield from (item.score for item in self.prefer if item.score)


@dataclass(frozen=True, slots=True)
class Exemption:
    """Pods that policies leave alone, and why: those that its selectors and conditions all match.

    `policies` are those that it is about, all if empty.
    """

    name: str
    reason: str
    span: Span = field(repr=False)
    policies: tuple[str, ...] = ()
    pod_selector: Selector = EVERYTHING
    namespace_selector: Selector = EVERYTHING
    match_conditions: tuple[Named, ...] = ()
    spans: tuple[Span, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class HandsOn:
    """What is not left alone after all: pods of DaemonSets, and some of LEFT_ALONE."""

    daemon_sets: bool = False
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a test: a pod or workload (a plain object, or the bundle's file that holds some), and what to expect.

    `expect` holds the fields that were given, as the document writes them; places are in `spans`, by field.
    """

    name: str
    span: Span = field(repr=False)
    pod: Mapping[str, Plain] | None
    file: str | None
    namespace: str | None
    request: Mapping[str, Plain]
    expect: Mapping[str, Plain]
    spans: Mapping[str, Span] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Test:
    """One PlacementTest. `pools` names files of the bundle; `params` are laid over the bundle's, key by key."""

    name: str
    span: Span = field(repr=False)
    cases: tuple[Case, ...]
    pools: tuple[str, ...] = ()
    params: Mapping[str, Plain] = field(default_factory=dict)
    cluster: Mapping[str, Plain] = field(default_factory=dict)
    namespaces: tuple[Mapping[str, Plain], ...] = ()


@dataclass(frozen=True, slots=True)
class Revision:
    """What exactly is active: name, semantic version, and the SHA-256 of the bundle's files in hexadecimal digits."""

    name: str
    version: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}+sha256:{self.digest[:8]}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle: policies sorted by name, tests, params, and the files that it was read from, sorted by name."""

    name: str
    version: str
    description: str = ""
    requires: Mapping[str, str] = field(default_factory=dict)
    mode: Mode = "enforce"
    params: Mapping[str, Plain] = field(default_factory=dict)
    params_schema: Schema | None = None
    exemptions: tuple[Exemption, ...] = ()
    hands_on: HandsOn = HandsOn()
    policies: tuple[Policy, ...] = ()
    tests: tuple[Test, ...] = ()
    sources: tuple[Source, ...] = field(default=(), repr=False)
    warnings: tuple[Problem, ...] = field(default=(), repr=False)
    span: Span | None = field(default=None, repr=False, compare=False)

    @property
    def revision(self) -> Revision:
        return Revision(self.name, self.version, digest(self.sources))

    def source(self, name: str) -> Source | None:
        """The bundle's file of that name, relative to the bundle."""
        return next((source for source in self.sources if source.name == name), None)


def digest(sources: Iterable[Source]) -> str:
    """The SHA-256 over names and contents, in order of names; hexadecimal."""
    total = hashlib.sha256()
    for source in sorted(sources, key=lambda source: source.name):
        for part in (source.name.encode(), source.text.encode()):
            total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


# Tables of fields


def _expression(read: Read, *_: object) -> Any:
    return Expression(read["expression"], read.get("message", "")) if "expression" in read else BAD


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


def _selected_keys(read: Read, value: Map, problems: Problems) -> None:
    """As in Kubernetes, a key stands in `matchLabelKeys` or in `labelSelector`."""
    selected = keys(read.get("labelSelector") or {})
    given = value.get("matchLabelKeys")
    for item in given.items if isinstance(given, List) else ():
        if isinstance(item, Scalar) and item.text in selected:
            bad(problems, "label-key-twice", f"`{item.text}` is in `matchLabelKeys` and in `labelSelector`", item.span)


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
        head(value),
    )


_condition_name = checked(is_label_key, "name", "a condition's name", "letters, digits, `-`, `_` and `.`, at most 63")
_weight = integer(1, 100)

EXPRESSION = {"expression": Field(expression, required=True), "message": Field(text, "")}
CONDITION = {"name": Field(_condition_name, required=True), "expression": Field(expression, required=True)}
VARIABLE = {"name": Field(identifier, required=True), "expression": Field(expression, required=True)}
PREFERENCE = {**EXPRESSION, "weight": Field(_weight), "score": Field(expression)}
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
    "prefer": Field(items(record("a preference", PREFERENCE, _preference)), ()),
    "fallback": Field(_expressions, ()),
    "tolerate": Field(_expressions, ()),
    "spread": Field(items(record("a spread constraint", SPREAD, _spread)), ()),
    "podAffinity": Field(_pod_terms, ()),
    "podAntiAffinity": Field(_pod_terms, ()),
    "deny": Field(_expressions, ()),
    "whenEmpty": Field(choice("deny", "warn", "ignore"), "deny"),
    "failurePolicy": Field(choice("Ignore", "Fail"), "Ignore"),
    "mode": Field(choice(*MODES), "enforce"),
    "rollout": Field(integer(0, 100), 100),
    "priority": Field(integer(-INT32 - 1, INT32), 0),
}


def _exemption(read: Read, value: Map, problems: Problems) -> Any:
    _unique_names(value.get("matchConditions"), problems)
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


def _hands_on(read: Read, *_: object) -> Any:
    return HandsOn(read.get("daemonSets") or False, read.get("namespaces") or ())


def _is_version(said: str) -> bool:
    return semver.Version.is_valid(said)


EXEMPTION = {
    "name": Field(object_name, required=True),
    "reason": Field(filled, required=True),
    "policies": Field(distinct(object_name), ()),
    "podSelector": Field(label_selector, {}),
    "namespaceSelector": Field(label_selector, {}),
    "matchConditions": Field(items(record("a match condition", CONDITION, _named)), ()),
}
HANDS_ON = {
    "daemonSets": Field(boolean, False),
    "namespaces": Field(distinct(choice(*LEFT_ALONE)), ()),
}
BUNDLE = {
    "version": Field(
        checked(_is_version, "version", "a semantic version", "as in `1.2.0` or `1.2.0-rc.1`"), required=True
    ),
    "description": Field(text, ""),
    "requires": Field(record("`requires`", {"bayplan": Field(filled), "kubernetes": Field(filled)}), {}),
    "mode": Field(choice(*MODES), "enforce"),
    "params": Field(mapping(lambda key, _: key.text if isinstance(key, Scalar) else BAD, constant), {}),
    "paramsSchema": Field(schema_of_params),
    "exemptions": Field(items(record("an exemption", EXEMPTION, _exemption)), ()),
    "handsOn": Field(record("`handsOn`", HANDS_ON, _hands_on), HandsOn()),
}

_objects = items(any_object)
EXPECT = {
    "allowed": Field(boolean),
    "message": Field(filled),
    "unchanged": Field(boolean),
    "pools": Field(items(filled)),
    "untolerated": Field(items(filled)),
    "policies": Field(mapping(object_name, choice(*OUTCOMES))),
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
    "annotations": Field(mapping(label_key, text), {}),
}


def _document(kind: str) -> Shape:
    what, spec = SPECS[kind]
    metadata = record(f"{what}'s metadata", METADATA)
    fields = {
        "apiVersion": Field(choice(API_VERSION), required=True),
        "kind": Field(choice(kind), required=True),
        "metadata": Field(metadata, required=True),
        "spec": Field(record(what, spec, lambda read, value, _: (read, value)), required=True),
    }
    return record(what, fields)


# Documents to values


def _policy(name: str, span: Span, read: Read, spec: Map, problems: Problems) -> Policy:
    if not any(spec.key(effect) for effect in EFFECTS):
        effects = ", ".join(f"`{effect}`" for effect in EFFECTS)
        named = f"policy `{name}`" if name else "a policy"
        bad(problems, "no-effect", f"{named} does nothing", span, f"at least one of {effects}")
    for each in ("matchConditions", "variables"):
        _unique_names(spec.get(each), problems)
    _unique_constraints(read.get("spread", ()), problems)
    defaults = {key: given.default for key, given in POLICY.items()}
    said = {**defaults, **read}
    return Policy(
        name=name,
        span=span,
        description=said["description"],
        pod_selector=selector(said["podSelector"]),
        namespace_selector=selector(said["namespaceSelector"]),
        match_conditions=said["matchConditions"],
        variables=said["variables"],
        require=said["require"],
        prefer=said["prefer"],
        fallback=said["fallback"],
        tolerate=said["tolerate"],
        spread=said["spread"],
        pod_affinity=said["podAffinity"],
        pod_anti_affinity=said["podAntiAffinity"],
        deny=said["deny"],
        when_empty=said["whenEmpty"],
        failure_policy=said["failurePolicy"],
        mode=said["mode"],
        rollout=said["rollout"],
        priority=said["priority"],
    )


def _unique_names(value: Value | None, problems: Problems) -> None:
    seen: set[str] = set()
    for item in value.items if isinstance(value, List) else ():
        name = item.get("name") if isinstance(item, Map) else None
        if isinstance(name, Scalar):
            if name.text in seen:
                bad(problems, "duplicate-name", f"`{name.text}` is given twice", name.span)
            seen.add(name.text)


def _unique_constraints(spread: Iterable[Spread], problems: Problems) -> None:
    seen: set[tuple[str, str]] = set()
    for each in spread:
        identity = (each.topology_key, each.when_unsatisfiable)
        if identity in seen and each.span:
            message = f"a second constraint of `{each.topology_key}` with `{each.when_unsatisfiable}`"
            bad(problems, "duplicate-spread", message, each.span, "one, for the API server accepts one of each")
        seen.add(identity)


def _test(name: str, span: Span, read: Read) -> Test:
    said = {**{key: given.default for key, given in TEST.items()}, "cases": (), **read}
    cluster = {key: given for key, given in said["cluster"].items() if given}
    return Test(name, span, said["cases"], said["pools"], said["params"], cluster, said["namespaces"])


@dataclass(slots=True)
class _Found:
    """What the files of a bundle were found to hold."""

    problems: Problems
    bundles: list[tuple[str, Span, Read]] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    tests: list[tuple[Test, Map]] = field(default_factory=list)

    def take(self, value: Value) -> None:
        kind = _kind(value, self.problems)
        if isinstance(kind, Bad):
            return
        read = _document(kind)(value, self.problems)
        if read is BAD or "spec" not in read:
            return
        name, span = read.get("metadata", {}).get("name", ""), _name_span(value)
        spec, given = read["spec"]
        if kind == "Bundle":
            _fit(spec.get("paramsSchema"), spec, given, self.problems)
            _unique_names(given.get("exemptions"), self.problems)
            self.bundles.append((name, span, spec))
        elif kind == "PlacementPolicy":
            self.policies.append(_policy(name, span, spec, given, self.problems))
        else:
            self.tests.append((_test(name, span, spec), given))


def _kind(value: Value, problems: Problems) -> str | Bad:
    if not isinstance(value, Map):
        return bad(problems, "wrong-type", f"the document is {kind_of(value)}", head(value), "a map")
    given = value.get("kind")
    if not isinstance(given, Scalar):
        return bad(problems, "missing-field", "the document needs `kind`", head(value), _kinds())
    if given.text not in KINDS:
        message = f"`{given.text}` is not a kind of document that a bundle holds"
        hint = did_you_mean(given.text, KINDS)
        if given.text == "Inventory":
            hint = "inventories belong into the folder `pools`"
        return bad(problems, "unknown-kind", message, given.span, _kinds(), hint)
    return given.text


def _kinds() -> str:
    return "one of " + ", ".join(f"`{kind}`" for kind in KINDS)


def _name_span(value: Value) -> Span:
    metadata = value.get("metadata") if isinstance(value, Map) else None
    name = metadata.get("name") if isinstance(metadata, Map) else None
    return name.span if name else head(value)


# Files to a bundle


def parse_bundle(files: Mapping[str, str]) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """The bundle that these files make (their names relative to the bundle, with `/`), and everything wrong with it.

    With errors among the problems the bundle lacks what was refused, and is good for looking for more problems only;
    it is None where there is no telling what bundle it is. Documents are looked for in the bundle's own folder, in
    `policies` and in `tests`; other files are data, for tests to name.
    """
    sources = tuple(Source(name, files[name]) for name in sorted(files))
    found = _Found([])
    for source in sources:
        if _holds_documents(source.name):
            _read_file(source, found)
    _unique_policies(found)
    known = {policy.name for policy in found.policies}
    for _, _, read in found.bundles:
        for exemption in read.get("exemptions", ()):
            for policy, place in zip(exemption.policies, exemption.spans, strict=False):
                _check_policy(policy, place, known, found.problems)
    schema = next((read["paramsSchema"] for _, _, read in found.bundles if "paramsSchema" in read), None)
    for test, given in found.tests:
        _check_test(test, given, files, known, found.problems)
    found.tests = [(_fit_test(schema, test, given, found.problems), given) for test, given in found.tests]
    bundle = _bundle(sources, found)
    return bundle, ordered(found.problems)


def _holds_documents(name: str) -> bool:
    path = PurePosixPath(name)
    if path.suffix not in (".yaml", ".yml"):
        return False
    return len(path.parts) == 1 or path.parts[0] in ("policies", "tests")


def _read_file(source: Source, found: _Found) -> None:
    documents, problems = parse_documents(source)
    found.problems += problems
    if not documents and not problems:
        only_comments = bool(source.text.strip())
        message = "the file holds comments only" if only_comments else "the file is empty"
        severity: Literal["error", "warning"] = "warning" if only_comments else "error"
        found.problems.append(Problem("empty-file", message, Span(source, 0, 0), severity=severity))
    for document in documents:
        found.take(document)


def _unique_policies(found: _Found) -> None:
    first: dict[tuple[str, str], Span] = {}
    named = [("policy", policy.name, policy.span) for policy in found.policies]
    for what, name, span in [*named, *(("test", test.name, test.span) for test, _ in found.tests)]:
        earlier = first.setdefault((what, name), span)
        if name and earlier is not span:
            bad(
                found.problems,
                "duplicate-name",
                f"there are two {_plural(what)} `{name}`, the first at {earlier}",
                span,
            )


def _plural(what: str) -> str:
    return "policies" if what == "policy" else f"{what}s"


def _fit(schema: Schema | None, read: Read, given: Map, problems: Problems) -> None:
    """Constants as their schema wants them."""
    params = given.get("params") or Map((), head(given))
    fit = BAD if schema is None else fitted(schema, read.get("params", {}), params, problems)
    if not isinstance(fit, Bad):
        read["params"] = fit


def _fit_test(schema: Schema | None, test: Test, given: Map, problems: Problems) -> Test:
    params = given.get("params")
    if schema is None or params is None:
        return test
    fit = fitted(schema, test.params, params, problems, partial=True)
    return test if isinstance(fit, Bad) else replace(test, params=fit)


def _check_test(test: Test, given: Map, files: Mapping[str, str], policies: set[str], problems: Problems) -> None:
    """A test names files of the bundle and policies of it."""
    pools = given.get("pools")
    for item in pools.items if isinstance(pools, List) else (pools,):
        if isinstance(item, Scalar):
            _check_file(item.text, item.span, files, problems)
    for case in test.cases:
        if case.file is not None:
            _check_file(case.file, case.spans["file"], files, problems)
        for field_name in ("policies", "overruled"):
            for name in case.expect.get(field_name, ()):
                _check_policy(name, case.spans[field_name], policies, problems)


def _check_policy(name: str, span: Span, known: set[str], problems: Problems) -> None:
    if name not in known:
        bad(problems, "unknown-policy", f"there is no policy `{name}`", span, hint=did_you_mean(name, known))


def _check_file(name: str, span: Span, files: Mapping[str, str], problems: Problems) -> None:
    if name not in files:
        message = f"the bundle has no file `{name}`"
        bad(problems, "unknown-file", message, span, "a path relative to the bundle", did_you_mean(name, files))


def _bundle(sources: tuple[Source, ...], found: _Found) -> Bundle | None:
    problems = found.problems
    for name, span, _ in found.bundles[1:]:
        bad(problems, "duplicate-name", f"a second bundle `{name}`, the first at {found.bundles[0][1]}", span)
    if not found.bundles:
        named = next((source for source in sources if source.name == "bundle.yaml"), None)
        if named is None:
            where = Span(sources[0] if sources else Source("bundle.yaml", ""), 0, 0)
            bad(
                problems,
                "no-bundle",
                "there is no `bundle.yaml`",
                where,
                "a file `bundle.yaml` with a document `kind: Bundle`",
            )
        elif not any(problem.span.source.name == "bundle.yaml" for problem in problems):
            bad(problems, "no-bundle", "there is no document `kind: Bundle`", Span(named, 0, 0))
        return None
    name, span, read = found.bundles[0]
    if not found.policies and not any(problem.severity == "error" for problem in problems):
        bad(
            problems,
            "no-policies",
            f"bundle `{name}` has no policies",
            span,
            "at least one document `kind: PlacementPolicy`",
        )
    said = {**{key: given.default for key, given in BUNDLE.items()}, "version": "0.0.0", **read}
    return Bundle(
        name=name,
        version=said["version"],
        description=said["description"],
        requires={key: given for key, given in said["requires"].items() if given},
        mode=said["mode"],
        params=said["params"],
        params_schema=said["paramsSchema"],
        exemptions=tuple(sorted(said["exemptions"], key=lambda exemption: exemption.name)),
        hands_on=said["handsOn"],
        policies=tuple(sorted(found.policies, key=lambda policy: policy.name)),
        tests=tuple(sorted((test for test, _ in found.tests), key=lambda test: test.name)),
        sources=sources,
        warnings=ordered(problem for problem in problems if problem.severity == "warning"),
        span=span,
    )
