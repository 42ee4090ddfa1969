"""A sigstore of one's own, of real programs on this machine: Fulcio with a certificate log, Rekor, and timestamps.

Whoever asks for a certificate shows a token of an issuer that is played here: three pages over HTTP.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.e2e.processes import Process, free_ports
from tests.waiting import wait_for

PROGRAMS = ("fulcio", "tesseract", "rekor-server", "timestamp-server")
PASSWORD = "secret"
ORIGIN = "rekor.tests"
OLDER = "older.tests"
"""What the log calls itself; and one of Rekor v1, which has a key here and does not run, for it takes a database."""
WORKFLOW = "acme/policies/.github/workflows/release.yml@refs/tags/v1.2.0"
SUBJECT = f"https://github.com/{WORKFLOW}"
"""Whom tokens are about that say nothing else: what GitHub Actions says of a workflow that a tag has started."""


class Instance:
    """It runs. `folder` has `trusted_root.json`, `signing_config.json`, and what its programs keep and say."""

    def __init__(self, folder: Path, issuer: Issuer, urls: Mapping[str, str]) -> None:
        self.folder, self.issuer, self._urls = folder, issuer, urls
        since = {"start": _time(datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1))}
        self.root = self._root(since)
        self.signing = self._signing(since)
        (folder / "trusted_root.json").write_text(json.dumps(self.root))
        (folder / "signing_config.json").write_text(json.dumps(self.signing))

    def timestamp(self, request: bytes) -> bytes:
        """The answer of the timestamp authority."""
        answer = httpx.post(
            f"{self._urls['tsa']}/api/v1/timestamp",
            content=request,
            headers={"Content-Type": "application/timestamp-query"},
        )
        answer.raise_for_status()
        return answer.content

    def _root(self, since: Mapping[str, str]) -> dict[str, Any]:
        """What `cosign trusted-root create` would write."""
        chain = httpx.get(f"{self._urls['tsa']}/api/v1/timestamp/certchain").text
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                _log(self.folder / "rekor.pub", f"https://{ORIGIN}", since, "PKIX_ED25519"),
                _log(self.folder / "older.pub", f"https://{OLDER}", since, "PKIX_ECDSA_P256_SHA_256"),
            ],
            "certificateAuthorities": [
                _authority((self.folder / "fulcio.pem").read_text(), self._urls["fulcio"], since)
            ],
            "ctlogs": [_log(self.folder / "tesseract.pub", self._urls["tesseract"], since, "PKIX_ECDSA_P256_SHA_256")],
            "timestampAuthorities": [_authority(chain, self._urls["tsa"], since)],
        }

    def _signing(self, since: Mapping[str, str]) -> dict[str, Any]:
        """What `cosign signing-config create` would write."""

        def service(url: str, version: int = 1) -> dict[str, Any]:
            return {"url": url, "majorApiVersion": version, "validFor": since, "operator": "tests"}

        return {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service(self._urls["fulcio"])],
            "oidcUrls": [service(self.issuer.url)],
            "rekorTlogUrls": [service(self._urls["rekor"], 2)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": [service(f"{self._urls['tsa']}/api/v1/timestamp")],
            "tsaConfig": {"selector": "ANY"},
        }


class Issuer:
    """Says who somebody is, as GitHub does of its workflows: by tokens that it signs."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._key = rsa.generate_private_key(65_537, 2_048)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self._pages()))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, workflow: str = WORKFLOW) -> str:
        """A token for sigstore about a workflow."""
        repository, ref = workflow.partition("/.github/")[0], workflow.rpartition("@")[2]
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": "sigstore",
            "sub": f"repo:{repository}:ref:{ref}",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "job_workflow_ref": workflow,
            "job_workflow_sha": "0" * 40,
            "workflow_ref": workflow,
            "workflow_sha": "0" * 40,
            "sha": "0" * 40,
            "event_name": "push",
            "repository": repository,
            "repository_id": "1",
            "repository_owner": repository.partition("/")[0],
            "repository_owner_id": "2",
            "repository_visibility": "private",
            "workflow": "release",
            "ref": ref,
            "runner_environment": "github-hosted",
            "run_id": "3",
            "run_attempt": "1",
        }
        said = ".".join(_word(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "tests"}, claims))
        return f"{said}.{_word(self._key.sign(said.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def _pages(self) -> Mapping[str, Mapping[str, Any]]:
        numbers = self._key.public_key().public_numbers()
        key = {"n": _word(numbers.n.to_bytes(256, "big")), "e": _word(numbers.e.to_bytes(3, "big"))}
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "authorization_endpoint": f"{self.url}/auth",
                "token_endpoint": f"{self.url}/token",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            },
            "/keys": {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "tests", **key}]},
        }


