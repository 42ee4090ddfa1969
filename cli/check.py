"""Find everything that is wrong in bundles: fields, types of expressions, names, and what only a warning is worth.

Each problem points at file, line and column. Policies that leave a pod no pool together, that no pool satisfies, or
that change nothing are looked for on the pools given, or on those that the bundle's own tests use; policies that read
`cluster` only with --cluster-name or --cluster-label.

With --since REF a bundle is also compared with what its folder was at that revision of Git: where decisions change, or
may, `spec.version` must say so by a step that is large enough.

Exit status: 0 no errors, 1 errors (with --strict warnings too), 2 could not look.

example:
  bayplan check policies/gpu policies/spot-first
  bayplan check policies/gpu --pools nodes.yaml --strict
  bayplan check policies/gpu --since origin/main
  bayplan check policies/gpu policies/isolation --together
  bayplan check --bundle policies/gpu --owns gpu- --bundle policies/net --owns net-
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cli.errors import CommandError, UnsoundError
from cli.inputs import (
    A_BUNDLE,
    Place,
    add_bundles,
    add_cluster,
    add_pools,
    apart,
    as_read,
    bundle_named,
    given_cluster,
    given_inventory,
    loaded,
    located,
    owned,
    within,
)
from cli.terminal import GREEN, RED, amount, styled
from engine.analysis import (
    Conflict,
    Examination,
    Version,
    examine,
    inventories_of,
    problems_between,
    tolerated_between,
    unraised_version,
)
from engine.documents import BundleError, Problem, ordered
from engine.pools import Inventory
from engine.program import compile_bundle
from engine.struct import Struct, field, replace


class Report(Struct, frozen=True):
    """What was found in one bundle; `revision` is empty where there is no telling what bundle it is."""

    path: Place
    revision: str
    policies: int
    problems: tuple[Problem, ...]
    conflicts: tuple[Conflict, ...] = ()
    undecided: Mapping[str, str] = field(default_factory=dict)
    cut_short: int = 0

    def count(self, severity: str) -> int:
        return sum(problem.severity == severity for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        return {
            "bundle": str(self.path),
            "revision": self.revision,
            "problems": [problem.as_json() for problem in self.problems],
            "conflicts": [conflict.as_json() for conflict in self.conflicts],
            "undecided": [{"policy": name, "message": words} for name, words in self.undecided.items()],
        }


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundles", metavar="BUNDLE", nargs="*", type=bundle_named, help=A_BUNDLE)
    add_bundles(parser, required=False, about="a bundle that decides together with the others; may be repeated")
    parser.add_argument("--strict", action="store_true", help="warnings are errors")
    parser.add_argument(
        "--since", metavar="REF", help="refuse a version that says less than what changed since this revision of Git"
    )
    parser.add_argument(
        "--together",
        action="store_true",
        help="the bundles decide together, as those of --bundle do: what do policies of one do to another's?",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say what could not be decided, too")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="how to print (text)")
    add_pools(parser)
    add_cluster(parser)


def run(args: argparse.Namespace) -> int:
    pools = given_inventory(args)
    cluster = {field: value for field, value in given_cluster(args).items() if value}
    if bool(args.bundles) == bool(args.bundle):
        raise CommandError("say which bundles: BUNDLE…, or --bundle BUNDLE for those that decide together")
    owns = owned(args)
    reports = [examined(path, pools, cluster) for path in args.bundles or args.bundle]
    for report, prefixes in zip(reports, owns, strict=True) if args.bundle else ():
        if prefixes and not report.count("error"):
            within(report.path, loaded(report.path), prefixes)
    if args.together or args.bundle:
        reports = _together(reports, pools, cluster)
    if args.since is not None:
        reports = [_since(report, args) for report in reports]
    if args.output == "json":
        print(json.dumps([report.as_json() for report in reports], indent=2))
    else:
        _tell(reports, verbose=args.verbose)
    severities = ("error", "warning") if args.strict else ("error",)
    return int(any(report.count(severity) for report in reports for severity in severities))


def examined(path: Place, pools: Inventory | None = None, cluster: Mapping[str, Any] | None = None) -> Report:
    """Everything that can be said of the bundle in a folder, on these pools, or else on its own inventories.

    Policies that read `cluster` are examined only if what they read of it, `name` or `labels`, is given.
    """
    bundle, problems = as_read(path)
    if bundle is None:
        return Report(path, "", 0, problems)
    found = Examination()
    more: Sequence[Problem]
    try:
        program = compile_bundle(bundle)
        more = program.warnings
        if not any(problem.severity == "error" for problem in problems):
            inventories = inventories_of(bundle) if pools is None else (("--pools", pools),)
            found = examine(bundle, program, inventories, cluster)
    except BundleError as error:
        more = error.problems
    told = ordered([*problems, *more, *found.problems])
    return Report(
        path, str(bundle.revision), len(bundle.policies), told, found.conflicts, found.undecided, len(found.cut_short)
    )


def _together(reports: Sequence[Report], pools: Inventory | None, cluster: Mapping[str, Any] | None) -> list[Report]:
    """The reports, with what policies of one bundle do to those of another; of those that have errors, nothing."""
    sound = [report for report in reports if not report.count("error")]
    bundles = [loaded(report.path) for report in sound]
    apart([report.path for report in sound], bundles)
    versions = [Version(bundle, compile_bundle(bundle)) for bundle in bundles]
    own = [pair for bundle in bundles for pair in inventories_of(bundle)]
    inventories = own if pools is None else [("--pools", pools)]
    told = {id(report): report.problems for report in reports}
    found = problems_between(versions, inventories, cluster)
    for report, version, more in zip(sound, versions, found, strict=True):
        left = tolerated_between(version, report.problems, versions, inventories, cluster)
        told[id(report)] = ordered([*left, *more])
    return [replace(each, problems=told[id(each)]) for each in reports]


def _since(report: Report, args: argparse.Namespace) -> Report:
    """The report, with what is wrong with the bundle's version, given what it was at a revision of Git."""
    from cli.diff import compared, version_at, version_of

    if report.count("error"):
        return report
    try:
        old = version_at(report.path, args.since)
    except UnsoundError as error:
        print(f"bayplan: the version of {report.path} was compared with nothing: {error}", file=sys.stderr)
        return report
    if old is None:
        return report
    new = version_of(str(report.path), "BUNDLE")
    problem = unraised_version(new.bundle, compared(old, new, args), args.since)
    return replace(report, problems=ordered([*report.problems, problem])) if problem else report


def _tell(reports: Sequence[Report], *, verbose: bool) -> None:
    for report in reports:
        for problem in report.problems:
            print(located(report.path, problem), end="\n\n")
        for name, words in report.undecided.items() if verbose else ():
            print(f"{report.path}: undecided: `{name}`: {words}", end="\n\n")
    for report in reports:
        errors, warnings = report.count("error"), report.count("warning")
        found = [amount(errors, "error")] * bool(errors) + [amount(warnings, "warning")] * bool(warnings)
        verdict = styled(", ".join(found), RED if errors else "33") if found else styled("ok", GREEN)
        cut = f"  {amount(report.cut_short, 'policy', 'policies')} not examined in full: -v says why" * bool(
            report.cut_short
        )
        print(f"{report.revision or report.path}  {amount(report.policies, 'policy', 'policies')}  {verdict}{cut}")
