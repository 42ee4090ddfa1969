"""Bundle and its parts, as frozen values. Expressions are text with its place; `engine.program` compiles them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, get_args

from engine.bundle.contact import NOBODY, Contact
from engine.bundle.params import Schema
from engine.bundle.selector import EVERYTHING, Selector
from engine.documents import Excerpt, Plain, Problem, Source, Span
from engine.struct import Marked, Struct, field

SYSTEM_NAMESPACES = ("kube-node-lease", "kube-system")
"""Namespaces whose pods are left alone unless `handsOn` names them."""

Mode = Literal["enforce", "audit", "off"]
Outcome = Literal[
    "applied", "satisfied", "notMatched", "overruled", "denied", "failed", "audited", "off", "notRolledOut"
]
WhenEmpty = Literal["deny", "warn", "ignore"]
FailurePolicy = Literal["Ignore", "Fail"]

MODES: tuple[Mode, ...] = get_args(Mode)
"""From the least careful one to the most."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
WHEN_EMPTY: tuple[WhenEmpty, ...] = get_args(WhenEmpty)
FAILURE_POLICIES: tuple[FailurePolicy, ...] = get_args(FailurePolicy)


class Expression(Struct, frozen=True):
    """An expression and what to tell people when it decides; `message` may be empty."""

    excerpt: Excerpt
    message: str = ""


class Tolerance(Struct, frozen=True):
    """An entry of `tolerate`: which taints, and for how long pods may stay on a node that gets one of them.

    `seconds` is the `tolerationSeconds` of what it writes for NoExecute taints, None for no limit.
    """

    expression: Expression
    seconds: int | None = None


class Preference(Struct, frozen=True):
    """A preference: its weight, 1 to 100, or an expression that gives one, clipped to 0 to 100."""

    expression: Expression
    weight: int | None = None
    score: Excerpt | None = None


class Share(Struct, frozen=True):
    """A share of a split: so many of a hundred pods, and what is required of their nodes; if not strict, wished for."""

    percent: int
    expression: Expression
    strict: bool = True


class Named(Struct, frozen=True):
    """A variable or a match condition."""

    name: str
    excerpt: Excerpt


class PodTerm(Marked, frozen=True):
    """A term of pod affinity or anti-affinity: preferred with a weight, 1 to 100, or required."""

    unprinted = ("span",)
    uncompared = ("span",)

    topology_key: str
    label_selector: Mapping[str, Plain] | None = None
    match_label_keys: tuple[str, ...] = ()
    weight: int | None = None
    required: bool = False
    namespaces: tuple[str, ...] = ()
    namespace_selector: Mapping[str, Plain] | None = None
    mismatch_label_keys: tuple[str, ...] = ()
    span: Span | None = None


class Spread(Marked, frozen=True):
    """A topology spread constraint, in Kubernetes' own fields."""

    unprinted = ("span",)
    uncompared = ("span",)

    topology_key: str
    max_skew: int
    when_unsatisfiable: str
    label_selector: Mapping[str, Plain] | None = None
    match_label_keys: tuple[str, ...] = ()
    min_domains: int | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    span: Span | None = None


class Policy(Marked, frozen=True):
    """One PlacementPolicy. `span` is its name's place.

    `failure_policy` is what the policy says, or else its bundle, or else what its intents ask for: see `hard`.
    `contact` is whom to ask about it: what its annotations say, or else its bundle's. Its bundle says whether pods are
    to `annotate` with its name.
    """

    unprinted = ("span",)

    name: str
    span: Span
    description: str = ""
    pod_selector: Selector = EVERYTHING
    namespace_selector: Selector = EVERYTHING
    match_conditions: tuple[Named, ...] = ()
    variables: tuple[Named, ...] = ()
    require: tuple[Expression, ...] = ()
    split: tuple[Share, ...] = ()
    prefer: tuple[Preference, ...] = ()
    fallback: tuple[Expression, ...] = ()
    tolerate: tuple[Tolerance, ...] = ()
    spread: tuple[Spread, ...] = ()
    pod_affinity: tuple[PodTerm, ...] = ()
    pod_anti_affinity: tuple[PodTerm, ...] = ()
    deny: tuple[Expression, ...] = ()
    when_empty: WhenEmpty = "deny"
    failure_policy: FailurePolicy = "Ignore"
    mode: Mode = "enforce"
    rollout: int = 100
    priority: int = 0
    contact: Contact = NOBODY
    annotate: bool = True

    @property
    def hard(self) -> bool:
        """Whether it says what must be, not only what is wished for: a pod that it can't judge is refused by default.

        Spread constraints are no such thing, `DoNotSchedule` among them: they keep pods available, and nobody out.
        """
        shares = any(share.strict for share in self.split)
        near = any(term.required for term in (*self.pod_affinity, *self.pod_anti_affinity))
        return bool(self.require or self.deny) or shares or near

    @property
    def excerpts(self) -> Iterator[Excerpt]:
        """All its expressions."""
        yield from (named.excerpt for named in (*self.match_conditions, *self.variables))
        yield from (item.excerpt for item in (*self.require, *self.fallback, *self.deny))
        yield from (item.expression.excerpt for item in self.split)
        yield from (item.expression.excerpt for item in self.tolerate)
        yield from (item.expression.excerpt for item in self.prefer)
        yield from (item.score for item in self.prefer if item.score)


