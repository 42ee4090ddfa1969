"""May these files be served, as far as signatures go? One table, which docs/bundles.md shows.

What there is to sign depends on the kind of source: an archive by attestations, a repository by its commit and tag; a
folder has nothing that could be signed. Of several signatures one that is good is enough.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Literal

from delivery.content import Content
from delivery.signature.attested import SIGN, Archive, judged
from delivery.signature.errors import FAULTS, Fault, SignatureError
from delivery.signature.signed_objects import SIGN as SIGN_OBJECT
from delivery.signature.signed_objects import judged_object
from delivery.signature.statement import is_older
from delivery.signature.trust import Trust, Verified

NOBODY: frozenset[Fault] = frozenset(
    {"no-keys", "unsigned", "unreadable", "unsupported", "unknown-key", "unknown-identity", "no-statement"}
)
"""Faults by which nobody who is trusted has said anything about the bundle that can be understood."""
MAX_SIGNATURES = 64
"""Limit of attestations, or objects, that are looked at."""

Way = Literal["archive", "objects", "folder"]


def verified(
    content: Content, bundle_name: str, version: str, trust: Trust, seen: str, now: datetime.datetime
) -> Verified:
    """That files may be served as far as signatures go. Raises SignatureError where they may not.

    `bundle_name` and `version` are what their `bundle.yaml` says. `seen` is the last version that was vouched for of
    this bundle, empty where there was none; `now` has a zone.
    """
    if trust.name and bundle_name != trust.name:
        reason = f"the bundle is `{bundle_name}`, and `{trust.name}` is to be served from here"
        raise SignatureError("wrong-name", "bundle.yaml: metadata.name", reason, "publish it where it belongs")
    way = _way(content)
    if not _configured(way, trust):
        if trust.requires:
            raise _nobody_configured(way)
        signed = bool(content.attestations or any(one.signature for one in content.objects))
        what = "signed, which was not verified: nobody is trusted" if signed else "not signed"
        return Verified("none", f"{bundle_name} {version} is {what}")
    faults: list[SignatureError] = []
    for outcome in _outcomes(way, content, bundle_name, version, trust, now):
        if isinstance(outcome, Verified):
            return _not_older(outcome, seen, trust)
        faults.append(outcome)
    nearest = max(faults, key=lambda error: FAULTS.index(error.fault)) if faults else _unsigned(way)
    if trust.requires or nearest.fault not in NOBODY:
        raise _told(nearest, trust)
    return Verified("none", f"{bundle_name} {version} is not verified, which is not required: {nearest}")


def _way(content: Content) -> Way:
    if content.archive:
        return "archive"
    return "objects" if content.objects or content.origin.startswith("git+") else "folder"


def _configured(way: Way, trust: Trust) -> bool:
    return {"archive": trust.of_archives, "objects": trust.signers is not None, "folder": False}[way]


def _outcomes(
    way: Way, content: Content, name: str, version: str, trust: Trust, now: datetime.datetime
) -> Iterator[Verified | SignatureError]:
    if way == "archive":
        for attestation in content.attestations[:MAX_SIGNATURES]:
            try:
                yield judged(attestation, Archive(content.archive, content.manifest), name, version, trust, now)
            except SignatureError as error:
                yield error
    else:
        for one in [one for one in content.objects if one.signature][:MAX_SIGNATURES]:
            try:
                yield judged_object(one, version, trust, now)
            except SignatureError as error:
                yield error


def _not_older(outcome: Verified, seen: str, trust: Trust) -> Verified:
    if seen and not trust.allow_older and is_older(outcome.version, seen):
        reason = f"{outcome.version} is older than {seen}, which was seen before"
        raise SignatureError(
            "older",
            "version",
            reason,
            "publish the old content as a newer version, or allow older ones (`--allow-older`)",
        )
    return outcome


def _unsigned(way: Way) -> SignatureError:
    if way == "archive":
        return SignatureError("unsigned", "signature", "the archive has none", SIGN)
    return SignatureError("unsigned", "signature", "neither the commit nor a tag has one", SIGN_OBJECT)


def _nobody_configured(way: Way) -> SignatureError:
    field, who, remedy = {
        "archive": ("--key", "archives", "give public keys (PEM) or identities; allowed signers are for repositories"),
        "objects": (
            "--allowed-signers",
            "commits and tags",
            "give allowed signers; public keys in PEM are for archives",
        ),
        "folder": ("source", "", "serve an archive or a repository, or do not require signatures"),
    }[way]
    why = f"nobody is trusted to sign {who}" if who else "a folder can't carry one"
    return SignatureError("no-keys", field, f"a signature is required, and {why}", remedy)


def _told(error: SignatureError, trust: Trust) -> SignatureError:
    """The error, with what of the configuration can't be used where that may be the cause."""
    if not trust.problems or error.fault not in ("unknown-key", "unknown-identity", "no-keys"):
        return error
    more = f"; and {len(trust.problems) - 1} more" if len(trust.problems) > 1 else ""
    reason = f"{error.reason}; not all of what is trusted can be read: {trust.problems[0]}{more}"
    return SignatureError(error.fault, error.field, reason, error.remedy)
