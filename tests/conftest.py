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


def pytest_sessionstart() -> None:
    """Forgets what an earlier session in the same process has left, as mutation testing has them."""
    for one in gc.get_objects():
        if isinstance(one, functools._lru_cache_wrapper):
            one.cache_clear()
