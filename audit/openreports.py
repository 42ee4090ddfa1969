"""Findings as objects of kind Report, of OpenReports (openreports.io/v1alpha1): one for each workload.

What an object is to say follows from findings alone, whoever writes it: each policy that is about the pods is a result.
`outdated` says whether an object has to be written, so that nothing is written twice; a result keeps its timestamp for
as long as it says the same. Names, labels and messages may be an adversary's: all that is taken over is one line of
characters that show, shortened, and what does not fit into MAX_BYTES is left out and counted, what hurts least first.

Source: github.com/openreports/reports-api v0.2.1, apis/openreports.io/v1alpha1/report_types.go; of the sizes,
etcd's limit of 1.5 MiB for a request.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from audit.findings import Finding, PolicyPart, Workload
from audit.words import what_happens
from engine.bundle import BUNDLE_LABEL
from engine.documents import printable
from engine.struct import Struct

Json = Mapping[str, Any]
Result = Literal["fail", "error", "warn", "skip", "pass"]

REPORTS_VERSION, REPORT = "openreports.io/v1alpha1", "Report"
SOURCE, CATEGORY = "bayplan", "Placement"
MANAGED_BY = "app.kubernetes.io/managed-by"
REVISION, LEFT_OUT = "bayplan.dev/revision", "bayplan.dev/left-out"
MAX_BYTES = 480 * 1024
"""Of the JSON of a report as the API server stores it, without what it adds itself."""
NOTE_BYTES = 1024
"""Kept free for the result that says how many there are no more."""
MAX_MESSAGE, MAX_PROPERTY, MAX_NAME = 1_024, 256, 253
"""Characters of a message, of a property and of a name."""
RESULTS: tuple[Result, ...] = ("fail", "error", "warn", "skip", "pass")
"""From what hurts most to what nobody minds."""
SEVERITIES = ("high", "medium", "low", "info")
MAX_LABEL = 63
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_ODD = re.compile(r"[^a-z0-9]+")


class Fares(NamedTuple):
    """How a policy fares with pods: the result, how much it matters, and why, in words."""

    result: Result
    severity: str
    message: str


class Report(Struct, frozen=True):
    """What is to be said of a workload: results without timestamps, what hurts most first, and how many there are of
    each kind; `left_out` are those that there is no room for, which are counted with them."""

    workload: Workload
    bundle: str
    revision: str
    results: tuple[Json, ...]
    summary: Mapping[Result, int]
    left_out: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name of the object."""
        one = self.workload
        words = _ODD.sub("-", f"{one.kind}-{one.name}".lower()[:200]).strip("-")
        told = hashlib.sha256(
            "\0".join((self.bundle, _group(one.api_version), one.kind, one.name)).encode(errors="surrogatepass")
        )
        return one.namespace, f"{words or 'of'}-{told.hexdigest()[:10]}"

    def as_object(self, uid: str, now: str, there: Json | None = None) -> dict[str, Any]:
        """The object, for a workload with this uid, empty where it is not known; `now` is RFC 3339, and `there` the
        object as it is, whose timestamps are kept."""
        one, (namespace, name) = self.workload, self.key
        reference = {"apiVersion": one.api_version, "kind": one.kind, "name": one.name, "uid": uid}
        owned = bool(uid) and all(text == _short(text, MAX_NAME) for text in reference.values())
        annotations = {REVISION: _short(self.revision, 4 * MAX_NAME)}
        scope = {
            "apiVersion": _short(one.api_version, MAX_NAME),
            "kind": _short(one.kind, MAX_NAME),
            "namespace": namespace,
            "name": _short(one.name, MAX_NAME),
        }
        return {
            "apiVersion": REPORTS_VERSION,
            "kind": REPORT,
            "metadata": {
                "namespace": namespace,
                "name": name,
                "labels": own_labels(self.bundle),
                "annotations": annotations | ({LEFT_OUT: str(self.left_out)} if self.left_out else {}),
                "ownerReferences": [reference] if owned else [],
            },
            "source": SOURCE,
            "scope": scope | ({"uid": uid} if owned else {}),
            "summary": dict(self.summary),
            "results": list(_timed(self.results, now, there)),
        }


