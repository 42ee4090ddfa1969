"""delivery.membership: what belongs to a bundle; the second opinion on patterns is Git's own."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.membership import Membership, members, membership
from engine.documents import BundleError
from tests.examples import examples

PATHS = [
    "bundle.yaml",
    "policies/a.yaml",
    "policies/b.yml",
    "policies/C.YAML",
    "policy/d.json",
    "teams/ml/e.Yml",
    "examples/f.JSON",
]
OTHERS = [
    "README.md",
    "policies/a.yaml.bak",
    "policies/a",
    ".hidden.yaml",
    ".git/config.yaml",
    "policies/.draft/x.yaml",
    "a/.b.yaml",
    "yaml",
]


def test_every_yaml_and_json_file_belongs_wherever_it_is() -> None:
    assert members([*OTHERS, *reversed(PATHS)], Membership()) == tuple(sorted(PATHS))
    assert membership(None) == membership(b"") == Membership()


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ("examples/", "bundle.yaml policies/C.YAML policies/a.yaml policies/b.yml policy/d.json teams/ml/e.Yml"),
        ("/e.Yml\n*.json", "bundle.yaml examples/f.JSON policies/C.YAML policies/a.yaml policies/b.yml teams/ml/e.Yml"),
        ("policies\n!policies/a.yaml", "bundle.yaml examples/f.JSON policy/d.json teams/ml/e.Yml"),
        (
            "policies/*\n!policies/a.yaml\r\n",
            "bundle.yaml examples/f.JSON policies/a.yaml policy/d.json teams/ml/e.Yml",
        ),
        ("**/ml/**\n# x\n\npolic*/", "bundle.yaml examples/f.JSON"),
        ("!.hidden.yaml\n*\n!bundle.yaml", "bundle.yaml"),
        ("\ufeffteams", "bundle.yaml examples/f.JSON policies/C.YAML policies/a.yaml policies/b.yml policy/d.json"),
    ],
)
def test_what_is_named_is_left_out(ignore: str, left: str) -> None:
    assert " ".join(members([*PATHS, *OTHERS], membership(ignore.encode()))) == left


def test_a_folder_that_is_left_out_need_not_be_looked_into() -> None:
    said = membership(b"node_modules/\n")
    assert not said.enters("web/node_modules")
    assert not said.enters("a/.git")
    assert said.enters("web")


SEGMENTS = st.sampled_from(["a", "b", "a.b", "ab", "-", "_a"])
PLAIN = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "/"]),
    st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "/"]),
)


@given(
    st.lists(PLAIN, max_size=3), st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join), st.sampled_from(["", "/"])
)
@examples(300)
def test_plain_names_mean_what_they_mean_among_patterns(lines: list[str], path: str, end: str) -> None:
    """A pattern beside them that names nothing here makes the library read them."""
    plain, patterns = membership("\n".join(lines).encode()), membership("\n".join([*lines, "[x]y"]).encode())
    assert plain.named(path + end) == patterns.named(path + end)


def test_what_can_not_be_read_is_told_by_line() -> None:
    with pytest.raises(BundleError) as caught:
        membership(b"a\n!\nb\n\\\n")
    assert [str(problem.span) for problem in caught.value.problems] == [".bayplanignore:2:1", ".bayplanignore:4:1"]


def test_patterns_of_an_enemy_take_linear_time() -> None:
    """Python's own expressions would take longer than anybody waits for this."""
    said = membership(b"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b.yaml\n" * 100)
    started = time.process_time()
    assert said.holds("policies/" + "a" * 200 + ".yaml")
    assert time.process_time() - started < 5  # no measurement: minutes otherwise


FOLDERS, FILES = st.sampled_from(["a", "b", "ab"]), st.sampled_from(["a.yaml", "b.yaml", "ab.yaml"])
PATTERNS = st.builds(
    lambda root, parts, folder: f"{root}{'/'.join(parts)}{folder}",
    st.sampled_from(["", "/", "**/"]),
    st.lists(
        st.sampled_from(["a", "b", "*", "a*", "?b", "**", "*.yaml", "[ab].yaml", "a.yaml"]), min_size=1, max_size=3
    ),
    st.sampled_from(["", "", "/"]),
)
BACK = st.sampled_from(["!a.yaml", "!/b.yaml", "!*.yaml", "!a/*.yaml", "!**/[ab].yaml"])
"""Patterns that take files back. One that takes a folder back, pathspec applies to what is in it, too, and Git not."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("git")
    subprocess.run(["git", "init", "-q", root], check=True)
    return root


@given(
    st.lists(PATTERNS | BACK, min_size=1, max_size=4),
    st.lists(st.tuples(st.lists(FOLDERS, max_size=3).map("/".join), FILES), min_size=1, max_size=12, unique=True),
)
@examples(60)
def test_git_leaves_out_the_same(repository: Path, patterns: list[str], paths: list[tuple[str, str]]) -> None:
    (repository / ".gitignore").write_text("\n".join(patterns))
    files = [f"{folder}/{name}" if folder else name for folder, name in paths]
    command = ["git", "-C", str(repository), "check-ignore", "--no-index", "--stdin"]
    asked = subprocess.run(command, input="\n".join(files), capture_output=True, text=True, check=False)
    ignored = set(asked.stdout.splitlines())
    said = membership("\n".join(patterns).encode())
    assert [path for path in files if said.holds(path)] == [path for path in files if path not in ignored]
