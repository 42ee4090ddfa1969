"""Two objects, and what differs, as a unified diff of YAML."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

SHORT = 100
"""Characters up to which a list of words, or a map of words and such lists, stands on one line."""


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: lists indented under their key, what is short on one line, and no aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True

    def represent_sequence(
        self, tag: str, sequence: Iterable[Any], flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        items = list(sequence)
        flow = all(_scalar(item) for item in items) and _length(items) <= SHORT
        node = super().represent_sequence(tag, items, flow_style=flow_style or flow)
        _shorten(zip(node.value, items, strict=True))
        return node

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        _shorten(((child, item) for (_, child), item in zip(node.value, mapping.values(), strict=True)))
        return node


def _shorten(children: Iterable[tuple[yaml.Node, Any]]) -> None:
    """Put the simple maps among these on one line each."""
    for node, item in children:
        if isinstance(item, Mapping) and _simple(item) and isinstance(node, yaml.MappingNode):
            node.flow_style = True


def as_yaml(value: object) -> str:
    """Plain data as YAML, keys in the order that they have."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10 * SHORT)


def unified(before: object, after: object, names: tuple[str, str], context: int = 3) -> list[str]:
    """The lines of the diff, without line ends; none where both are equal."""
    left, right = as_yaml(before).splitlines(), as_yaml(after).splitlines()
    return list(difflib.unified_diff(left, right, *names, n=context, lineterm=""))


def _scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool | None)


def _simple(item: Mapping[str, Any]) -> bool:
    """Whether a map, like a match expression or a toleration, reads well on one line."""
    values = item.values()
    words = all(_scalar(value) or (isinstance(value, list) and all(map(_scalar, value))) for value in values)
    return bool(item) and words and _length(item) <= SHORT


def _length(value: object) -> int:
    return len(str(value).replace("'", ""))
