"""What an expression may cost, said before it ever runs: in the units of Kubernetes, by its rules.

A unit is about 50 ns of the API server; reading a name costs 1, walking a string 0.1 a character, a regular expression
that times a quarter of its length (k8s.io/apiserver/pkg/cel/library/cost.go, cel-go's checker/cost.go). The number of
steps of a loop is what makes an expression expensive, so each value gets a size: those that stand in the expression or
in the bundle's constants have their own, and everything else that of a large pod:

- a list or map has at most LARGE elements, and those at one place of the pod (the environment variables of all
  containers, say) are at most PLACE together: walking a tree level by level costs less than two lists crosswise;
- a string has what Kubernetes allows where it has a limit (63 characters for a label's value), else TEXT.

Kubernetes takes a whole request of 3 MiB for each list instead, and refuses nearly every loop where an author gives no
limits in a schema of his own. A pod that is larger than assumed costs more, and the run-time budget is there for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import ceil, prod
from typing import Final

from engine.documents import Excerpt, Problem, Span
from engine.language.syntax import (
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
    children,
)
from engine.language.types import BYTES, DYN, STRING, ObjectType, Type
from engine.struct import Struct, field, replace

EXPRESSION_LIMIT = 1_000_000
POLICY_LIMIT = 10_000_000
"""Kubernetes' PerCallLimit and RuntimeCELCostBudget: of one expression, and of a policy's expressions together."""

LARGE, PLACE, TEXT = 64, 512, 256  # elements of a list or map, elements at one place, characters of a string
_ENDLESS = 1 << 62  # a cost that needs no counting any more
_NAMES = ("name", "nodeName", "schedulerName", "priorityClassName", "serviceAccountName", "serviceAccount", "hostname")
TEXTS: Mapping[str, int] = {
    **dict.fromkeys(_NAMES, 253),
    **{f"{owner}.name": 63 for owner in ("Container", "EphemeralContainer", "Volume", "VolumeMount", "VolumeDevice")},
    "ContainerPort.name": 15,
    **dict.fromkeys(("namespace", "labels", "matchLabels", "nodeSelector", "provider"), 63),
    **dict.fromkeys(("effect", "operator", "phase", "restartPolicy", "imagePullPolicy", "dnsPolicy", "kind"), 32),
    **dict.fromkeys(("key", "topologyKey", "keys of labels", "keys of matchLabels", "keys of nodeSelector"), 317),
    **dict.fromkeys(("keys of annotations", "keys of values", "keys of limits", "keys of requests"), 317),
    **dict.fromkeys(("zones", "regions", "architectures", "operatingSystems", "instanceTypes", "capacityTypes"), 63),
}
"""The longest strings that Kubernetes allows, by the field that holds them, or by its object and field."""


class Size(Struct, frozen=True):
    """How large a value may be: characters, bytes, elements or entries; 1 for what has none.

    `key` and `value` are the sizes of its elements, and `fields` of its fields, where something better is known than
    the type says. `name` is the field that the value was read from; `beside` how many values the loops around read at
    its place.
    """

    own: int
    type: Type = DYN
    key: Size | None = None
    value: Size | None = None
    fields: Mapping[str, Size] = field(default_factory=dict)
    name: str = ""
    beside: int = 1


SCALAR: Final = Size(1)


def size_of_type(type_: Type, name: str = "", beside: int = 1) -> Size:
    """The size of a value in a large pod or pool."""
    if type_.name == "optional_type":
        return size_of_type(type_.parameters[0], name, beside)
    if type_.name in ("list", "map"):
        return Size(max(1, min(LARGE, PLACE // beside)), type_, name=name, beside=beside)
    if type_ in (STRING, BYTES, DYN):
        return Size(TEXTS.get(name, TEXT), type_, name=name, beside=beside)
    return Size(1, type_, name=name, beside=beside)


def size_of_value(value: object, type_: Type = DYN) -> Size:
    """The size of a constant."""
    if isinstance(value, (str, bytes)):
        return Size(len(value), type_)
    if isinstance(value, Mapping):
        fields = {str(key): size_of_value(item) for key, item in value.items()}
        return Size(len(value), type_, _largest(map(size_of_value, value)), _largest(fields.values()), fields)
    if isinstance(value, (list, tuple)):
        return Size(len(value), type_, SCALAR, _largest(map(size_of_value, value)))
    return Size(1, type_)


def _largest(sizes: Iterable[Size | None]) -> Size:
    """A size that is none of theirs' less."""
    result: Size | None = None
    for size in sizes:
        if size is not None:
            result = size if result is None else _joined(result, size)
    return result or SCALAR


