"""Plain data to YAML, for people to read: in that part of YAML that a bundle is read in, and so that it means the same.

A text of one line stands in single quotes unless it can be no other than a word, one of several lines as a block, and
one with anything that does not show in double quotes, escaped. Keys are sorted: equal data gives equal text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from engine.documents.scalars import core, kubectl
from engine.documents.tree import Plain

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(?:[./][A-Za-z0-9][A-Za-z0-9_-]*)*")
_STEP = "  "
_END = "\n"


def as_yaml(value: Plain) -> str:
    """The text of a value that `json.loads` could have made, without a line that begins a document.

    Raises ValueError for numbers that are not finite, TypeError for what is no JSON.
    """
    lines: list[str] = []
    _write(value, "", "", lines)
    return "".join(f"{line}\n" for line in lines)


def _write(value: Plain, lead: str, indent: str, lines: list[str]) -> None:
    """Append the lines of a value: the first one after `lead`, all others after `indent`."""
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            _entry(f"{lead}{_key(key)}:", value[key], indent, lines)
            lead = indent
    elif isinstance(value, list) and value:
        for item in value:
            _write(item, f"{lead}- ", f"{indent}{_STEP}", lines)
            lead = indent
    elif isinstance(value, str) and _is_block(value):
        lines.append(f"{lead}{'|' if value.endswith(_END) else '|-'}")
        lines += [f"{indent}{line}" if line else "" for line in value.removesuffix(_END).split(_END)]
    else:
        lines.append(f"{lead}{_scalar(value)}")


def _entry(lead: str, value: Plain, indent: str, lines: list[str]) -> None:
    inner = f"{indent}{_STEP}"
    if isinstance(value, (Mapping, list)) and value:
        lines.append(lead)
        _write(value, inner, inner, lines)
    else:
        _write(value, f"{lead} ", inner, lines)


def _is_block(text: str) -> bool:
    """Whether a text is one of several lines that can be shown as they are."""
    if _END not in text:
        return False
    lines = text.removesuffix(_END).split(_END)
    shown = all(line.isprintable() and line == line.rstrip() for line in lines)
    return shown and bool(lines[0] and lines[-1]) and not lines[0].startswith(" ")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key is a text, not {key!r}")
    return _text(key)


def _scalar(value: Plain) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number of JSON")
        return repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (Mapping, list)):
        return "{}" if isinstance(value, Mapping) else "[]"
    raise TypeError(f"{value!r} is no JSON")


def _text(text: str) -> str:
    if _WORD.fullmatch(text) and core(text) == kubectl(text) == text:
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return "\\n" if character == "\n" else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
