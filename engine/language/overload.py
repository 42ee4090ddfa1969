"""What a function of the language is: its name, its signature, what computes it, what it costs."""

from __future__ import annotations

from collections.abc import Callable

from engine.language.types import Type, TypeParameter
from engine.struct import Struct

A, B = TypeParameter("A"), TypeParameter("B")
MAX_CONTENT = 1 << 15  # elements, those of elements included, of a value that is compared or written out as a whole
BEYOND = 1 << 40  # units, more than any budget has


class Overload(Struct, frozen=True):
    """One signature of one function.

    `function` is the name as it is called, namespace included (`sets.contains`). `id` is unique (cel-spec's where it
    has one: `contains_string`…). For a method, `parameters[0]` is the receiver.
    `implementation` takes the arguments as runtime values and returns one, or raises CelError; None where the compiler
    writes the operation itself (`_&&_`, `_?_:_`). `cost` is what a call takes from the run's budget, given the
    arguments; None for what takes constant time. `kubernetes` says whether the API server offers it to policies.
    `example` is an expression that is true.
    """

    function: str
    id: str
    parameters: tuple[Type, ...]
    result: Type
    implementation: Callable[..., object] | None
    method: bool = False
    library: str = "standard"
    kubernetes: bool = True
    cost: Callable[..., int] | None = None
    example: str = ""


def by_length(*arguments: object) -> int:
    """For what walks its arguments once: a unit for 64 characters or 8 elements."""
    units = 0
    for argument in arguments:
        if isinstance(argument, (str, bytes)):
            units += len(argument) >> 6  # divided by 64
        elif isinstance(argument, (list, tuple, dict)):
            units += len(argument) >> 3  # divided by 8
    return units


def by_pairs(first: object, second: object) -> int:
    """For what compares every element of one list with every element of another."""
    return content(first) * content(second)


def by_square(argument: object, *_: object) -> int:
    """For what compares every element of a list with every other: half the square."""
    return content(argument) ** 2 >> 1


def by_content(*arguments: object) -> int:
    """For what walks its arguments to the leaves, all of them: the smallest counts, for equality stops there."""
    return 3 * min((content(argument) for argument in arguments), default=0)


def content(value: object) -> int:
    """The elements of a value and of what it holds, long strings by the 64 characters; BEYOND if they are too many.

    What is shared is counted as often as it is met, for it is walked as often.
    """
    count, pending = 0, [value]
    while pending:
        here = pending.pop()
        if isinstance(here, (str, bytes)):
            count += len(here) >> 6
        elif isinstance(here, (list, tuple, dict)):
            count += 1 + len(here)
            pending.extend(here.values() if isinstance(here, dict) else here)
        if count > MAX_CONTENT:
            return BEYOND
    return count
