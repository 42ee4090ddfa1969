"""What is left of a pod when the API server has read it into its Go types and written it again.

What its types do not know is gone, and so is what is empty where they leave that out: `{}`, `[]`, `""`, `0`, `false`.
What they always write is there, empty or null. Quantities are in their canonical form, moments in UTC. So `has()` asks
the same of a file as of a pod in a request.

Sources: encoding/json (omitempty, which leaves out no struct, and no pointer that is not nil), sigs.k8s.io/json (names
in their own case, null for nothing), Quantity and Time of k8s.io/apimachinery. The types are those of `pod_types.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from engine.documents import RequestError, written
from engine.pods.pod_types import TYPES
from engine.pods.requests import as_text

Json = Any
Object = dict[str, Json]
Read = Callable[[Json], Json]


class Field(NamedTuple):
    """A field of a type: how it is read, whether it is left out where it is empty, and what makes it where it must be
    there and nothing is said."""

    read: Read
    omitted: bool
    empty: Callable[[], Json] | None


class _MistypedError(Exception):
    """A value has another type; `path` leads to it from where the exception is caught, in reverse."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.path: list[str] = []


def as_read(pod: Mapping[str, Json], path: str = "") -> Object:
    """The pod as it is written again. Raises RequestError, with the field's path after `path`, for a value of another
    type; what the value is, is not told, for it may be a secret."""
    read = types()["Pod"]
    try:
        made: Object = read(pod)
    except _MistypedError as error:
        place = "".join(reversed(error.path)).lstrip(".")
        raise RequestError(f"{path}{place}", str(error)) from None
    return made


@cache
def types() -> Mapping[str, Read]:
    """The readers of all types by name."""
    fields = {name: _described(line) for name, line in _lines()}
    tables: dict[str, dict[str, Field]] = {name: {} for name in fields}
    readers = {name: _reader(table) for name, table in tables.items()}
    for name, described in fields.items():
        tables[name].update({field: _field(mark, words, readers) for field, mark, words in described})
    return readers


def fields_of(name: str) -> tuple[tuple[str, str, str], ...]:
    """The fields of a type: name, mark (`?` and `!`, or nothing) and the words of what it holds."""
    return next(tuple(_described(line)) for each, line in _lines() if each == name)


def _lines() -> list[tuple[str, str]]:
    split = (line.split(": ", 1) for line in TYPES.replace("\n  ", " ").splitlines())
    return [(name, fields) for name, fields in split]


def _described(line: str) -> list[tuple[str, str, str]]:
    pairs = (field.split(" ") for field in line.split(", ") if field)
    return [(name.rstrip("?!"), name[len(name.rstrip("?!")) :], words) for name, words in pairs]


def _field(mark: str, words: str, readers: Mapping[str, Read]) -> Field:
    read, zero = _of(words, readers)
    pointer, structure = words.startswith("*"), words in readers or words in _STRUCTURES
    omitted = "?" in mark and not pointer and not structure
    return Field(read, omitted, None if omitted or "!" in mark or ("?" in mark and pointer) else zero)


def _of(words: str, readers: Mapping[str, Read]) -> tuple[Read, Callable[[], Json]]:
    """How a value is read, and what makes the one that stands for none."""
    if words.startswith("*"):
        return _of(words[1:], readers)[0], _null
    if words.startswith("[]"):
        return _list(*_of(words[2:], readers)), _null
    if words.startswith("{}"):
        return _map(*_of(words[2:], readers)), _null
    if words in _SCALARS:
        return _SCALARS[words]
    read = readers[words]
    return read, lambda: read({})


def _null() -> None:
    return None


def _reader(fields: Mapping[str, Field]) -> Read:
    always: list[tuple[str, Callable[[], Json]]] | None = None

    def read(value: Json) -> Object:
        nonlocal always
        if not isinstance(value, Mapping):
            raise _MistypedError("this must be a map")
        made: Object = {}
        key = ""
        try:
            for key, item in value.items():
                field = fields.get(key)
                if field is not None and item is not None:
                    said = field.read(item)
                    if said or not field.omitted:
                        made[key] = said
        except _MistypedError as error:
            error.path.append(f".{key}")
            raise
        if always is None:
            always = [(each, field.empty) for each, field in fields.items() if field.empty is not None]
        for each, empty in always:
            if each not in made:
                made[each] = empty()
        return made

    return read


def _list(read: Read, zero: Callable[[], Json]) -> Read:
    def items(value: Json) -> list[Json]:
        if not isinstance(value, (list, tuple)):
            raise _MistypedError("this must be a list")
        made: list[Json] = []
        try:
            for item in value:
                made.append(zero() if item is None else read(item))  # noqa: PERF401 - the place of a mistake is told
        except _MistypedError as error:
            error.path.append(f"[{len(made)}]")
            raise
        return made

    return items


def _map(read: Read, zero: Callable[[], Json]) -> Read:
    def entries(value: Json) -> Object:
        if not isinstance(value, Mapping):
            raise _MistypedError("this must be a map")
        made: Object = {}
        key = ""
        try:
            for key, item in value.items():
                if not isinstance(key, str):
                    raise _MistypedError("this must be text: quote it")
                made[key] = zero() if item is None else read(item)
        except _MistypedError as error:
            error.path.append(f".{key}")
            raise
        return made

    return entries


def _string(value: Json) -> str:
    if isinstance(value, str):
        return value
    raise _MistypedError("this must be text" + (": quote it" if isinstance(value, (bool, int, float)) else ""))


def _bool(value: Json) -> bool:
    if isinstance(value, bool):
        return value
    raise _MistypedError("this must be true or false")


def _whole(bits: int) -> Read:
    most = 2 ** (bits - 1)

    def whole(value: Json) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _MistypedError("this must be a whole number")
        if not -most <= value < most:
            raise _MistypedError(f"this must be a number of {bits} bits")
        return value

    return whole


_INT32, _INT64 = _whole(32), _whole(64)


def _int_or_string(value: Json) -> int | str:
    return value if isinstance(value, str) else int(_INT32(value))


def _quantity(value: Json) -> str:
    try:
        return written(as_text(value).strip())
    except ValueError as error:
        raise _MistypedError(str(error)) from None


def _time(value: Json) -> str:
    """Source: metav1.Time, which is RFC 3339 and writes whole seconds in UTC."""
    try:
        moment = datetime.fromisoformat(_string(value))
    except ValueError:
        raise _MistypedError("this must be a moment such as `2026-01-31T12:00:00Z`") from None
    if moment.tzinfo is None:
        raise _MistypedError("this must be a moment such as `2026-01-31T12:00:00Z`")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _any(value: Json) -> Json:
    return value


_SCALARS: Mapping[str, tuple[Read, Callable[[], Json]]] = {
    "string": (_string, str),
    "bool": (_bool, bool),
    "int32": (_INT32, int),
    "int64": (_INT64, int),
    "intOrString": (_int_or_string, int),
    "quantity": (_quantity, lambda: "0"),
    "time": (_time, _null),
    "any": (_any, _null),
}
_STRUCTURES = ("intOrString", "quantity", "time", "any")
"""Those that are structures to Go, and so never empty."""
