"""A decision, told to a person: where the pod may run or why it is refused, what each policy said, what changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from audit import as_yaml, unified
from cli.terminal import BOLD, FAINT, GREEN, RED, amount, coloured, styled, table, wrapped
from engine.decision import Decision, PolicyOutcome, PoolNames, title

OUTCOMES = {
    "applied": "applied",
    "satisfied": "nothing to change",
    "notMatched": "not about this pod",
    "overruled": "overruled",
    "denied": "refuses the pod",
    "failed": "failed",
    "audited": "audited only",
    "off": "off",
    "notRolledOut": "not rolled out to it",
}
QUIET = ("notMatched", "notRolledOut", "off")
"""Outcomes of policies that had nothing to do with the pod: told in one line together."""

PLACEMENT = (
    "affinity",
    "nodeName",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "tolerations",
    "topologySpreadConstraints",
)
"""What a diff shows of a pod's spec. The rest never changes, and may hold what nobody should read by chance."""


Reasons = Callable[[Decision], Iterable[str]]


def told(decision: Decision, *, show_pod: bool = False, reasons: Reasons = lambda _: ()) -> Iterator[str]:
    """The lines about one decision; with `show_pod` the whole pod as it would be created follows.

    `reasons` are lines about pools that are out, if any are wanted.
    """
    yield from _headline(decision)
    for portion in decision.portions:
        yield ""
        yield styled(f"{portion.named} of its pods", BOLD)
        yield from _body(portion.decision, reasons, show_pod=show_pod)
    if not decision.portions:
        yield from _body(decision, reasons, show_pod=show_pod)


def _body(decision: Decision, reasons: Reasons, *, show_pod: bool) -> Iterator[str]:
    """The lines below the headline."""
    yield from _pools(decision.pools)
    yield from reasons(decision)
    yield from _policies(decision.policies)
    if decision.warnings:
        yield ""
        for warning in decision.warnings:
            yield wrapped(f"warning: {warning}", "  ")
    yield ""
    if decision.patch:
        yield from _change(decision)
    else:
        what = "pod" if decision.incoming.template is None else "DaemonSet"
        refused = f"the {what} is not created" if decision.refused else f"enforced, the {what} would not be created"
        yield "  nothing to change" if decision.allowed else f"  {refused}"
    if show_pod and decision.allowed:
        yield ""
        yield from _indented(as_yaml(decision.patched))


def visible(pod: Mapping[str, Any]) -> dict[str, Any]:
    """What of a pod a diff shows: who it is and all of its placement, and nothing of what its containers hold."""
    metadata = {key: pod["metadata"][key] for key in ("name", "generateName", "namespace") if key in pod["metadata"]}
    spec = pod.get("spec") or {}
    return {"metadata": metadata, "spec": {key: spec[key] for key in PLACEMENT if key in spec}}


def _headline(decision: Decision) -> Iterator[str]:
    who = title(decision.incoming)
    if who.lower() not in decision.message.lower():
        yield styled(who, BOLD)
    yield styled(wrapped(decision.message[:1].upper() + decision.message[1:]), GREEN if decision.allowed else RED)
    if decision.mode != "enforce":
        yield wrapped(f"mode {decision.mode}: nothing of this is done, the pod is created as it came")
    if decision.audited:
        yield wrapped(f"with the policies in audit mode: {decision.audited.message}")


def _pools(pools: PoolNames) -> Iterator[str]:
    rows = [("pools before", _names(pools.before)), ("pools after", _names(pools.after))]
    rows += [("not tolerated", _names(pools.untolerated))] if pools.untolerated else []
    if pools.before or pools.after:
        yield ""
        yield table(rows, indent="  ")


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "none"


def _policies(policies: Sequence[PolicyOutcome]) -> Iterator[str]:
    spoke = [policy for policy in policies if policy.outcome not in QUIET]
    yield ""
    if spoke:
        yield table([(p.name, OUTCOMES[p.outcome], _reason(p)) for p in spoke], indent="  ")
    for outcome in QUIET:
        names = [policy.name for policy in policies if policy.outcome == outcome]
        if names:
            yield styled(wrapped(f"{OUTCOMES[outcome]}: {', '.join(names)}", "  "), FAINT)


def _reason(policy: PolicyOutcome) -> str:
    what = (policy.error, policy.message) if policy.outcome == "failed" else (policy.message, policy.error)
    return "; ".join(dict.fromkeys(said for said in what if said))


def _change(decision: Decision) -> Iterator[str]:
    before, after = visible(decision.incoming.pod), visible(decision.patched)
    what = "pod" if decision.incoming.template is None else "template"
    for line in coloured(unified(before, after, (f"the {what} as it came", f"the {what} as placed"))):
        yield f"  {line}".rstrip()
    yield ""
    yield f"  the patch, {amount(len(decision.patch), 'operation')} (RFC 6902)"
    yield from _indented(as_yaml(list(decision.patch)), "    ")


def _indented(text: str, indent: str = "  ") -> Iterator[str]:
    for line in text.splitlines():
        yield f"{indent}{line}".rstrip()