def own_labels(bundle: str) -> dict[str, str]:
    """The labels by which the reports of a bundle are known."""
    return {MANAGED_BY: SOURCE, BUNDLE_LABEL: _label(bundle)}


def reports_of(findings: Iterable[Finding]) -> list[Report]:
    """The reports that findings come to, in their order; none of workloads that no policy is about."""
    found: dict[tuple[Workload, str], list[Finding]] = {}
    for one in findings:
        found.setdefault((one.workload, one.bundle), []).append(one)
    made = (_report(workload, bundle, some) for (workload, bundle), some in found.items())
    return [one for one in made if one.results]


def outdated(there: Json, wanted: Json) -> bool:
    """Whether an object says something else than it is to say. What others have written on it does not count."""
    has, wants = _metadata(there), wanted["metadata"]
    labels = has.get("labels")
    if not isinstance(labels, Mapping) or not wants["labels"].items() <= labels.items():
        return True
    said = has.get("annotations")
    own = {key: said.get(key) for key in (REVISION, LEFT_OUT) if key in said} if isinstance(said, Mapping) else {}
    references = has.get("ownerReferences") or []
    unowned = any(one not in references for one in wants["ownerReferences"])
    return unowned or own != wants["annotations"] or any(there.get(key) != wanted[key] for key in _SAID)


def workload_in(there: Json) -> Workload | None:
    """The workload that an object says it is about."""
    scope = there.get("scope")
    if not isinstance(scope, Mapping):
        return None
    said = [str(scope.get(key) or "") for key in ("apiVersion", "kind", "namespace", "name")]
    return Workload(*said)


_SAID = ("source", "scope", "summary", "results")


def _report(workload: Workload, bundle: str, findings: Iterable[Finding]) -> Report:
    counted: dict[str, tuple[dict[str, Any], int]] = {}
    revision = ""
    for one in findings:
        revision = one.revision
        for part in one.effect.policies:
            result = _result(one, part)
            key = json.dumps(result, sort_keys=True)
            _, pods = counted.get(key, (result, 0))
            counted[key] = result, pods + one.pods
    results = [
        {**result, "properties": {**result["properties"], "pods": str(pods)}} for result, pods in counted.values()
    ]
    results.sort(key=_order)
    summary: dict[Result, int] = dict.fromkeys(RESULTS, 0)
    for each in results:
        summary[each["result"]] += 1
    kept = list(_fitting(results))
    left_out = len(results) - len(kept)
    if left_out:
        kept.append(_note(left_out))
    return Report(workload, bundle, revision, tuple(kept), summary, left_out)


def _result(finding: Finding, part: PolicyPart) -> dict[str, Any]:
    """One result, but for its timestamp and how many pods it is about."""
    fares = _fares(finding, part)
    pools = finding.effect.pools
    follows = "; ".join(each.text for each in finding.effect.follows)
    properties = {
        "outcome": finding.outcome,
        "mode": finding.mode if part.mode == "enforce" else part.mode,
        "pools": f"{_names(pools.before)} → {_names(pools.after)}",
        "follows": follows,
    }
    return {
        "source": SOURCE,
        "policy": _short(part.name, MAX_NAME),
        **({"rule": _short(part.rules[0].place, MAX_NAME)} if part.rules else {}),
        "category": CATEGORY,
        "severity": fares.severity,
        "result": fares.result,
        "scored": fares.result in ("pass", "fail", "error"),
        "message": _short(fares.message, MAX_MESSAGE),
        "properties": {key: _short(text, MAX_PROPERTY) for key, text in properties.items() if text},
    }


def _fares(finding: Finding, part: PolicyPart) -> Fares:
    match part.outcome:
        case "denied":
            return Fares("fail", "high", part.message or part.error or finding.effect.reason)
        case "failed":
            return Fares("error", "high", part.error or part.message)
        case "overruled":
            return Fares("warn", "medium", part.message or "it is left out, for others leave it nothing")
        case "notRolledOut":
            return Fares("skip", "info", part.message or "it is not rolled out to these pods")
        case "applied" | "audited":
            return _applied(finding, part)
    drifted = _drift(finding)
    if drifted and not any(one.outcome in ("applied", "audited") for one in finding.effect.policies):
        return Fares("fail", "medium", drifted)
    return Fares("pass", "info", part.message or "the pods ask for it already")


