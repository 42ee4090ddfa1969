"""Expressions over `node`, one node that nobody knows yet: what an affinity has to say so that it means the same.

A boolean expression over an unknown node has no value, it has two sets of nodes: those on which it is true and those on
which it is false. On the nodes in neither, it is an error: CEL's third value. That pair, a `Truth`, is all there is:

    node.labels["x"] == "a"      true: x In [a]         false: x Exists, x NotIn [a]      error: x DoesNotExist
    !("x" in node.labels)        true: x DoesNotExist   false: x Exists

    !e        swaps the two sets
    a && b    true where both are true, false where either is (so an error meets a false and is false)
    a || b    the other way round
    c ? a : b true where c and a are, or where c is false and b is true; false likewise

No set is ever complemented, so a bound (`Gt`), whose complement no affinity can say, stays within reach. A value that
is not boolean (`node.zone`, `node.labels[?"x"].orValue("none")`, `has(node.zone) ? 1 : 2`) is a list of cases: on these
nodes it is that value, or whatever a label says. Comparing two such values compares case by case.

Whatever part of an expression does not read `node` is an ordinary compiled function. `compile_truth` and
`compile_cases` walk the tree once, when the bundle is compiled, and refuse there, with a caret, what an affinity can't
say; what they return is called for each pod (and each pool, or each provider, where it makes a difference).
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, zip_longest
from typing import TypeVar, cast

from engine.dispatch import dispatcher
from engine.errors import Problem
from engine.evaluate import compile_expression
from engine.providers import CAPACITY_TYPES, WORDS, Capacity, capacity
from engine.requirement import (
    ABSENT,
    EXISTS,
    FALSE,
    MAX_INTEGER,
    NOWHERE,
    TRUE,
    Term,
    Terms,
    TooMany,
    Values,
    both,
    integers,
    integers_in,
    label_key,
    none_of,
    one_of,
    simplify,
    term,
)
from engine.syntax import Call, Comprehension, Has, Ident, Index, ListLiteral, Node, Select, free_names
from engine.text import Excerpt
from engine.values import ABSENT as MISSING
from engine.values import NOTHING, Budget, CelError, Optional, compare, equal, keys_of

Truth = tuple[Terms, Terms]
"""The nodes on which a boolean is true, and those on which it is false."""

Cases = tuple[tuple[Terms, object], ...]
"""Disjoint sets of nodes, each with the value there: a runtime value, a Label, an Integer, or an Optional of one."""

Arguments = tuple[object, ...]
"""A budget, the values of the variables in their fixed order, then those of the macros around."""

TruthOf = Callable[[Arguments, "Words"], Truth]
CasesOf = Callable[[Arguments, "Words"], Cases]

T = TypeVar("T")

YES: Truth = (TRUE, FALSE)
NO: Truth = (FALSE, TRUE)
UNKNOWN: Truth = (FALSE, FALSE)
MAX_UNROLLED = 1000
UNROLLED = 100
"""What one step of a macro costs besides its body, in units of a budget."""
EXPECTED = "one label compared with values, membership, presence or integer bounds, joined by `&&`, `||`, `!` and `?:`"


@dataclass(frozen=True, slots=True)
class Label:
    """Whatever string the node's label says."""

    key: str


@dataclass(frozen=True, slots=True)
class Integer:
    """Whatever integer the node's label says."""

    key: str


@dataclass(frozen=True, slots=True)
class Word:
    """A portable word on the nodes of one provider: its cases, and the nodes that do not say it."""

    cases: Cases
    missing: Terms


Words = Mapping[str, Word]


@lru_cache(maxsize=64)
def words_of(provider: str) -> Words:
    """The portable words as the labels of `provider` say them; an empty provider is a node of no pool."""
    words = {word: Word(((where(key, EXISTS), Label(key)),), where(key, ABSENT)) for word, key in WORDS.items()}
    return {**words, "capacityType": _capacity_word(capacity(provider))}


