"""Say what changes from one revision of a bundle to another: by what policies mean, not by how they are written.

OLD and NEW are folders, or sources as `serve --bundle` has them; with --since, OLD is what the folder was at a revision
of the Git repository that holds it. Each policy that decides otherwise comes with a pod that shows it, on the pools
given, or on those of the bundles' own tests. Over given pods it tells which workloads would be placed otherwise.
With `--bundle`, other bundles decide together with both.
Exit status: 0 no decision changes, 1 some do, or may, 2 could not run; with --detailed-exitcode, as terraform has it:
0 no decision changes, 1 could not run, 2 some do, or may.

example:
  bayplan diff --since origin/main policies/gpu
  bayplan diff policies/gpu-1.2 policies/gpu --pods manifests/ --pools nodes.yaml
  bayplan diff --since main policies/gpu --context staging -o markdown
  bayplan diff policies/gpu-1.2 policies/gpu --bundle policies/net --pods manifests/ --pools nodes.yaml
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from audit import Move, moved
from cli.changes import Comparison, as_json, as_text
from cli.errors import CommandError, UnsoundError
from cli.inputs import (
    Place,
    add_bundles,
    add_cluster,
    add_pods,
    add_pools,
    apart,
    existing,
    given_cluster,
    given_inventory,
    inventory,
    looks_at_pools,
    names_cluster,
    read_inventory,
    running_pods,
    together,
)
from delivery import SourceError, bundle_at, bundle_from
from engine.analysis import Revisions, Version, inventories_of, revised
from engine.bundle import Bundle
from engine.decision import OWN_NAMESPACE, Decider
from engine.documents import BundleError
from engine.pools import Inventory
from engine.program import Program, compile_bundle


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundles", metavar="OLD NEW", nargs="+", help="two bundles; with --since REF, only the new one")
    add_bundles(parser, required=False, about="another bundle, which decides together with both; may be repeated")
    parser.add_argument("--since", metavar="REF", help="compare with what the folder was at this revision of Git")
    parser.add_argument(
        "--credentials",
        metavar="FOLDER",
        type=Path,
        help="files with what sources elsewhere ask for",
    )
    parser.add_argument(
        "--detailed-exitcode", action="store_true", help="exit as terraform does: 2 for differences, 1 for failures"
    )
    parser.add_argument(
        "-o", "--output", choices=["text", "json", "markdown"], default="text", help="how to print (text)"
    )
    add_pods(parser)
    add_pools(parser)
    add_cluster(parser)


def run(args: argparse.Namespace) -> int:
    old, new = _versions(args)
    beside = _beside(old, new, args)
    revisions = compared(old, new, args, beside)
    comparison = Comparison(revisions, *_moves(old, new, beside, revisions, args))
    if args.output == "json":
        print(json.dumps(as_json(comparison), indent=2))
    elif args.output == "markdown":
        from cli.comment import as_markdown

        print(as_markdown(comparison))
    else:
        print(as_text(comparison))
    return int(comparison.differs)


def compared(old: Version, new: Version, args: argparse.Namespace, beside: Sequence[Program] = ()) -> Revisions:
    """What changes, on the pools that the arguments name, or else on those of both bundles; `beside` decide, too."""
    cluster = {field: value for field, value in given_cluster(args).items() if value}
    return revised(old, new, _inventories(old.bundle, new.bundle, given_inventory(args)), cluster, beside)


def _beside(old: Version, new: Version, args: argparse.Namespace) -> list[Program]:
    """The programs of the bundles that decide together with both."""
    others = together(args)
    bundles = [bundle for bundle, _ in others]
    for version in (old, new):
        apart([str(version.bundle.revision), *(args.bundle or ())], [version.bundle, *bundles])
    return [program for _, program in others]


def _inventories(old: Bundle, new: Bundle, given: Inventory | None) -> Sequence[tuple[str, Inventory]]:
    if given is not None:
        return [("--pools", given)]
    found = dict(inventories_of(new))
    before = {name: pools for name, pools in inventories_of(old) if pools not in found.values()}
    return [*found.items(), *((f"{name} as it was", pools) for name, pools in before.items())]


def _versions(args: argparse.Namespace) -> tuple[Version, Version]:
    expected = 2 if args.since is None else 1
    if len(args.bundles) != expected:
        words = (
            "--since REF takes one bundle"
            if args.since is not None
            else "say two bundles, OLD and NEW, or --since REF BUNDLE"
        )
        raise CommandError(words)
    new = version_of(args.bundles[-1], "NEW", args.credentials)
    if args.since is None:
        return version_of(args.bundles[0], "OLD", args.credentials), new
    return version_at(Path(args.bundles[0]), args.since) or _nothing(new.bundle), new


def _nothing(new: Bundle) -> Version:
    """What a bundle was before there was one."""
    nothing = Bundle(new.name, "0.0.0")
    return Version(nothing, compile_bundle(nothing))


def version_of(text: str, flag: str, credentials: Path | None = None) -> Version:
    """The bundle of a source, compiled. What is wrong with it is told by its own files."""
    try:
        bundle = bundle_from(text, flag, credentials)
        return Version(bundle, compile_bundle(bundle))
    except SourceError as error:
        raise CommandError(f"{text}: {error}") from error
    except BundleError as error:
        if all(problem.rule == "source" for problem in error.problems):
            raise  # it is about what was written on the command line, and points into it
        raise _unusable(text, error) from error


def version_at(folder: Place, revision: str) -> Version | None:
    """What a bundle's folder was at a revision of Git, compiled; None where there was none yet."""
    here = existing(folder)
    if not isinstance(here, Path) or not here.is_dir():
        raise CommandError(f"{folder}: what was before is known of a folder in a repository only")
    try:
        bundle = bundle_at(here, revision)
        return Version(bundle, compile_bundle(bundle)) if bundle else None
    except SourceError as error:
        raise CommandError(f"{folder} at `{revision}`: {error}") from error
    except BundleError as error:
        raise _unusable(f"{folder} at `{revision}`", error) from error


def _unusable(what: str, error: BundleError) -> UnsoundError:
    wrong = [problem for problem in error.problems if problem.severity == "error"]
    told = "\n\n".join(map(str, wrong))
    return UnsoundError(f"{what} can't be compared, for it is no sound bundle:\n{told}")


def _moves(
    old: Version, new: Version, beside: Sequence[Program], revisions: Revisions, args: argparse.Namespace
) -> tuple[int | None, Sequence[Move]]:
    """How many pods were decided, None if none were asked about, and what becomes of those that fare otherwise."""
    if not args.pods and not names_cluster(args):
        return None, ()
    reading = any(map(looks_at_pools, (old.program, new.program, *beside)))
    pools = inventory(args) if reading else read_inventory(args)
    cluster = given_cluster(args)
    before, after = (
        Decider((version.program, *beside), pools, cluster=cluster, namespaces=(OWN_NAMESPACE,))
        for version in (old, new)
    )
    pods = running_pods(args)
    changed = {name for one in revisions.policies for name in (one.name, one.was) if name and one.kind != "rewritten"}
    return len(pods), moved(((before.decide(pod), after.decide(pod)) for pod in pods), changed)
