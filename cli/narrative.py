"""A decision, told to a person: where the pod may run or why it is refused, what each policy had to say, what changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cli.difference import as_yaml, unified
from cli.terminal import BOLD, FAINT, GREEN, RED, amount, coloured, styled, table, wrapped

Json = dict[str, Any]

OUTCOMES = {
    "applied": "applied",
    "satisfied": "holds already",
    "notMatched": "not about this pod",
    "overruled": "overruled",
    "denied": "refuses the pod",
    "failed": "failed",
    "audited": "audited only",
    "off": "off",
    "notRolledOut": "not rolled out to it",
}
QUIET = frozenset({"notMatched", "off", "notRolledOut"})
"""Outcomes of policies that had nothing to do with the pod: told in one line together."""

HIDDEN = ("containers", "initContainers", "ephemeralContainers", "volumes")
"""What a diff leaves out: it never changes, and may hold what nobody should read by chance."""


def told(decision: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The lines about one decision. `before` and `after` are the pod as it came and as it would be created."""
    yield from _headline(decision)
    yield ""
    yield from _pools(decision["pools"])
    yield from _policies(decision["policies"])
    for warning in decision["warnings"]:
        yield wrapped(f"warning: {warning}", "  ")
    yield from _change(decision, before, after)


def title(pod: Mapping[str, Any]) -> str:
    """`Deployment shop/web`, `Pod shop/web`."""
    kind = pod["owner"]["kind"] if pod["owner"] else "Pod"
    return f"{kind} {pod['namespace']}/{pod['name']}"


def visible(pod: Mapping[str, Any]) -> Json:
    """What of a pod a diff shows: who it is and all of its placement, and nothing of what its containers hold."""
    metadata = {key: pod["metadata"][key] for key in ("name", "namespace") if key in pod["metadata"]}
    spec = {key: value for key, value in pod.get("spec", {}).items() if key not in HIDDEN}
    return {"metadata": metadata, "spec": dict(sorted(spec.items()))}


def _headline(decision: Mapping[str, Any]) -> Iterator[str]:
    yield styled(title(decision["pod"]), BOLD)
    style = GREEN if decision["allowed"] else RED
    yield styled(wrapped(decision["message"], "  "), style)
    mode = decision["mode"]
    if mode != "enforce":
        yield wrapped(f"mode {mode}: nothing of this is done, the pod is created as it came", "  ")


def _pools(pools: Mapping[str, list[str]]) -> Iterator[str]:
    before, after = pools["before"], pools["after"]
    rows = [("pools before", _names(before)), ("pools after", _names(after))]
    rows += [("tainted for it", _names(pools["untolerated"]))] if pools["untolerated"] else []
    yield table(rows, indent="  ")


def _names(names: list[str]) -> str:
    return ", ".join(names) if names else "none"


def _policies(policies: list[Json]) -> Iterator[str]:
    spoke = [policy for policy in policies if policy["outcome"] not in QUIET]
    if spoke:
        yield ""
        rows = [(policy["name"], OUTCOMES[policy["outcome"]], _reason(policy)) for policy in spoke]
        yield table(rows, indent="  ")
    for outcome in sorted(QUIET):
        names = [policy["name"] for policy in policies if policy["outcome"] == outcome]
        if names:
            yield styled(wrapped(f"{OUTCOMES[outcome]}: {', '.join(names)}", "  "), FAINT)


def _reason(policy: Json) -> str:
    said = [str(policy[key]) for key in ("message", "error") if policy.get(key)]
    return "; ".join(dict.fromkeys(said))


def _change(decision: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    patch = decision["patch"]
    if not patch:
        yield ""
        yield "  nothing to change" if decision["allowed"] else "  nothing is created"
        return
    yield ""
    for line in coloured(unified(visible(before), visible(after), ("pod as it came", "pod as placed"))):
        yield f"  {line}".rstrip()
    yield ""
    yield f"  patch, {amount(len(patch), 'operation')} (RFC 6902)"
    for line in as_yaml(patch).splitlines():
        yield f"    {line}"