def _capacity_word(rule: Capacity | None) -> Word:
    if rule is None:
        return Word((), TRUE)
    cases: list[tuple[Terms, object]] = []
    for capacity_type in CAPACITY_TYPES:
        said = [where(marker.key, one_of(marker.values(capacity_type))) for marker in rule.markers]
        cases.append((union(*said), capacity_type))
    unsaid = term({marker.key: none_of(marker.types) for marker in rule.markers})
    if rule.otherwise is None:
        return Word(tuple(case for case in cases if case[0] != FALSE), (unsaid,))
    cases.append(((unsaid,), rule.otherwise))
    return Word(tuple(case for case in cases if case[0] != FALSE), FALSE)


def where(key: str, values: Values) -> Terms:
    """The nodes whose label is in one of these states."""
    only = term({label_key(key): values})
    return FALSE if only.impossible else (only,)


class TooManyToSay(tuple[Term, ...]):
    """More terms than can be said. It is no error that there are, as long as nobody asks for them: see `told`."""

    size = 0


def told(terms: Terms) -> Terms:
    """Terms that are about to be said. Raises TooMany."""
    if isinstance(terms, TooManyToSay):
        raise TooMany(terms.size)
    return terms


def _untold(error: TooMany) -> Terms:
    terms = TooManyToSay((NOWHERE,))
    terms.size = error.count
    return terms


def union(*many: Terms) -> Terms:
    """The nodes of any of these."""
    if TRUE in many:
        return TRUE
    try:
        return simplify(chain.from_iterable(map(told, many)))
    except TooMany as error:
        return _untold(error)


def common(a: Terms, b: Terms) -> Terms:
    """The nodes of both."""
    try:
        return both(told(a), told(b)) if a and b else FALSE
    except TooMany as error:
        return _untold(error)


class InexpressibleError(Exception):
    """What an affinity can't say, and where: offsets into the expression."""

    def __init__(self, node: Node, what: str) -> None:
        self.node, self.what = node, what


def compile_truth(node: Node, names: Sequence[str], excerpt: Excerpt) -> TruthOf | Problem:
    """A boolean expression over `node`, as a function of arguments and words; or why no affinity can say it."""
    return _refused(lambda: _truth(node, tuple(names)), excerpt)


def compile_cases(node: Node, names: Sequence[str], excerpt: Excerpt) -> CasesOf | Problem:
    """A score that reads `node`, as a function of arguments and words; or why no affinity can say it."""
    return _refused(lambda: _constant_cases(node, tuple(names)), excerpt)


def _refused(compiled: Callable[[], T], excerpt: Excerpt) -> T | Problem:
    try:
        return compiled()
    except InexpressibleError as refusal:
        span = excerpt.span(refusal.node.start, refusal.node.end)
        return Problem("not-an-affinity", f"{refusal.what} is not something that an affinity can say", span, EXPECTED)


def reads_node(node: Node) -> bool:
    return "node" in free_names(node)


# Booleans: what each construct makes of the truths inside it.


def _truth(node: Node, names: tuple[str, ...]) -> TruthOf:
    if not reads_node(node):
        return _known_truth(node, names)
    match node:
        case Call(function="_&&_" | "_||_" | "!_" | "_?_:_"):
            return _logic(node, names)
        case Call(function="_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_"):
            return _comparison(node, names)
        case Call(function="@in"):
            return _membership(node, names)
        case Call(function="hasValue", target=Node() as target):
            optional = _cases(target, names)
            return lambda args, words: _holding(optional(args, words))
        case Has():
            return _presence(node)
        case Comprehension(macro="all" | "exists"):
            return _unrolled(node, names)
        case _:
            raise InexpressibleError(node, _described(node))


