"""Term: what is asked of several labels of a node (and of its name) together, as one node selector term asks it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

from engine.names import is_label_key
from engine.nodeselector.states import (
    ALL_INTEGERS,
    ANY,
    NODE_NAME,
    NONE,
    Expression,
    LabelStates,
    SelectorTerm,
    all_of,
    from_expression,
    from_expressions,
    is_any,
    label_key,
)
from engine.struct import Struct

Requirements: TypeAlias = tuple[tuple[str, LabelStates], ...]


class Term(Struct, frozen=True):
    """Requirements on labels (and the name) of a node that hold together: (key, LabelStates) by ascending key.

    Made by `term_of` or `parse_term`, combined by `&`; `Term()` is every node.
    """

    requirements: Requirements = ()

    @property
    def impossible(self) -> bool:
        """Can no node meet this?"""
        return self.requirements == NOWHERE.requirements

    def __getitem__(self, key: str) -> LabelStates:
        """The states that are left for a label: ANY where the term does not mention it."""
        return next((values for name, values in self.requirements if name == key), ANY)

    def __and__(self, other: Term) -> Term:
        mine, others = self.requirements, other.requirements
        merged: list[tuple[str, LabelStates]] = []
        i = j = 0
        while i < len(mine) and j < len(others):
            key, key_of_other = mine[i][0], others[j][0]
            if key == key_of_other:
                values = mine[i][1] & others[j][1]
                if values.impossible:
                    return NOWHERE
                merged.append((key, values))
                i, j = i + 1, j + 1
            elif key < key_of_other:
                merged.append(mine[i])
                i += 1
            else:
                merged.append(others[j])
                j += 1
        met = Term((*merged, *mine[i:], *others[j:]))
        return NOWHERE if met.requirements[:1] == NOWHERE.requirements else met

    def __le__(self, other: Term) -> bool:
        """Does every node that meets this term meet the other?"""
        if self.impossible:
            return True
        mine = iter(self.requirements)  # both are in the order of their keys
        for wanted, allowed in other.requirements:
            for key, values in mine:
                if key == wanted:
                    if not values <= allowed:
                        return False
                    break
            else:
                return False
        return True

    def with_values(self, key: str, values: LabelStates) -> Term:
        """The same term with other states for one key."""
        if values.impossible:
            return NOWHERE
        kept = [item for item in self.requirements if item[0] != key]
        return Term(tuple(kept if is_any(values) else sorted([*kept, (key, values)])))

    @property
    def width(self) -> int:
        """How many node selector terms `alternatives` gives, 0 for NOWHERE."""
        count = 1
        for key, values in self.requirements:
            count *= _width(key, values)
        return 0 if self.impossible else count

    @property
    def size(self) -> int:
        """How many values `alternatives` writes, at most."""
        if len(self.requirements) == 1:
            return self.requirements[0][1].size
        return sum(values.size * self.width // max(1, _width(key, values)) for key, values in self.requirements)

    def alternatives(self) -> list[SelectorTerm]:
        """Node selector terms, one of which must hold; none for NOWHERE. Raises Inexpressible.

        EVERYWHERE has no such term (an empty one matches nothing), so ValueError: whoever emits must not get here.
        """
        if not self.requirements:
            raise ValueError("no node selector term matches every node")
        if len(self.requirements) == 1:
            return said_by(*self.requirements[0])
        choices = [said_by(key, values) for key, values in self.requirements]
        return [_merged(choice) for choice in product(*choices)]

    def __str__(self) -> str:
        """For people: `zone In [a, b], tier Exists`."""
        if self.impossible:
            return "no node"
        said = (f"{'name' if key == NODE_NAME else key} {values}" for key, values in self.requirements)
        return ", ".join(said) or "every node"

    def split(self) -> Terms:
        """Terms that take one node selector term each and together are this one. Raises as `alternatives` does."""
        return (self,) if self.width == 1 else tuple(parse_term(one) for one in self.alternatives())

    def order(self) -> tuple[object, ...]:
        """A sort key: the same order on every machine."""
        return tuple((key, values.order()) for key, values in self.requirements)


Terms: TypeAlias = tuple[Term, ...]

EVERYWHERE = Term()
NOWHERE = Term(((NODE_NAME, NONE),))
TRUE: Terms = (EVERYWHERE,)
FALSE: Terms = ()


def term_of(requirements: Mapping[str, LabelStates]) -> Term:
    """The term of these requirements. A key that can't be a label's is absent from every node."""
    kept = []
    for key, values in sorted(requirements.items()):
        if key != NODE_NAME and not is_label_key(key):
            values = ANY if values.absent else NONE
        if values.impossible:
            return NOWHERE
        if not is_any(values):
            kept.append((key, values))
    return Term(tuple(kept))


def named(names: Iterable[str]) -> LabelStates:
    """For the key NODE_NAME: the node is one of these."""
    return LabelStates(False, False, (), frozenset("/" + name for name in names))


def not_named(names: Iterable[str]) -> LabelStates:
    """For the key NODE_NAME: the node is none of these."""
    return LabelStates(True, True, ALL_INTEGERS, frozenset("/" + name for name in names))


def state_of(key: str, name: str, labels: Mapping[str, str]) -> str | None:
    """The state that a node is in, by a key of a term: the value of that label, None without it, or its name."""
    return "/" + name if key == NODE_NAME else labels.get(key)


def parse_term(selector_term: Mapping[str, Any]) -> Term:
    """What a node selector term of a pod admits. An empty one admits nothing, as in Kubernetes."""
    expressions = selector_term.get("matchExpressions") or ()
    fields = selector_term.get("matchFields") or ()
    if not expressions and not fields:
        return NOWHERE
    by_key: dict[str, list[Mapping[str, Any]]] = {}
    for each in expressions:
        by_key.setdefault(label_key(each.get("key") or ""), []).append(each)
    asked = {
        key: from_expression(several[0]) if len(several) == 1 else from_expressions(several)
        for key, several in by_key.items()
    }
    if fields:
        asked[NODE_NAME] = all_of(map(from_field, fields))
    return term_of(asked)


def together(asked: Iterable[tuple[str, LabelStates]]) -> dict[str, LabelStates]:
    """What is asked of each key, in the order in which they come, if all of this is."""
    requirements: dict[str, LabelStates] = {}
    again: dict[str, list[LabelStates]] = {}
    for key, values in asked:
        if key in requirements:
            again.setdefault(key, [requirements[key]]).append(values)
        else:
            requirements[key] = values
    return {**requirements, **{key: all_of(many) for key, many in again.items()}}


def from_field(field: Mapping[str, Any]) -> LabelStates:
    """What one of `matchFields` admits: only the node's name can be asked for, and one at a time."""
    values = field.get("values") or ()
    if field.get("key") != "metadata.name" or len(values) != 1:
        return NONE
    return {"In": named, "NotIn": not_named}.get(field.get("operator", ""), lambda _: NONE)(values)


def _width(key: str, values: LabelStates) -> int:
    return max(1, len(values.finite or ())) if key == NODE_NAME else values.width


def _fields(values: LabelStates) -> list[list[Expression]]:
    """matchFields take one value each: several names are alternatives, several forbidden names go together."""
    names = sorted(name.removeprefix("/") for name in values.odd)
    if not values.others:
        return [[{"key": "metadata.name", "operator": "In", "values": [name]}] for name in names]
    return [[{"key": "metadata.name", "operator": "NotIn", "values": [name]} for name in names]]


def said_by(key: str, values: LabelStates) -> list[SelectorTerm]:
    """Node selector terms that say one requirement, one of which must hold. Raises Inexpressible."""
    if key == NODE_NAME:
        return [{"matchFields": fields} for fields in _fields(values)]
    return [{"matchExpressions": expressions} for expressions in values.alternatives(key)]


def _merged(choice: Sequence[SelectorTerm]) -> SelectorTerm:
    merged: SelectorTerm = {}
    for field in ("matchExpressions", "matchFields"):
        said = [expression for one in choice for expression in one.get(field, ())]
        if said:
            merged[field] = said
    return merged