def _applied(finding: Finding, part: PolicyPart) -> Fares:
    """Of a policy that would write something: it matters more where pods would wait, or run where it forbids."""
    if finding.outcome == "denied":
        return Fares("skip", "info", "another policy refuses the pods")
    words = [what_happens(finding), *dict.fromkeys(rule.message for rule in part.rules if rule.message)]
    drifted = _drift(finding)
    if finding.outcome == "unschedulable":
        hopeless = [one.text for one in finding.effect.follows if one.what in ("noPool", "taint", "capacity")]
        return Fares("fail", "high", "; ".join(dict.fromkeys([*words, *hopeless])))
    if drifted:
        return Fares("fail", "medium", "; ".join([*words, drifted]))
    if finding.outcome == "unchanged":
        return Fares("pass", "info", part.message or "the pods ask for it already")
    return Fares("warn", "low", "; ".join(words))


def _drift(finding: Finding) -> str:
    """That pods run where they would not be let any more, in words; empty where none do."""
    return "; ".join(one.text for one in finding.effect.follows if one.what == "leaves")


def _names(pools: Iterable[str]) -> str:
    return ", ".join(pools) or "none"


def _order(result: Json) -> tuple[int, int, str, str, str]:
    return (
        RESULTS.index(result["result"]),
        SEVERITIES.index(result["severity"]),
        result["policy"],
        result.get("rule", ""),
        json.dumps(result, sort_keys=True),
    )


def _fitting(results: Iterable[Json]) -> Iterator[Json]:
    """As many as there is room for, the first ones."""
    left = MAX_BYTES - NOTE_BYTES - 8 * MAX_NAME * len("\\u003c")
    for one in results:
        left -= stored_bytes({**one, "timestamp": _LONGEST}) + 1
        if left < 0:
            return
        yield one


def _note(left_out: int) -> dict[str, Any]:
    many = f"{left_out:,} more results are" if left_out > 1 else "1 more result is"
    return {
        "source": SOURCE,
        "policy": SOURCE,
        "rule": "left-out",
        "category": CATEGORY,
        "severity": "info",
        "result": "skip",
        "scored": False,
        "message": f"{many} left out, for the report would be too large: `bayplan audit -o jsonl` prints all of them",
        "properties": {"leftOut": str(left_out)},
    }


def _timed(results: Iterable[Json], now: str, there: Json | None) -> Iterator[dict[str, Any]]:
    """Results with the time since when they say so: of old, if they said so before."""
    said = (there or {}).get("results")
    since: dict[str, Any] = {}
    for each in said if isinstance(said, list) else ():
        if isinstance(each, Mapping) and _is_time(each.get("timestamp")):
            key = json.dumps({key: value for key, value in each.items() if key != "timestamp"}, sort_keys=True)
            since.setdefault(key, each["timestamp"])
    moment = {"seconds": int(datetime.fromisoformat(now).timestamp()), "nanos": 0}
    for one in results:
        yield {**one, "timestamp": since.get(json.dumps(one, sort_keys=True), moment)}


def _is_time(said: object) -> bool:
    return isinstance(said, Mapping) and said.keys() == _LONGEST.keys() and said["nanos"] == 0


_LONGEST = {"seconds": 10**10, "nanos": 0}


def stored_bytes(data: object) -> int:
    """Bytes of JSON as the API server's encoder writes it, which escapes `<`, `>` and `&`."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode()) + 5 * sum(map(text.count, "<>&"))


def _short(text: str, most: int) -> str:
    """One line of characters that show, of at most so many."""
    line = printable(" ".join(text[: 4 * most].split()))
    return line if len(line) <= most and len(text) <= 4 * most else f"{line[: most - 1]}…"


def _label(bundle: str) -> str:
    """The name of a bundle, or of several, as a label's value."""
    joined = bundle.replace(", ", "_")
    if _LABEL.fullmatch(joined):
        return joined
    told = hashlib.sha256(bundle.encode(errors="surrogatepass")).hexdigest()[:10]
    return f"{re.sub('[^A-Za-z0-9]+', '-', joined)[:50].strip('-') or 'bundle'}-{told}"


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def _metadata(there: Json) -> Json:
    found = there.get("metadata")
    return found if isinstance(found, Mapping) else {}