def _known_truth(node: Node, names: tuple[str, ...]) -> TruthOf:
    function = compile_expression(node, names)

    def known(args: Arguments, _words: Words) -> Truth:
        try:
            value = function(*args)
        except CelError:
            return UNKNOWN
        return YES if value is True else NO if value is False else UNKNOWN

    return known


def _logic(node: Call, names: tuple[str, ...]) -> TruthOf:
    parts = [_truth(part, names) for part in node.args]
    if node.function == "!_":
        (part,) = parts
        return lambda args, words: negate(part(args, words))
    if node.function == "_?_:_":
        test, yes, no = parts
        return lambda args, words: choose(test(args, words), lambda: yes(args, words), lambda: no(args, words))
    left, right = parts
    if node.function == "_&&_":
        return lambda args, words: conjoin(left(args, words), lambda: right(args, words))
    return lambda args, words: negate(
        conjoin(negate(left(args, words)), lambda: negate(right(args, words))),
    )


def negate(truth: Truth) -> Truth:
    return truth[1], truth[0]


def conjoin(left: Truth, right: Callable[[], Truth]) -> Truth:
    """`left && right`; the right side is not asked for where the left is false everywhere."""
    if left == NO:
        return left
    other = right()
    return common(left[0], other[0]), union(left[1], other[1])


def choose(test: Truth, yes: Callable[[], Truth], no: Callable[[], Truth]) -> Truth:
    """`test ? yes : no`; a branch is not asked for where no node takes it."""
    a = yes() if test[0] != FALSE else UNKNOWN
    b = no() if test[1] != FALSE else UNKNOWN
    return (
        union(common(test[0], a[0]), common(test[1], b[0])),
        union(common(test[0], a[1]), common(test[1], b[1])),
    )


def _presence(node: Has) -> TruthOf:
    if _is_labels(node.operand):
        truth = (where(node.field, EXISTS), where(node.field, ABSENT))
        return lambda _args, _words: truth
    if _is_node(node.operand):
        return lambda _args, words: _said(words.get(node.field))
    raise InexpressibleError(node, _described(node))


def _said(word: Word | None) -> Truth:
    if word is None:  # `labels`: every node has them
        return TRUE, FALSE
    return union(*(guard for guard, _ in word.cases)), word.missing


def _membership(node: Call, names: tuple[str, ...]) -> TruthOf:
    element, container = node.args
    if _is_labels(container):
        if reads_node(element):
            raise InexpressibleError(element, "a key that another label of the node says")
        key = compile_expression(element, names)

        def carried(args: Arguments, _words: Words) -> Truth:
            try:
                name = key(*args)
            except CelError:
                return UNKNOWN
            return (where(name, EXISTS), where(name, ABSENT)) if isinstance(name, str) else (FALSE, TRUE)

        return carried
    if isinstance(container, ListLiteral) and reads_node(container) and not any(container.optional):
        return _any_equal(element, container.elements, names)
    if reads_node(container):
        raise InexpressibleError(container, _described(container))
    values, members = _cases(element, names), compile_expression(container, names)

    def one_of_them(args: Arguments, words: Words) -> Truth:
        try:
            known = members(*args)
        except CelError:
            return UNKNOWN
        if not isinstance(known, (list, tuple, dict)):
            return UNKNOWN
        found, budget = values(args, words), cast("Budget", args[0])
        budget.spend(len(known) * len(found))
        return _compared(found, ((TRUE, tuple(known)),), partial(_in, budget))

    return one_of_them


def _any_equal(element: Node, candidates: Sequence[Node], names: tuple[str, ...]) -> TruthOf:
    """`x in [a, b]` where a or b reads the node: all of the list must have a value, then one must be equal."""
    if reads_node(element):
        raise InexpressibleError(element, "comparing one label of a node with another")
    value, options = _cases(element, names), [_cases(candidate, names) for candidate in candidates]

    def equal_to_one(args: Arguments, words: Words) -> Truth:
        wanted, lists = value(args, words), [option(args, words) for option in options]
        truths = [_compared(cases, wanted, _equality) for cases in lists]
        true, false, defined = union(*(yes for yes, _ in truths)), TRUE, TRUE
        for (_, no), cases in zip(truths, lists, strict=True):
            false, defined = common(false, no), common(defined, union(*(guard for guard, _ in cases)))
        return common(true, defined), common(false, defined)

    return equal_to_one


