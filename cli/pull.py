"""Take the archive of a bundle out of a registry, and what signs it.

Every digest on the way is compared, and the archive is read as `serve` would read it before it is kept. What signs it
is written beside it, as ARCHIVE.sigstore.json: `bayplan verify` says whose word that is.

Exit status: 0 pulled, 2 could not pull.

example:
  bayplan pull 'oci://registry.example.com/policies/gpu?semver=^1.2' --to gpu.tar.gz
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from pathlib import Path

from cli.errors import CommandError
from cli.registries import add_credentials, reference, shown
from cli.terminal import amount
from delivery import SourceError, opened
from delivery.oci import pull

BESIDE = ".sigstore.json"
"""What the name of a signature ends with, after its archive's."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("address", metavar="ADDRESS", help="oci://registry/repository:tag, @sha256:… or ?semver=…")
    parser.add_argument("--to", metavar="FILE", help="where to write the archive (NAME-VERSION.tar.gz, here)")
    add_credentials(parser)
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    wanted = reference(args.address)
    try:
        pulled = pull(wanted, shown(args.credentials))
        manifest = opened(pulled.archive).manifest
    except SourceError as error:
        raise CommandError(f"{wanted}: {error}") from error
    file = args.to or _plain(f"{manifest.name}-{manifest.version}.tar.gz")
    _write(file, pulled.archive)
    if len(pulled.attestations) == 1:
        _write(f"{file}{BESIDE}", pulled.attestations[0])
    elif pulled.attestations:
        said = f"{amount(len(pulled.attestations), 'signature')} were left there, for one can stand beside an archive"
        print(f"bayplan: {said}", file=sys.stderr)
    source = str(wanted._replace(tag=pulled.tag, digest=pulled.digest, versions=""))
    if args.output == "json":
        said_of = {"bundle": manifest.name, "version": manifest.version, "source": source, "digest": pulled.digest}
        print(json.dumps({**said_of, "file": file, "attestations": len(pulled.attestations)}, indent=2))
    else:
        print(f"pulled {manifest.name} {manifest.version}: {file}\n{source}")
    return 0


def _plain(name: str) -> str:
    """A name of a file here, and not elsewhere: it is from the archive, whoever made that."""
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+_-]*", name) else "bundle.tar.gz"


def _write(path: str, data: bytes) -> None:
    """Write a file whole or not at all."""
    folder = Path(path).parent
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".bayplan-", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
