"""How property tests run: no deadlines (tests assert no times), and far more examples in a nightly run."""

from __future__ import annotations

import functools
import gc
import os

from hypothesis import Phase, settings

settings.register_profile("default", deadline=None)
settings.register_profile("nightly", deadline=None, max_examples=5_000)
settings.register_profile(
    "mutation", deadline=None, max_examples=60, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("nightly" if os.environ.get("BAYPLAN_NIGHTLY") == "1" else "default")


@functools.cache
def remembering() -> tuple[functools._lru_cache_wrapper[object], ...]:
    """The functions of the engine that remember what they gave."""
    found = (one for one in gc.get_objects() if isinstance(one, functools._lru_cache_wrapper))
    return tuple(one for one in found if (one.__module__ or "").startswith("engine."))


def pytest_runtest_setup() -> None:
    """In mutation testing, tests stand alone: what one of them made a function remember would hide it from the next."""
    if "MUTANT_UNDER_TEST" in os.environ:
        for one in remembering():
            one.cache_clear()
