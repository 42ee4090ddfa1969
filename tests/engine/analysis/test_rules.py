"""engine: each rule has a page with examples that are true, and a golden file with the message that its author sees.

A page's examples are fenced blocks: `cel` is an expression under `require`, `yaml spec` the fields of a policy's spec,
`yaml before` what these were at an earlier revision, `yaml FILE` a file of the bundle; the rest is filled in. Run with
BAYPLAN_REWRITE=1 to write the golden files, and the index of the pages, anew.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import pytest

from delivery.folder import MAX_BUNDLE, MAX_FILE, MAX_FILES, read_bundle
from delivery.folder import bundle_of as files_to_bundle
from delivery.git import GitSource
from delivery.sources import read_address
from engine.analysis.cases import passing
from engine.analysis.examination import examine, inventories_of
from engine.analysis.revisions import Version, revised
from engine.analysis.versioning import unraised_version
from engine.bundle import Bundle, parse_bundle
from engine.documents import BundleError, Problem, Source, ordered
from engine.documents.composer import MAX_READ
from engine.language.parser import MAX_LENGTH, MAX_NESTING
from engine.pools import inventory_problems
from engine.program import compile_bundle
from tests.delivery.git_servers import Repository

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "rules"
GOLDENS = Path(__file__).parent / "rules"
REWRITE = bool(os.environ.get("BAYPLAN_REWRITE"))
FENCE = re.compile(r"^```(cel|yaml)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

BEFORE = "before"
HEAD = "apiVersion: bayplan.dev/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\nspec:\n"
PARAMS = "  params:\n    zones: [eu-1a, eu-1b]\n    weights: {big: 20}\n"
BUNDLE = HEAD.format("Bundle", "example") + "  version: 1.0.0\n" + PARAMS
POLICY = HEAD.format("PlacementPolicy", "example")
DENY = POLICY + "  deny:\n    - expression: has(pod.spec.nodeName)\n"
POOLS = "apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools:\n  - name: a\n    selector: {pool: a}\n"


def bundle_of(blocks: list[tuple[str, str, str]]) -> dict[str, str]:
    """The files that an example stands for."""
    files = {"bundle.yaml": BUNDLE, "policies/example.yaml": DENY}
    for language, where, text in blocks:
        if language == "cel":
            rule = f"  require:\n    - expression: |-\n{indent(text, ' ' * 8)}"
            files["policies/example.yaml"] = POLICY + rule
        elif where == "before":
            files[BEFORE] = POLICY + indent(text, "  ", bool)
        elif where == "spec":
            files["policies/example.yaml"] = POLICY + indent(text, "  ", bool)
        else:
            files[where] = text
    if any(name.startswith("tests/") for name in files):
        files.setdefault("pools/example.yaml", POOLS)
    return files


def problems_of(files: dict[str, str]) -> tuple[Problem, ...]:
    """Everything that `check` and `test` say of a bundle."""
    earlier = files.pop(BEFORE, None)
    before = {**files, "policies/example.yaml": earlier} if earlier else None
    bundle, problems = parse_bundle(files)
    pools = [Source(name, text) for name, text in files.items() if name.startswith("pools/")]
    problems = (*problems, *(problem for source in pools for problem in inventory_problems(source)))
    try:
        if bundle is None:
            return problems
        program = compile_bundle(bundle)
        problems = (*problems, *program.warnings)
        if not any(problem.severity == "error" for problem in problems):
            passing(bundle, program)
            problems = (*problems, *since(before, Version(bundle, program)))
            problems = (*problems, *examine(bundle, program, inventories_of(bundle)).problems)
    except BundleError as error:
        problems = (*problems, *error.problems)
    return ordered(problems)


def since(before: dict[str, str] | None, now: Version) -> list[Problem]:
    """What `check --since main` says besides."""
    bundle, _ = parse_bundle(before) if before else (None, ())
    if bundle is None:
        return []
    revisions = revised(Version(bundle, compile_bundle(bundle)), now, inventories_of(now.bundle))
    problem = unraised_version(now.bundle, revisions, "main")
    return [problem] if problem else []


# Bundles that no page can print: each gets a folder with a good bundle and spoils it.


def _expression(text: str) -> Callable[[Path], None]:
    return lambda root: _write(root, "policies/example.yaml", POLICY + f"  require:\n    - expression: '{text}'\n")


def _write(root: Path, name: str, text: str) -> None:
    (root / name).write_text(text)


def _too_many_files(root: Path) -> None:
    for i in range(MAX_FILES):
        _write(root, f"{i:04}.json", "{}")


def _too_large(root: Path) -> None:
    for i in range(MAX_BUNDLE // MAX_FILE + 1):
        _write(root, f"{i:04}.json", " " * (MAX_FILE - 1))


def _too_much_work(root: Path) -> None:
    denied = (f"    - expression: request.namespace.matches('(?i)a{{1,40}}{i}')\n" for i in range(120))
    _write(root, "policies/example.yaml", f"{POLICY}  deny:\n{''.join(denied)}")


def _too_much_to_read(root: Path) -> None:
    _write(root, "bundle.yaml", f"{BUNDLE}  params: {{x: [{'{}, ' * (MAX_READ // 2)}]}}\n")


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def _latin(root: Path) -> None:
    (root / "policies/zones.yaml").write_bytes(f"# Zonen für alle\n{DENY}".encode("latin-1"))


def _linked(root: Path) -> None:
    """A repository: in a folder, links are followed."""
    (root / "policies/shared.yaml").symlink_to("example.yaml")
    Repository(root / "served", work=root).commit()


BUILT: dict[str, Callable[[Path], None]] = {
    "encoding": _latin,
    "expression-too-deep": _expression("(" + "!(" * MAX_NESTING + "true" + ")" * MAX_NESTING + ")"),
    "expression-too-long": _expression("pool.name in [" + '"a", ' * (MAX_LENGTH // 5) + '"b"]'),
    "file-name": lambda root: _write(root, "policies/exa\u202emple.yaml", DENY),
    "ignore-file": lambda root: _write(root, ".bayplanignore", "# what is not of the bundle\n!\n"),
    "lfs-pointer": lambda root: _write(root, "policies/gpu.yaml", LFS),
    "no-bundle": lambda root: (root / "bundle.yaml").unlink(),
    "no-policies": lambda root: (root / "policies/example.yaml").unlink(),
    "not-a-file": _linked,
    "outside-link": lambda root: (root / "policies/shared.yaml").symlink_to("/etc/passwd"),
    "oversize": lambda root: _write(root, "pools.yaml", "#" * (MAX_FILE + 1)),
    "requires": lambda root: _write(root, "bundle.yaml", BUNDLE + "  requires: {bayplan: '>=99'}\n"),
    "too-deep": lambda root: _write(root, "bundle.yaml", BUNDLE + f"    deep: {'[' * 65}{']' * 65}\n"),
    "too-large": _too_large,
    "too-many-files": _too_many_files,
    "too-much-to-read": _too_much_to_read,
    "too-much-work": _too_much_work,
    "unreadable": lambda root: (root / "policies/gone.yaml").symlink_to("away.yaml"),
    "yaml-character": lambda root: _write(root, "policies/example.yaml", DENY.replace("has", "ha\bs")),
}


def built(rule: str, root: Path) -> tuple[Problem, ...]:
    (root / "policies").mkdir()
    _write(root, "bundle.yaml", BUNDLE)
    _write(root, "policies/example.yaml", DENY)
    BUILT[rule](root)
    repository = root / "served" / "repo.git"
    bundle, problems = _committed(repository) if repository.exists() else read_bundle(root)
    if bundle is None:
        return problems
    try:
        return ordered((*problems, *compile_bundle(bundle).warnings))
    except BundleError as error:
        return ordered((*problems, *error.problems))


def _committed(repository: Path) -> tuple[Bundle | None, tuple[Problem, ...]]:
    content = GitSource(read_address(f"git+file://{repository}")).fetch()
    return files_to_bundle(content.files, content.problems)


# The rules of problems, read from the code.

_PLACE_OF_RULE = {"Problem": 0, "_problem": 0, "bad": 1, "checked": 1, "_unread": 1}


def rules() -> frozenset[str]:
    """Every identifier that some code of the engine, or of what reads folders, gives to a problem."""
    found: set[str] = set()
    for module in (*(ROOT / "engine").rglob("*.py"), *(ROOT / "delivery").rglob("*.py")):
        for call in ast.walk(ast.parse(module.read_text())):
            if isinstance(call, ast.Call):
                name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
                place = _PLACE_OF_RULE.get(name)
                argument = call.args[place] if place is not None and len(call.args) > place else None
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    found.add(argument.value)
    return frozenset(found)


RULES = sorted(rules())


def section(rule: str, title: str) -> list[tuple[str, str, str]]:
    """The examples under a heading of a rule's page."""
    _, _, text = (PAGES / f"{rule}.md").read_text().partition(f"\n## {title}\n")
    return FENCE.findall(text.partition("\n## ")[0])


