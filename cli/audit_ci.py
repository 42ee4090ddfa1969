"""What an audit found, for machines that run checks: SARIF, JUnit, and annotations of GitHub Actions.

Sources: https://docs.oasis-open.org/sarif/sarif/v2.1.0, https://github.com/testmoapp/junitxml,
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from audit import BLOCKING, Finding, Summary, what_happens, why, worth_telling
from cli.terminal import amount
from engine.documents import printable

MOST_RESULTS = 5_000
"""GitHub shows so many results of a file, and takes 25,000."""
Json = dict[str, Any]


def as_sarif(summary: Summary, folders: Sequence[str]) -> str:
    """The findings as SARIF 2.1.0, each at the rules that had a part in it; what hurts most first."""
    blockers = set(map(id, summary.blockers))
    others = [one for one in summary.findings if id(one) not in blockers and worth_telling(one)]
    told = [*summary.blockers, *others]
    policies = sorted({name for one in told for name in _policies(one)})
    run: Json = {
        "tool": {"driver": {"name": "bayplan", "rules": [{"id": name} for name in policies]}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, folders) for one in told[:MOST_RESULTS]],
        "properties": {"verdict": summary.verdict, "omitted": max(0, len(told) - MOST_RESULTS)},
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2)


def _result(one: Finding, folders: Sequence[str]) -> Json:
    identity = "\0".join((one.cluster, *one.workload, one.outcome, *_policies(one)))
    places = [_location(place, folders) for place in _places(one)]
    logical = {"fullyQualifiedName": printable(f"{one.cluster}/{one.workload.title}".lstrip("/")), "kind": "resource"}
    return {
        "ruleId": next(iter(_policies(one))),
        "level": "error" if one.outcome in BLOCKING else "note",
        "message": {"text": _sentence(one)},
        "locations": [{**place, "logicalLocations": [logical]} for place in places or [{}]][:1],
        "relatedLocations": [{"id": number, **place} for number, place in enumerate(places[1:], 1)],
        "partialFingerprints": {"workload/v1": hashlib.sha256(identity.encode()).hexdigest()[:32]},
    }


def _location(place: tuple[str, int, int], folders: Sequence[str]) -> Json:
    path, line, column = place
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(_file(path, folders))},
            "region": {"startLine": line, "startColumn": column},
        }
    }


def as_junit(summary: Summary, failing: Collection[str]) -> str:
    """The workloads as tests, which fail for these outcomes and consequences."""
    lines = list(_cases(summary, failing))
    failed = sum("<failure " in line for line in lines)
    name = quoteattr(printable(summary.verdict))
    head = f'<testsuite name={name} tests="{len(lines)}" failures="{failed}" errors="0">'
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="bayplan audit">{head}',
            *lines,
            "</testsuite></testsuites>",
        ]
    )


def _cases(summary: Summary, failing: Collection[str]) -> Iterator[str]:
    by_workload: dict[tuple[str, ...], list[Finding]] = {}
    for one in summary.findings:
        by_workload.setdefault((one.cluster, *one.workload), []).append(one)
    for found in by_workload.values():
        first = found[0]
        group = printable(f"{first.cluster}.{first.workload.namespace}".lstrip("."))
        name = printable(f"{first.workload.kind} {first.workload.name}")
        case = f"<testcase classname={quoteattr(group)} name={quoteattr(name)}"
        wrong = [one for one in found if _is_among(one, failing)]
        told = "".join(
            f"<failure type={quoteattr(one.outcome)} message={quoteattr(_sentence(one))}>"
            f"{escape(printable_lines(one))}</failure>"
            for one in wrong
        )
        yield f"{case}>{told}</testcase>" if told else f"{case}/>"


def printable_lines(one: Finding) -> str:
    """What would be done to a workload's pods, as a diff."""
    return "\n".join(map(printable, one.effect.diff or (one.effect.reason,)))


def as_annotations(summary: Summary, failing: Collection[str], folders: Sequence[str]) -> str:
    """Commands of GitHub Actions: what each policy comes to, at the first of its rules that had a part; the verdict."""
    lines: list[str] = []
    for total in summary.by_policy():
        about = [one for one in (*summary.blockers, *summary.findings) if total.name in one.effect.involved]
        parts = [part for one in about for part in one.effect.policies if part.name == total.name]
        place = next((found for part in parts for rule in part.rules if (found := _place(rule.place))), None)
        wrong = any(_is_among(one, failing) for one in about)
        blocks = any(one.outcome in BLOCKING for one in about)
        level = "error" if wrong and blocks else "warning" if blocks else "notice"
        where = f"file={_property(_file(place[0], folders))},line={place[1]},col={place[2]}," if place else ""
        lines.append(f"::{level} {where}title={_property(f'policy {total.name}')}::{_data(total.text)}")
    level = "notice" if summary.ready else "error"
    lines.append(f"::{level} title=bayplan audit::{_data(summary.verdict)}")
    return "\n".join(lines)


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _sentence(one: Finding) -> str:
    because = why(one) or one.effect.reason
    return printable(f"{one.workload.title} ({amount(one.pods, 'pod')}) {what_happens(one)}: {because}")


def _is_among(one: Finding, what: Collection[str]) -> bool:
    return one.outcome in what or any(each.what in what for each in one.effect.follows)


def _policies(one: Finding) -> tuple[str, ...]:
    """The policies that had a part, at least a word for none."""
    return one.effect.involved or ("no-policy",)


def _places(one: Finding) -> list[tuple[str, int, int]]:
    """Where the rules stand that had a part, each once."""
    rules = (rule.place for part in one.effect.policies if part.name in one.effect.involved for rule in part.rules)
    return list(dict.fromkeys(place for rule in rules if (place := _place(rule)) is not None))


def _place(text: str) -> tuple[str, int, int] | None:
    """File, line and column."""
    path, _, rest = text.partition(".yaml:")
    line, _, column = rest.partition(":")
    return (f"{path}.yaml", int(line), int(column)) if line.isdigit() and column.isdigit() else None


def _file(path: str, folders: Sequence[str]) -> str:
    """The path of a bundle's file from here, as far as it is in one of these folders."""
    found = next((folder for folder in folders if (Path(folder) / path).is_file()), "")
    return (Path(found) / path).as_posix()
