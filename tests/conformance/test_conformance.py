"""cel-spec's own tests: see README.md beside this file."""

from __future__ import annotations

import base64
import json
import math
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from engine.documents import Excerpt
from engine.language import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    NOTHING,
    OVERLOADS,
    STRING,
    UINT,
    Budget,
    Call,
    CelError,
    Ident,
    Node,
    Optional,
    Type,
    check,
    compile_expression,
    equal,
    list_of,
    map_of,
    parse,
)
from engine.language.checker import TYPE_NAMES
from engine.language.functions.times import string_to_duration, string_to_timestamp
from engine.language.syntax import StructLiteral, qualified, replace
from engine.language.types import DURATION, NULL, TIMESTAMP, optional_of
from engine.language.values import TypeValue, Uint, kind

HERE = Path(__file__).parent
BUDGET = 100_000
_PRIMITIVES = {"BOOL": BOOL, "INT64": INT, "UINT64": UINT, "DOUBLE": DOUBLE, "STRING": STRING, "BYTES": BYTES}
_MESSAGES = {"google.protobuf.Timestamp": TIMESTAMP, "google.protobuf.Duration": DURATION}


@dataclass(frozen=True, slots=True)
class Case:
    """One test of cel-spec, and whether types are checked first."""

    name: str
    checked: bool
    test: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}:{'checked' if self.checked else 'untyped'}"


@dataclass(frozen=True, slots=True)
class Refused(Exception):  # noqa: N818
    """The expression does not compile."""

    problems: str


class Unsupported(Exception):  # noqa: N818
    """The test's own data needs protobuf messages."""


def _cases() -> Iterator[Case]:
    for file in sorted((HERE / "data").glob("*.json")):
        for section, tests in json.loads(file.read_text()).items():
            seen: Counter[str] = Counter()
            for test in tests:
                seen[test["name"]] += 1
                again = f"#{seen[test['name']]}" if seen[test["name"]] > 1 else ""
                name = f"{file.stem}/{section}/{test['name']}{again}"
                yield Case(name, True, test)
                if not test.get("checkOnly"):
                    yield Case(name, False, test)


CASES = tuple(_cases())
EXCEPTIONS = tomllib.loads((HERE / "exceptions.toml").read_text())["exception"]


def _excepted(case: Case) -> bool:
    return any(
        fnmatchcase(str(case), pattern) or fnmatchcase(case.name, pattern)
        for group in EXCEPTIONS
        for pattern in group["tests"]
    )


@pytest.mark.parametrize("case", [case for case in CASES if not _excepted(case)], ids=str)
def test_conforms(case: Case) -> None:
    agrees, answer = _run(case)
    assert agrees, f"{case.test['expr']}\nexpected {_expectation(case.test)}\ngot {answer}"


@pytest.mark.parametrize("case", [case for case in CASES if _excepted(case)], ids=str)
def test_exception_is_needed(case: Case) -> None:
    agrees, answer = _run(case)
    assert not agrees, f"passes, so it is no exception: {case.test['expr']}\ngot {answer}"


def test_exceptions_are_counted() -> None:
    for group in EXCEPTIONS:
        found = [
            case
            for case in CASES
            if any(fnmatchcase(str(case), p) or fnmatchcase(case.name, p) for p in group["tests"])
        ]
        assert len(found) == group["count"], group["why"]


def test_nothing_is_lost() -> None:
    assert len({case.name for case in CASES}) == 2344
    assert len(CASES) == 2 * 2344 - 25  # of which nothing is evaluated


def _run(case: Case) -> tuple[bool, object]:
    """Whether we do what the test expects, and what we did."""
    try:
        bindings = {name: _value(binding["value"]) for name, binding in case.test.get("bindings", {}).items()}
        types = {d["name"]: _type(d["ident"]["type"]) for d in case.test.get("typeEnv", ()) if "ident" in d}
        expected = _expectation(case.test)
        node = _compiled(case, types)
        deduced = case.test.get("typedResult", {}).get("deducedType")
        if case.checked and deduced and node.type != _type(deduced):
            return False, f"of type {node.type}"
        if case.test.get("checkOnly"):
            return True, node.type
        result = compile_expression(node, tuple(bindings))(Budget(BUDGET), *bindings.values())
    except Unsupported as unsupported:
        return False, unsupported
    except (Refused, CelError) as error:
        return expected is CelError, error
    if expected is CelError:
        return False, result
    return _same(result, expected), result


