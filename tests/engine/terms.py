"""Which nodes terms mean, label by label: the engine never asks, for it knows no node."""

from __future__ import annotations

from collections.abc import Mapping

from engine.nodeselector import Terms
from engine.nodeselector.states import NODE_NAME


def admits(terms: Terms, labels: Mapping[str, str], name: str = "") -> bool:
    """Does a node with these labels and this name meet one of the terms?"""
    return any(
        all(values.holds(f"/{name}" if key == NODE_NAME else labels.get(key)) for key, values in term.requirements)
        for term in terms
    )
