"""Sign an archive of `bayplan build`: which bundle it is, in which version, and until when that may be believed.

The signature is a sigstore bundle (JSON) that `bayplan verify`, `serve` and cosign take. `openssl genpkey -algorithm
ed25519 -aes256 -out release.pem` makes a key, `openssl pkey -in release.pem -pubout -out release.pub` its public half.
It is written beside the archive; of an archive in a registry (oci://…), it is put beside that, in the registry.

A job of CI needs no key: with --keyless it signs as who it is, by a token of its own and a certificate that is good for
minutes. A log that anybody may read keeps who has signed, and when.

Exit status: 0 signed, 2 could not sign.

example:
  bayplan sign gpu-1.2.0.tar.gz --key release.pem --passphrase-env PASSPHRASE --expires 90d
  bayplan sign gpu-1.2.0.tar.gz --keyless --expires 90d
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import re
import sys
from pathlib import Path

from cli.errors import CommandError
from cli.registries import add_credentials, reference, shown
from delivery import SourceError, bundle_of, opened, read_address
from delivery.oci import attach, pull
from delivery.signature import (
    BadKeyError,
    KeylessError,
    Signing,
    Statement,
    attestation_of,
    private_key,
    signed_by_identity,
)
from engine.bundle import Bundle
from engine.documents import BundleError

UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", metavar="ARCHIVE", help="an archive of `bayplan build`, or oci://…")
    by = parser.add_mutually_exclusive_group(required=True)
    by.add_argument("--key", type=Path, metavar="FILE", help="the private key (PEM)")
    by.add_argument(
        "--keyless", action="store_true", help="by the identity of whoever runs this (needs bayplan[sigstore])"
    )
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--passphrase-file", type=Path, metavar="FILE", help="a file with the key's passphrase")
    secret.add_argument("--passphrase-env", metavar="NAME", help="an environment variable with the key's passphrase")
    parser.add_argument(
        "--expires",
        type=_lifetime,
        metavar="TIME",
        help="how long it is good: hours, days or weeks, as in 90d (for ever)",
    )
    keyless = parser.add_argument_group("with --keyless")
    keyless.add_argument(
        "--identity-token",
        type=Path,
        metavar="FILE",
        help="a file with a token that says who signs (default: the one that the job of CI is given)",
    )
    for flag, what in (("--trusted-root", "its trusted root"), ("--signing-config", "its signing configuration")):
        keyless.add_argument(
            flag, type=Path, metavar="FILE", help=f"of a sigstore that is not the public one, {what} (JSON)"
        )
    add_credentials(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it, - for standard output (beside it)")


def run(args: argparse.Namespace) -> int:
    _check(args)
    kind = read_address(args.archive, "ARCHIVE").kind
    if kind == "oci":
        return _sign_there(args)
    if kind != "archive":
        raise CommandError(
            f"{args.archive} is no archive: `bayplan build` makes one; Git signs commits and tags itself"
        )
    try:
        bundle, signature, by = _signed(args, Path(args.archive).read_bytes())
    except SourceError as error:
        raise CommandError(f"{args.archive}: {error}") from error
    output = args.output or f"{args.archive}.sigstore.json"
    if output == "-":
        sys.stdout.write(signature.decode() + "\n")
        return 0
    Path(output).write_bytes(signature + b"\n")
    print(f"signed {bundle.name} {bundle.version}{by}: {output}")
    return 0


def _sign_there(args: argparse.Namespace) -> int:
    """Sign what a registry has, and put the signature beside it."""
    target, credentials = reference(args.archive), shown(args.credentials)
    if args.output:
        raise CommandError("--output: the signature of what is in a registry is put there; `bayplan pull` takes it out")
    try:
        pulled = pull(target, credentials)
        bundle, signature, by = _signed(args, pulled.archive, pulled.digest.removeprefix("sha256:"))
        pinned = target._replace(tag=pulled.tag, digest=pulled.digest, versions="")
        attach(pinned, signature, credentials)
    except SourceError as error:
        raise CommandError(f"{target}: {error}") from error
    print(f"signed {bundle.name} {bundle.version}{by}: {pinned}")
    return 0


def _check(args: argparse.Namespace) -> None:
    given = [flag for flag in ("identity_token", "trusted_root", "signing_config") if getattr(args, flag)]
    if args.key and given:
        raise CommandError(f"--{given[0].replace('_', '-')} goes with --keyless")
    if args.keyless and (args.passphrase_file or args.passphrase_env):
        raise CommandError("a passphrase goes with --key")
    if bool(args.trusted_root) != bool(args.signing_config):
        raise CommandError("--trusted-root and --signing-config go together: both are of one sigstore")


def _signed(args: argparse.Namespace, data: bytes, *manifest: str) -> tuple[Bundle, bytes, str]:
    """The bundle in an archive; its signature, and that of its manifest in a registry, if it has one; and by whom.

    Raises SourceError, BundleError and CommandError.
    """
    archive = opened(data)
    bundle, problems = bundle_of(archive.files)
    if bundle is None:
        raise BundleError(problems)
    now = datetime.datetime.now(datetime.UTC)
    expires = now + args.expires if args.expires else None
    digest, revision = hashlib.sha256(data).hexdigest(), archive.manifest.revision
    statement = Statement(digest, bundle.name, bundle.version, revision, now, expires, manifest)
    payload = statement.payload(f"{bundle.name}-{bundle.version}.tar.gz")
    try:
        if args.keyless:
            signature, by = signed_by_identity(payload, _token(args), _signing(args))
            return bundle, signature, f" by {by}"
        return bundle, attestation_of(payload, private_key(args.key.read_bytes(), str(args.key), _passphrase(args))), ""
    except (BadKeyError, KeylessError) as error:
        raise CommandError(str(error)) from error


def _token(args: argparse.Namespace) -> str:
    try:
        return args.identity_token.read_text().strip() if args.identity_token else ""
    except UnicodeDecodeError as error:
        raise CommandError(f"--identity-token `{args.identity_token}` is no text") from error


def _signing(args: argparse.Namespace) -> Signing | None:
    if not args.signing_config:
        return None
    return Signing(_json("--trusted-root", args.trusted_root), _json("--signing-config", args.signing_config))


def _json(flag: str, path: Path) -> bytes:
    data = path.read_bytes()
    try:
        json.loads(data)
    except ValueError as error:
        raise CommandError(f"{flag} `{path}` is no JSON: {error}") from error
    return data


def _passphrase(args: argparse.Namespace) -> bytes | None:
    if args.passphrase_file:
        said: bytes = args.passphrase_file.read_bytes()
        return said.splitlines()[0] if said else b""
    if args.passphrase_env is None:
        return None
    if (value := os.environ.get(args.passphrase_env)) is None:
        raise CommandError(f"--passphrase-env: there is no variable `{args.passphrase_env}`")
    return value.encode(errors="surrogateescape")


def _lifetime(text: str) -> datetime.timedelta:
    found = re.fullmatch(r"([1-9]\d{0,4})([hdw])", text, re.ASCII)
    if not found:
        raise argparse.ArgumentTypeError(f"`{text}` is no time; expected a number with h, d or w, as in `90d`")
    return datetime.timedelta(**{UNITS[found[2]]: int(found[1])})
