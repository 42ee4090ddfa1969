"""engine.decision.marks: what is written on a pod for people, and that nobody else's word stays there."""

from __future__ import annotations

from typing import Any

import jsonpatch
import pytest

from engine.decision import Decider, without_marks
from engine.decision.marks import MAX_ANNOTATIONS, POLICIES, REVISION, marked, marks
from tests.engine.builders import BASE, GOLD, decider, incoming, pod

TOLERATES = "tolerate: [{expression: 'taint.key == \"team\"'}]"
SILENT = "annotate: false"


def engine(*specs: str, bundle: str = "", **more: Any) -> Decider:
    return decider(*specs, bundle=bundle, **more)


def after(deciding: Decider, given: dict[str, Any]) -> Any:
    return jsonpatch.apply_patch(given, list(deciding.decide(incoming(given)).patch))


@pytest.mark.parametrize("own", [None, {}, {"a": "b"}])
def test_a_pod_that_is_placed_names_revision_and_policies(own: Any) -> None:
    deciding = engine(GOLD, TOLERATES, "deny: [{expression: 'false'}]")
    given = pod(metadata={"annotations": own})
    patched = after(deciding, given)
    expected = {**(own or {}), POLICIES: "one,two", REVISION: str(deciding.program.revision)}
    assert patched["metadata"]["annotations"] == expected
    assert deciding.decide(incoming(given)).patched == patched
    assert deciding.decide(incoming(patched)).patch == ()


def test_what_an_author_writes_there_is_made_true_or_removed() -> None:
    forged = pod(metadata={"annotations": {POLICIES: "everything-is-fine", REVISION: "x", "mine": "y"}})
    deciding = engine(GOLD)
    told = after(deciding, forged)["metadata"]["annotations"]
    assert told == {"mine": "y", POLICIES: "one", REVISION: str(deciding.program.revision)}
    for silent in (engine(GOLD, bundle=SILENT), engine("prefer: [{expression: 'true', weight: 1}]\nmode: 'off'")):
        patched = after(silent, forged)
        assert patched["metadata"]["annotations"] == {"mine": "y"}
        assert silent.decide(incoming(patched)).patch == ()


def test_nothing_is_written_where_nothing_else_is_nor_in_audit_mode() -> None:
    held = after(engine(GOLD, bundle=SILENT), pod())
    assert engine(GOLD).decide(incoming(held)).patch == ()
    assert engine(GOLD, mode="audit").decide(incoming(pod())).answer_patch == ()
    assert not engine(GOLD, BASE).decide(incoming(pod())).patch


def test_what_would_not_fit_is_not_written() -> None:
    full = {"a": "x" * (MAX_ANNOTATIONS - 10)}
    given = pod(metadata={"annotations": full})
    assert after(engine(GOLD), given)["metadata"]["annotations"] == full
    long = marks("r", [f"policy-{i:04}" for i in range(500)])
    assert len(long[POLICIES]) == 1_000


def test_parents_that_are_missing_are_added_whole() -> None:
    changed, operations = marked({"spec": {}}, marks("r", ["p"]), placing=True)
    assert jsonpatch.apply_patch({"spec": {}}, list(operations)) == changed
    assert without_marks(changed) == {"spec": {}, "metadata": {}}
