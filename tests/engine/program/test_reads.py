"""engine.program.reads: what can be told from the text of an expression."""

from __future__ import annotations

import pytest

from engine.documents import Excerpt
from engine.language import parse
from engine.program.reads import seen_of


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ('pool.labels["a"] == "x" || "b" in pool.labels || has(pool.labels.c) || pool.labels.d == ""', "a b c d"),
        ("pool.cpu > 4.0 && has(pool.price) && pool.readyNodes > 1", "cpu price readyNodes"),
        ('"a" in pool.zones || pool.regions.exists(r, r == pod.spec.x)', "region zone"),
        ('pod.metadata.labels["a"] == .pool.name', "name"),
        ("[1].exists(pool, pool.gpus > 1)", "gpus"),
        ("pod.metadata.name == ''", ""),
    ],
)
def test_what_is_seen_of_a_pool(text: str, seen: str) -> None:
    node, problems = parse(Excerpt.of(text))
    assert node, problems
    reads = seen_of(node)
    assert reads is not None
    assert {read.key.removeprefix("topology.kubernetes.io/") for read in reads} == {*seen.split()}
    assert {read.kind for read in reads} <= {"labels", "field", "listed"}


@pytest.mark.parametrize(
    "text",
    [
        "pool.labels[params.key] == 'a'",
        "pool.labels.exists(k, k == 'a')",
        "size(pool.labels) > 1",
        "params.key in pool.labels",
        "pool.values['a'] == ['b']",
        "pool.taints.exists(t, t.key == 'a')",
        "pool.annotations['a'] == 'b'",
        "'spot' in pool.capacityTypes",
        "pool == pool",
        "has(pool.labels)",
        "[pool].exists(p, p.name == 'a')",
        "cel.bind(p, pool, p.name == 'a')",
        "pool.name == 'a' && pool.unheard",
    ],
)
def test_that_more_may_be_seen_of_a_pool(text: str) -> None:
    node, problems = parse(Excerpt.of(text))
    assert node, problems
    assert seen_of(node) is None
