"""Real cosign and registries: it verifies there what we sign there, and we take what it attests there. Nightly."""

from __future__ import annotations

import datetime
import json

import pytest

from cli.main import main
from delivery.oci.publish import push
from delivery.oci.reference import Reference
from delivery.signature.statement import PREDICATE
from delivery.transaction import Demands
from delivery.trusted import Trusted
from tests.delivery.bad_bundles import Serving, archive_of, good
from tests.delivery.signature.cosign import NIGHTLY, OFFLINE, Cosign, made_in

from .artifacts import NOBODY
from .conftest import source_of
from .registries import Registry

pytestmark = NIGHTLY


@pytest.fixture(scope="module")
def cosign(tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    return made_in(tmp_path_factory.mktemp("cosign"))


@pytest.fixture(params=["without referrers", "with referrers"])
def reference(
    request: pytest.FixtureRequest, open_registry: Registry, referring_registry: Registry, repository: str
) -> Reference:
    """A tag in each of the registries."""
    registry = open_registry if request.param == "without referrers" else referring_registry
    return Reference(registry.host, repository, "1.0.0")


def publish(reference: Reference, version: str) -> None:
    """Have the tag mean a bundle of this version."""
    push(reference, archive_of(good(version)), "small.tar.gz", {}, NOBODY, move=True)


def verifies(cosign: Cosign, reference: Reference, kind: str) -> bool:
    """Whether cosign finds a statement of ours about what a tag means, by a key."""
    named = f"{reference.registry}/{reference.repository}:{reference.tag}"
    hashed = ["--signature-digest-algorithm", "sha384"] if kind == "p384" else []
    words = ["--key", f"{kind}.pub", "--type", PREDICATE, "--insecure-ignore-tlog=true", *hashed, named]
    return not cosign.run("verify-attestation", *words).returncode


def serving(cosign: Cosign, reference: Reference, kind: str, *, allow_digest: bool = False) -> Serving:
    """Who serves what the tag means, if the key has signed it."""
    trusted = Trusted(keys=(str(cosign.folder / f"{kind}.pub"),), name="small", allow_digest=allow_digest)
    return Serving(source_of(reference), Demands(trusted.vouch))


@pytest.mark.parametrize("kind", ["ed25519", "p256", "p384"])
def test_cosign_verifies_what_we_sign_there(cosign: Cosign, reference: Reference, kind: str) -> None:
    publish(reference, "1.0.0")
    assert not verifies(cosign, reference, kind)
    assert main(["sign", str(reference), "--key", str(cosign.folder / f"{kind}.pem")]) == 0
    assert verifies(cosign, reference, kind)
    assert not verifies(cosign, reference, "p384" if kind == "p256" else "p256")
    publish(reference, "1.0.1")
    assert not verifies(cosign, reference, kind), "what the tag means now is not signed"


def attest(cosign: Cosign, reference: Reference, kind: str, version: str = "1.0.0", **more: str) -> None:
    """Have cosign sign a statement, and put it into the registry."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    predicate = {"bundle": {"name": "small", "version": version}, "issued": now, **more}
    (cosign.folder / "predicate.json").write_text(json.dumps(predicate))
    named = f"{reference.registry}/{reference.repository}:{reference.tag}"
    words = ["--key", f"cosign-{kind}.key", "--type", PREDICATE, "--predicate", "predicate.json", *OFFLINE, named]
    done = cosign.run("attest", *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["p256", "p384"])
def test_we_serve_what_cosign_attests_there(cosign: Cosign, reference: Reference, kind: str) -> None:
    served = serving(cosign, reference, kind)
    publish(reference, "1.0.0")
    assert (served.ask().step, served.version) == ("signature", "")
    attest(cosign, reference, kind)
    assert (served.ask().step, served.version) == ("", "1.0.0"), served.follower.status.message
    publish(reference, "1.0.1")
    assert (served.ask().step, served.version) == ("signature", "1.0.0")
    attest(cosign, reference, kind, "1.0.2")
    status = served.ask()
    assert (status.step, served.version) == ("signature", "1.0.0")
    assert "as `1.0.2`, and its `bundle.yaml` says `1.0.1`" in status.message
    attest(cosign, reference, kind, "1.0.1")
    assert (served.ask().step, served.version) == ("", "1.0.1")


def test_what_cosign_signs_there_is_served_where_digests_are_allowed(cosign: Cosign, reference: Reference) -> None:
    publish(reference, "1.0.0")
    named = f"{reference.registry}/{reference.repository}:{reference.tag}"
    done = cosign.run("sign", "--key", "cosign-p256.key", *OFFLINE, named)
    assert done.returncode == 0, done.stderr
    status = serving(cosign, reference, "p256").ask()
    assert status.step == "signature"
    assert "says neither which bundle it is nor until when" in status.message
    allowed = serving(cosign, reference, "p256", allow_digest=True)
    assert (allowed.ask().step, allowed.version) == ("", "1.0.0")
    assert "is signed by p256.pub" in allowed.follower.status.vouched
    publish(reference, "1.0.1")
    assert (allowed.ask().step, allowed.version) == ("signature", "1.0.0")


def test_statements_that_cosign_signs_by_ed25519_are_told(cosign: Cosign, reference: Reference) -> None:
    publish(reference, "1.0.0")
    attest(cosign, reference, "ed25519")
    status = serving(cosign, reference, "ed25519").ask()
    assert status.step == "signature"
    assert "cosign signs a variant (Ed25519ph) that is not taken" in status.message
