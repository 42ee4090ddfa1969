"""cli.audit's formats for machines that run checks, and findings of several runs put together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from cli.audit_markdown import MARKER
from cli.markdown import MOST

from .conftest import Bayplan, sample

WHERE = sample("scheduling-classes")
CLASSES = ("audit", "--bundle", WHERE, "--pools", WHERE / "pools" / "fleet.yaml", "--pods", WHERE / "examples")


def printed(bayplan: Bayplan, path: Path, cluster: str = "") -> Path:
    path.write_text(bayplan(*CLASSES, "-o", "jsonl", "--cluster-name", cluster).out)
    return path


def findings(bayplan: Bayplan, path: Path, cluster: str = "") -> Path:
    """Without what is said of the cluster's pools."""
    lines = printed(bayplan, path, cluster).read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"kind":"Finding"' in line))
    return path


@pytest.fixture
def hostile(bayplan: Bayplan, tmp_path: Path) -> Path:
    """Findings of which all that somebody else may write is meant to do harm."""
    evil = "``` | <script>alert(1)</script> ]]> \x1b[31m\x00\n::error::x\r\n@team %0A \u202e,:"
    lines = []
    for line in findings(bayplan, tmp_path / "findings.jsonl").read_text().splitlines():
        one: dict[str, Any] = json.loads(line)
        one["workload"]["name"] = one["workload"]["namespace"] = one["cluster"] = evil
        one["reason"] = one["example"] = evil
        for policy in one["policies"]:
            policy["message"] = policy["error"] = evil
            for rule in policy["rules"]:
                rule["message"] = rule["text"] = evil
        lines.append(json.dumps(one))
    path = tmp_path / "hostile.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_sarif_has_each_finding_at_the_rule_that_had_a_part(bayplan: Bayplan) -> None:
    ran = bayplan(*CLASSES, "-o", "sarif")
    (run,) = ran.json["runs"]
    assert (ran.status, ran.json["version"], run["properties"]["omitted"]) == (1, "2.1.0", 0)
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == sorted(
        ["classless", "instance-diverse", "io-heavy", "scheduling-class"]
    )
    first, *others = run["results"]
    assert (first["ruleId"], first["level"]) == ("scheduling-class", "error")
    assert first["message"]["text"] == "Pod shop/typo (1 pod) would be refused: there is no such scheduling class"
    (place,) = first["locations"]
    uri = place["physicalLocation"]["artifactLocation"]["uri"]
    line = place["physicalLocation"]["region"]["startLine"]
    assert "deny" in Path(uri).read_text().splitlines()[line - 2]
    assert place["logicalLocations"][0]["fullyQualifiedName"] == "Pod shop/typo"
    assert {one["level"] for one in others} == {"note"}
    assert len({one["partialFingerprints"]["workload/v1"] for one in run["results"]}) == 5


def test_junit_fails_for_what_the_command_fails_for(bayplan: Bayplan) -> None:
    (suite,) = ElementTree.fromstring(bayplan(*CLASSES, "-o", "junit", "--fail-on", "denied").out)
    assert (suite.get("tests"), suite.get("failures")) == ("5", "1")
    (failure,) = suite.iter("failure")
    assert (failure.get("type"), failure.get("message")) == (
        "denied",
        "Pod shop/typo (1 pod) would be refused: there is no such scheduling class",
    )
    cases = {(case.get("classname"), case.get("name")): case for case in suite.iter("testcase")}
    assert cases["shop", "Pod typo"].find("failure") is failure
    (suite,) = ElementTree.fromstring(bayplan(*CLASSES, "-o", "junit").out)
    assert suite.get("failures") == "5"
    assert "nodeSelectorTerms" in "".join(failure.text or "" for failure in suite.iter("failure"))


