"""What findings come to together: how many workloads fare how, by policy, and whether a bundle is ready to enforce."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal, get_args

from audit.capacity import Load
from audit.drift import Drift
from audit.findings import API_VERSION, CONSEQUENCES, FINDING_OUTCOMES, Finding, FindingOutcome, Workload, gravest
from audit.words import pending, what_happens, why
from engine.struct import Struct

Grouping = Literal["owner", "namespace", "policy", "pool"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
BLOCKING: tuple[FindingOutcome, ...] = ("denied", "unschedulable", "failed")
"""What keeps a bundle from being enforced."""
FAILING: tuple[str, ...] = (*FINDING_OUTCOMES[:-1], *CONSEQUENCES)
"""What a pipeline may be held for: that something does not stay as it is, and what would follow."""
WORDS: dict[FindingOutcome, str] = {
    "changed": "would change",
    "denied": "would be refused",
    "unschedulable": "would stay Pending",
    "failed": "could not be decided",
}
DONE: dict[FindingOutcome, str] = {
    "changed": "changed",
    "denied": "refused",
    "unschedulable": "let in, to stay Pending",
    "failed": "not decided by all policies",
}
"""The same of what was done."""
_VERDICT: dict[FindingOutcome, str] = {
    "changed": "changed as intended",
    "unschedulable": "would not schedule",
    "denied": "would be refused",
    "failed": "could not be decided",
}
OF_CLUSTER = "FindingCluster"
"""The kind of what is said of a cluster as data."""
REASONS = 3
"""So many reasons are told of a policy."""

Who = tuple[str, Workload]
"""A workload with the name of its cluster."""


class Line(Struct, frozen=True):
    """Findings of one group that come to the same: how many workloads and pods they are."""

    group: str
    outcome: FindingOutcome
    effect: str
    why: str
    policies: tuple[str, ...]
    workloads: int
    pods: int


class PolicyTotal(Struct, frozen=True):
    """What one policy has a part in: workloads by outcome, what hurts most of each, and why some of them would not be
    placed, most of them first."""

    name: str
    workloads: dict[FindingOutcome, int]
    reasons: tuple[str, ...]
    done: bool = False

    @property
    def text(self) -> str:
        """`34 would change, 16 would be refused, 3 would stay Pending: memory has taint team:NoSchedule`."""
        words = DONE if self.done else WORDS
        told = [f"{self.workloads[one]:,} {each}" for one, each in words.items() if self.workloads.get(one)]
        rest, stay = self.workloads.get("unchanged", 0), "stayed" if self.done else "would stay"
        told += [f"{rest:,} {stay} as {'it is' if rest == 1 else 'they are'}"] if rest and not told else []
        return ", ".join(told) + (f": {'; '.join(self.reasons)}" if self.reasons else "")


class Summary(Struct, frozen=True):
    """All findings of a replay, or of several. `workloads` says how each fares, by what hurts most. `loads` are what is
    asked of each pool, and `drifts` the running pods that would not be let where they are, as far as that was asked."""

    findings: tuple[Finding, ...]
    workloads: dict[Who, FindingOutcome]
    loads: tuple[Load, ...] = ()
    drifts: tuple[Drift, ...] = ()

    @staticmethod
    def of(findings: Iterable[Finding], loads: Iterable[Load] = (), drifts: Iterable[Drift] = ()) -> Summary:
        """The summary of findings, of any number of clusters."""
        found = tuple(findings)
        return Summary(found, _fares((_who(one), one.outcome) for one in found), tuple(loads), tuple(drifts))

    @property
    def pods(self) -> int:
        return sum(one.pods for one in self.findings)

    def counted(self, outcome: FindingOutcome) -> int:
        """How many workloads fare so."""
        return sum(one == outcome for one in self.workloads.values())

    @property
    def ready(self) -> bool:
        """Whether nothing would be refused, stay Pending for what policies ask, or could not be decided."""
        return not any(map(self.counted, BLOCKING))

    @property
    def blockers(self) -> tuple[Finding, ...]:
        """The findings that keep the bundle from being enforced, what hurts most first."""
        some = (one for one in self.findings if one.outcome in BLOCKING)
        return tuple(sorted(some, key=lambda one: (FINDING_OUTCOMES.index(one.outcome), -one.pods, _who(one))))

    @property
    def done(self) -> bool:
        """Whether all of it was done: it is about admissions, and nothing in it was only audited."""
        return bool(self.findings) and all(one.was_done for one in self.findings)

    @property
    def headline(self) -> str:
        """`Ready to enforce`, `Not ready to enforce`, or `Enforced`."""
        return "Enforced" if self.done else "Ready to enforce" if self.ready else "Not ready to enforce"

    @property
    def verdict(self) -> str:
        """`ready to enforce: 1,204 workloads unchanged, 37 changed as intended`."""
        unchanged = self.counted("unchanged")
        told = [f"{unchanged:,} {'workload' if unchanged == 1 else 'workloads'} unchanged"]
        words = DONE if self.done else _VERDICT
        told += [f"{self.counted(one):,} {each}" for one, each in words.items() if self.counted(one)]
        return f"{self.headline[0].lower()}{self.headline[1:]}: {', '.join(told)}"

    @property
    def total(self) -> str:
        """`12 pods of 3 workloads: 7 would change, 0 would be refused`, with whatever else there is to say."""
        pods: Counter[str] = Counter()
        for one in self.findings:
            daemon = one.template and one.workload.kind == "DaemonSet"
            pods[one.outcome] += one.pods
            if pending(one):
                pods["idle" if daemon else "pending"] += 1 if daemon else one.pods
            new = any(each.what == "noNode" for each in one.effect.follows) and not one.effect.pools.unseen
            pods["new"] += one.pods if new else 0
            pods["unseen"] += one.pods if one.effect.pools.unseen else 0
        changed, refused = ("changed", "refused") if self.done else ("would change", "would be refused")
        told = [f"{pods['changed']:,} {changed}", f"{pods['denied']:,} {refused}"]
        told += [f"{pods['pending']:,} would stay Pending"] if pods["pending"] else []
        told += [f"{_amount(pods['idle'], 'DaemonSet')} would get no pods"] if pods["idle"] else []
        told += [f"{pods['unseen']:,} would need nodes that nobody has seen"] if pods["unseen"] else []
        told += [f"{pods['new']:,} would need a new node"] if pods["new"] else []
        told += [f"{pods['failed']:,} could not be decided"] if pods["failed"] else []
        return f"{_amount(self.pods, 'pod')} of {_amount(len(self.workloads), 'workload')}: {', '.join(told)}"

    def failing(self, what: Collection[str]) -> bool:
        """Whether there is any of these outcomes and consequences."""
        outcomes = any(one.outcome in what for one in self.findings)
        return outcomes or any(each.what in what for one in self.findings for each in one.effect.follows)

    def by_policy(self) -> list[PolicyTotal]:
        """What each policy has a part in, by name."""
        fares: dict[str, list[tuple[Who, FindingOutcome]]] = {}
        reasons: dict[str, Counter[str]] = {}
        for one in self.findings:
            for name in one.effect.involved:
                fares.setdefault(name, []).append((_who(one), one.outcome))
                for each in one.effect.follows if one.outcome == "unschedulable" else ():
                    if each.what in ("taint", "capacity"):
                        said = _said(each.pools, each.taints, each.text)
                        reasons.setdefault(name, Counter())[said] += max(1, one.pods)
        return [
            PolicyTotal(
                name,
                dict(Counter(_fares(some).values())),
                tuple(text for text, _ in reasons.get(name, Counter()).most_common(REASONS)),
                self.done,
            )
            for name, some in sorted(fares.items())
        ]

    def lines(self, by: Grouping, findings: Iterable[Finding] | None = None) -> list[Line]:
        """The findings, all if none are given, by group; those of one group that come to the same are one line."""
        count: dict[tuple[str, FindingOutcome, str, str, tuple[str, ...]], tuple[set[Who], int]] = {}
        for one in self.findings if findings is None else findings:
            for group in groups_of(one, by):
                key = (group, one.outcome, what_happens(one), why(one), one.effect.involved)
                whose, pods = count.get(key, (set(), 0))
                count[key] = (whose | {_who(one)}, pods + one.pods)
        lines = [Line(*key, len(whose), pods) for key, (whose, pods) in count.items()]
        return sorted(lines, key=lambda line: (line.group, FINDING_OUTCOMES.index(line.outcome), line.effect))

    def of_clusters(self) -> list[dict[str, Any]]:
        """What there is to say of each cluster beside its findings, as data."""
        found = []
        names = {one.cluster for one in self.loads} | {one.cluster for one in self.drifts}
        for cluster in sorted(names):
            time = max((one.time for one in self.findings if one.cluster == cluster), default="")
            loads = tuple(one for one in self.loads if one.cluster == cluster)
            drifts = tuple(one for one in self.drifts if one.cluster == cluster)
            found.append(OfCluster(cluster, time, loads, drifts).as_json())
        return found

    def as_json(self) -> dict[str, Any]:
        """All of it as data: what is said of the findings together, and the findings (docs/audit.md)."""
        policies = [{"name": one.name, "workloads": one.workloads, "reasons": one.reasons} for one in self.by_policy()]
        return {
            "apiVersion": API_VERSION,
            "kind": "FindingList",
            "ready": self.ready,
            "verdict": self.verdict,
            "pods": self.pods,
            "workloads": {one: self.counted(one) for one in FINDING_OUTCOMES},
            "policies": policies,
            "capacity": [one.as_json() for one in self.loads],
            "drift": [one.as_json() for one in self.drifts],
            "items": [one.as_json() for one in self.findings],
        }


class OfCluster(Struct, frozen=True):
    """What else was seen of one cluster: what its pools are asked for, and what drifted. `time` is RFC 3339."""

    cluster: str
    time: str
    loads: tuple[Load, ...] = ()
    drifts: tuple[Drift, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As data: a line beside those of findings (docs/audit.md)."""
        return {
            "apiVersion": API_VERSION,
            "kind": OF_CLUSTER,
            "time": self.time,
            "cluster": self.cluster,
            "capacity": [one.as_json() for one in self.loads],
            "drift": [one.as_json() for one in self.drifts],
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> OfCluster:
        """That of its data. Raises ValueError for what is none."""
        try:
            loads, drifts = tuple(map(Load.from_json, data["capacity"])), tuple(map(Drift.from_json, data["drift"]))
            return OfCluster(str(data["cluster"]), str(data["time"]), loads, drifts)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this says nothing of a cluster: {type(error).__name__} {error}") from error


def groups_of(finding: Finding, by: Grouping) -> Iterator[str]:
    """The groups that a finding is in; `no policy` and `no pool` where it is in none."""
    cluster = f"{finding.cluster} " if finding.cluster else ""
    match by:
        case "owner":
            yield f"{cluster}{finding.workload.title}"
        case "namespace":
            yield f"{cluster}{finding.workload.namespace}"
        case "policy":
            yield from finding.effect.involved or ("no policy",)
        case "pool":
            yield from finding.effect.pools.after or ("no pool",)


def _who(finding: Finding) -> Who:
    return finding.cluster, finding.workload


def _fares(outcomes: Iterable[tuple[Who, FindingOutcome]]) -> dict[Who, FindingOutcome]:
    """How each workload fares: what hurts most of its pods."""
    found: dict[Who, FindingOutcome] = {}
    for who, outcome in outcomes:
        found[who] = gravest((outcome, found.get(who, outcome)))
    return found


def _said(pools: tuple[str, ...], taints: tuple[str, ...], text: str) -> str:
    """Why pods would not be placed, whoever they are."""
    if not taints:
        return text
    return f"{', '.join(pools) or 'nodes of no pool'} {'has' if len(pools) == 1 else 'have'} taint {', '.join(taints)}"


def _amount(number: int, one: str) -> str:
    return f"{number:,} {one if number == 1 else one + 's'}"
