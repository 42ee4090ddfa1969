"""Selector, a label selector of Kubernetes, as policies select pods and Namespaces by: which labels match.

`matchLabels` and `matchExpressions` are all to hold; an empty selector matches everything
(https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.documents import (
    BAD,
    Field,
    List,
    Map,
    Problems,
    Read,
    Shape,
    bad,
    choice,
    items,
    label_key,
    label_value,
    mapping,
    record,
)
from engine.struct import Struct

IN, NOT_IN, EXISTS, DOES_NOT_EXIST = "In", "NotIn", "Exists", "DoesNotExist"


class LabelRequirement(Struct, frozen=True, order=True):
    """What one label must be; `values` is sorted, and empty for the operators that take none."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Source: k8s.io/apimachinery/pkg/labels, Requirement.Matches. NotIn holds without the label."""
        value = labels.get(self.key)
        if self.operator == IN:
            return value is not None and value in self.values
        if self.operator == NOT_IN:
            return value is None or value not in self.values
        return (value is not None) == (self.operator == EXISTS)


class Selector(Struct, frozen=True):
    """A label selector; its requirements are in canonical order."""

    requirements: tuple[LabelRequirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)


EVERYTHING = Selector()


def selector(given: Mapping[str, Any]) -> Selector:
    """The selector of its JSON, which must be a valid one."""
    labels: Mapping[str, str] = given.get("matchLabels") or {}
    expressions = given.get("matchExpressions") or ()
    requirements = {LabelRequirement(key, IN, (value,)) for key, value in labels.items()} | {
        LabelRequirement(each["key"], each["operator"], tuple(sorted(set(each.get("values") or ()))))
        for each in expressions
    }
    return Selector(tuple(sorted(requirements)))


def keys(given: Mapping[str, Any]) -> frozenset[str]:
    """The labels that a selector, as JSON, reads."""
    return frozenset(requirement.key for requirement in selector(given).requirements)


def _requirement(read: Read, value: Map, problems: Problems) -> Any:
    operator, given = read.get("operator"), value.get("values")
    span = given.span if given else value.span
    empty = given is None or (isinstance(given, List) and not given.items)
    if operator in (IN, NOT_IN) and empty:
        return bad(problems, "selector-values", f"`{operator}` needs `values`", span, "at least one value")
    if operator in (EXISTS, DOES_NOT_EXIST) and not empty:
        return bad(problems, "selector-values", f"`{operator}` takes no `values`", span)
    if not {"key", "operator", "values"} <= read.keys():
        return BAD
    return {name: list(said) if name == "values" else said for name, said in read.items() if said is not None}


label_selector: Shape = record(
    "a label selector",
    {
        "matchLabels": Field(mapping(label_key, label_value), about="Labels that there must be, with their values."),
        "matchExpressions": Field(
            items(
                record(
                    "a selector's expression",
                    {
                        "key": Field(label_key, required=True, about="The label."),
                        "operator": Field(
                            choice(IN, NOT_IN, EXISTS, DOES_NOT_EXIST), required=True, about="How it is asked for."
                        ),
                        "values": Field(items(label_value), about="For In and NotIn: the values."),
                    },
                    _requirement,
                )
            ),
            about="Requirements, all of which must hold.",
        ),
    },
    lambda read, _, __: {
        name: list(said) if isinstance(said, tuple) else said for name, said in read.items() if said is not None
    },
)
"""Reads a selector from a document, as JSON."""
