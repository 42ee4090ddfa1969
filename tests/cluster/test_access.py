"""cluster.access: the same as the official client makes of the same files, and nothing that it knows better."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import client
from cluster.access import Access, plain_kubeconfig, service_account
from tests.cluster.apiserver import NODES, ApiServer
from webhook import development

Json = dict[str, Any]
SERVER = "https://10.0.0.1:6443/prefix/"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with an authority, a certificate, its key and a token."""
    pair = development(["127.0.0.1"])
    certificate, key = pair.write(tmp_path)
    certificate.rename(tmp_path / "client.crt")
    key.rename(tmp_path / "client.key")
    (tmp_path / "ca.crt").write_bytes(pair.authority)
    (tmp_path / "token").write_text("of the file\n")
    return tmp_path


def kubeconfig(folder: Path, cluster: Json, user: Json | None, **more: object) -> str:
    """A kubeconfig whose current context is made of these."""
    config = {
        "clusters": [{"name": "c", "cluster": cluster}, {"name": "other", "cluster": {"server": "https://other"}}],
        "users": [{"name": "u", "user": user}, {"name": "other", "user": {"token": "other"}}],
        "contexts": [
            {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
            {"name": "anonymous", "context": {"cluster": "c"}},
        ],
        "current-context": "x",
        **more,
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(config))
    return str(path)


def told(cluster: client.Cluster) -> Json:
    """What a cluster's connections are made with, certificates by their text."""
    given: Json = dict(cluster._pool.connection_pool_kw)
    path = given.pop("ca_certs", None)
    authority = Path(path).read_text() if path else given.pop("ca_cert_data", None)
    connecting = {key: given.get(key) for key in ("cert_file", "key_file", "maxsize")}
    checked = int(given["cert_reqs"] in ("CERT_REQUIRED", 2))
    sent = cluster._authorization().replace("bearer ", "Bearer ").strip()
    return {"url": cluster.url, "sent": sent, "authority": authority, "checked": checked, **connecting}


def authority_data(folder: Path) -> str:
    return base64.b64encode((folder / "ca.crt").read_bytes()).decode()


PLAIN = [
    ({"server": SERVER}, {"token": "t"}),
    ({"server": SERVER}, {"tokenFile": "token"}),
    ({"server": SERVER}, {"tokenFile": "token", "token": "loses"}),
    ({"server": SERVER}, {"tokenFile": "nowhere", "token": "stays"}),
    ({"server": SERVER, "certificate-authority": "ca.crt"}, {"token": "t"}),
    ({"server": SERVER, "certificate-authority-data": "DATA"}, {"token": "t", "extensions": [{"name": "n"}]}),
    ({"server": SERVER, "certificate-authority-data": "DATA", "certificate-authority": "nowhere"}, {"token": "t"}),
    (
        {"server": SERVER, "certificate-authority": "ca.crt"},
        {"client-certificate": "client.crt", "client-key": "client.key"},
    ),
    ({"server": "http://localhost:8001", "certificate-authority": "nowhere", "extensions": []}, {"token": "t"}),
]


@pytest.mark.parametrize(("server", "user"), PLAIN)
@pytest.mark.parametrize("context", [None, "x", "anonymous"])
def test_a_plain_file_is_what_the_official_client_makes_of_it(
    files: Path, server: Json, user: Json, context: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = {key: authority_data(files) if said == "DATA" else said for key, said in server.items()}
    path = kubeconfig(files, server, user)
    assert plain_kubeconfig(path, context)
    mine = told(client.connect(path, context))
    monkeypatch.setattr(client, "plain_kubeconfig", lambda *_: None)
    assert mine == told(client.connect(path, context))


NOT_PLAIN: list[tuple[Json, Json | None, Json]] = [
    ({"server": SERVER}, {"exec": {"command": "aws"}}, {}),
    ({"server": SERVER}, {"auth-provider": {"name": "oidc"}}, {}),
    ({"server": SERVER}, {"username": "jane", "password": "p"}, {}),
    ({"server": SERVER}, {"token": 12345}, {}),
    ({"server": SERVER}, {"token": ""}, {}),
    ({"server": SERVER}, {"tokenFile": "nowhere"}, {}),
    ({"server": SERVER}, {"token": "t", "as": "jane"}, {}),
    ({"server": SERVER}, {"client-certificate-data": "x", "client-key-data": "x"}, {}),
    ({"server": SERVER}, {"client-certificate": "client.crt"}, {}),
    ({"server": SERVER}, None, {}),
    ({"server": SERVER}, {"token": "t"}, {"users": []}),
    ({"server": SERVER}, {"token": "t"}, {"users": None}),
    ({"server": SERVER}, {"token": "t"}, {"current-context": "nowhere"}),
    ({"server": SERVER}, {"token": "t"}, {"contexts": ["x"]}),
    ({"server": SERVER, "proxy-url": "http://proxy"}, {"token": "t"}, {}),
    ({"server": SERVER, "insecure-skip-tls-verify": True}, {"token": "t"}, {}),
    ({"server": SERVER, "tls-server-name": "kubernetes"}, {"token": "t"}, {}),
    ({"server": SERVER, "certificate-authority": "nowhere"}, {"token": "t"}, {}),
    ({"server": SERVER, "certificate-authority-data": "not base64"}, {"token": "t"}, {}),
    ({"server": "10.0.0.1"}, {"token": "t"}, {}),
    ({}, {"token": "t"}, {}),
]


@pytest.mark.parametrize(("server", "user", "more"), NOT_PLAIN)
def test_all_else_is_left_to_the_official_client(files: Path, server: Json, user: Json | None, more: Json) -> None:
    assert plain_kubeconfig(kubeconfig(files, server, user, **more), None) is None


@pytest.mark.parametrize("text", ["", "[]", "- a", "a: [", "a: 1\n---\nb: 2", "contexts: {}", "\x00"])
def test_what_is_no_kubeconfig_is_left_to_it_too(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    assert plain_kubeconfig(str(tmp_path / "config"), None) is None
    assert plain_kubeconfig(str(tmp_path / "config"), "x") is None
    assert plain_kubeconfig(str(tmp_path), None) is None
    assert plain_kubeconfig("", None) is None


def test_several_files_and_proxies_are_left_to_it_too(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kubeconfig(files, {"server": SERVER}, {"token": "t"})
    odd = files / "a:b"
    odd.write_text(Path(path).read_text())
    assert plain_kubeconfig(str(odd), None) is None
    monkeypatch.setenv("NO_PROXY", "10.0.0.1")
    assert plain_kubeconfig(path, None)
    monkeypatch.setenv("https_proxy", "http://proxy")
    assert plain_kubeconfig(path, None) is None


def in_pod(folder: Path, monkeypatch: pytest.MonkeyPatch, host: str = "10.0.0.1") -> Access | None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return service_account(folder)


@pytest.mark.parametrize("host", ["10.0.0.1", "fd00::1"])
def test_a_service_account_is_what_the_official_client_makes_of_it(
    files: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    from kubernetes.config import incluster_config

    assert in_pod(files, monkeypatch, host)
    monkeypatch.setattr(client, "SERVICE_ACCOUNT", files)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(files / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(files / "ca.crt"))
    mine = told(client.connect(in_cluster="yes"))
    assert told(client.connect()) == mine
    monkeypatch.setattr(client, "service_account", lambda _: None)
    assert told(client.connect(in_cluster="yes")) == mine


def test_a_token_of_a_service_account_is_read_again(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = in_pod(files, monkeypatch)
    assert access
    (files / "token").write_text("next")
    assert access.authorization() == "Bearer next"
    (files / "token").write_text("")
    assert access.authorization() == "Bearer next"
    (files / "token").unlink()
    assert access.authorization() == "Bearer next"


@pytest.mark.parametrize("what", ["ca.crt", "token"])
def test_half_a_service_account_is_left_to_the_official_client(
    files: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    (files / what).write_text("")
    assert in_pod(files, monkeypatch) is None
    (files / what).unlink()
    assert in_pod(files, monkeypatch) is None


def test_a_plain_file_needs_no_official_client(api: ApiServer, tmp_path: Path) -> None:
    """It takes longer to import than most commands to run."""
    program = f"""
import sys
from cluster import connect
connect({api.kubeconfig(tmp_path)!r}).get("{NODES}/n1", {{}}, 5.0).read()
sys.exit("kubernetes" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
