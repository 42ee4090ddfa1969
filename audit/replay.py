"""A replay: the pods and workloads that exist, decided as if they were created now, and what that comes to.

Pods are gathered first (see `gathering.py`), and each kind of them is decided once, when all is known that surrounds
them, Namespaces among it; what is alike for pods of one workload is one Finding. A workload that has pods is told by
these; one that has none (it is suspended, or scaled to zero, or only a manifest), by its template. Law 8: it is
`Decider.decide` that decides.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from audit.findings import Finding, Following, Spread, Workload
from audit.folding import BARE, OWN_LABELS, Controller, Fold
from audit.gathering import Gathered, Kind, is_finished
from audit.nodes import Asked, Place, admits, hindrance
from audit.of_decision import finding_of, workload_of
from audit.selection import EVERYTHING, Selection
from engine.decision import Decider, Decision, without_marks
from engine.documents import Manifest
from engine.nodeselector import TRUE, Terms, TooMany
from engine.placement import own
from engine.pods import MIRROR, IncomingPod, incoming_of
from engine.struct import Struct, field, replace

Json = Mapping[str, Any]

MADE = {("apps", "ReplicaSet"), ("batch", "Job")}
"""Group and kind of what other controllers make: it is told of as these."""
GENERATIONS = 4
"""So many controllers behind a pod are looked at."""


class Row(Struct):
    """A finding with its pods: how many run, how many of them in which pool, and the names of those where they would
    not be let any more, by pool. An empty name is of nodes of no pool. `now` and `after` are what `loads_of` says of
    them.

    `homes` are the pools in which they may be: those of nodes that are known and would do, and those of which no node
    is known. `labels` are those that all have, `youngest` says when the last one was created.
    """

    finding: Finding
    pods: int = 0
    running: int = 0
    placed: Counter[str] = field(default_factory=Counter)
    leaving: dict[str, list[str]] = field(default_factory=dict)
    homes: tuple[str, ...] = ()
    labels: frozenset[tuple[str, str]] = frozenset()
    youngest: str = ""
    now: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)

    def add(self, other: Row) -> None:
        """The pods of another row, as well."""
        self.pods += other.pods
        self.running += other.running
        self.placed += other.placed
        self.labels &= other.labels
        self.youngest = max(self.youngest, other.youngest)
        for pool, names in other.leaving.items():
            self.leaving.setdefault(pool, []).extend(names)

    def told(self) -> Finding:
        """The finding with its pods, and which of them would have to leave."""
        spread = Spread(dict(sorted(self.now.items())), dict(sorted(self.after.items())))
        finding = self.finding.with_pods(self.pods, dict(sorted(self.placed.items())), spread)
        if not self.leaving:
            return finding
        counts = {pool: len(names) for pool, names in sorted(self.leaving.items())}
        where = ", ".join(f"{count} in {pool or 'no pool'}" for pool, count in counts.items())
        number = sum(counts.values())
        text = f"{number} of {self.pods} pods run where they would not be let any more: {where}"
        leaves = Following("leaves", text, tuple(counts), pods=number)
        return replace(finding, effect=replace(finding.effect, follows=(*finding.effect.follows, leaves)))


class Replay:
    """Decides what it is `given`. `places` are nodes by name, as far as they are known; `time` is when it is, RFC 3339;
    `selection` says which pods are meant."""

    def __init__(
        self,
        decider: Decider,
        *,
        time: str,
        cluster: str = "",
        places: Mapping[str, Place] | None = None,
        selection: Selection = EVERYTHING,
    ) -> None:
        self._decider, self._time, self._cluster = decider, time, cluster
        self._places, self._selection = places or {}, selection
        self._templates = any(program.hands_on.daemon_sets == "template" for program in decider.programs)
        self._peopled = frozenset(place.pool for place in self._places.values())
        self._hindrances: dict[tuple[Terms, str], str] = {}
        self._admitting: dict[Terms, frozenset[str]] = {}
        self._makers: dict[tuple[str, str, str, str], Workload | None] = {}
        self._namespaces: Mapping[str, Json] = {}
        self.given = Gathered(Fold(decider), selection)

    def begin(self) -> list[Kind]:
        """The kinds of pods that are to be decided, now that nothing more comes."""
        self._namespaces = self.given.namespaces
        for _, workload in self.given.workloads:
            self._note_maker(workload)
        return self.given.kinds

    def of_kind(self, kind: Kind) -> Row:
        """What is decided about some pods. Raises RequestError for what the API server would not take."""
        incoming = incoming_of(kind.place, as_created(kind.data), self._namespaces)
        assert incoming is not None
        decision = self._decider.decide(incoming)
        row = Row(self._found(decision, self._whose(incoming, kind.controller)), kind.pods, youngest=kind.youngest)
        row.running = sum(len(names) for node, names in kind.names.items() if node)
        labels = incoming.pod["metadata"].get("labels") or {}
        row.labels = frozenset((key, value) for key, value in labels.items() if key not in OWN_LABELS)
        terms = _terms(decision)
        row.homes = self._homes(row.finding, terms)
        for node, names in kind.names.items() if self._places else ():
            place = self._places.get(node)
            if place is None:
                continue
            row.placed[place.pool] += len(names)
            if terms is not None and not admits(terms, node, place.labels):
                row.leaving.setdefault(place.pool, []).extend(names)
        return row

    def rows(self, of_kinds: Iterable[Row]) -> list[Row]:
        """One for each workload and what it comes to, of those of all kinds. Raises RequestError as `of_kind`."""
        rows = joined(of_kinds)
        having: Counter[Workload] = Counter()
        for row in rows:
            having[row.finding.workload] += row.pods
        templates = list(self._of_templates(having))
        instead = {row.finding.workload for row in templates}
        return [*(row for row in rows if row.finding.workload not in instead), *joined(templates)]

    def _homes(self, finding: Finding, terms: Terms | None) -> tuple[str, ...]:
        pools = finding.effect.pools
        left = [name for name in pools.after if name not in pools.untolerated]
        if terms is None or not self._places:
            return tuple(left)
        if terms not in self._admitting:
            some = (one.pool for name, one in self._places.items() if admits(terms, name, one.labels))
            self._admitting[terms] = frozenset(some)
        return tuple(name for name in left if name in self._admitting[terms] or name not in self._peopled)

    def _found(self, decision: Decision, whose: Workload) -> Finding:
        finding = finding_of(self._decider, decision, time=self._time, cluster=self._cluster)
        no_node = self._no_node(decision, finding)
        if no_node:
            effect = replace(finding.effect, follows=(*finding.effect.follows, Following("noNode", no_node)))
            finding = replace(finding, effect=effect)
        return finding if whose == finding.workload else replace(finding, workload=whose)

    def _no_node(self, decision: Decision, finding: Finding) -> str:
        """Why no node that there is would take a pod that policies are about; empty where one would, where it is said
        already, and where a pool is left of which no node is known."""
        would, pools = decision.audited or decision, finding.effect.pools
        said = any(one.what in ("noPool", "taint", "capacity") for one in finding.effect.follows)
        silent = not self._places or said or not finding.effect.policies or finding.outcome == "denied"
        if silent or decision.incoming.template is not None or not self._peopled.issuperset(pools.after):
            return ""
        try:
            terms = own(would.patched)
        except TooMany:
            return ""
        tolerations = (would.patched.get("spec") or {}).get("tolerations") or ()
        asked = Asked(terms, tuple(tolerations), finding.requests)
        key = json.dumps((tolerations, sorted(finding.requests.items())), sort_keys=True, default=str)
        if (terms, key) not in self._hindrances:
            self._hindrances[terms, key] = hindrance(self._places, asked)
        return self._hindrances[terms, key]

    def _of_templates(self, having: Mapping[Workload, int]) -> Iterator[Row]:
        """What is decided about templates: of workloads without pods, and of DaemonSets if it is these that count."""
        there = {_workload(data) for _, data in self.given.workloads}
        for place, data in self.given.workloads:
            incoming = incoming_of(place, data, self._namespaces)
            if incoming is None or _is_over(data) or not self._selection.has(incoming.pod):
                continue
            mine = _workload(data)
            whose = (self._behind(mine) if mine.name else None) or workload_of(incoming)
            of_daemon_set = self._templates and incoming.template is not None
            made = whose != mine
            if (whose in having and not of_daemon_set) or (made and (whose in there or asked_for(data) == 0)):
                continue
            decision = self._decider.decide(incoming)
            finding = self._found(decision, whose)
            homes = self._homes(finding, _terms(decision))
            yield Row(finding, having.get(whose, asked_for(data)), homes=homes)

    # whose pods they are

    def _note_maker(self, data: Json) -> None:
        """Who made a ReplicaSet or a Job; None where nobody did."""
        mine = _workload(data)
        if (_group(mine.api_version), mine.kind) in MADE:
            maker = next((each for each in _references(data) if each.get("controller")), None)
            said = [str(maker.get(key) or "") for key in ("apiVersion", "kind", "name")] if maker else []
            self._makers[_identity(mine)] = Workload(said[0], said[1], mine.namespace, said[2]) if said else None

    def _whose(self, incoming: IncomingPod, controller: Controller) -> Workload:
        """Whose pod it is: said by the objects that made it, where they are known, or else by its name and labels."""
        if controller == BARE:
            return workload_of(incoming)
        direct = Workload(controller.version, controller.kind, incoming.namespace_name, controller.name)
        return self._behind(direct) or workload_of(incoming)

    def _behind(self, whose: Workload) -> Workload | None:
        """The workload behind one that others may have made; None where it is not known who did."""
        for _ in range(GENERATIONS):
            identity = _identity(whose)
            if identity not in self._makers:
                return None if (_group(whose.api_version), whose.kind) in MADE else whose
            maker = self._makers[identity]
            if maker is None:
                return whose
            whose = maker
        return whose


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in order of clusters and workloads."""
    return sorted(findings, key=lambda one: (one.cluster, one.workload, one.outcome, one.effect.reason))


