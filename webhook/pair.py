"""A certificate for `serve --dev`, made anew at each start, with an authority of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from engine.struct import Struct


class Pair(Struct, frozen=True):
    """A certificate for a development server, its key, and the authority that signed it, all PEM."""

    certificate: bytes
    key: bytes
    authority: bytes

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write certificate and key into a folder that nobody else can read; their paths."""
        files = folder / "tls.crt", folder / "tls.key"
        for file, content in zip(files, (self.certificate, self.key), strict=True):
            file.touch(mode=0o600)
            file.write_bytes(content)
        return files


def development(names: Sequence[str]) -> Pair:
    """A new authority and a certificate of it, ECDSA P-256, for host names and IP addresses."""
    from webhook.issuing import issued  # whoever has a certificate starts without what makes one

    return Pair(*issued(names))


def development_folder() -> tempfile.TemporaryDirectory[str]:
    """A private folder for the files of a development certificate, gone with the process."""
    return tempfile.TemporaryDirectory(prefix="bayplan-tls-")
