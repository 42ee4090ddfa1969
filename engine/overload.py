"""What a function of the language is: its name, its signature, what computes it, and where else it exists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.types import Type


@dataclass(frozen=True, slots=True)
class Overload:
    """One signature of one function.

    `id` is unique (cel-spec's where it has one: `string_contains`…). For a method, `parameters[0]` is the receiver.
    `implementation` takes the arguments as runtime values and returns one, or raises CelError; None where the compiler
    writes the operation itself (`_&&_`, `_?_:_`). `kubernetes` says whether the API server offers it to policies.
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
    example: str = ""
