"""`bayplan push` and `bayplan pull` with real registries."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cli.main import main
from delivery.archive import Manifest, packed
from delivery.oci.artifact import digest_of
from delivery.oci.reference import Reference
from tests.delivery.bad_bundles import good

from .conftest import source_of
from .registries import USER, Between, Registry
from .test_source import asking_for_basic, shown


def archive(version: str = "1.0.0") -> bytes:
    """The archive of a bundle that passes every step."""
    return packed(good(version), Manifest("small", version))


Ran = tuple[int, str, str]
Run = Callable[..., Ran]


@pytest.fixture
def bayplan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Ran]:
    """Run a command in an empty folder, without the user's own configuration of Docker: status, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))

    def run(*words: object) -> Ran:
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return status, out, err

    return run


def test_there_and_back(bayplan: Run, open_registry: Registry, repository: str, tmp_path: Path) -> None:
    address = f"oci://{open_registry.host}/{repository}"
    (tmp_path / "b.tar.gz").write_bytes(archive("1.2.0"))
    (tmp_path / "b.tar.gz.sigstore.json").write_bytes(b"{}")
    status, out, err = bayplan("push", "b.tar.gz", f"{address}:1.2.0", "--source", "https://git.example.com/policies")
    assert (status, err) == (0, "")
    assert out.startswith(f"pushed small 1.2.0, signed: {address}:1.2.0@sha256:")
    status, out, _ = bayplan("push", "b.tar.gz", f"{address}:stable", "-o", "json")
    said = json.loads(out)
    assert (status, said["bundle"], said["version"]) == (0, "small", "1.2.0")
    assert said["source"] == f"{address}:stable@{said['digest']}"
    assert said["attestation"].startswith("sha256:")
    status, out, err = bayplan("pull", f"{address}?semver=^1.0")
    assert (status, err) == (0, "")
    assert out.startswith(f"pulled small 1.2.0: small-1.2.0.tar.gz\n{address}:1.2.0@sha256:")
    assert (tmp_path / "small-1.2.0.tar.gz").read_bytes() == archive("1.2.0")
    assert (tmp_path / "small-1.2.0.tar.gz.sigstore.json").read_bytes() == b"{}"
    status, out, _ = bayplan("pull", f"{address}@{said['digest']}", "--to", "other.tar.gz", "-o", "json")
    assert json.loads(out) == {
        "bundle": "small",
        "version": "1.2.0",
        "source": f"{address}@{said['digest']}",
        "digest": said["digest"],
        "file": "other.tar.gz",
        "attestations": 1,
    }
    assert status == 0
    assert (tmp_path / "other.tar.gz").read_bytes() == archive("1.2.0")


def test_of_a_folder_the_archive_is_made(
    bayplan: Run, open_registry: Registry, repository: str, tmp_path: Path
) -> None:
    address = f"oci://{open_registry.host}/{repository}:1.0.0"
    for name, data in good("1.0.0").items():
        (tmp_path / "bundle" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "bundle" / name).write_bytes(data)
    assert bayplan("push", "bundle", address)[0] == 0
    assert bayplan("build", "bundle", "-o", "b.tar.gz")[0] == 0
    status, out, _ = bayplan("push", "b.tar.gz", address, "-o", "json")
    assert (status, json.loads(out)["source"].startswith(address)) == (0, True)
    bayplan("pull", address, "--to", "pulled.tar.gz")
    assert (tmp_path / "pulled.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    (tmp_path / "bundle" / "bundle.yaml").write_text("kind: Bundle\n")
    status, out, err = bayplan("push", "bundle", address, "--move")
    assert (status, out) == (1, "")
    assert "is not pushed, for it would not be activated: parse" in err


def test_what_is_there_is_signed_there(bayplan: Run, open_registry: Registry, repository: str, tmp_path: Path) -> None:
    address = f"oci://{open_registry.host}/{repository}:1.0.0"
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "release.pem").write_bytes(pem)
    (tmp_path / "release.pub").write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "b.tar.gz").write_bytes(archive())
    assert bayplan("push", "b.tar.gz", address)[0] == 0
    assert bayplan("verify", address, "--key", "release.pub")[0] == 1
    status, out, err = bayplan("sign", address, "--key", "release.pem", "--expires", "1d")
    assert (status, err) == (0, "")
    assert out.startswith(f"signed small 1.0.0: {address}@sha256:")
    status, out, _ = bayplan("verify", address, "--key", "release.pub", "--name", "small")
    assert (status, "verified" in out) == (0, True)
    (attestation,) = source_of(Reference(open_registry.host, repository, "1.0.0")).fetch().attestations
    signed = json.loads(base64.b64decode(json.loads(attestation)["dsseEnvelope"]["payload"]))["subject"]
    manifest = source_of(Reference(open_registry.host, repository, "1.0.0")).fetch().manifest
    assert [one["digest"]["sha256"] for one in signed] == [hashlib.sha256(archive()).hexdigest(), manifest]
    bayplan("pull", address, "--to", "pulled.tar.gz")
    assert bayplan("verify", "pulled.tar.gz", "--key", "release.pub")[0] == 0
    assert bayplan("sign", address, "--key", "release.pem", "-o", "x")[0] == 2


