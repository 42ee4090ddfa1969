"""What was configured about signatures: whom to believe, whether somebody must have signed, and what to let pass."""

from __future__ import annotations

import datetime
from typing import Literal

from delivery.signature.allowed_signers import Signer
from delivery.signature.identities import Identity
from delivery.signature.keys import PublicKey
from engine.struct import Struct

SKEW = datetime.timedelta(minutes=5)
"""How far clocks may be apart."""

Kind = Literal["statement", "digest", "tag", "commit", "none"]


class Root(Struct, frozen=True):
    """A trusted root as sigstore has it (JSON): whose certificates, logs and timestamps are believed; and its name."""

    name: str
    data: bytes


class Trust(Struct, frozen=True):
    """Whose signatures count, for one source.

    `keys` and `identities` sign archives, `signers` commits and tags; None where nothing was configured, while an empty
    tuple is a configuration that names nobody. `roots` are what certificates of identities are held against.
    `required` is None where that follows: signatures are required where any of them is configured. `name` is the bundle
    that may be served from there, empty for any. `allow_older` takes versions that are older than the one seen last,
    `allow_digest` a signature of an archive without a statement about it. `problems` are in words what of the
    configuration can't be used.
    """

    keys: tuple[PublicKey, ...] | None = None
    signers: tuple[Signer, ...] | None = None
    required: bool | None = None
    name: str = ""
    allow_older: bool = False
    allow_digest: bool = False
    problems: tuple[str, ...] = ()
    identities: tuple[Identity, ...] | None = None
    roots: tuple[Root, ...] = ()

    @property
    def of_archives(self) -> bool:
        """Whether it was configured who signs archives."""
        return self.keys is not None or self.identities is not None

    @property
    def requires(self) -> bool:
        """Whether what nobody has signed is refused."""
        if self.required is None:
            return self.of_archives or self.signers is not None
        return self.required


class Verified(Struct, frozen=True):
    """That a bundle may be served, as far as signatures go, and why.

    `kind` is what was signed, `none` where nothing was verified; `by` whose key or identity signed it, empty then;
    `version` the bundle's version, to be kept as the one seen last, empty where nobody vouches for it. From `expires`
    on it would be refused. `words` tell all of it.
    """

    kind: Kind
    words: str
    by: str = ""
    version: str = ""
    expires: datetime.datetime | None = None
