"""Writes `docs/functions.md` from the table of functions that the checker and the compiler read.

`python tools/functions.py`
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from engine.language import DOUBLE, INT, OPERATORS, OVERLOADS, UINT, Overload, Type, said

TARGET = Path(__file__).parent.parent / "docs" / "functions.md"
SYMBOLS = {function: symbol for symbol, function in OPERATORS.items()}
UNARY = {"!_": "!", "-_": "-"}
NUMBERS = frozenset((INT, UINT, DOUBLE))
MANY = 2  # parameters: what takes more of the same is said in words

HEAD = """\
# Functions

Every operator, macro and function of the language: how it is called, an example that is true, and whether the API
server of Kubernetes 1.36 offers it to policies too. What it does not offer works here, and `bayplan check` warns of it.
How the language works, types, errors and optionals, is in [language.md](language.md).

In the signatures `T`, `A` and `B` are any type, unless they are named; `number` is `int`, `uint` or `double`.

<!-- made by tools/functions.py -->
"""
TITLES: Mapping[str, str] = {
    "operators": "Operators",
    "macros": "Macros",
    "standard": "Standard functions",
    "strings": "Strings",
    "regex": "Regular expressions",
    "lists": "Lists",
    "sets": "Sets",
    "optional": "Optionals",
    "quantity": "Quantities",
    "semver": "Versions",
    "ip": "IP addresses",
    "cidr": "Networks",
    "url": "URLs",
    "format": "Formats of names",
    "math": "Mathematics",
    "encoders": "Encoders",
}
NOTES: Mapping[str, str] = {
    "macros": "In a list, one variable is the element and two are index and element; in a map, key, and key and value.",
    "regex": "Patterns are RE2's: they take time in proportion to the text, and have neither backreferences nor "
    "lookaround. A pattern written as a constant is compiled with the bundle.",
    "format": "`validate` gives an empty optional if the text is right, else the list of what is wrong with it.",
}


@dataclass(frozen=True, slots=True)
class Macro:
    """A form of a macro: how it is written, an example that is true, and whether Kubernetes has it."""

    form: str
    example: str
    kubernetes: bool = True


MACROS = (
    Macro("has(object.field)", 'has({"a": 1}.a) && !has({"a": 1}.b)'),
    Macro("list.all(x, condition)", "[1, 2].all(x, x > 0)"),
    Macro("list.all(i, x, condition)", '{"a": 1}.all(k, v, k == "a" && v == 1)'),
    Macro("list.exists(x, condition)", "[1, 2].exists(x, x > 1)"),
    Macro("list.exists(i, x, condition)", "[1, 2].exists(i, x, i == 1 && x == 2)"),
    Macro("list.exists_one(x, condition)", "[1, 2].exists_one(x, x > 1)"),
    Macro("list.exists_one(i, x, condition)", "[1, 2].exists_one(i, x, x > 1)"),
    Macro("list.existsOne(x, condition)", "![1, 2].existsOne(x, x > 0)", kubernetes=False),
    Macro("list.existsOne(i, x, condition)", "[1, 2].existsOne(i, x, i > 0)"),
    Macro("list.filter(x, condition)", "[1, 2, 3].filter(x, x > 1) == [2, 3]"),
    Macro("list.map(x, value)", "[1, 2].map(x, x * 2) == [2, 4]"),
    Macro("list.map(x, condition, value)", "[1, 2].map(x, x > 1, x * 2) == [4]"),
    Macro("list.sortBy(x, key)", "[3, 1, 2].sortBy(x, -x) == [3, 2, 1]"),
    Macro("list.transformList(i, x, value)", "[5, 6].transformList(i, x, i * x) == [0, 6]"),
    Macro("list.transformList(i, x, condition, value)", "[5, 6].transformList(i, x, i > 0, x) == [6]"),
    Macro("map.transformMap(k, v, value)", '{"a": 1}.transformMap(k, v, v + 1) == {"a": 2}'),
    Macro("map.transformMap(k, v, condition, value)", '{"a": 1, "b": 2}.transformMap(k, v, v > 1, v) == {"b": 2}'),
    Macro("map.transformMapEntry(k, v, {key: value})", '{"a": "x"}.transformMapEntry(k, v, {v: k}) == {"x": "a"}'),
    Macro(
        "map.transformMapEntry(k, v, condition, {key: value})",
        '{"a": "x", "b": "y"}.transformMapEntry(k, v, k == "a", {v: k}) == {"x": "a"}',
    ),
    Macro("optional.optMap(x, value)", "optional.of(1).optMap(x, x + 1).value() == 2"),
    Macro("optional.optFlatMap(x, optional)", '{"a": {"b": 1}}[?"a"].optFlatMap(x, x[?"b"]).value() == 1'),
    Macro("cel.bind(name, value, expression)", "cel.bind(x, 2, x * x) == 4", kubernetes=False),
)


def page() -> str:
    """The whole text of the page."""
    functions = [overload for group in OVERLOADS.values() for overload in group]
    libraries: dict[str, list[str]] = {name: [] for name in TITLES}
    libraries["macros"] = [_row([macro.form], macro.example, macro.kubernetes) for macro in MACROS]
    for overloads in _rows(functions):
        first = overloads[0]
        library = "operators" if _is_operator(first) else first.library
        libraries[library].append(_row(_signatures(overloads), first.example, first.kubernetes))
    return HEAD + "".join(map(_section, libraries, libraries.values()))


def _section(library: str, rows: Sequence[str]) -> str:
    note = f"{NOTES[library]}\n\n" if library in NOTES else ""
    head = "| how it is called | an example | Kubernetes |\n| --- | --- | --- |\n"
    return f"\n## {TITLES[library]}\n\n{note}{head}{''.join(rows)}"


def _row(signatures: Iterable[str], example: str, kubernetes: bool) -> str:
    forms = "<br>".join(map(_code, signatures))
    return f"| {forms} | {_code(example)} | {'yes' if kubernetes else 'no'} |\n"


def _code(text: str) -> str:
    """Text as code in a cell of a table."""
    words, _, more = text.partition("; ")
    return f"`{words}`{more and f' {more}'}".replace("|", "\\|")


def _rows(overloads: Iterable[Overload]) -> Iterator[list[Overload]]:
    """Overloads that share an example share a row."""

    def key(overload: Overload) -> tuple[object, ...]:
        return (overload.function, overload.method, overload.library, overload.kubernetes, overload.example)

    for _, group in groupby(sorted(overloads, key=key), key):
        yield list(group)


def _signatures(overloads: Sequence[Overload]) -> list[str]:
    """What an author may write: a line for all signatures that differ in one type, or in which numbers they mix."""
    shown = [overload for overload in overloads if len(overload.parameters) <= MANY or len(overloads) <= MANY]
    lines: dict[str, list[Overload]] = {}
    for overload in shown:
        lines.setdefault(_written(overload, _names(overload)), []).append(overload)
    most = max(len(overload.parameters) for overload in overloads)
    more = [f"…; and so on, up to {most} arguments"] if len(shown) < len(overloads) else []
    return [line for form, group in lines.items() for line in _together(form, group)] + more


def _together(form: str, group: Sequence[Overload]) -> list[str]:
    if "number" in form and len(group) == len(NUMBERS) * (len(NUMBERS) - 1):
        return [form]
    if "number" in form or len(group) == 1:
        return [_written(overload, {}) for overload in group]
    types = ", ".join(f"`{said(_leaf(overload.parameters[0]))}`" for overload in group)
    return [f"{form}; for `T` {types}"]


def _names(overload: Overload) -> Mapping[Type, str]:
    """What stands for the types of a signature that is one of many: two numbers, or the first type wherever it is."""
    types = {_leaf(parameter) for parameter in overload.parameters}
    if len(types) == MANY and types <= NUMBERS:
        return dict.fromkeys(types, "number")
    return {_leaf(parameter): "T" for parameter in overload.parameters[:1]}


def _leaf(type_: Type) -> Type:
    return _leaf(type_.parameters[0]) if type_.parameters else type_


def _written(overload: Overload, names: Mapping[Type, str]) -> str:
    """How a call is written, with types for values."""

    def name(type_: Type) -> str:
        if not type_.parameters:
            return names.get(type_) or said(type_)
        return f"{said(type_).partition('(')[0]}({', '.join(map(name, type_.parameters))})"

    parameters = [name(parameter) for parameter in overload.parameters]
    function, result = overload.function, name(overload.result)
    if function in UNARY:
        return f"{UNARY[function]}{parameters[0]} -> {result}"
    if function == "_?_:_":
        return "{} ? {} : {} -> {}".format(*parameters, result)
    if function in SYMBOLS:
        return f"{parameters[0]} {SYMBOLS[function]} {parameters[1]} -> {result}"
    receiver = f"{parameters.pop(0)}." if overload.method else ""
    return f"{receiver}{function}({', '.join(parameters)}) -> {result}"


def _is_operator(overload: Overload) -> bool:
    return overload.function in SYMBOLS or overload.function in UNARY or overload.function == "_?_:_"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    TARGET.write_text(page())