def _unrolled(node: Comprehension, names: tuple[str, ...]) -> TruthOf:
    """`all` and `exists` over what does not depend on the node: a conjunction or disjunction, element by element."""
    if reads_node(node.range):
        raise InexpressibleError(node.range, "walking over a node's labels")
    items = compile_expression(node.range, names)
    body = _truth(node.body[0], (*names, *node.variables))
    every = node.macro == "all"

    def walked(args: Arguments, words: Words) -> Truth:
        try:
            elements = _elements(items(*args), len(node.variables))
        except CelError:
            return UNKNOWN
        budget, truths = cast("Budget", args[0]), list[Truth]()
        for element in elements:
            budget.spend(UNROLLED)
            truth = body((*args, *element), words)
            truths.append(truth if every else negate(truth))
            if truths[-1] == NO:
                break
        result = _all_of(truths, budget)
        return result if every else negate(result)

    return walked


def _all_of(truths: Sequence[Truth], budget: Budget) -> Truth:
    """All of them together, as `conjoin` would have it one by one."""
    if truths and truths[-1] == NO:
        return NO
    budget.spend(sum(_work(no) for _, no in truths))
    false = union(*(no for _, no in truths))
    if any(yes == FALSE for yes, _ in truths):
        return FALSE, false
    single: list[Terms] = [yes for yes, _ in truths if len(yes) == 1 and yes != TRUE]
    while len(single) > 1:  # two by two, for a term grows with all that went into it
        budget.spend(sum(map(_work, single)))
        pairs = zip_longest(single[::2], single[1::2], fillvalue=TRUE)
        single = [common(a, b) for a, b in pairs]
    true = single[0] if single else TRUE
    for yes in (yes for yes, _ in truths if len(yes) > 1):
        budget.spend(len(true) * _work(yes))
        true = common(true, yes)
        if isinstance(true, TooManyToSay):
            break
    return true, false


def _work(terms: Terms) -> int:
    """What it costs to combine these terms with others, in units of a budget."""
    return sum(1 + len(t.requirements) for t in terms)


def _elements(items: object, variables: int) -> list[tuple[object, ...]]:
    size = len(items) if isinstance(items, (list, tuple, dict)) else 0
    if size > MAX_UNROLLED:
        raise CelError(f"a list of {size} elements, each of which would become a node selector requirement")
    if isinstance(items, dict):
        return [(key,) if variables == 1 else (key, items[key]) for key in keys_of(items)]
    if isinstance(items, (list, tuple)):
        return [(item,) if variables == 1 else (index, item) for index, item in enumerate(items)]
    raise CelError("neither a list nor a map")


# Values: cases, and how two of them compare.


def _cases(node: Node, names: tuple[str, ...]) -> CasesOf:
    if not reads_node(node):
        return _known_case(node, names)
    match node:
        case Index(operand=operand) if _is_labels(operand):
            return (
                _label(compile_expression(node.index, names), node.optional)
                if not reads_node(node.index)
                else _deny(node)
            )
        case Select(operand=operand) if _is_labels(operand):
            return _label(lambda *_args: node.field, node.optional)
        case Select(operand=operand) if _is_node(operand) and node.field in (*WORDS, "capacityType"):
            return _word(node.field, node.optional)
        case Call(function="orValue", target=Node() as target, args=(fallback,)):
            return _or_value(_cases(target, names), _cases(fallback, names))
        case Call(function="value", target=Node() as target):
            return _mapped(_cases(target, names), _unwrapped)
        case Call(function="int", args=(inner,)):
            return _mapped(_cases(inner, names), _to_integer)
        case Call(function="string", args=(inner,)) if not _may_be_integer(inner):
            return _mapped(_cases(inner, names), _to_string)
        case Call(function="dyn", args=(inner,)):
            return _cases(inner, names)
        case Call(function="_?_:_", args=(test, yes, no)):
            return _chosen(_truth(test, names), _cases(yes, names), _cases(no, names))
        case _ if node.type.name == "bool":
            return _boolean(_truth(node, names))
        case _:
            return _deny(node)


