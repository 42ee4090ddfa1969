"""What expressions say, apart from how they are written: so that a bundle's revisions can be compared by meaning.

An expression is read as a proposition: `&& || !` and `?:` over atoms, which are comparisons and the like in one
spelling. What variables say stands in their place, macros' variables have no names of their own, `a != b` is
`!(a == b)`, `x in ["a", "b"]` is `x == "a" || x == "b"`, and what either side of `==` is does not matter. Atoms are
true, false or an error, each by itself. Two propositions over the same atoms that agree on all of these are the same,
whatever the pod, the pool and the node; where they are not, nothing is said: atoms may depend on each other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TypeAlias

from engine.analysis.stage import PARSING
from engine.bundle import Bundle, Named
from engine.documents import Excerpt
from engine.language import (
    Bind,
    Budget,
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
    children,
    parse,
    shape,
    walk,
)
from engine.struct import Struct

Truth: TypeAlias = bool | None
"""True, false, or None for an error."""
MAX_ATOMS = 7
"""Propositions over more atoms are compared as texts alone: all their truths would be too many to try."""
LONG = 160
"""A text longer than that is told apart by its digest."""
TRYING = 2
"""What one truth of one atom costs, in units."""
_SWAPPED = {"_>_": "_<_", "_>=_": "_<=_"}
_OPEN_MAPS = ("labels", "annotations")


class Atom(Struct, frozen=True):
    """The smallest part of a proposition, by its text."""

    text: str


class Constant(Struct, frozen=True):
    """`true` or `false`."""

    value: bool


class Denied(Struct, frozen=True):
    """`!inner`."""

    inner: Proposition


class All(Struct, frozen=True):
    """All of these: `&&`, in which false outweighs an error. `a || b` is a Denied one of both denied."""

    parts: tuple[Proposition, ...]


class Either(Struct, frozen=True):
    """`test ? yes : no`."""

    test: Proposition
    yes: Proposition
    no: Proposition


Proposition: TypeAlias = Atom | Constant | Denied | All | Either


def any_of(parts: Iterable[Proposition]) -> Proposition:
    """Any of these: `||`, in which true outweighs an error."""
    return Denied(All(tuple(map(Denied, parts))))


def conjuncts(one: Proposition) -> tuple[Proposition, ...]:
    """What is said all together."""
    return tuple(part for each in one.parts for part in conjuncts(each)) if isinstance(one, All) else (one,)


def text_of(one: Proposition) -> str:
    """A text that propositions share which differ in the order of their parts, in repetitions, and in `!!`, only."""
    match one:
        case Atom(text=text):
            return text
        case Constant(value=value):
            return str(value)
        case Denied(inner=Denied(inner=inner)):
            return text_of(inner)
        case Denied(inner=Constant(value=value)):
            return str(not value)
        case Denied(inner=inner):
            return f"!({text_of(inner)})"
        case All():
            parts = sorted({text_of(part) for part in conjuncts(one)})
            return parts[0] if len(parts) == 1 else f"all({','.join(parts)})"
        case Either():
            return f"({text_of(one.test)}?{text_of(one.yes)}:{text_of(one.no)})"


def atoms_of(one: Proposition) -> frozenset[str]:
    """The texts of its atoms."""
    match one:
        case Atom(text=text):
            return frozenset((text,))
        case Constant():
            return frozenset()
        case Denied():
            return atoms_of(one.inner)
        case All():
            return frozenset().union(*map(atoms_of, one.parts))
        case Either():
            return atoms_of(one.test) | atoms_of(one.yes) | atoms_of(one.no)


def truth_of(one: Proposition, atoms: Mapping[str, Truth]) -> Truth:
    """What it is where its atoms are this, as CEL has it."""
    match one:
        case Atom(text=text):
            return atoms[text]
        case Constant(value=value):
            return value
        case Denied():
            inner = truth_of(one.inner, atoms)
            return None if inner is None else not inner
        case All():
            truths = [truth_of(part, atoms) for part in one.parts]
            return False if False in truths else None if None in truths else True
        case Either():
            test = truth_of(one.test, atoms)
            return None if test is None else truth_of(one.yes if test else one.no, atoms)


def same(a: Proposition, b: Proposition, meter: Budget, *, errors: bool) -> bool:
    """Whether two propositions are certainly the same; where `errors` do not matter, an error is as good as false."""
    if text_of(a) == text_of(b):
        return True
    atoms = sorted(atoms_of(a))
    if len(atoms) > MAX_ATOMS or atoms_of(b) != frozenset(atoms):
        return False
    meter.spend(TRYING * len(atoms) * 3 ** len(atoms))
    for truths in product((True, False, None), repeat=len(atoms)):
        given = dict(zip(atoms, truths, strict=True))
        one, other = truth_of(a, given), truth_of(b, given)
        if one is not other and (errors or True in (one, other)):
            return False
    return True


class Sayings:
    """What the expressions of one bundle say. Each is read at the expense of a meter."""

    def __init__(self, bundle: Bundle, meter: Budget) -> None:
        self._bundle, self._meter = bundle, meter
        self._variables: dict[str, Node] = {}
        self._known: dict[str, Proposition] = {}
        self._texts: dict[str, str] = {}

    def about(self, variables: Sequence[Named]) -> None:
        """From now on, expressions are those of somebody with these variables."""
        parsed = {named.name: self._parsed(named.excerpt) for named in variables}
        self._variables = {name: node for name, node in parsed.items() if node is not None}
        self._known, self._texts = {}, {}

    def of(self, excerpt: Excerpt) -> Proposition:
        """What an expression says."""
        if excerpt.value not in self._known:
            node = self._parsed(excerpt)
            self._known[excerpt.value] = Atom(f"unread {excerpt.value}") if node is None else self._proposition(node)
        return self._known[excerpt.value]

    def text(self, excerpt: Excerpt) -> str:
        """What an expression says that is no proposition."""
        node = self._parsed(excerpt)
        return f"unread {excerpt.value}" if node is None else self._text(node, {})

    def params_read(self, excerpts: Iterable[Excerpt]) -> frozenset[str]:
        """The constants that expressions read; `*` where some are computed."""
        found: set[str] = set()
        for excerpt in excerpts:
            node = self._parsed(excerpt) if "params" in excerpt.value else None
            every, named = 0, 0
            for each in walk(node) if node else ():
                every += isinstance(each, Ident) and each.name.removeprefix(".") == "params"
                name = _param(each)
                if name is not None:
                    named += 1
                    found.add(name)
            found |= {"*"} if every > named else set()
        return frozenset(found)

    def _parsed(self, excerpt: Excerpt) -> Node | None:
        self._meter.spend(PARSING * len(excerpt.value))
        return parse(excerpt)[0]

    def _proposition(self, node: Node, names: Mapping[str, str] | None = None) -> Proposition:
        """`names` are what macros' variables are called here, by what they are called there."""
        names = names or {}
        match node:
            case Literal(value=bool() as value):
                return Constant(value)
            case Call(function="!_", args=(inner,)):
                return Denied(self._proposition(inner, names))
            case Call(function="_&&_", args=(left, right)):
                return All((self._proposition(left, names), self._proposition(right, names)))
            case Call(function="_||_", args=(left, right)):
                return any_of((self._proposition(left, names), self._proposition(right, names)))
            case Call(function="_?_:_", args=(test, yes, no)):
                return Either(*(self._proposition(part, names) for part in (test, yes, no)))
            case Call(function="_!=_", args=(left, right)):
                return Denied(Atom(self._equation(left, right, names)))
            case Call(function="@in", args=(left, right)) if (values := self._listed(right, names)) is not None:
                said = self._text(left, names)
                return any_of(Atom(_equation(said, value)) for value in sorted(set(values)))
            case Select(operand=Ident(name="variables" | ".variables"), field=name) if self._is_variable(node, names):
                return self._proposition(self._variables[name])
        return Atom(self._text(node, names))

    def _is_variable(self, node: Select, names: Mapping[str, str]) -> bool:
        return node.field in self._variables and "variables" not in names and not node.optional

    def _equation(self, left: Node, right: Node, names: Mapping[str, str]) -> str:
        return _equation(self._text(left, names), self._text(right, names))

    def _listed(self, node: Node, names: Mapping[str, str]) -> list[str] | None:
        """The texts of a list's elements, where they are constants and there are some."""
        if isinstance(node, ListLiteral):
            plain = all(isinstance(each, Literal) for each in node.elements) and not any(node.optional)
            return [self._text(each, names) for each in node.elements] if plain and node.elements else None
        name = _param(node)
        given = self._bundle.params.get(name) if name is not None and "params" not in names else None
        if isinstance(given, list | tuple) and given and all(isinstance(each, str) for each in given):
            return [f"str:{each!r}" for each in given]
        return None

    def _text(self, node: Node, names: Mapping[str, str]) -> str:
        """What a part says, in one spelling."""
        self._meter.spend(1)
        text = self._spelled(node, names)
        return text if len(text) <= LONG else f"#{hashlib.sha256(text.encode()).hexdigest()}"

    def _spelled(self, node: Node, names: Mapping[str, str]) -> str:
        match node:
            case Ident(name=name):
                return names.get(name) or self._root(name.removeprefix("."))
            case Select(operand=Ident(name="variables" | ".variables"), field=own) if self._is_variable(node, names):
                return self._variable(own)
            case Select() | Index() if "params" not in names and (read := _param(node)) is not None:
                return self._param(read)
            case Select(operand=operand, field=field, optional=optional):
                return f"({self._text(operand, names)})[{'?' if optional else ''}str:{field!r}]"
            case Index(operand=operand, index=index, optional=optional):
                return f"({self._text(operand, names)})[{'?' if optional else ''}{self._text(index, names)}]"
            case Has(operand=Select(field=outer) as operand, field=field) if outer in _OPEN_MAPS:
                return f"@in(str:{field!r},{self._text(operand, names)})"
            case Has(operand=operand, field=field):
                return f"has({self._text(operand, names)}).{field!r}"
            case Call():
                return self._called(node, names)
            case Literal():
                return shape(node)
        return self._composed(node, names)

    def _composed(self, node: Node, names: Mapping[str, str]) -> str:
        match node:
            case Comprehension(range=range_, variables=variables, body=body):
                inner = _bound(names, variables)
                said = [self._text(part, inner) for part in body]
                return f"{node.macro}/{len(variables)}({self._text(range_, names)};{','.join(said)})"
            case OptionalMap(target=target, variable=variable, body=body):
                said = [self._text(target, names), self._text(body, _bound(names, (variable,)))]
                return f"optMap{node.flat}({';'.join(said)})"
            case Bind(variable=variable, value=value, body=body):
                return f"bind({self._text(value, names)};{self._text(body, _bound(names, (variable,)))})"
            case ListLiteral(elements=elements, optional=optional):
                return f"[{','.join(self._text(each, names) for each in elements)}|{optional}]"
            case MapLiteral(entries=entries):
                said = [f"{self._text(k, names)}:{self._text(v, names)}:{optional}" for k, v, optional in entries]
                return f"{{{','.join(said)}}}"
        return f"{shape(node)}|{','.join(self._text(child, names) for child in children(node))}"

    def _called(self, node: Call, names: Mapping[str, str]) -> str:
        match node:
            case Call(function="_&&_" | "_||_" | "!_" | "_!=_" | "_?_:_"):
                return text_of(self._proposition(node, names))
            case Call(function="@in", args=(_, right)) if self._listed(right, names) is not None:
                return text_of(self._proposition(node, names))
            case Call(function="_==_", args=(left, right)):
                return self._equation(left, right, names)
        args = [self._text(each, names) for each in (*((node.target,) if node.target else ()), *node.args)]
        swapped = _SWAPPED.get(node.function)
        if swapped:
            return f"{swapped}({','.join(reversed(args))})"
        return f"{node.function}({','.join(args)})"

    def _variable(self, name: str) -> str:
        if name not in self._texts:
            self._texts[name] = self._text(self._variables[name], {})
        return self._texts[name]

    def _param(self, name: str) -> str:
        """A constant by its value: a text as if it stood there itself."""
        given = self._bundle.params.get(name)
        if isinstance(given, str):
            return f"str:{given!r}"
        schema = self._bundle.params_schema.properties.get(name) if self._bundle.params_schema else None
        return f"params.{name}={_json(given)}:{schema!r}"

    def _root(self, name: str) -> str:
        """A variable by its name; constants, as a whole, by what they are."""
        if name != "params":
            return name
        return f"params={_json(self._bundle.params)}:{self._bundle.params_schema!r}"


def _equation(left: str, right: str) -> str:
    return f"_==_({','.join(sorted((left, right)))})"


def _bound(names: Mapping[str, str], variables: Sequence[str]) -> dict[str, str]:
    """Macros' variables are called by how deep inside they are."""
    first = 1 + max((int(own.removeprefix("$")) for own in names.values()), default=-1)
    return {**names, **{name: f"${first + i}" for i, name in enumerate(variables)}}


def _param(node: Node) -> str | None:
    """The constant that a part reads, `params.x` or `params["x"]`."""
    match node:
        case Select(operand=Ident(name="params" | ".params"), field=name, optional=False):
            return name
        case Index(operand=Ident(name="params" | ".params"), index=Literal(value=str(name)), optional=False):
            return name
    return None


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else str(value)
