"""The language means here what it means in a ValidatingAdmissionPolicy of a real API server, over the same pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from engine.language import OVERLOADS
from engine.pods import namespace_object
from engine.pods.defaults import defaulted
from tests.test_language_docs import FUNCTIONS

from .controlplane import ControlPlane, Json
from .expressions import Outcome, ours, refusal, theirs

LANGUAGE = Path(__file__).parent / "language"
TEAM = {"team": "ml"}
GROUPS = ["system:masters", "system:authenticated"]
EARLY = ("bad-constant: ", "index-out-of-range: ", "bad-key: ")
"""The rules by which we refuse what the API server accepts, and finds to fail each time."""


@dataclass(frozen=True, slots=True)
class Case:
    """An expression and what the API server made of it; `early` where we say before that it will fail."""

    expression: str
    outcome: Outcome
    early: bool


def corpus() -> dict[str, list[Case]]:
    """The recorded cases by section."""
    sections = yaml.safe_load((LANGUAGE / "corpus.yaml").read_text())
    return {name: [_case(**entry) for entry in entries] for name, entries in sections.items()}


def _case(expression: str, early: bool = False, **outcome: str) -> Case:
    ((kind, text),) = outcome.items()
    return Case(expression, Outcome(kind, text), early)


SECTIONS = corpus()
CASES = [case for cases in SECTIONS.values() for case in cases]
POD = yaml.safe_load((LANGUAGE / "pod.yaml").read_text())


def values(pod: Json, namespace: Json) -> dict[str, Json]:
    """What the variables are, given the pod as it is admitted."""
    name = namespace["metadata"]["name"]
    user = {"username": "admin", "uid": "", "groups": GROUPS}
    request = {"operation": "CREATE", "namespace": name, "dryRun": True, "userInfo": user}
    return {"object": pod, "request": request, "namespaceObject": namespace_object(namespace)}


def differences(answers: Mapping[str, Outcome], ours_of: Mapping[str, Json]) -> list[str]:
    """Where the engine makes something else of an expression than the API server does."""
    found = []
    early = {case.expression for case in CASES if case.early}
    for expression, outcome in answers.items():
        mine = ours(expression, ours_of)
        same = mine.kind == outcome.kind and (mine.kind != "value" or mine.text == outcome.text)
        if expression in early:
            same = outcome.kind == "error" and mine.kind == "refused" and mine.text.startswith(EARLY)
        found += [] if same else [f"{expression}\n  Kubernetes: {outcome}\n  here: {mine}"]
    return found


def test_the_corpus_has_every_library_and_every_kind_of_outcome() -> None:
    text = "\n".join(case.expression for case in CASES)
    offered = {o.library for group in OVERLOADS.values() for o in group if o.kubernetes}
    mentioned = {o.library for name, group in OVERLOADS.items() for o in group if f"{name.rpartition('.')[2]}(" in text}
    assert offered <= mentioned
    assert len(CASES) >= 800
    assert {case.outcome.kind for case in CASES} == {"value", "error", "refused"}


@pytest.mark.parametrize("section", SECTIONS)
def test_the_engine_agrees_with_what_was_recorded(section: str) -> None:
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "corpus",
            "uid": "00000000-0000-4000-8000-000000000000",
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"kubernetes.io/metadata.name": "corpus", **TEAM},
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }
    pod = defaulted({**POD, "metadata": {**POD["metadata"], "namespace": "corpus"}})
    recorded = {case.expression: case.outcome for case in SECTIONS[section]}
    assert differences(recorded, values(pod, namespace)) == []


def test_the_api_server_agrees(cluster: ControlPlane) -> None:
    namespace = cluster.add_namespace("corpus", TEAM)
    pod = cluster.create_pod("corpus", POD, dry_run=True)
    accepted = [case.expression for case in CASES if case.outcome.kind != "refused"]
    answers = dict(zip(accepted, theirs(cluster, "corpus", POD, accepted), strict=True))
    for case in CASES:
        if case.outcome.kind == "refused":
            answers[case.expression] = Outcome("refused", refusal(cluster, case.expression))
    assert [c.expression for c in CASES if answers[c.expression].kind != c.outcome.kind] == []
    assert [c.expression for c in CASES if c.outcome.text not in answers[c.expression].text] == []
    assert differences(answers, values(pod, namespace)) == []


def test_the_api_server_has_the_functions_that_are_said_to_be_kubernetes(cluster: ControlPlane, namespace: str) -> None:
    overloads = [overload for group in OVERLOADS.values() for overload in group]
    examples = {one.example: one.kubernetes for one in (*overloads, *FUNCTIONS.MACROS)}
    offered = [example for example, kubernetes in examples.items() if kubernetes]
    outcomes = theirs(cluster, namespace, POD, offered)
    assert {e: o for e, o in zip(offered, outcomes, strict=True) if o != Outcome("value", '"true"')} == {}
    assert [e for e, kubernetes in examples.items() if not kubernetes and not refusal(cluster, e)] == []
