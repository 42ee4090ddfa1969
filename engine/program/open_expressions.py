"""Expressions over a pool whose answer is not the same on all of its nodes, put to the node.

`pool.labels` asks what the nodes of the pool carry. Where that is known, and the same for all, an expression is a
function of the pool. Where it is not, it means what the same words over `node` mean: `pool.labels["x"]` is read as
`node.labels["x"]`, `pool.zones` as a list of the node's own zone alone. What no affinity can say of a node may still be
decided value by value, where the label has finitely many; over values that nobody knows it is an error on that pool.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from engine.language import (
    BOOL,
    STRING,
    Budget,
    Call,
    Comprehension,
    Has,
    Ident,
    Node,
    Select,
    compile_expression,
    free_names,
    reads,
    rebuilt,
    replace,
    substituted,
    walk,
)
from engine.nodeselector import ABSENT, FALSE, TRUE, Terms, common, one_of, union, where
from engine.pools import WORD_OF, Cases, Words
from engine.program.model import NAMES
from engine.program.node_expressions import InexpressibleError, cases_of, known_truth, logic, reads_node, truth_of
from engine.program.pool_view import MAX_ASSUMED, PoolView, Undecided
from engine.program.truths import Arguments, CasesOf, Truth, TruthOf, meter_of

T = TypeVar("T")
MAX_PROVIDERS = 64
_POOL = NAMES.index("pool") + 1  # among a function's arguments, after the budget


def open_truth(node: Node) -> TruthOf:
    """A boolean expression that reads `pool` and not `node`, as a Truth of the nodes of the pool in its arguments."""
    if isinstance(node, Call) and node.function in ("_&&_", "_||_", "!_", "_?_:_"):
        return logic(node, [open_truth(part) for part in node.args])
    function = compile_expression(node, NAMES)
    asked = _sayable(node, truth_of)

    def truth(args: Arguments, words: Words) -> Truth:
        return assumed(lambda given: known_truth(function, given), args, asked and (lambda: put(args, words)))

    def put(args: Arguments, words: Words) -> Truth:
        assert asked is not None
        return assumed(lambda given: asked(given, words), args)

    return truth


def asked_truth(node: Node) -> TruthOf | None:
    """The same of any node, whatever its pool but for the provider; None where a part of it is about the pool."""
    asked = to_the_node(node)
    if asked is None or not reads_node(asked) or reads(asked, "pool"):
        return None
    try:
        return truth_of(asked, NAMES)
    except InexpressibleError:
        return None


def open_cases(node: Node) -> CasesOf:
    """A number that reads `pool` and not `node`, as Cases on the nodes of the pool in its arguments."""
    function = compile_expression(node, NAMES)
    asked = _sayable(node, cases_of)

    def cases(args: Arguments, words: Words) -> Cases:
        return assumed_cases(lambda given: ((TRUE, function(*given)),), args, asked and (lambda: put(args, words)))

    def put(args: Arguments, words: Words) -> Cases:
        assert asked is not None
        return assumed_cases(lambda given: asked(given, words), args)

    return cases


def as_seen(function: Callable[..., object], *args: object) -> object:
    """What a function gives if what its pool leaves open is as on the nodes that are there. Raises Undecided."""
    try:
        return function(*args)
    except Undecided:
        view = args[_POOL]
        if not isinstance(view, PoolView):
            raise
        return function(*args[:_POOL], view.believing(), *args[_POOL + 1 :])


def assumed(
    truth: Callable[[Arguments], Truth], args: Arguments, otherwise: Callable[[], Truth] | None = None
) -> Truth:
    """What a function says of the nodes of the pool in its arguments, each undecided label in each of its states.

    Where these are not finitely many, or only observed, what `otherwise` says of a node. Without it, that is an error,
    but on nodes that are like those that are there, where what these carry is all that counts.
    """
    branches = _branches(truth, args, otherwise)
    if len(branches) == 1 and branches[0][0] == TRUE:
        return branches[0][1]
    meter = meter_of(args)
    true = [common(guard, yes, meter) for guard, (yes, _) in branches]
    return union(*true, meter=meter), union(*(common(guard, no, meter) for guard, (_, no) in branches), meter=meter)


def assumed_cases(
    cases: Callable[[Arguments], Cases], args: Arguments, otherwise: Callable[[], Cases] | None = None
) -> Cases:
    """As `assumed`, of Cases. Raises CelError where it is one in some state."""
    return tuple(
        (both, value)
        for guard, found in _branches(cases, args, otherwise)
        for condition, value in found
        if (both := common(guard, condition, meter_of(args))) != FALSE
    )


def _branches(
    function: Callable[[Arguments], T], args: Arguments, otherwise: Callable[[], T] | None
) -> list[tuple[Terms, T]]:
    """What a function gives, with the nodes where it does: once, or for each state of what is undecided."""
    done: list[tuple[Terms, T]] = []
    todo: list[tuple[Terms, Arguments]] = [(TRUE, args)]
    given_up: frozenset[str] = frozenset()
    while todo:
        guard, given = todo.pop()
        try:
            done.append((guard, function(given)))
        except Undecided as undecided:
            states = undecided.states_to_try(MAX_ASSUMED - len(todo) - len(done), otherwise is not None)
            view = _root(given)
            if states is None and otherwise is not None:
                return [(TRUE, otherwise())]
            if undecided.fact.open:  # what is seen is true of the nodes that are like those
                seen = common(guard, where(undecided.key, undecided.fact.states))
                todo.append((seen, (*given[:_POOL], view.believing(undecided.key), *given[_POOL + 1 :])))
                continue
            if states is None:  # on every node alike, so all begins anew
                given_up |= {undecided.key}
                done, todo = [], [(TRUE, (*args[:_POOL], _root(args).giving_up(given_up), *args[_POOL + 1 :]))]
            for state in states or ():
                here = (*given[:_POOL], view.assuming(undecided.key, state), *given[_POOL + 1 :])
                carried = where(undecided.key, ABSENT if state is None else one_of([state]))
                todo.append((common(guard, carried, meter_of(args)), here))
    return done


def _root(args: Arguments) -> PoolView:
    view = args[_POOL]
    assert isinstance(view, PoolView)
    return view


def _sayable(
    node: Node, compiled: Callable[[Node, tuple[str, ...]], Callable[[Arguments, Words], T]]
) -> Callable[[Arguments, Words], T] | None:
    """The same question to the node, compiled; None where no affinity can say it."""
    asked = to_the_node(node)
    if asked is None or not reads_node(asked):
        return None
    try:
        said = compiled(asked, NAMES)
    except InexpressibleError:
        return None
    return _remembered(said) if free_names(asked) == {"node"} else said


def _remembered(said: Callable[[Arguments, Words], T]) -> Callable[[Arguments, Words], T]:
    """A question to the node that reads nothing else, answered once a provider; what it costs is spent each time."""
    answers: dict[int, tuple[Words, T, int]] = {}

    def answer(args: Arguments, words: Words) -> T:
        known = answers.get(id(words))
        budget = args[0]
        assert isinstance(budget, Budget)
        if known is not None and known[0] is words:
            budget.spend(known[2])
            return known[1]
        left = budget.left
        found = said(args, words)
        if len(answers) >= MAX_PROVIDERS:
            answers.clear()
        answers[id(words)] = (words, found, left - budget.left)
        return found

    return answer


def to_the_node(node: Node) -> Node | None:
    """An expression with what it reads of the pool's labels asked of the node instead; None where that can't be.

    It reads labels or one of the lists: one of several may be known, and then it is not what the node says.
    """
    if len(_kinds(node)) > 1:
        return None
    try:
        return _asked(node)
    except _NotOfANodeError:
        return None


def _kinds(node: Node) -> set[str]:
    """What an expression reads of a pool that may be asked of a node: `labels`, and lists by name."""
    return {
        each.field
        for each in walk(node)
        if isinstance(each, (Select, Has))
        and _is_pool(each.operand)
        and (each.field == "labels" or each.field in WORD_OF)
    }


def _is_pool(node: Node) -> bool:
    return isinstance(node, Ident) and node.name in ("pool", ".pool")


class _NotOfANodeError(Exception):
    """An expression reads what the nodes of a pool have together. It does not leave this module."""


def _asked(node: Node) -> Node:
    match node:
        case Select(operand=Ident(name="pool" | ".pool") as pool, field="labels"):
            return replace(node, operand=replace(pool, name="node"))
        case Call(
            function="@in", args=(element, Select(operand=Ident(name="pool" | ".pool"), field=field) as listed)
        ) if field in WORD_OF:
            own = _own(listed)
            return Call(
                start=node.start, end=node.end, type=BOOL, function="_==_", target=None, args=(_asked(element), own)
            )
        case Comprehension(
            macro="all" | "exists",
            range=Select(operand=Ident(name="pool" | ".pool"), field=field) as listed,
            variables=(variable,),
            body=(body,),
        ) if field in WORD_OF:
            return _asked(substituted(body, variable, _own(listed)))
        case Ident(name="pool" | ".pool"):
            raise _NotOfANodeError
        case Select(operand=Ident(name="pool" | ".pool"), field=field) if field in WORD_OF:
            raise _NotOfANodeError
        case Select(operand=Ident(name="pool" | ".pool")) | Has(operand=Ident(name="pool" | ".pool")):
            return node
        case _:
            return rebuilt(node, _asked)


def _own(listed: Select) -> Select:
    """`node.zone` for `pool.zones`."""
    assert isinstance(listed.operand, Ident)
    return replace(listed, operand=replace(listed.operand, name="node"), field=WORD_OF[listed.field], type=STRING)
