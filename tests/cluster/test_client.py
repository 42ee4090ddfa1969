"""cluster.client: which cluster is meant, who we are there, and that any status is an answer."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import urllib3
import yaml

from cluster import client
from cluster.client import ClusterError, connect, inside, own_namespace
from tests.cluster.apiserver import NODES, ApiServer, Handler


def test_a_request_says_who_asks_and_what_for(api: ApiServer, tmp_path: Path) -> None:
    api.put("n1")
    cluster = connect(api.kubeconfig(tmp_path, token="mine"))
    answer = cluster.get(NODES, {"limit": "1", "labelSelector": "a=b,c"}, 5.0)
    assert (answer.status, b'"n1"' in answer.read()) == (200, True)
    assert cluster.url == api.url
    assert api.requests == [(NODES, {"limit": "1", "labelSelector": "a=b,c"})]
    assert api.authorizations == ["Bearer mine"]
    cluster.close()


@pytest.mark.parametrize(
    ("user", "authorization"), [({}, ""), ({"username": "jane", "password": "p"}, "Basic amFuZTpw")]
)
def test_who_has_no_token(api: ApiServer, tmp_path: Path, user: dict[str, str], authorization: str) -> None:
    path = Path(api.kubeconfig(tmp_path))
    config = yaml.safe_load(path.read_text())
    config["users"][0]["user"] = user
    path.write_text(yaml.safe_dump(config))
    cluster = connect(str(path))
    cluster.get(f"{NODES}/n1", {}, 5.0).read()
    assert api.authorizations == [authorization]
    cluster.close()


def test_a_token_file_is_read_again(api: ApiServer, tmp_path: Path) -> None:
    """Beside the kubeconfig that names it, and before a token there, as kubectl has it."""
    path = Path(api.kubeconfig(tmp_path))
    config = yaml.safe_load(path.read_text())
    config["users"][0]["user"] = {"token": "old", "tokenFile": "secrets/token"}
    path.write_text(yaml.safe_dump(config))
    token = tmp_path / "secrets" / "token"
    token.parent.mkdir()
    token.write_text("first\n")
    cluster = connect(str(path), "small")
    for text in ("first\n", "second\n", "\n"):
        token.write_text(text)
        cluster.get(f"{NODES}/n1", {}, 5.0).read()
    token.unlink()
    cluster.get(f"{NODES}/n1", {}, 5.0).read()
    assert api.authorizations == [f"Bearer {name}" for name in ("first", "second", "second", "second")]
    cluster.close()


@pytest.mark.parametrize("status", [301, 403, 404, 500])
def test_any_status_is_an_answer_and_no_other_place_is_asked(api: ApiServer, tmp_path: Path, status: int) -> None:
    api.fail(status, "no", Location=f"{api.url}/elsewhere")
    cluster = connect(api.kubeconfig(tmp_path))
    answer = cluster.get(NODES, {}, 5.0)
    assert answer.status == status
    assert len(api.requests) == 1
    answer.read()
    cluster.close()


def test_a_server_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with ApiServer().running() as gone:
        path = gone.kubeconfig(tmp_path)
    cluster = connect(path)
    with pytest.raises(urllib3.exceptions.HTTPError):
        cluster.get(NODES, {}, 5.0)
    cluster.close()


def reached(cluster: client.Cluster) -> Exception:
    with pytest.raises((urllib3.exceptions.HTTPError, OSError)) as caught:
        cluster.get(NODES, {}, 0.2, 0.2).read()
    return caught.value


def test_why_a_server_is_not_reached_is_said_in_words(api: ApiServer, tmp_path: Path) -> None:
    with ApiServer().running() as gone:
        refusing = connect(gone.kubeconfig(tmp_path))
    cluster = connect(api.kubeconfig(tmp_path))
    unknown = connect(api.kubeconfig(tmp_path))
    unknown.url = "http://nowhere.invalid:1"
    said = {}
    api.faults.append(Handler.silent)
    said["silent"] = reached(cluster)
    api.faults.append(lambda handler: handler.connection.shutdown(socket.SHUT_RDWR))
    said["closed"] = reached(cluster)
    said["refused"], said["unresolved"] = reached(refusing), reached(unknown)
    assert {name: client.is_silence(error) for name, error in said.items()} == {
        "silent": True,
        "closed": False,
        "refused": False,
        "unresolved": False,
    }
    texts = {name: client.plain(error) for name, error in said.items()}
    assert texts.pop("unresolved").startswith("Failed to resolve 'nowhere.invalid' (")
    assert texts.pop("closed")
    assert texts == {"silent": "no answer in time", "refused": "Connection refused"}
    for text in map(client.plain, said.values()):
        assert "Errno" not in text
        assert "object at 0x" not in text
    for each in (cluster, refusing, unknown):
        each.close()


def test_there_may_be_no_cluster(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    with pytest.raises(ClusterError, match=f"^there is no cluster to connect to in `{nowhere}`: .*[^.]$"):
        connect(nowhere)
    (tmp_path / "config").write_text("clusters: []\n")
    with pytest.raises(ClusterError, match=r"^there is no cluster to connect to in `.*config`: "):
        connect(str(tmp_path / "config"))
    with pytest.raises(ClusterError, match=r"^there is no cluster to connect to: "):
        connect(in_cluster="yes")


def test_a_pod_knows_that_it_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(client, "SERVICE_ACCOUNT", tmp_path)
    assert (inside(), own_namespace()) == (False, None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert not inside()
    (tmp_path / "token").write_text("t")
    assert inside()
    (tmp_path / "namespace").write_text("shop\n")
    assert own_namespace() == "shop"
    (tmp_path / "namespace").write_text("\n")
    assert own_namespace() is None
