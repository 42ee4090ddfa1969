"""The bundles that `serve` is given, and what is said of each: a flag behind a `--bundle` is about that one alone.

`audit` is asked for the same of its bundles, so that it decides by what is served, or not at all.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import CommandError
from cli.identities import check_identities
from cli.inputs import apart, existing
from cli.owned import OfBundle, Owner, overlaps, said_of
from engine.release import VERSION

if TYPE_CHECKING:
    from delivery import Overrides, Trusted
    from engine.documents import Source
    from engine.program import Program
    from webhook import BundleOptions


def add_bundles(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which bundles, and what is asked of each."""
    parser.add_argument(
        "--bundle",
        required=True,
        action="append",
        metavar="SOURCE",
        help="the bundle: a folder, an archive, git+https://HOST/REPOSITORY//FOLDER?branch=NAME (or tag, semver, "
        "commit), oci://REGISTRY/REPOSITORY:TAG (or @sha256:…, ?semver=), or objects://NAME, which are in the cluster; "
        "of several, what stands behind one is about that one alone, and what stands before the first about all",
    )
    bundles = parser.add_argument_group("bundle")
    _add_demands(bundles)
    bundles.add_argument(
        "--owns",
        action=OfBundle,
        many=True,
        metavar="PREFIX",
        help="how names of the bundle's policies may begin; may be repeated (default: as they like, if it is the only "
        "bundle)",
    )
    bundles.add_argument(
        "--poll",
        action=OfBundle,
        type=float,
        metavar="SECONDS",
        help="how often a bundle that is elsewhere is asked for, a fifth more or less (default: 60)",
    )
    bundles.add_argument(
        "--shadow",
        action=OfBundle,
        metavar="SOURCE",
        help="another bundle in its place, asked about the same pods after they are answered; what it would do "
        "otherwise is logged",
    )
    bundles.add_argument(
        "--previous",
        action=OfBundle,
        metavar="SOURCE",
        help="with --rollout-bundle, the bundle in its place that decides about the other workloads",
    )
    bundles.add_argument(
        "--rollout-bundle",
        type=int,
        metavar="PERCENT",
        help="about how many workloads of a hundred bundles with a --previous one decide: the same ones on each "
        "replica, and those that were among them stay while it grows (default: all)",
    )
    bundles.add_argument(
        "--refuse-conflicts",
        action=OfBundle,
        nargs=0,
        help="do not activate a bundle of whose policies `check` says what they do to each other on its own pools",
    )
    _add_trust(parser.add_argument_group("whom to trust"))


def add_demands(parser: argparse.ArgumentParser) -> None:
    """The arguments that say what is asked of each bundle, where it is read once."""
    _add_demands(parser.add_argument_group("bundle"))
    _add_trust(parser.add_argument_group("whom to trust"))


def _add_demands(bundles: argparse._ArgumentGroup) -> None:
    bundles.add_argument(
        "--timeout",
        action=OfBundle,
        type=float,
        metavar="SECONDS",
        help="how long one question to such a source may take (default: 60)",
    )
    bundles.add_argument(
        "--credentials",
        action=OfBundle,
        metavar="DIR",
        help="what is shown to the source: files username, password, bearerToken, identity, known_hosts, ca.crt, "
        ".dockerconfigjson; read again at each use",
    )
    bundles.add_argument(
        "--params",
        action=OfBundle,
        many=True,
        metavar="FILE",
        help="constants of this cluster that take the place of the bundle's: YAML, a map; read again when it changes; "
        "may be repeated",
    )
    bundles.add_argument(
        "--param",
        action=OfBundle,
        many=True,
        metavar="NAME=VALUE",
        help="one such constant, its value as YAML; may be repeated",
    )


def _add_trust(trust: argparse._ArgumentGroup) -> None:
    trust.add_argument(
        "--key",
        action=OfBundle,
        many=True,
        metavar="FILE",
        help="a public key that signs archives (PEM), or a folder of them; read again at each use; may be repeated",
    )
    trust.add_argument(
        "--allowed-signers",
        action=OfBundle,
        many=True,
        metavar="FILE",
        help="who signs commits and tags, as `ssh-keygen -Y verify` reads it; read again at each use; may be repeated",
    )
    trust.add_argument(
        "--identities",
        action=OfBundle,
        many=True,
        metavar="FILE",
        help="who signs archives without a key: an issuer and a subject, which may have `*` in it, on each line; read "
        "again at each use; may be repeated",
    )
    trust.add_argument(
        "--trusted-root",
        action=OfBundle,
        many=True,
        metavar="FILE",
        help="whose certificates, logs and timestamps are believed of --identities, as sigstore has it (JSON); read "
        "again at each use; may be repeated",
    )
    trust.add_argument(
        "--signature",
        action=OfBundle,
        choices=("required", "optional"),
        help="whether a bundle must be signed (default: where --key, --identities or --allowed-signers is given)",
    )
    trust.add_argument(
        "--bundle-name", action=OfBundle, metavar="NAME", help="the bundle that it has to be (default: any)"
    )
    trust.add_argument(
        "--allow-older",
        action=OfBundle,
        nargs=0,
        help="take a signed version that is older than the newest one seen; --state remembers it",
    )
    trust.add_argument(
        "--allow-digest",
        action=OfBundle,
        nargs=0,
        help="take a signature of the archive's bytes, as of `cosign sign-blob`, which does not say what they are",
    )


def served_bundles(args: argparse.Namespace) -> tuple[BundleOptions, ...]:
    """What is said of each bundle. Raises CommandError or BundleError for what can be seen to be wrong at once."""
    bundles = tuple(_bundle(args, place) for place in range(len(args.bundle)))
    for one in bundles:
        _check(one, state=bool(args.state))
    _check_together(bundles)
    _check_rollout(bundles, args.rollout_bundle, state=bool(args.state))
    return bundles


