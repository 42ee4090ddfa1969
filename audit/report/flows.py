"""What moves where: in which pools pods are, and in which they might be once the policies are enforced.

How many of a finding's pods count where, now and afterwards, is estimated by `audit.capacity`, so that the picture and
the table of what pools are asked for say the same: as many as are in a pool on both sides stay there, and the others
go from where too many are to where they are missing. Where nobody has estimated it, for the nodes or pools are not
known, pods without a node count evenly over the pools that let them in, and those that may not stay go evenly to what
is left. Pods of DaemonSets stay where they run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from audit.findings import Finding
from audit.words import pending
from engine.struct import Struct


class Where(NamedTuple):
    """Where pods are: in a pool by its name, on nodes of no pool, nowhere as they wait, or nowhere as they are refused.
    `rest` is several pools that are told of together."""

    what: Literal["pool", "other", "rest", "pending", "denied"]
    pool: str = ""


OTHER, PENDING, DENIED = Where("other"), Where("pending"), Where("denied")


class Flow(NamedTuple):
    """So many pods, of which that many cores are asked, are in one place now, and in the other afterwards."""

    source: Where
    target: Where
    pods: float
    cores: float


class PoolTotal(Struct):
    """The pods that are in a place before and after, those among them that come and go, and the cores they ask for."""

    where: Where
    before: float = 0
    after: float = 0
    coming: float = 0
    going: float = 0
    cores_before: float = 0
    cores_after: float = 0


def flows_of(findings: Iterable[Finding]) -> list[Flow]:
    """The flows of all the pods together, in order of places."""
    found: dict[tuple[Where, Where], tuple[float, float]] = {}
    for finding in findings:
        cpu = finding.requests.get("cpu", 0)
        for source, target, pods in _moves(finding):
            so_far, cores = found.get((source, target), (0, 0))
            found[source, target] = (so_far + pods, cores + pods * cpu)
    return [Flow(*pair, *amounts) for pair, amounts in sorted(found.items()) if amounts[0] > 0]


def totals_of(flows: Iterable[Flow]) -> list[PoolTotal]:
    """What the flows come to for each place, the one with the most pods first."""
    found: dict[Where, PoolTotal] = {}
    for flow in flows:
        source = found.setdefault(flow.source, PoolTotal(flow.source))
        target = found.setdefault(flow.target, PoolTotal(flow.target))
        source.before += flow.pods
        source.cores_before += flow.cores
        target.after += flow.pods
        target.cores_after += flow.cores
        if source is not target:
            source.going += flow.pods
            target.coming += flow.pods
    return sorted(found.values(), key=lambda one: (-max(one.before, one.after), one.where))


def folded(flows: Iterable[Flow], most: int) -> list[Flow]:
    """The flows with all pools but `most` of them, those with the most pods, told as one."""
    flows = list(flows)
    pools = [one.where for one in totals_of(flows) if one.where.what == "pool"]
    if len(pools) <= most:
        return flows
    rest = Where("rest", f"{len(pools) - most + 1:,} other pools")
    small = dict.fromkeys(pools[most - 1 :], rest)
    found: dict[tuple[Where, Where], tuple[float, float]] = {}
    for source, target, pods, cores in flows:
        pair = small.get(source, source), small.get(target, target)
        some, asked = found.get(pair, (0, 0))
        found[pair] = (some + pods, asked + cores)
    return [Flow(*pair, *amounts) for pair, amounts in sorted(found.items())]


def _moves(finding: Finding) -> Iterator[tuple[Where, Where, float]]:
    stays, left = _targets(finding)
    if finding.spread.now:
        yield from _estimated(finding, left)
        return
    daemon = finding.workload.kind == "DaemonSet" and left not in ([DENIED], [PENDING])
    for source, pods in _sources(finding).items():
        if daemon or source in stays:
            yield source, source, pods
        else:
            yield from ((source, target, pods / len(left)) for target in left)


def _estimated(finding: Finding, left: Sequence[Where]) -> Iterator[tuple[Where, Where, float]]:
    """From where the estimate has pods now to where it has them afterwards. Those that it has nowhere wait, or are
    refused, or are on nodes of no pool."""
    now, after = (_in_places(one) for one in finding.spread)
    now[OTHER] = now.get(OTHER, 0) + finding.pods - sum(now.values())
    nowhere = left[0] if left in ([DENIED], [PENDING]) else OTHER
    after[nowhere] = after.get(nowhere, 0) + finding.pods - sum(after.values())
    stay = {where: min(pods, after.get(where, 0)) for where, pods in now.items()}
    going = {where: pods - stay[where] for where, pods in now.items()}
    coming = {where: pods - stay.get(where, 0) for where, pods in after.items()}
    yield from ((where, where, pods) for where, pods in stay.items())
    total = sum(going.values()) or 1
    yield from ((a, b, pods * some / total) for a, pods in going.items() for b, some in coming.items() if a != b)


def _in_places(pods: Mapping[str, float]) -> dict[Where, float]:
    return {_pool(name): some for name, some in pods.items()}


def _sources(finding: Finding) -> Mapping[Where, float]:
    """Where the pods are now, or might be."""
    known = {_pool(name): float(pods) for name, pods in finding.placed.items() if pods > 0}
    rest = finding.pods - sum(known.values())
    if rest > 0:
        pools = list(map(_pool, finding.effect.pools.before)) or [OTHER]
        for pool in pools:
            known[pool] = known.get(pool, 0) + rest / len(pools)
    return known


def _targets(finding: Finding) -> tuple[frozenset[Where], list[Where]]:
    """The places where pods of a finding stay if they are there, and where the others go."""
    pools = finding.effect.pools
    if finding.outcome == "denied":
        return frozenset(), [DENIED]
    if pending(finding):
        return frozenset(), [PENDING]
    barred = set(pools.untolerated)
    left = [_pool(name) for name in pools.after if name not in barred] or [OTHER]
    return frozenset(left), left


def _pool(name: str) -> Where:
    return Where("pool", name) if name else OTHER