def summary(rule: str) -> str:
    """The sentence at the top of a rule's page."""
    return (PAGES / f"{rule}.md").read_text().split("\n\n")[1].replace("\n", " ")


@pytest.mark.parametrize("rule", RULES)
def test_a_bad_example_gives_exactly_its_rule(rule: str, tmp_path: Path) -> None:
    blocks = section(rule, "Bad")
    assert bool(blocks) != (rule in BUILT)
    problems = problems_of(bundle_of(blocks)) if blocks else built(rule, tmp_path)
    assert {problem.rule for problem in problems} == {rule}
    severities = {problem.severity for problem in problems}
    marked = re.match(r"\*\*(Warning|Info)\.\*\*", summary(rule))
    assert severities == ({marked[1].lower()} if marked else {"error"})
    said = "\n\n".join(str(problem) for problem in problems) + "\n"
    golden = GOLDENS / f"{rule}.txt"
    if REWRITE:
        golden.write_text(said)
    assert said == golden.read_text()


@pytest.mark.parametrize("rule", RULES)
def test_a_good_example_gives_none(rule: str) -> None:
    blocks = section(rule, "Good")
    assert blocks
    assert [str(problem) for problem in problems_of(bundle_of(blocks))] == []


@pytest.mark.parametrize("rule", RULES)
def test_a_page_says_what_and_why(rule: str) -> None:
    page = (PAGES / f"{rule}.md").read_text()
    assert page.startswith(f"# {rule}\n\n")
    assert re.findall("^## (.*)$", page, re.MULTILINE) == ["Bad", "Good", "Why"]
    assert len(page.splitlines()) <= 80


def test_no_page_and_no_golden_file_is_left_over() -> None:
    assert sorted(page.stem for page in PAGES.glob("*.md") if page.name != "README.md") == RULES
    assert sorted(golden.stem for golden in GOLDENS.iterdir()) == RULES


def test_the_index_lists_every_rule() -> None:
    index = PAGES / "README.md"
    lines = [f"| [{rule}]({rule}.md) | {summary(rule).replace('|', '&#124;')} |" for rule in RULES]
    table = "\n".join(["| rule | what is wrong |", "|---|---|", *lines, ""])
    before, _, after = index.read_text().partition("| rule |")
    if REWRITE:
        index.write_text(before + table)
    assert f"| rule |{after}" == table or REWRITE
