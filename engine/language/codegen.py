"""Python source from a checked tree: what `evaluate.py` compiles and runs.

Interpreting a tree costs a Python call for each node, some 60 ns; a policy that reads four labels of a pod has twenty
nodes, and a cluster has hundreds of policies. Python source for the same expression costs what Python needs to run it:
`pod.spec.nodeName == "a"` is `n0["spec"]["nodeName"] == "a"`, 60 ns in all. So each expression becomes one function,
once.

**Expressions and statements.** `_Writer.value` returns Python source for a node's value. What Python can't say in an
expression goes before it, as statements: loops for macros, `try` where an error may be absorbed. Their result is a
local variable, and its name is then the value. An operand that is not always evaluated must take its statements with
it, so `&& || ?:` write the operands apart (`apart`) and become `if` statements when one has any.

**Errors** are exceptions. `&&` and `||` are commutative in CEL: `error || true` is true. The left operands stand in
`try`, and the last needs none: if it is reached, all others were neutral or errors, so its own error is the result's.
A chain `a && b && c` is one flat sequence of `if` and `try`, whatever its nesting in the tree. What certainly can't
fail (`_total`) needs no `try`, and `a && b` of such parts is Python's `and`. `all` and `exists` remember the first
error of their bodies, and raise it only if no element decided.

**Types decide** what is written. Where the checker knows both sides, `==` is Python's `==`; where a side is `dyn` or
has elements, it is a function, because for Python True is 1 and for CEL it is not. Integers are checked for overflow
in place. A function whose argument is `dyn` is chosen by the values that it meets (`dispatcher`). What depends on no
variable is computed here (`_constant`).

**Optionals** that are made only to be asked at once are never made: `a.?b.?c.orValue(d)` handles the value itself, or
NO_VALUE, which is called ABSENT in generated source (`_maybe`).

**Limits.** Python refuses more than 20 nested blocks and 200 nested parentheses. Past MAX_BLOCKS an operand becomes a
function of its own, and every MAX_PARENTHESES levels a value is put into a variable. Recursion here is bounded by the
parser's limit on nesting. No name or text of the author becomes a Python name: roots are n0, n1…, everything else is
numbered too, and string constants are written by repr().

The writer of all constructs stands in one file, as methods of one class: they call each other as deep as the tree goes,
and share the lines, names and limits of the function that is being written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.language.dispatch import charged, dispatcher, fold
from engine.language.functions import OVERLOADS
from engine.language.overload import Overload
from engine.language.regex import compile_pattern
from engine.language.step_cost import per_step
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
)
from engine.language.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    ObjectType,
    Type,
    TypeParameter,
)
from engine.language.values import BudgetExceeded, CelError, TypeValue, map_of
from engine.struct import Struct

FILENAME = "<expression>"
ENTRY = "expression"
MAX_BLOCKS = 8  # nested, past which an operand becomes a function
MAX_PARENTHESES = 25  # levels of a value, after which it is put into a variable


class _Local(Struct, frozen=True):
    """A variable of an expression: the source that reads it, and the Python locals in that source."""

    code: str
    locals: tuple[str, ...]


Scope = Mapping[str, _Local]
_CONSTANT_TYPES = (Call, Ident, ListLiteral, Literal, MapLiteral)
_VARIES = object()
_SCALARS = frozenset({BOOL, INT, UINT, STRING, BYTES, TIMESTAMP, DURATION, DOUBLE})
_ORDERED = frozenset({BOOL, INT, UINT, STRING, BYTES, TIMESTAMP, DURATION})  # not double: NaN has no order
_INTEGERS = frozenset({INT, UINT})
_SYMBOLS = {"_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
_CHECKED = {"add_int64": "+", "subtract_int64": "-", "multiply_int64": "*"}
_TEMPLATES = {
    "add_double": "({} + {})",
    "subtract_double": "({} - {})",
    "multiply_double": "({} * {})",
    "negate_double": "(-{})",
    "logical_not": "(not {})",
    "contains_string": "contains(budget, {}, {})",
    "in_list": "is_in(budget, {}, {})",
    "in_map": "is_in(budget, {}, {})",
    **dict.fromkeys(("size_string", "size_bytes", "size_list", "size_map"), "len({})"),
    **dict.fromkeys(("string_size", "bytes_size", "list_size", "map_size"), "len({})"),
    **dict.fromkeys(("int64_to_int64", "uint64_to_uint64", "double_to_double", "string_to_string", "to_dyn"), "{}"),
    **dict.fromkeys(("bool_to_bool", "bytes_to_bytes", "duration_to_duration"), "{}"),
}
_PREFIXES = {"starts_with_string": "{}.startswith({})", "ends_with_string": "{}.endswith({})"}
_NEVER_FAIL = frozenset(_TEMPLATES).union(_PREFIXES) - {"in_list", "in_map"} | {"equals", "not_equals"}
_BY_ID: Mapping[str, Overload] = {overload.id: overload for group in OVERLOADS.values() for overload in group}
_TYPE_NAMES = frozenset({
    "bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "optional_type",
    "google.protobuf.Timestamp", "google.protobuf.Duration", "kubernetes.URL", "kubernetes.Quantity",
    "kubernetes.Semver", "kubernetes.NamedFormat", "net.IP", "net.CIDR",
})  # fmt: skip


def source_of(node: Node, names: Sequence[str]) -> tuple[str, Mapping[str, object]]:
    """Source of a module with the function ENTRY(budget, *roots), and the constants that the module's globals need.

    The value of a root whose name ends in `()` is a function of the budget that computes it.
    """
    writer = _Writer()
    locals_ = [_Local(f"n{i}(budget)" if name.endswith("()") else f"n{i}", (f"n{i}",)) for i, name in enumerate(names)]
    scope = {name.removesuffix("()"): local for name, local in zip(names, locals_, strict=True)}
    for i, name in reversed(list(enumerate(names))):  # with a dot it is the first of its name: no macro's variable
        scope[f".{name.removesuffix('()')}"] = locals_[i]
    roots = "".join(f", n{i}" for i in range(len(names)))
    body, code = writer.apart(node, scope)
    lines = [f"def {ENTRY}(budget{roots}):", " try:", *("  " + line for line in body), f"  return {code}"]
    lines += [" except FAULTS as x:", "  raise fault(x) from None"]
    lines += [" except RecursionError:", "  raise too_deep() from None"]
    return "\n".join([*writer.functions, *lines, ""]), writer.constants


class _Writer:
    """Writes one function: the statements so far, the constants they need, and numbers for new names."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.constants: dict[str, object] = {}
        self._lines: list[str] = []
        self._blocks = 0
        self._depth = 0
        self._count = 0
        self._loops = 0
        self._known: dict[int, object] = {}

    # --- values

    def value(self, node: Node, scope: Scope) -> str:
        """Source of the node's value; statements that it needs are written first."""
        constant = self._constant(node, scope)
        if constant is not _VARIES:
            return self._literal(constant)
        if self._blocks > MAX_BLOCKS:
            return self._outlined(node, scope)
        self._depth += 1
        code = self._written(node, scope)
        if self._depth % MAX_PARENTHESES == 0:
            code = self._stored(code)
        self._depth -= 1
        return code

    def _written(self, node: Node, scope: Scope) -> str:
        match node:
            case Ident():
                return scope[node.name].code if node.name in scope else f"undeclared({node.name!r})"
            case Select() | Index() if node.optional or _is_optional(node.operand):
                return f"optional({self._maybe(node, scope)})"
            case Select() if self._constant(node.operand, scope) is not _VARIES:
                return f"at({self.value(node.operand, scope)}, {node.field!r})"  # Python warns of `1["a"]`
            case Select():
                return f"{self.value(node.operand, scope)}[{node.field!r}]"
            case Index():
                return self._index(node, scope)
            case Has():
                operand = self.value(node.operand, scope)
                return f"({node.field!r} in {operand})" if _is_map(node.operand) else f"has({operand}, {node.field!r})"
            case Call():
                return self._call(node, scope)
            case ListLiteral():
                return f"[{', '.join(self._list_element(*pair, scope) for pair in _elements(node))}]"
            case MapLiteral():
                return f"map_of(({''.join(self._map_entry(*entry, scope) for entry in node.entries)}))"
            case Comprehension():
                return self._comprehension(node, scope)
            case OptionalMap():
                return self._optional_map(node, scope)
            case Bind():
                return self._bind(node, scope)
        raise TypeError(f"not an expression that can be run: {type(node).__name__}")

    def _condition(self, node: Node, scope: Scope) -> str:
        code = self.value(node, scope)
        return code if node.type == BOOL else f"truth({code})"

    def _index(self, node: Index, scope: Scope) -> str:
        operand, index = self.value(node.operand, scope), self.value(node.index, scope)
        if node.operand.type.name == "list" and isinstance(node.index, Literal) and node.index.type == INT:
            return f"{operand}[{index}]" if not index.startswith("(") else f"at({operand}, {index})"
        if _is_map(node.operand) and node.index.type == STRING:
            return f"{operand}[{index}]"
        return f"at({operand}, {index})"

    def _list_element(self, node: Node, optional: bool, scope: Scope) -> str:
        return f"*one({self._maybe(node, scope)})" if optional else self.value(node, scope)

    def _map_entry(self, key: Node, value: Node, optional: bool, scope: Scope) -> str:
        if optional:
            return f"*entry({self.value(key, scope)}, {self._maybe(value, scope)}), "
        return f"({self.value(key, scope)}, {self.value(value, scope)}), "

    # --- calls

    def _call(self, node: Call, scope: Scope) -> str:
        if node.function in ("_&&_", "_||_"):
            return self._logic(node, scope)
        if node.function == "_?_:_":
            return self._conditional(node.args, scope)
        operands = node.args if node.target is None else (node.target, *node.args)
        if node.overload == "optional_hasValue" and _is_optional(operands[0]):
            return f"({self._maybe(operands[0], scope)} is not ABSENT)"
        if node.target is not None and node.function in ("or", "orValue") and len(operands) == 2:
            return self._alternative(node.function == "orValue", operands, scope)
        if node.function in ("_==_", "_!=_"):
            return self._equality(node.function == "_==_", operands, scope)
        overload = _certain(node, operands)
        if overload is None:
            chooser = dispatcher(node.function, node.target is not None, len(operands))
            return f"{self._hidden(chooser)}({', '.join(['budget', *(self.value(o, scope) for o in operands)])})"
        if overload.id in ("matches", "matches_string"):
            return self._pattern(operands, scope)
        codes = [self.value(operand, scope) for operand in operands]
        return self._applied(overload, operands, codes)

    def _applied(self, overload: Overload, operands: Sequence[Node], codes: Sequence[str]) -> str:
        if overload.id in _CHECKED:
            total = self._temporary()
            sum_ = f"({total} := {codes[0]} {_CHECKED[overload.id]} {codes[1]})"
            return f"({total} if -9223372036854775808 <= {sum_} <= 9223372036854775807 else overflow())"
        if overload.function in _SYMBOLS:
            left, right = (operand.type for operand in operands)
            long = self._loops and left in (STRING, BYTES)
            if (left == right and left in _ORDERED and not long) or {left, right} <= _INTEGERS:
                return f"({codes[0]} {_SYMBOLS[overload.function]} {codes[1]})"
        if overload.id == "in_map" and operands[0].type == STRING:
            return f"({codes[0]} in {codes[1]})"
        if overload.id in _PREFIXES and isinstance(operands[1], Literal):
            return _PREFIXES[overload.id].format(*codes)
        if overload.id in _TEMPLATES:
            return _TEMPLATES[overload.id].format(*codes)
        if overload.cost is None:
            return f"{self._hidden(overload.implementation)}({', '.join(codes)})"
        function = charged(overload)
        return f"{self._hidden(function)}({', '.join(['budget', *codes])})"

    def _pattern(self, operands: Sequence[Node], scope: Scope) -> str:
        text, pattern = operands
        constant = self._constant(pattern, scope)
        try:
            compiled = self._hidden(compile_pattern(constant)) if isinstance(constant, str) else None
        except CelError:
            compiled = None
        if compiled is not None:
            return f"matches(budget, {compiled}, {self.value(text, scope)})"
        codes = [self.value(operand, scope) for operand in operands]
        return self._applied(_BY_ID["matches"], operands, codes)

    def _equality(self, wanted: bool, operands: Sequence[Node], scope: Scope) -> str:
        left, right = operands
        if isinstance(left, Literal) and not isinstance(right, Literal):
            left, right = right, left
        codes = self.value(left, scope), self.value(right, scope)
        if isinstance(right, Literal) and right.value is None:
            return f"({codes[0]} is {'' if wanted else 'not '}None)"
        if self._loops and STRING in (left.type, right.type) and not isinstance(right, Literal):
            return f"({'' if wanted else 'not '}same_text(budget, {codes[0]}, {codes[1]}))"
        if (left.type == right.type and left.type in _SCALARS) or STRING in (left.type, right.type):
            return f"({codes[0]} {'==' if wanted else '!='} {codes[1]})"
        return f"{'equal' if wanted else 'not_equal'}(budget, {codes[0]}, {codes[1]})"

    # --- control flow

    def _conditional(self, operands: Sequence[Node], scope: Scope) -> str:
        condition, then, otherwise = operands
        test = self._condition(condition, scope)
        then_lines, then_code = self.apart(then, scope)
        else_lines, else_code = self.apart(otherwise, scope)
        if not then_lines and not else_lines:
            return f"({then_code} if {test} else {else_code})"
        result = self._temporary()
        self._block(f"if {test}:", [*then_lines, f"{result} = {then_code}"])
        self._block("else:", [*else_lines, f"{result} = {else_code}"])
        return result

    def _logic(self, node: Call, scope: Scope) -> str:
        """A chain of `&&` or `||`: see "Errors" at the top of this module."""
        neutral = node.function == "_&&_"
        operands = list(_chain(node, node.function))
        parts = [self.apart(operand, scope, condition=True) for operand in operands]
        fails = [operand.type != BOOL or not _total(operand, scope) for operand in operands]
        if not any(fails[:-1]) and not any(lines for lines, _ in parts):
            return "(" + (" and " if neutral else " or ").join(code for _, code in parts) + ")"
        result, error = self._temporary(), self._temporary()
        undecided = f"if {result}:" if neutral else f"if not {result}:"
        self._lines.append(f"{error} = None")
        for i, (lines, code) in enumerate(parts):
            step = [*lines, f"{result} = {code}"]
            if fails[i] and i < len(parts) - 1:
                caught = [f" {error} = fault(x)", f" {result} = {neutral}"]
                step = ["try:", *(" " + line for line in step), "except FAULTS as x:", *caught]
            if i == 0:
                self._lines.extend(step)
            else:
                self._block(undecided, step)
        self._lines.append(f"if {error} is not None and {result} is {neutral}: raise fresh({error})")
        return result

    def _comprehension(self, node: Comprehension, scope: Scope) -> str:
        walked = (
            self._stored(self.value(node.range, scope)) if node.macro == "sortBy" else self.value(node.range, scope)
        )
        names = [f"v{self._number()}" for _ in node.variables]
        inner = {**scope, **{v: _Local(n, (n,)) for v, n in zip(node.variables, names, strict=True)}}
        walk = "elements" if len(names) == 1 else "pairs"
        header = f"for {', '.join(names)} in {walk}(budget, {walked}, {per_step(node)}):"
        result = self._temporary()
        self._loops += 1
        if node.macro in ("all", "exists"):
            self._quantifier(node, inner, header, result)
        elif node.macro == "exists_one":
            lines, code = self.apart(node.body[0], inner, condition=True)
            self._lines.append(f"{result} = 0")
            self._block(header, [*lines, f"if {code}: {result} += 1"])
            self._loops -= 1
            return f"({result} == 1)"
        else:
            self._collector(node, inner, header, result, names)
        self._loops -= 1
        return f"sort_by(budget, {walked}, {result})" if node.macro == "sortBy" else result

    def _quantifier(self, node: Comprehension, inner: Scope, header: str, result: str) -> None:
        neutral = node.macro == "all"
        body = node.body[0]
        lines, code = self.apart(body, inner, condition=True)
        decides = f"if not {code}:" if neutral else f"if {code}:"
        step = [*lines, decides, f" {result} = {not neutral}", " break"]
        self._lines.append(f"{result} = {neutral}")
        if body.type == BOOL and _total(body, inner):
            self._block(header, step)
            return
        error = self._temporary()
        self._lines.append(f"{error} = None")
        caught = ["except FAULTS as x:", f" if {error} is None: {error} = fault(x)"]
        self._block(header, ["try:", *(" " + line for line in step), *caught])
        self._lines.append(f"if {error} is not None and {result} is {neutral}: raise fresh({error})")

    def _collector(self, node: Comprehension, inner: Scope, header: str, result: str, names: Sequence[str]) -> None:
        *tests, last = node.body
        if node.macro == "filter":
            tests, last = [node.body[0]], Ident(start=0, end=0, name=node.variables[-1])
        lines, code = self.apart(last, inner)
        if node.macro == "transformMap":
            lines.append(f"{result}[{names[0]}] = {code}")
        elif node.macro == "transformMapEntry":
            lines.append(f"merge({result}, {code})")
        else:
            lines.append(f"{result}.append({code})")
        for test in tests:
            before, condition = self.apart(test, inner, condition=True)
            lines = [*before, f"if {condition}:", *(" " + line for line in lines)]
        self._lines.append(f"{result} = {'{}' if node.macro in ('transformMap', 'transformMapEntry') else '[]'}")
        self._block(header, lines)

    def _bind(self, node: Bind, scope: Scope) -> str:
        """A bound value that fails is an error where it is used, and none if it isn't."""
        name = f"v{self._number()}"
        lines, code = self.apart(node.value, scope)
        if _total(node.value, scope):
            self._lines += [*lines, f"{name} = {code}"]
            return self.value(node.body, {**scope, node.variable: _Local(name, (name,))})
        error = self._temporary()
        self._lines.append(f"{name} = {error} = None")
        self._block("try:", [*lines, f"{name} = {code}"])
        self._block("except FAULTS as x:", [f"{error} = fault(x)"])
        local = _Local(f"({name} if {error} is None else raise_({error}))", (name, error))
        return self.value(node.body, {**scope, node.variable: local})

    # --- optionals

    def _maybe(self, node: Node, scope: Scope) -> str:
        """Source of what an optional holds: its value, or NO_VALUE."""
        constant = self._constant(node, scope)
        match node:
            case Select() | Index() if constant is _VARIES and (node.optional or _is_optional(node.operand)):
                key = repr(node.field) if isinstance(node, Select) else self.value(node.index, scope)
                textual = isinstance(node, Select) or node.index.type == STRING
                if not _is_optional(node.operand):
                    return _looked_up(self.value(node.operand, scope), key, textual and _is_map(node.operand))
                held = self._temporary()
                known = textual and _is_map_type(node.operand.type.parameters[0])
                found = _looked_up(held, key, known)
                return f"(ABSENT if ({held} := {self._maybe(node.operand, scope)}) is ABSENT else {found})"
            case Call(overload="optional_of"):
                return self.value(node.args[0], scope)
        return f"{self.value(node, scope)}.value"

    def _alternative(self, wanted: bool, operands: Sequence[Node], scope: Scope) -> str:
        """`or` and `orValue` (which wants the value): the second operand is looked at only if the first is empty."""
        first, second = operands
        known = self._maybe(first, scope) if _is_optional(first) else f"held({self.value(first, scope)})"
        held = self._stored(known)
        lines, code = self.apart(second, scope)
        present = held if wanted else f"Optional({held})"
        if not lines:
            return f"({present} if {held} is not ABSENT else {code})"
        result = self._temporary()
        self._block(f"if {held} is not ABSENT:", [f"{result} = {present}"])
        self._block("else:", [*lines, f"{result} = {code}"])
        return result

    def _optional_map(self, node: OptionalMap, scope: Scope) -> str:
        held, result = f"v{self._number()}", self._temporary()
        self._lines.append(f"{held} = {self._maybe(node.target, scope)}")
        lines, code = self.apart(node.body, {**scope, node.variable: _Local(held, (held,))})
        self._lines.append(f"{result} = NOTHING")
        whole = code if node.flat else f"Optional({code})"
        self._block(f"if {held} is not ABSENT:", [*lines, f"{result} = {whole}"])
        return result

    # --- constants

    def _constant(self, node: Node, scope: Scope) -> object:
        """The value of what depends on no variable, or _VARIES."""
        if isinstance(node, Literal):
            return node.value
        if not isinstance(node, _CONSTANT_TYPES):
            return _VARIES
        if isinstance(node, Ident):
            return TypeValue(node.name) if node.name not in scope and node.name in _TYPE_NAMES else _VARIES
        if id(node) not in self._known:
            try:
                self._known[id(node)] = self._folded(node, scope)
            except (CelError, BudgetExceeded):
                self._known[id(node)] = _VARIES
        return self._known[id(node)]

    def _folded(self, node: Node, scope: Scope) -> object:
        if isinstance(node, Call):
            operands = node.args if node.target is None else (node.target, *node.args)
            values = [self._constant(operand, scope) for operand in operands]
            lazy = node.function in ("_&&_", "_||_", "_?_:_")
            return _VARIES if lazy or _VARIES in values else fold(node.function, node.target is not None, values)
        if isinstance(node, ListLiteral) and not any(node.optional):
            elements = [self._constant(element, scope) for element in node.elements]
            return _VARIES if any(element is _VARIES for element in elements) else elements
        if isinstance(node, MapLiteral) and not any(optional for _, _, optional in node.entries):
            pairs = [(self._constant(key, scope), self._constant(value, scope)) for key, value, _ in node.entries]
            return _VARIES if any(_VARIES in pair for pair in pairs) else map_of(pairs)
        return _VARIES

    def _literal(self, value: object) -> str:
        if value is None or value.__class__ in (bool, str):
            return repr(value)
        if isinstance(value, int) and value.__class__ is int:
            return repr(value) if value >= 0 else f"({value!r})"
        return self._hidden(value)

    def _hidden(self, value: object) -> str:
        name = f"k{self._number()}"
        self.constants[name] = value
        return name

    # --- lines

    def apart(self, node: Node, scope: Scope, *, condition: bool = False) -> tuple[list[str], str]:
        """Source of a value with its statements, which are not written yet."""
        lines, self._lines = self._lines, []
        self._blocks += 1
        code = self._condition(node, scope) if condition else self.value(node, scope)
        self._blocks -= 1
        lines, self._lines = self._lines, lines
        return lines, code

    def _block(self, header: str, lines: Sequence[str]) -> None:
        self._lines.append(header)
        self._lines.extend(" " + line for line in lines)

    def _outlined(self, node: Node, scope: Scope) -> str:
        """The node as a function of its own, and the call of it."""
        parameters = ", ".join(["budget", *dict.fromkeys(name for local in scope.values() for name in local.locals)])
        name = f"f{self._number()}"
        blocks, self._blocks = self._blocks, 0
        depth, self._depth = self._depth, 0
        lines, code = self.apart(node, scope)
        self._blocks, self._depth = blocks, depth
        self.functions += [f"def {name}({parameters}):", *(" " + line for line in lines), f" return {code}"]
        return f"{name}({parameters})"

    def _stored(self, code: str) -> str:
        name = self._temporary()
        self._lines.append(f"{name} = {code}")
        return name

    def _temporary(self) -> str:
        return f"t{self._number()}"

    def _number(self) -> int:
        self._count += 1
        return self._count


