"""What real programs of sigstore have signed, as `record.py` wrote it down, and whom and what to trust for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from delivery.signature.identities import Identity
from delivery.signature.trust import Root, Trust
from engine.struct import replace

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.json").read_bytes()


ABOUT: Mapping[str, str] = json.loads(recorded("about"))
ISSUER, SUBJECT = ABOUT["issuer"], ABOUT["subject"]
TAGS = SUBJECT.rpartition("/")[0] + "/v*"
"""Who signs at any tag of a release."""


def root(other: Mapping[str, Any] | None = None, name: str = "trusted_root") -> Root:
    """A trusted root, with other things in it."""
    return Root(f"{name}.json", json.dumps(json.loads(recorded(name)) | dict(other or {})).encode())


def trust(subject: str = TAGS, issuer: str = ISSUER, *roots: Root, **more: Any) -> Trust:
    """That one identity is trusted, by the recorded root if no others are given."""
    known = Trust(identities=(Identity("identities:1", issuer, subject),), roots=roots or (root(),))
    return replace(known, **more)


def changed(name: str, change: Callable[[dict[str, Any]], object]) -> bytes:
    """A recorded attestation that was changed."""
    whole = cast("dict[str, Any]", json.loads(recorded(name)))
    change(whole)
    return json.dumps(whole).encode()
