"""What a bundle's `requires` asks of what it runs on: of this Bayplan, and of the cluster's Kubernetes."""

from __future__ import annotations

import re

from engine.bundle import Bundle
from engine.documents import Map, Problem, Scalar, Source, Span, parse_documents
from engine.release import VERSION
from engine.versions import VersionRange

_NUMBERS = re.compile(r"v?(\d+\.\d+\.\d+)")
"""Of a version what counts: `v1.36.3-gke.100` is no pre-release of 1.36.3, but that and more."""


def unmet(bundle: Bundle, kubernetes: str = "") -> tuple[Problem, ...]:
    """What a bundle requires and has not here; `kubernetes` is the cluster's version, empty where it is not known."""
    hints = {
        "bayplan": "install a Bayplan of this range, or serve a version of the bundle that was made for this one",
        "kubernetes": "serve a version of the bundle that was made for this cluster",
    }
    found = []
    for what, hint in hints.items():
        wanted = bundle.requires.get(what)
        has = _NUMBERS.match(kubernetes if what == "kubernetes" else VERSION) if wanted else None
        if wanted and has and not VersionRange(wanted).admits(has[1]):
            said = "Bayplan" if what == "bayplan" else "Kubernetes"
            message = f"the bundle requires {said} `{wanted}`, and this is {has[1]}"
            found.append(Problem("requires", message, _place(bundle, what), hint=hint))
    return tuple(found)


def _place(bundle: Bundle, what: str) -> Span:
    """Where a bundle says what it requires."""
    source = bundle.span.source if bundle.span else Source("bundle.yaml", "")
    for document in parse_documents(source)[0]:
        value = document
        for key in ("spec", "requires", what):
            found = value.get(key) if isinstance(value, Map) else None
            if found is None:
                break
            value = found
        else:
            if isinstance(value, Scalar):
                return value.span
    return bundle.span or Span(source, 0, 0)
