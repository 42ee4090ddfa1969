"""What changes between two revisions of a bundle, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from audit import MOVE_OUTCOMES, Move, unified
from cli.terminal import BOLD, FAINT, GREEN, RED, amount, styled, table
from engine.analysis import SAID, Example, PolicyChange, Revisions, bumped, is_enough
from engine.decision import Decision
from engine.pods import without_environment
from engine.struct import Struct

MAX_LINES = 24
"""Lines of a difference between two pods that are shown."""


class Comparison(Struct, frozen=True):
    """Two revisions, and what becomes of `pods` of which it was asked, None where it was not."""

    revisions: Revisions
    pods: int | None = None
    moves: Sequence[Move] = ()

    @property
    def differs(self) -> bool:
        """Whether any decision changes, or may."""
        return self.revisions.decides_otherwise or bool(self.moves)

    @property
    def proposed(self) -> str:
        """The version that the new revision should have, at least."""
        return bumped(self.revisions.old.version, self.revisions.level)

    @property
    def enough(self) -> bool:
        """Whether the version that it has says so."""
        return is_enough(self.revisions.old.version, self.revisions.new.version, self.revisions.level)

    @property
    def loud(self) -> list[PolicyChange]:
        """The policies that do not mean the same, those that matter most first."""
        order = ("major", "minor", "patch")
        told = [one for one in self.revisions.policies if one.kind != "rewritten"]
        return sorted(told, key=lambda one: (order.index(one.level), one.name))

    @property
    def rewritten(self) -> list[str]:
        """The policies that are only written otherwise."""
        return [one.name for one in self.revisions.policies if one.kind == "rewritten"]

    @property
    def reasons(self) -> list[str]:
        """What makes the step as large as it is."""
        level = self.revisions.level
        policies = [f"`{one.name}` {SAID[one.kind]}" for one in self.revisions.policies if one.level == level]
        fields = [f"`{one.field}` is another one" for one in self.revisions.bundle if one.level == level]
        return [*policies, *fields]


def verdict(comparison: Comparison) -> str:
    """What version the new revision should have, and why."""
    revisions = comparison.revisions
    old, new, level = revisions.old.version, revisions.new.version, revisions.level
    if level == "none":
        return f"version: {new}, and nothing differs"
    why = {"patch": "no decision changes"}.get(level, _few(comparison.reasons))
    told = f"version: {old} → {new}; {level} ({why}), so at least {comparison.proposed}"
    return told + (": fine" if comparison.enough else f": {'it is not higher' if old == new else 'that is too little'}")


def _few(reasons: Sequence[str]) -> str:
    return ", ".join(reasons[:3]) + (f" and {len(reasons) - 3} more" if len(reasons) > 3 else "")


def counts(moves: Iterable[Move]) -> str:
    """`2 would be refused, 1 would stay Pending`."""
    total = dict.fromkeys(MOVE_OUTCOMES, 0)
    for move in moves:
        total[move.outcome] += move.pods
    told = [f"{number} {outcome}" for outcome, number in total.items() if number]
    return ", ".join(told) or "all would be placed as before"


def fate(decision: Decision) -> str:
    """What becomes of a pod, in a sentence."""
    refused = "refused: " if not decision.allowed else ""
    pending = "; it would stay Pending" if decision.pools.waits else ""
    return f"{refused}{decision.message}{pending}"


# For people


def as_text(comparison: Comparison) -> str:
    """All of it, for a terminal."""
    return "\n".join(_lines(comparison))


def _lines(comparison: Comparison) -> Iterator[str]:
    revisions = comparison.revisions
    yield f"{revisions.old} → {revisions.new}"
    if revisions.names:
        yield styled(f"on the pools of {'; '.join(revisions.names)}", FAINT)
    yield ""
    for one in revisions.bundle:
        yield f"bundle: {styled(one.field, BOLD)} ({one.level})"
        yield from _difference(one.before, one.after)
        yield ""
    for change in comparison.loud:
        yield from _policy(change)
        yield ""
    if comparison.rewritten:
        yield f"written otherwise, meaning the same: {', '.join(comparison.rewritten)}"
        yield ""
    if comparison.pods is not None:
        yield from _moves(comparison)
    yield styled(verdict(comparison), GREEN if comparison.enough else RED)


def _policy(change: PolicyChange) -> Iterator[str]:
    was = f", before as `{change.was}`" if change.was else ""
    yield f"{styled(change.name, BOLD)} {SAID[change.kind]}{was} ({change.level})"
    for field in change.fields:
        yield f"  {field.field}"
        yield from _difference(field.before, field.after, "  ")
    if change.reason:
        yield f"  {change.reason}"
    if change.example:
        yield f"  for example {about(change.example)}:"
        for line in difference(change.example):
            yield styled(f"    {line}", {"-": RED, "+": GREEN}.get(line[:1], FAINT))


def about(example: Example) -> str:
    """Which pod an example is, and where."""
    alone = ", were no other policy about it" if example.alone else ""
    return f"{example.words}, on the pools of {example.inventory}{alone}"


def difference(example: Example) -> list[str]:
    """What becomes of the pod before and after, in a sentence each, or what is written into it where they are one."""
    before, after = fate(example.before), fate(example.after)
    if before != after:
        return [f"- {before}", f"+ {after}"]
    old, new = (decision.patched.get("spec") or {} for decision in (example.before, example.after))
    lines = unified(old, new, ("before", "after"), context=1)[2:]
    return [before, *lines[:MAX_LINES], *["…"] * (len(lines) > MAX_LINES)]


def _difference(before: str, after: str, indent: str = "") -> Iterator[str]:
    yield styled(f"{indent}  - {before}", RED)
    yield styled(f"{indent}  + {after}", GREEN)


def _moves(comparison: Comparison) -> Iterator[str]:
    if comparison.moves:
        rows = [
            (one.owner, str(one.pods), one.outcome, f"{one.before} → {one.after}", ", ".join(one.policies))
            for one in comparison.moves
        ]
        yield table(rows, ("OWNER", "PODS", "OUTCOME", "BEFORE → AFTER", "POLICIES"))
        yield ""
    yield f"{amount(comparison.pods or 0, 'pod')}: {counts(comparison.moves)}"
    yield ""


# For scripts


def as_json(comparison: Comparison) -> dict[str, Any]:
    """All of it as data; keys may come, none will be renamed."""
    revisions = comparison.revisions
    data: dict[str, Any] = {
        "old": str(revisions.old),
        "new": str(revisions.new),
        "differs": comparison.differs,
        "inventories": list(revisions.names),
        "version": {
            "old": revisions.old.version,
            "new": revisions.new.version,
            "level": revisions.level,
            "proposed": comparison.proposed,
            "enough": comparison.enough,
            "because": comparison.reasons if revisions.level in ("minor", "major") else [],
        },
        "bundle": [one._asdict() for one in revisions.bundle],
        "policies": [_policy_json(one) for one in revisions.policies],
    }
    if comparison.pods is not None:
        outcomes = {outcome: sum(m.pods for m in comparison.moves if m.outcome == outcome) for outcome in MOVE_OUTCOMES}
        data["pods"] = {
            "decided": comparison.pods,
            "outcomes": outcomes,
            "workloads": [_move_json(one) for one in comparison.moves],
        }
    return data


def _policy_json(change: PolicyChange) -> dict[str, Any]:
    example = change.example
    return {
        "name": change.name,
        "was": change.was or None,
        "change": change.kind,
        "level": change.level,
        "fields": [field._asdict() for field in change.fields],
        "reason": change.reason,
        "example": example
        and {
            "description": example.words,
            "inventory": example.inventory,
            "alone": example.alone,
            "pod": without_environment(example.incoming.pod),
            "namespace": {"apiVersion": "v1", "kind": "Namespace", **example.incoming.namespace},
            "before": example.before.as_json(),
            "after": example.after.as_json(),
        },
    }


def _move_json(move: Move) -> dict[str, Any]:
    return {
        "owner": move.owner,
        "pods": move.pods,
        "outcome": move.outcome,
        "before": move.before,
        "after": move.after,
        "policies": list(move.policies),
        "example": {"before": move.example[0], "after": move.example[1]},
    }
