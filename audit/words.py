"""What decisions come to in a few words, one line for each workload and effect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.decision import Decision, title


@dataclass(frozen=True, slots=True)
class Tally:
    """What would happen alike to some pods of one owner; `pods` is how many, `policies` are those with a part in it."""

    owner: str
    effect: str
    policies: tuple[str, ...]
    refused: bool
    pods: int


def changes(decision: Decision) -> bool:
    """Whether there is something to report: a patch, a refusal, a policy that failed, or one that only audits."""
    audited = decision.audited
    failed = any(policy.outcome in ("failed", "overruled") for policy in decision.policies)
    return bool(decision.patch) or not decision.allowed or failed or (audited is not None and changes(audited))


def aggregated(decisions: Iterable[Decision]) -> list[Tally]:
    """One line for each owner and effect, in order of the owners."""
    counts: dict[tuple[str, str, tuple[str, ...], bool], int] = {}
    for decision in decisions:
        key = (title(decision.incoming), effect(decision), _involved(decision), not decision.allowed)
        counts[key] = counts.get(key, 0) + 1
    return sorted((Tally(*key, pods) for key, pods in counts.items()), key=lambda f: (f.owner, f.effect))


def effect(decision: Decision) -> str:
    """What would happen to the pod, in a few words."""
    if not decision.allowed:
        return "would be refused"
    done = list(
        dict.fromkeys(CHANGED[_field(operation["path"])] for operation in decision.placement_patch or decision.patch)
    )
    before, after = len(decision.pools.before), len(decision.pools.after)
    where = [f"pools {before} → {after}"] if after < before else []
    waits = [_no_pods(decision)] if decision.pools.waits else []
    waits += [f"needs a node that nobody has seen: {decision.pools.unseen}"] if decision.pools.unseen else []
    told = ", ".join(["gets " + ", ".join(done)] * bool(done) + where + waits)
    if not told and decision.audited is not None and changes(decision.audited):
        return f"audited: {effect(decision.audited)}"
    return told or "stays as it is"


def _no_pods(decision: Decision) -> str:
    """What it means that a pod tolerates no node that is left; of a DaemonSet's template, none is made there."""
    return "would stay Pending" if decision.incoming.template is None else "would get no pods"


def _field(path: str) -> str:
    """The field of a pod, or of a DaemonSet's template, that an operation is about."""
    return path.removeprefix("/spec/template").split("/")[2]


CHANGED = {
    "affinity": "affinity",
    "tolerations": "tolerations",
    "topologySpreadConstraints": "spread constraints",
    "annotations": "annotations",
}


def _involved(decision: Decision) -> tuple[str, ...]:
    loud = ("applied", "denied", "overruled", "failed", "audited")
    return tuple(policy.name for policy in decision.policies if policy.outcome in loud)
