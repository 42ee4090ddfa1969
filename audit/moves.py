"""Move: what two revisions of a bundle make of the same workloads, where that is not the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Literal, get_args

from audit.words import effect
from engine.decision import Decision, decided_alike, placed_alike, title
from engine.struct import Struct

MoveOutcome = Literal[
    "would be refused",
    "would stay Pending",
    "would be placed otherwise",
    "would no longer stay Pending",
    "would no longer be refused",
    "would be audited otherwise",
]
MOVE_OUTCOMES: tuple[MoveOutcome, ...] = get_args(MoveOutcome)
"""From what hurts most to what is only recorded."""


_Key = tuple[str, MoveOutcome, str, str, tuple[tuple[str, bool], ...]]


class Move(Struct, frozen=True):
    """What becomes of some pods of one owner, alike: before and after in a few words, and for an example in full.

    `policies` are those with another outcome or of those that changed, `pods` is how many they are.
    """

    owner: str
    outcome: MoveOutcome
    before: str
    after: str
    policies: tuple[str, ...]
    pods: int
    example: tuple[str, str]


class Moves:
    """The moves of pods that were decided by one revision and by the next, as they are added up."""

    def __init__(self) -> None:
        self._count: dict[_Key, int] = {}
        self._examples: dict[_Key, tuple[str, str]] = {}

    def add(self, before: Decision, after: Decision) -> None:
        """The same pod, decided by both."""
        outcome = _outcome(before, after)
        if outcome:
            key = (title(after.incoming), outcome, effect(before), effect(after), tuple(_involved(before, after)))
            self._count[key] = self._count.get(key, 0) + 1
            self._examples.setdefault(key, (before.message, after.message))

    def told(self, changed: Collection[str] = ()) -> list[Move]:
        """What they come to, what hurts most first; `changed` are names of the policies that changed."""
        found: dict[tuple[str, MoveOutcome, str, str, tuple[str, ...]], Move] = {}
        for key, pods in self._count.items():
            policies = tuple(name for name, other in key[4] if other or name in changed)
            known = found.get((*key[:4], policies))
            example = known.example if known else self._examples[key]
            found[*key[:4], policies] = Move(*key[:4], policies, pods + (known.pods if known else 0), example)
        return sorted(found.values(), key=lambda one: (MOVE_OUTCOMES.index(one.outcome), one.owner, one.after))


def moved(pairs: Iterable[tuple[Decision, Decision]], changed: Collection[str] = ()) -> list[Move]:
    """The moves of pods that were decided by one revision and by the next, as `Moves` tells them."""
    moves = Moves()
    for before, after in pairs:
        moves.add(before, after)
    return moves.told(changed)


def _outcome(before: Decision, after: Decision) -> MoveOutcome | None:
    if placed_alike(before, after) and before.pools.waits == after.pools.waits:
        return None if decided_alike(before, after) else "would be audited otherwise"
    if before.refused != after.refused:
        return "would be refused" if after.refused else "would no longer be refused"
    if before.pools.waits != after.pools.waits:
        return "would stay Pending" if after.pools.waits else "would no longer stay Pending"
    return "would be placed otherwise"


def _involved(before: Decision, after: Decision) -> Iterator[tuple[str, bool]]:
    """The policies that had a say in either, and whether it is another one."""
    was = {policy.name: policy for policy in before.policies}
    now = {policy.name: policy for policy in after.policies}
    quiet = (None, "notMatched", "satisfied", "off", "notRolledOut")
    for name in sorted(was.keys() | now.keys()):
        mine, its = was.get(name), now.get(name)
        outcomes = (mine and mine.outcome, its and its.outcome)
        if any(outcome not in quiet for outcome in outcomes):
            yield name, outcomes[0] != outcomes[1]
