"""Writes `engine/language/table.json`, what Lark makes of the grammar of expressions.

`python tools/grammar.py`, after a change of the grammar, of Lark or of celpy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.language import grammar_table

TARGET = Path(__file__).parent.parent / "engine" / "language" / "table.json"

if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    TARGET.write_text(grammar_table())