def test_annotations_are_at_the_policies(bayplan: Bayplan) -> None:
    lines = bayplan(*CLASSES, "-o", "github").out.splitlines()
    (refusing,) = [line for line in lines if "policy scheduling-class" in line]
    assert refusing.startswith("::error file=")
    assert ",line=14,col=19,title=policy scheduling-class::3 would change, 1 would be refused" in refusing
    assert lines[-1].startswith("::error title=bayplan audit::not ready to enforce: ")
    for line in bayplan(*CLASSES, "-o", "github", "--fail-on", "none").out.splitlines()[:-1]:
        assert line.startswith(("::notice ", "::warning "))


def test_markdown_is_a_comment(bayplan: Bayplan) -> None:
    out = bayplan(*CLASSES, "-o", "markdown").out
    assert out.startswith(f"{MARKER}\n")
    assert "❌ **not ready to enforce: 0 workloads unchanged, 4 changed as intended, 1 would be refused**" in out
    assert (
        "| `Pod shop/typo` | 1 | ⛔ `would be refused` | `scheduling-class` | `there is no such scheduling class` |"
        in out
    )
    assert "4 lines about what else would happen" in out


def test_what_others_wrote_does_no_harm(bayplan: Bayplan, hostile: Path) -> None:
    markdown = bayplan("audit", "--merge", hostile, "-o", "markdown").out
    assert "\x1b" not in markdown
    outside = "".join(markdown.split("`````")[::1])
    assert "\n::error::x" not in outside
    annotations = bayplan("audit", "--merge", hostile, "-o", "github").out.splitlines()
    assert all(line.startswith(("::notice ", "::warning ", "::error ")) for line in annotations)
    assert all(line.count("::") >= 2 and "\x1b" not in line for line in annotations)
    (suite,) = ElementTree.fromstring(bayplan("audit", "--merge", hostile, "-o", "junit").out)
    assert suite.get("tests") == suite.get("failures")
    assert "\x1b" not in json.dumps(bayplan("audit", "--merge", hostile, "-o", "sarif").json, ensure_ascii=False)
    for output in ("text", "restarts", "descheduler"):
        assert "\x1b" not in bayplan("audit", "--merge", hostile, "-o", output).out


def test_a_comment_has_room_for_so_many(bayplan: Bayplan, tmp_path: Path) -> None:
    (line, *_) = findings(bayplan, tmp_path / "one.jsonl").read_text().splitlines()
    one = json.loads(line)
    path = tmp_path / "many.jsonl"
    with path.open("w") as file:
        for number in range(400):
            one["workload"]["name"] = f"w{number:04}" + "x" * 200
            file.write(json.dumps(one) + "\n")
    out = bayplan("audit", "--merge", path, "-o", "markdown").out
    assert len(out) <= MOST
    assert "… and 350 more." in out
    assert len(bayplan("audit", "--merge", path, "-o", "sarif").json["runs"][0]["results"]) == 400


def test_findings_of_several_clusters_are_put_together(bayplan: Bayplan, tmp_path: Path) -> None:
    east, west = (findings(bayplan, tmp_path / f"{name}.jsonl", name) for name in ("east", "west"))
    ran = bayplan("audit", "--merge", east, west)
    assert (ran.status, ran.err) == (1, "")
    assert "14 pods of 10 workloads: 12 would change, 2 would be refused" in ran.out
    assert "east Pod shop/typo" in ran.out
    again = bayplan("audit", "--merge", east, west, "-o", "jsonl").out
    assert sorted(again.splitlines()) == sorted((east.read_text() + west.read_text()).splitlines())


def test_of_a_workload_that_several_tell_of_the_latest_counts(bayplan: Bayplan, tmp_path: Path) -> None:
    old, new = (findings(bayplan, tmp_path / f"{name}.jsonl") for name in ("b", "a"))
    told = [json.loads(line) for line in old.read_text().splitlines()]
    lines = [line | {"time": "2000-01-01T00:00:00Z", "pods": 99} for line in told]
    old.write_text("\n".join(map(json.dumps, lines)))
    for order in ((old, new), (new, old), (new, new, old)):
        ran = bayplan("audit", "--merge", *order)
        assert "7 pods of 5 workloads" in ran.out
        assert "5 workloads are told of in several files" in ran.err


