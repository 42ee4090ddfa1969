"""docs/ci.md: the workflows' commands are run as they are written, in a repository of policies."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.main import parser_of

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "ci.md").read_text()
BLOCKS = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
PRE_COMMIT, GITHUB, GITLAB = BLOCKS
CONSOLE = re.findall(r"^\$ (bayplan .*)$", PAGE, re.MULTILINE)
BAYPLAN = f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m cli.main "$@"\n'
OTHERS = '#!/bin/sh\necho "$(basename "$0") $*" >> "$CALLS"\n'
"""What installs and what comments is none of ours: it only says that it was called."""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone of a repository of policies, on a branch of its own, with programs on the path beside it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {"bayplan": BAYPLAN, **dict.fromkeys(("pip", "pipx", "gh", "curl"), OTHERS)}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    shutil.copytree(ROOT / "policies" / "gpu", origin / "policies" / "mine")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
        _git(origin, *words)
    _git(tmp_path, "clone", "-q", str(origin), str(clone))
    _git(clone, "switch", "-qc", "change")
    return clone


def _git(where: Path, *words: str) -> str:
    named = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = subprocess.run(["git", *named, *words], cwd=where, env=environment, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def edit(repository: Path, name: str, old: str, new: str) -> None:
    path = repository / "policies" / "mine" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def run(repository: Path, shell: Sequence[str], script: str, **environment: str) -> int:
    """The exit status of a script."""
    calls = repository.parent / "calls"
    path = f"{repository.parent / 'programs'}:{os.environ['PATH']}"
    given = {**os.environ, **environment, "PATH": path, "CALLS": str(calls), "HOME": str(repository.parent)}
    return subprocess.run([*shell, script], cwd=repository, env=given, check=False).returncode


def github(repository: Path) -> list[int]:
    """The exit status of each step that is a script."""
    (job,) = GITHUB["jobs"].values()
    known = {"github.base_ref": "main", "vars.BAYPLAN": "bayplan", "github.token": "t", "github.event.number": "7"}

    def filled(given: dict[str, Any]) -> dict[str, str]:
        return {
            name: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found[1]], str(said)) for name, said in given.items()
        }

    steps = [step for step in job["steps"] if "run" in step]
    shell = ("bash", "-e", "-c")
    return [run(repository, shell, step["run"], **filled(job["env"]), **filled(step.get("env", {}))) for step in steps]


def gitlab(repository: Path) -> list[int]:
    """The exit status of each line of the script."""
    (job,) = GITLAB.values()
    base = _git(repository, "rev-parse", "origin/main")
    given = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "BAYPLAN": "bayplan", "COMMENT_TOKEN": "t"}
    given |= {"CI_API_V4_URL": "https://x", "CI_PROJECT_ID": "1", "CI_MERGE_REQUEST_IID": "7"}
    return [run(repository, ("sh", "-e", "-c"), line, **given) for line in job["script"]]


def commented(repository: Path) -> str:
    """The comment that was written, and was handed to whom it is for."""
    calls = (repository.parent / "calls").read_text()
    assert "gh pr comment 7 --body-file comment.md" in calls or "--data-urlencode body@comment.md" in calls
    return (repository / "comment.md").read_text()


@pytest.mark.parametrize("provider", [github, gitlab])
def test_a_change_is_refused_until_the_version_says_so(provider: Any, repository: Path) -> None:
    edit(repository, "policies/gpu.yaml", "weight: 80", "weight: 70")
    statuses = provider(repository)
    assert statuses == [0, 1, *[0] * (len(statuses) - 2)], "only `check` fails"
    assert "**1 policy decides otherwise.**" in commented(repository)
    edit(repository, "bundle.yaml", "version: 1.0.0", "version: 2.0.0")
    assert set(provider(repository)) == {0}
    assert "✅" in commented(repository)


def test_a_comment_step_fails_where_nothing_could_be_compared(repository: Path) -> None:
    edit(repository, "policies/gpu.yaml", "pool.gpus", "pool.gpu")
    assert github(repository)[-1] != 0
    assert not (repository / "comment.md").read_text()


def test_commands_against_a_cluster_parse() -> None:
    assert len(CONSOLE) == 2
    for line in CONSOLE:
        _, command, *words = line.split()
        assert parser_of(command).parse_args(words).since == "origin/main"


def test_the_hooks_are_commands_and_the_example_names_them(repository: Path) -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    (repo,) = PRE_COMMIT["repos"]
    assert sorted(hook["id"] for hook in repo["hooks"]) == sorted(hooks)
    for used in repo["hooks"]:
        hook = hooks[used["id"]]
        assert (hook["language"], hook["pass_filenames"]) == ("python", False)
        line = " ".join([hook["entry"], *used["args"]])
        assert run(repository, ("sh", "-c"), line) == 0
