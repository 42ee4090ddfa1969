"""Two objects, and what differs, as a unified diff of YAML."""

from __future__ import annotations

import difflib
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: lists indented under their key, and no aliases for objects that occur twice."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def as_yaml(value: object) -> str:
    """Plain data as YAML, keys in the order that they have."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def unified(before: object, after: object, names: tuple[str, str], context: int = 3) -> list[str]:
    """The lines of the diff, without line ends; none where both are equal."""
    left, right = as_yaml(before).splitlines(), as_yaml(after).splitlines()
    return list(difflib.unified_diff(left, right, *names, n=context, lineterm=""))
