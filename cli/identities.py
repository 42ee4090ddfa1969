"""Signatures by identities, without keys: an extra of the package, which commands that need it ask for at once."""

from __future__ import annotations

from collections.abc import Sequence

from cli.errors import CommandError


def check_identities(identities: Sequence[str] | None, roots: Sequence[str] | None, *, others: bool) -> None:
    """Raises CommandError where the identities that are trusted, with these trusted roots, could vouch for nothing, and
    where there are roots alone: who trusts keys, or allowed signers (`others`), may have roots to spare."""
    from delivery.signature import INSTALL, can_verify_certificates

    if identities and not roots:
        raise CommandError(
            "--identities: say with --trusted-root FILE whose certificates are believed; `cosign trusted-root create` "
            "makes one"
        )
    if roots and not identities and not others:
        raise CommandError("--trusted-root: say with --identities FILE who is trusted, for there is no end of others")
    if identities and not can_verify_certificates():
        raise CommandError(f"--identities: signatures by identities are an extra; {INSTALL}")
