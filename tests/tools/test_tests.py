"""tools/tests.py: no test is left out, and none that fails is overlooked."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
PASSES = "def test_passes():\n    pass\n"
FAILS = "def test_fails():\n    assert 1 == 2, 'a message'\n"
SAYS_MORE = "import atexit\n\ndef test_passes():\n    atexit.register(print, 'three words more')\n"


def begun(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """The tool, from a shell's background, where interrupts are ignored."""
    command = ["sh", "-c", 'trap "" INT; exec "$0" "$@"', sys.executable, str(root / "tools" / "tests.py"), *arguments]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    alone["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take longer to load than these tests to run
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=alone)


def ran(root: Path, *arguments: str) -> tuple[int, str]:
    """The exit status, and what was said."""
    with begun(root, *arguments) as tool:
        said, _ = tool.communicate()
    return tool.returncode, said


def project(root: Path, files: dict[str, str]) -> Path:
    """The tool, in a project with these tests."""
    (root / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "tests.py", root / "tools")
    (root / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    for path, text in files.items():
        (root / "tests" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "tests" / path).write_text(text)
    return root


def test_each_test_is_run_once_and_the_longest_first() -> None:
    groups = [[ROOT / path for path in line.split()] for line in ran(ROOT, "--list")[1].splitlines()]
    files = Counter(
        file for group in groups for path in group for file in ([path], path.rglob("test_*.py"))[path.is_dir()]
    )
    assert files == Counter((ROOT / "tests").rglob("test_*.py"))
    assert groups[0] == [ROOT / "tests" / "e2e"]


def test_whatever_fails_is_told_and_fails(tmp_path: Path) -> None:
    there = {
        "a/b/test_x.py": FAILS,
        "c/test_x.py": SAYS_MORE,
        "d/test_x.py": "(",
        "e/test_x.py": "import os\n\ndef test_x():\n    os._exit(0)\n",
        "f/test_x.py": PASSES,
        "test_x.py": FAILS,
    }
    status, said = ran(project(tmp_path, there))
    assert status == 1
    assert said.count("a message") >= 2
    total, *named = said.splitlines()[-5:]
    counts, _, seconds = total.strip("= ").rpartition(" in ")
    assert sorted(counts.split(", ")) == ["1 error", "2 failed", "2 passed"]
    assert re.fullmatch(r"\d+\.\d\ds", seconds)
    assert sorted(named) == [
        "failed: tests/a (exit status 1): see above",
        "failed: tests/d (exit status 2): see above",
        "failed: tests/e (exit status 0): see above",
        "failed: tests/test_*.py (exit status 1): see above",
    ]


def test_what_passes_passes_where_some_have_nothing_to_run(tmp_path: Path) -> None:
    there = {"a/test_x.py": PASSES, "b/test_x.py": "def test_y():\n    pass\n"}
    status, said = ran(project(tmp_path, there), "--", "-k", "passes")
    assert status == 0
    counts, _, _ = said.splitlines()[-1].strip("= ").rpartition(" in ")
    assert sorted(counts.split(", ")) == ["1 deselected", "1 passed"]


def test_whoever_ends_it_early_ends_all_and_sees_how_far_they_came(tmp_path: Path) -> None:
    there = tmp_path / "there"
    sleeps = f"def test_sleeps():\n    open({str(there)!r}, 'w').close()\n    __import__('time').sleep(600)\n"
    root = project(tmp_path, {"a/test_x.py": PASSES + sleeps, "b/test_y.py": PASSES})
    with begun(root, "--jobs", "1") as tool:
        wait_for(there.exists, "a test that sleeps")
        tool.terminate()
        said, _ = tool.communicate()
    assert tool.returncode == 128 + signal.SIGTERM
    assert "1 passed" in said
    assert "tests/b" not in said