def _joined(a: Size, b: Size) -> Size:
    if not a.own or not b.own:
        return a if a.own else b
    larger = a if a.own >= b.own else b
    if a.value is None and b.value is None:
        return larger
    return replace(larger, key=_largest((a.key, b.key)), value=_largest((a.value, b.value)))


def _inside(size: Size, position: int, type_: Type, name: str, walked: bool) -> Size:
    while type_.name == "optional_type":
        type_ = type_.parameters[0]
    known = size.key if position == 0 else size.value
    if known is not None:
        return known
    if not type_.parameters:
        return size_of_type(DYN)
    beside = min(size.beside * size.own, PLACE) if walked else size.beside
    return size_of_type(type_.parameters[position], name, beside)


Loops = tuple[tuple[str, int], ...]
"""The loops around a part, from the outermost: the macro, and how many elements it may walk."""


class Share(Struct, frozen=True):
    """A part of an expression, what it costs by itself each time, and the loops that make it run often."""

    node: Node
    each: int
    loops: Loops

    @property
    def total(self) -> int:
        return min(self.each * prod(count for _, count in self.loops), _ENDLESS)


class Estimate(Struct, frozen=True):
    """The most that an expression may cost, the size of its value, and its most expensive part."""

    cost: int
    size: Size
    most: Share | None


def estimate(node: Node, roots: Mapping[str, Size]) -> Estimate:
    """What a checked expression may cost. `roots` are the sizes of variables; the types say those of the others."""
    estimator = _Estimator(roots)
    cost, size = estimator.visit(node, {}, ())
    most = max(estimator.shares, key=lambda share: share.total, default=None)
    return Estimate(min(cost, _ENDLESS), size, most)


def too_expensive(found: Estimate, excerpt: Excerpt) -> Problem | None:
    """The problem of an expression that may cost more than its limit."""
    if found.cost <= EXPRESSION_LIMIT or found.most is None:
        return None
    message = f"this expression may cost {_amount(found.cost)}, and {EXPRESSION_LIMIT:,} are allowed"
    node = found.most.node
    name = node.macro if isinstance(node, Comprehension) else node.function if isinstance(node, Call) else ""
    word = name.strip("_@")
    at = node.at if isinstance(node, (Comprehension, Call)) else node.start
    span = excerpt.span(at, at + len(word.rpartition(".")[2]))
    walks = ", ".join(f"`{macro}` over {_amount(count)}" for macro, count in found.most.loops)
    if walks:
        hint = (
            f"`{word}` costs {_amount(found.most.each)} here, each time, in {walks}: loop over less, or in fewer loops"
        )
    else:
        hint = f"`{word}` alone may cost {_amount(found.most.each)}"
    return Problem("too-expensive", message, span, hint=hint)


class Ledger:
    """The estimates of one policy's expressions, and the sizes of its variables."""

    def __init__(self, params: Mapping[str, object]) -> None:
        self._variables: dict[str, Size] = {}
        self._roots = {"params": size_of_value(params), "variables": Size(1, fields=self._variables)}
        self._costs: list[int] = []
        self._last = SCALAR

    def take(self, node: Node, excerpt: Excerpt) -> Iterator[Problem]:
        """Adds an expression; its problem if it may cost too much."""
        found = estimate(node, self._roots)
        self._costs.append(found.cost)
        self._last = found.size
        problem = too_expensive(found, excerpt)
        if problem:
            yield problem

    def name(self, variable: str) -> None:
        """Says that the expression that was added last is a variable's."""
        self._variables[variable] = self._last

    def close(self, owner: str, span: Span) -> Iterator[Problem]:
        """Ends a policy or exemption; its problem if its expressions, none of them too expensive, are so together."""
        total = sum(cost for cost in self._costs if cost <= EXPRESSION_LIMIT)
        self._costs.clear()
        self._variables.clear()
        if total > POLICY_LIMIT:
            limit = f"{POLICY_LIMIT:,} are allowed"
            message = f"the expressions of {owner} may cost {_amount(total)} together, and {limit}"
            yield Problem("too-expensive", message, span, hint="split the policy, or loop over less")


