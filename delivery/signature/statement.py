"""What is signed of an archive: which bundle it is, in which version, since when, and until when that may be believed.

Signed is the archive by its digest; in a registry also the manifest that names the archive, for that is what cosign
signs and verifies there. An in-toto Statement (v1) with a predicate of our own, which `cosign attest` and `attest-blob`
sign, too. Whoever takes a statement takes all of it: a key that is not known may say when not to, so it is refused.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from typing import Any

from delivery.signature.strict_json import UnreadableError, at, json_object, objects_at, text_at
from engine.struct import Struct
from engine.versions import version_of

STATEMENT = "https://in-toto.io/Statement/v1"
_STATEMENTS = (STATEMENT, "https://in-toto.io/Statement/v0.1")
"""The older one is what cosign signs; what is read of them is the same."""
PREDICATE = "https://bayplan.dev/attestation/bundle/v1"
SIGNING = "https://sigstore.dev/cosign/sign/v1"
"""What `cosign sign` says of what it signs in a registry, which is nothing."""
MAX_SUBJECTS = 2
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEYS = {
    (): {"_type", "subject", "predicateType", "predicate"},
    ("predicate",): {"bundle", "issued", "expires"},
    ("predicate", "bundle"): {"name", "version", "revision"},
}


class ForeignStatementError(Exception):
    """A statement about something else than bundles: which kind, in words."""


class Statement(Struct, frozen=True):
    """`archive` is its SHA-256, hexadecimal; `revision` may be empty; times have a zone, `expires` may be none.

    `more` are digests of what else is the same bundle, its manifest. Read from a payload, either may be the other.
    """

    archive: str
    name: str
    version: str
    revision: str
    issued: datetime.datetime
    expires: datetime.datetime | None = None
    more: tuple[str, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """The digests of all that is signed."""
        return (self.archive, *self.more)

    def payload(self, archive_name: str) -> bytes:
        """The bytes to sign; what the archive is called is said for people only."""
        bundle = {"name": self.name, "version": self.version, "revision": self.revision}
        predicate: dict[str, Any] = {"bundle": bundle, "issued": _written(self.issued)}
        if self.expires:
            predicate["expires"] = _written(self.expires)
        whole = {
            "_type": STATEMENT,
            "subject": [
                {"name": archive_name, "digest": {"sha256": self.archive}},
                *({"name": f"{archive_name}: manifest", "digest": {"sha256": one}} for one in self.more),
            ],
            "predicateType": PREDICATE,
            "predicate": predicate,
        }
        return json.dumps(whole, separators=(",", ":")).encode()


def read_statement(payload: bytes) -> Statement:
    """The statement of a payload that somebody trusted has signed. Raises ForeignStatementError and UnreadableError."""
    whole = _stated(payload)
    if (kind := text_at(whole, "predicateType")) != PREDICATE:
        raise ForeignStatementError(f"`predicateType` is `{kind[:100]}`, not `{PREDICATE}`")
    for path, known in _KEYS.items():
        _only(whole, path, known)
    revision = at(whole, "predicate", "bundle", "revision")
    expires = at(whole, "predicate", "expires")
    archive, *more = _subjects(whole)
    return Statement(
        archive,
        text_at(whole, "predicate", "bundle", "name"),
        _version(whole),
        "" if revision is None else text_at(whole, "predicate", "bundle", "revision"),
        _time(whole, "issued"),
        None if expires is None else _time(whole, "expires"),
        tuple(more),
    )


def read_signing(payload: bytes) -> tuple[str, ...]:
    """The digests of what `cosign sign` has signed, without a word about it; none where this is something else.

    Raises ForeignStatementError and UnreadableError.
    """
    whole = _stated(payload)
    return _subjects(whole) if text_at(whole, "predicateType") == SIGNING else ()


def _stated(payload: bytes) -> Mapping[str, Any]:
    whole = json_object(payload, "the statement")
    if (kind := text_at(whole, "_type")) not in _STATEMENTS:
        raise ForeignStatementError(f"`_type` is `{kind[:100]}`, not `{STATEMENT}`")
    return whole


def is_older(version: str, than: str) -> bool:
    """Whether one semantic version comes before another one; what is none is older than what is one."""
    one, other = version_of(version), version_of(than)
    return other is not None and (one is None or one < other)


def _subjects(whole: Mapping[str, Any]) -> tuple[str, ...]:
    named = objects_at(whole, "subject")
    if not 1 <= len(named) <= MAX_SUBJECTS:
        raise UnreadableError(f"`subject` has {len(named):,} entries; expected an archive, or it and its manifest")
    digests = [text_at(one, "digest", "sha256") for one in named]
    for place, digest in enumerate(digests):
        if not _SHA256.fullmatch(digest):
            raise UnreadableError(f"`subject[{place}].digest.sha256` is no SHA-256 in hexadecimal")
    return tuple(digests)


def _version(whole: Mapping[str, Any]) -> str:
    version = text_at(whole, "predicate", "bundle", "version")
    if version_of(version) is None:
        raise UnreadableError(f"`predicate.bundle.version` `{version[:100]}` is no semantic version")
    return version


def _time(whole: Mapping[str, Any], key: str) -> datetime.datetime:
    said = text_at(whole, "predicate", key)
    try:
        if _TIME.fullmatch(said):
            return datetime.datetime.fromisoformat(said).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        pass
    raise UnreadableError(f"`predicate.{key}` `{said[:100]}` is no time as in `2026-11-27T08:00:00Z`")


def _only(whole: Mapping[str, Any], path: tuple[str, ...], known: set[str]) -> None:
    value = at(whole, *path)
    where = ".".join(path) or "the statement"
    if not isinstance(value, dict):
        raise UnreadableError(f"`{where}` is no object")
    if strange := sorted(value.keys() - known):
        raise UnreadableError(f"`{where}` has `{strange[0][:100]}`, which is not known; is it for a newer bayplan?")


def _written(time: datetime.datetime) -> str:
    return time.astimezone(datetime.UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
