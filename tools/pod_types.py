"""Writes `engine/pods/pod_types.py` from Kubernetes' own Go types: `python tools/pod_types.py` (needs Go).

`tests/controlplane/podtypes` prints the types of the version that the tests' control plane has; this wraps the lines.
"""

from __future__ import annotations

import argparse
import subprocess
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULE = ROOT / "tests" / "controlplane"
TARGET = ROOT / "engine" / "pods" / "pod_types.py"
HEAD = '''"""Kubernetes' Pod as the API server reads and writes it: k8s.io/api {version}. Made by `tools/pod_types.py`.

A line is a type and its fields: `*` is a pointer, `[]` a list, `{{}}` a map. A field with `?` is left out where it is
empty, one with `!` where it is zero; all others are always written. A pointer that is there is never empty.
"""

TYPES = """\\
'''


def go(*arguments: str) -> str:
    return subprocess.run(["go", *arguments], cwd=MODULE, check=True, capture_output=True, text=True).stdout


def table() -> str:
    """The whole module's text."""
    version = go("list", "-m", "-f", "{{.Replace.Version}}", "k8s.io/api").strip()
    lines = go("run", "-mod=readonly", "./podtypes").splitlines()
    wrapped = (textwrap.fill(line, 118, subsequent_indent="  ", break_long_words=False) for line in lines)
    return HEAD.format(version=version) + "\n".join(wrapped) + '\n"""\n'


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    TARGET.write_text(table())
