"""How property tests run: no deadlines (tests assert no times), and far more examples in a nightly run."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("default", deadline=None)
settings.register_profile("nightly", deadline=None, max_examples=5_000)
settings.load_profile("nightly" if os.environ.get("BAYPLAN_NIGHTLY") == "1" else "default")
