"""audit.report: what stands on the page, that all of it is its own, and that no finding can change that."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.capacity import Amounts
from audit.findings import FINDING_OUTCOMES, Finding
from audit.report import as_html
from audit.report import page as module
from audit.summary import Summary
from engine.struct import replace
from tests.audit.report.fleet import findings, summary
from tests.audit.report.reading import Page, read

GOLDEN = Path(__file__).with_name("page.txt")
HOSTILE = [
    "</script><script>alert(1)</script>",
    "--><img src=x onerror=alert(1)><!--",
    "\"' onmouseover='alert(1)' x=\"",
    "</style><style>*{display:none}</style>",
    "</details></section></main>",
    "{{ 7 * 7 }}{% raw %}{# no #}",
    "a\u202egnp.exe\u2066 \x00\x1b[2J\x7f\u200b\ufeff\ud800\u2028end",
    "javascript:alert(1)",
    "https://elsewhere.example/",
    "]]>&lt;&#x3c;",
]


def page_of(found: list[Finding], source: str = "a file") -> Page:
    return read(as_html(Summary.of(found), source))


@pytest.fixture(scope="module")
def some() -> list[Finding]:
    """Of each outcome that there is, two findings."""
    found = findings(300, 3000)
    return [one for outcome in FINDING_OUTCOMES for one in [each for each in found if each.outcome == outcome][:2]]


def test_a_reader_reads_this(some: list[Finding]) -> None:
    text = page_of(some).text + "\n"
    if os.environ.get("BAYPLAN_REWRITE"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_all_workloads_are_there_with_those_that_hurt_most_first() -> None:
    found = findings(200, 2000)
    page = page_of(found)
    entries = page.every("details", class_="entry")
    assert len(entries) == 200
    groups = [one.attributes["data-o"] for one in page.every("details", class_="group")]
    assert groups == [one for one in FINDING_OUTCOMES if any(each.outcome == one for each in found)]
    text = " ".join(page.text.split())
    for finding in found:
        assert finding.effect.reason in text
        assert all(part.message in text for part in finding.effect.policies)
    together = Summary.of(found)
    assert together.total in text
    assert ("Not ready to enforce" in text) is not together.ready


def test_a_bundle_that_is_ready_is_said_to_be(some: list[Finding]) -> None:
    quiet = page_of([one for one in some if one.outcome in ("changed", "unchanged")])
    assert "✓ Ready to enforce" in quiet.lines
    assert "What is in the way" not in quiet.text
    assert (
        page_of([]).lines[-3:-1] == ["Workloads", "There are no findings."]
        or "There are no findings." in page_of([]).text
    )


def test_the_same_findings_give_the_same_bytes(some: list[Finding]) -> None:
    shuffled = random.Random(1).sample(some, len(some))
    assert as_html(Summary.of(shuffled), "x") == as_html(Summary.of(some), "x")


def test_what_pools_are_asked_for_is_the_summarys() -> None:
    given = summary(300, 3000)
    whole = replace(given, loads=tuple(replace(one, room=Amounts(1, 1, 1, 1)) for one in given.loads))
    page = read(as_html(whole))
    assert any(load.notes for load in whole.loads)
    for load in whole.loads:
        (line,) = [one for one in page.lines if re.match(rf"\| {load.pool}( |$)", one) and one.count("|") == 10]
        assert all(note in line for note in load.notes)
        assert f"| {load.nodes:,} |" in line
    assert "the others go where, of the pools that are left to them, most room is." in page.text
    drifting = sum(one.pods for one in whole.drifts)
    assert (
        f"{drifting:,} pods of {len(whole.drifts)} workloads run now where they would not be let any more" in page.text
    )


def test_findings_read_from_json_give_the_same_page(some: list[Finding]) -> None:
    again = [Finding.from_json(json.loads(json.dumps(one.as_json()))) for one in some]
    assert as_html(Summary.of(again)) == as_html(Summary.of(some))


def test_nothing_is_loaded_and_only_its_own_script_and_style_may_run(some: list[Finding]) -> None:
    page = page_of(some)
    (policy,) = [one.attributes["content"] for one in page.every("meta", http_equiv="Content-Security-Policy")]
    digests = {
        tag: base64.b64encode(hashlib.sha256(one.text.encode()).digest()).decode()
        for tag in ("script", "style")
        for one in page.every(tag)
    }
    assert page.tags["script"] == page.tags["style"] == 1
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digests['style']}'; script-src 'sha256-{digests['script']}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    order = [one.tag for one in page.elements]
    assert order.index("meta") < order.index("style") < order.index("script")
    addresses = {one.attributes.get(name) for one in page.elements for name in ("href", "src", "action", "data")}
    assert addresses - {None} == {"data:,", "#findings"}
    names = {name for one in page.elements for name in one.attributes}
    assert [name for name in names if name.startswith("on") or name in ("style", "srcset", "srcdoc")] == []
    assert "url(" not in page.every("style")[0].text
    assert not {"innerHTML", "eval(", "fetch("} & set(page.every("script")[0].text.split())


def hostile(value: Any, text: str) -> Any:
    """A finding's data with a text put into every word of it that its author chooses, and into every key."""
    fixed = {"apiVersion", "kind", "outcome", "mode", "what", "op", "path", "time"}
    if isinstance(value, dict):
        return {key: each if key in fixed else hostile(each, text) for key, each in value.items()}
    if isinstance(value, list):
        return [hostile(each, text) for each in value]
    return value + text if isinstance(value, str) else value


