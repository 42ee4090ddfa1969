"""What expressions compute with: CEL's values in Python, their equality and order, and the two ways to stop.

A CEL value is plain wherever Python has an exact counterpart: int, float, bool, str, bytes, None, list (or tuple) and
dict (JSON objects as the API server sends them). An unsigned integer is a Uint; timestamps, durations, optionals and
types are the small frozen classes below; the libraries add theirs (`functions/`). Values never change once made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar, final

from engine.struct import Struct

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1
MAX_SIZE = 1_000_000  # elements of a list or map, or characters of a string, that an expression may build


Failure = TypeVar("Failure", bound=Exception)


class CelError(Exception):
    """An expression has no value. The text is what its author reads; it never holds a whole object."""


class NoSuchKey(CelError):  # noqa: N818 - the words of cel-spec
    """A map or an object lacks a key: the argument is the key."""

    def __str__(self) -> str:
        return f"no such key: {quoted(self.args[0])}"


class NoSuchOverload(CelError):  # noqa: N818 - the words of cel-spec
    """An operator or function met values that it isn't made for: its name, and the values."""

    def __str__(self) -> str:
        function, *values = self.args
        return f"no such overload: {function}({', '.join(kind(value) for value in values)})"


def bare(error: Failure) -> Failure:
    """An error that is kept: without the frames that it came through, which would keep all that they hold, in a cycle
    that only the collector of garbage ends, while every answer waits."""
    error.__traceback__ = error.__context__ = None
    return error


def fresh(error: CelError) -> CelError:
    """The same error once more, to be raised while the one that is kept stays `bare`."""
    return type(error)(*error.args)


class BudgetExceeded(Exception):  # noqa: N818 - Kubernetes' own word for it
    """An expression was stopped: it took too long or made something too large. Nothing absorbs this."""


@final
class Budget:
    """What a run may still spend: about a unit for each step of a macro, and for each 64 bytes that a function walks.

    One unit is half a microsecond of work, roughly, on a core beside busy ones. Not to be shared between threads.
    """

    __slots__ = ("left",)

    def __init__(self, limit: int) -> None:
        self.left = limit

    def spend(self, units: int) -> None:
        """Takes units away. Raises BudgetExceeded where less was left."""
        self.left -= units
        if self.left < 0:
            raise BudgetExceeded("the expression exceeded its run-time budget")


@final
class Uint(int):
    """An unsigned 64-bit integer. Equal to the int of the same value, as in CEL."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A point in time: nanoseconds since 1970-01-01T00:00:00Z. `offset` (seconds east of UTC) is how it was written: it
    shows in `string(t)` alone, as in Kubernetes.
    """

    nanos: int
    offset: int = field(default=0, compare=False)


class Duration(Struct, frozen=True, order=True):
    """A span of time in nanoseconds."""

    nanos: int


class Absent:
    """The class of the one value `NO_VALUE`: what an empty optional holds. Expressions never see it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


NO_VALUE: Final = Absent()


@final
class Optional(Struct, frozen=True, eq=False):
    """CEL's optional: `value` is NO_VALUE in the empty one. Selecting in an optional gives an optional."""

    value: object

    def __getitem__(self, key: object) -> Optional:
        return optional(find(self.value, key)) if self.value is not NO_VALUE else NOTHING


NOTHING: Final = Optional(NO_VALUE)


def optional(value: object) -> Optional:
    """The optional of a value or of NO_VALUE."""
    return NOTHING if value is NO_VALUE else Optional(value)


@final
class TypeValue(Struct, frozen=True):
    """A type as a value: what `type(x)` gives, and what `int` means where a value is expected."""

    name: str


class Opaque:
    """The base of the libraries' values (quantity, semver, …): `type_name` is CEL's name of the type."""

    __slots__ = ()
    type_name = "opaque"


_KINDS: Final[dict[type, str]] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    tuple: "list",
    dict: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    Optional: "optional_type",
    TypeValue: "type",
}
NUMBERS: Final = frozenset({int, Uint, float})


def kind(value: object) -> str:
    """The name of a value's type, without parameters: `int`, `list`, `google.protobuf.Timestamp`."""
    name = _KINDS.get(value.__class__)
    if name is not None:
        return name
    if isinstance(value, Opaque):
        return value.type_name
    return next(name for base, name in _KINDS.items() if isinstance(value, base))