def _constant_cases(node: Node, names: tuple[str, ...]) -> CasesOf:
    if _may_be_label(node):
        raise InexpressibleError(node, "a number that a node's label says")
    return _cases(node, names)


def _deny(node: Node) -> CasesOf:
    raise InexpressibleError(node, _described(node))


def _known_case(node: Node, names: tuple[str, ...]) -> CasesOf:
    function = compile_expression(node, names)

    def known(args: Arguments, _words: Words) -> Cases:
        try:
            return ((TRUE, function(*args)),)
        except CelError:
            return ()

    return known


def _label(key: Callable[..., object], optional: bool) -> CasesOf:
    def said(args: Arguments, _words: Words) -> Cases:
        try:
            name = key(*args)
        except CelError:
            return ()
        if not isinstance(name, str):
            return ((TRUE, NOTHING),) if optional and isinstance(name, (int, float)) else ()
        there = where(name, EXISTS)
        if optional:
            return ((there, Optional(Label(name))), (where(name, ABSENT), NOTHING))
        return ((there, Label(name)),)

    return said


def _word(name: str, optional: bool) -> CasesOf:
    def said(_args: Arguments, words: Words) -> Cases:
        word = words[name]
        if optional:
            return (*((guard, Optional(value)) for guard, value in word.cases), (word.missing, NOTHING))
        return word.cases

    return said


def _or_value(optional: CasesOf, fallback: CasesOf) -> CasesOf:
    def value(args: Arguments, words: Words) -> Cases:
        cases: list[tuple[Terms, object]] = []
        for guard, held in optional(args, words):
            if not isinstance(held, Optional):
                continue  # an error
            if _holds_something(held):
                cases.append((guard, held.value))
            else:
                cases += [(common(guard, inner), value) for inner, value in fallback(args, words)]
        return tuple(cases)

    return value


def _chosen(test: TruthOf, yes: CasesOf, no: CasesOf) -> CasesOf:
    def chosen(args: Arguments, words: Words) -> Cases:
        true, false = test(args, words)
        first = [(common(true, guard), value) for guard, value in yes(args, words)] if true != FALSE else []
        second = [(common(false, guard), value) for guard, value in no(args, words)] if false != FALSE else []
        return tuple((guard, value) for guard, value in first + second if guard != FALSE)

    return chosen


def _boolean(truth: TruthOf) -> CasesOf:
    def cases(args: Arguments, words: Words) -> Cases:
        true, false = truth(args, words)
        return tuple((guard, value) for guard, value in ((true, True), (false, False)) if guard != FALSE)

    return cases


def _mapped(cases: CasesOf, convert: Callable[[Budget, object], Cases]) -> CasesOf:
    def mapped(args: Arguments, words: Words) -> Cases:
        found = cases(args, words)
        budget = cast("Budget", args[0])
        return tuple((common(guard, inner), made) for guard, value in found for inner, made in convert(budget, value))

    return mapped


def _unwrapped(_budget: Budget, value: object) -> Cases:
    return ((TRUE, value.value),) if isinstance(value, Optional) and _holds_something(value) else ()


def _to_string(budget: Budget, value: object) -> Cases:
    return ((TRUE, value),) if isinstance(value, Label) else _converted("string", budget, value)