def joined(rows: Iterable[Row]) -> list[Row]:
    """Rows of one workload that come to the same, as one."""
    found: dict[str, Row] = {}
    for row in rows:
        key = alike(row.finding)
        if key in found:
            found[key].add(row)
        else:
            found[key] = row
    return list(found.values())


def alike(finding: Finding) -> str:
    """What is equal for findings that come to the same for one workload, whichever of its pods they are about."""
    data = finding.as_json(diff=False)
    for key in ("time", "pods", "example", "placed", "inputs", "template", "asked"):
        del data[key]
    return json.dumps(data, sort_keys=True, default=str)


def _terms(decision: Decision) -> Terms | None:
    """The nodes that a pod would be let on if all policies were enforced; None where none of them says which, or it is
    not let in at all."""
    would = decision.audited or decision
    says = any(policy.outcome in ("applied", "satisfied") for policy in would.policies)
    if not says or not would.allowed:
        return None
    try:
        terms = own(would.patched)
    except TooMany:
        return None
    return None if terms == TRUE else terms


def asked_for(workload: Json) -> int:
    """How many pods a workload asks for: none where it is suspended, and of a DaemonSet, which the nodes decide."""
    spec = workload.get("spec") or {}
    kind = workload.get("kind")
    if spec.get("suspend") is True or kind == "DaemonSet":
        return 0
    if kind in ("CronJob", "Job"):
        inner = (_at(_at(spec, "jobTemplate"), "spec") if kind == "CronJob" else spec) or {}
        return _number(inner.get("parallelism"))
    return _number(spec.get("replicas"))


