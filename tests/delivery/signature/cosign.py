"""Real cosign, with a key pair of each kind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from delivery.signature.statement import PREDICATE

from .made import ARCHIVE, KINDS, key, private_pem, public_pem

BUILD = Path(__file__).parents[2] / "controlplane" / "build"
NIGHTLY = [
    pytest.mark.skipif(os.environ.get("BAYPLAN_NIGHTLY") != "1", reason="cosign takes minutes to build"),
    pytest.mark.timeout(3_600),
]
OFFLINE = ("--tlog-upload=false", "--use-signing-config=false", "--yes")
"""What keeps it from telling the world."""


class Cosign:
    """The program in a folder with the archive, and a key pair of each kind that it has imported."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self.folder = program, folder
        (folder / "a.tar.gz").write_bytes(ARCHIVE)
        for kind in KINDS:
            (folder / f"{kind}.pem").write_bytes(private_pem(key(kind).key))
            (folder / f"{kind}.pub").write_bytes(public_pem(key(kind).key))
            self.run("import-key-pair", "--key", f"{kind}.pem", "--output-key-prefix", f"cosign-{kind}")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "COSIGN_PASSWORD": "secret", "HOME": str(self.folder)}
        command = [str(self._program), *words]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def verifies(self, kind: str, attestation: bytes) -> bool:
        """Of a key on P-384 it has to be told the hash that its own `attest-blob` takes."""
        (self.folder / "x.sigstore.json").write_bytes(attestation)
        words = ["--key", f"{kind}.pub", "--bundle", "x.sigstore.json", "--type", PREDICATE]
        words += ["--signature-digest-algorithm", "sha384"] if kind == "p384" else []
        return not self.run("verify-blob-attestation", *words, "--insecure-ignore-tlog=true", "a.tar.gz").returncode

    def made(self, command: str, kind: str, *words: str) -> bytes:
        """The sigstore bundle that a command of cosign makes of the archive."""
        out = self.folder / "made.sigstore.json"
        out.unlink(missing_ok=True)
        done = self.run(command, "--key", f"cosign-{kind}.key", "--bundle", out.name, *OFFLINE, *words, "a.tar.gz")
        assert done.returncode == 0, done.stderr
        return out.read_bytes()


def made_in(folder: Path) -> Cosign:
    """Cosign at work in a folder; the test is skipped where it can't be built."""
    built = subprocess.run([BUILD, "cosign"], stdout=subprocess.PIPE, text=True, check=False)
    programs = dict(line.split("=", 1) for line in built.stdout.splitlines())
    if "cosign" not in programs:
        pytest.skip("no cosign: have Go and its modules, to let tests/controlplane/build make it")
    return Cosign(Path(programs["cosign"]), folder)
