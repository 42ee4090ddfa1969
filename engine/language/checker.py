"""Types: every node of a tree gets its type, and whatever can be known to fail is refused before it runs.

As strict as the API server's checker: `1 == 1.0` and a list of strings and ints are errors, and `dyn()` leaves a
question to run time. All mistakes of an expression are collected; a part that has been complained about is of type
ERROR, which fits everywhere, so that one mistake is one complaint.

The rules for all kinds of nodes stand in one file, as methods of one class: they call each other as deep as the tree
goes, and share the type parameters, the scope and the problems. The words of the problems are in `mistakes.py`, the
rules of type parameters in `unify.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from engine.documents import Excerpt, Problem, Span
from engine.language import mistakes
from engine.language.dispatch import FOLDING, charged, fold
from engine.language.functions import OVERLOADS
from engine.language.functions.formatting import check_format
from engine.language.mistakes import said
from engine.language.overload import Overload
from engine.language.parser import MACROS
from engine.language.regex import MAX_PRICE, compile_pattern, price
from engine.language.syntax import (
    OPERATORS,
    Bind,
    Call,
    Comprehension,
    Has,
    Ident,
    Index,
    ListLiteral,
    Literal,
    MapLiteral,
    Node,
    OptionalMap,
    Select,
    StructLiteral,
    qualified,
    replace,
)
from engine.language.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    ERROR,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    ObjectType,
    Type,
    TypeParameter,
    list_of,
    map_of,
    optional_of,
    type_of,
)
from engine.language.unguarded import unguarded
from engine.language.unify import Unifier, certain, settled
from engine.language.values import NO_VALUE, Budget, BudgetExceeded, CelError, Uint

TYPE_NAMES: Mapping[str, Type] = {
    **{type_.name: type_ for type_ in (BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, DYN, TIMESTAMP, DURATION)},
    "list": list_of(DYN),
    "map": map_of(DYN, DYN),
    "type": type_of(DYN),
    "optional_type": optional_of(DYN),
}
"""The names of types, which are values too: `type(1) == int`."""

_CONSTANTS: Mapping[type, Type] = {
    bool: BOOL,
    int: INT,
    Uint: UINT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
    type(None): NULL,
}
_SYMBOLS = {function: symbol for symbol, function in OPERATORS.items()} | {"!_": "!", "-_": "-"}
_KEYS = frozenset((STRING, INT, UINT, BOOL, DYN, ERROR))
_SORTABLE = frozenset((BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION, DYN, ERROR))
_NUMBERS = frozenset((INT, UINT, DOUBLE))
_PATTERNS = frozenset(("matches", "find", "findAll"))
_Scope = Mapping[str, Type]
_Node = TypeVar("_Node", bound=Node)


def check(
    node: Node,
    excerpt: Excerpt,
    variables: Mapping[str, Type],
    *,
    result: Type | None = None,
    given: Iterable[Node] = (),
    strict: bool = True,
) -> tuple[Node, tuple[Problem, ...]]:
    """The tree with types, and everything that is wrong with it: errors, and warnings.

    `variables` are the names that the expression may use, and their types. `result` is the type that it must have;
    DOUBLE stands for any number. `dyn` is no bool: as in Kubernetes, a condition must be known to be one. `given` are
    conditions that hold wherever the expression is evaluated: a field that they ask for may be read. Without `strict`
    the rules are cel-spec's and not Kubernetes': literals may be mixed, and a constant that fails does so at run time.
    """
    checker = _Checker(excerpt, variables, strict)
    typed = checker.visit(node, {})
    typed = _settled(typed) if checker.types.asked else typed
    checker.result(typed, result)
    problems = [*checker.problems, *(_unguarded(excerpt, select) for select in unguarded(typed, given))]
    return typed, tuple(problems)


def _unguarded(excerpt: Excerpt, select: Select) -> Problem:
    path, operand = excerpt.value[select.start : select.end], excerpt.value[select.start : select.operand.end]
    safe = f"{operand}.?{select.field}"
    span = excerpt.span(select.at, select.end)
    owner = select.operand.type
    title = owner.others.title if isinstance(owner, ObjectType) and owner.others else said(owner)
    return mistakes.unguarded_optional(span, title, select.field, path, safe)


def _settled(node: _Node) -> _Node:
    """The tree with `dyn` for what nothing has determined, such as the elements of `[]`."""
    changes: dict[str, Any] = {}
    for field in node.__struct_fields__:
        before = getattr(node, field)
        after = settled(before) if field == "type" else _settled_part(before)
        if after is not before and after != before:
            changes[field] = after
    return replace(node, **changes) if changes else node


def _settled_part(part: Any) -> Any:
    if isinstance(part, Node):
        return _settled(part)
    return tuple(_settled_part(inner) for inner in part) if isinstance(part, tuple) else part


class _Checker:
    """The state of checking one expression: what its type parameters stand for, and what is wrong so far."""

    def __init__(self, excerpt: Excerpt, variables: Mapping[str, Type], strict: bool) -> None:
        self.excerpt = excerpt
        self.variables = variables
        self.types = Unifier()
        self.problems: list[Problem] = []
        self.strict = strict
        self.patterns = 0
        self.mixed_allowed = not strict

    def visit(self, node: Node, scope: _Scope) -> Node:
        typed: Node = getattr(self, f"visit_{type(node).__name__.lower()}")(node, scope)
        type_ = self.types.resolved(typed.type)
        return typed if type_ is typed.type else replace(typed, type=type_)

    def result(self, node: Node, wanted: Type | None) -> None:
        found = node.type
        if wanted is None or found in (ERROR, wanted):
            return
        if wanted == BOOL:
            self.problems.append(mistakes.not_bool(self.span(node), "the expression", found))
        elif not self.types.fits((found,), (wanted,)) and not (wanted == DOUBLE and found in _NUMBERS):
            self.problems.append(mistakes.wrong_result(self.span(node), wanted, found))

    def span(self, node: Node) -> Span:
        return self.excerpt.span(node.start, node.end)

    def span_at(self, at: int, name: str) -> Span:
        return self.excerpt.span(at, at + len(name))

    def fail(self, problem: Problem) -> Type:
        self.problems.append(problem)
        return ERROR

    def visit_literal(self, node: Literal, scope: _Scope) -> Node:  # noqa: ARG002 - all visitors have one shape
        return replace(node, type=_CONSTANTS[type(node.value)])

    def visit_ident(self, node: Ident, scope: _Scope) -> Node:
        if node.name in scope:
            return replace(node, type=scope[node.name])
        name = node.name.removeprefix(".")
        type_ = self.variables.get(name) or (type_of(TYPE_NAMES[name]) if name in TYPE_NAMES else None)
        if type_ is None:
            type_ = self.fail(mistakes.unknown_variable(self.span(node), name, {*self.variables, *scope}))
        return replace(node, name=node.name if name in scope else name, type=type_)

    def visit_select(self, node: Select, scope: _Scope) -> Node:
        whole = self.qualified_name(node, scope)
        if whole is not None:
            return self.visit_ident(Ident(start=node.start, end=node.end, name=whole), {})
        operand = self.visit(node.operand, scope)
        inside, optional = self.unwrapped(operand.type)
        type_ = self.member(inside, node)
        if (optional or node.optional) and type_ != ERROR:
            type_ = type_ if optional and type_.name == "optional_type" and not node.optional else optional_of(type_)
        return replace(node, operand=operand, type=type_)

    def qualified_name(self, node: Select, scope: _Scope) -> str | None:
        """`google.protobuf.Timestamp`: a name with dots that stands for one thing."""
        name = qualified(node)
        if name is None or name.split(".", 1)[0] in scope:
            return None
        name = name.removeprefix(".")
        return name if name in self.variables or name in TYPE_NAMES else None

    def visit_has(self, node: Has, scope: _Scope) -> Node:
        operand = self.visit(node.operand, scope)
        self.member(self.unwrapped(operand.type)[0], node)
        return replace(node, operand=operand, type=BOOL)

    def unwrapped(self, type_: Type) -> tuple[Type, bool]:
        if type_.name == "optional_type":
            return self.types.resolved(type_.parameters[0]), True
        return type_, False

    def member(self, owner: Type, node: Select | Has) -> Type:
        """The type of a field of an object, or of a map's value."""
        span = self.span_at(node.at, self.excerpt.value[node.at : node.end].rstrip(") \t\n") or node.field)
        if self.excerpt.value.startswith("`", node.at):
            self.problems.append(mistakes.backquoted(span, node.field))
        if isinstance(owner, ObjectType):
            return owner.member(node.field) or self.fail(mistakes.unknown_field(span, owner, node.field))
        if owner == ERROR:
            return ERROR
        if owner.name == "map":
            if self.types.fits((STRING,), (owner.parameters[0],)):
                return owner.parameters[1]
            return self.fail(mistakes.wrong_index(span, owner, owner.parameters[0], STRING))
        if self.types.fits((owner,), (DYN,)) and (owner == DYN or isinstance(owner, TypeParameter)):
            return DYN
        return self.fail(mistakes.no_fields(span, owner, node.field))

    def visit_index(self, node: Index, scope: _Scope) -> Node:
        operand, index = self.visit(node.operand, scope), self.visit(node.index, scope)
        inside, optional = self.unwrapped(operand.type)
        type_ = self.element(inside, index)
        if inside.name == "list" and self.strict and not node.optional:
            self.constant_index(operand, index)
        if (optional or node.optional) and type_ != ERROR:
            type_ = optional_of(type_)
        return replace(node, operand=operand, index=index, type=type_)

    def element(self, owner: Type, index: Node) -> Type:
        if owner == ERROR:
            return ERROR
        if owner == DYN or isinstance(owner, TypeParameter):
            return DYN if owner == DYN else self.types.fresh()
        if owner.name not in ("list", "map"):
            constant = index.value if isinstance(index, Literal) and isinstance(index.value, str) else None
            return self.fail(mistakes.not_indexable(self.span(index), owner, constant))
        wanted = INT if owner.name == "list" else owner.parameters[0]
        if not self.types.fits((index.type,), (wanted,)):
            return self.fail(mistakes.wrong_index(self.span(index), owner, wanted, index.type))
        if isinstance(owner, ObjectType) and isinstance(index, Literal):
            key = str(index.value)
            return owner.member(key) or self.fail(mistakes.unknown_field(self.span(index), owner, key))
        return self.types.resolved(owner.parameters[-1])

    def constant_index(self, operand: Node, index: Node) -> None:
        if not isinstance(index, Literal) or not isinstance(index.value, int):
            return
        size = len(operand.elements) if isinstance(operand, ListLiteral) and not any(operand.optional) else None
        if index.value < 0 or (size is not None and index.value >= size):
            self.problems.append(mistakes.index_out_of_range(self.span(index), index.value, size))

    # --- calls

    def visit_call(self, node: Call, scope: _Scope) -> Node:
        node = self.namespaced(node, scope)
        outer, self.mixed_allowed = self.mixed_allowed, self.mixed_allowed or node.function == "format"
        target = None if node.target is None else self.visit(node.target, scope)
        arguments = tuple(self.visit(argument, scope) for argument in node.args)
        self.mixed_allowed = outer
        node = replace(node, target=target, args=arguments)
        operator = _OPERATORS.get(node.function)
        if operator is not None and target is None:
            return operator(self, node)
        return self.resolve(node)

    def namespaced(self, node: Call, scope: _Scope) -> Call:
        """`optional.of(x)` is a function with a long name, not a method of something called `optional`."""
        name = None if node.target is None else qualified(node.target)
        if name is None or name.split(".", 1)[0] in scope:
            return node
        name = name.removeprefix(".")
        if f"{name}.{node.function}" in OVERLOADS or (name not in self.variables and name in _NAMESPACES):
            return replace(node, function=f"{name}.{node.function}", target=None)
        return node

    def logical(self, node: Call) -> Node:
        symbol = _SYMBOLS[node.function]
        for operand in node.args:
            if not self.types.fits((operand.type,), (BOOL,)):
                place = f"{'the' if symbol == '!' else 'this'} operand of `{symbol}`"
                self.problems.append(mistakes.not_bool(self.span(operand), place, operand.type))
        return self.settle(node, BOOL)

    def conditional(self, node: Call) -> Node:
        condition, then, otherwise = node.args
        if not self.types.fits((condition.type,), (BOOL,)):
            self.problems.append(mistakes.not_bool(self.span(condition), "the condition of `? :`", condition.type))
        type_ = self.types.join(then.type, otherwise.type)
        if type_ is None:
            span = self.excerpt.span(then.start, otherwise.end)
            type_ = self.fail(mistakes.branches_differ(span, then.type, otherwise.type))
        return self.settle(node, ERROR if ERROR in (then.type, otherwise.type) else type_)

    def equality(self, node: Call) -> Node:
        left, right = node.args
        if not self.types.fits((left.type,), (right.type,)) and not self.types.fits((right.type,), (left.type,)):
            symbol = _SYMBOLS[node.function]
            span = self.span_at(node.at, symbol)
            hint = _quoting_hint(left, right) or _equality_hint(left.type, right.type)
            self.problems.append(mistakes.never_equal(span, symbol, left.type, right.type, hint))
        return self.settle(node, BOOL)

    def membership(self, node: Call) -> Node:
        left, right = node.args
        kind = right.type.name
        if kind in ("list", "map"):
            if isinstance(right.type, ObjectType) and isinstance(left, Literal) and left.type == STRING:
                self.element(right.type, left)
            if not self.types.fits((left.type,), (right.type.parameters[0],)):
                inside = right.type.parameters[0]
                hint = _equality_hint(left.type, inside)
                self.problems.append(mistakes.never_equal(self.span_at(node.at, "in"), "in", left.type, inside, hint))
        elif right.type not in (DYN, ERROR) and not isinstance(right.type, TypeParameter):
            hint = "did you mean `text.contains(part)`?" if right.type == STRING else ""
            if left.type.name in ("list", "map") and right.type in (*_KEYS, STRING):
                texts = (self.excerpt.value[each.start : each.end] for each in (right, left))
                hint = "swap the sides: `{} in {}`".format(*texts)
            span = self.span(right)
            self.problems.append(
                mistakes.wrong_operands(
                    span, "in", (left.type, right.type), ("element in list", "key in map"), hint or _unwrap(right.type)
                )
            )
        return self.settle(node, BOOL)

    def settle(self, node: Call, type_: Type) -> Node:
        """An operator whose types have been looked at: the overload, if only one of them can be meant."""
        overloads = OVERLOADS.get(node.function, ())
        if node.function == "@in":
            overloads = tuple(o for o in overloads if o.parameters[1].name == node.args[1].type.name)
        found = [argument.type for argument in node.args]
        sure = len(overloads) == 1 and all(map(certain, found, overloads[0].parameters))
        return replace(node, type=type_, overload=overloads[0].id if sure else "")

    def resolve(self, node: Call) -> Node:
        """A call whose arguments have types: which overloads it may mean, and so its own type."""
        arguments = node.args if node.target is None else (node.target, *node.args)
        found = [argument.type for argument in arguments]
        known = OVERLOADS.get(node.function, ())
        candidates = [overload for overload in known if overload.method == (node.target is not None)]
        if not candidates:
            return replace(node, type=ERROR if self.silent(node) else self.fail(self.unknown(node, bool(known))))
        matching, type_ = self.matching(candidates, found)
        if not matching:
            return replace(node, type=self.fail(self.mismatch(node, candidates, arguments)))
        if not any(overload.kubernetes for overload in matching):
            name = node.function.rpartition(".")[2]
            self.problems.append(mistakes.not_in_kubernetes(self.span_at(node.at, name), node.function))
        only = matching[0] if len(matching) == 1 and all(map(certain, found, matching[0].parameters)) else None
        if self.strict:
            self.constant_call(node, matching, arguments)
        if type_ == DYN and ERROR in found:
            type_ = ERROR
        return replace(node, type=type_, overload=only.id if only else "")

    def matching(self, candidates: Iterable[Overload], found: Sequence[Type]) -> tuple[list[Overload], Type]:
        matching: list[Overload] = []
        results: list[Type] = []
        for overload in candidates:
            if len(overload.parameters) != len(found):
                continue
            *parameters, result = self.types.instance((*overload.parameters, overload.result))
            if self.types.fits(found, parameters):
                matching.append(overload)
                results.append(self.types.resolved(result))
        same = all(result == results[0] for result in results[1:])
        return matching, (results[0] if results and same else DYN)

    def silent(self, node: Call) -> bool:
        """Whether a mistake in the receiver has been reported, so that its methods can't be known."""
        return node.target is not None and node.target.type == ERROR

    def unknown(self, node: Call, other: bool) -> Problem:
        name = node.function
        span = self.span_at(node.at, name.rpartition(".")[2])
        method = node.target is not None
        known = {function for function, overloads in OVERLOADS.items() if any(o.method == method for o in overloads)}
        known = {function for function in known if function not in _SYMBOLS and function[0].isalpha()}
        hint = ""
        if other:
            hint = f"it is a function: `{name}(…)`" if method else f"it is a method: `value.{name}(…)`"
        elif not method and name in MACROS:
            hint = f"it is a method: `list.{name}(…)`"
        elif method and name in _MEMBERSHIP:
            hint = "whether something is in a list or map is asked with `in`: `x in list`"
        elif method and name == "has":
            hint = "it is a function: `has(object.field)`"
        return mistakes.unknown_function(span, name, method, known | MACROS, hint)

    def mismatch(self, node: Call, candidates: Sequence[Overload], arguments: Sequence[Node]) -> Problem:
        """What is wrong with a call that fits no signature: if one argument is to blame, that one."""
        found = [argument.type for argument in arguments]
        if node.function in _SYMBOLS:
            symbol = _SYMBOLS[node.function]
            partners = self.partners(symbol, candidates, found)
            return mistakes.wrong_operands(
                self.span_at(node.at, symbol), symbol, found, partners, _operand_hint(symbol, found)
            )
        signatures = [signature(candidate) for candidate in candidates]
        same_count = [candidate for candidate in candidates if len(candidate.parameters) == len(found)]
        method = node.target is not None
        span = self.span_at(node.at, node.function.rpartition(".")[2])
        guilty = [i for i in range(len(found)) if not any(self.accepts(c, i, found[i]) for c in same_count)]
        if not same_count or not guilty:
            return mistakes.no_matching_overload(span, node.function, found[method:], signatures)
        first = guilty[0]
        hint = _unwrap(found[first])
        what = "the receiver" if method and first == 0 else f"argument {first + (not method)}"
        place = span if method and first == 0 else self.span(arguments[first])
        return mistakes.wrong_argument(place, node.function, what, found[first], signatures, hint)

    def accepts(self, candidate: Overload, position: int, found: Type) -> bool:
        (wanted,) = self.types.instance((candidate.parameters[position],))
        return Unifier().fits((found,), (wanted,))

    def partners(self, symbol: str, candidates: Sequence[Overload], found: Sequence[Type]) -> list[str]:
        """What could stand there: the pairs of operands that the operator takes beside its left one."""
        if len(found) == 1:
            return [f"{symbol}{said(candidate.parameters[0])}" for candidate in candidates]
        near = [candidate for candidate in candidates if self.accepts(candidate, 0, found[0])] or [
            candidate for candidate in candidates if self.accepts(candidate, 1, found[1])
        ]
        return [f"{said(c.parameters[0])} {symbol} {said(c.parameters[1])}" for c in near[:4]]

    def constant_call(self, node: Call, matching: Sequence[Overload], arguments: Sequence[Node]) -> None:
        """What can be tried now, for it will fail each time: a conversion, a pattern, a format string, or a call with
        literals of a function that has this one signature.
        """
        problem: Problem | None = None
        if node.function == "format":
            problem = self.constant_format(node, arguments)
        elif node.function in _PATTERNS:
            pattern = _constant(arguments[1])
            if isinstance(pattern, str):
                problem = self.tried(arguments[1], lambda: self.compiled(pattern), mistakes.bad_pattern)
        elif node.function in _CONVERSIONS:
            value = _constant(arguments[0])
            if value is not NO_VALUE:
                problem = self.tried(node, lambda: fold(node.function, False, (value,)))
        elif len(matching) == 1 and node.function not in _SYMBOLS and matching[0].implementation is not None:
            values = [argument.value for argument in arguments if isinstance(argument, Literal)]
            if len(values) == len(arguments):
                problem = self.tried(node, lambda: charged(matching[0])(Budget(FOLDING), *values))
        self.problems += [problem] if problem else []

    def compiled(self, pattern: str) -> None:
        self.patterns += price(pattern)
        if self.patterns > MAX_PRICE:
            raise CelError("the patterns of this expression are too large together")
        compile_pattern(pattern)

    def tried(
        self, node: Node, attempt: Callable[[], object], mistake: Callable[[Span, str], Problem] | None = None
    ) -> Problem | None:
        """What is wrong with a constant part of the expression that fails when it is computed."""
        try:
            attempt()
        except CelError as error:
            if mistake is not None:
                return mistake(self.span(node), str(error))
            return mistakes.bad_constant(self.span(node), self.excerpt.value[node.start : node.end], str(error))
        except BudgetExceeded:
            pass
        return None

    def constant_format(self, node: Call, arguments: Sequence[Node]) -> Problem | None:
        """A format string that takes other arguments than the list that it is given."""
        template, values = arguments
        if not isinstance(template, Literal) or not isinstance(values, ListLiteral) or any(values.optional):
            return None
        types = [self.types.resolved(element.type) for element in values.elements]
        return self.tried(node, lambda: check_format(str(template.value), types))

    # --- aggregates

    def visit_listliteral(self, node: ListLiteral, scope: _Scope) -> Node:
        elements = tuple(self.visit(element, scope) for element in node.elements)
        inside = self.same(elements, node.optional, "element")
        return replace(node, elements=elements, type=list_of(inside))

    def visit_mapliteral(self, node: MapLiteral, scope: _Scope) -> Node:
        entries = tuple((self.visit(k, scope), self.visit(v, scope), optional) for k, v, optional in node.entries)
        for key, _, _ in entries:
            if key.type not in _KEYS and not isinstance(key.type, TypeParameter):
                self.problems.append(mistakes.bad_key(self.span(key), key.type))
        keys = self.same([key for key, _, _ in entries], [False] * len(entries), "key")
        values = self.same([value for _, value, _ in entries], [optional for _, _, optional in entries], "value")
        return replace(node, entries=entries, type=map_of(keys, values))

    def same(self, elements: Sequence[Node], optional: Sequence[bool], what: str) -> Type:
        """The one type of a literal's elements: mixed ones are refused as in Kubernetes, but for `format`'s list."""
        joined: Type | None = None
        for element, question in zip(elements, optional, strict=True):
            type_ = self.inside_optional(element, what) if question else element.type
            if type_ == ERROR or joined == ERROR:
                joined = ERROR
                continue
            first, joined = joined, type_ if joined is None else self.types.join(joined, type_)
            equal = first is None or self.types.resolved(first) == self.types.resolved(type_)
            if equal or (self.mixed_allowed and joined is not None):
                continue
            if self.mixed_allowed:
                joined = DYN
            else:
                joined = self.fail(mistakes.mixed_literal(self.span(element), what, first or DYN, type_))
        return self.types.fresh() if joined is None else DYN if joined == ERROR else self.types.resolved(joined)

    def inside_optional(self, element: Node, what: str) -> Type:
        if element.type.name == "optional_type":
            return element.type.parameters[0]
        if element.type in (DYN, ERROR):
            return element.type
        return self.fail(mistakes.not_optional(self.span(element), f"the {what} after `?`", element.type))

    def visit_structliteral(self, node: StructLiteral, scope: _Scope) -> Node:
        for _, value, _ in node.entries:
            self.visit(value, scope)
        span = self.span_at(node.start, node.name)
        return replace(node, type=self.fail(mistakes.no_constructor(span, node.name)))

    # --- macros

    def visit_comprehension(self, node: Comprehension, scope: _Scope) -> Node:
        walked = self.visit(node.range, scope)
        if len(node.variables) == 1 and self.excerpt.value.startswith("existsOne", node.at):
            self.problems.append(mistakes.not_in_kubernetes(self.span_at(node.at, "existsOne"), "existsOne"))
        first, second = self.walk(node, walked)
        two = len(node.variables) == 2
        # one variable is a list's element or a map's key; of two, the first is a list's index or a map's key
        types = (first, second) if two else (first if walked.type.name == "map" else second,)
        inner = {**scope, **dict(zip(node.variables, types, strict=True))}
        *conditions, last = (self.visit(part, inner) for part in node.body)
        if node.macro in ("all", "exists", "exists_one", "filter"):
            conditions.append(last)
        for condition in conditions:
            if not self.types.fits((condition.type,), (BOOL,)):
                place = f"the condition of `{node.macro}`"
                self.problems.append(mistakes.not_bool(self.span(condition), place, condition.type))
        body = (*conditions, last) if len(conditions) < len(node.body) else tuple(conditions)
        return replace(node, range=walked, body=body, type=self.made(node, types, walked, last))

    def walk(self, node: Comprehension, walked: Node) -> tuple[Type, Type]:
        """The types of index and element, or of key and value, of what a macro walks over."""
        type_ = walked.type
        if type_.name == "map" and node.macro != "sortBy":
            return type_.parameters[0], type_.parameters[1]
        if type_.name == "list":
            return INT, type_.parameters[0]
        if type_ == ERROR:
            return ERROR, ERROR
        if type_ == DYN or isinstance(type_, TypeParameter):
            return DYN, DYN
        wanted = "a list" if node.macro == "sortBy" else "a list or a map"
        self.fail(mistakes.not_iterable(self.span_at(node.at, node.macro), node.macro, type_, wanted))
        return ERROR, ERROR

    def made(self, node: Comprehension, variables: Sequence[Type], walked: Node, last: Node) -> Type:
        """The type of what a macro makes."""
        match node.macro:
            case "filter":
                return list_of(variables[0])
            case "map" | "transformList":
                return list_of(last.type)
            case "transformMap":
                return map_of(variables[0], last.type)
            case "transformMapEntry":
                if last.type.name == "map" or last.type in (DYN, ERROR):
                    return last.type if last.type.name == "map" else map_of(DYN, DYN)
                return self.fail(mistakes.not_a_map(self.span(last), last.type))
            case "sortBy":
                if last.type not in _SORTABLE and not isinstance(last.type, TypeParameter):
                    self.problems.append(mistakes.not_sortable(self.span(last), last.type))
                return walked.type if walked.type.name == "list" else list_of(variables[0])
            case _:
                return BOOL

    def visit_optionalmap(self, node: OptionalMap, scope: _Scope) -> Node:
        target = self.visit(node.target, scope)
        inside = target.type.parameters[0] if target.type.name == "optional_type" else target.type
        name = "optFlatMap" if node.flat else "optMap"
        if target.type.name != "optional_type" and target.type not in (DYN, ERROR):
            self.problems.append(mistakes.not_optional(self.span(target), f"the receiver of `{name}`", target.type))
        body = self.visit(node.body, {**scope, node.variable: inside})
        type_ = optional_of(body.type)
        if node.flat:
            type_ = body.type
            if body.type.name != "optional_type" and body.type not in (DYN, ERROR):
                place = "the result of `optFlatMap`"
                type_ = self.fail(mistakes.not_optional(self.span(body), place, body.type))
        return replace(node, target=target, body=body, type=type_)

    def visit_bind(self, node: Bind, scope: _Scope) -> Node:
        self.problems.append(mistakes.not_in_kubernetes(self.span_at(node.start, "cel.bind"), "cel.bind"))
        value = self.visit(node.value, scope)
        body = self.visit(node.body, {**scope, node.variable: value.type})
        return replace(node, value=value, body=body, type=body.type)


