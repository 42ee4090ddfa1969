"""Bundle to Program: every expression parsed, type-checked and turned into what a decision runs.

`compile_bundle` says everything that is wrong with a bundle's expressions at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from engine.bundle import Bundle, Exemption, Expression, Named, Policy, Preference, Share, Tolerance
from engine.documents import BundleError, Excerpt, Problem, ordered
from engine.language import (
    BOOL,
    DOUBLE,
    ERROR,
    INT,
    STRING,
    UINT,
    Call,
    Ledger,
    Node,
    ObjectType,
    Type,
    check,
    compile_expression,
    free_names,
    list_of,
    parse,
    shape,
)
from engine.program import advice, vocabulary
from engine.program.closed_words import Closed, closed_of, never_said
from engine.program.comparisons import MIRRORED
from engine.program.compile_cost import POLICY, TEXT, Work
from engine.program.fields_read import FieldPath, FieldsRead, fields_read
from engine.program.model import (
    NAMES,
    POD_NAMES,
    CompiledExemption,
    CompiledPolicy,
    CompiledPreference,
    CompiledShare,
    CompiledTolerance,
    Condition,
    Function,
    Program,
    Rule,
    Score,
)
from engine.program.node_expressions import compile_cases, compile_truth, reads_node
from engine.program.open_expressions import asked_truth, open_cases, open_truth
from engine.program.reads import (
    beside_node,
    beyond_author,
    free_names_by_part,
    reads_capacity_type,
    reads_namespace,
    reads_of,
    reads_taint_key,
    says_without_pool,
    seen_of,
    sides_read,
    variables_read,
)
from engine.program.tree import CONTAINS, ORDERED, Both, Choice, Leaf, Not, PodPoolComparison, Tree
from engine.program.vocabulary import type_of_schema

T = TypeVar("T")
NUMBERS, KEYS = (INT, UINT, DOUBLE), (STRING, INT, UINT, BOOL)


def compile_bundle(bundle: Bundle, rest: Callable[[], None] | None = None) -> Program:
    """The program of a bundle; `rest` is called between policies. Raises BundleError with every problem of every
    expression."""
    compiler = _Compiler(bundle)
    policies = []
    for policy in bundle.policies:
        policies.append(compiler.policy(policy))
        if rest is not None:
            rest()
    exemptions = tuple(compiler.exemption(exemption) for exemption in bundle.exemptions)
    problems = ordered(compiler.problems)
    if any(problem.severity == "error" for problem in problems):
        raise BundleError(problems)
    ready = sorted((p for p in policies if p is not None), key=lambda p: (-p.policy.priority, p.name))
    leaves = tuple(compiler.leaves.values())
    named = (bundle.revision, bundle.mode, bundle.params)
    return Program(*named, tuple(ready), leaves, problems, exemptions, bundle.hands_on, compiler.work.spent)


class _Compiler:
    """Collects problems and shared leaves while the policies of one bundle are compiled.

    `_scope` is the name of the policy at work, `_given` what holds wherever its expressions are evaluated, `_used` the
    variables that they read so far, `_rules` its rules so far, `_words` what its variables say, if it is one of a few
    words. `_by_namespace` are its variables that read more of the Namespace than its name, `_reads_namespace` whether
    any expression did since that was last False; `_fields` what its variables read. `_refuses` is whether the policy
    refuses pods for which the expressions at work are an error, `_denies` whether these are its `deny` or read by it.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.problems: list[Problem] = []
        self.leaves: dict[str, Leaf] = {}
        self._functions: dict[str, Function] = {}
        self._roots: dict[str, Type] = {
            "pod": vocabulary.POD,
            "namespaceObject": vocabulary.NAMESPACE,
            "request": vocabulary.REQUEST,
            "requests": vocabulary.REQUESTS,
            "cluster": vocabulary.CLUSTER,
            "params": _type_of_params(bundle),
        }
        self._ledger = Ledger(bundle.params)
        self._workload_labels = bundle.workload_labels
        self._scope = ""
        self._given: tuple[Node, ...] = ()
        self._used: set[str] = set()
        self._rules: list[tuple[Node, Excerpt]] = []
        self._words: dict[str, Closed] = {}
        self._by_namespace: set[str] = set()
        self._reads_namespace = False
        self._fields: dict[str, FieldsRead] = {}
        self._refuses = self._denies = False
        self._params = bundle.params
        self._texts: dict[str, Node] = {}
        self._sound: dict[tuple[object, ...], Node] = {}
        self._made: dict[int, dict[str, Any]] = {}
        self.work = Work()

    def policy(self, policy: Policy) -> CompiledPolicy | None:
        """The policy compiled; None where a problem stood in the way. Raises BundleError past MAX_WORK."""
        before = len(self.problems)
        self.work.pay(POLICY, policy.span, self.problems)
        self._scope, self._given, self._used, self._rules = policy.name, self._selected(policy), set(), []
        self._words, self._by_namespace, self._fields = {}, set(), {}
        conditions = tuple(
            node for node, _ in (self._parsed(named.excerpt) for named in policy.match_conditions) if node
        )
        selected, self._given = self._given, (*self._given, *conditions)
        variables, roots = self._variables(policy)
        self._given = selected
        self._refuses = fails_closed = policy.failure_policy == "Fail"
        matches = self._each(policy.match_conditions, lambda named: self._test(named.excerpt, "", roots, named.name))
        self._given, self._refuses = (*selected, *conditions), False
        over_pools = {**roots, "pool": vocabulary.POOL, "node": vocabulary.NODE}
        over_taints = {**roots, "pool": vocabulary.POOL, "taint": vocabulary.TAINT}
        self._reads_namespace = False
        require = self._each(policy.require, lambda item: self._rule(item, over_pools))
        split = self._split(policy, over_pools)
        prefer = self._each(policy.prefer, lambda item: self._weighted(item, over_pools))
        fallback = self._each(policy.fallback, lambda item: self._rule(item, over_pools))
        self._refuses = fails_closed
        tolerate = self._each(policy.tolerate, lambda item: self._tolerance(item, over_taints, policy))
        places_by_namespace = self._reads_namespace
        compiled = CompiledPolicy(
            policy,
            policy.pod_selector,
            policy.namespace_selector,
            matches,
            variables,
            require,
            prefer,
            fallback,
            tolerate,
            self._each(policy.deny, lambda item: self._denial(item, roots)),
            self._workload_labels,
            split,
            places_by_namespace,
        )
        self._refuses = False
        self.problems += self._ledger.close(f"policy `{policy.name}`", policy.span)
        self.problems += advice.topology_keys(policy)
        self.problems += (_unused(named) for named in policy.variables if named.name not in self._used)
        failed = any(problem.severity == "error" for problem in self.problems[before:])
        return None if failed else compiled

    def exemption(self, exemption: Exemption) -> CompiledExemption:
        """The exemption compiled, as far as there is no problem. Raises BundleError past MAX_WORK."""
        self.work.pay(POLICY, exemption.span, self.problems)
        self._scope, self._given = "", self._selected(exemption)
        self._words, self._by_namespace, self._fields = {}, set(), {}
        beyond = bool(exemption.namespace_selector.requirements)
        for named in exemption.match_conditions:
            node, _ = self._parsed(named.excerpt)
            beyond = beyond or node is None or beyond_author(node)
        if not beyond:
            words = f"whoever makes a pod could say that exemption `{exemption.name}` is for it"
            expected = "a `namespaceSelector`, or a condition on `namespaceObject` or `request.userInfo` alone"
            hint = "what authors may decide for themselves belongs into the policy's own `matchConditions`"
            self.problems.append(Problem("author-alone", words, exemption.span, expected, hint))
        conditions = exemption.match_conditions
        matches = self._each(conditions, lambda named: self._test(named.excerpt, "", self._roots, named.name))
        self.problems += self._ledger.close(f"exemption `{exemption.name}`", exemption.span)
        return CompiledExemption(exemption, matches)

    def _selected(self, policy: Policy | Exemption) -> tuple[Node, ...]:
        """What holds of every pod that the policy's selector matches: it has labels if one is asked for."""
        asked = any(requirement.operator in ("In", "Exists") for requirement in policy.pod_selector.requirements)
        node, _ = self._parsed(Excerpt.of("has(pod.metadata.labels)"))
        return (node,) if asked and node else ()

    def _split(self, policy: Policy, roots: Mapping[str, Type]) -> tuple[CompiledShare, ...]:
        """The shares compiled; warns of mixed pools in the rules of `require`, and in each share's beside them."""
        required = tuple(self._rules)
        self._warn_of_mixed_pools(required, required)

        def share(item: Share) -> CompiledShare | None:
            before = len(self._rules)
            rule = self._rule(item.expression, roots)
            mine = self._rules[before:]
            self._warn_of_mixed_pools(mine, (*required, *mine))
            return CompiledShare(item.percent, rule, item.strict) if rule else None

        return self._each(policy.split, share)

    def _warn_of_mixed_pools(
        self, rules: Iterable[tuple[Node, Excerpt]], together: Iterable[tuple[Node, Excerpt]]
    ) -> None:
        """Warns of mixed pools in rules that hold together with others."""
        said = frozenset(word for node, _ in together for word in advice.words_said(node))
        for node, excerpt in rules:
            self.problems += advice.mixed_pool(node, excerpt, said)

    def _each(self, items: Sequence[Any], compile_one: Callable[[Any], Any]) -> tuple[Any, ...]:
        return tuple(done for done in map(compile_one, items) if done is not None)

    def _variables(self, policy: Policy) -> tuple[dict[str, Function], dict[str, Type]]:
        """The policy's variables, each of which sees those before it."""
        functions: dict[str, Function] = {}
        fields: dict[str, Type] = {}
        denied = self._denied(policy)
        for named in policy.variables:
            self._denies = named.name in denied
            roots = {**self._roots, "variables": ObjectType("variables", fields=dict(fields))}
            self._reads_namespace = False
            node = self._checked(named.excerpt, roots, None)
            self._by_namespace |= {named.name} if self._reads_namespace else set()
            fields[named.name] = node.type if node else ERROR
            words = closed_of(node, self._words) if node else None
            self._words |= {named.name: words} if words else {}
            if node:
                self._ledger.name(named.name)
                self._fields[named.name] = fields_read(node, self._fields)
                functions[named.name] = self._function(node, NAMES)
        self._denies = False
        return functions, {**self._roots, "variables": ObjectType("variables", fields=fields)}

    def _denied(self, policy: Policy) -> set[str]:
        """The variables that its `deny` reads, also by way of others."""
        names: set[str] = set()
        for item in policy.deny:
            node, _ = self._parsed(item.excerpt)
            names |= variables_read(node) if node else set()
        for named in reversed(policy.variables if names else ()):
            node, _ = self._parsed(named.excerpt)
            names |= variables_read(node) if node and named.name in names else set()
        return names

    def _parsed(self, excerpt: Excerpt) -> tuple[Node | None, tuple[Problem, ...]]:
        """The tree of an expression, the same one for the same text, or None and what is wrong with it."""
        node, problems = self._texts.get(excerpt.value), tuple[Problem, ...]()
        if node is None:
            node, problems = parse(excerpt)
            if node is None:
                self.work.pay(TEXT * len(excerpt.value), excerpt.whole, self.problems)
            else:
                self._texts[excerpt.value] = node
        return node, problems

    def _checked(self, excerpt: Excerpt, roots: Mapping[str, Type], result: Type | None) -> Node | None:
        """The tree of an expression with its types, None where it has an error; its problems are collected."""
        node, problems = self._parsed(excerpt)
        self.problems += problems
        if node is None:
            return None
        key = (id(node), id(result), self._denies, *roots, *map(id, self._given))
        same = None if _has_variables(roots) else self._sound.get(key)
        if same:
            self.problems += self._ledger.take(same, excerpt)
            self._reads_namespace |= self._once("namespace", same, lambda: reads_namespace(same, ()))
            return same
        self.work.pay(self.work.expression(node, self._given), excerpt.whole, self.problems)
        checked, problems = check(node, excerpt, roots, result=result, given=self._given)
        if self._refuses:
            problems = tuple(advice.refusing(problem, self._scope) for problem in problems)
        if not any(problem.severity == "error" for problem in problems):
            problems = (*problems, *self._ledger.take(checked, excerpt), *self._advised(checked, excerpt))
        self.problems += problems
        self._used |= variables_read(checked)
        self._reads_namespace = self._reads_namespace or reads_namespace(checked, self._by_namespace)
        if not problems and not _has_variables(roots):
            self._sound[key], self._made[id(checked)] = checked, {}
        return None if any(problem.severity == "error" for problem in problems) else checked

    def _once(self, what: str, node: Node, make: Callable[[], T]) -> T:
        """What is made of a tree, made once where expressions share it; None, as what fails, is made each time."""
        made = self._made.get(id(node), {})
        known: T | None = made.get(what)
        if known is not None:
            return known
        made[what] = done = make()
        return done

    def _advised(self, node: Node, excerpt: Excerpt) -> Iterator[Problem]:
        """What an expression without errors is warned of."""
        yield from advice.reads_what_policies_write(node, excerpt, denies=self._denies)
        yield from advice.texts_for_timestamps(node, excerpt)
        yield from never_said(node, excerpt, self._words, self._params)

    def _function(self, node: Node, names: tuple[str, ...]) -> Function:
        """The compiled function of an expression; equal expressions share one (variables differ by policy)."""
        return self._once(f"{names}", node, lambda: self._function_of(node, names))

    def _function_of(self, node: Node, names: tuple[str, ...]) -> Function:
        key = f"{names}{self._key(node)}"
        if key not in self._functions:
            self._functions[key] = compile_expression(node, names)
        return self._functions[key]

    def _key(self, node: Node) -> str:
        """What equal expressions share; the policy's name is in it where they read its variables."""
        own = self._scope if "variables" in free_names(node) else ""
        return f"{own}\n{shape(node)}"

    def _test(self, excerpt: Excerpt, message: str, roots: Mapping[str, Type], name: str = "") -> Condition | None:
        """A match condition or an entry of `deny`, compiled."""
        node = self._checked(excerpt, roots, BOOL)
        if node is None:
            return None
        function, place, reads = self._function(node, NAMES), str(excerpt.whole), self._reads(node)
        by_namespace = reads_namespace(node, self._by_namespace)
        return Condition(function, message, excerpt.value, place, name, by_namespace, reads)

    def _denial(self, item: Expression, roots: Mapping[str, Type]) -> Condition | None:
        """An entry of `deny`, compiled."""
        self._denies = True
        try:
            return self._test(item.excerpt, item.message, roots)
        finally:
            self._denies = False

    def _tolerance(self, item: Tolerance, roots: Mapping[str, Type], policy: Policy) -> CompiledTolerance | None:
        """An entry of `tolerate`, compiled."""
        excerpt = item.expression.excerpt
        node = self._checked(excerpt, roots, BOOL)
        if node is None:
            return None
        reads_key, free = reads_taint_key(node), free_names(node)
        self.problems += advice.lifecycle_taints(node, excerpt, timed=item.seconds is not None)
        confined = policy.require or (policy.split and all(share.strict for share in policy.split))
        if not confined and not reads_key:
            self.problems.append(
                Problem(
                    "tolerate-everything",
                    "without `require`, an entry that does not read `taint.key` would open every tainted pool",
                    excerpt.whole,
                    'the taint to be named, such as `taint.key == "nvidia.com/gpu"`',
                )
            )
        function = self._function(node, (*NAMES, "taint"))
        reads_pod = bool(free & set(POD_NAMES))
        words = (excerpt.value, str(excerpt.whole))
        reads = self._reads(node)
        return CompiledTolerance(function, *words, item.seconds, "pool" in free, reads_key, reads_pod, reads)

    def _reads(self, node: Node) -> tuple[FieldPath, ...]:
        """What an expression reads of the pod and what comes with it."""
        return self._once("reads", node, lambda: fields_read(node, self._fields).paths)

    def _rule(self, item: Expression, roots: Mapping[str, Type]) -> Rule | None:
        return self._rule_of(item.excerpt, item.message, roots)

    def _rule_of(self, excerpt: Excerpt, message: str, roots: Mapping[str, Type]) -> Rule | None:
        node = self._checked(excerpt, roots, BOOL)
        self._rules += [(node, excerpt)] if node else []
        tree = self._once("tree", node, lambda: self._tree(node, excerpt, free_names_by_part(node))) if node else None
        if node is None or tree is None:
            return None
        return Rule(tree, message, excerpt.value, str(excerpt.whole), self._reads(node))

    def _weighted(self, item: Preference, roots: Mapping[str, Type]) -> CompiledPreference | None:
        rule = self._rule(item.expression, roots) if item.expression is not None else None
        score = self._score(item.score, roots) if item.score is not None else None
        if (item.expression is not None and rule is None) or (item.score is not None and score is None):
            return None
        return CompiledPreference(rule, item.weight or 0, score)

    def _score(self, excerpt: Excerpt, roots: Mapping[str, Type]) -> Score | None:
        node = self._checked(excerpt, roots, DOUBLE)
        if node is None:
            return None
        reads, computed = reads_of(node)
        reads_pool, capacity = "pool" in free_names(node), reads_capacity_type(node)
        told = (self._reads(node), (seen_of(node) if reads_pool else None) or frozenset())
        if not reads_node(node):
            there = open_cases(node) if reads_pool else None
            function = self._function(node, NAMES)
            return Score(function, None, reads_pool, capacity, reads, computed, there, *told)
        cases = compile_cases(node, NAMES, excerpt)
        if isinstance(cases, Problem):
            self.problems.append(cases)
            return None
        return Score(None, cases, reads_pool, capacity, reads, computed, None, *told)

    def _tree(self, node: Node, excerpt: Excerpt, names: Mapping[int, frozenset[str]]) -> Tree | None:
        """The expression taken apart at `&& || !` and `?:` as far as its parts depend on different things.

        `names` are those that each of these parts reads, by its `id`.
        """
        free = names[id(node)]
        if "node" not in free and ("pool" not in free or (free == {"pool"} and not says_without_pool(node))):
            return self._leaf(node, excerpt)
        match node:
            case Call(function="_&&_" | "_||_", args=(left, right)):
                a, b = self._tree(left, excerpt, names), self._tree(right, excerpt, names)
                if a is None or b is None:
                    return None
                return Both(a, b) if node.function == "_&&_" else Not(Both(Not(a), Not(b)))
            case Call(function="!_", args=(inner,)):
                tree = self._tree(inner, excerpt, names)
                return Not(tree) if tree else None
            case Call(function="_?_:_", args=(test, yes, no)):
                parts = [self._tree(part, excerpt, names) for part in (test, yes, no)]
                a, b, c = parts
                return Choice(a, b, c) if a and b and c else None
            case _:
                return self._leaf(node, excerpt)

    def _leaf(self, node: Node, excerpt: Excerpt) -> Leaf | None:
        """The leaf of an expression: a new one, or the one that an equal expression has."""
        key = self._key(node)
        free = free_names(node)
        if key in self.leaves and "node" not in free:
            return self.leaves[key]
        reads_pod, reads_pool = bool(free & set(POD_NAMES)), "pool" in free
        (reads, computed), number = reads_of(node), len(self.leaves)
        if "node" in free:
            truth = compile_truth(node, NAMES, excerpt)
            if isinstance(truth, Problem):
                self.problems.append(truth)
                return None
            if key in self.leaves:
                return self.leaves[key]
            beside = tuple(self._function(part, NAMES) for part in beside_node(node, NAMES))
            capacity = reads_capacity_type(node)
            leaf = Leaf(number, reads_pod, reads_pool, capacity, None, truth, reads, computed, beside=beside)
        else:
            function = self._function(node, NAMES)
            bridge = self._bridge(node) if reads_pod and reads_pool and not computed else None
            there, asked = (open_truth(node), asked_truth(node)) if reads_pool else (None, None)
            told = (function, None, reads, computed, bridge, there, asked)
            leaf = Leaf(number, reads_pod, reads_pool, False, *told, seen=seen_of(node) if reads_pool else None)
        self.leaves[key] = leaf
        return leaf

    def _bridge(self, node: Node) -> PodPoolComparison | None:
        """A comparison of something of the pod with something of the pool; None if it is anything else."""
        if not isinstance(node, Call) or node.function not in (*ORDERED, "_==_", "_!=_", "@in"):
            return None
        left, right = node.args
        if not _comparable(node.function, left.type, right.type):
            return None
        match sides_read(left), sides_read(right):
            case (True, False), (False, True):
                return PodPoolComparison(node.function, self._function(left, NAMES), self._function(right, NAMES))
            case (False, True), (True, False):
                operator = MIRRORED.get(node.function, node.function) if node.function != "@in" else CONTAINS
                return PodPoolComparison(operator, self._function(right, NAMES), self._function(left, NAMES))
            case _:
                return None


def _comparable(operator: str, left: Type, right: Type) -> bool:
    """Whether a PoolLookup can answer a comparison of these types: by a dictionary's equality or by a list's order."""
    if operator in ORDERED:
        return (left == right == STRING) or (left in NUMBERS and right in NUMBERS)
    if operator == "@in":
        return right == list_of(left) and left in KEYS
    return left == right and left in KEYS


def _has_variables(roots: Mapping[str, Type]) -> bool:
    """Whether a policy's expressions see variables: the same text may mean something else in another policy."""
    variables = roots.get("variables")
    return isinstance(variables, ObjectType) and bool(variables.fields)


def _type_of_params(bundle: Bundle) -> Type:
    given = bundle.params_schema
    return type_of_schema(given) if given else vocabulary.params_type(bundle.params)


def _unused(named: Named) -> Problem:
    words = f"nothing uses the variable `{named.name}`"
    return Problem("unused-variable", words, named.excerpt.whole, severity="warning")
