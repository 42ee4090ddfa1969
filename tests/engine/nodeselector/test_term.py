"""engine.nodeselector.term: what one node selector term says of a node, against Kubernetes' own matching."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from engine.names import is_label_key
from engine.nodeselector.states import (
    EXISTS,
    NODE_NAME,
    NONE,
    Inexpressible,
    integers,
    none_of,
    one_of,
)
from engine.nodeselector.term import (
    EVERYWHERE,
    NOWHERE,
    Term,
    named,
    parse_term,
    term_of,
)
from tests.engine.matching import matches_term, refused_term
from tests.engine.nodeselector.universe import (
    UNIVERSE,
    spellings,
    terms,
    where,
)


@given(terms, terms)
def test_terms_meet_and_compare_as_their_nodes_do(a: Term, b: Term) -> None:
    assert where([a & b]) == where([a]) & where([b])
    assert (a & b).impossible == (where([a]).isdisjoint(where([b])))
    assert (a <= b) == (where([a]) <= where([b]))
    assert (a == b) == (where([a]) == where([b]))
    assert a & b == b & a
    assert a & a == a


@given(terms)
def test_terms_are_emitted_as_what_kubernetes_matches(a: Term) -> None:
    if a == EVERYWHERE:
        with pytest.raises(ValueError, match="every node"):
            a.alternatives()
        return
    emitted = a.alternatives()
    assert [refused_term(one) for one in emitted] == [""] * len(emitted)
    assert len(emitted) == a.width
    found = where([a])
    for i, (labels, name) in enumerate(UNIVERSE):
        assert [matches_term(one, labels, name) for one in emitted].count(True) == (i in found)
    assert where(a.split()) == found
    assert a.split() == tuple(parse_term(one) for one in emitted)


@given(terms)
def test_what_a_term_takes_is_known_before_it_is_said(t: Term) -> None:
    try:
        said = t.alternatives() if t != EVERYWHERE else []
    except Inexpressible:
        return
    values = sum(len(e.get("values", ())) for one in said for listed in one.values() for e in listed)
    assert len(said) == (t.width if said else 0)
    assert values <= t.size
    if said and all(v.spans == EXISTS.spans * v.others for _, v in t.requirements):
        assert values == t.size


@pytest.mark.parametrize("operator", [None, "", "Exists", "XXXX"])
def test_a_field_is_asked_for_by_in_and_not_in_only(operator: str | None) -> None:
    field: dict[str, Any] = {"key": "metadata.name", "values": ["n"], **({"operator": operator} if operator else {})}
    assert parse_term({"matchFields": [field]}) == NOWHERE


def test_what_is_nowhere_is_within_everything() -> None:
    assert term_of({"a": EXISTS}) >= NOWHERE
    assert NOWHERE <= NOWHERE <= EVERYWHERE
    assert not EVERYWHERE <= NOWHERE


def test_an_empty_term_of_kubernetes_is_nowhere() -> None:
    empties: list[dict[str, Any]] = [{}, {"matchExpressions": []}, {"matchFields": None}]
    assert {parse_term(one) for one in empties} == {NOWHERE}


@pytest.mark.parametrize(
    "field",
    [
        {"key": "metadata.name", "operator": "In", "values": ["a", "b"]},
        {"key": "metadata.name", "operator": "In", "values": []},
        {"key": "metadata.namespace", "operator": "In", "values": ["a"]},
        {"key": "metadata.name", "operator": "Exists"},
    ],
)
def test_fields_that_the_api_server_refuses_match_nothing(field: dict[str, Any]) -> None:
    assert parse_term({"matchFields": [field]}) == NOWHERE


def test_node_names_are_no_labels_and_no_integers() -> None:
    assert term_of({NODE_NAME: named(["7"])})[NODE_NAME] & integers(7, 7) == NONE
    assert term_of({NODE_NAME: named(spellings(7))}).width == len(spellings(7))
    assert term_of({"metadata.name": one_of("x")}) != term_of({NODE_NAME: named("x")})


def test_an_expression_without_a_key_is_about_no_label() -> None:
    assert parse_term({"matchExpressions": [{"operator": "Exists"}]}) == NOWHERE
    assert parse_term({"matchExpressions": [{"operator": "NotIn", "values": ["a"]}]}) == EVERYWHERE


@pytest.mark.parametrize("key", ["", "/a", "a/", "a/b/c", "A.b/c", "-a/b", "x" * 64, "a b", "a" * 254 + "/x", "a..b/c"])
def test_illegal_keys(key: str) -> None:
    assert not is_label_key(key)
    assert term_of({key: EXISTS}) == NOWHERE
    assert term_of({key: one_of(["a"])}) == NOWHERE
    assert term_of({key: none_of(["a"])}) == EVERYWHERE
