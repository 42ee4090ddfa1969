"""webhook.certificates: they are what clients check, and may be replaced while connections come in."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from webhook.certificates import Certificate, CertificateError
from webhook.pair import Pair, development

NAMES = ["127.0.0.1", "localhost", "bayplan.bayplan.svc"]


def served(pair: Pair, folder: Path) -> Certificate:
    return Certificate(*pair.write(folder))


@contextmanager
def listening(context: ssl.SSLContext) -> Iterator[int]:
    """A TLS server that says one byte to each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(plain, server_side=True) as connection:
                        connection.sendall(b"x")
                        connection.recv(1)
                except OSError:
                    plain.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def handshake(
    port: int, pair: Pair, name: str | None, change: Callable[[ssl.SSLContext], None] = lambda _: None
) -> tuple[x509.Certificate, str | None]:
    """The certificate and the TLS version that a client who trusts the pair's authority gets."""
    trusting = ssl.create_default_context(cadata=pair.authority.decode())
    change(trusting)
    if name is None:
        trusting.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        trusting.wrap_socket(plain, server_hostname=name) as connection,
    ):
        assert connection.recv(1) == b"x"
        der = connection.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der), connection.version()


@pytest.mark.parametrize("name", NAMES)
def test_a_development_certificate_passes_a_clients_checks(tmp_path: Path, name: str) -> None:
    pair = development(NAMES)
    with listening(served(pair, tmp_path).context) as port:
        certificate, version = handshake(port, pair, name)
    assert version == "TLSv1.3"
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)


def test_other_names_and_authorities_fail(tmp_path: Path) -> None:
    pair = development(NAMES)
    with listening(served(pair, tmp_path).context) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"doesn't match|Hostname mismatch"):
            handshake(port, pair, "elsewhere.svc")
        with pytest.raises(ssl.SSLCertVerificationError, match=r"certificate signature failure|verify failed"):
            handshake(port, development(NAMES), "localhost")


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    _, key = development(NAMES).write(tmp_path)
    assert key.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["localhost", None])
def test_a_new_certificate_is_served_to_new_connections(tmp_path: Path, name: str | None) -> None:
    """Also to clients that name no host, as the API server does when its webhook's URL is an address."""
    first, second = development(NAMES), development(NAMES)
    certificate = served(first, tmp_path)
    with listening(certificate.context) as port:
        before, _ = handshake(port, first, name)
        second.write(tmp_path)
        certificate.look()
        after, version = handshake(port, second, name)
    assert version == "TLSv1.3"
    assert before.serial_number != after.serial_number
    assert after == x509.load_pem_x509_certificate(second.certificate)


def test_a_pair_that_does_not_fit_leaves_the_old_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = development(NAMES), development(NAMES)
    certificate = served(first, tmp_path)
    with listening(certificate.context) as port:
        (tmp_path / "tls.crt").write_bytes(second.certificate)
        certificate.look()
        certificate.look()
        assert caplog.text.count("key values mismatch") == 1
        handshake(port, first, "localhost")
        (tmp_path / "tls.key").write_bytes(second.key)
        certificate.look()
        handshake(port, second, "localhost")


def test_a_secret_is_swapped_by_one_link(tmp_path: Path) -> None:
    first, second = development(NAMES), development(NAMES)
    for name, pair in (("..1", first), ("..2", second)):
        (tmp_path / name).mkdir()
        pair.write(tmp_path / name)
    (tmp_path / "..data").symlink_to("..1")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    certificate = Certificate(tmp_path / "tls.crt", tmp_path / "tls.key")
    with listening(certificate.context) as port:
        handshake(port, first, "localhost")
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        shutil.rmtree(tmp_path / "..1")
        certificate.look()
        handshake(port, second, "localhost")


def test_old_versions_of_tls_are_refused(tmp_path: Path) -> None:
    def no_newer(context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    pair = development(NAMES)
    certificate = served(pair, tmp_path)
    assert certificate.context.minimum_version == ssl.TLSVersion.TLSv1_2
    with listening(certificate.context) as port:
        assert handshake(port, pair, "localhost", no_newer)[1] == "TLSv1.2"


@pytest.mark.parametrize("content", [b"", b"no PEM", None])
def test_what_can_not_be_served_is_said(tmp_path: Path, content: bytes | None) -> None:
    certificate, key = development(NAMES).write(tmp_path)
    if content is None:
        certificate.unlink()
    else:
        certificate.write_bytes(content)
    with pytest.raises(CertificateError, match=r"certificate `.*tls.crt` with key `.*tls.key`: [A-Za-z]"):
        Certificate(certificate, key)


@pytest.mark.parametrize("which", [0, 1])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, which: int
) -> None:
    files = development(NAMES).write(tmp_path)
    certificate = Certificate(*files)
    files[which].unlink()
    os.mkfifo(files[which])
    certificate.look()
    assert (
        f"the old one stays: certificate `{files[0]}` with key `{files[1]}`: `{files[which]}` is not a file"
        in caplog.text
    )
    with pytest.raises(CertificateError, match="is not a file"):
        Certificate(*files)


def test_it_says_when_it_expires_of_whichever_is_served(tmp_path: Path) -> None:
    first, second = development(NAMES), development(NAMES)
    certificate = served(first, tmp_path)
    assert certificate.expiry() == x509.load_pem_x509_certificate(first.certificate).not_valid_after_utc.timestamp()
    time.sleep(1.1)  # certificates tell seconds
    third = development(NAMES)
    (tmp_path / "tls.crt").write_bytes(second.certificate)
    certificate.look()  # it does not fit, and the old one is served
    assert certificate.expiry() == x509.load_pem_x509_certificate(first.certificate).not_valid_after_utc.timestamp()
    third.write(tmp_path)
    certificate.look()
    assert certificate.expiry() == x509.load_pem_x509_certificate(third.certificate).not_valid_after_utc.timestamp()
    assert certificate.expiry() > x509.load_pem_x509_certificate(first.certificate).not_valid_after_utc.timestamp()


def test_a_start_does_without_what_reads_certificates() -> None:
    """It takes as long to import as ten policies to compile."""
    loaded = "import sys, webhook; print(sorted(name for name in sys.modules if name.startswith('cryptography.x509')))"
    answer = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
