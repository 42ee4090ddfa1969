"""Which pods are left alone, and which policies may be about one of the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from engine.decision.decision import PolicyOutcome
from engine.evaluation import UNSELECTED
from engine.pods import (
    IncomingPod,
    claims_daemon_set,
    claims_mirror,
    made_by_daemon_set_controller,
    made_by_kubelet,
    user_name,
)
from engine.program import CompiledPolicy


class Standing(NamedTuple):
    """How a pod stands to policies: why it is left alone, empty if it is not; and what it claims to be and is not."""

    left_alone: str = ""
    claim: str = ""


ORDINARY = Standing()
"""Of a pod that policies are about, and that claims nothing."""


def standing(
    incoming: IncomingPod, namespaces: Collection[str], controllers: Collection[str], *, daemon_sets: bool
) -> Standing:
    """Whether a pod is left alone: by its namespace, or because it was made by who may make such.

    `controllers` are the users of the DaemonSet controller; `daemon_sets`: pods of DaemonSets are not left alone. A pod
    that only says that it is one of those is decided like any other, with a warning.
    """
    pod = incoming.pod
    if incoming.namespace_name in namespaces:
        return Standing(f"pods in namespace {incoming.namespace_name} are left alone")
    mirrors, of_daemon_set = claims_mirror(pod), not daemon_sets and claims_daemon_set(pod)
    if mirrors and made_by_kubelet(incoming):
        return Standing("mirror pods are left alone")
    if of_daemon_set and made_by_daemon_set_controller(incoming, controllers):
        return Standing("pods of DaemonSets are left alone")
    if mirrors:
        return Standing(claim=_claim(incoming, "to be a mirror pod", "the kubelet of the node that it names"))
    if of_daemon_set and user_name(incoming) in controllers:
        return Standing(
            claim="the pod claims to be a DaemonSet's, but is not as its controller makes them: policies apply to it"
        )
    if of_daemon_set:
        return Standing(claim=_claim(incoming, "to be a DaemonSet's", "the DaemonSet controller"))
    return ORDINARY


def _claim(incoming: IncomingPod, what: str, maker: str) -> str:
    user = user_name(incoming)
    by = f"`{user}`" if user else "a user that is not known"
    return f"the pod claims {what}, but was made by {by}, not by {maker}: policies apply to it"


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
        few = labels if len(labels) < len(self._labelled) else self._labelled  # either may be thousands
        for key in few:
            if key in labels and key in self._labelled:
                under = self._labelled[key]
                places += under.get(labels[key], ())
                places += under.get(None, ())
        return [self._policies[place] for place in sorted(places)]