def _to_integer(budget: Budget, value: object) -> Cases:
    if isinstance(value, Label):
        return ((where(value.key, integers()), Integer(value.key)),)
    return ((TRUE, value),) if isinstance(value, Integer) else _converted("int", budget, value)


def _converted(function: str, budget: Budget, value: object) -> Cases:
    """A value that is known, by the function that would convert it in any other expression."""
    try:
        return ((TRUE, CONVERSIONS[function](budget, value)),)
    except CelError:
        return ()


def _comparison(node: Call, names: tuple[str, ...]) -> TruthOf:
    left, right = node.args
    first, second = _cases(left, names), _cases(right, names)
    if _may_be_label(left) and _may_be_label(right):
        raise InexpressibleError(node, "comparing one label of a node with another")
    if (_may_be_string(left) or _may_be_string(right)) and node.function not in ("_==_", "_!=_"):
        raise InexpressibleError(node, "the order of strings")
    atom = ATOMS[node.function]
    return lambda args, words: _compared(first(args, words), second(args, words), atom)


Atom = Callable[[object, object], Truth]


def _compared(left: Cases, right: Cases, atom: Atom) -> Truth:
    if len(left) == len(right) == 1 and left[0][0] == right[0][0] == TRUE:
        return atom(left[0][1], right[0][1])
    true, false = list[Terms](), list[Terms]()
    for guard, a in left:
        for condition, b in right:
            here = common(guard, condition)
            if here != FALSE:
                yes, no = atom(a, b)
                true.append(common(here, yes))
                false.append(common(here, no))
    return union(*true), union(*false)


def _holds_something(value: object) -> bool:
    return isinstance(value, Optional) and value.value is not MISSING


def _holding(cases: Cases) -> Truth:
    """`hasValue` of an optional; of anything else it is an error."""
    optionals = [(guard, value) for guard, value in cases if isinstance(value, Optional)]
    return (
        union(*(guard for guard, value in optionals if _holds_something(value))),
        union(*(guard for guard, value in optionals if not _holds_something(value))),
    )


def _equality(a: object, b: object) -> Truth:
    if isinstance(b, (Label, Integer)):
        a, b = b, a
    if isinstance(a, Optional) and isinstance(b, Optional) and _holds_something(a) and _holds_something(b):
        return _equality(a.value, b.value)
    if isinstance(a, Label):
        values = one_of([b]) if isinstance(b, str) else one_of([])
        return where(a.key, values), where(a.key, EXISTS & ~values)
    if isinstance(a, Integer):
        return _among(a.key, [b])
    return YES if equal(a, b) else NO


def _inequality(a: object, b: object) -> Truth:
    return negate(_equality(a, b))


def _in(budget: Budget, value: object, members: object) -> Truth:
    assert isinstance(members, tuple)
    if isinstance(value, Label):
        values = one_of([member for member in members if isinstance(member, str)])
        return where(value.key, values), where(value.key, EXISTS & ~values)
    if isinstance(value, Integer):
        return _among(value.key, members)
    none = _all_of([negate(_equality(value, member)) for member in members], budget)
    return negate(none)


def _among(key: str, numbers: Iterable[object]) -> Truth:
    """Where the integer that a label says is equal to one of these; beside a double, integers are made one."""
    finite = (b for b in map(_number, numbers) if b is not None and math.isfinite(b))
    equals = [_neighbours(b) for b in finite if b == math.floor(b)]
    values = integers_in((below + 1, above - 1) for below, above in equals)
    return where(key, values), where(key, integers() - values)


def _neighbours(bound: float) -> tuple[int, int]:
    """The nearest integers less than and more than a number."""
    if isinstance(bound, float) and EXACT <= bound <= MAX_INTEGER:
        return bisect_left(LARGE, bound, key=float), bisect_right(LARGE, bound, key=float) + 1
    return math.ceil(bound) - 1, math.floor(bound) + 1


