"""What an examination may cost, and what it could not decide.

Each kind of claim has a share of its own, so that none starves the others; within it each policy has its part. What is
past that is a doubt, never a claim. Units are those of `engine.language.Budget`, half a microsecond each: there
is no clock, so the same bundle is examined in the same way on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from engine.language import Budget, BudgetExceeded
from engine.program import CompiledPolicy

SHARE = 350_000
"""What one kind of claim may cost for all policies, in units: a sixth of a second, or a few where each is dear."""
WHOLE, SHARES = 10_000_000, 8_000_000
"""What compiling a bundle and examining it may cost together, and what all shares come to: after a bundle that was much
work to compile, each share is smaller by as much."""
LARGEST_PART = 4
"""One policy may take a quarter of what is left of a share, or as much as each other one if that is more."""

T = TypeVar("T")


class Ledger:
    """The `meter` that pays for what is looked for now; and what could not be decided, by policy, in words.

    `spent` is what it took to compile the bundle, in units.
    """

    def __init__(self, spent: int = 0) -> None:
        self._all = max(0, min(SHARES, WHOLE - spent))
        self.meter = Budget(self._of(SHARE))
        self.by_policy: dict[str, str] = {}
        self.cut_short: set[str] = set()

    def _of(self, share: int) -> int:
        """What is there of a share."""
        return share * self._all // SHARES

    def doubt(self, policy: str, words: str) -> None:
        """Notes what could not be decided of a policy."""
        known = self.by_policy.get(policy)
        self.by_policy[policy] = f"{known}; {words}" if known else words

    def too_long(self, policies: Iterable[str], what: str) -> None:
        """Notes what was not done for these policies, for it is too much work."""
        for name in policies:
            self.cut_short.add(name)
            self.doubt(name, f"{what}: that would take too long")

    def each(
        self,
        what: str,
        policies: Sequence[CompiledPolicy],
        look: Callable[[CompiledPolicy], Iterable[T]],
        share: int = SHARE,
    ) -> list[T]:
        """What is found by looking at each policy, as far as the share goes; `what` says what was not done past it."""
        found: list[T] = []
        share = self._of(share)
        for place, policy in enumerate(policies):
            part = max(share // (len(policies) - place), share // LARGEST_PART)
            self.meter.left = part
            try:
                for one in look(policy):
                    found.append(one)  # noqa: PERF402 - what was found before the part is spent counts
            except BudgetExceeded:
                self.too_long([policy.name], what)
            share -= part - max(0, self.meter.left)
        return found

    def all(self, look: Callable[[], T], share: int = SHARE) -> T | None:
        """What is found on a share; None past it."""
        self.meter.left = self._of(share)
        try:
            return look()
        except BudgetExceeded:
            return None
