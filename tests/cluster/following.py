"""A copy of a small API server's Nodes, and what it told while it followed them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.client import connect
from cluster.objects import NODES as KIND
from cluster.reflector import Reflector, Timing
from telemetry import Metrics
from tests.cluster.apiserver import ApiServer
from tests.waiting import wait_for

QUICK = Timing(page=2, list_silence=2.0, watch_silence=5.0, backoff=0.01, backoff_most=0.05, steady=0.2)


class Copy:
    """A reflector of Nodes with what it told."""

    def __init__(self, api: ApiServer, folder: Path, timing: Timing = QUICK) -> None:
        self.changes = 0
        self.metrics = Metrics("test")
        self.cluster = connect(api.kubeconfig(folder))
        self.reflector = Reflector(self.cluster, KIND, self._changed, self.metrics, timing)
        self._api = api

    def names(self) -> list[str]:
        return [item["metadata"]["name"] for item in self.reflector.items()]

    def labels(self, name: str) -> dict[str, str] | None:
        item = self.reflector.get(name)
        return item["metadata"]["labels"] if item else None

    def converged(self) -> bool:
        with self._api.changed:
            wanted = {name: node["metadata"]["labels"] for name, node in self._api.objects[KIND.path].items()}
        return wanted == {name: self.labels(name) for name in self.names()}

    def wait(self) -> None:
        wait_for(lambda: self.reflector.synced and self.converged(), "the copy to converge")

    def restarts(self) -> dict[str, float]:
        found = self.metrics.registry.collect()
        samples = [s for family in found if family.name == "bayplan_watch_restarts" for s in family.samples]
        return {s.labels["reason"]: s.value for s in samples if s.name.endswith("_total")}

    def _changed(self) -> None:
        self.changes += 1


@contextmanager
def following(api: ApiServer, folder: Path, timing: Timing = QUICK) -> Iterator[Copy]:
    copy = Copy(api, folder, timing)
    copy.reflector.start()
    try:
        yield copy
    finally:
        copy.reflector.stop()
        copy.cluster.close()
