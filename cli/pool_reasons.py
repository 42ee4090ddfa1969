"""Why pools are out, as `bayplan explain` tells it of those that are asked about: to people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cli.errors import CommandError
from cli.terminal import wrapped
from engine.decision import Decider, Decision, Exclusion, listed, why_not
from engine.documents import did_you_mean
from engine.struct import Struct

NOT_OUT = "it is not out, the pod may go there"


class PoolReasons(Struct, frozen=True):
    """The question: which pools are asked about by name, and whether all that are out are."""

    decider: Decider
    named: Sequence[str] = ()
    every: bool = False

    def checked(self) -> PoolReasons:
        """The same. Raises CommandError where a pool is named that there is none of."""
        known = [pool.name for pool in self.decider.pool_index.pools]
        for name in self.named:
            if name not in known:
                hint = did_you_mean(name, known) or (f"there are {listed(known)}" if known else "no pools are known")
                raise CommandError(f"--why-not: there is no pool `{name}`; {hint}")
        return self

    def of(self, decision: Decision) -> Mapping[str, Exclusion | None]:
        """By pool, why it is out: those asked about by name, first, and None where one is not out."""
        if not self.named and not self.every:
            return {}
        out = why_not(self.decider, decision)
        told = {name: out.get(name) for name in self.named}
        return {**told, **out} if self.every else told

    def lines(self, decision: Decision) -> Iterator[str]:
        """For people; pools that are out for the same reason together."""
        names: dict[str, list[str]] = {}
        for name, exclusion in self.of(decision).items():
            names.setdefault(exclusion.reason if exclusion else NOT_OUT, []).append(name)
        if names:
            yield ""
            yield "  why not"
        for reason, some in names.items():
            yield wrapped(f"{listed(some)}: {reason}", "    ", "  ")

    def as_json(self, decision: Decision, *, show_pod: bool) -> dict[str, Any]:
        """The decision as JSON, with `whyNot` for it and for each of its portions, where somebody asks."""
        data = decision.as_json(show_pod=show_pod)
        if self.named or self.every:
            data["whyNot"] = _json(self.of(decision))
            for portion, one in zip(data.get("portions", ()), decision.portions, strict=True):
                portion["whyNot"] = _json(self.of(one.decision))
        return data


def _json(reasons: Mapping[str, Exclusion | None]) -> dict[str, Any]:
    """By pool: null, or the reason, and the policy whose doing it is, if it is one's."""
    return {
        name: exclusion and {"policy": exclusion.policy or None, "reason": exclusion.reason}
        for name, exclusion in reasons.items()
    }