def quoted(value: object) -> str:
    """A value in a message: strings as CEL writes them, shortened past 64 characters."""
    if isinstance(value, str):
        return json.dumps(value if len(value) <= 64 else value[:63] + "…", ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return kind(value)


def keys_of(entries: dict) -> list:  # type: ignore[type-arg]
    """The keys of a map in one order, however it was written: what a macro walks."""
    try:
        return sorted(entries)
    except TypeError:
        return sorted(entries, key=lambda key: (type(key).__name__, key))


def equal(a: object, b: object) -> bool:
    """CEL's `==` for any two values: numbers by value, everything else by type and content; never an error."""
    kind_a, kind_b = a.__class__, b.__class__
    if kind_a is str or kind_b is str:
        return a == b
    if kind_a in NUMBERS and kind_b in NUMBERS:
        # as in Kubernetes, an integer beside a double is made a double, however large
        return float(a) == float(b) if (kind_a is float) is not (kind_b is float) else a == b  # type: ignore[arg-type]
    if kind_a is bool or kind_b is bool or a is None or b is None:
        return a is b
    if isinstance(a, (list, tuple)):
        return isinstance(b, (list, tuple)) and len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and len(a) == len(b) and all(equal(v, find(b, k)) for k, v in a.items())
    if kind_a is not kind_b:
        return False
    if isinstance(a, Optional) and isinstance(b, Optional):
        return (a.value is b.value is NO_VALUE) or (
            a.value is not NO_VALUE and b.value is not NO_VALUE and equal(a.value, b.value)
        )
    return a == b


def compare(a: object, b: object, operator: str = "_<_") -> int:
    """-1, 0 or 1: numbers across types by value, else two values of one ordered type. Raises CelError for others.

    A NaN has no place in the order: an error, as in Kubernetes.
    """
    kind_a, kind_b = a.__class__, b.__class__
    comparable = (kind_a in NUMBERS and kind_b in NUMBERS) or (kind_a is kind_b and kind_a in ORDERED)
    if not comparable:
        raise NoSuchOverload(operator, a, b)
    if a != a or b != b:
        raise CelError("NaN values cannot be ordered")
    if (kind_a is float) is not (kind_b is float):
        a, b = float(a), float(b)  # type: ignore[arg-type]  # as in Kubernetes, however large the integer
    return -1 if a < b else int(a > b)  # type: ignore[operator]  # both are of one ordered class, or numbers


ORDERED: Final = frozenset({bool, int, Uint, float, str, bytes, Timestamp, Duration})


def find(container: object, key: object) -> object:
    """The value at a key of a map or an index of a list, or NO_VALUE; what holds nothing has nothing at any key.

    Raises CelError for a key of a type that the list or map can't have.

    A key is found across number types, as in CEL: `1`, `1u` and `1.0` are one key, but `true` is not.
    """
    if isinstance(container, dict):
        if key.__class__ is str:
            return container.get(key, NO_VALUE)
        return _find_odd(container, key)
    if isinstance(container, (list, tuple)):
        if isinstance(key, float) and key.is_integer():
            key = int(key)
        if not isinstance(key, int) or isinstance(key, bool):
            raise NoSuchOverload("_[_]", container, key)
        return container[key] if 0 <= key < len(container) else NO_VALUE
    if isinstance(container, Optional):
        return container[key].value
    return NO_VALUE


def _find_odd(container: dict[object, object], key: object) -> object:
    if key.__class__ not in NUMBERS and key.__class__ is not bool:
        raise CelError(f"unsupported key type: {kind(key)}")
    value = container.get(key, NO_VALUE)
    if value is NO_VALUE or (key.__class__ is not bool and key not in (0, 1)):
        return value
    # Python takes True and 1 for one key; CEL does not
    same = any((k.__class__ is bool) is (key.__class__ is bool) for k in container if k == key)
    return value if same else NO_VALUE


def at(container: object, key: object) -> object:
    """`container[key]`. Raises CelError where there is nothing."""
    if isinstance(container, Optional):
        return container[key]
    value = find(container, key)
    if value is not NO_VALUE:
        return value
    if isinstance(container, dict):
        if hasattr(container, "__missing__"):
            return container[key]
        raise NoSuchKey(key)
    if isinstance(container, (list, tuple)):
        raise CelError(f"index out of bounds: {quoted(key)}, the list has {len(container)}")
    raise NoSuchOverload("_[_]", container, key)


def map_of(entries: Iterable[tuple[object, object]]) -> dict[object, object]:
    """A map from computed keys; of a key twice the last counts, as in Kubernetes.

    Raises CelError for a key of a type that can't be one, and for two that only Python takes for one.
    """
    result: dict[object, object] = {}
    for key, value in entries:
        if key.__class__ not in _KEYS:
            raise CelError(f"unsupported key type: {kind(key)}")
        if key in result and any(k == key and k.__class__ is not key.__class__ for k in result):
            raise CelError(f"repeated key: {quoted(key)}")
        result[key] = value
    return result


_KEYS: Final = frozenset({str, int, Uint, bool})


def is_zero(value: object) -> bool:
    """Whether a value is its type's zero: `optional.ofNonZeroValue` tells them from the others."""
    if isinstance(value, (Timestamp, Duration)):
        return value.nanos == 0
    if isinstance(value, (Optional, TypeValue, Opaque)):
        return value is NOTHING
    return not value


def checked_int(value: int) -> int:
    """The value if 64 bits hold it. Raises CelError otherwise."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise CelError("integer overflow")


def checked_uint(value: int) -> Uint:
    """The value if 64 bits without sign hold it. Raises CelError otherwise."""
    if 0 <= value <= UINT_MAX:
        return Uint(value)
    raise CelError("unsigned integer overflow")
