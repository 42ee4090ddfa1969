"""Find everything that is wrong in bundles: fields, types of expressions, names, and what only a warning is worth.

Each problem points at file, line and column. Exit status: 0 no errors, 1 errors (with --strict warnings too), 2 could
not look.

example:
  bayplan check policies/gpu policies/spot-first
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.inputs import existing, located
from cli.terminal import GREEN, RED, amount, styled
from engine.errors import BundleError, Problem, ordered
from engine.load import read_bundle
from engine.program import compile_bundle


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one bundle; `revision` is empty where there is no telling what bundle it is."""

    path: Path
    revision: str
    policies: int
    problems: tuple[Problem, ...]

    def count(self, severity: str) -> int:
        return sum(problem.severity == severity for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        problems = [problem.as_json() for problem in self.problems]
        return {"bundle": str(self.path), "revision": self.revision, "problems": problems}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundles", metavar="BUNDLE", nargs="+", type=Path, help="a bundle's folder")
    parser.add_argument("--strict", action="store_true", help="warnings are errors")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    reports = [examined(path) for path in args.bundles]
    if args.output == "json":
        print(json.dumps([report.as_json() for report in reports], indent=2))
    else:
        _tell(reports)
    severities = ("error", "warning") if args.strict else ("error",)
    return int(any(report.count(severity) for report in reports for severity in severities))


def examined(path: Path) -> Report:
    """Everything that can be said of the bundle in a folder, its expressions included."""
    bundle, problems = read_bundle(existing(path))
    if bundle is None:
        return Report(path, "", 0, problems)
    try:
        more: Sequence[Problem] = compile_bundle(bundle).warnings
    except BundleError as error:
        more = error.problems
    return Report(path, str(bundle.revision), len(bundle.policies), ordered([*problems, *more]))


def _tell(reports: Sequence[Report]) -> None:
    for report in reports:
        for problem in report.problems:
            print(located(report.path, problem), end="\n\n")
    for report in reports:
        errors, warnings = report.count("error"), report.count("warning")
        found = [amount(errors, "error")] * bool(errors) + [amount(warnings, "warning")] * bool(warnings)
        verdict = styled(", ".join(found), RED if errors else "33") if found else styled("ok", GREEN)
        print(f"{report.revision or report.path}  {amount(report.policies, 'policy', 'policies')}  {verdict}")
