"""Drift: pods that run as today's policies would not let them, and how somebody may move them: by commands, or by the
descheduler (https://sigs.k8s.io/descheduler, api/v1alpha2: profiles with the plugin PodLifeTime).

Nothing is moved by us. Pods that are made again come back as policies want where a webhook enforces them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from audit.difference import as_yaml
from audit.findings import Workload
from audit.replay import Row
from engine.struct import Struct

ROLLED_OUT = {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet")}
"""Group and kind of what `kubectl rollout restart` makes again, pod by pod."""
PLUGIN = "PodLifeTime"
"""Evicts pods that are older than so many seconds."""
ALONE = ("Pod", "Node")
"""Kinds of what nobody makes again: bare pods, and those that a kubelet mirrors."""


class Drift(Struct, frozen=True):
    """Pods of a workload that would not be let where they run any more, or not at all: how many, their `names`, and the
    policies that say so. `lost`: they would not come back. `labels` are those that all have, and `youngest` says when
    the last of them was created, RFC 3339, as far as that is known."""

    cluster: str
    workload: Workload
    pods: int
    text: str
    names: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    lost: bool = False
    labels: frozenset[tuple[str, str]] = frozenset()
    youngest: str = ""

    @property
    def commands(self) -> tuple[str, ...]:
        """What moves the pods; none where they would not come back, or nobody makes them again."""
        kind, namespace, name = self.workload.kind, self.workload.namespace, self.workload.name
        if self.lost or kind in ALONE:
            return ()
        if (self.workload.api_version.rpartition("/")[0], kind) in ROLLED_OUT:
            return (_command("rollout", "restart", f"{kind.lower()}/{name}", "-n", namespace),)
        return tuple(_command("delete", "pod", pod, "-n", namespace) for pod in self.names)

    def as_json(self) -> dict[str, Any]:
        """As data (docs/audit.md)."""
        return {
            "cluster": self.cluster,
            "workload": self.workload.as_json(),
            "pods": self.pods,
            "text": self.text,
            "policies": list(self.policies),
            "names": list(self.names),
            "labels": dict(sorted(self.labels)),
            "youngest": self.youngest,
            "lost": self.lost,
            "commands": list(self.commands),
            "remark": self.remark,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Drift:
        """The drift of its data. Raises KeyError, TypeError or ValueError for what is none."""
        owner = data["workload"]
        return Drift(
            str(data["cluster"]),
            Workload(*(str(owner[key]) for key in ("apiVersion", "kind", "namespace", "name"))),
            int(data["pods"]),
            str(data["text"]),
            tuple(map(str, data["names"])),
            tuple(map(str, data["policies"])),
            bool(data["lost"]),
            frozenset((str(key), str(value)) for key, value in dict(data["labels"]).items()),
            str(data["youngest"]),
        )

    @property
    def remark(self) -> str:
        """Why there is no command; empty where there is one."""
        if self.lost:
            return "they would not come back: they would be refused, or find no node"
        return "nobody would make them again" if self.workload.kind in ALONE else ""


def drift_of(rows: Iterable[Row]) -> list[Drift]:
    """What drifted, by workload."""
    found: dict[tuple[str, Workload], Drift] = {}
    for row in rows:
        one = row.finding
        names = [name for some in row.leaving.values() for name in some]
        if one.outcome == "denied":
            pods, text = row.running, f"{row.running} pods run that would be refused"
        elif names:
            pods, text = len(names), f"{len(names)} of {row.pods} pods run where they would not be let any more"
        else:
            continue
        if not pods:
            continue
        key = (one.cluster, one.workload)
        lost = one.outcome in ("denied", "unschedulable")
        before = found.get(key, Drift(*key, 0, ""))
        found[key] = Drift(
            *key,
            before.pods + pods,
            "; ".join(filter(None, (before.text, text))),
            (*before.names, *sorted(names)),
            tuple(dict.fromkeys((*before.policies, *one.effect.involved))),
            lost or before.lost,
            row.labels & before.labels if before.pods else row.labels,
            max(row.youngest, before.youngest),
        )
    return sorted(found.values(), key=lambda one: (one.cluster, one.workload))


def script(drifts: Sequence[Drift], seconds: float = 0, context: str = "") -> Iterator[str]:
    """The lines of a shell script that moves the pods, with pauses that spread it over so many seconds. Of several
    clusters, each command names its own as the context of the kubeconfig."""
    several = len({one.cluster for one in drifts}) > 1
    commands = [(one, command) for one in drifts for command in one.commands]
    pause = seconds / (len(commands) - 1) if len(commands) > 1 else 0
    yield "#!/bin/sh"
    yield "# Moves pods that run where today's policies would not let them. They come back as the policies want"
    yield "# where the webhook enforces them; nothing has been moved yet."
    yield "set -e"
    last: Drift | None = None
    for at, (one, command) in enumerate(commands):
        if at and round(pause):
            yield f"sleep {pause:.0f}"
        if one is not last:
            yield _comment(f"{one.cluster if several else ''} {one.workload.title}: {one.text}")
        last = one
        where = one.cluster if several else context
        yield f"{command} --context {shlex.quote(where)}" if where else command
    for one in drifts:
        if not one.commands:
            yield _comment(f"{one.cluster if several else ''} {one.workload.title}: {one.text}; {one.remark}")


def descheduler(drifts: Sequence[Drift], now: str) -> Iterator[str]:
    """The lines of a policy file of the descheduler that evicts the pods: those of a workload's labels that are as old.

    It is to be run once, for pods that come back grow old as well. `now` is RFC 3339. Of several clusters, each has a
    document of its own.
    """
    yield "# For the descheduler, to be run once, as a Job: pods that come back would be as old one day."
    clusters = list(dict.fromkeys(one.cluster for one in drifts)) or [""]
    for number, cluster in enumerate(clusters):
        if len(clusters) > 1:
            yield from ["---"] * bool(number)
            yield _comment(f"of cluster {cluster}")
        yield from _policy([one for one in drifts if one.cluster == cluster], now)


def _policy(drifts: Sequence[Drift], now: str) -> Iterator[str]:
    """The policy of one cluster."""
    profiles: list[dict[str, Any]] = []
    for one in drifts:
        age = _seconds(one.youngest, now)
        if not one.commands or not one.labels or age is None:
            why = one.remark or ("nobody knows how old its pods are" if one.labels else "its pods have no labels")
            yield _comment(f"not here: {one.workload.title}: {why}")
            continue
        which = {
            "namespaces": {"include": [one.workload.namespace]},
            "labelSelector": {"matchLabels": dict(sorted(one.labels))},
        }
        profiles.append(
            {
                "name": f"{one.workload.kind}-{one.workload.namespace}-{one.workload.name}".lower(),
                "pluginConfig": [{"name": PLUGIN, "args": {"maxPodLifeTimeSeconds": age, **which}}],
                "plugins": {"deschedule": {"enabled": [PLUGIN]}},
            }
        )
    policy = {"apiVersion": "descheduler/v1alpha2", "kind": "DeschedulerPolicy", "profiles": profiles}
    yield from as_yaml(policy).splitlines()


def _seconds(then: str, now: str) -> int | None:
    """How many seconds have gone by, a little less; None where that can't be told."""
    try:
        return max(0, int((datetime.fromisoformat(now) - datetime.fromisoformat(then)).total_seconds()) - 1)
    except (ValueError, TypeError):
        return None


def _comment(text: str) -> str:
    """On one line, whatever a name holds."""
    return "# " + " ".join(text.split())


def _command(*words: str) -> str:
    return " ".join(("kubectl", *map(shlex.quote, words)))
