"""Who may sign commits and tags: a file of the form that `ssh-keygen` calls allowed signers, and Git uses.

Read here and not by a library, so that one line that is out of date or out of order takes nothing from the others.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from collections.abc import Iterator

from delivery.signature.keys import BadKeyError, check_ssh_key
from engine.struct import Marked

MAX_LINES = 10_000
"""Limit of lines in a file of allowed signers."""
NAMESPACE = "git"
"""What Git signs commits and tags for."""

_WORD = re.compile(r'\s*((?:"[^"]*"|[^\s"])+)')
_OPTION = re.compile(r'([A-Za-z-]+)(?:="((?:[^"\\]|\\.)*)")?(?:,|$)')
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?Z?", re.ASCII)


class Signer(Marked, frozen=True):
    """A line of the file: a key as SSH encodes it, whose it is, and what and when it may sign."""

    unprinted = ("key",)

    place: str
    principals: str
    key: bytes
    namespaces: str = "*"
    after: datetime.datetime | None = None
    before: datetime.datetime | None = None

    def __str__(self) -> str:
        return f"{self.principals} ({fingerprint(self.key)})"

    @property
    def signs_git(self) -> bool:
        """Whether it may sign commits and tags."""
        return _matches(self.namespaces, NAMESPACE)


def fingerprint(key: bytes) -> str:
    """How `ssh-keygen -l` names a key."""
    import hashlib

    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def allowed_signers(data: bytes | bytearray, name: str) -> Iterator[Signer | BadKeyError]:
    """The lines of the file, and what is wrong with those that can't be used; `name` is what people know it by."""
    lines = data.decode(errors="replace").split("\n")
    if data.lstrip().startswith(b"-----BEGIN "):
        yield BadKeyError(
            f"{name}: holds a key in PEM, which signs archives; expected lines of principals and SSH keys"
        )
        return
    if len(lines) > MAX_LINES:
        yield BadKeyError(f"{name}: there are {len(lines):,} lines, of which {MAX_LINES:,} are read")
    for at, line in enumerate(lines[:MAX_LINES], 1):
        if (stripped := line.strip()) and not stripped.startswith("#"):
            try:
                yield _signer(stripped, f"{name}:{at}")
            except BadKeyError as error:
                yield BadKeyError(f"{name}:{at}: {error}")


def _signer(line: str, place: str) -> Signer:
    principals, rest = _word(line)
    kind, rest = _word(rest)
    options: dict[str, str | None] = {}
    if not _is_kind(kind):
        options = _options(kind)
        kind, rest = _word(rest)
    if "cert-authority" in options:
        raise BadKeyError("`cert-authority` is not supported: list the keys themselves")
    if "-cert-v0" in kind:
        raise BadKeyError("a certificate is not supported: list the key itself")
    after, before = (_time(option, options.get(option)) for option in ("valid-after", "valid-before"))
    return Signer(
        place, principals.strip('"'), _key(kind, _word(rest)[0]), options.get("namespaces", "*") or "", after, before
    )


def _word(text: str) -> tuple[str, str]:
    found = _WORD.match(text)
    if not found:
        raise BadKeyError("it is cut short; expected principals, options if any, the kind of key, and the key")
    return found[1], text[found.end() :]


def _is_kind(word: str) -> bool:
    return word.startswith(("ssh-", "ecdsa-", "sk-"))


def _options(word: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    at = 0
    while at < len(word):
        option = _OPTION.match(word, at)
        if not option:
            raise BadKeyError(
                f'options `{word[at:]}` can\'t be read; expected `namespaces="git"` or the like, with commas between'
            )
        name = option[1].lower()
        if name not in ("cert-authority", "namespaces", "valid-after", "valid-before") or name in found:
            raise BadKeyError(f"the option `{option[1]}` {'stands twice' if name in found else 'is not known'}")
        if (option[2] is None) != (name == "cert-authority"):
            raise BadKeyError(f'the option `{option[1]}` is not of the form `{name}="…"`')
        found[name] = option[2]
        at = option.end()
    return found


def _key(kind: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadKeyError("the key is no base64") from error
    if key[4 : 4 + int.from_bytes(key[:4], "big")] != kind.encode():
        raise BadKeyError(f"the key is not of the kind `{kind}`, which stands before it")
    check_ssh_key(key)
    return key


def _time(option: str, said: str | None) -> datetime.datetime | None:
    """A time without a zone is taken to be UTC."""
    if said is None:
        return None
    found = _TIME.fullmatch(said)
    try:
        if found:
            return datetime.datetime(*(int(part or 0) for part in found.groups()), tzinfo=datetime.UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        pass
    raise BadKeyError(f"`{option}` `{said}` is no time; expected `YYYYMMDD` or `YYYYMMDDHHMMSS`, with `Z` or not")


def _matches(patterns: str, word: str) -> bool:
    """Whether a list of patterns, with `*` and `?` in them and `!` before, names the word."""
    named = False
    for pattern in patterns.split(","):
        wanted = not pattern.startswith("!")
        parts = (re.escape(part).replace(r"\*", ".*").replace(r"\?", ".") for part in [pattern.removeprefix("!")])
        if re.fullmatch("".join(parts), word):
            if not wanted:
                return False
            named = True
    return named
