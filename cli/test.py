"""Run the tests that a bundle carries. A case that fails shows what differs from what it expects, as a diff.

Exit status: 0 all passed, 1 some failed, 2 could not run.

With several `--bundle`s all of them decide together: does each do what its tests expect when the others have a say?

example:
  bayplan test policies/gpu
  bayplan test policies/gpu --run 'gpu: four'
  bayplan test --bundle policies/gpu --owns gpu- --bundle policies/net --owns net-
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from audit import unified
from cli.errors import CommandError
from cli.inputs import A_BUNDLE, Place, add_bundles, bundle_named, compiled, loaded, together
from cli.terminal import GREEN, RED, amount, coloured, styled
from engine.analysis import Result, run_tests


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundles", metavar="BUNDLE", nargs="*", type=bundle_named, help=f"{A_BUNDLE}; each by itself")
    add_bundles(parser, required=False)
    parser.add_argument(
        "--run", metavar="REGEX", default="", help="only cases whose name, `test: case`, matches somewhere"
    )
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    try:
        wanted = re.compile(args.run)
    except re.error as error:
        raise CommandError(f"--run `{args.run}` is not a regular expression: {error}") from error
    if bool(args.bundles) == bool(args.bundle):
        raise CommandError(
            "say which bundles: BUNDLE… for each by itself, or --bundle BUNDLE for those that decide together"
        )
    if args.bundle:
        results = dict(_together(args, wanted))
    else:
        results = {path: list(_results(path, wanted)) for path in args.bundles}
    every = [result for some in results.values() for result in some]
    if not every:
        raise CommandError(f"no case matches --run `{args.run}`" if args.run else "no tests: put some into `tests/`")
    if args.output == "json":
        print(json.dumps([_as_json(path, result) for path, some in results.items() for result in some], indent=2))
    else:
        for path, some in results.items():
            _tell(path, some)
        _sum_up(every)
    return int(not all(result.passed for result in every))


def _results(path: Place, wanted: re.Pattern[str]) -> Iterator[Result]:
    bundle = loaded(path)
    return run_tests(bundle, compiled(path, bundle), lambda name: bool(wanted.search(name)))


def _together(args: argparse.Namespace, wanted: re.Pattern[str]) -> Iterator[tuple[Place, list[Result]]]:
    """The results of each bundle's cases, decided by all of them."""
    deciding = together(args)
    for place, (bundle, program) in zip(args.bundle, deciding, strict=True):
        others = [other for _, other in deciding if other is not program]
        yield place, list(run_tests(bundle, program, lambda name: bool(wanted.search(name)), others))


def difference(result: Result) -> list[str]:
    """What a failed case expected and what it got, as a unified diff."""
    return unified(result.expected, result.actual, ("expected", "actual"), context=100)


def _as_json(path: Place, result: Result) -> dict[str, Any]:
    place = {"bundle": str(path), "file": result.span.source.name, "line": result.span.line}
    outcome = {"test": result.test, "case": result.case, "passed": result.passed}
    differing = {"expected": dict(result.expected), "actual": dict(result.actual)}
    decision = result.decision.as_json() if result.decision else None
    return place | outcome | ({} if result.passed else {**differing, "decision": decision})


def _tell(path: Place, results: Sequence[Result]) -> None:
    for result in results:
        verdict = styled("pass", GREEN) if result.passed else styled("FAIL", RED)
        print(f"{verdict}  {result.name}")
        if not result.passed:
            print(f"      {path}/{result.span}")
            for line in coloured(difference(result)[2:]):
                print(f"      {line}")
            if result.decision and "message" not in result.expected:
                print(f"      the decision: {result.decision.message}")


def _sum_up(results: Sequence[Result]) -> None:
    failed = sum(not result.passed for result in results)
    verdict = styled(f"{failed} failed", RED) if failed else styled("all passed", GREEN)
    print(f"\n{amount(len(results), 'case')}, {verdict}")
