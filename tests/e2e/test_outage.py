"""The webhook is killed and started again under a stream of pods, and none is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from .controlplane import ControlPlane, wait_for
from .fleet import add_general, add_gpu
from .pods import pod
from .serving import Serving, admission

STREAM_LIMIT = 5_000
ENOUGH = 20


class Stream:
    """Creates one pod after the other until it is told to stop."""

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self.answers: list[httpx.Response] = []
        self._cluster = cluster
        self._namespace = namespace
        self._stop = threading.Event()

    def run(self) -> None:
        for number in range(STREAM_LIMIT):
            if self._stop.is_set():
                return
            trainee = pod(f"trainee-{number}", labels={"workload": "training"})
            path = f"/api/v1/namespaces/{self._namespace}/pods"
            self.answers.append(self._cluster.request("POST", path, trainee))

    def stop(self) -> None:
        self._stop.set()

    def wait_for_more(self, count: int = ENOUGH) -> None:
        start = len(self.answers)
        wait_for(lambda: len(self.answers) >= start + count, f"{count} more pods")


def under_stream(
    cluster: ControlPlane, namespace: str, failure_policy: str, end: Callable[[Serving], object]
) -> list[httpx.Response]:
    """What the API server answered to a stream of pods while the webhook went away and came back."""
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    stream = Stream(cluster, namespace)
    with (
        admission(cluster, namespace, failure_policy=failure_policy) as serving,
        ThreadPoolExecutor(1) as executor,
    ):
        running = executor.submit(stream.run)
        try:
            stream.wait_for_more()
            end(serving)
            stream.wait_for_more()
            serving.start()
            stream.wait_for_more()
        finally:
            stream.stop()
        running.result()
    return stream.answers


@pytest.mark.parametrize("end", [Serving.kill, Serving.terminate])
def test_ignore_creates_every_pod(cluster: ControlPlane, namespace: str, end: Callable[[Serving], object]) -> None:
    answers = under_stream(cluster, namespace, "Ignore", end)
    assert {answer.status_code for answer in answers} == {201}
    assert len(cluster.pods(namespace)) == len(answers)
    placed = ["affinity" in answer.json()["spec"] for answer in answers]
    assert placed[0]
    assert placed[-1]
    assert not all(placed)


@pytest.mark.parametrize("end", [Serving.kill, Serving.terminate])
def test_fail_tells_each_refused_pod(cluster: ControlPlane, namespace: str, end: Callable[[Serving], object]) -> None:
    answers = under_stream(cluster, namespace, "Fail", end)
    created = [answer.json() for answer in answers if answer.is_success]
    refused = [answer for answer in answers if not answer.is_success]
    assert all("affinity" in pod["spec"] for pod in created)
    assert len(cluster.pods(namespace)) == len(created)
    assert refused
    for answer in refused:
        assert answer.status_code == 500
        assert f'failed calling webhook "bayplan-{namespace}' in answer.json()["message"]
    assert answers[0].is_success
    assert answers[-1].is_success