class Exemption(Marked, frozen=True):
    """Pods that policies leave alone, and why: those that its selectors and conditions all match.

    `policies` are those that it is about, all if empty.
    """

    unprinted = ("span", "spans")
    uncompared = ("spans",)

    name: str
    reason: str
    span: Span
    policies: tuple[str, ...] = ()
    pod_selector: Selector = EVERYTHING
    namespace_selector: Selector = EVERYTHING
    match_conditions: tuple[Named, ...] = ()
    spans: tuple[Span, ...] = ()


class HandsOn(Struct, frozen=True):
    """What is not left alone after all: of DaemonSets their pods, or else their templates, which say on which nodes
    there will be pods; and pods of some of SYSTEM_NAMESPACES."""

    daemon_sets: Literal["no", "pods", "template"] = "no"
    namespaces: tuple[str, ...] = ()


class Case(Marked, frozen=True):
    """One case of a test: a pod or workload (a plain object, or the bundle's file that holds some), and what to expect.

    `expect` holds the fields that were given, as the document writes them; places are in `spans`, by field.
    """

    unprinted = ("span", "spans")

    name: str
    span: Span
    pod: Mapping[str, Plain] | None
    file: str | None
    namespace: str | None
    request: Mapping[str, Plain]
    expect: Mapping[str, Plain]
    spans: Mapping[str, Span]
    uid: str = ""


class Test(Marked, frozen=True):
    """One PlacementTest. `pools` names files of the bundle; `params` are laid over the bundle's, key by key."""

    unprinted = ("span",)

    name: str
    span: Span
    cases: tuple[Case, ...]
    pools: tuple[str, ...] = ()
    params: Mapping[str, Plain] = field(default_factory=dict)
    cluster: Mapping[str, Plain] = field(default_factory=dict)
    namespaces: tuple[Mapping[str, Plain], ...] = ()


class Revision(Struct, frozen=True):
    """What exactly is active: name, semantic version, and the SHA-256 of the bundle's files in hexadecimal digits.

    `overrides` is the SHA-256 of the constants that were laid over the bundle's own, empty where none were.
    """

    name: str
    version: str
    digest: str
    overrides: str = ""

    def __str__(self) -> str:
        return f"{self.name}@{self.version}+sha256:{self.digest[:8]}{self._laid_over(8)}"

    @property
    def whole(self) -> str:
        """The same with whole digests."""
        return f"{self.name}@{self.version}+sha256:{self.digest}{self._laid_over(64)}"

    def _laid_over(self, digits: int) -> str:
        return f"+params:{self.overrides[:digits]}" if self.overrides else ""

    def of(self, policy: str) -> Revision:  # noqa: ARG002 - it has them all
        """The revision that a policy is of."""
        return self


class JointRevision(Marked, frozen=True):
    """What is active where several bundles decide together: the revision of each, in order, and by policy its own."""

    unprinted = ("by_policy",)
    uncompared = ("by_policy",)

    each: tuple[Revision, ...]
    by_policy: Mapping[str, Revision]

    def __str__(self) -> str:
        return ", ".join(map(str, self.each))

    @property
    def name(self) -> str:
        """The names of all."""
        return ", ".join(one.name for one in self.each)

    @property
    def whole(self) -> str:
        """The same as the text with whole digests."""
        return ", ".join(one.whole for one in self.each)

    def of(self, policy: str) -> Revision:
        """The revision that a policy is of."""
        return self.by_policy[policy]


class Bundle(Marked, frozen=True):
    """A bundle: policies sorted by name, tests, params, and the files that it was read from, sorted by name.

    `workload_labels` are keys of labels that name a workload here, besides those that do everywhere; `overrides` is the
    SHA-256 of constants that a cluster laid over its own, empty where none did.
    """

    unprinted = ("sources", "warnings", "span")
    uncompared = ("span",)

    name: str
    version: str
    description: str = ""
    requires: Mapping[str, str] = field(default_factory=dict)
    mode: Mode = "enforce"
    params: Mapping[str, Plain] = field(default_factory=dict)
    params_schema: Schema | None = None
    exemptions: tuple[Exemption, ...] = ()
    hands_on: HandsOn = field(default_factory=HandsOn)
    workload_labels: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()
    tests: tuple[Test, ...] = ()
    sources: tuple[Source, ...] = ()
    warnings: tuple[Problem, ...] = ()
    span: Span | None = None
    overrides: str = ""

    @property
    def annotates(self) -> bool:
        """Whether pods that are placed are to name its policies."""
        return any(policy.annotate for policy in self.policies)

    @property
    def revision(self) -> Revision:
        return Revision(self.name, self.version, digest(self.sources), self.overrides)

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
