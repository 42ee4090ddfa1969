"""Writes `engine/program/kubernetes_types.py` from the official client's models: `python tools/kubernetes_types.py`.

The models take half a second and 100 MB to import, so the engine reads their names and types from a table. Ints are
int, quantities and moments are strings as in the object's JSON, int-or-string is dyn.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kubernetes.client import models

TARGET = Path(__file__).parent.parent / "engine" / "program" / "kubernetes_types.py"
ROOTS = ("V1Pod",)
PLAIN = {"str": "string", "datetime": "string", "int": "int", "bool": "bool", "float": "double", "object": "dyn"}
HEAD = '''"""Kubernetes' own types, from the official client's models ({version}). Made by `tools/kubernetes_types.py`.

A line is a type and its fields: `?` says that the model does not require the field, `[]` is a list and `{{}}` a map.
"""

TYPES = """\\
'''


def words(annotation: str) -> str:
    """`Dict[str, List[V1Pod]]` as `{}[]Pod`."""
    if inner := re.fullmatch(r"List\[(.*)\]", annotation):
        return f"[]{words(inner[1])}"
    if inner := re.fullmatch(r"Dict\[str, (.*)\]", annotation):
        return f"{{}}{words(inner[1])}"
    return PLAIN.get(annotation) or kind(annotation)


def kind(model: str) -> str:
    """The type's name in Kubernetes: `V1Pod` and `CoreV1ResourceClaim` without what the client puts before."""
    return re.sub(r"^[A-Za-z]*?V\d+((alpha|beta)\d+)?", "", model)


def fields(model: Any) -> str:
    required = {info.serialization_alias or name for name, info in model.model_fields.items() if info.is_required()}
    named = sorted((model.attribute_map[name], words(type_)) for name, type_ in model.openapi_types.items())
    return ", ".join(f"{name}{'' if name in required else '?'} {type_}" for name, type_ in named)


def reachable() -> dict[str, Any]:
    """The models that the roots lead to, by the names of their types."""
    found: dict[str, Any] = {}
    pending = list(ROOTS)
    while pending:
        name = pending.pop()
        model = getattr(models, name, None)
        if model is None or kind(name) in found:
            continue
        found[kind(name)] = model
        pending += [word for type_ in model.openapi_types.values() for word in re.findall(r"\w+", type_)]
    return found


def table() -> str:
    """The whole module's text."""
    lines = [f"{name}: {fields(model)}" for name, model in sorted(reachable().items())]
    wrapped = (textwrap.fill(line, 118, subsequent_indent="  ", break_long_words=False) for line in lines)
    return HEAD.format(version=version("kubernetes")) + "\n".join(wrapped) + '\n"""\n'


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    TARGET.write_text(table())
