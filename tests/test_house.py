"""The house holds: packages are known by their faces, faces say what others need and no more, tests stand as the code.

A face is a package's `__init__`: its docstring, what it takes from its own inner modules, and `__all__`. All code but
a package's own takes names from faces. Tests may reach for inner modules, for they test them one by one; what a test
alone reaches for is no reason for a name to be on a face.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
ENGINE = [
    "engine.analysis",
    "engine.bundle",
    "engine.decision",
    "engine.documents",
    "engine.evaluation",
    "engine.language",
    "engine.nodeselector",
    "engine.placement",
    "engine.pods",
    "engine.pools",
    "engine.program",
]
FACES = [
    *ENGINE,
    "audit",
    "audit.report",
    "cluster",
    "delivery",
    "delivery.oci",
    "delivery.signature",
    "telemetry",
    "webhook",
]
INNER_FACES = {"delivery.oci", "delivery.signature"}
"""Faces inside another package that all may ask, for what stands behind them is loaded by few who load that package."""
CODE = ["engine", "telemetry", "cluster", "delivery", "audit", "webhook", "cli", "benchmarks", "tools"]
OTHER_TESTS = {"charts", "conformance", "controlplane", "e2e", "tools"}
"""Folders of tests that are about no package: chart, the language's definition, the real control plane, `tools`."""
MAX_LINES = 500
REASON = "in one file"
"""What the docstring of a longer module says, with the reason."""


class Import(NamedTuple):
    """A name that a module takes from another module; no name where it takes the module itself."""

    by: str
    module: str
    name: str


def folder(package: str) -> Path:
    return ROOT.joinpath(*package.split("."))


def face(package: str) -> ast.Module:
    return ast.parse((folder(package) / "__init__.py").read_text())


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def modules() -> Iterator[tuple[str, Path]]:
    """All modules of the code by their dotted names."""
    for package in CODE:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


@functools.cache
def imports() -> tuple[Import, ...]:
    """All that modules of the code take from another, wherever in them they say so."""
    return tuple(found for name, path in modules() for found in imported(name, ast.parse(path.read_text())))


def imported(by: str, tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{by} says from where it imports only in relation to itself"
            yield from (Import(by, node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (Import(by, alias.name, "") for alias in node.names)


def exported(package: str) -> list[str]:
    (value,) = [node.value for node in face(package).body if isinstance(node, ast.Assign)]
    names: list[str] = ast.literal_eval(value)
    return names


def test_the_engine_has_these_packages() -> None:
    assert sorted(f"engine.{path.parent.name}" for path in (ROOT / "engine").glob("*/__init__.py")) == ENGINE


@pytest.mark.parametrize("package", FACES)
def test_a_face_is_a_docstring_imports_and_a_list(package: str) -> None:
    tree = face(package)
    docstring, *taken, listed = tree.body
    assert ast.get_docstring(tree)
    assert isinstance(docstring, ast.Expr)
    for node in taken:
        assert isinstance(node, ast.ImportFrom), ast.unparse(node)
        assert (node.module or "").startswith(f"{package}."), ast.unparse(node)
        assert [alias.asname for alias in node.names if alias.asname] == [], ast.unparse(node)
    assert isinstance(listed, ast.Assign), ast.unparse(listed)
    assert [ast.unparse(target) for target in listed.targets] == ["__all__"]


@pytest.mark.parametrize("package", FACES)
def test_a_face_lists_what_it_imports_in_order(package: str) -> None:
    """Constants first, then classes, then functions, as Ruff sorts them."""
    names = exported(package)
    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert sorted(names) == sorted(found.name for found in imported(package, face(package)))


@pytest.mark.parametrize("package", FACES)
def test_what_a_face_shows_is_used_by_somebody_else(package: str) -> None:
    used = {found.name for found in imports() if found.module == package and not inside(found.by, package)}
    assert [name for name in exported(package) if name not in used] == []


@pytest.mark.parametrize("package", FACES)
def test_nobody_else_reaches_past_a_face(package: str) -> None:
    """Neither for an inner module by its name, nor for one that `from package import` happens to find, nor for all."""
    allowed = {*exported(package)}
    past = [
        found
        for found in imports()
        if not inside(found.by, package)
        and (
            (found.module.startswith(f"{package}.") and found.module not in INNER_FACES)
            or (found.module == package and found.name not in allowed)
            or f"{found.module}.{found.name}" == package
        )
    ]
    assert past == []


@pytest.mark.parametrize("package", FACES)
def test_no_name_hides_a_module(package: str) -> None:
    """`from package import name` would find the one, `import package.name` the other."""
    own = {path.stem for path in folder(package).glob("*.py")} | {
        path.parent.name for path in folder(package).glob("*/__init__.py")
    }
    assert [name for name in exported(package) if name in own] == []


def test_a_long_module_says_why() -> None:
    long = [(name, path.read_text()) for name, path in modules() if len(path.read_text().splitlines()) > MAX_LINES]
    silent = [name for name, text in long if REASON not in " ".join((ast.get_docstring(ast.parse(text)) or "").split())]
    assert silent == []


@pytest.mark.parametrize("package", FACES)
def test_a_package_has_its_folder_of_tests(package: str) -> None:
    assert list((ROOT / "tests").joinpath(*package.split(".")).glob("test_*.py"))


def test_a_folder_of_tests_is_about_a_package() -> None:
    tests = ROOT / "tests"
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    known = {path.parent.relative_to(ROOT) for package in CODE for path in (ROOT / package).rglob("__init__.py")}
    strange = [str(each) for each in sorted(folders - known - {Path()}) if each.parts[0] not in OTHER_TESTS]
    assert strange == []


@pytest.mark.parametrize("package", ENGINE)
def test_the_page_about_the_architecture_names_every_package(package: str) -> None:
    """In backticks, with or without `engine.` before it."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert re.search(rf"`(engine[./])?{package.removeprefix('engine.')}/?`", page)
