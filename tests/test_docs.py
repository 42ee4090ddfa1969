"""Documentation that can't lie: examples are run, commands and options are all there, links lead somewhere."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import re
import shlex
import sys
import tomllib
from collections.abc import MutableMapping
from pathlib import Path
from types import CodeType, FrameType, SimpleNamespace
from typing import Any

import pytest
import yaml

from cli.main import COMMANDS, main, parser_of
from cluster.lookup import AT_ONCE, SECONDS
from delivery import read_documents
from delivery.folder import MAX_BUNDLE, MAX_FILE, MAX_FILES, load_bundle
from engine.bundle import parse_bundle
from engine.bundle.fields import CASE, EXPECT, POLICY, TEST
from engine.bundle.model import OUTCOMES
from engine.decision import Decider
from engine.language.parser import MAX_LENGTH
from engine.pods import pods_from_documents
from engine.pools import inventory_from_documents
from engine.program import compile_bundle
from telemetry import Metrics
from telemetry.lines import MAX_LINE
from telemetry.records import MAX_BYTES, MAX_LINES
from telemetry.refusals import QUIET_SECONDS
from webhook.admission import Admission
from webhook.app import MAX_BODY, MAX_VALUES, Reviews
from webhook.review import MAX_WARNING, MAX_WARNINGS
from webhook.server import GRACE_SECONDS

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *ROOT.glob("policies/*/*.md"),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall((ROOT / page).read_text()) if kind == language]


def test_the_readmes_policy_does_to_its_pod_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy, pod = blocks("README.md", "yaml")
    said = blocks("README.md", "console")[0]
    head = "apiVersion: bayplan.dev/v1alpha1\nkind: Bundle\nmetadata: {name: readme}\nspec: {version: 1.0.0}\n"
    for path, text in {"bundle.yaml": head, "policies/p.yaml": policy, "examples/pod.yaml": pod}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    pool_index = ROOT / "policies" / "scheduling-classes" / "pools" / "fleet.yaml"
    assert main(["explain", "--bundle", f"{tmp_path}", "--pools", f"{pool_index}", f"{tmp_path}/examples"]) == 0
    out = capsys.readouterr().out
    beginning, end = said.split("…\n")
    assert out.startswith(beginning)
    assert out.endswith(end)


def test_the_readmes_first_screen_has_the_two_commands() -> None:
    first = "\n".join((ROOT / "README.md").read_text().splitlines()[:70])
    assert "$ make demo" in first
    assert "$ make test" in first


def test_make_demo_explains_a_sample(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    line = next(lines[at + 1] for at, line in enumerate(lines) if line.startswith("demo:"))
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(line.strip().removeprefix("@$(BIN)/bayplan "))) == 0
    out = capsys.readouterr().out
    assert "feature-store may run in" in out
    assert "+++ the pod as placed" in out
    assert "the patch, " in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_documented(command: str) -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert f"(#bayplan-{command})" in page
    _, _, section = page.partition(f"\n## bayplan {command}\n")
    section = section.partition("\n## ")[0]
    for action in parser_of(command)._actions:
        for option in action.option_strings:
            if option not in ("-h", "--help"):
                assert re.search(rf"`{option}\b", section), f"{command} {option}"


def test_no_option_is_documented_that_is_not_there() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    known = {
        option for command in COMMANDS for action in parser_of(command)._actions for option in action.option_strings
    }
    assert set(re.findall(r"`(--[a-z-]+)", page)) <= known


def test_every_outcome_is_documented() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert [outcome for outcome in OUTCOMES if f"| `{outcome}` |" not in page] == []


def test_every_field_of_a_policy_and_of_a_test_is_documented() -> None:
    page = (ROOT / "docs" / "writing-policies.md").read_text()
    names = POLICY.keys() | TEST.keys() | CASE.keys() | EXPECT.keys()
    assert [name for name in sorted(names) if name not in page] == []


def test_the_documented_test_parses() -> None:
    test = next(text for text in blocks("docs/writing-policies.md", "yaml") if "kind: PlacementTest" in text)
    policy = "apiVersion: bayplan.dev/v1alpha1\nkind: PlacementPolicy\nmetadata: {name: classes}\nspec: {deny: []}\n"
    head = "apiVersion: bayplan.dev/v1alpha1\nkind: Bundle\nmetadata: {name: docs}\nspec: {version: 1.0.0}\n"
    files = {"bundle.yaml": head, "policies/p.yaml": policy, "tests/t.yaml": test}
    files |= {"pools/fleet.yaml": "", "examples/web.yaml": ""}
    _, problems = parse_bundle(files)
    assert [str(problem) for problem in problems] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_yaml_in_documentation_is_yaml(page: Path) -> None:
    for kind, text in BLOCK.findall(page.read_text()):
        if kind == "yaml":
            list(yaml.safe_load_all(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_documentation_have_arguments_that_exist(page: Path) -> None:
    for text in (text for kind, text in BLOCK.findall(page.read_text()) if kind == "console"):
        for line in re.findall(r"^\$ (bayplan (?:.*\\\n)*.*)", text, re.MULTILINE):
            words = shlex.split(line.replace("\\\n", " "), comments=True)[1:]
            command = words[0] if words else ""
            if command in COMMANDS and not {"--help", ">", "|"} & set(words):
                parser_of(command).parse_args(words[1:])


# Pages for those who change the code: what they name is there.

ABOUT_CODE = [
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs" / page for page in ("architecture.md", "laws.md", "performance.md")),
    *sorted((ROOT / "docs" / "adr").glob("*.md")),
]
CODE = "engine|webhook|cli|delivery|cluster|audit|telemetry|tests|tools"
NAMED = re.compile(rf"(?:(?<=\.\./)|(?<![\w/.-]))(?:{CODE})(?:[./]\w+)+/?")
MAX_FUNCTIONS = 15
"""Of the walk of one pod, so that it stays a page."""


def named(dotted: str) -> object:
    """A module, or what an attribute of one is, by its dotted name. Raises ImportError or AttributeError."""
    parts = dotted.split(".")
    deepest = next((n for n in range(len(parts), 0, -1) if is_module(parts[:n])), 0)
    found: object = importlib.import_module(".".join(parts[:deepest]) or dotted)
    for name in parts[deepest:]:
        found = getattr(found, name)
    return found


def is_module(parts: list[str]) -> bool:
    path = ROOT.joinpath(*parts)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("page", ABOUT_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_named_of_the_code_is_there(page: Path) -> None:
    """Paths (`tests/engine/decision/`), dotted names (`engine.pools.providers.PROVIDERS`), modules without a folder."""
    text = page.read_text()
    for name in NAMED.findall(text):
        if "/" in name:
            assert (ROOT / name).exists(), name
        elif not name.endswith(".md"):  # a page of that name
            named(name)
    for name in re.findall(r"`(\w+\.py)`", text):
        assert any(found for folder in CODE.split("|") for found in (ROOT / folder).rglob(name)), name


def test_the_page_about_the_architecture_names_every_contract() -> None:
    page = " ".join((ROOT / "docs" / "architecture.md").read_text().split())
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    of_many = ("is known by its face", "stands behind")
    names = [re.sub(rf"^.*({'|'.join(of_many)}).*$", r"\1", contract["name"]) for contract in contracts]
    assert [name for name in names if name not in page] == []


def walk() -> list[str]:
    """The functions that one pod passes, as the page lists them."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    section = page.partition("\n## One pod, from bytes to bytes\n")[2].partition("\n## ")[0]
    return re.findall(r"^\d+\. `([\w.]+)`", section, re.MULTILINE)


