"""Expressions over `node`, one node that is not known yet: what an affinity has to say so that it means the same.

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

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar, cast

from engine.documents import Excerpt, Problem
from engine.language import (
    NOTHING,
    Budget,
    Call,
    CelError,
    Comprehension,
    Has,
    Ident,
    Index,
    ListLiteral,
    Node,
    Optional,
    Select,
    compile_expression,
    dispatcher,
    keys_of,
    reads,
)
from engine.nodeselector import ABSENT, EXISTS, FALSE, TRUE, Terms, common, integers, union, where
from engine.pools import WORD_OF, Cases, Label, PortableWord, Words
from engine.program.comparisons import ATOMS, Integer, all_of, compared, equality, holding, holds_something, member_of
from engine.program.truths import (
    NO,
    UNKNOWN,
    YES,
    Arguments,
    CasesOf,
    Truth,
    TruthOf,
    choose,
    conjoin,
    meter_of,
    negate,
)

T = TypeVar("T")
MAX_UNROLLED = 1000  # elements that `all` or `exists` may walk
UNROLLED = 30
"""What one step of a macro costs besides its body, in units of `engine.language.Budget`."""
EXPECTED = "one label compared with values, membership, presence or integer bounds, joined by `&&`, `||`, `!` and `?:`"


class InexpressibleError(Exception):
    """What an affinity can't say, and the node of the syntax tree that asks for it."""

    def __init__(self, node: Node, what: str) -> None:
        self.node, self.what = node, what


def compile_truth(node: Node, names: Sequence[str], excerpt: Excerpt) -> TruthOf | Problem:
    """A boolean expression over `node`, as a function of arguments and words; or why no affinity can say it."""
    return _refused(lambda: truth_of(node, tuple(names)), excerpt)


def compile_cases(node: Node, names: Sequence[str], excerpt: Excerpt) -> CasesOf | Problem:
    """A score that reads `node`, as a function of arguments and words; or why no affinity can say it."""
    return _refused(lambda: cases_of(node, tuple(names)), excerpt)


def _refused(compiled: Callable[[], T], excerpt: Excerpt) -> T | Problem:
    """What a compilation gives, or the problem where it meets what no affinity can say."""
    try:
        return compiled()
    except InexpressibleError as refusal:
        span = excerpt.span(refusal.node.start, refusal.node.end)
        return Problem("not-an-affinity", f"{refusal.what} is not something that an affinity can say", span, EXPECTED)


def reads_node(node: Node) -> bool:
    """Whether an expression reads `node`."""
    return reads(node, "node")


# Booleans: what each construct makes of the truths inside it.


def truth_of(node: Node, names: tuple[str, ...]) -> TruthOf:
    """As `compile_truth`. Raises InexpressibleError."""
    if not reads_node(node):
        return _known_truth(node, names)
    match node:
        case Call(function="_&&_" | "_||_" | "!_" | "_?_:_"):
            return logic(node, [truth_of(part, names) for part in node.args])
        case Call(function="_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_"):
            return _comparison(node, names)
        case Call(function="@in"):
            return _membership(node, names)
        case Call(function="hasValue", target=Node() as target):
            optional = _cases(target, names)
            return lambda args, words: holding(optional(args, words), meter_of(args))
        case Has():
            return _presence(node)
        case Comprehension(macro="all" | "exists"):
            return _unrolled(node, names)
        case _:
            raise InexpressibleError(node, _described(node))


def _known_truth(node: Node, names: tuple[str, ...]) -> TruthOf:
    function = compile_expression(node, names)
    return lambda args, _words: known_truth(function, args)


def known_truth(function: Callable[..., object], args: Arguments) -> Truth:
    """What a function that does not read `node` says of all nodes alike."""
    try:
        value = function(*args)
    except CelError:
        return UNKNOWN
    return YES if value is True else NO if value is False else UNKNOWN


def logic(node: Call, parts: Sequence[TruthOf]) -> TruthOf:
    """`&& || !` or `?:` of parts, whatever these are made of."""
    if node.function == "!_":
        (part,) = parts
        return lambda args, words: negate(part(args, words))
    if node.function == "_?_:_":
        test, yes, no = parts
        return lambda args, words: choose(
            test(args, words), lambda: yes(args, words), lambda: no(args, words), meter_of(args)
        )
    left, right = parts
    if node.function == "_&&_":
        return lambda args, words: conjoin(left(args, words), lambda: right(args, words), meter_of(args))
    return lambda args, words: negate(
        conjoin(negate(left(args, words)), lambda: negate(right(args, words)), meter_of(args)),
    )