def bad(finding: Finding, text: str) -> Finding:
    data = finding.as_json(diff=False)
    pools = data.pop("pools")
    changed = hostile(data, text) | {
        "pools": pools,
        "placed": {f"{name}{text}": n for name, n in finding.placed.items()},
    }
    changed["pools"] |= {
        "before": [one + text for one in pools["before"]],
        "after": [one + text for one in pools["after"]],
    }
    changed["workload"] = {key: value + text for key, value in data["workload"].items()}
    changed["asked"] = {"uid": text, "operation": text, "dryRun": True, "user": text, "groups": [text]}
    return Finding.from_json(changed)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_finding_becomes_a_part_of_the_page(some: list[Finding], text: str) -> None:
    plain, attacked = page_of([bad(one, "x") for one in some], "x"), page_of([bad(one, text) for one in some], text)
    assert attacked.tags == plain.tags
    keys = [sorted(one.attributes) for one in plain.elements]
    assert [sorted(one.attributes) for one in attacked.elements] == keys
    whole = as_html(Summary.of([bad(one, text) for one in some]), text).decode()
    assert [one for one in whole if not one.isprintable() and one != "\n"] == []
    assert "49" not in page_of([bad(some[0], "{{ 7 * 7 }}")]).every("title")[0].text


def test_a_fleet_fits_on_a_page() -> None:
    page = as_html(Summary.of(findings()), "context prod-eu-1")
    assert 2_000_000 < len(page) < module.MAX_BYTES


def test_what_is_too_much_is_told_in_less_detail_and_then_counted(
    monkeypatch: pytest.MonkeyPatch, some: list[Finding]
) -> None:
    monkeypatch.setattr(module, "BODIES", 4_000)
    monkeypatch.setattr(module, "ROWS", 5_000)
    page = page_of(some)
    entries = page.every("details", class_="entry")
    assert 2 <= len(entries) < len(some)
    assert "Its details are left out for the size of this page; bayplan audit -o jsonl has them." in page.lines
    left = re.findall(r"^(\d+) more workloads? left out for the size of this page", page.text, re.MULTILINE)
    assert len(entries) + sum(map(int, left)) == len(some)


LONG = "x" * 1_000_000


@pytest.mark.parametrize(
    "longer",
    [
        lambda one: replace(one, effect=replace(one.effect, reason=LONG, warnings=(LONG,) * 5)),
        lambda one: replace(one, workload=one.workload._replace(name=LONG, kind=LONG, namespace=LONG)),
        lambda one: replace(one, bundle=LONG, revision=LONG, cluster=LONG),
        lambda one: replace(one, inputs=tuple(each._replace(value=LONG[:50_000]) for each in one.inputs) * 50),
        lambda one: replace(one, effect=replace(one.effect, before={"spec": {"affinity": [LONG[:10_000]] * 4}})),
        lambda one: replace(one, placed={f"{LONG[:5000]}{i}": 1 for i in range(200)}, pods=200),
    ],
)
def test_a_text_without_end_is_cut(some: list[Finding], longer: Callable[[Finding], Finding]) -> None:
    page = as_html(Summary.of([longer(one) for one in some]), LONG)
    assert len(page) < 1_500_000
    read(page)
