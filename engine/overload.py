"""What a function of the language is: its name, its signature, what computes it, what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.types import Type, TypeParameter

A, B = TypeParameter("A"), TypeParameter("B")


@dataclass(frozen=True, slots=True)
class Overload:
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
            units += len(argument) >> 6
        elif isinstance(argument, (list, tuple, dict)):
            units += len(argument) >> 3
    return units


def by_pairs(first: object, second: object) -> int:
    """For what compares every element of one list with every element of another."""
    return (_size(first) * _size(second)) >> 2


def by_square(argument: object, *_: object) -> int:
    """For what compares every element of a list with every other."""
    return (_size(argument) ** 2) >> 2


def by_content(*arguments: object) -> int:
    """For what walks its arguments to the leaves, all of them: the smallest counts, for equality stops there."""
    return min((_content(argument) for argument in arguments), default=0)


def _size(argument: object) -> int:
    return len(argument) if isinstance(argument, (str, bytes, list, tuple, dict)) else 0


def _content(value: object) -> int:
    if isinstance(value, (str, bytes)):
        return len(value) >> 6
    if isinstance(value, (list, tuple)):
        return 1 + sum(map(_content, value))
    if isinstance(value, dict):
        return 1 + len(value) + sum(map(_content, value.values()))
    return 0
