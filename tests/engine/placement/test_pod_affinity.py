"""engine.placement.pod_affinity: terms are united by what they mean."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from engine.names import PREFERRED, REQUIRED
from engine.placement.pod_affinity import added_terms, pod_term, term_identity
from engine.placement.weights import capped

LABELS = {"app": "web", "rev": "1"}
WEB, SPELLED = (
    {"matchLabels": {"app": "web"}},
    {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]},
)
HOST, ZONE = pod_term("host", WEB), pod_term("zone", WEB)


def test_terms_that_mean_the_same_are_one() -> None:
    assert term_identity(pod_term("host", SPELLED), LABELS) == term_identity(HOST, LABELS)
    keyed = {**HOST, "matchLabelKeys": ["rev"]}
    assert term_identity(keyed, LABELS) == term_identity(pod_term("host", {"matchLabels": LABELS}), LABELS)
    unlike = {**HOST, "mismatchLabelKeys": ["rev"]}
    different = [HOST, ZONE, keyed, unlike, pod_term("host", WEB, ["a"]), pod_term("host", WEB, namespace_selector={})]
    assert len({term_identity(one, LABELS) for one in different}) == len(different)
    assert pod_term("host", WEB, ["b", "a", "b"]) == {
        "topologyKey": "host",
        "labelSelector": WEB,
        "namespaces": ["a", "b"],
    }


def test_what_a_pod_says_is_not_added_again() -> None:
    existing: dict[str, Any] = {
        REQUIRED: [pod_term("host", SPELLED)],
        PREFERRED: [{"weight": 20, "podAffinityTerm": pod_term("zone", SPELLED)}] * 3,
    }
    assert added_terms(existing, [(None, HOST), (50, HOST), (50, ZONE)], LABELS) == ((), ())
    assert added_terms(existing, [(61, HOST), (61, ZONE)], LABELS) == ((), ({"weight": 61, "podAffinityTerm": ZONE},))
    assert added_terms(existing, [(None, ZONE)], LABELS) == ((ZONE,), ())
    assert added_terms({}, [(1, ZONE)], LABELS) == ((), ({"weight": 1, "podAffinityTerm": ZONE},))
    assert added_terms({}, [(None, HOST), (50, HOST), (50, ZONE)], LABELS) == (
        (HOST,),
        ({"weight": 50, "podAffinityTerm": ZONE},),
    )


def test_the_order_of_policies_does_not_matter() -> None:
    wanted = [
        (None, ZONE),
        (None, HOST),
        (30, pod_term("rack", WEB)),
        (80, pod_term("rack", SPELLED)),
        (5, pod_term("x", WEB)),
    ]
    results = {repr(added_terms({}, list(order), LABELS)) for order in permutations(wanted)}
    assert len(results) == 1
    required, preferred = added_terms({}, wanted, LABELS)
    assert required == (HOST, ZONE)
    assert [one["weight"] for one in preferred] == [100, 5]


def test_namespace_selectors_count() -> None:
    """By what they select; a term without one comes first, the others in one order."""
    team = {"matchLabels": {"team": "a"}}
    spelled = {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a"]}]}
    of_team, of_all = pod_term("host", WEB, namespace_selector=team), pod_term("host", WEB, namespace_selector={})
    assert term_identity(of_team, LABELS) == term_identity(pod_term("host", WEB, namespace_selector=spelled), LABELS)
    assert term_identity(of_team, LABELS) != term_identity(of_all, LABELS)
    assert added_terms({REQUIRED: [of_team]}, [(None, of_team), (None, of_all)], LABELS) == ((of_all,), ())
    other = pod_term("host", WEB, namespace_selector={"matchLabels": {"team": "b"}})
    for order in permutations([HOST, of_all, of_team, other]):
        assert added_terms({}, [(None, one) for one in order], LABELS)[0] == (HOST, of_all, of_team, other)


def test_weights_keep_their_proportions_under_a_hundred() -> None:
    assert capped({"a": 100, "b": 1}) == {"a": 100, "b": 1}
    assert capped({"a": 200, "b": 100, "c": 1}) == {"a": 100, "b": 50, "c": 1}
    assert capped({"a": 0, "b": -3, "c": 7}) == {"c": 7}
    assert capped({}) == {}


def test_which_namespaces_are_meant_is_part_of_a_term() -> None:
    """None is the pod's own, an empty selector all of them, beside which names say nothing more."""
    terms = [
        pod_term("host", WEB),
        pod_term("host", WEB, (), {}),
        pod_term("host", WEB, ("a",)),
        pod_term("host", WEB, (), {"matchLabels": {"team": "a"}}),
        pod_term("host", WEB, ("a",), {"matchLabels": {"team": "a"}}),
    ]
    assert len({term_identity(one, LABELS) for one in terms}) == len(terms)
    assert term_identity(pod_term("host", WEB, ("a",), {}), LABELS) == term_identity(terms[1], LABELS)
    assert "namespaceSelector" not in terms[0]
    assert terms[1]["namespaceSelector"] == {}


def test_a_term_over_all_namespaces_is_not_written_beside_one_of_the_own() -> None:
    wide = pod_term("host", WEB, (), {})
    assert added_terms({REQUIRED: [HOST]}, [(None, wide)], LABELS)[0] == (wide,)
    assert added_terms({REQUIRED: [{**wide, "labelSelector": SPELLED}]}, [(None, wide)], LABELS) == ((), ())
