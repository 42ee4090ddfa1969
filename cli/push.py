"""Put a bundle into a registry, and with it what signs it.

Of a folder the archive is made as `bayplan build` makes it. The artifact follows from the archive alone: the same
bundle has the same digest, wherever it is pushed from. A signature beside the archive, ARCHIVE.sigstore.json as
`bayplan sign` writes it, goes with it. A tag that is a version stays what it is; other tags, as `stable`, move.

Exit status: 0 pushed, 1 the bundle has errors or fails its tests, 2 could not push.

example:
  bayplan push gpu-1.2.0.tar.gz oci://registry.example.com/policies/gpu:1.2.0
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping

from cli.archives import built
from cli.errors import CommandError
from cli.registries import add_credentials, reference, shown
from delivery import Manifest, SourceError, StepFailedError
from delivery.oci import attach, push


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help="an archive of `bayplan build`, or a bundle's folder")
    parser.add_argument("address", metavar="ADDRESS", help="oci://registry/repository:tag")
    parser.add_argument("--source", metavar="URL", default="", help="where the bundle is written, for people to look")
    parser.add_argument("--move", action="store_true", help="move the tag even if it is a version")
    add_credentials(parser)
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    target = reference(args.address)
    if not target.tag:
        raise CommandError(f"`{args.address}` names no tag to push to: say `oci://registry/repository:tag`")
    credentials = shown(args.credentials)
    try:
        archive = built(args.bundle)
    except StepFailedError as error:
        print(error, file=sys.stderr)
        print(f"bayplan: {args.bundle} is not pushed, for it would not be activated: {error.step}", file=sys.stderr)
        return 1
    manifest = archive.manifest
    title = f"{manifest.name}-{manifest.version}.tar.gz"
    try:
        digest = push(target, archive.data, title, _annotations(manifest, args.source), credentials, move=args.move)
        there = target._replace(tag="", digest=digest)
        attached = attach(there, archive.attestation, credentials) if archive.attestation else ""
    except SourceError as error:
        raise CommandError(f"{target}: {error}") from error
    pushed = str(target._replace(digest=digest))
    if args.output == "json":
        said = {"bundle": manifest.name, "version": manifest.version, "source": pushed, "digest": digest}
        print(json.dumps({**said, "attestation": attached or None}, indent=2))
    else:
        print(f"pushed {manifest.name} {manifest.version}{', signed' if attached else ''}: {pushed}")
    return 0


def _annotations(manifest: Manifest, source: str) -> Mapping[str, str]:
    """What registries and their consoles show of an artifact; no time, for that would be another artifact each time."""
    said = {"version": manifest.version, "revision": manifest.revision, "source": source}
    return {f"org.opencontainers.image.{key}": value for key, value in said.items() if value}
