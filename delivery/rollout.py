"""A bundle rolled out as a whole: what is new decides about some workloads, and what was there before about the others.

A workload falls on its side as with the `rollout` of a policy: by a hash of what its pods show of it, so that replicas
agree without a word, also after a restart, and nobody falls back while the percentage grows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from engine.bundle import JointRevision, Revision
from engine.decision import Decider, Decision
from engine.pods import IncomingPod, rolled_out
from engine.pools import PoolIndex
from engine.program import Program
from engine.struct import Marked

Side = Literal["active", "previous"]
SALT = "bundle/"
"""What is hashed in a policy's place: no policy can have this name, so who is early for one is not for a bundle."""


class Rollout(Marked, frozen=True):
    """Two deciders on one inventory: `new` decides about `percent` of a hundred workloads, `previous` about the others.

    `count` is told of each decision by which side it is.
    """

    unprinted = ("count",)

    new: Decider
    previous: Decider
    percent: int
    count: Callable[[Side], None] = lambda _: None

    def side(self, incoming: IncomingPod) -> Side:
        """On which side the pod's workload is."""
        return "active" if rolled_out(SALT, self.percent, incoming) else "previous"

    def decide(self, incoming: IncomingPod) -> Decision:
        """What follows for one pod, which is the decision of one side, and names its revision."""
        side = self.side(incoming)
        self.count(side)
        return (self.new if side == "active" else self.previous).decide(incoming)

    def decided_by(self, decision: Decision) -> Decider:
        """The side that made a decision."""
        return self.previous if decision.revision == self.previous.revision != self.new.revision else self.new

    @property
    def programs(self) -> tuple[Program, ...]:
        """Those that are new."""
        return self.new.programs

    @property
    def pool_index(self) -> PoolIndex:
        return self.new.pool_index

    @property
    def revision(self) -> Revision | JointRevision:
        """That of what is new."""
        return self.new.revision