def _amount(number: int) -> str:
    return f"{number:,}" if number < 10**12 else "more than a million millions"


_Scope = Mapping[str, Size]
_Visited = tuple[int, Size]

_STEPS: Mapping[str, tuple[int, int]] = {
    "all": (1, 3),
    "exists": (1, 4),
    "exists_one": (2, 2),
    "map": (11, 12),
    "filter": (11, 13),
    "transformList": (11, 12),
    "transformMap": (31, 3),
    "transformMapEntry": (31, 2),
    "sortBy": (13, 14),
}
"""What a macro costs once and at each step beside its body, from what cel-go expands it to."""


class _Estimator:
    """Visits one expression; `shares` are the costs of its parts so far."""

    def __init__(self, roots: Mapping[str, Size]) -> None:
        self.roots = roots
        self.shares: list[Share] = []

    def visit(self, node: Node, scope: _Scope, loops: Loops) -> _Visited:
        """What a part costs each time, what is inside included, and the size of its value."""
        match node:
            case Literal():
                return 0, size_of_value(node.value, node.type)
            case Ident():
                return 1, scope.get(node.name) or self.roots.get(node.name) or size_of_type(node.type)
            case Select() | Has():
                cost, size = self.visit(node.operand, scope, loops)
                return cost + (0 if isinstance(node, Has) else 1), _member(size, node)
            case Index():
                (cost, size), (more, _) = self.visit(node.operand, scope, loops), self.visit(node.index, scope, loops)
                return cost + more + 1, _element(size, node)
            case ListLiteral() | MapLiteral():
                return self._literal(node, scope, loops)
            case Comprehension():
                return self._loop(node, scope, loops)
            case OptionalMap():
                cost, size = self.visit(node.target, scope, loops)
                more, inner = self.visit(node.body, {**scope, node.variable: size}, loops)
                return 2 * cost + more + 13, inner
            case Bind():
                cost, size = self.visit(node.value, scope, loops)
                more, inner = self.visit(node.body, {**scope, node.variable: size}, loops)
                return cost + more + 10, inner
            case Call():
                return self._call(node, scope, loops)
        return sum(self.visit(child, scope, loops)[0] for child in children(node)), size_of_type(node.type)

    def _literal(self, node: ListLiteral | MapLiteral, scope: _Scope, loops: Loops) -> _Visited:
        visited = [self.visit(child, scope, loops) for child in children(node)]
        cost, sizes = sum(cost for cost, _ in visited), [size for _, size in visited]
        if isinstance(node, ListLiteral):
            return cost + 10, Size(len(sizes), node.type, SCALAR, _largest(sizes))
        return cost + 30, Size(len(node.entries), node.type, _largest(sizes[::2]), _largest(sizes[1::2]))

    def _loop(self, node: Comprehension, scope: _Scope, loops: Loops) -> _Visited:
        cost, walked = self.visit(node.range, scope, loops)
        inner, deeper = _bound(node, scope, walked), (*loops, (node.macro, walked.own))
        visited = [self.visit(part, inner, deeper) for part in node.body]
        once, step = _STEPS[node.macro]
        self.shares.append(Share(node, step, deeper))
        total = cost + once + walked.own * (step + sum(part for part, _ in visited))
        return min(total, _ENDLESS), _made(node, walked, visited[-1][1])

    def _call(self, node: Call, scope: _Scope, loops: Loops) -> _Visited:
        operands = node.args if node.target is None else (node.target, *node.args)
        visited = [self.visit(operand, scope, loops) for operand in operands]
        costs, sizes = [cost for cost, _ in visited], [size for _, size in visited]
        if node.function in ("_&&_", "_||_"):
            return sum(costs), SCALAR
        if node.function == "_?_:_":
            return costs[0] + max(costs[1:]), _joined(sizes[1], sizes[2])
        function = _FUNCTIONS.get(node.function, _constant)
        each, own = function(node, sizes)
        self.shares.append(Share(node, each, loops))
        return min(sum(costs) + each, _ENDLESS), own


