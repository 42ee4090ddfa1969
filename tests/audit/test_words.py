"""audit.words: decisions and findings in a few words."""

from __future__ import annotations

import pytest

from audit.findings import Finding
from audit.of_decision import finding_of
from audit.words import STAYS, changes, effect, shortened, what_happens, why, worth_telling
from engine.struct import replace
from tests.engine.builders import BASE, GOLD, decide, decider, incoming, pod

TOLERATES = "tolerate: [{expression: 'taint.key == \"team\"'}]"
DENIES = "deny: [{expression: 'true', message: not here}]"
AUDITED = f"{GOLD}\nmode: audit"


@pytest.mark.parametrize(
    ("specs", "said", "told"),
    [
        ((GOLD,), "gets affinity, pools 3 → 1, would stay Pending", True),
        ((GOLD, TOLERATES), "gets affinity, tolerations, pools 3 → 1, would stay Pending", True),
        ((DENIES,), "would be refused", True),
        ((AUDITED,), "audited: gets affinity, pools 3 → 1, would stay Pending", True),
        ((GOLD, f"{BASE}\nwhenEmpty: warn\npriority: -1"), "gets affinity, pools 3 → 1, would stay Pending", True),
        (("prefer: [{expression: 'pool.gpus > 0', weight: 7}]",), "gets affinity", True),
        ((f"{GOLD}\npodSelector: {{matchLabels: {{app: other}}}}",), "stays as it is", False),
    ],
)
def test_an_effect_in_a_few_words(specs: tuple[str, ...], said: str, told: bool) -> None:
    decision = decide(*specs)
    assert (effect(decision), changes(decision)) == (said, told)


def test_a_policy_that_fails_or_gives_way_is_worth_a_line_though_the_pod_stays() -> None:
    failing = decide("deny: [{expression: 'size(pod.metadata.labels.nobody) > 1'}]\nfailurePolicy: Ignore")
    assert (failing.patch, effect(failing), changes(failing)) == ((), "stays as it is", True)
    nowhere = decide("require: [{expression: 'pool.gpus > 100'}]\nwhenEmpty: ignore")
    assert (nowhere.patch, effect(nowhere), changes(nowhere)) == ((), "stays as it is", True)


@pytest.mark.parametrize(
    ("specs", "said", "because"),
    [
        (
            (GOLD,),
            "gets affinity, pools 3 → 1, would stay Pending",
            "what is left is gpu, and it does not tolerate nvidia.com/gpu=",
        ),
        ((BASE,), "gets affinity, pools 3 → 2", ""),
        ((DENIES,), "would be refused", "not here"),
        ((AUDITED,), "audited: gets affinity, pools 3 → 1, would stay Pending", "what is left is gpu"),
        (
            ("deny: [{expression: 'size(pod.metadata.labels.nobody) > 1'}]\nfailurePolicy: Ignore",),
            STAYS,
            "one: policies/one.yaml:7:17: no such",
        ),
        ((f"{GOLD}\npodSelector: {{matchLabels: {{app: other}}}}",), STAYS, ""),
    ],
)
def test_a_finding_in_a_few_words(specs: tuple[str, ...], said: str, because: str) -> None:
    engine = decider(*specs)
    finding = finding_of(engine, engine.decide(incoming(pod())), time="")
    assert what_happens(finding) == said
    assert why(finding).startswith(because)
    assert worth_telling(finding) == (said != STAYS or bool(because))


def test_that_a_pod_is_told_who_placed_it_is_no_effect_beside_others() -> None:
    assert effect(decide(BASE, bundle="annotate: false")) == effect(decide(BASE))


def finding_of_deny(message: str) -> Finding:
    engine = decider(f"deny: [{{expression: 'true', message: '{message}'}}]")
    return finding_of(engine, engine.decide(incoming()), time="2026-11-27T12:00:00Z")


def test_a_reason_is_whole_and_a_table_shortens_it() -> None:
    text = "because " * 60
    finding = finding_of_deny(text.strip())
    assert why(finding) == text.strip()
    assert len(shortened(why(finding))) == 160


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        (
            [{"op": "remove", "path": "/metadata/annotations/bayplan.dev~1revision"}],
            "loses annotations by which it says",
        ),
        ([{"op": "replace", "path": "/metadata/annotations/bayplan.dev~1revision", "value": "a"}], "made true"),
    ],
)
def test_annotations_alone_are_told_as_what_they_are(patch: list[dict[str, str]], told: str) -> None:
    finding = finding_of_deny("x")
    effect = replace(finding.effect, outcome="changed", patch=tuple(patch), policies=())
    assert told in what_happens(replace(finding, effect=effect))
