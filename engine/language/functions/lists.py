"""Lists: Kubernetes' own library (sums, extremes, order, search), the lists extension, and the sets extension."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from itertools import pairwise

from engine.language.functions.operators import add_double, add_duration, add_int, add_uint
from engine.language.overload import A, Overload, by_length, by_pairs, by_square, content
from engine.language.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    Type,
    list_of,
    optional_of,
)
from engine.language.values import (
    MAX_SIZE,
    NOTHING,
    BudgetExceeded,
    CelError,
    Duration,
    Optional,
    Uint,
    compare,
    equal,
    kind,
)

List = list[object]
Implementation = Callable[..., object]
Cost = Callable[..., int]


def is_sorted(values: List) -> bool:
    """Whether no element is greater than the next."""
    return all(compare(a, b) <= 0 for a, b in pairwise(values))


def largest(values: List) -> object:
    if not values:
        raise CelError("max called on empty list")
    result = values[0]
    for value in values[1:]:
        if compare(result, value) < 0:
            result = value
    return result


def smallest(values: List) -> object:
    if not values:
        raise CelError("min called on empty list")
    result = values[0]
    for value in values[1:]:
        if compare(result, value) > 0:
            result = value
    return result


_ADD: dict[type, Callable[..., object]] = {int: add_int, Uint: add_uint, float: add_double, Duration: add_duration}


def _summing(zero: object) -> Callable[[List], object]:
    def total(values: List) -> object:
        result = zero if not values or zero.__class__ is values[0].__class__ else _ZEROS.get(values[0].__class__, zero)
        add = _ADD[result.__class__]
        for value in values:
            if value.__class__ is not result.__class__:
                raise CelError(f"cannot sum a list that holds {kind(value)} beside {kind(result)}")
            result = add(result, value)
        return result

    return total


_ZEROS: dict[type, object] = {int: 0, Uint: Uint(0), float: 0.0, Duration: Duration(0)}


def index_of(values: List, wanted: object) -> int:
    """The first index of an equal element, or -1."""
    return next((i for i, value in enumerate(values) if equal(value, wanted)), -1)


def last_index_of(values: List, wanted: object) -> int:
    """The last index of an equal element, or -1."""
    return next((i for i in range(len(values) - 1, -1, -1) if equal(values[i], wanted)), -1)


def slice_of(values: List, start: int, end: int) -> List:
    """From index `start`, included, to `end`, not."""
    if not 0 <= start <= end <= len(values):
        raise CelError(f"cannot slice({start}, {end}) of a list of {len(values)}")
    return list(values[start:end])


def flatten(values: List, depth: int = 1) -> List:
    """Lists inside replaced by their elements, `depth` levels down."""
    if depth < 0:
        raise CelError("level must be non-negative")
    result: List = []
    for value in values:
        if depth > 0 and isinstance(value, (list, tuple)):
            result.extend(flatten(list(value), depth - 1))
        else:
            result.append(value)
    if len(result) > MAX_SIZE:
        raise BudgetExceeded(f"a list grew beyond {MAX_SIZE} elements")
    return result


def sort(values: List) -> List:
    return sort_by_keys(values, values)


def sort_by_keys(values: List, keys: List) -> List:
    """The values in the order of their keys, all of one ordered type."""
    if len({key.__class__ for key in keys}) > 1:
        raise CelError("list elements must have the same type")
    if len(keys) == 1:
        compare(keys[0], keys[0])
    order = cmp_to_key(compare)
    return [values[i] for i in sorted(range(len(keys)), key=lambda i: order(keys[i]))]


def numbers(count: int) -> List:
    """0, 1, … count - 1."""
    if count > MAX_SIZE:
        raise BudgetExceeded(f"a list grew beyond {MAX_SIZE} elements")
    return list(range(count))


def reverse(values: List) -> List:
    return list(values[::-1])


def distinct(values: List) -> List:
    """Each value once, where it first stands."""
    if all(value.__class__ is str for value in values):
        return list(dict.fromkeys(values))
    result: List = []
    for value in values:
        if not any(equal(value, other) for other in result):
            result.append(value)
    return result


def first(values: List) -> Optional:
    return Optional(values[0]) if values else NOTHING


def last(values: List) -> Optional:
    return Optional(values[-1]) if values else NOTHING


def has_all(values: List, wanted: List) -> bool:
    """Whether each wanted element is among the values."""
    return all(any(equal(value, element) for value in values) for element in wanted)


def have_same(first: List, second: List) -> bool:
    """Whether two lists hold the same elements, however often."""
    return has_all(first, second) and has_all(second, first)


def intersect(first: List, second: List) -> bool:
    """Whether two lists have an element in common."""
    return any(equal(a, b) for a in first for b in second)


def by_elements(*arguments: object) -> int:
    """What walks lists at about a unit an element; a number counts as a size to be built."""
    units = 0
    for argument in arguments:
        if isinstance(argument, (list, tuple)):
            units += len(argument)
        elif argument.__class__ is int:
            units += max(0, min(argument, MAX_SIZE)) >> 2
    return units


def by_nested_elements(values: object, *_: object) -> int:
    """What flattens: the elements of the elements, too."""
    return 2 * content(values)


def by_order(values: object) -> int:
    """What compares the elements of a list with each other: two units each, by as many times as it is halved."""
    count = len(values) if isinstance(values, (list, tuple)) else 0
    return 2 * count * count.bit_length()


def by_comparisons(values: object) -> int:
    """What compares each element of a list once."""
    return 3 * len(values) if isinstance(values, (list, tuple)) else 0


def by_search(values: object, wanted: object) -> int:
    """What compares each element with one value: deeply, where they have elements."""
    return content(values) * (2 if isinstance(wanted, (list, tuple, dict)) else 1) + by_length(wanted)


def by_mixed_square(values: object, *_: object) -> int:
    """Distinct: strings are hashed, everything else is compared pair by pair."""
    if isinstance(values, (list, tuple)) and all(value.__class__ is str for value in values):
        return len(values)
    return by_square(values)


_ORDERED = {"int": INT, "uint": UINT, "double": DOUBLE, "bool": BOOL, "duration": DURATION, "timestamp": TIMESTAMP,
            "string": STRING, "bytes": BYTES}  # fmt: skip
_SUMMED = {"int": (INT, 0, "[1, 2].sum() == 3"), "uint": (UINT, Uint(0), "[1u, 2u].sum() == 3u"),
           "double": (DOUBLE, 0.0, "[1.5, 2.0].sum() == 3.5"),
           "duration": (DURATION, Duration(0), '[duration("1s")].sum() == duration("1s")')}  # fmt: skip


def _kubernetes() -> list[Overload]:
    found = [
        Overload("sum", f"list_{name}_sum_{name}", (list_of(t),), t, _summing(zero), method=True, library="lists",
                 cost=by_elements, example=example)
        for name, (t, zero, example) in _SUMMED.items()
    ]  # fmt: skip
    for name, t in _ORDERED.items():
        shapes: tuple[tuple[str, str, Type, Callable[[List], object], str], ...] = (
            ("isSorted", f"list_{name}_is_sorted_bool", BOOL, is_sorted, "[1, 2].isSorted()"),
            ("max", f"list_{name}_max_{name}", t, largest, "[1, 3, 2].max() == 3"),
            ("min", f"list_{name}_min_{name}", t, smallest, "[3, 1, 2].min() == 1"),
            ("sort", f"list_{name}_sort", list_of(t), sort, "[3, 1].sort() == [1, 3]"),
        )
        found += [
            Overload(f, key, (list_of(t),), result, impl, method=True, library="lists", example=ex,
                     cost=by_order if f == "sort" else by_comparisons)
            for f, key, result, impl, ex in shapes
        ]  # fmt: skip
    return found


def _extension() -> list[Overload]:
    many = list_of(A)
    table: tuple[tuple[str, str, tuple[Type, ...], Type, Implementation, Cost | None, str], ...] = (
        ("indexOf", "list_a_index_of_int", (many, A), INT, index_of, by_search, "[1, 2, 2].indexOf(2) == 1"),
        ("lastIndexOf", "list_a_last_index_of_int", (many, A), INT, last_index_of, by_search,
         "[1, 2, 2].lastIndexOf(2) == 2"),
        ("slice", "list_slice", (many, INT, INT), many, slice_of, by_length, "[1, 2, 3].slice(1, 3) == [2, 3]"),
        ("flatten", "list_flatten", (list_of(many),), many, flatten, by_nested_elements,
         "[[1], [2]].flatten() == [1, 2]"),
        ("flatten", "list_flatten_int", (list_of(DYN), INT), list_of(DYN), flatten, by_nested_elements,
         "[[[1]], [[2]]].flatten(2) == [1, 2]"),
        ("reverse", "list_reverse", (many,), many, reverse, by_length, "[1, 2].reverse() == [2, 1]"),
        ("distinct", "list_distinct", (many,), many, distinct, by_mixed_square, "[1, 2, 1].distinct() == [1, 2]"),
        ("first", "list_first", (many,), optional_of(A), first, None, "[1, 2].first().value() == 1"),
        ("last", "list_last", (many,), optional_of(A), last, None, "[1, 2].last().value() == 2"),
    )  # fmt: skip
    return [
        *(
            Overload(f, key, parameters, result, impl, method=True, library="lists", cost=cost, example=example)
            for f, key, parameters, result, impl, cost, example in table
        ),
        Overload("lists.range", "lists_range", (INT,), list_of(INT), numbers, library="lists", cost=by_elements,
                 example="lists.range(3) == [0, 1, 2]"),
    ]  # fmt: skip


def _sets() -> list[Overload]:
    pair = (list_of(A), list_of(A))
    table: tuple[tuple[str, str, Callable[..., bool], str], ...] = (
        ("sets.contains", "list_sets_contains_list", has_all, "sets.contains([1, 2, 3], [2, 3])"),
        ("sets.equivalent", "list_sets_equivalent_list", have_same, "sets.equivalent([1, 2, 1], [2, 1])"),
        ("sets.intersects", "list_sets_intersects_list", intersect, "sets.intersects([1, 2], [2, 3])"),
    )
    return [
        Overload(function, name, pair, BOOL, implementation, library="sets", cost=by_pairs, example=example)
        for function, name, implementation, example in table
    ]


OVERLOADS: tuple[Overload, ...] = (*_kubernetes(), *_extension(), *_sets())
