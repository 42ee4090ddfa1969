"""TODO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.program import CompiledPolicy


class _Candidates:
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
        for key, under in self._labelled.items():
            if key in labels:
                places += under.get(labels[key], ())
                places += under.get(None, ())
        return [self._policies[place] for place in sorted(places)]