def _ordered(function: str) -> Atom:
    def ordered(a: object, b: object) -> Truth:
        if isinstance(b, Integer):
            return _ordered(MIRRORED[function])(b, a)
        if isinstance(a, Integer):
            bound = _number(b)
            return UNKNOWN if bound is None else _bounded(a.key, function, bound)
        try:
            return YES if COMPARED[function](compare(a, b, function), 0) else NO
        except CelError:
            return UNKNOWN

    return ordered


def _bounded(key: str, function: str, bound: float) -> Truth:
    """Where the integer that the label says is less (or more) than `bound`, and where it is not."""
    if math.isnan(bound):
        return UNKNOWN
    if math.isinf(bound):
        always = (bound > 0) == (function in ("_<_", "_<=_"))
        everywhere = _between(key, None, None)
        return (everywhere, FALSE) if always else (FALSE, everywhere)
    below, above = _neighbours(bound)
    match function:
        case "_<_":
            return _between(key, None, below), _between(key, below + 1, None)
        case "_<=_":
            return _between(key, None, above - 1), _between(key, above, None)
        case "_>_":
            return _between(key, above, None), _between(key, None, above - 1)
        case _:
            return _between(key, below + 1, None), _between(key, None, below)


def _between(key: str, low: int | None, high: int | None) -> Terms:
    """Where the label says an integer from `low` to `high`; one that is a label is never negative, nor over 2^63-1."""
    return where(key, integers(low or 0, MAX_INTEGER if high is None else high))


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


EXACT = 2.0**53
"""From here on several integers are one double."""
LARGE = range(1, MAX_INTEGER + 1)
CONVERSIONS = {function: dispatcher(function, method=False, arity=1) for function in ("int", "string")}
COMPARED: Mapping[str, Callable[[int, int], bool]] = {
    "_<_": operator.lt,
    "_<=_": operator.le,
    "_>_": operator.gt,
    "_>=_": operator.ge,
}
MIRRORED = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
ATOMS: Mapping[str, Atom] = {"_==_": _equality, "_!=_": _inequality, **{name: _ordered(name) for name in COMPARED}}


# What can be told from the tree alone.


def _is_node(node: Node) -> bool:
    return isinstance(node, Ident) and node.name == "node"


def _is_labels(node: Node) -> bool:
    return isinstance(node, Select) and node.field == "labels" and not node.optional and _is_node(node.operand)


def _may_be_label(node: Node) -> bool:
    """Whether a value may be what a label says (rather than one of known values on known nodes)."""
    return any(True for _ in _said_by_labels(node))


def _may_be_string(node: Node) -> bool:
    """Whether it may be a string that a label says."""
    return not all(map(_is_integer, _said_by_labels(node)))


def _may_be_integer(node: Node) -> bool:
    """Whether it may be an integer that a label says."""
    return any(map(_is_integer, _said_by_labels(node)))


def _is_integer(node: Node) -> bool:
    return isinstance(node, Call) and node.function == "int"


def _said_by_labels(node: Node) -> Iterator[Node]:
    """The parts of an expression that may be its value and are said by a label."""
    if not reads_node(node) or node.type.name == "bool":
        return
    match node:
        case Call(function="_?_:_", args=(_, *parts)) | Call(function="dyn", args=parts):
            pass
        case Call(function="orValue" | "value", target=Node() as target, args=more):
            parts = [target, *more]
        case _:
            yield node
            return
    for part in parts:
        yield from _said_by_labels(part)


def _described(node: Node) -> str:
    match node:
        case Ident(name="node"):
            return "`node` as a whole"
        case Select(operand=Ident(name="node"), field="labels"):
            return "a node's labels as a whole"
        case Call() if not any(map(str.isalpha, node.function)):
            return f"`{node.function.replace('_', '')}` of a node's label"
        case Call():
            return f"`{node.function}` of a node's label"
        case Comprehension():
            return f"`{node.macro}` over a node's labels"
        case _:
            return "this use of `node`"
