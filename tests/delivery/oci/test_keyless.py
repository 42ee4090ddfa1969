"""Identities and registries: what a job of CI signs there, by our command or cosign, is served where it is trusted.

Nightly, on a sigstore and registries that run.
"""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cli.main import main
from delivery.oci.reference import Reference
from delivery.signature.statement import PREDICATE
from delivery.transaction import Demands
from delivery.trusted import Trusted
from tests.delivery.bad_bundles import Serving
from tests.delivery.signature.cosign import NIGHTLY
from tests.delivery.signature.instance import SUBJECT, Instance, running
from tests.delivery.signature.record import programs

from .conftest import source_of
from .test_cosign import publish, reference

pytestmark = NIGHTLY
__all__ = ["reference"]


@pytest.fixture(scope="module")
def found() -> Mapping[str, Path]:
    return programs()


@pytest.fixture(scope="module")
def instance(found: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running(found, tmp_path_factory.mktemp("sigstore")) as one:
        (one.folder / "identities").write_text(f"{one.issuer.url} {SUBJECT}\n")
        (one.folder / "others").write_text(f"{one.issuer.url} {SUBJECT}0\n")
        yield one


def serving(instance: Instance, reference: Reference, who: str, *, allow_digest: bool = False) -> Serving:
    roots = (str(instance.folder / "trusted_root.json"),)
    trusted = Trusted(name="small", allow_digest=allow_digest, identities=(str(instance.folder / who),), roots=roots)
    return Serving(source_of(reference), Demands(trusted.vouch))


def where(instance: Instance) -> list[str]:
    """The words, ours and cosign's, by which a token is shown, and to whom."""
    (instance.folder / "token").write_text(instance.issuer.token())
    files = {"identity-token": "token", "trusted-root": "trusted_root.json", "signing-config": "signing_config.json"}
    return [word for flag, name in files.items() for word in (f"--{flag}", str(instance.folder / name))]


def cosign(program: Path, instance: Instance, command: str, reference: Reference, *words: str) -> int:
    named = f"{reference.registry}/{reference.repository}:{reference.tag}"
    done = subprocess.run(
        [program, command, *words, named],
        cwd=instance.folder,
        env={"HOME": str(instance.folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert command.startswith("verify") or done.returncode == 0, done.stderr
    return done.returncode


def test_what_a_job_signs_there_is_served(instance: Instance, found: Mapping[str, Path], reference: Reference) -> None:
    publish(reference, "1.0.0")
    ours, others = serving(instance, reference, "identities"), serving(instance, reference, "others")
    assert ours.ask().step == others.ask().step == "signature"
    assert main(["sign", str(reference), "--keyless", *where(instance)]) == 0
    assert (ours.ask().step, ours.version) == ("", "1.0.0"), ours.follower.status.message
    assert ours.follower.status.vouched == f"small 1.0.0 is signed by {SUBJECT} ({instance.issuer.url})"
    assert (others.ask().step, others.version) == ("signature", "")
    words = [
        "--type",
        PREDICATE,
        "--trusted-root",
        "trusted_root.json",
        "--certificate-oidc-issuer",
        instance.issuer.url,
    ]
    assert (
        cosign(found["cosign"], instance, "verify-attestation", reference, *words, "--certificate-identity", SUBJECT)
        == 0
    )
    assert cosign(found["cosign"], instance, "verify-attestation", reference, *words, "--certificate-identity", "x")
    publish(reference, "1.0.1")
    assert (ours.ask().step, ours.version) == ("signature", "1.0.0")


def test_what_cosign_attests_there_is_served(
    instance: Instance, found: Mapping[str, Path], reference: Reference
) -> None:
    publish(reference, "1.0.0")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    predicate = {"bundle": {"name": "small", "version": "1.0.0"}, "issued": now}
    (instance.folder / "predicate.json").write_text(json.dumps(predicate))
    words = ["--type", PREDICATE, "--predicate", "predicate.json", "--yes", *where(instance)]
    cosign(found["cosign"], instance, "attest", reference, *words)
    served = serving(instance, reference, "identities")
    assert (served.ask().step, served.version) == ("", "1.0.0"), served.follower.status.message
    assert serving(instance, reference, "others").ask().step == "signature"


def test_what_cosign_signs_there_is_served_where_digests_are_allowed(
    instance: Instance, found: Mapping[str, Path], reference: Reference
) -> None:
    publish(reference, "1.0.0")
    cosign(found["cosign"], instance, "sign", reference, "--yes", *where(instance))
    status = serving(instance, reference, "identities").ask()
    assert (status.step, "says neither which bundle it is nor until when" in status.message) == ("signature", True)
    allowed = serving(instance, reference, "identities", allow_digest=True)
    assert (allowed.ask().step, allowed.version) == ("", "1.0.0"), allowed.follower.status.message
    assert serving(instance, reference, "others", allow_digest=True).ask().step == "signature"
