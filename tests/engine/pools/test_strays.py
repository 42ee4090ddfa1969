"""engine.pools.strays: which nodes of no pool some terms match, and their taints."""

from __future__ import annotations

from typing import Any

import pytest

from engine.nodeselector import TRUE, parse_term
from engine.pools.pool import Stray, Taint
from engine.pools.strays import StrayIndex
from tests.engine.matching import matches_term

T = Taint("t", "", "NoSchedule")
NODES = [
    Stray("n0", {}),
    Stray("n1", {"a": "1"}, (T,)),
    Stray("n2", {"a": "2", "b": "x"}, (T,)),
    Stray("n3", {"b": "x"}),
]
TERMS: list[dict[str, Any]] = [
    {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]},
    {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}, {"key": "b", "operator": "Exists"}]},
    {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]},
    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n3"]}]},
    {"matchExpressions": [{"key": "c", "operator": "DoesNotExist"}]},
    {},
]


@pytest.mark.parametrize("one", TERMS)
@pytest.mark.parametrize("other", TERMS)
def test_admitted_is_what_a_term_matches(one: dict[str, Any], other: dict[str, Any]) -> None:
    index = StrayIndex(NODES)
    expected = sum(
        1 << i
        for i, node in enumerate(NODES)
        if any(matches_term(term, node.labels, node.name) for term in (one, other))
    )
    terms = tuple(parse_term(term) for term in (one, other))
    assert [index.admitted(terms), index.admitted(terms)] == [expected, expected]


def test_masks_of_all_and_by_taint() -> None:
    index = StrayIndex(NODES)
    assert (index.every, index.admitted(TRUE), index.taints) == (0b1111, 0b1111, {T: 0b0110})
    assert StrayIndex(()).admitted((parse_term(TERMS[0]),)) == 0