def demands(args: argparse.Namespace) -> bool:
    """Whether more is asked of bundles than whose names of policies are."""
    return any(name != "owns" for _, name, *_ in getattr(args, "noted", ()))


def demanded_programs(args: argparse.Namespace) -> tuple[Program, ...]:
    """The programs of the bundles, read once, each of which is what is asked of it. Raises CommandError or BundleError
    for what is not, and for what can be seen to be wrong at once."""
    from delivery import Demands, SourceError, StepFailedError, candidate_of, read_address, source_of

    texts = [str(one) for one in args.bundle]
    owners = [Owner(text, said_of(args, place).get("owns", ())) for place, text in enumerate(texts)]
    for wrong in overlaps(owners) if any(one.owns for one in owners) else ():
        raise CommandError(wrong)
    found: list[Program] = []
    for place, text in enumerate(texts):
        said = said_of(args, place)
        _check_files(said)
        asked = Demands(
            vouch=trusted.vouch if (trusted := _trusted(said)) else None,
            overrides=_overrides(said),
            owns=tuple(said.get("owns", ())),
            bayplan=VERSION,
        )
        credentials = Path(said["credentials"]) if "credentials" in said else None
        source = source_of(read_address(text), credentials, said.get("timeout", 60.0))
        try:
            found.append(candidate_of(source.fetch(), asked, {}, time.time()).program)
        except SourceError as error:
            raise CommandError(f"{text}: {error}") from error
        except StepFailedError as error:
            raise CommandError(f"{text}: the step `{error.step}` failed: {error}") from error
        finally:
            source.close()
    apart(args.bundle, found)
    return tuple(found)


def _overrides(said: dict[str, Any]) -> Overrides:
    from delivery import Overrides

    return Overrides(tuple(said.get("params", ())), tuple(_param(pair) for pair in said.get("param", ())))


def _bundle(args: argparse.Namespace, place: int) -> BundleOptions:
    from webhook import BundleOptions

    said = said_of(args, place)
    return BundleOptions(
        source=args.bundle[place],
        poll_seconds=said.get("poll", 60.0),
        timeout_seconds=said.get("timeout", 60.0),
        credentials=said.get("credentials"),
        overrides=_overrides(said),
        trusted=_trusted(said),
        owns=tuple(said.get("owns", ())),
        refuse_conflicts=said.get("refuse_conflicts", False),
        shadow=said.get("shadow"),
        previous=said.get("previous"),
    )


def _check(bundle: BundleOptions, *, state: bool) -> None:
    from delivery import read_address

    address = read_address(bundle.source)
    if address.kind == "folder" and not state:  # else what was kept may serve
        existing(Path(address.location))
    if bundle.shadow is not None:
        read_address(bundle.shadow, "--shadow")
    for flag, seconds in (("--poll", bundle.poll_seconds), ("--timeout", bundle.timeout_seconds)):
        if not seconds > 0:
            raise CommandError(f"{flag} is a number of seconds above 0")
    _check_files({"credentials": bundle.credentials, "params": bundle.overrides.files})


def _check_files(said: dict[str, Any]) -> None:
    folder = said.get("credentials")
    if folder and not Path(folder).is_dir():
        raise CommandError(f"--credentials `{folder}` is no folder")
    for path in said.get("params", ()):
        if not Path(path).is_file():
            raise CommandError(f"--params `{path}` is no file")


def _check_rollout(bundles: Sequence[BundleOptions], percent: int | None, *, state: bool) -> None:
    from delivery import read_address

    previous = [one for one in bundles if one.previous]
    if percent is not None and not 0 <= percent <= 100:
        raise CommandError("--rollout-bundle is a number of workloads of a hundred, 0 to 100")
    if percent is not None and percent < 100 and not previous:
        raise CommandError("say with --previous SOURCE which bundle decides about the other workloads")
    for one in previous:
        if percent is None:
            raise CommandError("--previous goes with --rollout-bundle PERCENT")
        if (
            one.previous in [each.source for each in bundles]
            or [each.previous for each in bundles].count(one.previous) > 1
        ):
            raise CommandError(f"--previous `{one.previous}` is given twice: it must be another source")
        address = read_address(one.previous or "", "--previous")
        if percent < 100 and address.kind == "folder" and not state:
            existing(Path(address.location))


def _check_together(bundles: Sequence[BundleOptions]) -> None:
    """Refuse bundles of which it is not certain that no two hold a policy of the same name."""
    for wrong in overlaps([Owner(one.source, one.owns) for one in bundles]):
        raise CommandError(wrong)


def _trusted(said: dict[str, Any]) -> Trusted | None:
    from delivery import Trusted

    check_identities(
        said.get("identities"), said.get("trusted_root"), others="key" in said or "allowed_signers" in said
    )
    trusted = Trusted(
        keys=tuple(said["key"]) if "key" in said else None,
        signers=tuple(said["allowed_signers"]) if "allowed_signers" in said else None,
        required={"required": True, "optional": False}.get(said.get("signature", "")),
        name=said.get("bundle_name", ""),
        allow_older=said.get("allow_older", False),
        allow_digest=said.get("allow_digest", False),
        identities=tuple(said["identities"]) if "identities" in said else None,
        roots=tuple(said.get("trusted_root", ())),
    )
    return None if trusted == Trusted() else trusted


def _param(pair: str) -> Source:
    """A constant as YAML: what problems of it point into."""
    from engine.documents import Source

    name, equals, value = pair.partition("=")
    if not name or not equals:
        raise CommandError(f"--param `{pair}` is not NAME=VALUE")
    return Source("--param", f"{name}: {value}")
