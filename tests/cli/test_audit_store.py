"""`bayplan audit --store`: what a webhook decided, and what the next bundle would have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_replay import old, pods, store
from tests.delivery import bundles

from .conftest import Bayplan

__all__ = ["old", "pods", "store"]  # fixtures


def test_what_was_decided_is_told_at_workloads(bayplan: Bayplan, store: Path) -> None:
    ran = bayplan("audit", "--store", store, "--since", "1h")
    assert ran.status == 1, ran.err
    assert "Pod shop/training-0" in ran.out
    assert ran.out.splitlines()[-2:] == [
        "4 pods of 4 workloads: 2 changed, 0 refused",
        "enforced: 2 workloads unchanged, 2 changed",
    ]
    (one, *_) = map(json.loads, bayplan("audit", "--store", store, "-o", "jsonl").out.splitlines())
    assert one["asked"]["user"] == ""
    assert one["mode"] == "enforce"
    page = bayplan("audit", "--store", store, "-o", "html").out
    assert "<h1>What small changed" in page
    assert "Enforced" in page


def test_what_the_next_bundle_would_have_decided(bayplan: Bayplan, store: Path, tmp_path: Path) -> None:
    new = bundles.write(tmp_path / "new", "2.0.0", training=bundles.TRAINING.replace('== "a100"', '== "h100"'))
    ran = bayplan("audit", "--store", store, "--bundle", new, "-o", "json", "--fail-on", "denied")
    assert ran.status in (0, 1), ran.err
    told = ran.json
    assert all(one["revision"].startswith("small@2.0.0") and one["asked"] is None for one in told["items"])
    where = ("--pods", tmp_path / "pods.yaml", "--pools", tmp_path / "pools.yaml")
    by_hand = bayplan("audit", "--bundle", new, *where, "-o", "json").json
    assert picked(told) == picked(by_hand)


def picked(told: Any) -> list[list[Any]]:
    return [[one[key] for key in ("workload", "outcome", "patch", "reason", "pods")] for one in told["items"]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pods", "x.yaml"], "--pods does not go with --store"),
        (["--since", "2100-01-01"], "nothing is decided: there are no decisions in"),
        (["-n", "nowhere"], "nothing is decided: there are no decisions in"),
        (
            ["--jobs", "2"],
            "--jobs goes with pods that are decided: what --store and --log hand over is read by one process",
        ),
        (["--log", "x"], "argument --log: not allowed with argument --store"),
    ],
)
def test_mistakes_are_told(bayplan: Bayplan, store: Path, words: list[str], message: str) -> None:
    ran = bayplan("audit", "--store", store, *words)
    assert (ran.status, message in ran.err) == (2, True)
    alone = bayplan("audit", "--since", "1h", "--bundle", "x", "--pods", "y")
    assert alone.err.strip() == "bayplan: --since goes with --store or --log"
    merged = bayplan("audit", "--merge", "x", "--jobs", "2")
    assert "--jobs goes with pods that are decided: what --merge hand over" in merged.err
