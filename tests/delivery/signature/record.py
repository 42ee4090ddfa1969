"""Record what real programs of sigstore sign and vouch for, for tests that can't wait for them.

    python -m tests.delivery.signature.record    # needs Go; takes a quarter of an hour

Writes `recorded/`. Two instances run, each its own world; one identity of each signs, and two more of the first. What
is recorded stays good: a certificate counts for the time at which the signature was seen, which is recorded with it.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from delivery.signature.keyless import Signing, signed_by_identity
from delivery.signature.statement import PREDICATE

from .cosign import BUILD
from .instance import OLDER, PROGRAMS, SUBJECT, WORKFLOW, Instance, running
from .made import ARCHIVE, statement

RECORDED = Path(__file__).parent / "recorded"
BRANCH = "acme/policies/.github/workflows/release.yml@refs/heads/x@refs/tags/v1.2.0"
"""A workflow of a branch whose name ends as that of a tag."""
LIFETIME_SECONDS = 600.0
"""How long a certificate of Fulcio is good."""


def main() -> None:
    RECORDED.mkdir(exist_ok=True)
    found = programs()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as elsewhere:
        with running(found, Path(elsewhere)) as other:
            keep("other_root", json.dumps(other.root).encode())
        with running(found, Path(folder)) as instance:
            begun = time.monotonic()
            keep("about", json.dumps({"issuer": instance.issuer.url, "subject": SUBJECT}).encode())
            keep("trusted_root", json.dumps(instance.root).encode())
            keep("branch", signed(instance, BRANCH))
            keep("statement", signed(instance))
            keep("promised", promised(instance.folder / "older.pem", (RECORDED / "statement.json").read_bytes()))
            keep("cosigned", cosigned(found["cosign"], instance, "attest-blob", *stated(instance.folder)))
            keep("cosigned_digest", cosigned(found["cosign"], instance, "sign-blob"))
            time.sleep(max(0.0, LIFETIME_SECONDS + 30 - (time.monotonic() - begun)))
            keep("late", late(instance, (RECORDED / "statement.json").read_bytes()))


def programs() -> Mapping[str, Path]:
    built = subprocess.run([BUILD, "cosign", *PROGRAMS], stdout=subprocess.PIPE, text=True, check=True)
    return {name: Path(path) for name, _, path in (line.partition("=") for line in built.stdout.splitlines())}


def keep(name: str, data: bytes) -> None:
    (RECORDED / f"{name}.json").write_text(json.dumps(json.loads(data), indent=1) + "\n")


def signed(instance: Instance, workflow: str = WORKFLOW) -> bytes:
    """What `bayplan sign --keyless` makes of the archive."""
    signing = Signing(json.dumps(instance.root).encode(), json.dumps(instance.signing).encode())
    payload = statement().payload("gpu-1.2.0.tar.gz")
    return signed_by_identity(payload, instance.issuer.token(workflow), signing)[0]


def stated(folder: Path) -> tuple[str, ...]:
    """The words by which `cosign attest-blob` makes a statement."""
    now, day = datetime.datetime(2026, 11, 27, 8, tzinfo=datetime.UTC), datetime.timedelta(days=1)
    times = {key: time.isoformat() for key, time in (("issued", now - day), ("expires", now + day))}
    (folder / "predicate.json").write_text(json.dumps({"bundle": {"name": "gpu", "version": "1.2.0"}, **times}))
    return "--type", PREDICATE, "--predicate", "predicate.json"


def cosigned(cosign: Path, instance: Instance, command: str, *words: str) -> bytes:
    """What cosign makes of the archive, for whom a token is about."""
    (instance.folder / "a.tar.gz").write_bytes(ARCHIVE)
    (instance.folder / "token").write_text(instance.issuer.token())
    given = ["--identity-token", "token", "--signing-config", "signing_config.json"]
    given += ["--trusted-root", "trusted_root.json", "--bundle", "made.json", "--yes", *words, "a.tar.gz"]
    done = subprocess.run(
        [cosign, command, *given],
        cwd=instance.folder,
        env={"HOME": str(instance.folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return (instance.folder / "made.json").read_bytes()


def late(instance: Instance, attestation: bytes) -> bytes:
    """An attestation with a timestamp of now in place of its own."""
    from rfc3161_client import TimestampRequestBuilder

    whole = json.loads(attestation)
    signature = base64.b64decode(whole["dsseEnvelope"]["signatures"][0]["sig"])
    request = TimestampRequestBuilder().data(signature).nonce(nonce=True).build()
    answer = base64.b64encode(instance.timestamp(request.as_bytes())).decode()
    whole["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": answer}]}
    return json.dumps(whole).encode()


def promised(key: Path, attestation: bytes) -> bytes:
    """An attestation in an older log, which gives its own word on the time, in place of a timestamp.

    By hand, as Rekor v1 does it: what was signed is an entry, the only one of the log, which signs that it has it, and
    that it will have it.
    """
    whole = json.loads(attestation)
    envelope, material = whole["dsseEnvelope"], whole["verificationMaterial"]
    log = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(log, ec.EllipticCurvePrivateKey)
    der = log.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    certificate = x509.load_der_x509_certificate(base64.b64decode(material["certificate"]["rawBytes"]))
    (signature,) = envelope["signatures"]
    verifier = base64.b64encode(certificate.public_bytes(Encoding.PEM)).decode()
    spec = {
        "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(canonical(envelope)).hexdigest()},
        "payloadHash": {
            "algorithm": "sha256",
            "value": hashlib.sha256(base64.b64decode(envelope["payload"])).hexdigest(),
        },
        "signatures": [{"signature": signature["sig"], "verifier": verifier}],
    }
    body = canonical({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
    root, seconds, log_id = hashlib.sha256(b"\0" + body).digest(), int(time.time()), hashlib.sha256(der).digest()
    encoded = base64.b64encode(body).decode()
    said = {"body": encoded, "integratedTime": seconds, "logID": log_id.hex(), "logIndex": 0}
    note = f"{OLDER} - 1\n1\n{base64.b64encode(root).decode()}\n"
    word = base64.b64encode(log_id[:4] + log.sign(note.encode(), ec.ECDSA(hashes.SHA256()))).decode()
    promise = base64.b64encode(log.sign(canonical(said), ec.ECDSA(hashes.SHA256()))).decode()
    del material["timestampVerificationData"]
    material["tlogEntries"] = [
        {
            "logIndex": "0",
            "logId": {"keyId": base64.b64encode(log_id).decode()},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(seconds),
            "inclusionPromise": {"signedEntryTimestamp": promise},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": base64.b64encode(root).decode(),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\u2014 {OLDER} {word}\n"},
            },
            "canonicalizedBody": encoded,
        }
    ]
    return json.dumps(whole).encode()


def canonical(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


if __name__ == "__main__":
    main()
