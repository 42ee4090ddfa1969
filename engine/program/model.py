"""A Program, which is a compiled bundle, and its parts, as frozen values. It knows nothing of YAML or syntax trees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.bundle import Exemption, HandsOn, PodTerm, Policy, Revision, Selector, Spread
from engine.documents import Problem
from engine.pods import NAME_LABEL
from engine.program.fields_read import FieldPath
from engine.program.tree import Leaf, Reads, Tree, leaves_of
from engine.program.truths import CasesOf
from engine.struct import Marked, Struct

Function: TypeAlias = Callable[..., object]

POD_NAMES = ("pod", "namespaceObject", "request", "requests", "variables")
CONSTANT_NAMES = ("cluster", "params")
COMPUTED = frozenset(("requests",))
NAMES = tuple(f"{name}()" if name in COMPUTED else name for name in (*POD_NAMES, *CONSTANT_NAMES, "pool"))
"""The arguments of every compiled function after the budget, in order; `taint` follows in `tolerate`.

What is COMPUTED only when it is read is a function of the budget, and its name ends in `()`.
"""


class Rule(Struct, frozen=True):
    """One boolean expression over pools and a node, with its author's `message`, its `text`, and where it stands.

    `reads` are fields of the pod.
    """

    tree: Tree
    message: str
    text: str
    place: str
    reads: tuple[FieldPath, ...] = ()


class CompiledPreference(Struct, frozen=True):
    """A preference: where `rule` holds (everywhere without), with a weight of 1 to 100 or a score by pool and node."""

    rule: Rule | None
    weight: int
    score: Score | None = None


class Score(Struct, frozen=True):
    """A number-valued expression: `function` where it does not read `node`, `cases` where it does.

    `reads` is what its text says that it reads of a pool; `computed`, that there are computed keys besides. Where the
    function is undecided on a pool, `open` says what it is on which of its nodes.
    `paths` are fields of the pod, and `seen` is what it can depend on of a pool, as far as its text tells.
    """

    function: Function | None
    cases: CasesOf | None
    reads_pool: bool
    reads_capacity: bool
    reads: Reads
    computed: bool
    open: CasesOf | None = None
    paths: tuple[FieldPath, ...] = ()
    seen: Reads = frozenset()


class CompiledShare(Struct, frozen=True):
    """A share of a split, in whole per cents of pods, and what its nodes must be; wished only, if not `strict`."""

    percent: int
    rule: Rule
    strict: bool

    @property
    def wanted(self) -> str:
        """What it asks for, in its author's words where there are some."""
        return self.rule.message or f"`{self.rule.text}`"


class Condition(Struct, frozen=True):
    """One boolean expression that reads no pool: a match condition or a `deny`.

    `reads_namespace`: it reads more of the Namespace than its name; so of policies and exemptions.
    `reads` are fields of the pod.
    """

    function: Function
    message: str
    text: str
    place: str
    name: str = ""
    reads_namespace: bool = False
    reads: tuple[FieldPath, ...] = ()


