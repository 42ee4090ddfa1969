"""Bundles that serve together: what policies of one do to those of another, which none of them shows alone.

It is looked for after all of them are active, on the pools that they bring along, and is told where the policy is that
gives way. It stands in nobody's way.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from delivery.transaction import Candidate
from engine.documents import Problem

process_log = logging.getLogger("bayplan")


class Neighbours:
    """So many bundles, each in its place; `cluster` is what their expressions see under that name."""

    def __init__(self, bundles: int, cluster: Mapping[str, Any]) -> None:
        self._candidates: list[Candidate | None] = [None] * bundles
        self._cluster = cluster
        self._found: tuple[tuple[Problem, ...], ...] = ((),) * bundles
        self._lock = threading.Lock()

    def note(self, place: int, candidate: Candidate) -> None:
        """Say which candidate is active in a place. From any thread; never waits."""
        self._candidates[place] = candidate

    def warnings(self, place: int) -> tuple[Problem, ...]:
        """What was found last of the policies of the bundle in a place."""
        return self._found[place]

    def examine(self) -> None:
        """Look for it, once all of them are active; what is new is logged."""
        with self._lock:
            candidates = [one for one in self._candidates if one is not None]
            if len(candidates) < max(2, len(self._candidates)):
                return
            from engine.analysis import Version, inventories_of, problems_between  # whoever serves one does without

            versions = [Version(one.bundle, one.program) for one in candidates]
            pools = [pair for one in candidates for pair in inventories_of(one.bundle)]
            before = {problem for problems in self._found for problem in problems}
            self._found = found = problems_between(versions, pools, self._cluster)
        for one, problems in zip(candidates, found, strict=True):
            for problem in problems:
                if problem not in before:
                    process_log.warning("%s, beside other bundles: %s", one.revision, problem)
