"""A thousand swaps of `bayplan serve`, a process of its own, under 200 admissions a second over TLS: nightly.

Three versions that decide differently are published one after the other, and then taken in turns by `pin`: each swap
is parsed, compiled and tested anew. Rounds with swaps take turns with rounds without, for machines are noisy.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.delivery import bundles
from tests.waiting import PATIENCE_SECONDS, wait_for
from tests.webhook.reviews import body, patch_of, pod, review
from tests.webhook.steady import Answered, p99, steadily
from tests.webhook.test_process import Serve, serving, sources
from tests.webhook.test_swaps import GENERAL, REFUSING

pytestmark = [
    pytest.mark.skipif(os.environ.get("BAYPLAN_NIGHTLY") != "1", reason="takes minutes, and measures time"),
    pytest.mark.timeout(3_000),
]
SWAPS, ROUNDS, RATE = 1_000, 20, 200
PAUSE_SECONDS = 0.1
"""Between swaps: six or so in a second."""
ALLOWANCE_SECONDS = 0.005
VERSIONS = {"1.0.0": bundles.TRAINING, "1.1.0": GENERAL, "1.2.0": REFUSING}
TRAINEE = body(review(pod({"workload": "training"})))


def said(answer: Any) -> tuple[str, str]:
    """The one revision that an answer names, and what it says."""
    told = [answer["allowed"], patch_of(answer), answer.get("status")]
    return answer["auditAnnotations"]["revision"], json.dumps(told, sort_keys=True)


class Rig:
    """A running webhook, and somebody who asks and somebody who swaps."""

    def __init__(self, serve: Serve) -> None:
        self._port, self._plain = int(serve.url.removesuffix("/mutate").rpartition(":")[2]), serve.plain
        self._serve = serve
        self.swaps = 0

    async def alone(self, seconds: float) -> list[Answered]:
        until = time.perf_counter() + seconds
        return await self._asked(lambda: time.perf_counter() > until)

    async def beside(self, swaps: int) -> list[Answered]:
        """Answers while so many revisions take turns."""
        until = self.swaps + swaps
        asking = asyncio.create_task(self._asked(lambda: self.swaps >= until))
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, headers=self._serve.reader) as client:
            while self.swaps < until:
                version = [*VERSIONS][self.swaps % len(VERSIONS)]
                told = await client.post(f"{self._plain}/pin", params={"revision": version})
                assert told.json()["bundles"][0]["version"] == version, told.text
                self.swaps += 1
                await asyncio.sleep(PAUSE_SECONDS)
        return await asking

    async def _asked(self, enough: Any) -> list[Answered]:
        return await steadily(self._port, self._serve.trusted, [TRAINEE], RATE, enough)


def test_a_thousand_swaps_under_admissions(tmp_path: Path) -> None:
    with serving(tmp_path, *sources(tmp_path), "--log-decisions", "none") as serve, closing(serve.client):
        by_revision: dict[str, str] = {}
        for version, training in VERSIONS.items():
            bundles.write(tmp_path / "bundle", version, training=training)
            active = f"small@{version}"
            wait_for(lambda active=active: active in serve.output(), active)  # type: ignore[misc]
            by_revision |= [said(serve.create(pod({"workload": "training"})))]
        assert len(set(by_revision.values())) == len(by_revision) == len(VERSIONS)
        rig, alone, beside = Rig(serve), list[Answered](), list[Answered]()
        asyncio.run(rig.beside(len(VERSIONS)))
        gc.disable()  # of who asks
        try:
            for _ in range(ROUNDS):
                alone += asyncio.run(rig.alone(5.0))
                beside += asyncio.run(rig.beside(SWAPS // ROUNDS))
        finally:
            gc.enable()
        assert rig.swaps >= SWAPS
        answers = [said(answer.response) for answer in beside]
        assert {revision for revision, _ in answers} == set(by_revision)
        assert [one for one in answers if one[1] != by_revision[one[0]]] == []
        print(f"p99 {p99(alone) * 1000:.1f} ms alone, {p99(beside) * 1000:.1f} ms beside {rig.swaps} swaps")
        assert p99(beside) <= 2 * p99(alone) + ALLOWANCE_SECONDS
