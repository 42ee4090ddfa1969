"""The serving certificate, read from files that may be replaced at any time.

A handshake asks for the current context, so a new certificate is one swapped reference: it is complete before the first
handshake sees it, a pair that does not fit leaves the old one in place, and open connections never notice.
"""

from __future__ import annotations

import logging
import math
import os
import ssl
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

from delivery import Fingerprint, fingerprint_of

POLL_SECONDS = 1.0

log = logging.getLogger("bayplan.certificates")


class CertificateError(Exception):
    """A certificate and key that can't be served: the text names the files."""


class Certificate:
    """The certificate that handshakes get, followed from the time of `start`."""

    def __init__(self, certificate: Path, key: Path, clients: Path | None = None) -> None:
        """`clients` is a file of authorities, one of which must have signed a client's certificate; PEM.

        Raises CertificateError.
        """
        self._pair = (certificate, key)
        self._clients = clients
        self._files = (certificate, key) if clients is None else (certificate, key, clients)
        self._leaf: bytes = b""
        self._expiry = (self._leaf, math.nan)
        self._seen: Fingerprint = fingerprint_of(*self._files)
        self._current = self._load()
        self._complaint = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="certificate", daemon=True)
        self.context = self._load()
        self.context.sni_callback = self._turn

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def expiry(self) -> float:
        """When the serving certificate expires, in seconds since 1970; NaN for one of which that can't be read."""
        leaf = self._leaf
        if self._expiry[0] is not leaf:
            self._expiry = (leaf, _end_of(leaf))
        return self._expiry[1]

    def look(self) -> None:
        """Load the files if they have changed; if they can't be used, keep the old ones and try again next time."""
        now = fingerprint_of(*self._files)
        if now == self._seen:
            return
        try:
            self._current = self._load()
        except CertificateError as error:
            if str(error) != self._complaint:
                log.error("the new certificate can't be used, the old one stays: %s", error)
            self._complaint = str(error)
            return
        self._seen, self._complaint = now, ""
        log.info("the certificate was replaced")

    def _turn(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        certificate, key = self._pair
        context = server_context()
        try:
            _stand(self._files)
            context.load_cert_chain(certificate, key)
            leaf = certificate.read_bytes()
        except (OSError, ValueError) as error:
            raise CertificateError(f"certificate `{certificate}` with key `{key}`: {_said(error)}") from error
        if self._clients is not None:
            _demand(context, self._clients)
        self._leaf = leaf
        return context

    def _run(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.look()


def server_context() -> ssl.SSLContext:
    """TLS 1.2 at least, 1.3 where the client knows it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.options |= ssl.OP_NO_TICKET  # a resumed session would not show its certificate again
    context.num_tickets = 0
    return context


def _demand(context: ssl.SSLContext, authorities: Path) -> None:
    """Have a context speak only to clients with a certificate of one of the authorities. Raises CertificateError."""
    try:
        context.load_verify_locations(cadata=authorities.read_text())
    except (OSError, ValueError) as error:
        raise CertificateError(f"the authorities of clients in `{authorities}`: {_said(error)}") from error
    context.verify_mode = ssl.CERT_REQUIRED


def _end_of(leaf: bytes) -> float:
    from cryptography import x509  # takes as long to import as many a bundle to compile: not before it is asked for

    try:
        return x509.load_pem_x509_certificate(leaf).not_valid_after_utc.timestamp()
    except ValueError:  # it is odd, and OpenSSL serves it all the same
        return math.nan


def _stand(files: Sequence[Path]) -> None:
    """Raises OSError or ValueError if one is missing or no file: OpenSSL would wait for whoever writes into a pipe."""
    for file in files:
        if not stat.S_ISREG(os.stat(file).st_mode):
            raise ValueError(f"`{file}` is not a file")


def _said(error: Exception) -> str:
    """What went wrong, without OpenSSL's function and line numbers."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error)
