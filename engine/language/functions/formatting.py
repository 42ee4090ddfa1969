"""`format`: %s, %d, %f, %e, %b, %o, %x and %X, with the results of Kubernetes 1.36 (strings library, version 2).

They differ from newer cel-spec texts in what Go's English printer does to %f (`12,345.500000`) and %e (`1.0×10⁰⁴`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from engine.language.functions.conversions import bool_to_string, bytes_to_string, double_to_string, int_to_string
from engine.language.functions.times import duration_to_string, timestamp_to_string
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
)
from engine.language.values import MAX_SIZE, BudgetExceeded, CelError, Duration, Timestamp, TypeValue, Uint, kind

_CLAUSE = re.compile(r"%(?:%|(?:\.(?P<precision>[0-9]*))?(?P<verb>.?))", re.DOTALL)
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SPECIAL = frozenset({"NaN", "Infinity", "-Infinity"})
MAX_PRECISION = 1000
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
            "\v": "\\v"}  # fmt: skip


def format_string(template: str, arguments: list[object]) -> str:
    """Each clause of the template takes the next argument. Raises CelError for one that doesn't fit it."""
    position = 0
    length = 0

    def replacement(found: re.Match[str]) -> str:
        nonlocal position, length
        if found[0] == "%%":
            return "%"
        if position >= len(arguments):
            raise CelError(f"format: there is no argument for the clause {position + 1}")
        argument = arguments[position]
        position += 1
        text = _clause(found["verb"], found["precision"], argument)
        length += len(text)
        if length > MAX_SIZE:
            raise BudgetExceeded(f"a string grew beyond {MAX_SIZE} characters")
        return text

    return _CLAUSE.sub(replacement, template)


def check_format(template: str, arguments: Sequence[Type]) -> None:
    """Raises CelError if the template can't be filled with arguments of these types, all of them, in this order."""
    clauses = [found for found in _CLAUSE.finditer(template) if found[0] != "%%"]
    for position, found in enumerate(clauses):
        verb = found["verb"]
        if verb not in _VERBS or found["precision"] == "":
            raise CelError(f"format: unknown clause `{found[0]}`")
        if position >= len(arguments):
            raise CelError(f"format: there is no argument for the clause {position + 1}")
        if not _takes(verb, arguments[position]):
            raise CelError(f"format: `%{verb}` does not take a value of type {arguments[position].name}")
    if len(clauses) < len(arguments):
        raise CelError(f"format: {len(arguments)} arguments for {len(clauses)} clauses")


def _takes(verb: str, type_: Type) -> bool:
    if type_ in (DYN, ERROR) or isinstance(type_, (TypeParameter, ObjectType)):
        return True
    if type_.name in ("list", "map"):
        return verb == "s" and all(_takes(verb, inside) for inside in type_.parameters)
    return type_ in _TAKEN[verb] or (verb == "s" and type_.name == "type")


def _clause(verb: str, precision: str | None, argument: object) -> str:
    write = _VERBS.get(verb)
    if write is None or precision == "":
        raise CelError(f"format: unknown clause `%{verb}`")
    if verb in ("f", "e"):
        digits = 6 if precision is None else int(precision[:6])
        if digits > MAX_PRECISION:
            raise CelError(f"format: a precision is at most {MAX_PRECISION}")
        return (_fixed if verb == "f" else _scientific)(_as_double(verb, argument), digits)
    return write(argument)


def _unfit(verb: str, argument: object) -> CelError:
    return CelError(f"format: `%{verb}` does not take a value of type {kind(argument)}")


def _string(argument: object) -> str:
    write = _TEXTS.get(argument.__class__)
    if write is not None:
        return write(argument)
    if isinstance(argument, dict):
        return _map(argument)
    raise _unfit("s", argument)


def _decimal(argument: object) -> str:
    if argument.__class__ not in (int, Uint):
        raise _unfit("d", argument)
    return int_to_string(argument)


