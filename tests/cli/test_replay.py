"""`bayplan replay`: kept decisions are listed, made again, and compared with another bundle as `diff` compares."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from audit.files import Files
from cli.main import main
from delivery import bundle_from, read_documents
from engine.pods import pods_from_documents
from engine.pools import inventory_from_documents
from tests.audit.test_stored import keep
from tests.delivery import bundles

from .conftest import Bayplan


def said(capsys: pytest.CaptureFixture[str], *words: object, status: int = 0) -> str:
    capsys.readouterr()
    assert main(["replay", *map(str, words)]) == status
    return capsys.readouterr().out


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return bundles.write(tmp_path / "old")


@pytest.fixture
def pods(tmp_path: Path) -> Path:
    written = []
    for n, workload in enumerate(["training", "training", "serving", "other"]):
        own = {"name": f"{workload}-{n}", "namespace": "shop", "labels": {"workload": workload}}
        spec = {"containers": [{"name": "c", "image": "i"}]}
        written.append({"apiVersion": "v1", "kind": "Pod", "metadata": own, "spec": spec})
    path = tmp_path / "pods.yaml"
    path.write_text(yaml.safe_dump_all(written))
    return path


@pytest.fixture
def store(tmp_path: Path, old: Path, pods: Path) -> Path:
    inventory = inventory_from_documents(read_documents(bundles.write_pools(tmp_path)))
    keep(tmp_path / "store", bundle_from(str(old), "OLD"), *pods_from_documents(read_documents(pods)), pools=inventory)
    return tmp_path / "store"


def test_decisions_are_listed_and_made_again(capsys: pytest.CaptureFixture[str], store: Path) -> None:
    assert "training-0" in said(capsys, "--store", store)
    (one,) = json.loads(said(capsys, "--store", store, "--newest", 1, "-o", "json"))
    assert said(capsys, "--store", store, one["id"]).splitlines()[-1] == "it comes to the same"
    data = json.loads(said(capsys, "--store", store, one["id"], "-o", "json"))
    assert data["verdict"] == "same"
    assert data["then"] == data["again"]


def test_one_is_made_again_by_another_bundle(capsys: pytest.CaptureFixture[str], store: Path, tmp_path: Path) -> None:
    new = bundles.write(tmp_path / "new", "2.0.0", training=bundles.TRAINING.replace('== "a100"', '== "h100"'))
    text = said(capsys, "--store", store, "0.1", "--bundle", new, status=1)
    assert "it does not come to the same" in text
    assert "- message:" in text


def test_all_are_compared_as_diff_compares_pods(
    capsys: pytest.CaptureFixture[str], store: Path, old: Path, pods: Path, tmp_path: Path
) -> None:
    """The pods that the webhook met, and the same ones from a file, on the same pools."""
    pools = bundles.write_pools(tmp_path)
    for n, (said_before, said_now) in enumerate(
        [('"a100"', '"h100"'), ("workload: training", "workload: other"), ('"a100"', '"a100"')]
    ):
        training = bundles.TRAINING.replace(said_before, said_now)
        new, status = bundles.write(tmp_path / f"new{n}", "2.0.0", training=training), int(n < 2)
        told: dict[str, Any] = json.loads(said(capsys, "--store", store, "--bundle", new, "-o", "json", status=status))
        (comparison,) = told["comparisons"]
        capsys.readouterr()
        main(["diff", str(old), str(new), "--pods", str(pods), "--pools", str(pools), "-o", "json"])
        expected = json.loads(capsys.readouterr().out)
        assert comparison["pods"] == expected["pods"]
        assert [one["name"] for one in comparison["policies"]] == [one["name"] for one in expected["policies"]]
        assert (comparison["old"], comparison["new"]) == (expected["old"], expected["new"])
        assert bool(comparison["pods"]["workloads"]) == bool(status)


def test_a_log_of_decisions_is_compared_as_diff_compares_pods(
    bayplan: Bayplan, old: Path, pods: Path, tmp_path: Path
) -> None:
    """However it is handed over: a file, packed or not, piped in, or the folder."""
    pools = bundles.write_pools(tmp_path)
    inventory = inventory_from_documents(read_documents(pools))
    kept = pods_from_documents(read_documents(pods))
    keep(tmp_path / "files", bundle_from(str(old), "OLD"), *kept, pools=inventory, begin=Files)
    (log,) = (tmp_path / "files").glob("*.jsonl")
    (tmp_path / "log.gz").write_bytes(gzip.compress(log.read_bytes()))
    new = bundles.write(tmp_path / "new", "2.0.0", training=bundles.TRAINING.replace('"a100"', '"h100"'))
    expected = bayplan("diff", old, new, "--pods", pods, "--pools", pools, "-o", "json").json["pods"]
    text = log.read_text()
    for where in (["--log", log], ["--log", tmp_path / "log.gz"], ["--log", "-"], ["--store", log.parent]):
        ran = bayplan("replay", *where, "--bundle", new, "-o", "json", stdin=text)
        assert (ran.status, ran.err) == (1, "")
        assert [one["pods"] for one in ran.json["comparisons"]] == [expected]
        assert sum(one["pods"] for one in bayplan("audit", *where, "-o", "json", stdin=text).json["items"]) == 4
    (one, *_) = bayplan("replay", "--log", "-", "-o", "json", stdin=text).json
    assert bayplan("replay", "--log", "-", one["id"], stdin=text).out.endswith("it comes to the same\n")
    for words in (["diff", old, new], ["audit", "--bundle", new]):
        ran = bayplan(*words, "--pods", log, "--pools", pools)
        assert (ran.status, "say it to `bayplan replay` or `bayplan audit` with --log" in ran.err) == (2, True)


def test_damage_is_told_and_stops_nothing(capsys: pytest.CaptureFixture[str], store: Path, old: Path) -> None:
    with closing(sqlite3.connect(store / "decisions-0.sqlite")) as connection:
        connection.execute("UPDATE decisions SET body = x'00' WHERE id = 2")
        connection.commit()
    assert len(json.loads(said(capsys, "--store", store, "-o", "json"))) == 3
    assert main(["replay", "--store", str(store), "--bundle", str(old), "-o", "json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["notCompared"] == 1
    assert "bayplan: 1 of the decisions can't be used: what was kept is not whole" in told.err


def test_only_those_since_a_time_are_meant(capsys: pytest.CaptureFixture[str], store: Path) -> None:
    assert len(json.loads(said(capsys, "--store", store, "--since", "1h", "-o", "json"))) == 4
    assert json.loads(said(capsys, "--store", store, "--since", "2100-01-01", "-o", "json")) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--store", "nowhere"], "holds no decisions"),
        (["--store", "{store}", "0.77"], "there is no decision `0.77`"),
        (["--store", "{store}", "--since", "yesterday"], "`yesterday` is no time: expected `90m`"),
        (["--store", "{store}", "--newest", "0"], "--newest must be at least 1"),
    ],
)
def test_mistakes_are_told(capsys: pytest.CaptureFixture[str], store: Path, words: list[str], message: str) -> None:
    assert main(["replay", *(word.format(store=store) for word in words)]) == 2
    assert message in capsys.readouterr().err
