"""cli.pool_reasons: `bayplan explain -v` and `--why-not`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Bayplan, Ran

POOLS = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: gold, selector: {p: gold}, labels: {tier: gold}, gpus: 8}
  - {name: guarded, selector: {p: guarded}, labels: {tier: gold}, gpus: 8, taints: [{key: k, effect: NoSchedule}]}
  - {name: general, selector: {p: general}, labels: {tier: base}, gpus: 0}
  - {name: other, selector: {p: other}, labels: {tier: base}, gpus: 0}
"""
POLICY = """require: [{expression: 'pool.labels["tier"] == "gold"', message: gold nodes}]"""
POD: dict[str, Any] = {
    "kind": "Pod",
    "metadata": {"name": "w"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
REASON = 'critical requires `pool.labels["tier"] == "gold"` (gold nodes); its nodes carry tier=base'
Explain = Callable[..., Ran]


@pytest.fixture
def explain(bayplan: Bayplan, bundle: Callable[..., Path], tmp_path: Path) -> Explain:
    """`explain("-v")` of POD, or of another one."""
    (tmp_path / "pools.yaml").write_text(POOLS)

    def run(*words: str, policy: str = POLICY, pod: dict[str, Any] = POD) -> Ran:
        folder = bundle({"critical": policy})
        return bayplan(
            "explain", "--bundle", folder, "--pools", tmp_path / "pools.yaml", "-", *words, stdin=json.dumps(pod)
        )

    return run


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def test_of_all_pools_that_are_out(explain: Explain) -> None:
    """Those that are out for one reason in one line."""
    said = unwrapped(explain("-v").out)
    assert f"why not general and other: {REASON} guarded: the pod does not tolerate k:NoSchedule critical" in said


def test_of_pools_that_are_named_in_that_order(explain: Explain) -> None:
    said = unwrapped(explain("--why-not", "other", "--why-not", "gold").out)
    assert f"why not other: {REASON} gold: it is not out, the pod may go there critical" in said
    assert "general: " not in said


def test_nothing_is_told_unless_asked(explain: Explain) -> None:
    assert "why not" not in explain().out
    assert "whyNot" not in explain("-o", "json").json[0]


def test_json(explain: Explain) -> None:
    (decision,) = explain("-o", "json", "--why-not", "gold", "-v").json
    reason = {"policy": "critical", "reason": REASON}
    taint = {"policy": None, "reason": "the pod does not tolerate k:NoSchedule"}
    assert decision["whyNot"] == {"gold": None, "general": reason, "guarded": taint, "other": reason}
    assert next(iter(decision["whyNot"])) == "gold"


def test_portions_have_reasons_of_their_own(explain: Explain) -> None:
    split = "split: [{share: 50, expression: pool.gpus > 0}, {share: 50, expression: pool.gpus == 0}]"
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}}
    job |= {"spec": {"template": {"spec": POD["spec"] | {"restartPolicy": "Never"}}}}
    (decision,) = explain("-o", "json", "--why-not", "other", policy=split, pod=job).json
    one, two = (portion["whyNot"]["other"] for portion in decision["portions"])
    assert one == {
        "policy": "critical",
        "reason": "critical has this pod among the 50 % for `pool.gpus > 0`; `pool.gpus` is 0",
    }
    assert two is None
    assert explain("--why-not", "other", policy=split, pod=job).out.count("why not") == 2


@pytest.mark.parametrize(
    ("name", "hint"),
    [("genral", "did you mean `general`?"), ("zzz", "there are general, gold, guarded and other")],
)
def test_a_pool_that_there_is_none_of(explain: Explain, name: str, hint: str) -> None:
    ran = explain("--why-not", "gold", "--why-not", name)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == f"bayplan: --why-not: there is no pool `{name}`; {hint}\n"


def test_a_pool_where_none_are_known(bayplan: Bayplan, bundle: Callable[..., Path]) -> None:
    ran = bayplan("explain", "--bundle", bundle({"critical": POLICY}), "-", "--why-not", "x", stdin=json.dumps(POD))
    assert ran.status == 2
    assert "--why-not: there is no pool `x`; no pools are known" in ran.err