def _compiled(case: Case, types: Mapping[str, Type]) -> Node:
    excerpt = Excerpt.of(case.test["expr"])
    node, problems = parse(excerpt)
    if node is None:
        raise Refused("\n".join(map(str, problems)))
    if not case.checked or case.test.get("disableCheck"):
        untyped: Node = named(node, case.test.get("bindings", {}))
        return untyped
    node, problems = check(node, excerpt, types, strict=False)
    if any(problem.severity == "error" for problem in problems):
        raise Refused("\n".join(map(str, problems)))
    return node


def named(part: Any, variables: Collection[str]) -> Any:
    """What `check` finds out about names: `math.abs(x)` is a function, not a method, and `a.b` may be one variable."""
    if isinstance(part, tuple):
        return tuple(named(each, variables) for each in part)
    if not isinstance(part, Node):
        return part
    if isinstance(part, StructLiteral):
        raise Unsupported(f"message {part.name}")
    name = qualified(part)
    if name is not None and (name in variables or name in TYPE_NAMES):
        return Ident(start=part.start, end=part.end, name=name)
    node = replace(part, **{field: named(getattr(part, field), variables) for field in part.__struct_fields__})
    space = qualified(part.target) if isinstance(part, Call) and part.target is not None else None
    if isinstance(node, Call) and f"{space}.{node.function}" in OVERLOADS:
        return replace(node, function=f"{space}.{node.function}", target=None)
    return node


def _expectation(test: Mapping[str, Any]) -> object:
    if "evalError" in test:
        return CelError
    typed = test.get("typedResult", {})
    if "result" in typed or "value" in test:
        return _value(typed.get("result") or test["value"])
    return True


def _value(encoded: Mapping[str, Any]) -> object:
    """A runtime value from protobuf JSON of cel.expr.Value."""
    ((tag, value),) = encoded.items()
    match tag:
        case "int64Value":
            return int(value)
        case "uint64Value":
            return Uint(value)
        case "doubleValue":
            return float(value)
        case "bytesValue":
            return base64.b64decode(value)
        case "boolValue" | "stringValue" | "nullValue":
            return value
        case "listValue":
            return [_value(element) for element in value.get("values", ())]
        case "mapValue":
            return {_value(e["key"]): _value(e["value"]) for e in value.get("entries", ())}
        case "typeValue":
            return TypeValue(value)
        case "objectValue" if value["@type"].endswith("google.protobuf.Timestamp"):
            return string_to_timestamp(value["value"])
        case "objectValue" if value["@type"].endswith("google.protobuf.Duration"):
            return string_to_duration(value["value"])
    raise Unsupported(f"{tag}: {value}")


def _type(encoded: Mapping[str, Any]) -> Type:
    """A type from protobuf JSON of cel.expr.Type."""
    match encoded:
        case {"primitive": name}:
            return _PRIMITIVES[name]
        case {"listType": {"elemType": element}}:
            return list_of(_type(element))
        case {"mapType": {"keyType": key, "valueType": value}}:
            return map_of(_type(key), _type(value))
        case {"messageType": name} if name in _MESSAGES:
            return _MESSAGES[name]
        case {"abstractType": {"name": "optional_type", "parameterTypes": [value]}}:
            return optional_of(_type(value))
        case {"null": _}:
            return NULL
        case {"dyn": _}:
            return DYN
    raise Unsupported(f"type {encoded}")


def _same(ours: object, theirs: object) -> bool:
    """Equal, and of one type; NaN is NaN here."""
    if isinstance(ours, float) and isinstance(theirs, float) and math.isnan(theirs):
        return math.isnan(ours)
    if isinstance(ours, (list, tuple)) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return len(ours) == len(theirs) and all(k in ours and _same(ours[k], v) for k, v in theirs.items())
    if isinstance(ours, Optional):
        return ours is not NOTHING and _same(ours.value, theirs)
    return kind(ours) == kind(theirs) and equal(ours, theirs)
