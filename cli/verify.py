"""Say who vouches for a bundle: whose signature it carries, that it is about this bundle, and until when it is good.

Archives and artifacts are signed by `bayplan sign` (or cosign) and verified by public keys, or by identities and a
trusted root; repositories by SSH signatures of their commits or tags and a file of allowed signers. A folder carries no
signature. The signature of an archive here is expected beside it, as ARCHIVE.sigstore.json.

Exit status: 0 verified, 1 not verified, 2 could not look.

example:
  bayplan verify gpu-1.2.0.tar.gz --key release.pub --name gpu
  bayplan verify gpu-1.2.0.tar.gz --identities identities --trusted-root trusted_root.json
  bayplan verify 'git+https://git.example.com/policies.git//gpu?semver=^1' --allowed-signers allowed_signers
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

from cli.archives import content_of
from cli.errors import CommandError
from cli.identities import check_identities
from cli.terminal import GREEN, RED, styled
from delivery import Content, bundle_of, read_address
from delivery.signature import SignatureError, Trust, Verified, read_trust, verified
from engine.bundle import Bundle
from engine.documents import BundleError
from engine.versions import version_of


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="an archive, git+…, or oci://…")
    trust = parser.add_argument_group("whom to trust")
    trust.add_argument(
        "--key",
        action="append",
        metavar="FILE",
        help="a public key that signs archives (PEM), or a folder of them; may be repeated, one of them is enough",
    )
    trust.add_argument(
        "--allowed-signers",
        action="append",
        metavar="FILE",
        help="who signs commits and tags, as `ssh-keygen -Y verify` reads it; may be repeated",
    )
    trust.add_argument(
        "--identities",
        action="append",
        metavar="FILE",
        help="who signs archives without a key: an issuer and a subject on each line; may be repeated",
    )
    trust.add_argument(
        "--trusted-root",
        action="append",
        metavar="FILE",
        help="whose certificates, logs and timestamps are believed, as sigstore has it (JSON); may be repeated",
    )
    trust.add_argument("--name", default="", help="the bundle that it has to be")
    trust.add_argument("--seen", default="", metavar="VERSION", help="refuse versions that are older than this one")
    trust.add_argument(
        "--allow-digest",
        action="store_true",
        help="take a signature of the archive's bytes, as of `cosign sign-blob`, which does not say what they are",
    )
    parser.add_argument(
        "--credentials", metavar="FOLDER", type=Path, help="a folder with username, password, identity and the like"
    )
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    trust = _trust(args)
    if args.seen and version_of(args.seen) is None:
        raise CommandError(f"--seen `{args.seen}` is no semantic version, as in `1.2.0`")
    content, bundle = fetched(args.source, args.credentials)
    now = datetime.datetime.now(datetime.UTC)
    try:
        found = verified(content, bundle.name, bundle.version, trust, args.seen, now)
    except SignatureError as error:
        return _tell(args, content, bundle, _refused(error), f"{styled('not verified', RED)}: {error}", 1)
    said = {"verified": True, "kind": found.kind, "by": found.by, "expires": _expires(found), "message": found.words}
    return _tell(args, content, bundle, said, f"{styled('verified', GREEN)}: {found.words}", 0)


def fetched(text: str, credentials: Path | None) -> tuple[Content, Bundle]:
    """What a source has now, and the bundle that it is; whether it is a sound one is for `check` to say."""
    content = content_of(read_address(text, "SOURCE"), credentials)
    bundle, problems = bundle_of(content.files, content.problems)
    if bundle is None:
        raise BundleError(problems)
    return content, bundle


def _trust(args: argparse.Namespace) -> Trust:
    if args.key is args.allowed_signers is args.identities is None:
        raise CommandError(
            "whom to trust is not said: --key or --identities for archives, --allowed-signers for repositories"
        )
    check_identities(args.identities, args.trusted_root, others=True)
    trust = read_trust(
        args.key,
        args.allowed_signers,
        args.identities,
        args.trusted_root or (),
        required=True,
        name=args.name,
        allow_digest=args.allow_digest,
    )
    if not trust.keys and not trust.signers and not (trust.identities and trust.roots):
        raise CommandError("; ".join(trust.problems) or "there is nobody in what was given to trust")
    return trust


def _refused(error: SignatureError) -> dict[str, Any]:
    told = {"fault": error.fault, "field": error.field, "reason": error.reason, "remedy": error.remedy}
    return {"verified": False, "kind": "none", "by": "", "expires": None, "message": str(error), **told}


def _expires(found: Verified) -> str | None:
    return found.expires.isoformat().replace("+00:00", "Z") if found.expires else None


def _tell(
    args: argparse.Namespace, content: Content, bundle: Bundle, said: dict[str, Any], words: str, status: int
) -> int:
    if args.output == "json":
        what = {"source": content.origin, "bundle": bundle.name, "version": bundle.version}
        print(json.dumps(what | said, indent=2))
    else:
        print(words)
    return status