def test_what_goes_wrong_is_said(bayplan: Run, open_registry: Registry, repository: str, tmp_path: Path) -> None:
    address = f"oci://{open_registry.host}/{repository}"
    (tmp_path / "b.tar.gz").write_bytes(archive("1.2.0"))
    (tmp_path / "c.tar.gz").write_bytes(archive("1.2.1"))
    (tmp_path / "bad.tar.gz").write_bytes(b"no archive")
    assert bayplan("push", "b.tar.gz", f"{address}:1.2.0")[0] == 0
    status, out, err = bayplan("push", "c.tar.gz", f"{address}:1.2.0")
    assert (status, out) == (2, "")
    assert "a version stays what it is" in err
    assert bayplan("push", "c.tar.gz", f"{address}:1.2.0", "--move")[0] == 0
    for words, said in (
        (("push", "none.tar.gz", f"{address}:1"), "No such file"),
        (("push", "bad.tar.gz", f"{address}:1"), "the archive can't be taken"),
        (("push", "b.tar.gz", f"{address}?semver=^1"), "names no tag"),
        (("push", "b.tar.gz", f"{address}@sha256:{'0' * 64}"), "names no tag"),
        (("push", "b.tar.gz", address), "which version is not said"),
        (("push", "b.tar.gz", "./b"), "is no address in a registry"),
        (("push", "b.tar.gz", "git+https://host/a"), "is no address in a registry"),
        (("push", "b.tar.gz", f"{address}:1", "--credentials", "none"), "`none` does not exist"),
        (("pull", f"{address}:9"), f"does not have `{repository}:9`"),
        (("pull", f"{address}:1.2.0", "--to", "no/such/folder.tar.gz"), "No such file"),
    ):
        status, out, err = bayplan(*words)
        assert (status, out) == (2, ""), words
        assert said in err, err
    layer = open_registry.blob(digest_of(archive("1.2.1")))
    layer.write_bytes(layer.read_bytes()[:-1] + b"x")
    status, out, err = bayplan("pull", f"{address}:1.2.0")
    assert status == 2
    assert "is not what its digest says" in err
    assert not (tmp_path / "small-1.2.1.tar.gz").exists()


def test_what_docker_login_keeps_is_shown(
    bayplan: Run, open_registry: Registry, repository: str, between: Callable[[str], Between], tmp_path: Path
) -> None:
    way = between(open_registry.host)
    way.faults.append(asking_for_basic)
    (tmp_path / "b.tar.gz").write_bytes(archive())
    address = f"oci://{way.host}/{repository}:1.0.0"
    status, _, err = bayplan("push", "b.tar.gz", address)
    assert (status, f"there are no credentials for `{way.host}`" in err) == (2, True)
    (tmp_path / "docker").mkdir()
    entry = {"auth": base64.b64encode(f"{USER}:first".encode()).decode()}
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {way.host: entry}}))
    assert bayplan("push", "b.tar.gz", address)[0] == 0
    assert shown(way)[-1] == f"Basic {entry['auth']}"
