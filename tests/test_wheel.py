"""The wheel, built from what Git tracks and installed as a user would: into an environment of its own, far from here.

Nothing is fetched. The wheels of the dependencies are made again from this environment, which `make setup` installed by
the hashes of requirements.lock, and pip resolves what ours asks for among them.
"""

from __future__ import annotations

import ast
import csv
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from engine.release import VERSION

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
PACKAGES: list[str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
EXTRAS: list[str] = [name for names in PROJECT["optional-dependencies"].values() for name in names]
DEVELOPMENT = ["tests", "benchmarks"]
"""Packages that stay at home."""
THROUGH = {"tzdata": "zoneinfo"}
"""Dependencies that are read by what we import, under no name of theirs."""
PIP = (sys.executable, "-I", "-m", "pip", "--isolated", "--disable-pip-version-check", "--quiet")
PATIENCE_SECONDS = 240

IMPORT_ALL = """
import importlib, json, sys
print(json.dumps({name: importlib.import_module(name).__file__ for name in sys.argv[1:]}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """What a program prints, in an environment that says nothing to Python."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def tracked() -> list[str]:
    names = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, of nothing but tracked files."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("made")
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", made, source, cwd=made)
    (wheel,) = made.iterdir()
    return wheel


@pytest.fixture(scope="module")
def members(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(members: dict[str, bytes]) -> Message:
    return Parser().parsestr(members[f"bayplan-{VERSION}.dist-info/METADATA"].decode())


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it."""

    folder: Path
    elsewhere: Path  # a working directory that has modules of our names

    def python(self, code: str, *arguments: str) -> str:
        return run(self.folder / "bin" / "python", "-I", "-c", code, *arguments, cwd=self.elsewhere)

    def bayplan(self, *arguments: str) -> str:
        return run(self.folder / "bin" / "bayplan", *arguments, cwd=self.elsewhere)

    def files(self) -> dict[str, list[str]]:
        """What each distribution has installed, seen from site-packages."""
        records = self.packages.glob("*.dist-info/RECORD")
        return {
            record.parent.name.partition("-")[0].replace("_", "-"): [
                row[0] for row in csv.reader(record.read_text().splitlines())
            ]
            for record in records
        }

    @property
    def packages(self) -> Path:
        (found,) = (self.folder / "lib").glob("python*/site-packages")
        return found.resolve()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("environment")
    dependencies, elsewhere = tmp_path_factory.mktemp("dependencies"), tmp_path_factory.mktemp("elsewhere")
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE):
        if name not in names(PYPROJECT["dependency-groups"]["dev"]):
            pack(name, version, dependencies)
    for name in PACKAGES:
        (elsewhere / f"{name}.py").write_text("raise SystemExit('the working directory is imported')\n")
    run(sys.executable, "-I", "-m", "venv", "--without-pip", folder, cwd=elsewhere)
    aim = ("--python", folder / "bin" / "python")
    run(*PIP, *aim, "install", "--no-compile", "--no-index", "--find-links", dependencies, wheel, cwd=elsewhere)
    shutil.rmtree(dependencies)
    run(*PIP, *aim, "check", cwd=elsewhere)
    yield Installed(folder, elsewhere)
    shutil.rmtree(folder)  # pytest would keep hundreds of megabytes


def pack(name: str, version: str, folder: Path) -> None:
    """The wheel that a distribution of this environment came from, but for scripts that are no entry points."""
    try:
        one = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:  # the lock is for all systems
        return
    assert one.version == version, f"{name} is not the one of requirements.lock: run `make setup`"
    tags = [
        line.removeprefix("Tag: ") for line in (one.read_text("WHEEL") or "").splitlines() if line.startswith("Tag:")
    ]
    tag = "-".join(".".join(dict.fromkeys(parts)) for parts in zip(*(tag.split("-") for tag in tags), strict=True))
    with zipfile.ZipFile(folder / f"{re.sub('[-.]', '_', name)}-{version}-{tag}.whl", "w") as archive:
        for file in one.files or ():
            if file.parts[0] != ".." and file.suffix != ".pyc":
                archive.write(str(one.locate_file(file)), str(file))


def names(requirements: Iterable[str]) -> set[str]:
    """The distributions that are asked for, as registries spell them."""
    return {re.sub("[-_.]+", "-", re.split(r"[^\w.-]", each)[0]).lower() for each in requirements}


def test_every_package_is_listed_wherever_packages_are() -> None:
    assert [*PACKAGES, *DEVELOPMENT] == PYPROJECT["tool"]["mypy"]["packages"]
    assert PYPROJECT["tool"]["importlinter"]["root_packages"] == PACKAGES
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == {*PACKAGES, *DEVELOPMENT}
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert copied == PACKAGES
    assert {f"!{name}" for name in PACKAGES} <= set((ROOT / ".dockerignore").read_text().splitlines())


def test_wheel_has_every_tracked_file_of_the_packages_and_nothing_else(members: dict[str, bytes]) -> None:
    ours = {name for name in members if not name.startswith(f"bayplan-{VERSION}.dist-info/")}
    assert ours == {name for name in tracked() if name.split("/")[0] in PACKAGES}
    assert {name.split("/")[0] for name in ours} == set(PACKAGES)
    assert all(members[name] == (ROOT / name).read_bytes() for name in ours)


def test_metadata_says_what_pyproject_says(wheel: Path, members: dict[str, bytes], metadata: Message) -> None:
    folder = f"bayplan-{VERSION}.dist-info"
    assert wheel.name == f"bayplan-{VERSION}-py3-none-any.whl"
    assert metadata["License-Expression"] == PROJECT["license"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert members[f"{folder}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert metadata["Requires-Python"] == PROJECT["requires-python"] == ">=3.11"
    assert names(metadata.get_all("Requires-Dist", [])) == names([*PROJECT["dependencies"], *EXTRAS])
    assert metadata.get_all("Provides-Extra") == list(PROJECT["optional-dependencies"])
    assert metadata.get_payload() == (ROOT / "README.md").read_text()
    assert members[f"{folder}/entry_points.txt"].decode().split("\n") == [
        "[console_scripts]",
        "bayplan = cli.main:process",
        "",
    ]


def test_each_module_imports_there_without_what_only_development_has(
    installed: Installed, members: dict[str, bytes]
) -> None:
    assert names(PYPROJECT["dependency-groups"]["dev"]).isdisjoint(names(installed.files()))
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in members if name.endswith(".py")
    ]
    assert set(PACKAGES) <= set(modules)
    found = json.loads(installed.python(IMPORT_ALL, *modules))
    assert [name for name in modules if installed.packages not in Path(found[name]).resolve().parents] == []


def test_no_name_is_installed_but_those_of_the_packages(installed: Installed) -> None:
    files = installed.files()
    ours = files.pop("bayplan")
    assert {name.split("/")[0] for name in ours} == {*PACKAGES, f"bayplan-{VERSION}.dist-info", ".."}
    assert [name for name in ours if name.startswith("..")] == ["../../../bin/bayplan"]
    assert "lark" in files
    assert {name.split("/")[0] for theirs in files.values() for name in theirs}.isdisjoint(PACKAGES)


def test_commands_run_from_there(installed: Installed) -> None:
    assert installed.bayplan("--version") == f"bayplan {VERSION}\n"
    installed.bayplan("init", "mine")
    assert installed.bayplan("check", "mine").endswith("1 policy  ok\n")
    assert installed.bayplan("test", "mine").endswith("2 cases, all passed\n")
    said = installed.bayplan("explain", "--bundle=mine", "--pools=mine/pools", "mine/examples")
    assert "critical prefers some nodes and spreads its pods" in said
    assert "the patch, " in said
    assert "--shutdown-delay" in installed.bayplan("serve", "--help")


def imported() -> Iterator[str]:
    """The modules that the packages import, or look for."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Import(names=found):
                        yield from (alias.name.split(".")[0] for alias in found)
                    case ast.ImportFrom(module=str(module), level=0):
                        yield module.split(".")[0]
                    case ast.Call(func=ast.Attribute(attr="find_spec"), args=[ast.Constant(value=str(module))]):
                        yield module


def test_what_is_imported_is_a_dependency_and_each_dependency_is_used() -> None:
    modules = set(imported())
    ours = names([*PROJECT["dependencies"], *EXTRAS])
    whose = importlib.metadata.packages_distributions()
    foreign = modules - sys.stdlib_module_names - set(PACKAGES)
    assert [module for module in sorted(foreign) if ours.isdisjoint(names(whose[module]))] == []
    used = {name for module in foreign for name in names(whose[module])}
    used |= {name for name, module in THROUGH.items() if module in modules}
    assert ours - used == set()
