"""That a bundle's version says how much has changed since an earlier revision."""

from __future__ import annotations

from engine.analysis.revisions import Revisions
from engine.analysis.steps import bumped, is_enough
from engine.bundle import Bundle
from engine.documents import Map, Problem, Span, parse_documents
from engine.versions import version_of

SAID = {
    "added": "is new",
    "removed": "is gone",
    "renamed": "is called otherwise",
    "changed": "decides otherwise",
    "undecided": "may decide otherwise",
    "rewritten": "is written otherwise, and means the same",
}
"""What became of a policy, in words."""
MAX_REASONS = 3
"""Changes that are named."""


def unraised_version(new: Bundle, revisions: Revisions, since: str) -> Problem | None:
    """The problem of a version that is too low for what changed since a revision, which `since` names; else nothing.

    Where no decision changes, the version may stay; it may never go down.
    """
    old, level = revisions.old, revisions.level
    before, after = version_of(old.version), version_of(new.version)
    lower = before is not None and after is not None and after < before
    if not lower and (level in ("none", "patch") or is_enough(old.version, new.version, level)):
        return None
    least = bumped(old.version, level if level != "none" else "patch")
    why = _reasons(revisions)
    if lower:
        message = f"the version `{new.version}` is lower than `{old.version}`, which `{since}` has"
    elif after == before:
        message = f"the version is `{new.version}` as at `{since}`, although {why}"
    else:
        message = f"the version `{new.version}` is too near `{old.version}`, which `{since}` has: {why}"
    step = f"a {level} step: " if level in ("minor", "major") else ""
    expected = f"{step}`{least}` or higher"
    hint = f"say `version: {least}`; `bayplan diff --since {since}` shows what decides otherwise"
    return Problem("version-not-raised", message, _place(new), expected, hint)


def _reasons(revisions: Revisions) -> str:
    level = revisions.level
    told = [f"`{one.name}` {SAID[one.kind]}" for one in revisions.policies if one.level == level]
    told += [f"`{one.field}` is another one" for one in revisions.bundle if one.level == level]
    more = f" and {len(told) - MAX_REASONS} more" if len(told) > MAX_REASONS else ""
    return ", ".join(told[:MAX_REASONS]) + more


def _place(bundle: Bundle) -> Span:
    """Where the bundle says its version."""
    named = bundle.span
    source = named.source if named else bundle.sources[0]
    for document in parse_documents(source)[0]:
        kind = document.get("kind") if isinstance(document, Map) else None
        spec = document.get("spec") if isinstance(document, Map) else None
        version = spec.get("version") if isinstance(spec, Map) else None
        if version is not None and getattr(kind, "text", "") == "Bundle":
            return version.span
    return named or Span(source, 0, 0)