def _member(size: Size, node: Select | Has) -> Size:
    known = size.fields.get(node.field)
    if known is not None:
        return known
    if isinstance(size.type, ObjectType):
        exact = f"{size.type.name}.{node.field}"
        name = exact if exact in TEXTS else node.field
        return size_of_type(size.type.fields.get(node.field, DYN), name, size.beside)
    if size.type.name == "map":
        return _inside(size, 1, size.type, size.name, walked=False)
    return size_of_type(node.type, node.field, size.beside)


def _element(size: Size, node: Index) -> Size:
    if isinstance(node.index, Literal) and str(node.index.value) in size.fields:
        return size.fields[str(node.index.value)]
    return _inside(size, -1, size.type, size.name, walked=False)


def _bound(node: Comprehension, scope: _Scope, walked: Size) -> _Scope:
    value = _inside(walked, -1, walked.type, walked.name, walked=True)
    key = _inside(walked, 0, walked.type, f"keys of {walked.name}", walked=True) if _is_map(walked) else SCALAR
    if len(node.variables) == 2:
        return {**scope, node.variables[0]: key, node.variables[1]: value}
    return {**scope, node.variables[0]: key if _is_map(walked) else value}


def _is_map(size: Size) -> bool:
    return size.type.name == "map"


def _made(node: Comprehension, walked: Size, last: Size) -> Size:
    if node.macro in ("filter", "sortBy"):
        return replace(walked, type=node.type) if not _is_map(walked) else Size(walked.own, node.type, value=walked.key)
    if node.macro in ("map", "transformList"):
        return Size(walked.own, node.type, SCALAR, last)
    if node.macro == "transformMap":
        return Size(walked.own, node.type, walked.key, last)
    return Size(walked.own, node.type) if node.macro == "transformMapEntry" else SCALAR


# What functions cost, and the sizes of what they give.

_Function = Callable[[Call, list[Size]], _Visited]


def _walk(size: int, factor: float = 0.1) -> int:
    return ceil(size * factor)


def _constant(node: Call, _: list[Size]) -> _Visited:
    return 1, size_of_type(node.type)


def _walks(factor: float = 0.1, at: int = 0) -> _Function:
    """Walks one argument, and gives a value of its size."""
    return lambda node, sizes: (_walk(sizes[at].own, factor), replace(sizes[at], type=node.type))


def _same(node: Call, sizes: list[Size]) -> _Visited:
    return 1, replace(sizes[0], type=node.type)


def _compares(_: Call, sizes: list[Size]) -> _Visited:
    return max(1, _walk(min(sizes[0].own, sizes[1].own))), SCALAR


def _searches(_: Call, sizes: list[Size]) -> _Visited:
    return (sizes[1].own if sizes[1].type.name != "map" else 1), SCALAR


def _contains(_: Call, sizes: list[Size]) -> _Visited:
    return _walk(sizes[0].own) * _walk(sizes[1].own), SCALAR


def _matches(node: Call, sizes: list[Size]) -> _Visited:
    cost = _walk(sizes[0].own + 1) * _walk(sizes[1].own, 0.25)
    if node.function == "findAll":
        return cost, Size(sizes[0].own, node.type, SCALAR, sizes[0])
    return cost, replace(sizes[0], type=node.type) if node.function == "find" else SCALAR


def _adds(node: Call, sizes: list[Size]) -> _Visited:
    total = sizes[0].own + sizes[1].own
    if node.type.name == "list":
        return 1, Size(total, node.type, SCALAR, _largest((_values(sizes[0]), _values(sizes[1]))))
    return (_walk(total), Size(total, node.type)) if node.type in (STRING, BYTES, DYN) else (1, SCALAR)


def _values(size: Size) -> Size:
    return _inside(size, -1, size.type, size.name, walked=True)


