"""A running pod as it was asked for, before it was placed: what admission may have written is as its maker says it.

A pod does not tell what of it policies wrote. What made it does: its ReplicaSet's, StatefulSet's or Job's template; of
a pod that `kubectl apply` made, the annotation in which it keeps what it was given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from audit.replay import as_created
from engine.placement import FIELDS

Json = Mapping[str, Any]
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def as_asked_for(pod: Json, maker: Json | None) -> tuple[dict[str, Any], str]:
    """The pod as it was created, with the fields that placements are written into as its `maker`, or else `kubectl
    apply`, says them; and who says so, in words, empty where nobody does.
    """
    created = as_created(pod)
    said = _template_of(maker)
    who = f"the template of {maker.get('kind')} {_name(maker)}" if maker and said is not None else ""
    if said is None and maker is None:
        said = _applied(pod)
        who = "what `kubectl apply` was given" if said is not None else ""
    if said is not None:
        rest = {key: value for key, value in (created.get("spec") or {}).items() if key not in FIELDS}
        created["spec"] = {**rest, **{key: said[key] for key in FIELDS if key in said}}
    return created, who


def _template_of(maker: Json | None) -> Json | None:
    template = ((maker or {}).get("spec") or {}).get("template") or {}
    spec = template.get("spec")
    return spec if isinstance(spec, Mapping) else None


def _applied(pod: Json) -> Json | None:
    """The spec that `kubectl apply` keeps in an annotation; None where that is none, for anybody may write it."""
    text = ((pod.get("metadata") or {}).get("annotations") or {}).get(APPLIED)
    try:
        spec = json.loads(text)["spec"] if isinstance(text, str) else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return spec if isinstance(spec, Mapping) else None


def _name(thing: Json) -> str:
    return str((thing.get("metadata") or {}).get("name", ""))