def _elements(node: ListLiteral) -> Iterator[tuple[Node, bool]]:
    return zip(node.elements, node.optional, strict=True)


def _chain(node: Node, function: str) -> Iterator[Node]:
    """The operands of nested `&&` or `||`, from left to right."""
    if isinstance(node, Call) and node.function == function:
        for operand in node.args:
            yield from _chain(operand, function)
    else:
        yield node


def _is_optional(node: Node) -> bool:
    return node.type.name == "optional_type"


def _is_map(node: Node) -> bool:
    return _is_map_type(node.type)


def _is_map_type(type_: Type) -> bool:
    return type_.name == "map" or isinstance(type_, ObjectType)


def _looked_up(container: str, key: str, known: bool) -> str:
    return f"{container}.get({key}, ABSENT)" if known else f"find({container}, {key})"


def _certain(node: Call, operands: Sequence[Node]) -> Overload | None:
    """The overload, if the static types leave no doubt that the values are what it takes."""
    overload = _BY_ID.get(node.overload)
    if overload is None or overload.implementation is None or len(overload.parameters) != len(operands):
        return None
    pairs = zip(overload.parameters, operands, strict=True)
    sure = all(isinstance(p, TypeParameter) or p.name in ("dyn", operand.type.name) for p, operand in pairs)
    return overload if sure else None


def _total(node: Node, scope: Scope) -> bool:
    """Whether a node certainly has a value. (No means only that it is not certain.)"""
    match node:
        case Literal():
            return True
        case Ident():
            return node.name in scope and scope[node.name].code in scope[node.name].locals
        case Call(function="_&&_" | "_||_" | "_?_:_"):
            conditions = node.args[:1] if node.function == "_?_:_" else node.args
            return all(c.type == BOOL for c in conditions) and all(_total(operand, scope) for operand in node.args)
        case Call():
            operands = node.args if node.target is None else (node.target, *node.args)
            overload = _certain(node, operands)
            if overload is None or not all(_total(operand, scope) for operand in operands):
                return False
            left = operands[0].type if operands else BOOL
            return overload.id in _NEVER_FAIL or (overload.function in _SYMBOLS and left in _ORDERED - {DOUBLE})
        case ListLiteral():
            return all(_total(element, scope) for element in node.elements) and not any(node.optional)
    return False
