"""HTTP as tests ask: with the patience of tests, for none asserts how fast an answer comes."""

from __future__ import annotations

from functools import partial

import httpx

from tests.waiting import PATIENCE_SECONDS

Client = partial(httpx.Client, timeout=PATIENCE_SECONDS)
get = partial(httpx.get, timeout=PATIENCE_SECONDS)
post = partial(httpx.post, timeout=PATIENCE_SECONDS)
request = partial(httpx.request, timeout=PATIENCE_SECONDS)
