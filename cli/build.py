"""Make an archive of a bundle: what is released, signed, pushed and served, the same bytes wherever it is built.

What activation would refuse is refused here: errors of `check`, a bundle's own tests that fail, requirements that this
Bayplan does not meet. The archive's manifest names the bundle, its version, the digests of its files, and the commit of
Git that they are of, if all of them are committed as they are.

Exit status: 0 built, 1 the bundle has errors or fails its tests, 2 could not build.

example:
  bayplan build policies/gpu
  bayplan build policies/gpu -o release/gpu.tar.gz
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
from pathlib import Path

from cli.archives import built
from cli.errors import CommandError
from cli.terminal import amount
from delivery import StepFailedError


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help="a bundle's folder, or git+…")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to write it, or a folder for it, - for standard output (NAME-VERSION.tar.gz)",
    )


def run(args: argparse.Namespace) -> int:
    try:
        archive = built(args.bundle)
    except StepFailedError as error:
        print(error, file=sys.stderr)
        print(f"bayplan: {args.bundle} is not built, for it would not be activated: {error.step}", file=sys.stderr)
        return 1
    manifest = archive.manifest
    output = args.output or f"{manifest.name}-{manifest.version}.tar.gz"
    if output != "-" and Path(output).is_dir():
        output = str(Path(output, f"{manifest.name}-{manifest.version}.tar.gz"))
    if output == "-":
        sys.stdout.buffer.write(archive.data)
        return 0
    _write(Path(output), archive.data)
    commit = f"commit {manifest.revision}" if manifest.revision else "no commit: not all of it is committed"
    print(f"{output}  {amount(len(manifest.digests), 'file')}  sha256:{hashlib.sha256(archive.data).hexdigest()}")
    print(f"{manifest.name} {manifest.version}, {commit}", file=sys.stderr)
    return 0


def _write(path: Path, data: bytes) -> None:
    """All of it, or nothing: who follows the file never sees half of it."""
    aside = path.with_name(f".{path.name}.new")
    if not path.parent.is_dir():
        raise CommandError(f"{path.parent}: no such folder")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise CommandError(f"{path} can't be written: {error.strerror}") from error
