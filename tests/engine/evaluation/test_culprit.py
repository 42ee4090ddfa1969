"""engine.evaluation.culprit: which field of the pod made a policy fail, and what to do about it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from engine.evaluation.culprit import remedy
from engine.language import Budget, BudgetExceeded, NoSuchKey
from tests.engine.builders import decide, inventory, pod

REQUESTS = "spec.containers[*].resources.requests"
GUARD = "or have whoever keeps the policy allow for it"
SEEN = inventory("""
apiVersion: v1
kind: Node
metadata: {name: n, labels: {cloud.google.com/gke-nodepool: gold, tier: gold}}
status: {capacity: {memory: 16Gi}, allocatable: {memory: 16Gi}}
""")
CONTAINERS = [{"name": "a", "image": "i", "resources": {"limits": {"cpu": "1"}}}, {"name": "b", "image": "j"}]


def told(text: str, given: dict[str, Any] | None = None, effect: str = "deny") -> str:
    (policy,) = decide(f"{effect}: [{{expression: {json.dumps(text)}}}]", given=given).policies
    assert policy.outcome == "failed"
    return policy.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('pod.metadata.labels["team"] == "x"', "the pod has no metadata.labels[team]: add it"),
        ('pod.metadata.annotations["team"] == "x"', "the pod has no metadata.annotations: add it"),
        (
            "pod.spec.containers.all(c, c.resources.limits.cpu == '1')",
            "the pod has no spec.containers[1].resources: add it",
        ),
        ("int(pod.spec.containers[0].image) > 1", "that is about spec.containers[0].image: change it"),
        ("pod.spec.containers.all(c, int(c.name) > 1)", "that is about spec.containers[0].name: change it"),
        ("pod.spec.containers[7].name == ''", "that is about spec.containers[7].name: change it"),
        ("1 / (size(pod.spec.containers) - 2) > 1", "that is about spec.containers: change it"),
        ('namespaceObject.metadata.labels["team"] == "x"', "its Namespace has no metadata.labels[team]: add it"),
        ('dyn(request).userInfo.extra.size() == 1', "the request has no userInfo.extra: add it"),
        ('requests["nvidia.com/gpu"] > 1', f"the pod has no {REQUESTS}[nvidia.com/gpu]: add it"),
    ],
)  # fmt: skip
def test_the_field_is_named_and_what_to_do(text: str, expected: str) -> None:
    assert told(text, pod(containers=CONTAINERS)) == f"{expected}, {GUARD}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "requests.memory <= pool.memory",
            f'no such key: "memory"; the pod has no {REQUESTS}[memory]: add it, {GUARD}',
        ),
        (
            'pool.labels["tier"] == pod.metadata.labels["team"]',
            f'no such key: "team"; the pod has no metadata.labels[team]: add it, {GUARD}',
        ),
        ("requests.cpu > 2.0", f'no such key: "cpu"; the pod has no {REQUESTS}[cpu]: add it, {GUARD}'),
        ('pool.labels["nope"] == pod.metadata.?labels[?"nope"].orValue("")', 'no such key: "nope" (pool `gold`)'),
        ('pool.annotations["nope"] == "x"', 'no such key: "nope" (pool `gold`)'),
        ("1 / pool.gpus > 0", "division by zero (pool `gold`)"),
    ],
)
@pytest.mark.parametrize("effect", ["require", "prefer", "fallback"])
def test_what_a_pod_lacks_is_named_where_an_error_is_not_true_either(effect: str, text: str, expected: str) -> None:
    """It is the same on every pool, so none is named."""
    weight = ", weight: 5" if effect == "prefer" else ""
    decision = decide(f"{effect}: [{{expression: {json.dumps(text)}{weight}}}]", given=pod(metadata={}), pools=SEEN)
    assert decision.policies[0].error.partition(": ")[2] == expected


def test_where_it_may_have_been_any_of_many_fields_some_are_named() -> None:
    sizes = " + ".join(f"size(pod.metadata.labels.{name})" for name in "abcde")
    given = pod(metadata={"labels": dict.fromkeys("abcde", "x")})
    said = told(f"[1, 2][{sizes}] == 1", given)
    fields = "metadata.labels[a] or metadata.labels[b] or metadata.labels[c], or 2 more"
    assert said == f"that is about {fields}: change it, {GUARD}"


def test_what_reads_nothing_of_the_pod_is_not_the_pod_s_fault() -> None:
    assert told("[1][cluster.name.size() + 3] == 1").startswith("nothing of the pod is to blame")


def test_of_what_took_too_long_the_largest_field_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In conditions and in requirements alike."""
    monkeypatch.setattr("engine.evaluation.pod_facts.POLICY_BUDGET", 60)
    given = pod(containers=[{"name": f"c{i}", "image": "i"} for i in range(40)])
    text = (
        "size(pod.metadata.name) < 0 || pod.spec.containers.all(c, pod.spec.containers.all(d, c.name != d.name + 'x'))"
    )
    for effect in ("deny", "require"):
        said = told(text, given, effect)
        assert said == f"the largest of what it reads is spec.containers: make that smaller, {GUARD}"


def test_what_stands_in_a_field_is_never_repeated() -> None:
    """The keys are the ones that the policy's author wrote."""
    secret = "hunter2"
    env = [{"name": "PASSWORD", "value": secret}]
    given = pod(containers=[{"name": "c", "image": "i", "env": env}], metadata={"labels": {}})
    value = "pod.spec.containers[0].env[0].value"
    for text in (
        f"int({value}) > 1",
        f"pod.metadata.labels[{value}] == 'x'",
        f"pod.spec.containers[int({value})].name == ''",
    ):
        decision = decide(f'deny: [{{expression: "{text}"}}]', given=given)
        assert "spec.containers[0].env[0].value" in decision.message
        assert secret not in json.dumps(decision.as_json() | {"patched": None})


def test_a_failure_is_never_dear() -> None:
    """However much the pod holds: so many fields and values are looked at, and no more."""

    class Counting(dict[str, Any]):
        asked = 0

        def __getitem__(self, key: str) -> Any:
            Counting.asked += 1
            return super().__getitem__(key)

        def __contains__(self, key: object) -> bool:
            Counting.asked += 1
            return super().__contains__(key)

    containers = [Counting(name=f"c{i}", env=[Counting(name="n", value="v")] * 1000) for i in range(1000)]
    given = {"spec": {"containers": containers}}
    paths = [("pod", "spec", "containers", None, "env", None, f"f{i}") for i in range(100)]
    for error in (NoSuchKey("f99"), BudgetExceeded("spent")):
        remedy(error, paths, (Budget(1), given, {}, {}))
    assert Counting.asked < 10_000


def test_messages_are_read_as_one_sentence() -> None:
    refused = decide("deny: [{expression: 'pod.metadata.labels.team == \"x\"'}]")
    place = r"policies/one\.yaml:\d+:\d+"
    assert re.fullmatch(
        rf'policy one could not be decided: {place}: no such key: "team"; the pod has no metadata\.labels\[team\]: '
        rf"add it, {GUARD}",
        refused.message,
    )
