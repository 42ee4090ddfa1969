"""Whether an error came of data that is not what the checker was told: a number where a Pod has a text, say.

Functions are chosen by static types and called with whatever is there. What then goes wrong inside of them is an error
of the expression, and not of the library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FrameType

from engine.language.functions import OVERLOADS
from engine.language.types import STRING, Type, TypeParameter
from engine.language.values import Budget, kind


def mistyped(frame: FrameType, helpers: Mapping[CodeType, int]) -> bool:
    """Whether a frame of the library, called from an expression, was given a value of a type that it does not take.

    `helpers` are functions of the budget that take so many texts after it.
    """
    code = frame.f_code
    arguments = [frame.f_locals[name] for name in code.co_varnames[: code.co_argcount] if name in frame.f_locals]
    if code in helpers:
        return not _fit(arguments[-helpers[code] :], (STRING,) * helpers[code])
    implementation = frame.f_locals.get("implementation")
    if implementation is not None:  # `charged`, which is called with the budget and the arguments
        arguments = list(frame.f_locals.get("arguments", ()))
    taken = _TAKEN.get(implementation or code, ())
    return bool(taken) and not any(_fit(arguments, parameters) for parameters in taken)


def _fit(arguments: Sequence[object], parameters: Sequence[Type]) -> bool:
    values = [argument for argument in arguments if not isinstance(argument, Budget)]
    return len(values) == len(parameters) and all(map(_fits, values, parameters))


def _fits(value: object, parameter: Type) -> bool:
    return isinstance(parameter, TypeParameter) or parameter.name in ("dyn", kind(value))


def _taken() -> Mapping[object, tuple[tuple[Type, ...], ...]]:
    """By implementation, and by its code: what it takes in each overload."""
    found: dict[object, tuple[tuple[Type, ...], ...]] = {}
    for overload in (each for group in OVERLOADS.values() for each in group):
        implementation: Callable[..., object] | None = overload.implementation
        for key in (implementation, getattr(implementation, "__code__", None)):
            if key is not None:
                found[key] = (*found.get(key, ()), overload.parameters)
    return found


_TAKEN = _taken()