@contextlib.contextmanager
def running(programs: Mapping[str, Path], folder: Path) -> Iterator[Instance]:
    """An instance, until the end of the block."""
    with contextlib.ExitStack() as stack:
        ports = dict(
            zip(
                ("issuer", "fulcio", "grpc", "tesseract", "rekor", "rekor-grpc", "tsa", "m1", "m2"),
                free_ports(9),
                strict=True,
            )
        )
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        issuer = Issuer(ports["issuer"])
        stack.callback(issuer.close)

        def start(name: str, *words: str | Path) -> Process:
            process = Process([programs[name], *words], folder / f"{name}.log")
            stack.callback(process.kill)
            return process

        (folder / "fulcio.json").write_text(json.dumps({"OIDCIssuers": {issuer.url: _issuer(issuer.url)}}))
        _keys(folder)
        started = [
            start(
                *("tesseract", f"--private_key={folder / 'tesseract.pem'}", "--origin=tesseract.tests"),
                *(f"--storage_dir={folder / 'tesseract'}", f"--roots_pem_file={folder / 'fulcio.root.pem'}"),
                *(f"--http_endpoint=127.0.0.1:{ports['tesseract']}", "--checkpoint_interval=100ms"),
            ),
            start(
                *("fulcio", "serve", "--ca=fileca", f"--ct-log-url={urls['tesseract']}"),
                *(f"--config-path={folder / 'fulcio.json'}", "--host=127.0.0.1", f"--port={ports['fulcio']}"),
                *("--grpc-host=127.0.0.1", f"--grpc-port={ports['grpc']}", f"--metrics-port={ports['m1']}"),
                *(f"--fileca-cert={folder / 'fulcio.pem'}", f"--fileca-key={folder / 'fulcio.key'}"),
                *(f"--fileca-key-passwd={PASSWORD}", f"--legacy-unix-domain-socket={folder / 'fulcio.sock'}"),
            ),
            start(
                *("rekor-server", "serve", f"--hostname={ORIGIN}", f"--signer-filepath={folder / 'rekor.pem'}"),
                *(f"--storage-dir={folder / 'rekor'}", f"--http-port={ports['rekor']}"),
                *(f"--grpc-port={ports['rekor-grpc']}", f"--http-metrics-port={ports['m2']}"),
                "--checkpoint-interval=200ms",
            ),
            start(
                "timestamp-server", "serve", f"--port={ports['tsa']}", "--host=127.0.0.1", "--disable-ntp-monitoring"
            ),
        ]
        asked = {"tesseract": "ct/v1/get-roots", "fulcio": "api/v1/rootCert", "tsa": "ping", "rekor": "healthz"}
        for name, path in asked.items():
            wait_for(lambda url=f"{urls[name]}/{path}": _answers(url, started), name)  # type: ignore[misc]
        yield Instance(folder, issuer, urls)


def _answers(url: str, started: list[Process]) -> bool:
    for process in started:
        assert process.exit_status is None, process.output()
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def _issuer(url: str) -> dict[str, str]:
    return {"IssuerURL": url, "ClientID": "sigstore", "Type": "github-workflow"}


def _keys(folder: Path) -> None:
    """What the logs and the authority sign with."""
    _certificates(folder)
    rekor, tesseract = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    (folder / "rekor.pem").write_bytes(rekor.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    old = tesseract.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (folder / "tesseract.pem").write_bytes(old)
    older = ec.generate_private_key(ec.SECP256R1())
    (folder / "older.pem").write_bytes(older.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = (("rekor", rekor.public_key()), ("tesseract", tesseract.public_key()), ("older", older.public_key()))
    for name, key in public:
        (folder / f"{name}.pub").write_bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _certificates(folder: Path) -> None:
    """A root, and an authority below it that issues."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "authority")}
    made = [_authority_certificate(name, keys[name], keys["root"]) for name in ("authority", "root")]
    pem = [one.public_bytes(Encoding.PEM) for one in made]
    (folder / "fulcio.pem").write_bytes(b"".join(pem))
    (folder / "fulcio.root.pem").write_bytes(pem[1])
    hidden = BestAvailableEncryption(PASSWORD.encode())
    key = keys["authority"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)
    (folder / "fulcio.key").write_bytes(key)


def _authority_certificate(name: str, key: Any, issuer: Any) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    subject, issued_by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, "root"))
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    usage |= dict.fromkeys(("digital_signature", "encipher_only", "decipher_only"), False)
    return (
        x509.CertificateBuilder(issued_by, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=3_650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=1 if name == "root" else 0), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .sign(issuer, hashes.SHA256())
    )


def _log(key: Path, url: str, since: Mapping[str, str], details: str) -> dict[str, Any]:
    der = key.read_bytes()
    named = f"{ORIGIN}\n".encode() + b"\1" + der[-32:] if details == "PKIX_ED25519" else der  # as notes, or as RFC 6962
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": _base64(der), "keyDetails": details, "validFor": since},
        "logId": {"keyId": _base64(hashlib.sha256(named).digest())},
    }


def _authority(chain: str, url: str, since: Mapping[str, str]) -> dict[str, Any]:
    certificates = x509.load_pem_x509_certificates(chain.encode())
    return {
        "subject": {"organization": "tests", "commonName": "tests"},
        "uri": url,
        "certChain": {"certificates": [{"rawBytes": _base64(one.public_bytes(Encoding.DER))} for one in certificates]},
        "validFor": since,
    }


def _handler(pages: Mapping[str, Mapping[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            body = json.dumps(page).encode()
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _time(time: datetime.datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _word(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
