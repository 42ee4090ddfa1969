"""The webhook answers nobody but the API server, which shows a client certificate: set up as docs/security.md says."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from .controlplane import ApiError, ControlPlane, wait_for
from .fleet import add_general, add_gpu
from .pods import pod
from .serving import Serving
from .test_chart import NAME, TRAINING, WEBHOOK, Release

if TYPE_CHECKING:
    from .conftest import Shown


@pytest.fixture
def cluster(shown: Shown) -> Iterator[ControlPlane]:
    """The control plane whose API server shows a certificate."""
    yield shown.cluster
    shown.cluster.sweep()


@pytest.fixture
def release(shown: Shown, helm: ControlPlane) -> Iterator[Release]:
    """A release where the API server shows a certificate, not installed yet."""
    wait_for(lambda: helm.request("GET", "/api/v1/namespaces/mutual").status_code == 404, "the last one to be gone")
    helm.add_namespace("mutual")
    planned = Release(helm, "mutual", shown.port)
    yield planned
    planned.helm("uninstall", "--ignore-not-found")


def refusals(serving: Serving) -> dict[str, float]:
    """What the TLS port has refused so far, by reason."""
    text = httpx.get(f"http://127.0.0.1:{serving.plain_port}/metrics").text
    found = re.findall(r'bayplan_refusals_total\{port="admission",reason="(\w+)"\} (\S+)', text)
    return {reason: float(count) for reason, count in found}


def clients_of(shown: Shown, *names: str) -> dict[str, Any]:
    return {"caBundle": shown.authority.bundle.read_text(), "names": list(names)}


def test_the_api_server_is_answered_and_nobody_else(
    shown: Shown, release: Release, namespace: str, tmp_path: Path
) -> None:
    cluster = release.cluster
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    release.install(clients=clients_of(shown, "api-server"), webhook={"failurePolicy": "Fail"})
    with release.replica(tmp_path) as serving:
        cluster.wait_called(NAME, namespace)
        cluster.create_pod(namespace, pod("train", labels=TRAINING))
        assert cluster.wait_bound(namespace, "train") == "gpu-1"
        wait_for(lambda: serving.decisions(namespace, "train"), "the decision to be logged", serving.tail)
        assert refusals(serving) == {}
        strangers = [None, cluster.authority.issue("api-server", client=True), shown.authority.issue("x", client=True)]
        for stranger in strangers:
            context = ssl.create_default_context(cadata=release.trusted())
            context.check_hostname = False
            if stranger is not None:
                context.load_cert_chain(*stranger)
            with pytest.raises(httpx.TransportError), httpx.Client(verify=context) as client:
                client.post(serving.url, json={})
        wait_for(lambda: sum(refusals(serving).values()) == 3, "three refusals", lambda: refusals(serving))
        assert refusals(serving) == {"tls": 2, "certificate": 1}
        cluster.create_pod(namespace, pod("again", labels=TRAINING))
        assert cluster.wait_bound(namespace, "again") == "gpu-1"


def test_an_api_server_that_shows_another_name_is_not_answered(
    shown: Shown, release: Release, namespace: str, tmp_path: Path
) -> None:
    """Its pods are for the failure policy of the webhook's configuration."""
    cluster = release.cluster
    cluster.add_node("any")
    release.install(clients=clients_of(shown, "somebody-else"), webhook={"failurePolicy": "Fail"})
    with release.replica(tmp_path) as serving:
        cluster.wait_called(WEBHOOK, namespace)
        with pytest.raises(ApiError, match=f'failed calling webhook "{WEBHOOK}"'):
            cluster.create_pod(namespace, pod("t"))
        assert refusals(serving)["certificate"] >= 1
        assert serving.decisions(namespace) == []
