"""Commands that read a cluster, over HTTP: an API server's lists, page by page, and what may go wrong on the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from .conftest import Bayplan, sample
from .test_audit import running
from .test_pools import node

Lists = dict[str, list[dict[str, Any]]]


class _Server(BaseHTTPRequestHandler):
    """Lists of one object a page, as an API server gives them: without kinds; and each object by its name, with it."""

    lists: ClassVar[Lists] = {}

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        kind, _, name = url.path.rpartition("/")
        if kind in self.lists and url.path not in self.lists:
            one = next((each for each in self.lists[kind] if each["metadata"]["name"] == name), None)
            self._answer(200 if one else 404, one or {"kind": "Status", "message": f'"{name}" not found'})
            return
        if url.path not in self.lists:
            self._answer(403, {"kind": "Status", "message": f"you may not list {url.path}"})
            return
        items = self.lists[url.path]
        at = int(parse_qs(url.query).get("continue", ["0"])[0])
        bare = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items]
        following = str(at + 1) if at + 1 < len(items) else ""
        self._answer(200, {"kind": "XList", "metadata": {"continue": following}, "items": bare[at : at + 1]})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def cluster(folder: Path, lists: Lists) -> Iterator[Path]:
    """A kubeconfig whose context `here` is a server with these lists."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Lists", (_Server,), {"lists": lists}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kubeconfig(folder, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(folder: Path, url: str) -> Path:
    path = folder / "kubeconfig"
    data = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "here",
    }
    path.write_text(yaml.safe_dump(data))
    return path


NODES = [node(f"n{i}", {"cloud.google.com/gke-nodepool": f"pool-{i % 2}"}) for i in range(3)]
NAMESPACES: list[dict[str, Any]] = [
    {"metadata": {"name": "acme-prod", "labels": {"tenant": "acme"}}},
    {"metadata": {"name": "shop"}},
]


def test_pools_of_a_cluster(bayplan: Bayplan, tmp_path: Path) -> None:
    with cluster(tmp_path, {"/api/v1/nodes": NODES}) as path:
        pools = bayplan("pools", "--kubeconfig", path, "--context", "here", "-o", "json").json
    assert [(pool["name"], pool["nodes"]) for pool in pools] == [("pool-0", 2), ("pool-1", 1)]


NODE_POOL = {
    "metadata": {"name": "empty"},
    "spec": {"template": {"metadata": {"labels": {"tenant": "acme"}}, "spec": {"requirements": []}}},
}


