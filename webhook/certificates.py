"""The serving certificate: read from files that may be replaced at any time, or made for development.

A handshake asks for the current context, so a new certificate is one swapped reference: it is complete before the first
handshake sees it, a pair that does not fit leaves the old one in place, and open connections never notice.
"""

from __future__ import annotations

import datetime
import ipaddress
import logging
import os
import ssl
import stat
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from delivery import Fingerprint, fingerprint_of
from telemetry import Metrics

LIFETIME = datetime.timedelta(days=90)
SKEW = datetime.timedelta(hours=1)
POLL_SECONDS = 1.0

log = logging.getLogger("bayplan.certificates")


class CertificateError(Exception):
    """A certificate and key that can't be served: the text names the files."""


class Certificate:
    """The certificate that handshakes get, followed from the time of `start`."""

    def __init__(self, certificate: Path, key: Path, metrics: Metrics, clients: Path | None = None) -> None:
        """`clients` is a file of authorities, one of which must have signed a client's certificate; PEM.

        Raises CertificateError.
        """
        self._pair = (certificate, key)
        self._clients = clients
        self._files = (certificate, key) if clients is None else (certificate, key, clients)
        self._metrics = metrics
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
            leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
        except (OSError, ValueError) as error:
            raise CertificateError(f"certificate `{certificate}` with key `{key}`: {_said(error)}") from error
        if self._clients is not None:
            _demand(context, self._clients)
        self._metrics.certificate.set(leaf.not_valid_after_utc.timestamp())
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


@dataclass(frozen=True, slots=True)
class Pair:
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
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = (
        _builder("bayplan development authority", "bayplan development authority", authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _builder("bayplan", "bayplan development authority", key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = serialization.Encoding.PEM
    return Pair(certificate.public_bytes(pem), key.private_bytes(pem, *plain), authority.public_bytes(pem))


def development_folder() -> tempfile.TemporaryDirectory[str]:
    """A private folder for the files of a development certificate, gone with the process."""
    return tempfile.TemporaryDirectory(prefix="bayplan-tls-")


def _builder(name: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_common_name(name))
        .issuer_name(_common_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name)


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
