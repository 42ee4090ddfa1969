"""audit.files: what is kept as JSON Lines is read back as it was, whole files at a time go, and damage is told."""

from __future__ import annotations

import errno
import gzip
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from audit import files as module
from audit.database import Retention, Row, UnusableError
from audit.files import FileReader, Files, taken_for_manifests
from audit.kept import packed
from audit.stored import StoredDecisions
from tests.audit.test_stored import keep, one_policy
from tests.engine import builders
from tests.engine.builders import GOLD

ROOT = Path(__file__).parents[2]


def rows(count: int, at: float = 0.0, size: int = 100) -> list[Row]:
    body = packed(json.dumps({"text": os.urandom(size // 2).hex()}).encode())
    return [Row(at, f"uid-{n}", "Deployment shop/web", "mutated", 1, body) for n in range(count)]


def commit(files: Files, some: list[Row], now: float = 0.0) -> None:
    with files.transaction(now) as transaction:
        if some:
            transaction.thing("world:a", packed(b"{}"))
        transaction.append(some)


def test_decisions_are_made_again_from_lines_that_hold_no_environment(tmp_path: Path) -> None:
    container = {"name": "c", "image": "i", "env": [{"name": "A", "value": "hunter2"}]}
    pods = [builders.incoming(builders.pod(metadata={"name": f"p{n}"}, containers=[container])) for n in range(3)]
    decisions = keep(tmp_path, one_policy(GOLD), *pods, begin=Files)
    (path,) = tmp_path.glob("*.jsonl")
    text = path.read_text()
    assert "hunter2" not in text
    assert path.stat().st_mode & 0o777 == 0o600
    kinds = [json.loads(line)["kind"] for line in text.splitlines()]
    assert kinds[-3:] == ["KeptDecision"] * 3
    for place in (tmp_path, path):
        with StoredDecisions(place) as store:
            found = list(store.newest())
            assert [one.verdict(one.again()) for one in found] == ["same"] * 3
            assert [one.again().message for one in found] == [one.message for one in decisions]
            assert store.named(found[1].named.id) == found[1]
            assert store.complaints == []
            with pytest.raises(UnusableError, match="there is no decision"):
                store.named("0.9")


def test_files_are_ended_and_the_oldest_go(tmp_path: Path) -> None:
    retention = Retention(size=16 << 20)
    for _ in range(20):
        with closing(Files(tmp_path, retention)) as files:
            for _ in range(100):
                if files.gone:
                    break
                commit(files, rows(4, size=100_000), time.time())
            assert files.gone
            assert files.bytes < 18 << 20
    paths = sorted(tmp_path.glob("*.jsonl"))
    assert 1 < len(paths) < 24
    with closing(Files(tmp_path, retention)) as files:
        kept = 0
        for path in paths:
            with closing(FileReader(path)) as reader:
                kept += len(reader.numbers())
                assert reader.thing(1)
        assert files.count() == kept
        commit(files, [], time.time() + retention.seconds + 60)
        assert files.count() == 0


def test_of_two_processes_each_has_its_own(tmp_path: Path) -> None:
    with closing(Files(tmp_path)) as one, closing(Files(tmp_path)) as other:
        commit(one, rows(1))
        commit(other, rows(1))
        assert one.path.name.startswith("decisions-0-")
        assert other.path.name.startswith("decisions-1-")


def test_what_fails_is_not_there_and_what_comes_next_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with closing(Files(tmp_path)) as files:
        commit(files, rows(2))
        with monkeypatch.context() as patched:
            patched.setattr("audit.files.os.fsync", full)
            with pytest.raises(UnusableError, match="No space left on device"):
                commit(files, rows(3))
        assert files.count() == 2
        commit(files, rows(1))
        with closing(FileReader(files.path)) as reader:
            assert reader.numbers() == [1, 2, 3]
            assert all(reader.row(number) for number in reader.numbers())
    with pytest.raises(UnusableError, match="can't be written"):
        Files(Path("/proc/none"))


def test_a_line_that_was_cut_short_was_never_kept_and_damage_is_told(tmp_path: Path) -> None:
    with closing(Files(tmp_path)) as files:
        commit(files, rows(3))
    lines = files.path.read_bytes().splitlines(keepends=True)
    files.path.write_bytes(b"".join((*lines[:2], b"{\n", *lines[2:])) + lines[-1][:50])
    with closing(FileReader(files.path)) as reader:
        assert reader.numbers() == [1, 2, 3]
        assert reader.complaint.endswith("has 1 lines that were not written so")


LOGGED = json.dumps({"uid": "u", "revision": "a@1", "pod": {"name": "web"}, "allowed": True})


@pytest.mark.parametrize(
    "text",
    [
        LOGGED,
        f"2026-11-27T12:00:00.000Z INFO bayplan: what `kubectl logs` shows before it\n{LOGGED}",
        f"2026-11-27T12:00:00.000000000Z stdout F {LOGGED}",
        json.dumps({"log": f"{LOGGED}\n", "stream": "stdout"}),
    ],
)
def test_a_decision_log_is_told_from_kept_decisions(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log"
    path.write_text(f"{text}\n")
    told = "is a decision log, whose lines name pods and do not hold them"
    with pytest.raises(UnusableError, match=told):
        StoredDecisions(path)
    assert told in taken_for_manifests(path)


def test_what_holds_no_decisions_at_all_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pods.yaml"
    for text in ("kind: Pod\n", '{"kind": "Pod"}\n', "{\n", '{"log": "{"}\n', "[" * 100_000 + "\n", "\ud800\n"):
        path.write_bytes(text.encode(errors="surrogatepass"))
        with pytest.raises(UnusableError, match="holds no decisions with their pods, which `bayplan serve --store"):
            FileReader(path)
        assert taken_for_manifests(path) == ""
    path.write_text("")
    with closing(FileReader(path)) as reader:
        assert reader.numbers() == []
    assert taken_for_manifests(tmp_path / "nowhere") == ""


def test_a_line_without_an_end_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LINE", 5_000)
    with closing(Files(tmp_path)) as files:
        commit(files, rows(2))
    with open(files.path, "ab") as file:
        file.write(b"x" * 20_000 + b"\n")
    with closing(FileReader(files.path)) as reader:
        assert reader.numbers() == [1, 2]
        assert reader.complaint.endswith("has 1 lines that were not written so")


def test_files_that_were_packed_are_read_once(tmp_path: Path) -> None:
    """Also where what they were made of lies beside them; their decisions are named as before."""
    keep(tmp_path, one_policy(GOLD), *(builders.incoming() for _ in range(3)), begin=Files)
    (path,) = tmp_path.glob("*.jsonl")
    assert "holds decisions: say it to `bayplan replay` or `bayplan audit` with --log" in taken_for_manifests(path)
    with StoredDecisions(path) as store:
        before = [one.named for one in store.newest()]
    packed_file = path.with_name(f"{path.name}.gz")
    packed_file.write_bytes(gzip.compress(path.read_bytes()))
    for _ in range(2):
        for place in (tmp_path, packed_file):
            with StoredDecisions(place) as store:
                assert [one.named for one in store.newest()] == before
        path.unlink(missing_ok=True)
    packed_file.write_bytes(packed_file.read_bytes()[:-20])
    with StoredDecisions(tmp_path) as store:
        (complaint,) = store.complaints
        assert complaint.endswith("is damaged or cut short where it is packed; what can be read of it is")


WRITER = """
import sys
from pathlib import Path
from tests.audit.test_files import Files, commit, rows
files = Files(Path(sys.argv[1]))
while True:
    commit(files, rows(7, size=3000))
    print(7, flush=True)
"""


def test_kill_9_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, cwd=ROOT) as writer:
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(0.05)
        writer.kill()
        said = 7 + 7 * len(writer.stdout.read().splitlines())
    (path,) = tmp_path.glob("*.jsonl")
    with closing(FileReader(path)) as reader:
        assert said <= len(reader.numbers()) <= said + 7
        assert reader.complaint == ""
