"""Documentation that can't lie: examples are run, commands and options are all there, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from cli.main import COMMANDS, main, parser_of
from engine.bundle import parse_bundle
from engine.bundle.fields import CASE, EXPECT, POLICY, TEST
from engine.bundle.model import OUTCOMES

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
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
