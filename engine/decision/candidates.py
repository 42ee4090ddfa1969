"""Which pods are left alone, and which policies may be about one of the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from engine.decision.decision import PolicyOutcome
from engine.evaluation import UNSELECTED
from engine.pods import IncomingPod, controller
from engine.program import CompiledPolicy

MIRROR = "kubernetes.io/config.mirror"


def hands_off(incoming: IncomingPod, namespaces: Collection[str], *, daemon_sets: bool) -> str:
    """Why a pod is left alone; empty if it is not. `daemon_sets`: pods of DaemonSets are not left alone."""
    metadata = incoming.pod.get("metadata") or {}
    if incoming.namespace_name in namespaces:
        return f"pods in namespace {incoming.namespace_name} are left alone"
    if MIRROR in (metadata.get("annotations") or {}):
        return "mirror pods are left alone"
    owner = controller(metadata)
    if owner is not None and owner.get("kind") == "DaemonSet" and not daemon_sets:
        return "pods of DaemonSets are left alone"
    return ""


def resting(policy: CompiledPolicy) -> PolicyOutcome:
    """The outcome of a policy that is not a candidate."""
    if policy.policy.mode == "off":
        return PolicyOutcome(policy.name, "off")
    return PolicyOutcome(policy.name, "notMatched", UNSELECTED)


class Candidates:
    """Policies by a label that their selector asks for, so that one that can't match costs nothing."""

    def __init__(self, policies: Sequence[CompiledPolicy]) -> None:
        self._policies = policies
        self._always: list[int] = []
        self._labelled: dict[str, dict[str | None, list[int]]] = {}
        for i, policy in enumerate(policies):
            if policy.policy.mode != "off":
                self._file(i, policy)

    def _file(self, place: int, policy: CompiledPolicy) -> None:
        for requirement in policy.pod_selector.requirements:
            if requirement.operator in ("In", "Exists"):
                under = self._labelled.setdefault(requirement.key, {})
                for value in requirement.values if requirement.operator == "In" else (None,):
                    under.setdefault(value, []).append(place)
                return
        self._always.append(place)

    def of(self, labels: Mapping[str, str]) -> list[CompiledPolicy]:
        """The policies whose selector may match a pod with these labels, in the program's order."""
        places = list(self._always)
        for key, value in labels.items():  # there may be many more keys that selectors ask for
            under = self._labelled.get(key)
            if under is not None:
                places += under.get(value, ())
                places += under.get(None, ())
        return [self._policies[place] for place in sorted(places)]
