"""When one type may stand where another is expected, and what that makes of type parameters.

The rules are those of the API server's checker: `dyn` fits everywhere, `null` fits objects and other things that may be
null, a list fits a list if its elements fit, and a parameter stands for the most general type that it has met.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.language.types import DURATION, DYN, ERROR, NULL, TIMESTAMP, ObjectType, Type, TypeParameter

_PLAIN = frozenset(("bool", "int", "uint", "double", "string", "bytes", "list", "map", "type", "null_type"))


class Unifier:
    """What the type parameters of one expression stand for, as far as is known."""

    __slots__ = ("_bindings", "_count")

    def __init__(self) -> None:
        self._bindings: dict[str, Type] = {}
        self._count = 0

    @property
    def asked(self) -> bool:
        """Whether a type parameter was ever made, so that one may be left somewhere."""
        return self._count > 0

    def fresh(self) -> TypeParameter:
        """A new type parameter, different from all others."""
        self._count += 1
        return TypeParameter(f"_{self._count}")

    def instance(self, types: Sequence[Type]) -> tuple[Type, ...]:
        """The types with fresh parameters in place of a signature's `A`, `K`, `V`."""
        renamed: dict[str, Type] = {}

        def rename(type_: Type) -> Type:
            if isinstance(type_, TypeParameter):
                if type_.name not in renamed:
                    renamed[type_.name] = self.fresh()
                return renamed[type_.name]
            return _rebuilt(type_, rename)

        return tuple(rename(type_) for type_ in types)

    def fits(self, found: Sequence[Type], wanted: Sequence[Type]) -> bool:
        """Whether each type found fits the one wanted, all together. If so, the parameters keep what they learned."""
        if len(found) != len(wanted):
            return False
        saved = dict(self._bindings)
        if all(self._fits(a, b) for a, b in zip(found, wanted, strict=True)):
            return True
        self._bindings = saved
        return False

    def resolved(self, type_: Type) -> Type:
        """The type with known parameters replaced by what they stand for."""
        if isinstance(type_, TypeParameter):
            bound = self._bindings.get(type_.name)
            return type_ if bound is None else self.resolved(bound)
        return _rebuilt(type_, self.resolved)

    def join(self, first: Type, second: Type) -> Type | None:
        """The more general of two types, one of which fits the other, or None."""
        if not self.fits((second,), (first,)):
            return None
        first, second = self.resolved(first), self.resolved(second)
        return first if _as_general(first, second) else second

    def _fits(self, found: Type, wanted: Type) -> bool:
        found, wanted = self._shallow(found), self._shallow(wanted)
        if found is wanted or found == wanted:
            return True
        if isinstance(wanted, TypeParameter):
            return self._bind(wanted, found)
        if isinstance(found, TypeParameter):
            return self._bind(found, wanted)
        if DYN in (found, wanted) or ERROR in (found, wanted):
            return True
        if NULL in (found, wanted):
            return _nullable(wanted if found == NULL else found)
        if found.name != wanted.name or len(found.parameters) != len(wanted.parameters):
            return False
        if found.name == "type":
            return True
        return all(self._fits(a, b) for a, b in zip(found.parameters, wanted.parameters, strict=True))

    def _shallow(self, type_: Type) -> Type:
        """Follows a parameter to what it stands for, and stops at the last parameter that stands for a type.

        A parameter that has met a type stays a parameter while matching, so that it can become more general.
        """
        while isinstance(type_, TypeParameter):
            bound = self._bindings.get(type_.name)
            if not isinstance(bound, TypeParameter):
                break
            type_ = bound
        return type_

    def _bind(self, parameter: TypeParameter, type_: Type) -> bool:
        if isinstance(type_, TypeParameter):
            return self._alias(parameter, type_)
        bound = self._bindings.get(parameter.name)
        if bound is None:
            general = type_
        elif self._fits(type_, bound):
            general = type_ if _as_general(type_, bound) else bound
        else:
            return False
        if self._occurs(parameter, general):
            return bound is not None
        self._bindings[parameter.name] = general
        return True

    def _alias(self, one: TypeParameter, other: TypeParameter) -> bool:
        if self._occurs(one, other) or self._occurs(other, one):
            return False
        bound = self._bindings.get(other.name)
        self._bindings[other.name] = one
        return bound is None or self._bind(one, bound)

    def _occurs(self, parameter: TypeParameter, type_: Type) -> bool:
        if isinstance(type_, TypeParameter):
            bound = self._bindings.get(type_.name)
            return type_ == parameter or (bound is not None and self._occurs(parameter, bound))
        return any(self._occurs(parameter, inner) for inner in type_.parameters)


def free(type_: Type) -> bool:
    """Whether a type parameter is left in a type."""
    return isinstance(type_, TypeParameter) or any(free(inner) for inner in type_.parameters)


def settled(type_: Type) -> Type:
    """The type with what is still unknown as `dyn`."""
    return DYN if isinstance(type_, TypeParameter) else _rebuilt(type_, settled)


def certain(found: Type, wanted: Type) -> bool:
    """Whether a type that fits fits whatever the value is: no `dyn` stands where something definite is wanted."""
    if isinstance(wanted, TypeParameter) or wanted == DYN:
        return True
    if found.name != wanted.name:
        return False
    return all(certain(a, b) for a, b in zip(found.parameters, wanted.parameters, strict=True))


def _rebuilt(type_: Type, change: Callable[[Type], Type]) -> Type:
    if not type_.parameters:
        return type_
    parameters = tuple(change(inner) for inner in type_.parameters)
    return type_ if parameters == type_.parameters else Type(type_.name, parameters)


def _nullable(type_: Type) -> bool:
    if isinstance(type_, ObjectType) or type_ in (NULL, TIMESTAMP, DURATION):
        return True
    return type_.name not in _PLAIN


def _as_general(first: Type, second: Type) -> bool:
    """Whether the first of two types that fit each other says no more than the second."""
    if first == DYN or isinstance(first, TypeParameter):
        return True
    if second == DYN or isinstance(second, TypeParameter) or first.name != second.name:
        return False
    return all(_as_general(a, b) for a, b in zip(first.parameters, second.parameters, strict=False))
