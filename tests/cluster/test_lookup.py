"""cluster.lookup: look-ups are shared, bounded in number and in time, and say why they fail."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.client import Cluster, connect
from cluster.lookup import AT_ONCE, LookupFailedError, Lookups
from cluster.objects import NAMESPACES as KIND
from telemetry import Metrics
from tests.cluster.apiserver import NAMESPACES, ApiServer, Handler
from tests.waiting import wait_for

SECONDS = 0.4
SHOP = f"{NAMESPACES}/shop"


@pytest.fixture
def cluster(api: ApiServer, tmp_path: Path) -> Iterator[Cluster]:
    made = connect(api.kubeconfig(tmp_path))
    yield made
    made.close()


def counted(metrics: Metrics) -> dict[str, float]:
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    return {s.labels["result"]: s.value for s in samples if s.name == "bayplan_namespace_lookups_total"}


def failure(lookups: Lookups[dict[str, object]], name: str) -> LookupFailedError:
    with pytest.raises(LookupFailedError) as caught:
        lookups.find(name).result(10)
    return caught.value


def test_one_that_is_there_is_found(api: ApiServer, cluster: Cluster) -> None:
    metrics = Metrics("test")
    api.put("shop", {"team": "a"}, path=NAMESPACES)
    found = Lookups(cluster, KIND, metrics).find("shop").result(10)
    assert found["metadata"]["labels"] == {"team": "a"}
    assert counted(metrics) == {"found": 1.0}


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_refusal_is_told_by_its_status_and_not_in_the_words_of_the_server(
    api: ApiServer, cluster: Cluster, status: int
) -> None:
    metrics = Metrics("test")
    api.fail(status, 'User "system:serviceaccount:bayplan:bayplan" cannot')
    said = failure(Lookups(cluster, KIND, metrics), "shop")
    assert (str(said), said.result) == (f"the API server answered {status}", str(status))
    assert counted(metrics) == {str(status): 1.0}


def test_one_that_is_not_there_is_not_known_yet(api: ApiServer, cluster: Cluster) -> None:
    said = failure(Lookups(cluster, KIND, Metrics("test")), "../shop?x=y")
    assert (str(said), said.result) == ("the API server does not know it yet", "missing")
    assert [path for path, _ in api.requests] == [f"{NAMESPACES}/..%2Fshop%3Fx%3Dy"]


def _drip(handler: Handler) -> None:
    handler.begin()
    while not handler.server.api.closed:
        handler.chunk(b" ")
        time.sleep(SECONDS / 10)


@pytest.mark.parametrize("instead", [Handler.silent, _drip])
def test_a_server_that_does_not_come_to_an_end_is_not_waited_for(
    api: ApiServer, cluster: Cluster, instead: Callable[[Handler], None]
) -> None:
    metrics = Metrics("test")
    api.instead[SHOP] = instead
    said = failure(Lookups(cluster, KIND, metrics, SECONDS), "shop")
    assert (str(said), said.result) == ("no answer in time", "silence")
    assert counted(metrics) == {"silence": 1.0}


def test_a_connection_that_is_refused_is_no_silence(tmp_path: Path) -> None:
    with ApiServer().running() as gone:
        cluster = connect(gone.kubeconfig(tmp_path))
    said = failure(Lookups(cluster, KIND, Metrics("test")), "shop")
    assert (str(said), said.result) == ("Connection refused", "unreachable")
    cluster.close()


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"metadata": 7}', b"\xff", b""])
def test_garbage_is_a_failure(api: ApiServer, cluster: Cluster, answer: bytes) -> None:
    api.faults.append(lambda handler: handler.whole(200, answer))
    said = failure(Lookups(cluster, KIND, Metrics("test")), "shop")
    assert said.result == "malformed", said


def test_who_asks_for_the_same_gets_the_same(api: ApiServer, cluster: Cluster) -> None:
    api.instead[SHOP] = Handler.silent
    lookups = Lookups(cluster, KIND, Metrics("test"), SECONDS)
    first, second = lookups.find("shop"), lookups.find("shop")
    assert first is second
    assert not first.cancel()
    with pytest.raises(LookupFailedError):
        first.result(10)
    assert len(api.requests) == 1
    del api.instead[SHOP]
    api.put("shop", path=NAMESPACES)
    assert lookups.find("shop").result(10)


def test_none_stands_behind_another_and_too_many_fail_at_once(
    api: ApiServer, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics("test")
    for n in range(AT_ONCE - 1):
        api.instead[f"{NAMESPACES}/silent-{n}"] = Handler.silent
    api.put("shop", path=NAMESPACES)
    lookups = Lookups(cluster, KIND, metrics, 2.0)
    silent = [lookups.find(f"silent-{n}") for n in range(AT_ONCE - 1)]
    assert lookups.find("shop").result(10)
    assert not any(future.done() for future in silent)
    api.instead[f"{NAMESPACES}/silent-0"] = api.instead[SHOP] = Handler.silent
    assert not lookups.find("shop").done()
    with caplog.at_level(logging.WARNING, "bayplan.cluster"):
        for n in range(50):
            one_more = lookups.find(f"more-{n}")
            assert one_more.done()
            assert isinstance(one_more.exception(), LookupFailedError)
        assert len([record for record in caplog.records if record.name == "bayplan.cluster"]) == 1
        wait_for(lambda: all(future.done() for future in silent), "the silent ones to be given up")
    assert counted(metrics)["busy"] == 50.0
    assert len(caplog.records) < 5
    assert "(and 4" in caplog.text, "so many were not logged"
