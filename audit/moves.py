"""Move: what two revisions of a bundle make of the same workloads, where that is not the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from audit.words import effect
from engine.decision import Decision, decided_alike, placed_alike, title

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


@dataclass(frozen=True, slots=True)
class Move:
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


def moved(pairs: Iterable[tuple[Decision, Decision]], changed: Collection[str] = ()) -> list[Move]:
    """The moves of pods that were decided by one revision and by the next, what hurts most first.

    `changed` are names of the policies that changed.
    """
    counts: dict[tuple[str, MoveOutcome, str, str, tuple[str, ...]], int] = {}
    examples: dict[tuple[str, MoveOutcome, str, str, tuple[str, ...]], tuple[str, str]] = {}
    for before, after in pairs:
        outcome = _outcome(before, after)
        if outcome:
            key = (title(after.incoming), outcome, effect(before), effect(after), _involved(before, after, changed))
            counts[key] = counts.get(key, 0) + 1
            examples.setdefault(key, (before.message, after.message))
    found = [Move(*key, pods, examples[key]) for key, pods in counts.items()]
    return sorted(found, key=lambda one: (MOVE_OUTCOMES.index(one.outcome), one.owner, one.after))


def _outcome(before: Decision, after: Decision) -> MoveOutcome | None:
    if placed_alike(before, after) and before.pools.waits == after.pools.waits:
        return None if decided_alike(before, after) else "would be audited otherwise"
    if before.refused != after.refused:
        return "would be refused" if after.refused else "would no longer be refused"
    if before.pools.waits != after.pools.waits:
        return "would stay Pending" if after.pools.waits else "would no longer stay Pending"
    return "would be placed otherwise"


def _involved(before: Decision, after: Decision, changed: Collection[str]) -> tuple[str, ...]:
    """The policies that have a part in it."""
    was = {policy.name: policy for policy in before.policies}
    now = {policy.name: policy for policy in after.policies}
    quiet = (None, "notMatched", "satisfied", "off", "notRolledOut")
    found = []
    for name in sorted(was.keys() | now.keys()):
        mine, its = was.get(name), now.get(name)
        outcomes = (mine and mine.outcome, its and its.outcome)
        loud = any(outcome not in quiet for outcome in outcomes)
        if loud and (name in changed or outcomes[0] != outcomes[1]):
            found.append(name)
    return tuple(found)
