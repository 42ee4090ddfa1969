"""engine.placement.pod_selector: label selectors written out, and what they count, against a brute-force reading."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.nodeselector import EVERYWHERE, NOWHERE
from engine.placement.pod_selector import CHANGING_LABELS, WORKLOAD_LABELS, counted_pods, own_workload, written_out
from tests.engine import matching
from tests.engine.terms import admits

labels = st.dictionaries(st.sampled_from(["app", "tier", "team"]), st.sampled_from("xy"), max_size=3)
expressions = st.one_of(
    st.builds(
        lambda key, op, values: {"key": key, "operator": op, "values": values},
        st.sampled_from(["app", "tier"]),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from("xyz"), min_size=1, max_size=2),
    ),
    st.builds(
        lambda key, op: {"key": key, "operator": op},
        st.sampled_from(["app"]),
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
)
selectors = st.one_of(
    st.none(),
    st.fixed_dictionaries({}, optional={"matchLabels": labels, "matchExpressions": st.lists(expressions, max_size=2)}),
)
PODS = [
    {k: v for k, v in zip(("app", "tier", "team"), values, strict=True) if v}
    for values in product(["", "x", "y", "z"], repeat=3)
]


@given(selectors)
def test_a_selector_counts_what_kubernetes_counts(selector: dict[str, Any] | None) -> None:
    for pod in PODS:
        assert admits((counted_pods(selector),), pod) == matching.matches_selector(selector, pod)


KEYS = st.lists(st.sampled_from(["app", "tier", "team"]), unique=True, max_size=2)


@given(labels, st.one_of(selectors), KEYS, KEYS)
def test_label_keys_are_written_out_as_the_api_server_would(
    own: dict[str, str], selector: dict[str, Any] | None, keys: list[str], off: list[str]
) -> None:
    """The API server adds `{key, In, [own value]}` for every key that the pod has, and NotIn for mismatched ones."""
    written = written_out(own, selector, keys, off)
    merged = [
        {"key": key, "operator": operator, "values": [own[key]]}
        for operator, listed in (("In", keys), ("NotIn", off))
        for key in listed
        if key in own
    ]
    expected = {**(selector or {}), "matchExpressions": [*((selector or {}).get("matchExpressions") or []), *merged]}
    if written is None:
        assert all(matching.matches_selector(expected, pod) for pod in PODS)
        return
    for pod in PODS:
        assert matching.matches_selector(written, pod) == matching.matches_selector(expected, pod)
    assert counted_pods(selector or {}, own, keys, off) == counted_pods(written)
    assert written_out(own, written) == written


def test_the_pods_own_workload_is_its_labels_less_the_changing_ones() -> None:
    own = {"tier": "web", "app": "shop", **dict.fromkeys(CHANGING_LABELS, "v1")}
    written = own_workload(own)
    assert written == {"matchLabels": {"app": "shop", "tier": "web"}}
    assert list(written["matchLabels"]) == ["app", "tier"]
    assert own_workload({"version": "v1", "pod-template-hash": "abc", "rollouts-pod-template-hash": "abc"}) is None
    assert own_workload({}) is None


def test_of_pods_that_are_labelled_one_by_one_only_what_names_a_workload_counts() -> None:
    own = {"app.kubernetes.io/name": "kafka", "app": "orders", "strimzi.io/pod-name": "orders-kafka-0", "team": "x"}
    assert own_workload(own, WORKLOAD_LABELS) == {"matchLabels": {"app": "orders", "app.kubernetes.io/name": "kafka"}}
    assert own_workload(own, {"team"}) == {"matchLabels": {"team": "x"}}
    assert own_workload({"strimzi.io/pod-name": "orders-kafka-0"}, WORKLOAD_LABELS) is None


def test_mismatched_keys_shut_the_pods_own_value_out() -> None:
    exists = {"matchExpressions": [{"key": "tenant", "operator": "Exists"}]}
    other = {"key": "tenant", "operator": "NotIn", "values": ["blue"]}
    assert written_out({"tenant": "blue"}, exists, (), ["tenant"]) == {
        "matchExpressions": [*exists["matchExpressions"], other]
    }
    assert written_out({}, exists, (), ["tenant"]) == exists  # skipped, as in Kubernetes
    assert written_out({"tenant": "blue"}, {"matchLabels": {"tenant": "red"}}, (), ["tenant"]) == {
        "matchLabels": {"tenant": "red"}
    }
    assert written_out({"tenant": "blue"}, {}, (), ["tenant"]) == {"matchExpressions": [other]}
    assert written_out({}, {}, (), ["tenant"]) is None


@pytest.mark.parametrize("selector", [{}, {"matchLabels": {}}, {"matchExpressions": []}])
def test_an_empty_result_is_none(selector: dict[str, Any]) -> None:
    assert written_out({"app": "x"}, selector) is None
    assert written_out({"app": "x"}, selector, ["missing"]) is None
    assert written_out({"app": "x"}, None, ["missing"]) is None
    assert written_out({"app": "x"}, selector, ["app"]) == {"matchLabels": {"app": "x"}}


def test_a_key_that_the_selector_already_fixes_is_not_repeated() -> None:
    assert written_out({"app": "x"}, {"matchLabels": {"app": "x"}}, ["app"]) == {"matchLabels": {"app": "x"}}
    assert written_out({"app": "x"}, {"matchLabels": {"app": "y"}}, ["app"]) == {
        "matchLabels": {"app": "y"},
        "matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}],
    }


def test_what_is_written_does_not_depend_on_the_order_of_labels_or_expressions() -> None:
    one = {"key": "a", "operator": "In", "values": ["y", "x"]}
    two = {"key": "a", "operator": "Exists"}
    written = {
        repr(written_out({"k": "1", "j": "2"}, {"matchExpressions": order, "matchLabels": match}, keys))
        for order in ([one, two], [two, one])
        for match in ({"p": "1", "q": "2"}, {"q": "2", "p": "1"})
        for keys in (["k", "j"], ["j", "k"])
    }
    assert len(written) == 1


def test_expressions_on_one_key_are_in_one_order() -> None:
    """Those that list values, and one that is said twice."""
    one, other = ({"key": "a", "operator": "In", "values": [value]} for value in "xy")
    exists = {"key": "a", "operator": "Exists"}
    for order in ([one, other, exists, exists], [exists, other, exists, one]):
        assert written_out({}, {"matchExpressions": order}) == {"matchExpressions": [exists, exists, one, other]}


def test_a_key_that_the_pod_lacks_is_skipped_and_the_others_are_not() -> None:
    assert written_out({"app": "x"}, None, ["lacking", "app"]) == {"matchLabels": {"app": "x"}}


def test_an_expression_without_a_key_is_no_traceback() -> None:
    """A pod in a file may hold what the API server would refuse: no label has that key."""
    broken = {"matchExpressions": [{"operator": "Exists"}]}
    assert counted_pods(broken) == NOWHERE
    assert counted_pods({"matchExpressions": [{"operator": "DoesNotExist"}]}) == EVERYWHERE


def test_null_counts_nothing_and_mismatched_keys_are_excluded() -> None:
    assert counted_pods(None) == NOWHERE
    assert counted_pods({}) == EVERYWHERE
    assert admits((counted_pods({}, {"app": "x"}, [], ["app"]),), {"app": "y"})
    assert not admits((counted_pods({}, {"app": "x"}, [], ["app"]),), {"app": "x"})