class CompiledTolerance(Struct, frozen=True):
    """An entry of `tolerate`, with where it stands; whether it reads `pool`, `taint.key`, and the pod.

    `seconds` is for how long NoExecute taints are tolerated, None for no limit; `reads` are fields of the pod.
    """

    function: Function
    text: str
    place: str
    seconds: int | None
    reads_pool: bool
    reads_key: bool
    reads_pod: bool
    reads: tuple[FieldPath, ...] = ()


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy, ready to be evaluated. `wanted` is what it requires, in its author's words where there are some.

    `reason` says so in a sentence. A `selective` policy has selectors that ask for something. What a `pool_only` policy
    says of a pod that it selects follows from the inventory alone. `workload_labels` are its bundle's. Where it wants
    its pods may read the Namespace (`places_by_namespace`).
    """

    policy: Policy
    pod_selector: Selector
    namespace_selector: Selector
    match_conditions: tuple[Condition, ...]
    variables: Mapping[str, Function]
    require: tuple[Rule, ...]
    prefer: tuple[CompiledPreference, ...]
    fallback: tuple[Rule, ...]
    tolerate: tuple[CompiledTolerance, ...]
    deny: tuple[Condition, ...]
    workload_labels: tuple[str, ...] = ()
    split: tuple[CompiledShare, ...] = ()
    places_by_namespace: bool = False

    name: str = field(init=False)
    wanted: str = field(init=False, repr=False)
    only_requires: bool = field(init=False, repr=False)
    only_denies: bool = field(init=False, repr=False)
    reason: str = field(init=False, repr=False)
    selective: bool = field(init=False, repr=False)
    pool_only: bool = field(init=False, repr=False)
    reads_namespace: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        policy = self.policy
        more = (
            self.split,
            self.prefer,
            self.fallback,
            self.tolerate,
            policy.spread,
            policy.pod_affinity,
            policy.pod_anti_affinity,
        )
        object.__setattr__(self, "name", policy.name)
        object.__setattr__(self, "wanted", "; ".join(rule.message or f"`{rule.text}`" for rule in self.require))
        object.__setattr__(self, "only_requires", not any(more))
        object.__setattr__(self, "only_denies", not any(more) and not self.require)
        object.__setattr__(self, "reason", f"{policy.name} requires it ({self.wanted})")
        selective = bool(policy.pod_selector.requirements or policy.namespace_selector.requirements)
        object.__setattr__(self, "selective", selective)
        plain = self.only_requires and not (self.match_conditions or self.deny) and policy.rollout >= 100
        trees = [rule.tree for rule in self.require]
        object.__setattr__(self, "pool_only", plain and bool(trees) and all(map(_reads_no_pod, trees)))
        conditions = (*self.match_conditions, *self.deny)
        reads = self.places_by_namespace or _asks_namespace(self.namespace_selector, conditions)
        object.__setattr__(self, "reads_namespace", reads)

    @property
    def spread(self) -> tuple[Spread, ...]:
        return self.policy.spread

    @property
    def pod_affinity(self) -> tuple[PodTerm, ...]:
        return self.policy.pod_affinity

    @property
    def pod_anti_affinity(self) -> tuple[PodTerm, ...]:
        return self.policy.pod_anti_affinity


class CompiledExemption(Struct, frozen=True):
    """An exemption, ready to be matched with pods."""

    exemption: Exemption
    match_conditions: tuple[Condition, ...]

    @property
    def reads_namespace(self) -> bool:
        return _asks_namespace(self.exemption.namespace_selector, self.match_conditions)

    def covers(self, policy: str) -> bool:
        """Whether it is about the policy of this name."""
        return not self.exemption.policies or policy in self.exemption.policies


class Program(Marked, frozen=True):
    """A compiled bundle: its policies by descending priority, then name; the leaves that they share; its constants.

    `work` is what compiling it took, in units of `engine.language.Budget`.
    """

    unprinted = ("warnings", "work")

    revision: Revision
    mode: str
    params: Mapping[str, object]
    policies: tuple[CompiledPolicy, ...]
    leaves: tuple[Leaf, ...]
    warnings: tuple[Problem, ...] = ()
    exemptions: tuple[CompiledExemption, ...] = ()
    hands_on: HandsOn = HandsOn()
    work: int = 0


def _asks_namespace(selector: Selector, conditions: Iterable[Condition]) -> bool:
    """Whether a selector of Namespaces, or a condition, asks for more of one than its name."""
    by_label = any(requirement.key != NAME_LABEL for requirement in selector.requirements)
    return by_label or any(condition.reads_namespace for condition in conditions)


def _reads_no_pod(tree: Tree) -> bool:
    """Whether an expression is over pools and constants alone."""
    return all(leaf.function is not None and not leaf.reads_pod for leaf in leaves_of(tree))
