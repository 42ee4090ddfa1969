"""engine.bundle: a typo in a bundle is a pointing error or no error, never a traceback."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from engine.bundle.reader import parse_bundle
from engine.documents import BundleError, Problem
from engine.program import compile_bundle

POLICIES = Path(__file__).parents[3] / "policies"
BUNDLES = sorted(path.name for path in POLICIES.iterdir())
CASES = 10_000 if os.environ.get("BAYPLAN_NIGHTLY") == "1" else 1_000
"""Mutations of all bundles together."""

CHARACTERS = (
    *"abcdefghijklmnopqrstuvwxyzABCXYZ0123456789",
    *"\"'`.,:;!?()[]{}<>=&|+-*/%\\@#$^~_ \t\n\r",
    *"\x00\x07\x7f\x85\xa0äß日😀\u0301\u2028\ufeff\U0010ffff“”",
)


def mutated(text: str, random: Random) -> str:
    """The text with one character more, less, or another."""
    at = random.randrange(len(text))
    character = random.choice(CHARACTERS)
    return text[:at] + random.choice(("", character, character + text[at])) + text[at + 1 :]


def problems_of(files: dict[str, str]) -> tuple[Problem, ...]:
    bundle, problems = parse_bundle(files)
    if bundle is None:
        assert problems
        return problems
    try:
        more = compile_bundle(bundle).warnings
    except BundleError as error:
        more = error.problems
        refused = True
    else:
        refused = False
    assert any(problem.severity == "error" for problem in more) == refused
    return (*problems, *more)


@pytest.mark.parametrize("name", BUNDLES)
def test_one_character_is_never_a_traceback(name: str) -> None:
    random = Random(name)
    files = {
        path.relative_to(POLICIES / name).as_posix(): path.read_text()
        for path in (POLICIES / name / "bundle.yaml", *sorted((POLICIES / name / "policies").iterdir()))
    }
    refused = 0
    for _ in range(CASES // len(BUNDLES)):
        file = random.choice(sorted(files))
        text = mutated(files[file], random)
        problems = problems_of({**files, file: text})
        refused += any(problem.severity == "error" for problem in problems)
        for problem in problems:
            source, said = problem.span.source, str(problem)
            assert 0 <= problem.span.start <= problem.span.end <= len(source.text), said
            assert said.startswith(f"{source.name}:{problem.span.line}:{problem.span.column}: ")
            assert source.name in files or problem.rule == "no-bundle"
            assert "Traceback" not in said
    assert refused > CASES // len(BUNDLES) // 5
