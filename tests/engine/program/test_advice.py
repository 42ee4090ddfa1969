"""engine.program.advice: what is warned of, and what is not."""

import pytest

from tests.engine.builders import decider

GOOD = 'require: [{expression: \'"a" in pool.zones && node.zone == "a"\'}]'
MIXED = "require: [{expression: '\"spot\" in pool.capacityTypes'}]"
READS = "require: [{expression: 'true'}]\nmatchConditions: [{name: n, expression: '!has(pod.spec.affinity)'}]"

CREATED, THEN = "namespaceObject.metadata.creationTimestamp", 'timestamp("2026-01-01T00:00:00Z")'
BORN = f"has({CREATED})"


@pytest.mark.parametrize(
    ("spec", "rules"),
    [
        (MIXED, ["mixed-pool"]),
        (GOOD, []),
        ("prefer: [{expression: '\"spot\" in pool.capacityTypes', weight: 5}]", []),
        (READS, ["reads-what-policies-write"]),
        ("require: [{expression: 'size(pod.spec.?tolerations.orValue([])) == 0'}]", ["reads-what-policies-write"]),
        (f"deny: [{{expression: '{BORN} && {CREATED} < {THEN}'}}]", ["text-for-timestamp"]),
        (f"deny: [{{expression: '{BORN} && {CREATED}.getFullYear() < 2000'}}]", ["text-for-timestamp"]),
        (
            f"variables: [{{name: t, expression: '{BORN} ? {CREATED} : {THEN}'}}]\n"
            "deny: [{expression: variables.t < variables.t}]",
            ["text-for-timestamp"],
        ),
        (f"deny: [{{expression: '{BORN} && timestamp(dyn({CREATED})) < {THEN}'}}]", []),
        (f"deny: [{{expression: '{BORN}'}}]", []),
        (f"deny: [{{expression: '{THEN} < {THEN}'}}]", []),
        ("variables: [{name: x, expression: '1'}]\nrequire: [{expression: 'true'}]", ["unused-variable"]),
    ],
)
def test_warnings(spec: str, rules: list[str]) -> None:
    """They do not stop the bundle."""
    assert [problem.rule for problem in decider(spec).program.warnings] == rules
