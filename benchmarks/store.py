"""What keeping decisions costs an admission: 500 a second in audit mode, with the store and without, in turns.

    python -m benchmarks.store [SECONDS]

It tells the median and the 99th percentile of the time from a review's bytes to its answer's, and their ratios. Ratios
matter; figures change from machine to machine.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audit import Recorder
from delivery import bundle_from, read_documents
from engine.decision import Decider
from engine.pools import inventory_from_documents
from engine.program import compile_bundle
from telemetry import Metrics
from webhook import Admission

RATE = 500
ROUNDS = 3
ROOT = Path(__file__).parents[1]


@dataclass
class _Active:
    decider: Decider | None


class _Uncounted:
    """Counts nothing."""

    def kept(self, decisions: int) -> None: ...

    def dropped(self, reason: str, decisions: int) -> None: ...

    def failed(self) -> None: ...


def _review(n: int) -> bytes:
    labels = {"workload": "training", "app": f"a{n % 50}"}
    container = {"name": "c", "image": "i", "env": [{"name": f"E{i}", "value": "x" * 40} for i in range(20)]}
    pod = {"metadata": {"name": f"p{n}", "namespace": "shop", "labels": labels}, "spec": {"containers": [container]}}
    request = {
        "uid": f"u{n}",
        "operation": "CREATE",
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "shop",
        "object": {"apiVersion": "v1", "kind": "Pod", **pod},
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


async def _measured(admission: Admission, seconds: float) -> list[float]:
    taken, count = list[float](), int(seconds * RATE)
    reviews, start = [_review(n) for n in range(count)], time.perf_counter()
    for n, body in enumerate(reviews):
        await asyncio.sleep(max(0.0, start + n / RATE - time.perf_counter()))
        before = time.perf_counter()
        await admission.answer(body)
        taken.append(time.perf_counter() - before)
    return taken


def _told(name: str, taken: Sequence[float]) -> tuple[float, float]:
    median, late = statistics.median(taken) * 1000, statistics.quantiles(taken, n=100)[98] * 1000
    print(f"{name:<14} median {median:.3f} ms   p99 {late:.3f} ms", file=sys.stderr)
    return median, late


def main(seconds: float) -> None:
    bundle = bundle_from(str(ROOT / "policies" / "gpu"), "BUNDLE")
    pools = inventory_from_documents(read_documents(ROOT / "policies" / "gpu" / "pools"))
    active, metrics = _Active(Decider(compile_bundle(bundle), pools, mode="audit")), Metrics("0")
    without, stored = list[float](), list[float]()
    sys.setswitchinterval(0.001)  # as `serve` has it
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder), _Uncounted())
        recorder.bundle(bundle)
        recorder.start()
        for _ in range(ROUNDS):
            without += asyncio.run(_measured(Admission(active, metrics), seconds))
            stored += asyncio.run(_measured(Admission(active, metrics, store=recorder), seconds))
        recorder.stop()
        kept = recorder.decisions()
    one, other = _told("without", without), _told("with the store", stored)
    ratios = {"median": round(other[0] / one[0], 2), "p99": round(other[1] / one[1], 2)}
    print(f"{'ratio':<14} median {ratios['median']}      p99 {ratios['p99']}", file=sys.stderr)
    print(f"{kept} of {len(stored)} decisions were kept", file=sys.stderr)
    print(json.dumps({"ratio": ratios, "decided": len(stored), "kept": kept}))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
