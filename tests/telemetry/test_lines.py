"""telemetry.lines: lines of the decision log keep to a size, and say what is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.documents import printable_json
from telemetry.lines import MAX_LINE, TEXT, bounded

HEAD = {"time": "2026-01-01T00:00:00Z", "uid": "u", "dryRun": False, "namespaceKnown": True, "latencySeconds": 0.001}


def line_of(**more: Any) -> dict[str, Any]:
    """A line as the webhook makes it, with these fields in place of small ones."""
    return {
        **HEAD,
        "pod": {"namespace": "a", "name": "web", "owner": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}},
        "revision": "b@1.0.0",
        "mode": "audit",
        "allowed": True,
        "message": "runs on pools a, b",
        "policies": [policy("p", "applied"), policy("q", "notMatched")],
        "pools": {"before": ["a", "b"], "after": ["a"], "untolerated": [], "taints": {}, "wouldStayPending": False},
        "placement": {"nodeSelectorTerms": [{"matchExpressions": []}]},
        "patch": [{"op": "add", "path": "/spec/affinity", "value": {}}],
        "warnings": [],
        **more,
    }


def policy(name: str, outcome: str) -> dict[str, str]:
    return {"name": name, "outcome": outcome, "message": "", "error": ""}


def encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def written(line: dict[str, Any]) -> dict[str, Any]:
    """The line as the log writes it, which must be within the limit."""
    text = printable_json(bounded(line, encode))
    assert len(text) <= MAX_LINE
    read = json.loads(text)
    assert isinstance(read, dict)
    return read


TERMS = [{"matchExpressions": [{"key": f"k{i}", "operator": "In", "values": ["v"] * 20}]} for i in range(900)]
PATCH = [{"op": "add", "path": "/spec/affinity", "value": TERMS}, {"op": "test", "path": "/spec"}]


def test_what_fits_is_written_as_it_is() -> None:
    assert written(line_of()) == line_of()
    assert bounded(line_of(), encode) == encode(line_of())


def test_a_long_patch_is_left_out_and_counted_and_all_else_stays() -> None:
    line = line_of(patch=PATCH, placement={"nodeSelectorTerms": TERMS}, audited={"allowed": True, "patch": PATCH})
    short = written(line)
    assert short.pop("omitted") == {
        "patch": {"entries": 2},
        "audited.patch": {"entries": 2},
        "placement": {"entries": 900},
    }
    assert short.pop("audited") == {"allowed": True}
    assert short == {key: value for key, value in line.items() if key not in ("patch", "placement", "audited")}
    assert line["audited"]["patch"] is PATCH


def test_only_as_much_is_left_out_as_must_be() -> None:
    """The placement fits once the patch, which is larger, is gone."""
    short = written(line_of(patch=PATCH, placement={"nodeSelectorTerms": TERMS[:100]}))
    assert short["omitted"] == {"patch": {"entries": 2}}
    assert len(short["placement"]["nodeSelectorTerms"]) == 100


def test_policies_that_do_not_match_go_before_those_that_do() -> None:
    others = [policy(f"other-{i}", "notMatched") for i in range(2000)]
    short = written(line_of(policies=[policy("p", "applied"), *others]))
    assert short["omitted"] == {"policies": {"entries": 2000}}
    assert short["policies"] == [policy("p", "applied")]
    failed = [policy(f"failed-{i}", "failed") for i in range(2000)]
    short = written(line_of(policies=[*failed, *others]))
    assert short["omitted"] == {"policies": {"entries": 4000}}
    assert "policies" not in short


def test_a_long_text_is_cut() -> None:
    """An owner's kind may be of any length."""
    owner = {"apiVersion": "apps/v1", "kind": "K" * 200_000, "name": "w"}
    short = written(line_of(pod={"namespace": "a", "name": "web", "owner": owner}))
    assert short["omitted"] == {"pod.owner.kind": {"characters": 200_000 - TEXT}}
    assert short["pod"]["owner"]["kind"] == "K" * TEXT + "…"
    assert short["patch"] == line_of()["patch"]


@pytest.mark.parametrize("owner", [None, {}])
def test_a_pod_without_an_owner(owner: object) -> None:
    short = written(line_of(pod={"namespace": "a", "name": "web", "owner": owner}, patch=PATCH))
    assert short["pod"]["owner"] == owner


@pytest.mark.parametrize("character", ["x", "\x00", "\x9b", "\u202e", "\U000e0001", '"', "é"])
def test_no_text_makes_a_line_longer_whatever_it_is_written_as(character: str) -> None:
    """What is not printable takes up to three times its bytes."""
    for length in (10_000, 22_000, 30_000, 70_000):
        text = character * length
        short = written(line_of(message=text, uid=text, revision=text, warnings=[text] * 3))
        assert short["pod"] == line_of()["pod"]
        assert short.get("warnings", [text] * 3) == [text] * 3
        assert short["message"] in (text, f"{text[: len(short['message']) - 1]}…")


sizes = st.integers(0, 3000)


@given(sizes, sizes, sizes, sizes, sizes)
def test_a_line_is_whole_or_says_how_much_is_missing(a: int, b: int, c: int, d: int, e: int) -> None:
    line = line_of(
        patch=[{"op": "add", "path": f"/{i}"} for i in range(a)],
        warnings=["w" * 40] * b,
        policies=[policy(f"p{i}", "applied" if i % 3 else "notMatched") for i in range(c)],
        pools={"before": [f"pool-{i}" for i in range(d)], "after": [], "taints": {"a": ["x"] * e}},
    )
    short = written(line)
    omitted = short.pop("omitted", {})
    assert bool(omitted) == (len(printable_json(encode(line))) > MAX_LINE)
    assert len(short.get("patch", [])) + omitted.get("patch", {"entries": 0})["entries"] == a
    assert len(short.get("warnings", [])) + omitted.get("warnings", {"entries": 0})["entries"] == b
    assert len(short.get("policies", [])) + omitted.get("policies", {"entries": 0})["entries"] == c
    assert len(short["pools"].get("before", [])) + omitted.get("pools.before", {"entries": 0})["entries"] == d