def _orders(node: Call, sizes: list[Size]) -> _Visited:
    """`sum`, `max`, `indexOf`: a step for each element, and the characters of all of them."""
    if sizes[0].type.name != "list":
        return _walk(sizes[0].own), SCALAR
    element = _values(sizes[0])
    text = element.type in (STRING, BYTES, DYN) and element.own > 1
    cost = sizes[0].own * (1 + (_walk(element.own) if text else 0))
    if node.function in ("sort", "distinct"):
        return cost * (sizes[0].own if node.function == "distinct" else 1), replace(sizes[0], type=node.type)
    return cost, element if node.function in ("max", "min") else SCALAR


def _replaces(node: Call, sizes: list[Size]) -> _Visited:
    text, old, new = sizes[0].own, max(1, sizes[1].own), sizes[2].own
    longest = text if new <= old else text + (text // old + 1) * new
    return _walk(text, 0.2), Size(longest, node.type)


def _splits(node: Call, sizes: list[Size]) -> _Visited:
    limit = node.args[-1].value if len(sizes) > 2 and isinstance(node.args[-1], Literal) else None
    parts = limit if isinstance(limit, int) and limit >= 0 else sizes[0].own
    return _walk(sizes[0].own, 0.2), Size(parts, node.type, SCALAR, replace(sizes[0], type=STRING))


def _joins(node: Call, sizes: list[Size]) -> _Visited:
    separator = sizes[1].own if len(sizes) > 1 else 0
    total = sizes[0].own * (_values(sizes[0]).own + separator)
    return _walk(total), Size(total, node.type)


def _formats(node: Call, sizes: list[Size]) -> _Visited:
    total = sizes[0].own + sizes[1].own * (_values(sizes[1]).own if len(sizes) > 1 else 0)
    return _walk(total), Size(total, node.type)


def _pairs(node: Call, sizes: list[Size]) -> _Visited:
    factor = 2 if node.function == "sets.equivalent" else 1
    return sizes[0].own * sizes[1].own * factor + 1, SCALAR


def _range(node: Call, _: list[Size]) -> _Visited:
    argument = node.args[0]
    count = argument.value if isinstance(argument, Literal) and isinstance(argument.value, int) else PLACE
    return 10 + max(0, count), Size(max(0, count), node.type, SCALAR, SCALAR)


def _flattens(node: Call, sizes: list[Size]) -> _Visited:
    inner = _values(sizes[0])
    total = sizes[0].own * inner.own
    return total, Size(total, node.type, SCALAR, _values(inner) if inner.type.name == "list" else None)


def _quotes(node: Call, sizes: list[Size]) -> _Visited:
    return _walk(sizes[0].own), Size(2 * sizes[0].own + 2, node.type)


def _either(_: Call, sizes: list[Size]) -> _Visited:
    return 1, _joined(sizes[0], sizes[-1])


_FUNCTIONS: Mapping[str, _Function] = {
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), _compares),
    **dict.fromkeys(("startsWith", "endsWith"), lambda _, sizes: (_walk(sizes[1].own), SCALAR)),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim", "reverse", "url"), _walks()),
    **dict.fromkeys(("string", "bytes", "int", "double", "uint", "bool", "timestamp", "duration"), _walks()),
    **dict.fromkeys(
        ("isURL", "ip", "isIP", "cidr", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _walks()
    ),
    **dict.fromkeys(("base64.encode", "base64.decode"), _walks(0.2)),
    "ip.isCanonical": _walks(0.2),
    "validate": lambda _, sizes: (ceil(_walk(sizes[-1].own) * 128 * 0.25), SCALAR),
    **dict.fromkeys(("sum", "max", "min", "isSorted", "indexOf", "lastIndexOf", "sort", "distinct"), _orders),
    **dict.fromkeys(("sets.contains", "sets.equivalent", "sets.intersects"), _pairs),
    **dict.fromkeys(("matches", "find", "findAll"), _matches),
    **dict.fromkeys(("optional.of", "optional.ofNonZeroValue", "value", "dyn", "slice", "first", "last"), _same),
    **dict.fromkeys(("orValue", "or"), _either),
    "@in": _searches,
    "_+_": _adds,
    "contains": _contains,
    "replace": _replaces,
    "split": _splits,
    "join": _joins,
    "format": _formats,
    "strings.quote": _quotes,
    "lists.range": _range,
    "flatten": _flattens,
}
