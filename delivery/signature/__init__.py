"""Who vouches for a bundle: signatures made and verified, and what follows from there being none.

A `Content` of a source goes in, with the `Trust` that was configured; a `Verified` comes out, or a SignatureError says
which field is wrong and what to do. Archives are signed by a statement (`statement.py`) in an envelope (`envelope.py`),
by a key or by the certificate of an identity (`keyless.py`); repositories by the SSH signatures of commits and tags
(`sshsig.py`, `allowed_signers.py`).

Start with `verify.py`: the table of what is let by.
"""

from delivery.signature.envelope import attestation_of
from delivery.signature.errors import SignatureError
from delivery.signature.keyless import (
    INSTALL,
    KeylessError,
    Signing,
    can_verify_certificates,
    signed_by_identity,
)
from delivery.signature.keys import BadKeyError, private_key
from delivery.signature.statement import Statement
from delivery.signature.trust import Trust, Verified
from delivery.signature.trust_files import read_trust
from delivery.signature.verify import verified

__all__ = [
    "INSTALL",  # what to do where certificates can't be verified
    "BadKeyError",  # a key that can't be read
    "KeylessError",  # why nothing could be signed by an identity
    "SignatureError",  # why a bundle may not be served: fault, field, reason, remedy
    "Signing",  # where identities get certificates to sign with
    "Statement",  # what is signed of an archive: bundle, version, and until when
    "Trust",  # whose signatures count for a source, and whether one is required
    "Verified",  # that a bundle may be served, who vouches for it, and until when
    "attestation_of",  # the attestation (sigstore bundle) of a payload, by a key
    "can_verify_certificates",  # whether the extra is installed that it takes
    "private_key",  # a private key from PEM; raises BadKeyError
    "read_trust",  # the Trust in files of keys and identities
    "signed_by_identity",  # the attestation of a payload by whom a token is about; raises KeylessError
    "verified",  # the Verified of a Content; raises SignatureError
]
