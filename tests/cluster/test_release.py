"""cluster.client: which release of Kubernetes an API server says that it is; nothing, where it says no such thing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster.client import connect, release_of
from tests.cluster.apiserver import ApiServer, Handler


def answering(status: int, body: bytes) -> ApiServer:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    api = ApiServer()
    api.instead["/version"] = answer
    return api


@pytest.mark.parametrize(
    ("status", "body", "release"),
    [
        (200, json.dumps({"major": "1", "gitVersion": "v1.36.3-gke.100"}).encode(), "v1.36.3-gke.100"),
        (200, b"{}", ""),
        (200, b'{"gitVersion": 3}', ""),
        (200, b"[]", ""),
        (200, b"<html>", ""),
        (200, b'{"gitVersion": "' + b"1" * 100_000 + b'"}', ""),
        (403, b'{"gitVersion": "v1.2.3"}', ""),
    ],
)
def test_what_it_says(tmp_path: Path, status: int, body: bytes, release: str) -> None:
    with answering(status, body).running() as api:
        assert release_of(connect(api.kubeconfig(tmp_path), None, "no")) == release


def test_one_that_is_away_says_nothing(tmp_path: Path) -> None:
    api = ApiServer()
    with api.running():
        kubeconfig = api.kubeconfig(tmp_path)
    assert release_of(connect(kubeconfig, None, "no")) == ""