def test_pools_of_the_current_context(bayplan: Bayplan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NodePools count without nodes; what may not be read is said, and is no failure."""
    with cluster(tmp_path, {"/api/v1/nodes": NODES, "/apis/karpenter.sh/v1/nodepools": [NODE_POOL]}) as path:
        monkeypatch.setenv("KUBECONFIG", str(path))
        ran = bayplan("pools")
        broken: Lists = {"/api/v1/nodes": NODES, "/apis/karpenter.sh/v1/nodepools": [{**NODE_POOL, "spec": 7}]}
    assert ran.status == 0
    assert [line.split()[:3] for line in ran.out.splitlines()[1:4]] == [
        ["empty", "karpenter", "0"],
        ["pool-0", "gke", "2"],
        ["pool-1", "gke", "1"],
    ]
    assert "Not read, so what is said there is not known:" in ran.out
    assert "you may not list /apis/karpenter.sh/v1/nodeclaims" in " ".join(ran.out.split())
    with cluster(tmp_path, broken) as path:
        ran = bayplan("pools", "--kubeconfig", path)
    assert "NodePool empty: spec: this must be a map, so it is left out" in ran.out


@pytest.mark.parametrize(
    "text", ["hello", "[1, 2]", "", "{clusters: 3, contexts: 5, current-context: x}", "a: [", "kind: Pod"]
)
def test_a_kubeconfig_that_is_none(bayplan: Bayplan, tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    ran = bayplan("pools", "--kubeconfig", path)
    assert ran.status == 2
    assert ran.err.startswith(f"bayplan: there is no cluster to connect to in `{path}`: ")
    assert len(ran.err.splitlines()) == 1


def test_explain_reads_nodes_and_namespaces(bayplan: Bayplan, tmp_path: Path) -> None:
    nodes = [
        node("n1", {"eks.amazonaws.com/nodegroup": "acme", "tenant": "acme"}),
        node("n2", {"eks.amazonaws.com/nodegroup": "shared"}),
    ]
    pod = {"kind": "Pod", "metadata": {"name": "a", "namespace": "acme-prod"}, "spec": {"containers": [{"name": "a"}]}}
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({"kind": "Namespace", "metadata": {"name": "acme-prod"}}))
    with cluster(tmp_path, {"/api/v1/nodes": nodes, "/api/v1/namespaces": NAMESPACES}) as path:
        words = ("explain", "--bundle", sample("tenant-isolation"), "--kubeconfig", path, "-", "-o", "json")
        (decision,) = bayplan(*words, stdin=json.dumps(pod)).json
        assert decision["pools"]["after"] == ["acme"]
        (decision,) = bayplan(*words, "--namespace", other, stdin=json.dumps(pod)).json
        assert decision["pools"]["after"] == ["shared"]


def test_audit_of_a_cluster_reads_pods_nodes_and_namespaces(bayplan: Bayplan, tmp_path: Path) -> None:
    nodes = [
        node("n1", {"eks.amazonaws.com/nodegroup": "acme", "tenant": "acme"}),
        node("n2", {"eks.amazonaws.com/nodegroup": "shared"}),
    ]
    inside = running("billing-1", {"app": "billing"}, "billing")
    inside["metadata"]["namespace"] = "acme-prod"
    template = {"spec": {"containers": [{"name": "main", "image": "x"}]}}
    nightly: dict[str, Any] = {"metadata": {"name": "nightly", "namespace": "acme-prod"}}
    nightly["spec"] = {"suspend": True, "jobTemplate": {"spec": {"template": template}}}
    lists: Lists = {
        "/api/v1/nodes": nodes,
        "/api/v1/namespaces": NAMESPACES,
        "/api/v1/pods": [inside, running("web", {})],
        "/apis/batch/v1/cronjobs": [nightly],
    }
    with cluster(tmp_path, lists) as path:
        words = ("audit", "--bundle", sample("tenant-isolation"), "--kubeconfig", path, "-o", "json")
        ran = bayplan(*words)
    found = [(one["example"], one["pods"], one["pools"]["after"]) for one in ran.json["items"]]
    assert found == [("billing-1", 1, ["acme"]), ("nightly-28000000-", 0, ["acme"]), ("web", 1, ["shared"])]
    assert "Deployments without pods are left out: " in ran.err
    assert "CronJobs" not in ran.err
    assert ran.status == 1


@pytest.mark.parametrize(
    ("lists", "complaint"), [({}, "answered 403: you may not list /api/v1/nodes"), (None, "can't be reached")]
)
def test_a_cluster_that_does_not_answer(bayplan: Bayplan, tmp_path: Path, lists: Lists | None, complaint: str) -> None:
    if lists is None:
        ran = bayplan("pools", "--kubeconfig", kubeconfig(tmp_path, "http://127.0.0.1:9"))
    else:
        with cluster(tmp_path, lists) as path:
            ran = bayplan("pools", "--kubeconfig", path)
    assert ran.status == 2
    assert complaint in ran.err
    assert "Traceback" not in ran.err


def test_a_context_that_is_not_there(bayplan: Bayplan, tmp_path: Path) -> None:
    ran = bayplan("pools", "--kubeconfig", kubeconfig(tmp_path, "http://127.0.0.1:9"), "--context", "elsewhere")
    assert ran.status == 2
    assert "elsewhere" in ran.err
    assert "Traceback" not in ran.err
