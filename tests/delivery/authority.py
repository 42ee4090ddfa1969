"""An authority for tests, and certificates of it for servers on loopback."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = ("localhost", "other.localhost")


class Authority:
    """Signs what a server on loopback shows. `pem` is what clients are given."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority for tests")])
        self.pem = self._signed(self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=None))

    def context(self, folder: Path, hosts: tuple[str, ...] = HOSTS) -> ssl.SSLContext:
        """What a server shows: a certificate for these names and 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [*map(x509.DNSName, hosts), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])])
        certificate = self._signed(subject, key.public_key(), x509.SubjectAlternativeName(names))
        form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        both = folder / "server.pem"
        both.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form) + certificate.encode())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        return context

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> str:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
        signed = builder.add_extension(extension, critical=subject == self._name).sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()
