"""audit.openreports: what Reports say, that they are what the definition takes, never large, and the same twice."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from audit.findings import Effect, Finding, Following, PolicyPart, Workload
from audit.of_decision import finding_of
from audit.openreports import LEFT_OUT, MAX_BYTES, Report, outdated, own_labels, reports_of, stored_bytes, workload_in
from engine.names import is_label_value, is_subdomain
from engine.struct import replace
from tests.audit.test_findings import DENIES, TIME, found
from tests.engine.worlds import a_pod, a_world
from tests.engine.worlds import incoming as on_its_way

LATER, SECONDS = "2026-01-02T00:00:00.5Z", 1767225600
DEFINITION = Path(__file__).parents[1] / "e2e" / "openreports" / "reports.yaml"
SCHEMA = yaml.safe_load(DEFINITION.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
MOST_STORED = 512 * 1024
MANY = 10_000 if os.environ.get("BAYPLAN_NIGHTLY") == "1" else 2_000
TYPES: dict[str, type[Any]] = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
BASE = 'require: [{expression: \'pool.labels["tier"] == "base"\', message: base nodes}]'
FAILS = "deny: [{expression: 'size(pod.metadata.labels.nobody) > 1'}]\nfailurePolicy: Ignore"


def wrongs(data: Any, schema: Any = SCHEMA, path: str = "") -> list[str]:
    """What an API server would find wrong or drop: the part of structural schemas that the definition uses."""
    if not isinstance(data, TYPES[schema["type"]]) or (schema["type"] == "integer" and isinstance(data, bool)):
        return [f"{path}: no {schema['type']}"]
    if "enum" in schema and data not in schema["enum"]:
        return [f"{path}: {data}"]
    wanted = schema.get("required", ()) if isinstance(data, dict) else ()
    found = [f"{path}.{key}: missing" for key in wanted if key not in data]
    if isinstance(data, list):
        found += [wrong for one in data for wrong in wrongs(one, schema["items"], f"{path}[]")]
    if isinstance(data, dict) and path != ".metadata":
        for key, value in data.items():
            inside = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            found += wrongs(value, inside, f"{path}.{key}") if inside else [f"{path}.{key}: unknown"]
    return found


def the_report(*findings: Finding) -> Report:
    (report,) = reports_of(findings)
    return report


def told(*findings: Finding) -> list[tuple[str, str]]:
    """Result and severity of each."""
    return [(one["result"], one["severity"]) for one in the_report(*findings).results]


def many(count: int, message: str = "") -> list[Finding]:
    """Findings about one workload that all say something else; one of them hurts most."""
    one = found(BASE)
    (part,) = one.effect.policies
    parts = (part._replace(outcome="failed", error=f"{message}{number}") for number in range(count - 1))
    denied = part._replace(outcome="denied", message="not here")
    return [replace(one, effect=replace(one.effect, policies=(part,))) for part in (*parts, denied)]


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ((BASE,), [("warn", "low")]),
        ((DENIES,), [("fail", "high")]),
        ((FAILS,), [("error", "high")]),
        (("require: [{expression: 'true'}]",), [("pass", "info")]),
        ((DENIES, "require: [{expression: 'true'}]"), [("fail", "high"), ("skip", "info")]),
    ],
)
def test_what_a_policy_comes_to_is_its_result(specs: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    assert told(found(*specs)) == expected


def test_pods_that_run_where_they_may_not_and_pods_that_would_wait_matter_more() -> None:
    one = found(BASE)
    leaves = Following("leaves", "2 of 3 pods run where they would not be let any more", ("plain",), pods=2)
    taint = Following("taint", "what is left is gpu, and it does not tolerate team", ("gpu",), ("team",))
    drifted = replace(one, effect=replace(one.effect, follows=(leaves,)))
    waits = replace(one, effect=replace(one.effect, outcome="unschedulable", follows=(taint,)))
    assert told(drifted) == [("fail", "medium")]
    assert told(waits) == [("fail", "high")]
    assert "2 of 3 pods run" in the_report(drifted).results[0]["message"]
    assert "does not tolerate team" in the_report(waits).results[0]["message"]
    (part,) = one.effect.policies
    content = replace(drifted.effect, outcome="unchanged", policies=(part._replace(outcome="satisfied"),))
    assert told(replace(drifted, effect=content)) == [("fail", "medium")]


def test_findings_that_say_the_same_of_a_policy_are_one_result_with_all_their_pods() -> None:
    one = found(BASE)
    report = the_report(replace(one, pods=3), replace(one, pods=4, placed={"gpu": 2}))
    (result,) = report.results
    assert result["properties"]["pods"] == "7"
    assert report.summary == {"fail": 0, "error": 0, "warn": 1, "skip": 0, "pass": 0}


def test_no_policy_no_report() -> None:
    assert reports_of([found(BASE + "\npodSelector: {matchLabels: {app: nobody}}")]) == []


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_found_the_definition_takes_it(seed: int) -> None:
    dice = random.Random(seed)
    engine = a_world(dice).decider()
    findings = [finding_of(engine, engine.decide(on_its_way(a_pod(dice))), time=TIME) for _ in range(6)]
    for report in reports_of(findings):
        assert wrongs(report.as_object("uid-1", TIME)) == []
        assert is_subdomain(report.key[1])
        assert all(map(is_label_value, own_labels(report.bundle).values()))


@pytest.mark.parametrize("evil", ["\u202e\x00\n<script>&", "x" * 1_000_000, "../../..", "é" * 300, "\ud800", "-.-"])
def test_names_and_words_of_an_adversary_are_shown_short_and_change_nothing_else(evil: str) -> None:
    part = PolicyPart("gpu", "enforce", "denied", evil)
    effect = Effect("denied", evil, (part,), follows=(Following("noPool", evil),))
    one = Finding(Workload(evil, evil, "shop", evil), effect, "enforce", "gpu", "gpu@1", TIME)
    report = the_report(one)
    thing = report.as_object("uid-1", TIME)
    assert wrongs(thing) == []
    assert is_subdomain(report.key[1])
    assert stored_bytes(thing) < 16_384
    assert json.dumps(thing, ensure_ascii=False).isprintable()
    assert bool(thing["metadata"]["ownerReferences"]) == (evil in ("../../..", "-.-"))


@pytest.mark.parametrize("message", ["", "<&>" * 330, "é" * 1_000, '"\\' * 500])
def test_many_findings_make_no_large_object_and_what_hurts_most_stays(message: str) -> None:
    report = the_report(*many(MANY, message))
    thing = report.as_object("0" * 36, TIME)
    assert stored_bytes(thing) <= MAX_BYTES < MOST_STORED
    assert sum(report.summary.values()) == MANY
    assert thing["results"][0]["message"] == "not here"
    assert thing["metadata"]["annotations"][LEFT_OUT] == str(report.left_out)
    assert len(thing["results"]) == MANY - report.left_out + 1
    assert stored_bytes(thing) > MAX_BYTES - 16_384
    last = thing["results"][-1]
    assert (last["policy"], last["rule"], last["result"]) == ("bayplan", "left-out", "skip")
    assert last["message"].startswith(f"{report.left_out:,} more results are left out")


def test_the_same_again_is_the_same_object_and_timestamps_stay_with_what_says_the_same() -> None:
    findings = many(3)
    first = the_report(*findings).as_object("u", TIME)
    assert {one["timestamp"]["seconds"] for one in first["results"]} == {SECONDS}
    again = the_report(*findings).as_object("u", LATER, first)
    assert again == first
    assert not outdated(first, again)
    less = the_report(*findings[1:]).as_object("u", LATER, first)
    assert outdated(first, less)
    assert {one["timestamp"]["seconds"] for one in less["results"]} == {SECONDS}
    more = the_report(*findings, *many(4)[2:3]).as_object("u", LATER, first)
    assert sorted({one["timestamp"]["seconds"] for one in more["results"]}) == [SECONDS, SECONDS + 86_400]


def test_what_others_write_on_a_report_is_theirs_and_what_is_ours_is_put_right() -> None:
    wanted = the_report(found(BASE)).as_object("u", TIME)
    there = json.loads(json.dumps(wanted))
    there["metadata"] |= {"uid": "r", "managedFields": [], "finalizers": ["x/y"]}
    there["metadata"]["labels"]["theirs"] = there["metadata"]["annotations"]["theirs"] = "1"
    there["metadata"]["ownerReferences"].append({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "c"})
    there["configuration"] = {"limits": {}}
    assert not outdated(there, wanted)
    spoilt: list[dict[str, Any]] = [
        {"results": []},
        {"scope": None},
        {"metadata": {**there["metadata"], "labels": None}},
        {"metadata": {**there["metadata"], "ownerReferences": None}},
        {"metadata": {**there["metadata"], "annotations": {**there["metadata"]["annotations"], LEFT_OUT: "3"}}},
    ]
    for spoil in spoilt:
        assert outdated({**there, **spoil}, wanted)
        broken = {**there, **spoil, "results": spoil.get("results", [{"timestamp": 1}, 7, {"timestamp": {"nanos": 1}}])}
        assert wrongs(the_report(found(BASE)).as_object("u", TIME, broken)) == []


def test_a_report_says_whom_it_is_about_and_nobody_owns_it_whose_uid_is_not_known() -> None:
    report = the_report(found(BASE))
    thing = report.as_object("", TIME)
    assert thing["metadata"]["ownerReferences"] == []
    assert workload_in(thing) == report.workload
    assert workload_in({"scope": 3}) is None
    other = replace(found(BASE), bundle="another")
    assert the_report(other).key != report.key


@pytest.mark.parametrize("bundle", ["gpu", "gpu, net", "a" * 63 + ", b", "", "Ä.-"])
def test_bundles_are_told_apart_by_a_label(bundle: str) -> None:
    (label,) = (value for key, value in own_labels(bundle).items() if key == "bayplan.dev/bundle")
    assert is_label_value(label)
    assert label
    assert label != own_labels(bundle + "x")["bayplan.dev/bundle"]
