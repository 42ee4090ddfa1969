"""audit.original: a running pod as it was asked for."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from audit.original import APPLIED, as_asked_for

PLACED: dict[str, Any] = {
    "affinity": {"nodeAffinity": {}},
    "tolerations": [{"operator": "Exists"}],
    "nodeName": "n",
    "containers": [{"name": "a"}],
}
TEMPLATE = {"tolerations": [{"key": "k"}], "containers": [{"name": "other"}]}


def pod(spec: Any = PLACED, **annotations: str) -> dict[str, Any]:
    metadata = {"name": "web-1", "annotations": {"bayplan.dev/policies": "x", **annotations}}
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Running"}}


def made_by(spec: Any = TEMPLATE) -> dict[str, Any]:
    return {"kind": "ReplicaSet", "metadata": {"name": "web"}, "spec": {"template": {"spec": spec}}}


def test_what_placements_are_written_into_is_as_the_template_says() -> None:
    given = pod()
    before = copy.deepcopy(given)
    asked, who = as_asked_for(given, made_by())
    assert asked["spec"] == {"containers": [{"name": "a"}], "tolerations": [{"key": "k"}]}
    assert asked["metadata"] == {"name": "web-1"}
    assert who == "the template of ReplicaSet web"
    assert given == before


def test_or_as_kubectl_was_given_it() -> None:
    asked, who = as_asked_for(pod(**{APPLIED: json.dumps({"spec": TEMPLATE})}), None)
    assert asked["spec"]["tolerations"] == [{"key": "k"}]
    assert "affinity" not in asked["spec"]
    assert who == "what `kubectl apply` was given"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", "null", '{"spec": 7}', '{"spec": null}', "[" * 100_000, '{"spec": []}']
)
def test_what_kubectl_was_not_given_counts_for_nothing(text: str) -> None:
    asked, who = as_asked_for(pod(**{APPLIED: text}), None)
    assert (asked["spec"]["affinity"], who) == (PLACED["affinity"], "")


def test_a_maker_that_may_not_be_read_leaves_it_as_it_is() -> None:
    """What kubectl was given counts for bare pods alone: a template may have that annotation, too."""
    for maker in ({}, made_by(None), made_by([])):
        asked, who = as_asked_for(pod(**{APPLIED: json.dumps({"spec": TEMPLATE})}), maker)
        assert (asked["spec"]["affinity"], who) == (PLACED["affinity"], "")
