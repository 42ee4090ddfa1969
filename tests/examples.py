"""How many cases a property test tries."""

from __future__ import annotations

import os

from hypothesis import settings


def examples(count: int, mutation: int = 20) -> settings:
    """So many cases; fifty times as many in a long run (`BAYPLAN_NIGHTLY=1`), and fewer in mutation testing."""
    if "MUTANT_UNDER_TEST" in os.environ:
        return settings(max_examples=min(count, mutation), deadline=None)
    return settings(max_examples=count * (50 if os.environ.get("BAYPLAN_NIGHTLY") == "1" else 1), deadline=None)
