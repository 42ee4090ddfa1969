"""Which policies may be about the same pods, by their selectors alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from engine.analysis.witness import Wanted, selected
from engine.language import Budget
from engine.program import CompiledPolicy

PAIR = 12
"""What comparing two selectors costs, in units, and as much for each label that they ask for."""


class Selections:
    """Policies by what they select. Of those that ask for one of a few values of a label (most ask for the same one:
    `app`, `team`), only such are compared as name a value in common.
    """

    def __init__(self, policies: Sequence[CompiledPolicy]) -> None:
        self.policies = policies
        self.of = {policy.name: selected(policy.policy) for policy in policies}
        keys = Counter(key for wanted in self.of.values() if wanted for key in _listed(wanted))
        self._key = min(keys, key=lambda key: (-keys[key], key), default=("", ""))
        self._by_value: dict[str, list[int]] = {}
        self._others: list[int] = []
        for place, policy in enumerate(policies):
            values = _listed(self.of[policy.name]).get(self._key)
            for value in values or ():
                self._by_value.setdefault(value, []).append(place)
            if values is None:
                self._others.append(place)

    def beside(self, policy: CompiledPolicy, meter: Budget) -> Iterator[CompiledPolicy]:
        """The policies that may be about a pod which a policy is about, itself among them, in their order."""
        mine = self.of[policy.name]
        if mine is None:
            return
        for place in self._near(mine):
            its = self.of[self.policies[place].name]
            if its is not None:
                meter.spend(PAIR * (1 + len(mine.labels) + len(mine.namespace) + len(its.labels) + len(its.namespace)))
                if (mine & its) is not None:
                    yield self.policies[place]

    def _near(self, mine: Wanted) -> Sequence[int]:
        values = _listed(mine).get(self._key)
        if values is None:
            return range(len(self.policies))
        same = {place for value in values for place in self._by_value.get(value, ())}
        return sorted([*same, *self._others])


def _listed(wanted: Wanted | None) -> dict[tuple[str, str], frozenset[str]]:
    """The values of labels of which one must be there, by label: of the pod's, and of its namespace's."""
    if wanted is None:
        return {}
    sides = (("pod", wanted.labels), ("namespace", wanted.namespace))
    return {
        (side, key): frozenset(values.finite)
        for side, states in sides
        for key, values in states.items()
        if not values.absent and values.finite
    }