def test_the_walk_of_one_pod_is_the_way_that_it_goes() -> None:
    """Each function that the page names is called, and they begin in its order."""
    functions = {inspect.unwrap(named(name)).__code__: name for name in walk()}  # type: ignore[arg-type]
    assert 0 < len(functions) <= MAX_FUNCTIONS
    assert called(functions) == walk()


def called(functions: dict[CodeType, str]) -> list[str]:
    """Which of these a pod of a sample calls on its way through the webhook, in the order in which they begin."""
    sample = ROOT / "policies" / "scheduling-classes"
    inventory = inventory_from_documents(read_documents(sample / "pools"))
    incoming = next(
        one for one in pods_from_documents(read_documents(sample / "examples")) if one.name == "feature-store"
    )
    request = {
        "uid": "u",
        "resource": {"version": "v1", "resource": "pods"},
        "operation": "CREATE",
        "namespace": incoming.namespace_name,
        "object": incoming.pod,
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    active = SimpleNamespace(decider=Decider(compile_bundle(load_bundle(sample)), inventory))
    namespaces = SimpleNamespace(get=lambda _name: incoming.namespace, fetch=lambda _name: None)
    reviews = Reviews(Admission(active, Metrics("0"), namespaces))
    order: dict[str, None] = {}
    sent: list[MutableMapping[str, Any]] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code in functions:
            order.setdefault(functions[frame.f_code])

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": json.dumps(review).encode()}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        scope = {"path": "/mutate", "headers": [(b"content-type", b"application/json")]}
        asyncio.run(reviews(scope, receive, send))
    finally:
        sys.setprofile(before)
    assert "patch" in json.loads(sent[-1]["body"])["response"]
    return list(order)


def test_the_operations_page_names_every_metric() -> None:
    """And no other; what client libraries add of the process is theirs."""
    metrics = Metrics("1")
    families = {family.name for family in metrics.registry.collect()} | LIVE
    page = (ROOT / "docs" / "operations.md").read_text()
    said = {name.removesuffix("_total").removesuffix("_bucket") for name in re.findall(r"`?(bayplan_\w+)", page)}
    assert said == {name for name in families if name.startswith("bayplan_")}


LIVE = frozenset(re.findall(r'metrics\.live\(\s*"(\w+)"', (ROOT / "webhook" / "process.py").read_text()))


def test_the_operations_page_says_the_limits_and_defaults_that_there_are() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    values = yaml.safe_load((ROOT / "charts" / "bayplan" / "values.yaml").read_text())
    for said in (
        f"{MAX_BODY // 2**20} MiB, {MAX_VALUES // 10**6} million values",
        f"{MAX_LINE // 1024} KiB; {MAX_LINES:,} lines or {MAX_BYTES // 2**20} MiB may wait",
        f"{MAX_BUNDLE // 2**20} MiB, {MAX_FILES:,} files of {MAX_FILE // 2**20} MiB, expressions of {MAX_LENGTH:,} ch",
        f"{MAX_WARNING} characters each, {MAX_WARNINGS:,} together",
        f"{SECONDS:g} s to read it, {AT_ONCE} at once",
        f"(`webhook.timeoutSeconds` of the chart, {values['webhook']['timeoutSeconds']} s)",
        f"for `drainSeconds` ({values['drainSeconds']}) before",
        f"for at most {GRACE_SECONDS} s",
        f"at most every {QUIET_SECONDS:g} s for",
        f"limit of {values['resources']['limits']['memory'].removesuffix('Mi')} MiB",
    ):
        assert said in " ".join(page.split()), said
