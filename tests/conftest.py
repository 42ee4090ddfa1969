"""How property tests run: no deadlines (tests assert no times), and far more examples in a nightly run."""

from __future__ import annotations

import functools
import gc
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, settings

settings.register_profile("default", deadline=None)
settings.register_profile("nightly", deadline=None, max_examples=5_000)
settings.register_profile(
    "mutation", deadline=None, max_examples=30, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("nightly" if os.environ.get("BAYPLAN_NIGHTLY") == "1" else "default")


@functools.cache
def remembering() -> tuple[functools._lru_cache_wrapper[object], ...]:
    """The functions of mutated modules that remember what they gave."""
    found = (one for one in gc.get_objects() if isinstance(one, functools._lru_cache_wrapper))
    return tuple(one for one in found if _mutated(one.__module__ or ""))


def _mutated(module: str) -> bool:
    """Whether mutmut has put its tables of mutants into a module."""
    return module.startswith("engine.") and any(name.startswith("mutants_") for name in vars(sys.modules[module]))


@functools.cache
def durations() -> dict[str, float]:
    """What each test took when mutation testing began, in seconds by its name."""
    measured = Path("mutmut-stats.json")
    return json.loads(measured.read_text())["duration_by_test"] if measured.exists() else {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In mutation testing the cheap tests come first, for most mutants are killed by many."""
    if "MUTANT_UNDER_TEST" in os.environ:
        items.sort(key=lambda item: durations().get(item.nodeid, 0.0))


def pytest_runtest_setup() -> None:
    """In mutation testing, tests stand alone: what one of them made a function remember would hide it from the next."""
    if "MUTANT_UNDER_TEST" in os.environ:
        for one in remembering():
            one.cache_clear()
