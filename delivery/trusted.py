"""Who must vouch for what a source has, as somebody configured it: files that are read at each use."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from delivery.content import Content
from engine.struct import Struct

if TYPE_CHECKING:  # who trusts nobody does without cryptography
    from delivery.signature import Verified


class Trusted(Struct, frozen=True):
    """Files, or folders of them, of public keys and of identities that sign archives, and of allowed signers of commits
    and tags; and the trusted roots that certificates of identities are held against.

    None where none were configured. `required` is None where that follows: where any of them is. `name` is the bundle
    that may be served from there, empty for any. `allow_older` takes a version that is older than the newest one seen,
    `allow_digest` a signature of an archive's bytes that does not say what they are.
    """

    keys: tuple[str, ...] | None = None
    signers: tuple[str, ...] | None = None
    required: bool | None = None
    name: str = ""
    allow_older: bool = False
    allow_digest: bool = False
    identities: tuple[str, ...] | None = None
    roots: tuple[str, ...] = ()

    def vouch(self, content: Content, name: str, version: str, seen: str, now: float) -> Verified:
        """Who vouches for a content. Raises SignatureError where nobody does who must."""
        from delivery.signature import read_trust, verified

        trust = read_trust(
            self.keys,
            self.signers,
            self.identities,
            self.roots,
            required=self.required,
            name=self.name,
            allow_older=self.allow_older,
            allow_digest=self.allow_digest,
        )
        return verified(content, name, version, trust, seen, datetime.datetime.fromtimestamp(now, datetime.UTC))
