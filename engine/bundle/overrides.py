"""Constants that a cluster lays over a bundle's own, checked by the bundle's schema, or else by what they replace.

They are not the bundle author's: its tests run without them. But what decides depends on them, so they are part of the
revision's identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from engine.bundle.fields import BUNDLE
from engine.bundle.model import Bundle
from engine.bundle.params import Schema, fitted, schema_like
from engine.documents import (
    BAD,
    Bad,
    BundleError,
    Map,
    Problems,
    Source,
    bad,
    did_you_mean,
    head,
    kind_of,
    ordered,
    parse_documents,
)
from engine.struct import replace


def overridden(bundle: Bundle, sources: Iterable[Source]) -> Bundle:
    """The bundle with the constants of these texts, each a map from names to values, the later ones winning.

    Raises BundleError with the places in these texts of what is no constant of the bundle, or does not fit.
    """
    problems: Problems = []
    over: dict[str, Any] = {}
    for source in sources:
        documents, wrong = parse_documents(source)
        problems += wrong
        for document in documents:
            if isinstance(document, Map):
                over |= _constants(bundle, document, problems)
            else:
                bad(problems, "wrong-type", f"these are {kind_of(document)}", head(document), "a map of constants")
    if any(problem.severity == "error" for problem in problems):
        raise BundleError(ordered(problems))
    if not over:
        return bundle
    written = json.dumps(over, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return replace(bundle, params={**bundle.params, **over}, overrides=hashlib.sha256(written.encode()).hexdigest())


def _constants(bundle: Bundle, document: Map, problems: Problems) -> dict[str, Any]:
    said = BUNDLE["params"].shape(document, problems)
    if isinstance(said, Bad):
        return {}
    schema = bundle.params_schema or Schema(
        properties={name: schema_like(each) for name, each in bundle.params.items()}
    )
    known = schema.properties or dict.fromkeys(bundle.params, Schema())
    if bundle.params_schema is None or schema.properties:
        for name in sorted(said.keys() - known.keys()):
            entry = document.key(name)
            span = entry.span if entry else head(document)
            hint = did_you_mean(name, known)
            bad(problems, "unknown-field", f"bundle `{bundle.name}` has no constant `{name}`", span, hint=hint)
            del said[name]
    fit = fitted(schema, said, document, problems, partial=True)
    return {} if fit is BAD else fit
