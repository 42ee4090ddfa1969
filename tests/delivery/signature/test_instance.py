"""A sigstore that runs: our commands sign and verify by it, cosign verifies what we sign, and we what it signs.

And cosign has the last word on what is refused. Nightly, for the programs take minutes to build.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from cli.main import main
from delivery.archive import Manifest, packed
from delivery.signature.identities import Identity
from delivery.signature.statement import PREDICATE
from delivery.signature.trust import Root, Trust
from delivery.signature.verify import verified
from tests.delivery import bundles

from .cosign import NIGHTLY
from .instance import ORIGIN, SUBJECT, Instance, running
from .made import ARCHIVE, NOW, archived
from .record import BRANCH, cosigned, programs, signed, stated
from .recordings import ISSUER, RECORDED, changed, recorded
from .test_keyless import CHANGES, PROMISED, Whole

pytestmark = NIGHTLY
STRICTER = {
    "a timestamp twice": "one that is good is enough for cosign",
    "another root of the log": "cosign takes that of the checkpoint, which is right",
}
"""What is refused here and not by cosign, and why."""


@pytest.fixture(scope="module")
def found() -> Mapping[str, Path]:
    return programs()


@pytest.fixture(scope="module")
def instance(found: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running(found, tmp_path_factory.mktemp("sigstore")) as one:
        yield one


def ours(instance: Instance, *, allow_digest: bool = False) -> Trust:
    root = Root("trusted_root.json", json.dumps(instance.root).encode())
    return Trust(identities=(Identity("x", instance.issuer.url, SUBJECT),), roots=(root,), allow_digest=allow_digest)


def test_commands_sign_and_verify(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {name: text.encode() for name, text in bundles.files("1.2.0").items()}
    Path("a.tar.gz").write_bytes(packed(files, Manifest("small", "1.2.0")))
    Path("token").write_text(instance.issuer.token() + "\n")
    Path("identities").write_text(f"{instance.issuer.url} {SUBJECT}\n")
    where = ["--trusted-root", str(instance.folder / "trusted_root.json")]
    services = ["--signing-config", str(instance.folder / "signing_config.json")]
    assert (
        main(["sign", "a.tar.gz", "--keyless", "--identity-token", "token", "--expires", "90d", *where, *services]) == 0
    )
    who = f"{SUBJECT} ({instance.issuer.url})"
    assert capsys.readouterr().out == f"signed small 1.2.0 by {who}: a.tar.gz.sigstore.json\n"
    assert main(["verify", "a.tar.gz", "--identities", "identities", *where, "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["by"], told["kind"], told["bundle"], told["version"]) == (who, "statement", "small", "1.2.0")
    Path("identities").write_text(f"{instance.issuer.url} {SUBJECT}x\n")
    assert main(["verify", "a.tar.gz", "--identities", "identities", *where]) == 1
    assert f"it is by {who}, who is not trusted" in capsys.readouterr().out
    Path("token").write_text(instance.issuer.token()[:-8] + "AAAAAAAA")
    assert main(["sign", "a.tar.gz", "--keyless", "--identity-token", "token", *where, *services]) == 2
    assert "bayplan: no signature by an identity: " in capsys.readouterr().err


def cosign_verifies(
    cosign: Path, folder: Path, attestation: bytes, root: Path, issuer: str, subject: str
) -> subprocess.CompletedProcess[str]:
    (folder / "a.tar.gz").write_bytes(ARCHIVE)
    (folder / "x.json").write_bytes(attestation)
    words = [
        "--bundle",
        "x.json",
        "--trusted-root",
        str(root),
        "--type",
        PREDICATE,
        "--certificate-oidc-issuer",
        issuer,
    ]
    return subprocess.run(
        [
            cosign,
            "verify-blob-attestation",
            *words,
            "--certificate-identity",
            subject,
            "a.tar.gz",
        ],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_cosign_verifies_what_we_sign(instance: Instance, found: Mapping[str, Path], tmp_path: Path) -> None:
    root, issuer = instance.folder / "trusted_root.json", instance.issuer.url
    for data, who in ((signed(instance), SUBJECT), (signed(instance, BRANCH), f"https://github.com/{BRANCH}")):
        done = cosign_verifies(found["cosign"], tmp_path, data, root, issuer, who)
        assert done.returncode == 0, done.stderr
        assert cosign_verifies(found["cosign"], tmp_path, data, root, issuer, f"{who}x").returncode
        assert cosign_verifies(found["cosign"], tmp_path, data, root, f"{issuer}/", who).returncode
        other = RECORDED / "other_root.json"
        assert cosign_verifies(found["cosign"], tmp_path, data, other, issuer, who).returncode


def test_we_verify_what_cosign_signs(instance: Instance, found: Mapping[str, Path]) -> None:
    data = cosigned(found["cosign"], instance, "attest-blob", *stated(instance.folder))
    assert verified(archived(data), "gpu", "1.2.0", ours(instance), "", NOW).kind == "statement"
    data = cosigned(found["cosign"], instance, "sign-blob")
    assert verified(archived(data), "gpu", "1.2.0", ours(instance, allow_digest=True), "", NOW).kind == "digest"


def test_a_root_that_cosign_makes_is_taken(instance: Instance, found: Mapping[str, Path], tmp_path: Path) -> None:
    for name in ("rekor", "tesseract"):
        key = load_der_public_key((instance.folder / f"{name}.pub").read_bytes())
        (tmp_path / f"{name}.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    stamping = b"".join(
        b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % one["rawBytes"].encode()
        for one in instance.root["timestampAuthorities"][0]["certChain"]["certificates"]
    )
    (tmp_path / "tsa.pem").write_bytes(stamping)
    since = "start-time=2026-01-01T00:00:00Z"
    services = (
        f"--fulcio=url=https://fulcio.example,certificate-chain={instance.folder / 'fulcio.pem'}",
        f"--rekor=url=https://rekor.example,public-key=rekor.pem,{since},origin={ORIGIN}",
        f"--ctfe=url=https://ct.example,public-key=tesseract.pem,{since}",
        "--tsa=url=https://tsa.example,certificate-chain=tsa.pem",
    )
    words = ["trusted-root", "create", *services, "--out", "root.json"]
    subprocess.run([found["cosign"], *words], cwd=tmp_path, check=True, capture_output=True)
    root = Root("root.json", (tmp_path / "root.json").read_bytes())
    known = Trust(identities=(Identity("x", instance.issuer.url, SUBJECT),), roots=(root,))
    assert verified(archived(signed(instance)), "gpu", "1.2.0", known, "", NOW).kind == "statement"


def test_cosign_takes_what_is_recorded(found: Mapping[str, Path], tmp_path: Path) -> None:
    root = RECORDED / "trusted_root.json"
    for name in ("statement", "promised", "cosigned"):
        done = cosign_verifies(found["cosign"], tmp_path, recorded(name), root, ISSUER, SUBJECT)
        assert done.returncode == 0, done.stderr
    assert cosign_verifies(found["cosign"], tmp_path, recorded("late"), root, ISSUER, SUBJECT).returncode


BOTH = [(of, *case) for of, cases in (("statement", CHANGES), ("promised", PROMISED)) for case in cases]


@pytest.mark.parametrize(
    ("of", "name", "change"),
    [(of, name, change) for of, name, _, _, change in BOTH],
    ids=[" ".join(case[:2]) for case in BOTH],
)
def test_cosign_refuses_what_we_refuse(
    of: str, name: str, change: Callable[[Whole], object], found: Mapping[str, Path], tmp_path: Path
) -> None:
    root, data = RECORDED / "trusted_root.json", changed(of, change)
    done = cosign_verifies(found["cosign"], tmp_path, data, root, ISSUER, SUBJECT)
    assert bool(done.returncode) == (name not in STRICTER), done.stderr