def _presence(node: Has) -> TruthOf:
    if _is_labels(node.operand):
        truth = (where(node.field, EXISTS), where(node.field, ABSENT))
        return lambda _args, _words: truth
    if _is_node(node.operand):
        return lambda _args, words: _said(words.get(node.field))
    raise InexpressibleError(node, _described(node))


def _said(word: PortableWord | None) -> Truth:
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
        return compared(found, ((TRUE, tuple(known)),), partial(member_of, budget), budget)

    return one_of_them


def _any_equal(element: Node, candidates: Sequence[Node], names: tuple[str, ...]) -> TruthOf:
    """`x in [a, b]` where a or b reads the node: all of the list must have a value, then one must be equal."""
    if reads_node(element):
        raise InexpressibleError(element, "comparing one label of a node with another")
    value, options = _cases(element, names), [_cases(candidate, names) for candidate in candidates]

    def equal_to_one(args: Arguments, words: Words) -> Truth:
        wanted, lists = value(args, words), [option(args, words) for option in options]
        meter = meter_of(args)
        truths = [compared(cases, wanted, equality, meter) for cases in lists]
        true, false, defined = union(*(yes for yes, _ in truths), meter=meter), TRUE, TRUE
        for (_, no), cases in zip(truths, lists, strict=True):
            guards = union(*(guard for guard, _ in cases), meter=meter)
            false, defined = common(false, no, meter), common(defined, guards, meter)
        return common(true, defined, meter), common(false, defined, meter)

    return equal_to_one


def _unrolled(node: Comprehension, names: tuple[str, ...]) -> TruthOf:
    """`all` and `exists` over what does not depend on the node: a conjunction or disjunction, element by element."""
    if reads_node(node.range):
        raise InexpressibleError(node.range, "walking over a node's labels")
    items = compile_expression(node.range, names)
    body = truth_of(node.body[0], (*names, *node.variables))
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
        result = all_of(truths, budget)
        return result if every else negate(result)

    return walked


def _elements(items: object, variables: int) -> list[tuple[object, ...]]:
    """By step, the values of a macro's one or two variables. Raises CelError where it can't walk, or too far."""
    size = len(items) if isinstance(items, (list, tuple, dict)) else 0
    if size > MAX_UNROLLED:
        raise CelError(f"a list of {size} elements, each of which would become a node selector requirement")
    if isinstance(items, dict):
        return [(key,) if variables == 1 else (key, items[key]) for key in keys_of(items)]
    if isinstance(items, (list, tuple)):
        return [(item,) if variables == 1 else (index, item) for index, item in enumerate(items)]
    raise CelError("neither a list nor a map")


# Values: what each construct makes of the cases inside it. `comparisons.py` compares two of them.


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
        case Select(operand=operand) if _is_node(operand) and node.field in WORD_OF.values():
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
            return _chosen(truth_of(test, names), _cases(yes, names), _cases(no, names))
        case _ if node.type.name == "bool":
            return _boolean(truth_of(node, names))
        case _:
            return _deny(node)


def cases_of(node: Node, names: tuple[str, ...]) -> CasesOf:
    """Cases of known values only: a weight can't be what a label says."""
    if _may_be_label(node):
        raise InexpressibleError(node, "a number that a node's label says")
    return _cases(node, names)


def _deny(node: Node) -> CasesOf:
    """Raises InexpressibleError, where an expression is wanted."""
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
            if holds_something(held):
                cases.append((guard, held.value))
            else:
                cases += [(common(guard, inner, meter_of(args)), value) for inner, value in fallback(args, words)]
        return tuple(cases)

    return value


def _chosen(test: TruthOf, yes: CasesOf, no: CasesOf) -> CasesOf:
    def chosen(args: Arguments, words: Words) -> Cases:
        true, false = test(args, words)
        meter = meter_of(args)
        first = [(common(true, guard, meter), value) for guard, value in yes(args, words)] if true != FALSE else []
        second = [(common(false, guard, meter), value) for guard, value in no(args, words)] if false != FALSE else []
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
        made_of = ((guard, convert(budget, value)) for guard, value in found)
        return tuple((common(guard, inner, budget), made) for guard, several in made_of for inner, made in several)

    return mapped


def _unwrapped(_budget: Budget, value: object) -> Cases:
    return ((TRUE, value.value),) if isinstance(value, Optional) and holds_something(value) else ()


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
    return lambda args, words: compared(first(args, words), second(args, words), atom, meter_of(args))


CONVERSIONS = {function: dispatcher(function, method=False, arity=1) for function in ("int", "string")}


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
