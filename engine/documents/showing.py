"""Text as it may be shown: no character that a terminal obeys, or that makes a line read otherwise than it is.

Names, labels and messages come from whoever writes a pod or a bundle. A control character moves the cursor or clears
the screen, a line end begins a line of the log that nobody wrote, a bidirectional one shows letters in another order
than they stand (https://trojansource.codes), one without width makes two names look alike. Each is shown as its escape,
`\\u202e`, as JSON and CEL spell it.
"""

from __future__ import annotations

import re

_HIDDEN = re.compile(
    "[\x85\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0001\U000e0020-\U000e007f]"
)
"""Unicode 15.1's characters of category Cf, and its three line ends that are no newline."""


def printable(text: str) -> str:
    """The text with an escape for each character that is not printable, line ends and tabs included.

    Printable is what Python's `str.isprintable` says: no control, formatting, private or unassigned character, no
    surrogate, and of blanks only the space.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def printable_lines(text: str) -> str:
    """As `printable`, with newlines and tabs left as they are."""
    if text.isprintable():
        return text
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def printable_json(line: bytes) -> bytes:
    """A line of JSON without white space between its tokens, with JSON's escapes for all that is not printable."""
    if line.isascii() and b"\x7f" not in line:
        return line
    text = line.decode()
    return line if text.isprintable() else "".join(map(_escaped, text)).encode()


def hidden(text: str, start: int = 0) -> re.Match[str] | None:
    """The first character from `start` on that shows as nothing, or changes how others are shown."""
    return None if text.isascii() else _HIDDEN.search(text, start)


def _escaped(character: str) -> str:
    """As JSON says it: past U+FFFF in two units of UTF-16."""
    if character.isprintable():
        return character
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
