"""telemetry.metrics: what Prometheus reads is what was counted."""

from __future__ import annotations

from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from delivery.transaction import Step
from engine.bundle import Revision
from telemetry.metrics import BUNDLE_STEPS, Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    """What is ours in the text, by name and labels, as Prometheus' own parser reads it."""
    families = text_string_to_metric_families(metrics.text().decode())
    found = {}
    for one in (sample for family in families for sample in family.samples if sample.name.startswith("bayplan_")):
        labels = ",".join(f"{key}={value}" for key, value in sorted(one.labels.items()))
        found[f"{one.name}{{{labels}}}"] = one.value
    return found


def test_admissions_are_counted_by_what_became_of_them() -> None:
    metrics = Metrics("1.2.3")
    for outcome, seconds in (("mutated", 0.0007), ("mutated", 0.3), ("denied", 20.0)):
        metrics.admission("CREATE", outcome, seconds)
    found = samples(metrics)
    assert found["bayplan_build_info{version=1.2.3}"] == 1
    assert found["bayplan_admission_requests_total{operation=CREATE,outcome=mutated}"] == 2
    assert found["bayplan_admission_requests_total{operation=CREATE,outcome=denied}"] == 1
    assert found["bayplan_admission_duration_seconds_count{}"] == 3
    assert [found[f"bayplan_admission_duration_seconds_bucket{{le={le}}}"] for le in ("0.0005", "0.001", "0.5")] == [
        0,
        1,
        2,
    ]


def test_policies_are_counted_and_what_audit_mode_left_alone() -> None:
    metrics = Metrics("test")
    assert samples(metrics)["bayplan_would_mutate_total{}"] == 0
    metrics.evaluation("small", "gold", "enforce", "applied")
    metrics.evaluation("small", "gold", "enforce", "applied")
    for outcome in ("mutated", "unchanged", "denied", "unschedulable", "mutated"):
        metrics.audited(outcome)
    metrics.audited_policy("small", "gold", "denied")
    found = samples(metrics)
    assert found["bayplan_policy_evaluations_total{bundle=small,mode=enforce,policy=gold,result=applied}"] == 2
    assert found["bayplan_would_mutate_total{}"] == 4
    assert found["bayplan_audited_pods_total{outcome=mutated}"] == 2
    assert found["bayplan_audited_pods_total{outcome=unchanged}"] == 1
    assert found["bayplan_audited_policies_total{bundle=small,outcome=denied,policy=gold}"] == 1


def test_names_that_bundles_bring_are_series_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle whose policies are called otherwise in each revision fills no Prometheus. Each has its
    series of failures at once, and so have the others."""
    monkeypatch.setattr("telemetry.metrics.MAX_SERIES", 10)
    metrics = Metrics("test")
    for revision in range(100):
        metrics.evaluation("small", f"policy-{revision}", "enforce", "applied")
        metrics.audited_policy("small", f"policy-{revision}", "denied")
        metrics.evaluation("small", "policy-3", "enforce", "applied")
    found = samples(metrics)
    for name, series in (("policy_evaluations", 12), ("audited_policies", 11)):
        assert len([one for one in found if one.startswith(f"bayplan_{name}_total")]) == series
    others = "bayplan_policy_evaluations_total{bundle=(others),mode=enforce,policy=(others),result=applied}"
    known = "bayplan_policy_evaluations_total{bundle=small,mode=enforce,policy=policy-3,result=applied}"
    assert (found[others], found[known]) == (95, 101)
    assert found["bayplan_audited_policies_total{bundle=(others),outcome=denied,policy=(others)}"] == 90


def test_nothing_that_names_a_policy_is_told_to_those_without_a_token() -> None:
    metrics = Metrics("test")
    metrics.activate([Revision("small", "1.0.0", "aa")])
    metrics.evaluation("small", "gold", "enforce", "applied")
    metrics.audited_policy("small", "gold", "denied")
    metrics.audited("denied")
    told = metrics.text(policies=False).decode()
    assert "gold" not in told
    assert "small" not in told
    assert 'bayplan_audited_pods_total{outcome="denied"} 1.0' in told


def test_one_bundle_is_active() -> None:
    metrics = Metrics("test")
    metrics.activate([Revision("small", "1.0.0", "aa")])
    metrics.activate([Revision("small", "1.1.0", "bb")])
    found = samples(metrics)
    active = [name for name in found if name.startswith("bayplan_bundle_info")]
    assert active == [
        "bayplan_bundle_info{digest=bb,name=small,revision=small@1.1.0+sha256:bb,side=active,version=1.1.0}"
    ]
    metrics.activate([Revision("small", "1.1.0", "bb")], [Revision("small", "1.0.0", "cc")])
    assert len([name for name in samples(metrics) if name.startswith("bayplan_bundle_info")]) == 2
    assert found["bayplan_bundle_last_success_activation_timestamp_seconds{}"] > 0


def test_live_gauges_are_read_when_asked() -> None:
    metrics, pools = Metrics("test"), list[str]()
    metrics.live("bayplan_inventory_pools", "Pools.", lambda: float(len(pools)))
    assert samples(metrics)["bayplan_inventory_pools{}"] == 0
    pools.append("gold")
    assert samples(metrics)["bayplan_inventory_pools{}"] == 1


def test_two_processes_of_a_test_do_not_share_what_they_count() -> None:
    one, other = Metrics("test"), Metrics("test")
    one.watch_restarts.labels("nodes", "gone").inc()
    assert "bayplan_watch_restarts_total{kind=nodes,reason=gone}" in samples(one)
    assert "bayplan_watch_restarts_total{kind=nodes,reason=gone}" not in samples(other)


def test_there_is_a_count_for_each_step_of_an_activation() -> None:
    assert get_args(Step) == BUNDLE_STEPS
