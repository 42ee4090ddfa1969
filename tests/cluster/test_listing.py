"""cluster.listing: objects are read page by page, and whatever is no list is an error that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.client import ClusterError
from cluster.listing import PAGE, listed
from tests.cluster.apiserver import NODES, ApiServer, Handler


def test_pages_are_followed_and_objects_have_their_kind(api: ApiServer, tmp_path: Path) -> None:
    names = [f"n{i:04}" for i in range(2 * PAGE + 1)]
    for name in names:
        api.put(name, {"pool": name[-1]})
    found = listed(api.kubeconfig(tmp_path), None, NODES, "Node")
    assert [node["metadata"]["name"] for node in found] == names
    assert {(node["apiVersion"], node["kind"]) for node in found} == {("v1", "Node")}
    assert [query.get("continue") for query in api.queries()] == [None, str(PAGE), str(2 * PAGE)]
    assert set(api.authorizations) == {"Bearer secret"}


def test_nothing_is_a_list_too(api: ApiServer, tmp_path: Path) -> None:
    assert listed(api.kubeconfig(tmp_path), "small", NODES, "Node") == []


def test_a_refusal_is_said(api: ApiServer, tmp_path: Path) -> None:
    api.fail(403, "nodes is forbidden")
    with pytest.raises(ClusterError) as caught:
        listed(api.kubeconfig(tmp_path), None, NODES, "Node")
    assert str(caught.value) == f"{api.url}/api/v1/nodes answered 403: nodes is forbidden"


def test_a_refusal_of_a_later_page_is_said(api: ApiServer, tmp_path: Path) -> None:
    for i in range(PAGE + 1):
        api.put(f"n{i}")

    def first(handler: Handler) -> None:
        api.fail(410, "too old")
        handler._list(NODES, {"limit": str(PAGE)})

    api.faults.append(first)
    with pytest.raises(ClusterError, match=r"answered 410: too old$"):
        listed(api.kubeconfig(tmp_path), None, NODES, "Node")


@pytest.mark.parametrize(
    "answer", [b"<html>", b"", b"[]", b"null", b'{"kind": "Node"}', b'{"items": 1}', b'{"items": [1]}']
)
def test_what_is_no_list_is_said(api: ApiServer, tmp_path: Path, answer: bytes) -> None:
    api.faults.append(lambda handler: handler.whole(200, answer))
    with pytest.raises(ClusterError) as caught:
        listed(api.kubeconfig(tmp_path), None, NODES, "Node")
    assert str(caught.value) == f"{api.url}/api/v1/nodes answered 200, but with no list of objects"


@pytest.mark.parametrize(
    "answer", [b'{"items": null}', b'{"metadata": null, "items": []}', b'{"metadata": 1, "items": null}']
)
def test_a_list_of_nothing_has_many_spellings(api: ApiServer, tmp_path: Path, answer: bytes) -> None:
    api.faults.append(lambda handler: handler.whole(200, answer))
    assert listed(api.kubeconfig(tmp_path), None, NODES, "Node") == []


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with ApiServer().running() as gone:
        path = gone.kubeconfig(tmp_path)
    with pytest.raises(ClusterError, match=rf"^{gone.url} can't be reached: Connection refused$"):
        listed(path, None, NODES, "Node")


def test_a_context_that_is_not_there_is_said(api: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"there is no cluster to connect to in `.*kubeconfig`: .*elsewhere"):
        listed(api.kubeconfig(tmp_path), "elsewhere", NODES, "Node")
    assert api.requests == []
