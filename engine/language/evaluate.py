"""Running expressions: `compile_expression` makes a Python function of a checked tree.

What a run may raise, and nothing else:

- CelError: the expression has no value. In generated code (`codegen.py`) Python's own errors on plain data mean the
  same, and become CelErrors at the border, or where `&&`, `||` and macros absorb them: KeyError (no such key),
  IndexError (index out of bounds), TypeError and AttributeError (a value of another type than expected). They count
  only if a line of generated code raised them, or a function that it called with a value of another type than it takes
  (`mistyped.py`; there ValueError counts, too): from deeper down they are bugs and pass through as they are.
- BudgetExceeded: the run was too long, too large or too deep. Nothing in an expression absorbs it.
- any other exception: a bug here, or in what evaluates `variables` lazily.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from engine.language import codegen
from engine.language.functions.lists import by_order, sort_by_keys
from engine.language.functions.operators import is_in
from engine.language.mistyped import mistyped
from engine.language.overload import by_content
from engine.language.regex import Pattern, matching
from engine.language.syntax import Literal, Node
from engine.language.values import (
    NO_VALUE,
    NOTHING,
    Budget,
    BudgetExceeded,
    CelError,
    NoSuchKey,
    NoSuchOverload,
    Optional,
    TypeValue,
    at,
    bare,
    equal,
    find,
    fresh,
    keys_of,
    kind,
    map_of,
    optional,
)

FAULTS = (CelError, KeyError, IndexError, TypeError, AttributeError, ValueError)


def compile_expression(node: Node, names: Sequence[str]) -> Callable[..., object]:
    """A function `f(budget, *values)` of a checked tree, with a value for each root variable in `names`.

    It returns a CEL value or raises CelError or BudgetExceeded. It keeps no state: threads may share it. The value of a
    root that is called `name()` there is a function of the budget, called wherever `name` is read. A root that is a
    dict subclass may compute its fields (`__missing__`; `__contains__` and `get` too, where `has` and `.?` ask).
    """
    if isinstance(node, Literal):
        value = node.value
        return lambda *_: value
    source, constants = codegen.source_of(node, names)
    namespace: dict[str, object] = {**_RUNTIME, **constants}
    exec(compile(source, codegen.FILENAME, "exec"), namespace)
    function = namespace[codegen.ENTRY]
    assert callable(function)
    return function


# --- what generated code calls


def _fault(error: BaseException) -> CelError:
    """The CelError that an error in generated code stands for; an error from elsewhere is raised again."""
    if isinstance(error, CelError):
        return bare(error)
    place, inside = error.__traceback__, False
    while place is not None and place.tb_next is not None:
        called_here = place.tb_frame.f_code.co_filename == codegen.FILENAME
        place = place.tb_next
        inside = inside or (called_here and mistyped(place.tb_frame, _HELPERS))
    written = place is not None and place.tb_frame.f_code.co_filename == codegen.FILENAME
    if not inside and (not written or isinstance(error, ValueError)):
        raise error
    if isinstance(error, KeyError) and not inside:
        return NoSuchKey(error.args[0])
    if isinstance(error, IndexError) and not inside:
        return CelError("index out of bounds")
    return CelError("no such overload: a value is of another type than this operation takes")


def _too_deep() -> BudgetExceeded:
    return BudgetExceeded("the expression nests too deeply")


def _raise(error: CelError) -> object:
    raise fresh(error)


def _undeclared(name: str) -> object:
    raise CelError(f"there is no variable `{name}` here")


def _overflow() -> int:
    raise CelError("integer overflow")


def _truth(value: object) -> bool:
    if value is True or value is False:
        return value
    raise NoSuchOverload("condition", value)


def _elements(budget: Budget, values: object, weight: int) -> Iterable[object]:
    """What a macro with one variable walks: the elements of a list, the keys of a map. Paid for in advance, `weight`
    units for each.
    """
    if not isinstance(values, (list, tuple, dict)):
        raise CelError(f"a value of type {kind(values)} has no elements")
    budget.left -= (len(values) + 1) * weight
    if budget.left < 0:
        budget.spend(0)
    return keys_of(values) if isinstance(values, dict) else values


def _pairs(budget: Budget, values: object, weight: int) -> Iterable[tuple[object, object]]:
    """What a macro with two variables walks: index and element, or key and value."""
    elements = _elements(budget, values, weight)
    return [(key, values[key]) for key in elements] if isinstance(values, dict) else enumerate(elements)


def _equal(budget: Budget, a: object, b: object) -> bool:
    if isinstance(a, (list, tuple, dict)) and isinstance(b, (list, tuple, dict)):
        budget.spend(by_content(a, b))
    return equal(a, b)


def _not_equal(budget: Budget, a: object, b: object) -> bool:
    return not _equal(budget, a, b)


def _is_in(budget: Budget, value: object, container: object) -> bool:
    if isinstance(container, (list, tuple)):
        if not isinstance(value, str):
            budget.left -= 2 * len(container)
        else:
            # a unit for 8 elements, and for each element one for 256 characters of the string
            budget.left -= (len(container) >> 3) + (len(value) >> 8) * len(container)
        if budget.left < 0 or value.__class__ in (list, tuple, dict):
            budget.spend(by_content(container))
    return is_in(value, container)


def _same_text(budget: Budget, a: object, b: object) -> bool:
    """Equality of strings in a loop, where long ones add up."""
    if isinstance(a, str) and len(a) > 255:
        budget.spend(len(a) >> 8)
    return a == b


def _contains(budget: Budget, text: str, part: str) -> bool:
    budget.left -= len(text) >> 6  # a unit for 64 characters
    if budget.left < 0:
        budget.spend(0)
    return part in text


def _matches(budget: Budget, pattern: Pattern, text: str) -> bool:
    budget.left -= matching(text, pattern)
    if budget.left < 0:
        budget.spend(0)
    return pattern.matches(text)


def _has(container: object, field: str) -> bool:
    if isinstance(container, dict):
        return field in container
    if isinstance(container, Optional):
        return container[field] is not NOTHING
    if isinstance(container, (list, tuple)):
        raise NoSuchOverload("has", container)
    return False


def _held(value: object) -> object:
    """What an optional holds, where only run time can tell whether it is one."""
    if isinstance(value, Optional):
        return value.value
    raise NoSuchOverload("orValue", value)


def _one(value: object) -> tuple[object, ...]:
    return () if value is NO_VALUE else (value,)


def _entry(key: object, value: object) -> tuple[tuple[object, object], ...]:
    return () if value is NO_VALUE else ((key, value),)


def _merge(result: dict[object, object], entry: object) -> None:
    """Adds what one step of `transformMapEntry` gave."""
    if not isinstance(entry, dict):
        raise NoSuchOverload("transformMapEntry", entry)
    for key in map_of(entry.items()):
        if key in result:
            raise CelError(f"transformMapEntry: repeated key {key!r}")
    result.update(entry)


def _sort_by(budget: Budget, values: Iterable[object], keys: list[object]) -> list[object]:
    if isinstance(values, dict):
        raise NoSuchOverload("sortBy", values)
    budget.spend(by_order(keys))
    return sort_by_keys(list(values), keys)


_HELPERS = {_contains.__code__: 2, _matches.__code__: 1}
"""Functions of the budget, called by generated code: how many texts their last arguments are."""

_RUNTIME: Mapping[str, object] = MappingProxyType(
    {
        "__builtins__": {},
        "ABSENT": NO_VALUE,
        "CelError": CelError,
        "FAULTS": FAULTS,
        "NOTHING": NOTHING,
        "Optional": Optional,
        "RecursionError": RecursionError,
        "TypeValue": TypeValue,
        "at": at,
        "contains": _contains,
        "elements": _elements,
        "entry": _entry,
        "enumerate": enumerate,
        "equal": _equal,
        "fault": _fault,
        "find": find,
        "fresh": fresh,
        "has": _has,
        "held": _held,
        "is_in": _is_in,
        "len": len,
        "map_of": map_of,
        "matches": _matches,
        "merge": _merge,
        "not_equal": _not_equal,
        "one": _one,
        "optional": optional,
        "overflow": _overflow,
        "pairs": _pairs,
        "raise_": _raise,
        "same_text": _same_text,
        "sort_by": _sort_by,
        "too_deep": _too_deep,
        "truth": _truth,
        "undeclared": _undeclared,
    }
)