_MEMBERSHIP = frozenset(("includes", "include", "contain", "containsKey", "has_key", "hasKey", "anyMatch", "isin"))

_OPERATORS = {
    "_&&_": _Checker.logical,
    "_||_": _Checker.logical,
    "!_": _Checker.logical,
    "_?_:_": _Checker.conditional,
    "_==_": _Checker.equality,
    "_!=_": _Checker.equality,
    "@in": _Checker.membership,
}
_CONVERSIONS = frozenset(("bool", "bytes", "double", "duration", "int", "string", "timestamp", "uint"))
_NAMESPACES = frozenset(name.rpartition(".")[0] for name in OVERLOADS if "." in name)


def _constant(node: Node) -> object:
    """The value of a literal, converted or not; NO_VALUE for anything else, and for what fails to convert."""
    if isinstance(node, Literal):
        return node.value
    if not isinstance(node, Call) or node.function not in (*_CONVERSIONS, "dyn") or len(node.args) != 1:
        return NO_VALUE
    inside = _constant(node.args[0])
    if inside is NO_VALUE or node.function == "dyn":
        return inside
    try:
        return fold(node.function, False, (inside,))
    except (CelError, BudgetExceeded):
        return NO_VALUE


def signature(overload: Overload) -> str:
    """`string.startsWith(string) -> bool`."""
    words = [said(parameter) for parameter in overload.parameters]
    receiver = f"{words.pop(0)}." if overload.method else ""
    return f"{receiver}{overload.function}({', '.join(words)}) -> {said(overload.result)}"


