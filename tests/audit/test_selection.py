"""audit.selection: which pods are meant."""

from __future__ import annotations

from typing import Any

import pytest

from audit.folding import pod_of
from audit.selection import EVERYTHING, Selection, selector_of

POD: dict[str, Any] = {
    "kind": "Pod",
    "metadata": {"namespace": "shop", "labels": {"app": "web", "tier": "b", "example.com/x": ""}},
    "spec": {},
}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier in (a, b)", True),
        ("app=db", False),
        ("app!=db", True),
        ("other!=x", True),
        ("app!=web", False),
        ("tier in (a,c)", False),
        ("tier notin (a,c),app", True),
        ("other notin (a)", True),
        ("app", True),
        ("!app", False),
        ("! other,app=web", True),
        ("other", False),
        ("example.com/x=", True),
        ("example.com/x", True),
    ],
)
def test_labels_as_kubectl_has_them(text: str, meant: bool) -> None:
    selection = Selection(labels=selector_of(text))
    assert selection.has(POD) is meant
    pod = pod_of(POD)
    assert pod is not None
    assert selection.has(pod) is meant


@pytest.mark.parametrize("text", ["=web", "app web", "app in a", "app in (a", "a=b c=d", ",", "a>1", "!"])
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(ValueError, match="is no label selector: expected `key=value`"):
        selector_of(text)


def test_namespaces() -> None:
    assert Selection(frozenset({"shop", "x"})).has(POD)
    assert not Selection(frozenset({"x"})).has(POD)
    bare: dict[str, Any] = {"kind": "Pod", "metadata": {"name": "x"}, "spec": {}}
    pod = pod_of(bare)
    assert pod is not None
    for given in (bare, pod, {}, {"metadata": 7}):
        assert Selection(frozenset({"default"})).has(given)
        assert EVERYTHING.has(given)
