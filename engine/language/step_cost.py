"""What one step of a macro takes from the run-time budget, by what its body does.

Functions whose work grows with their arguments charge for it when they are called (`Overload.cost`); this is the rest:
what every step costs however small the values are. Without it a long body would make a loop of few steps slow, and
nothing would stop it. Numbers are thirty-seconds of a unit (8 ns), measured.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.language.syntax import (
    Bind,
    Call,
    Comprehension,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Node,
    OptionalMap,
    children,
)
from engine.language.types import BOOL, BYTES, DOUBLE, INT, STRING, UINT

UNIT = 32
LOOP = 3 * UNIT
CALL = 4 * UNIT
CHOSEN = 4 * UNIT
"""A loop inside a loop, a call of a function, and what choosing its overload at run time takes more."""

_WRITTEN_OUT = frozenset({
    "_&&_", "_||_", "!_", "_?_:_", "_<_", "_<=_", "_>_", "_>=_", "_+_", "_-_", "_*_", "-_", "@in", "size", "dyn",
    "startsWith", "endsWith", "contains", "orValue", "hasValue",
})  # fmt: skip
_PLAIN = frozenset((BOOL, INT, UINT, DOUBLE, STRING, BYTES))
_OVERFLOWING = frozenset(("_+_", "_-_", "_*_"))
_EXPENSIVE: Mapping[str, int] = {
    **dict.fromkeys(("matches", "find", "findAll"), 16 * UNIT),
    **dict.fromkeys(("quantity", "isQuantity", "semver", "isSemver", "format", "validate"), 16 * UNIT),
    **dict.fromkeys(("url", "isURL", "ip", "isIP", "cidr", "isCIDR", "ip.isCanonical"), 24 * UNIT),
    **dict.fromkeys(("containsIP", "containsCIDR", "masked"), 24 * UNIT),
    **dict.fromkeys(("string", "int", "double", "uint", "bool"), 4 * UNIT),
    **dict.fromkeys(("timestamp", "duration", "replace", "distinct", "sort", "sets.contains"), 8 * UNIT),
    **{f"get{part}": 8 * UNIT for part in ("FullYear", "Month", "DayOfYear", "DayOfMonth", "Date", "DayOfWeek")},
    **{f"get{part}": 8 * UNIT for part in ("Hours", "Minutes", "Seconds", "Milliseconds")},
}
"""By function, what a call takes that is more than an ordinary one."""


def per_step(comprehension: Comprehension) -> int:
    """The units of budget that each step of a macro takes, at least 1."""
    work = sum(_work(part) for part in comprehension.body)
    return 1 + work // UNIT


def _work(node: Node) -> int:
    match node:
        case Comprehension():
            # its own steps are charged when it runs
            return LOOP + _work(node.range)
        case Literal() | Ident():
            own = 1
        case Call():
            own = _call(node)
        case ListLiteral():
            own = UNIT + len(node.elements) // 2
        case MapLiteral():
            own = UNIT + 16 * len(node.entries)
        case OptionalMap() | Bind():
            own = 16
        case _:
            own = 2
    return own + sum(map(_work, children(node)))


def _call(node: Call) -> int:
    if node.function in ("_==_", "_!=_", "@in"):
        return 3 if node.args[0].type in _PLAIN else CALL
    if node.overload in ("add_string", "add_bytes", "add_list"):
        return CALL
    if node.overload == "timestamp_to_string":
        return 16 * UNIT
    if node.function in _WRITTEN_OUT:
        chosen = 0 if node.overload or node.function in ("_&&_", "_||_", "!_", "_?_:_") else CHOSEN
        return chosen + (8 if node.function in _OVERFLOWING else 3)
    return _EXPENSIVE.get(node.function, CALL) + (0 if node.overload else CHOSEN)
