"""Proposals: what is wrong with one object that somebody is about to write, before it is among the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from delivery.folder import bundle_of
from engine.bundle import POLICIES
from engine.documents import BundleError, Problem
from engine.program import compile_bundle

OF_OTHERS = frozenset(("no-bundle", "no-policies", "unknown-policy"))
"""Rules about what other objects there are: they come one by one, in any order."""


def judged(thing: Mapping[str, Any], bundle: Mapping[str, Any] | None) -> tuple[Problem, ...]:
    """What `bayplan check` would say of the file that an object stands for, errors and warnings, in order.

    `bundle` is the Bundle that a policy belongs to: without it, what expressions mean is not known. What policies do to
    each other is not looked for.
    """
    from delivery.objects import BUNDLE_FILE, document_of, file_of

    file, document = file_of(thing), document_of(thing)
    if isinstance(document, Problem):
        return (document,)
    files = {file: document}
    beside = document_of(bundle) if bundle is not None and file != BUNDLE_FILE else None
    if isinstance(beside, bytes):
        files[BUNDLE_FILE] = beside
    made, problems = bundle_of(files)
    found = [problem for problem in problems if problem.rule not in OF_OTHERS and problem.span.source.name == file]
    if made is not None and thing["kind"] == POLICIES.kind and not any(each.severity == "error" for each in problems):
        try:
            found += compile_bundle(made).warnings
        except BundleError as error:
            found += error.problems
    return tuple(problem for problem in dict.fromkeys(found) if problem.span.source.name == file)
