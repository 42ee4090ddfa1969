"""audit.findings: the contract, a Finding and its JSON, and what follows from a finding alone."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import jsonpatch
import pytest

from audit.findings import CONSEQUENCES, FINDING_OUTCOMES, Effect, Finding, Following, Workload, gravest, patched
from audit.of_decision import finding_of
from tests.engine.builders import GOLD, decide, decider, incoming, pod
from tests.engine.worlds import a_pod, a_world
from tests.engine.worlds import incoming as on_its_way

TIME = "2026-01-01T00:00:00Z"
DENIES = "deny: [{expression: 'true', message: not here}]"


def found(*specs: str, given: dict[str, Any] | None = None, **options: Any) -> Finding:
    """The finding about one pod, as an admission's."""
    engine = decider(*specs, **options)
    return finding_of(engine, engine.decide(incoming(given)), time=TIME, cluster="east", asked=True)


CASES = [
    (GOLD,),
    (DENIES,),
    (f"{GOLD}\nmode: audit", "prefer: [{expression: 'pool.gpus > 0', weight: 7}]"),
    ("deny: [{expression: 'size(pod.metadata.labels.nobody) > 1'}]\nfailurePolicy: Ignore",),
    ("require: [{expression: 'pool.gpus > 100'}]",),
]


@pytest.mark.parametrize("specs", CASES)
def test_a_finding_is_the_same_after_a_way_through_json(specs: tuple[str, ...]) -> None:
    finding = found(*specs)
    text = json.dumps(finding.as_json())
    assert Finding.from_json(json.loads(text)) == finding
    assert Finding.from_json(json.loads(text)).as_json() == json.loads(text)
    assert Finding.from_json(finding.as_json(diff=False)) == finding


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_decided_becomes_a_finding_and_comes_back(seed: int) -> None:
    dice = random.Random(seed)
    engine = a_world(dice).decider()
    for _ in range(4):
        finding = finding_of(engine, engine.decide(on_its_way(a_pod(dice))), time=TIME)
        assert Finding.from_json(json.loads(json.dumps(finding.as_json()))) == finding


@pytest.mark.parametrize("broken", [{}, [], None, "x", {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Finding"}])
def test_what_is_no_finding_is_refused_in_words(broken: Any) -> None:
    with pytest.raises(ValueError, match="this is no finding"):
        Finding.from_json(broken)


def test_a_field_of_the_wrong_kind_is_refused() -> None:
    data = found(GOLD).as_json()
    for key, value in (("outcome", "fine"), ("mode", "loud"), ("pools", 3), ("policies", [1]), ("pods", "many")):
        with pytest.raises(ValueError):  # noqa: PT011 - any words
            Finding.from_json(data | {key: value})


def test_the_diff_follows_from_the_patch() -> None:
    finding = found(GOLD)
    assert finding.effect.diff[:3] == ("--- before", "+++ after", "@@ -1 +1,9 @@")
    assert all(line.startswith("+") for line in finding.effect.diff[3:])
    assert finding.as_json()["diff"] == list(finding.effect.diff)
    assert found(DENIES).effect.diff == ()


def test_a_patch_is_worked_in_as_json_patch_has_it() -> None:
    own = {"tolerations": [{"key": "own", "operator": "Exists"}], "affinity": {"nodeAffinity": {}}}
    decision = decide(GOLD, "tolerate: [{expression: 'taint.key == \"team\"'}]", given=pod(**own))
    whole = jsonpatch.apply_patch(dict(decision.incoming.pod), list(decision.patch))
    effect = Effect("changed", "", patch=decision.patch, before={"spec": own})
    named = {"annotations": whole["metadata"]["annotations"]}
    assert effect.after == {"spec": {key: whole["spec"][key] for key in own}, "metadata": named}
    assert effect.before == {"spec": own}


@pytest.mark.parametrize("path", ["/metadata/annotations", "/metadata/annotations/bayplan.dev~1revision"])
def test_annotations_are_worked_in(path: str) -> None:
    value = "r" if path.endswith("revision") else {"bayplan.dev/revision": "r"}
    operation = {"op": "add", "path": path, "value": value}
    assert patched({}, [operation]) == {"metadata": {"annotations": {"bayplan.dev/revision": "r"}}}


def test_what_a_pods_author_wrote_in_our_name_is_removed_in_the_diff_too() -> None:
    given = pod(metadata={"annotations": {"bayplan.dev/revision": "forged", "team": "ml"}})
    decision = decide(GOLD, given=given, bundle="annotate: false")
    finding = found(GOLD, given=given, bundle="annotate: false")
    whole = jsonpatch.apply_patch(dict(given), list(decision.patch))
    assert whole["metadata"]["annotations"] == {"team": "ml"}
    assert finding.effect.before["metadata"] == {"annotations": {"bayplan.dev/revision": "forged"}}
    assert finding.effect.after["metadata"] == {"annotations": {}}
    assert any(line.startswith("-") and "forged" in line for line in finding.effect.diff)


def test_nothing_of_a_pods_containers_is_in_a_finding() -> None:
    secret = "hunter2-very-secret"
    container = {"name": "c", "image": "i", "env": [{"name": "PASSWORD", "value": secret}], "args": [secret]}
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"x": secret})}
    given = pod(containers=[container], metadata={"annotations": annotations})
    reading = [
        "pod.spec.containers.exists(c, c.?env.orValue([]).exists(e, e.?value.orValue('') != 'x'))",
        "pod.spec.containers.all(c, c.?args.orValue([]).size() > 0)",
        "has(pod.metadata.annotations)",
        "pod.metadata.annotations.all(k, k != 'x')",
    ]
    conditions = ", ".join(f'{{name: c{i}, expression: "{one}"}}' for i, one in enumerate(reading))
    finding = found(f"{GOLD}\nmatchConditions: [{conditions}]", given=given)
    assert finding.outcome == "unschedulable"
    assert secret not in json.dumps(finding.as_json())


def test_the_gravest_outcome_of_several() -> None:
    assert gravest(["changed", "denied", "unchanged"]) == "denied"
    assert gravest([]) == "unchanged"


def test_a_finding_can_be_about_more_pods() -> None:
    several = found(GOLD).with_pods(7, {"gpu": 3, "": 4})
    assert (several.pods, several.placed) == (7, {"gpu": 3, "": 4})
    assert several.workload == Workload("v1", "Pod", "team", "web-0")
    assert several.workload.title == "Pod team/web-0"


def test_what_an_admission_did_is_told_apart_from_what_would_be() -> None:
    audited = found(f"{GOLD}\nmode: audit")
    assert (audited.mode, audited.outcome) == ("enforce", "unschedulable")
    assert audited.enforced is not None
    assert audited.done == audited.enforced
    assert audited.enforced.outcome == "unchanged"
    assert found(GOLD, mode="audit").done is None
    whole = found(GOLD)
    assert whole.done == whole.effect


def test_the_page_says_every_key() -> None:
    """The contract: keys are documented, in a table, and none is renamed."""
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    told = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    data = found(*CASES[2]).as_json()
    assert data.keys() <= told
    following = Following("leaves", "", ("a",), ("b",), 3)
    assert all(f"`{word}`" in page for word in (*FINDING_OUTCOMES, *CONSEQUENCES, *following._fields))
