"""Calls of the library's functions: the overload is chosen by the values where types leave it open, and paid for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.language.functions import OVERLOADS
from engine.language.overload import Overload
from engine.language.types import Type, TypeParameter
from engine.language.values import Budget, NoSuchOverload, kind

FOLDING = 1000  # units of budget for a call on constants at compile time


def charged(overload: Overload) -> Callable[..., object]:
    """A function `f(budget, *arguments)` whose every call pays what the overload says. Raises BudgetExceeded."""
    implementation, cost = overload.implementation, overload.cost
    assert implementation is not None

    def run(budget: Budget, *arguments: object) -> object:
        if cost is not None:
            budget.spend(cost(*arguments))
        return implementation(*arguments)

    return run


def dispatcher(function: str, method: bool, arity: int) -> Callable[..., object]:
    """A function `f(budget, *arguments)` that chooses the overload by the arguments it meets, as where one is `dyn`.

    A call raises NoSuchOverload where none fits, BudgetExceeded, or what the implementation raises.
    """
    styled = [o for o in OVERLOADS.get(function, ()) if len(o.parameters) == arity and o.implementation]
    candidates = [o for o in styled if o.method is method] or styled
    chosen: dict[tuple[type, ...], Overload] = {}

    def run(budget: Budget, *arguments: object) -> object:
        classes = tuple(argument.__class__ for argument in arguments)
        overload = chosen.get(classes)
        if overload is None:
            overload = next((o for o in candidates if all(map(_fits, arguments, o.parameters))), None)
            if overload is None:
                raise NoSuchOverload(function, *arguments)
            chosen[classes] = overload
        if overload.cost is not None:
            budget.spend(overload.cost(*arguments))
        assert overload.implementation is not None
        return overload.implementation(*arguments)

    return run


def _fits(argument: object, parameter: Type) -> bool:
    return isinstance(parameter, TypeParameter) or parameter.name in ("dyn", kind(argument))


def fold(function: str, method: bool, arguments: Sequence[object]) -> object:
    """A call on constants, done when the expression is compiled. Raises CelError or BudgetExceeded."""
    return dispatcher(function, method, len(arguments))(Budget(FOLDING), *arguments)