def _unwrap(type_: Type) -> str:
    return "it is an optional: `.orValue(…)` gives its value" if type_.name == "optional_type" else ""


def _quoting_hint(left: Node, right: Node) -> str:
    """What to do about a constant with quotes that should have none, or without."""
    for literal, other in ((left, right), (right, left)):
        if not isinstance(literal, Literal):
            continue
        value = literal.value
        if other.type == STRING and isinstance(value, (bool, int, float)):
            return f'put it in quotes, as labels and other texts are: `"{str(value).lower()}"`'
        if isinstance(value, str) and other.type in (*_NUMBERS, BOOL):
            bare = re.fullmatch(r"true|false" if other.type == BOOL else r"-?[0-9]+(\.[0-9]+)?", value)
            whole = f"{value}.0" if other.type == DOUBLE and "." not in value else value
            if bare and not (other.type == INT and "." in value):
                return f"leave out the quotes: `{whole}`"
    return ""


def _equality_hint(left: Type, right: Type) -> str:
    if _unwrap(left) or _unwrap(right):
        return _unwrap(left) or _unwrap(right)
    if NULL in (left, right):
        return "whether a field is there is asked with `has(…)`"
    if left in _NUMBERS and right in _NUMBERS:
        return "write the constant as `1` for int, `1u` for uint, `1.0` for double, or convert: `double(…)`"
    return ""


def _operand_hint(symbol: str, found: Sequence[Type]) -> str:
    kinds = set(found)
    hint = next((_unwrap(type_) for type_ in found if _unwrap(type_)), "")
    if hint:
        return hint
    if kinds <= _NUMBERS:
        return "`double(…)`, `int(…)` and `uint(…)` convert"
    if STRING in kinds and kinds & _NUMBERS:
        if symbol == "+":
            return "`string(…)` converts"
        return "`int(…)` converts a string of digits, and `quantity(…)` reads `500m` or `2Gi`"
    return ""
