"""cli.operated: what webhooks answer is one table, and where they differ or fail is said; nobody is forgotten."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.operated import Answer, show
from delivery.status import Status
from engine.bundle import Revision
from engine.struct import replace
from tests.cli.conftest import Bayplan

FINE = Status("git+https://host/repo", "git", Revision("small", "1.1.0", "ab" * 32), last_successful_activation=1.8e9)


def answer(replica: str, status: Status = FINE, problem: str = "") -> Answer:
    return Answer(replica, [] if problem else [status.as_json()], problem)


def test_replicas_that_are_alike_are_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert show([answer("webhook-1"), answer("webhook-2")], "text") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split() for line in said] == [
        ["REPLICA", "REVISION", "SINCE", "STATE", "SOURCE"],
        *(
            [name, "small@1.1.0+sha256:abababab", "2027-01-15T08:00:00", "follows", "git+https://host/repo"]
            for name in ("webhook-1", "webhook-2")
        ),
    ]


def test_who_vouches_is_said_once_for_all_replicas(capsys: pytest.CaptureFixture[str]) -> None:
    signed = replace(FINE, vouched="the tag v1.1.0 is signed by release@example.com")
    assert show([answer("a", signed), answer("b", signed)], "text") == 0
    said = capsys.readouterr().out
    assert said.endswith("\n\nsmall@1.1.0+sha256:abababab: the tag v1.1.0 is signed by release@example.com\n")
    assert said.count("is signed by") == 1


def test_replicas_that_differ_fail_or_do_not_answer_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    older = replace(FINE, revision=Revision("small", "1.0.0", "cd" * 32), pinned="cd" * 32, held_back=("ab" * 32,))
    failing = replace(
        FINE, revision=None, step="signature", message="nobody vouches for it", store="`x` can't be written"
    )
    answers = [answer("a", older), answer("b", failing), answer("c", problem="it can't be reached"), answer("d")]
    assert show(answers, "text") == 1
    said = capsys.readouterr().out
    assert "pinned, 1 held back" in said
    assert "b: the step `signature` failed: nobody vouches for it" in said
    assert "b: `x` can't be written" in said
    assert "c: it can't be reached" in said
    assert "not all replicas serve the same revision" in said
    assert show(answers, "json") == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["replica"] for one in told] == ["a", "b", "c", "d"]
    assert (told[1]["bundles"][0]["active_revision"], told[2]["message"]) == (None, "it can't be reached")


def test_a_bundle_that_is_rolled_out_says_to_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    new, before = replace(FINE, percent=25), replace(FINE, source="oci://host/a", side="previous", percent=75)
    bundles = [new.as_json(), before.as_json()]
    assert show([Answer("a", bundles)], "text") == 0
    said = capsys.readouterr().out.splitlines()
    assert "  25 % of workloads  " in said[1]
    assert "  previous, 75 % of workloads  " in said[2]
    assert show([Answer("a", bundles), Answer("b", [replace(new, percent=50).as_json(), bundles[1]])], "text") == 1
    assert "not all replicas have it decide about the same workloads: 25 % and 50 % of them" in capsys.readouterr().out
    for one in bundles:  # of a webhook that does not know of rollouts
        del one["percent"], one["side"]
    assert show([Answer("a", bundles)], "text") == 0
    assert "workloads" not in capsys.readouterr().out


@pytest.fixture
def odd() -> Iterator[str]:
    """Something that answers, and is no webhook."""

    class Odd(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_is_no_webhook_is_told(bayplan: Bayplan, odd: str, tmp_path: Path) -> None:
    assert "answered 200, but not as a webhook of Bayplan does" in bayplan("status", "--url", odd).out
    assert "can't be reached: Connection refused" in bayplan("status", "--url", "http://127.0.0.1:1").out
    for url in ("127.0.0.1:8080", "ftp://host", "http://"):
        ran = bayplan("status", "--url", url)
        assert (ran.status, f"`{url}` is no address of a plain port" in ran.err) == (2, True)
    ran = bayplan("status", "--url", odd, "--token-file", str(tmp_path / "none"))
    assert (ran.status, "can't be read: No such file or directory" in ran.err) == (2, True)
    for text in ("one\ntwo", "one\x00", "é"):
        (tmp_path / "token").write_text(text)
        ran = bayplan("status", "--url", odd, "--token-file", str(tmp_path / "token"))
        assert (ran.status, "holds no token: expected one line of ASCII" in ran.err) == (2, True)
