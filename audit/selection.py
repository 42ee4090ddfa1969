"""Which pods a replay is about: those of some namespaces, or with some labels, as kubectl has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from audit.folding import Pod
from engine.bundle import LabelRequirement, Selector
from engine.struct import Struct, field

_PART = re.compile(
    r"\s*(?:(?P<no>!)\s*(?P<absent>[^\s!=<>,()]+)"
    r"|(?P<key>[^\s!=<>,()]+)\s*(?:(?P<equals>==|=|!=)\s*(?P<value>[^\s!=<>,()]*)"
    r"|\s(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?:,|$)"
)
_labels = msgspec.json.Decoder(dict[str, Any] | None)


class Selection(Struct, frozen=True):
    """Pods in `namespaces`, in all if there are none, whose labels match the selector. Of a workload that has no pods,
    it is the template's labels that count."""

    namespaces: frozenset[str] = frozenset()
    labels: Selector = field(default_factory=Selector)

    def has(self, pod: Pod | Mapping[str, Any]) -> bool:
        """Whether a pod is meant."""
        if isinstance(pod, Pod):
            namespace = pod.namespace
            labels = _labels.decode(pod.metadata.get("labels", b"null")) if self.labels.requirements else None
        else:
            metadata = pod.get("metadata")
            metadata = metadata if isinstance(metadata, Mapping) else {}
            namespace, labels = str(metadata.get("namespace") or ""), metadata.get("labels")
        if self.namespaces and (namespace or "default") not in self.namespaces:
            return False
        return self.labels.matches(labels if isinstance(labels, Mapping) else {})


EVERYTHING = Selection()


def selector_of(text: str) -> Selector:
    """A label selector as kubectl takes it with `-l`: `app=web,tier in (a,b),!canary`. Raises ValueError."""
    found: list[LabelRequirement] = []
    at = 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or part.end() == at:
            raise ValueError(
                f"`{text[at:]}` is no label selector: expected `key=value`, `key!=value`, "
                "`key in (a,b)`, `key notin (a,b)`, `key` or `!key`"
            )
        at = part.end()
        found.append(_requirement(part))
    return Selector(tuple(sorted(found)))


def _requirement(part: re.Match[str]) -> LabelRequirement:
    if part["no"]:
        return LabelRequirement(part["absent"], "DoesNotExist")
    if part["set"]:
        values = tuple(sorted(one.strip() for one in part["values"].split(",")))
        return LabelRequirement(part["key"], "In" if part["set"] == "in" else "NotIn", values)
    if part["equals"]:
        return LabelRequirement(part["key"], "NotIn" if part["equals"] == "!=" else "In", (part["value"],))
    return LabelRequirement(part["key"], "Exists")