def test_what_pools_are_asked_for_and_what_drifted_is_put_together(bayplan: Bayplan, tmp_path: Path) -> None:
    """Cluster by cluster, and of each what its latest file says."""
    files = []
    for cluster in ("west", "east"):
        path = printed(bayplan, tmp_path / f"{cluster}.jsonl", cluster)
        *lines, rest = map(json.loads, path.read_text().splitlines())
        owner = next(one["workload"] for one in lines if one["workload"]["name"] == "typo")
        gone = {**owner, "name": "gone"}
        drift: dict[str, Any] = {
            "cluster": cluster,
            "pods": 2,
            "text": "2 of 3 pods",
            "names": ["a", "b"],
            "policies": ["p"],
        }
        drift |= {"labels": {"app": "x"}, "youngest": "2026-01-01T00:00:00Z", "lost": False}
        web = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"}
        rest["drift"] = [{**drift, "workload": web}, {**drift, "workload": gone, "lost": True}]
        path.write_text("\n".join(map(json.dumps, (*lines, rest))))
        files.append(path)
    ran = bayplan("audit", "--merge", *files, "--by", "pool")
    assert [line.split("  ")[0] for line in ran.out.splitlines() if " of " in line and line.startswith("east ")]
    assert "8 pods of 4 workloads would not be let where they run" in ran.out
    again = tmp_path / "again.jsonl"
    again.write_text(bayplan("audit", "--merge", *files, "-o", "jsonl").out)
    told = [json.loads(line) for line in again.read_text().splitlines()[-2:]]
    assert [one["cluster"] for one in told] == ["east", "west"]
    assert {load["cluster"] for load in told[0]["capacity"]} == {"east"}
    assert bayplan("audit", "--merge", again, "-o", "jsonl").out == again.read_text()
    script = bayplan("audit", "--merge", *files, "-o", "restarts").out
    assert "kubectl rollout restart deployment/web -n shop --context east" in script
    assert "kubectl rollout restart deployment/web -n shop --context west" in script
    assert len(list(yaml.safe_load_all(bayplan("audit", "--merge", *files, "-o", "descheduler").out))) == 2
    assert "east " in bayplan("audit", "--merge", *files, "-o", "html").out


def test_capacity_is_that_of_the_latest_file(bayplan: Bayplan, tmp_path: Path) -> None:
    old, new = (printed(bayplan, tmp_path / f"{name}.jsonl") for name in ("b", "a"))
    *lines, rest = map(json.loads, old.read_text().splitlines())
    rest |= {"time": "2000-01-01T00:00:00Z", "capacity": [{**one, "pool": "old"} for one in rest["capacity"]]}
    old.write_text("\n".join(map(json.dumps, (*lines, rest))))
    assert "old" not in bayplan("audit", "--merge", new, old, "--by", "pool").out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"kind": "FindingCluster"}', "bad.jsonl:1: this says nothing of a cluster: KeyError"),
        ("\n{}\n", "bad.jsonl:2: this is no finding"),
        ("{", "bad.jsonl:1: "),
        ("7", "bad.jsonl:1: this is no finding"),
        (None, "bad.jsonl: No such file"),
    ],
)
def test_what_can_not_be_put_together(bayplan: Bayplan, tmp_path: Path, text: str | None, complaint: str) -> None:
    path = tmp_path / "bad.jsonl"
    if text is not None:
        path.write_text(text)
    ran = bayplan("audit", "--merge", path)
    assert ran.status == 2
    assert complaint in ran.err
    assert "Traceback" not in ran.err


def test_a_bundle_is_needed_where_something_is_decided(bayplan: Bayplan) -> None:
    ran = bayplan("audit", "--pods", WHERE / "examples")
    assert ran.status == 2
    assert "say which bundle: --bundle BUNDLE; or --store DIR" in ran.err