def _as_double(verb: str, argument: object) -> float:
    if isinstance(argument, float) or (isinstance(argument, str) and argument in _SPECIAL):
        return float(argument)
    raise _unfit(verb, argument)


def _fixed(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return "NaN" if value != value else "∞" if value > 0 else "-∞"
    return f"{value:,.{digits}f}"


def _scientific(value: float, width: int) -> str:
    """Always six decimal places: what is written as a precision is a width there."""
    if not math.isfinite(value):
        return _fixed(value, 0).rjust(width)
    mantissa, _, power = f"{value:.6e}".partition("e")
    exponent = power.removeprefix("+").translate(_SUPERSCRIPT)
    return f"{mantissa}×10{exponent}".rjust(width)


def _binary(argument: object) -> str:
    if isinstance(argument, bool):
        return "1" if argument else "0"
    if not isinstance(argument, int):
        raise _unfit("b", argument)
    return format(int(argument), "b")


def _octal(argument: object) -> str:
    if not isinstance(argument, int) or isinstance(argument, bool):
        raise _unfit("o", argument)
    return format(int(argument), "o")


def _hex(argument: object) -> str:
    if isinstance(argument, str):
        return argument.encode("utf-8", "surrogatepass").hex()
    if isinstance(argument, bytes):
        return argument.hex()
    if not isinstance(argument, int) or isinstance(argument, bool):
        raise _unfit("x", argument)
    return format(int(argument), "x")


def _upper_hex(argument: object) -> str:
    return _hex(argument).upper()


def _list(values: list[object]) -> str:
    return f"[{', '.join(_literal(value) for value in values)}]"


def _map(entries: dict[object, object]) -> str:
    pairs = sorted(((_literal(key), _literal(value)) for key, value in entries.items()), key=lambda pair: pair[0])
    return "{" + ", ".join(f"{key}:{value}" for key, value in pairs) + "}"


def _literal(value: object) -> str:
    """A value inside a list or map, as CEL would write it."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bytes):
        return f"b{_quoted(bytes_to_string(value))}"
    if isinstance(value, float):
        return f"{value:.6f}" if math.isfinite(value) else f'"{double_to_string(value)}"'
    if isinstance(value, Timestamp):
        return f'timestamp("{timestamp_to_string(value)}")'
    if isinstance(value, Duration):
        return f'duration("{duration_to_string(value)}")'
    return _string(value)


def _quoted(text: str) -> str:
    """As Go's %q."""
    return f'"{"".join(_ESCAPED.get(c) or (c if c.isprintable() else _escape(ord(c))) for c in text)}"'


def _escape(code: int) -> str:
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_TEXTS: dict[type, Callable[..., str]] = {
    str: str,
    bool: bool_to_string,
    int: int_to_string,
    Uint: int_to_string,
    float: double_to_string,
    bytes: bytes_to_string,
    Timestamp: timestamp_to_string,
    Duration: duration_to_string,
    type(None): lambda _: "null",
    TypeValue: lambda value: value.name,
    list: _list,
    tuple: _list,
    dict: _map,
}
_WHOLE = frozenset((INT, UINT))
_TAKEN: Mapping[str, frozenset[Type]] = {
    "s": frozenset((STRING, BOOL, BYTES, INT, UINT, DOUBLE, NULL, DURATION, TIMESTAMP)),
    "d": _WHOLE,
    "f": frozenset((DOUBLE, STRING)),
    "e": frozenset((DOUBLE, STRING)),
    "b": _WHOLE | {BOOL},
    "o": _WHOLE,
    "x": _WHOLE | {STRING, BYTES},
    "X": _WHOLE | {STRING, BYTES},
}
_VERBS: dict[str, Callable[..., str]] = {
    "s": _string,
    "d": _decimal,
    "f": _string,
    "e": _string,
    "b": _binary,
    "o": _octal,
    "x": _hex,
    "X": _upper_hex,
}
