"""Mutation testing of the algebra: does every change to it make a test fail, but for those that are explained?

`make mutants` (more than an hour on two cores). mutmut changes one thing at a time in the modules that `pyproject.toml`
names, and runs the tests that reach it. What survives must stand in `tests/mutants.toml`, with the reason; what stands
there and does not survive must go. With `--list`, only the comparison: the results of the last run are read.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from difflib import unified_diff
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
EXPLAINED = ROOT / "tests" / "mutants.toml"
RESULTS = ROOT / "mutants" / "engine"
SURVIVED, UNTESTED = 0, (5, 33)  # mutmut's exit codes


class Mutant(NamedTuple):
    """One change to a function: the lines that it takes out, and those that it puts in."""

    function: str
    removed: str
    added: str

    def __str__(self) -> str:
        return f"[[mutant]]\nfunction = {self.function!r}\nremoved = '''{self.removed}'''\nadded = '''{self.added}'''"


def survivors() -> Iterator[Mutant]:
    """The mutants that no test killed, by the results that mutmut left."""
    for results in sorted(RESULTS.rglob("*.py.meta")):
        codes: dict[str, int | None] = json.loads(results.read_text())["exit_code_by_key"]
        names = [name for name, code in codes.items() if code in (SURVIVED, *UNTESTED)]
        if names:
            functions = _functions(results.with_suffix("").read_text())
            yield from (_mutant(name, functions) for name in names)


def _functions(source: str) -> dict[str, list[str]]:
    """The lines of every function by its name; mutmut's names are unique within a module."""
    lines = source.splitlines()
    found = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
    return {node.name: _lines(node, lines) for node in found}


def _lines(function: ast.FunctionDef, source: Sequence[str]) -> list[str]:
    """A function without its name, which is what tells mutants of one function apart."""
    first, *rest = source[function.lineno - 1 : function.end_lineno]
    return [first.replace(function.name, "", 1), *rest]


def _mutant(name: str, functions: dict[str, list[str]]) -> Mutant:
    module, _, own = name.rpartition(".")
    changed, _, _ = own.rpartition("__mutmut_")
    lines = list(unified_diff(functions[f"{changed}__mutmut_orig"], functions[own], lineterm="", n=0))[2:]
    removed, added = ("\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in ("-", "+"))
    readable = changed.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return Mutant(f"{module.removeprefix('engine.')}.{readable}", removed, added)


def explained() -> dict[Mutant, str]:
    """The mutants that may survive, and why."""
    groups = tomllib.loads(EXPLAINED.read_text())["group"]
    return {
        Mutant(one["function"], one.get("removed", ""), one.get("added", "")): group["why"]
        for group in groups
        for one in group["mutant"]
    }


def main() -> int:
    """Exit status 1 if a mutant survives without an explanation, or an explained one does not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="read the results of the last run, and run nothing")
    if not parser.parse_args().list:
        beside = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # where mypy is
        subprocess.run([sys.executable, "-m", "mutmut", "run"], cwd=ROOT, check=True, env=beside)
    alive, known = set(survivors()), explained()
    for mutant in sorted(alive - known.keys()):
        print(f"survives:\n{mutant}\n")
    for mutant in sorted(known.keys() - alive):
        print(f"does not survive any more:\n{mutant}\n")
    print(f"{len(alive)} survive, {len(alive - known.keys())} of them unexplained")
    return int(alive != known.keys())


if __name__ == "__main__":
    sys.exit(main())