def _number(value: object) -> int:
    return max(0, value) if isinstance(value, int) and not isinstance(value, bool) else 1


def as_created(pod: Json) -> dict[str, Any]:
    """A pod as it was before it was bound, for it is decided as if it were created again.

    What names the revision that placed it is gone. A mirror pod is created bound.
    """
    sound = _at(_at(pod, "metadata"), "annotations") is not None  # what is not is refused as it is
    created = {key: value for key, value in (without_marks(pod) if sound else pod).items() if key != "status"}
    if isinstance(created.get("spec"), dict) and not _mirrors(pod.get("metadata")):
        created["spec"] = {key: value for key, value in created["spec"].items() if key != "nodeName"}
    return created


def replayed(found: Iterable[Manifest]) -> Iterator[Manifest]:
    """The documents with running pods as they were created, and without those that have finished."""
    for manifest in found:
        data = manifest.data
        if not isinstance(data, dict):
            yield manifest
        elif isinstance(data.get("items"), list) and str(data.get("kind", "")).endswith("List"):
            kind = str(data["kind"]).removesuffix("List")
            typed = ({"kind": kind, **item} if kind and isinstance(item, dict) else item for item in data["items"])
            yield from replayed(Manifest(manifest.source, item) for item in typed)
        elif data.get("kind") != "Pod":
            yield manifest
        elif not is_finished(data):
            yield Manifest(manifest.source, as_created(data), manifest.value)


def _mirrors(metadata: object) -> bool:
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return isinstance(annotations, dict) and MIRROR in annotations


def _is_over(workload: Json) -> bool:
    """Whether a Job is over, so that it makes no more pods."""
    status = workload.get("status")
    if workload.get("kind") != "Job" or not isinstance(status, Mapping):
        return False
    conditions = status.get("conditions")
    return any(
        isinstance(one, Mapping) and one.get("type") in ("Complete", "Failed") and one.get("status") == "True"
        for one in (conditions if isinstance(conditions, list) else ())
    )


def _workload(data: Json) -> Workload:
    """What an object is called."""
    metadata = _at(data, "metadata") or {}
    words = (data.get("apiVersion"), data.get("kind"), metadata.get("namespace") or "default", metadata.get("name"))
    return Workload(*(str(word or "") for word in words))


def _identity(whose: Workload) -> tuple[str, str, str, str]:
    """The same whatever version of the API names it."""
    return _group(whose.api_version), whose.kind, whose.namespace, whose.name


def _group(version: str) -> str:
    return version.rpartition("/")[0]


def _references(data: Json) -> list[Json]:
    references = (_at(data, "metadata") or {}).get("ownerReferences")
    return [one for one in references if isinstance(one, Mapping)] if isinstance(references, list) else []


def _at(value: Any, key: str) -> Json | None:
    inner = value.get(key) if isinstance(value, Mapping) else None
    return inner if isinstance(inner, Mapping) else None
