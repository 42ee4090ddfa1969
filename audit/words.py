"""What decisions come to in a few words, for tables: what becomes of the pods, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from audit.findings import Effect, Finding
from engine.decision import Decision, PoolNames, listed
from engine.placement import Operation

STAYS, REFUSED, ANNOTATIONS = "stays as it is", "would be refused", "annotations"
CHANGED = {
    "affinity": "affinity",
    "tolerations": "tolerations",
    "topologySpreadConstraints": "spread constraints",
    "annotations": ANNOTATIONS,
}
LONGEST = 160
"""Characters of a reason in a table."""


def changes(decision: Decision) -> bool:
    """Whether there is something to report: a patch, a refusal, a policy that failed, or one that only audits."""
    audited = decision.audited
    failed = any(policy.outcome in ("failed", "overruled") for policy in decision.policies)
    return bool(decision.patch) or not decision.allowed or failed or (audited is not None and changes(audited))


def effect(decision: Decision) -> str:
    """What would happen to the pod of a decision, in a few words."""
    daemon = decision.incoming.template is not None
    told = _told(decision.patch, decision.pools, daemon=daemon) if decision.allowed else REFUSED
    if told == STAYS and decision.audited is not None and changes(decision.audited):
        return f"audited: {effect(decision.audited)}"
    return told


def worth_telling(finding: Finding) -> bool:
    """Whether there is something to say about a finding, but that nothing changes."""
    overruled = any(policy.outcome == "overruled" for policy in finding.effect.policies)
    return finding.outcome != "unchanged" or bool(finding.effect.follows) or overruled


def what_happens(finding: Finding) -> str:
    """What would happen to the pods of a finding, in a few words."""
    if finding.enforced is not None:
        audited, enforced = _of_effect(finding.effect, finding), _of_effect(finding.enforced, finding)
        return enforced if audited == enforced else f"audited: {audited}"
    return _of_effect(finding.effect, finding)


def pending(finding: Finding) -> bool:
    """Whether its pods would wait for nodes that do not come, for whatever reason."""
    return finding.outcome != "denied" and (finding.outcome == "unschedulable" or finding.effect.pools.waits)


def why(finding: Finding) -> str:
    """Why, on one line: what keeps the pods out or waiting, what could not be decided, or what policies ask for."""
    if finding.outcome == "unchanged":
        return ""
    return " ".join(listed(list(dict.fromkeys(filter(None, _reasons(finding.effect))))).split())


def _reasons(one: Effect) -> Iterable[str]:
    follows = [each.text for each in one.follows if each.what in ("noPool", "taint", "capacity")]
    match one.outcome:
        case "denied":
            said = [each.message or each.error for each in one.policies if each.outcome in ("denied", "overruled")]
            return said or [each.error for each in one.policies if each.outcome == "failed"] or [one.reason]
        case "unschedulable":
            return follows
        case "failed":
            return [f"{each.name}: {each.error}" for each in one.policies if each.outcome == "failed"]
    writing = [each for each in one.policies if each.outcome in ("applied", "audited")]
    return [rule.message for each in writing for rule in each.rules]


def shortened(text: str) -> str:
    """A text as long as a table has room for."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _of_effect(one: Effect, finding: Finding) -> str:
    daemon = finding.template and finding.workload.kind == "DaemonSet"
    if one.outcome == "denied":
        return "refused" if finding.was_done else REFUSED
    told = _told(one.patch, one.pools, daemon=daemon)
    consequences = {each.what for each in one.follows}
    more = ["fits on no node"] if "capacity" in consequences else []
    more += ["needs a new node"] if "noNode" in consequences and not one.pools.unseen else []
    return ", ".join([*([told] if told != STAYS or not more else []), *more])


def _told(patch: Sequence[Operation], pools: PoolNames, *, daemon: bool) -> str:
    fields = dict.fromkeys(CHANGED[_field(operation["path"])] for operation in patch)
    if list(fields) == [ANNOTATIONS]:
        taken = all(operation["op"] == "remove" for operation in patch)
        return "loses annotations by which it says who placed it" if taken else "has annotations made true"
    done = [each for each in fields if each != ANNOTATIONS] or list(fields)
    before, after = len(pools.before), len(pools.after)
    where = [f"pools {before} → {after}"] if after < before else []
    waits = ["would get no pods" if daemon else "would stay Pending"] if pools.waits else []
    waits += [f"needs a node that nobody has seen: {pools.unseen}"] if pools.unseen else []
    return ", ".join(["gets " + ", ".join(done)] * bool(done) + where + waits) or STAYS


def _field(path: str) -> str:
    """The field of a pod, or of a DaemonSet's template, that an operation is about."""
    return path.removeprefix("/spec/template").split("/")[2]
