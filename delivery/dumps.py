"""Dumps: files of Kubernetes objects of any size, read piece by piece, so that memory stays as it is.

Lists as `kubectl get -o json` and `-o yaml` print them, an API server's own lists, and JSON objects one after the other
are taken apart without being read as a whole; whatever else there may be is read as manifests are. A file that ends
before it should is an error: it never is a smaller cluster.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import msgspec

from delivery.files import CHUNK, found_in, open_regular, read_stream
from delivery.folder import MAX_MANIFESTS, read_documents, streamed_documents
from engine.documents import BundleError, Manifest, RequestError

SMALL = CHUNK
"""A file of up to so many bytes is read as a whole."""
_INDENTED = re.compile(rb'\s*\{\r?\n    "apiVersion": "v1",\r?\n    "items": \[\r?\n')
_ITEM_END = b"\n        },"
_YAML_LIST = re.compile(rb"(---\r?\n)?apiVersion: v1\r?\nitems:\r?\n- ")
_YAML_ITEM = b"\n- "
_JSON = re.compile(rb"\s*\{\s*\"")
_FIELD = re.compile(r'\s*"(apiVersion|kind|metadata)"\s*:\s*("(?:[^"\\]*)"|\{[^{}]*\})\s*,')
_ITEMS = re.compile(r'\s*"items"\s*:\s*\[')
_OPEN, _SPACE, _BETWEEN = re.compile(r"\s*\{"), re.compile(r"\s*"), re.compile(r"\s*(,|(?=\]))\s*")
ESCAPE = 6
"""Characters of an escape, and of the longest word: where less follows, what is wrong may be that it was cut."""
_HEAD = 1 << 16
"""Characters within which a list says that it is one."""
_decode = json.JSONDecoder().raw_decode
_objects = msgspec.json.Decoder(list[msgspec.Raw])


class Batch(NamedTuple):
    """Objects of a file, one after the other: the text of a JSON list of them. `name` is the file's, `start` the number
    of the first among its items."""

    name: str
    start: int
    data: bytes


Piece = Manifest | Batch


def pieces(path: str, size: int = CHUNK) -> Iterator[Piece]:
    """The objects in a file, or in the YAML and JSON files under a folder, in batches of about `size` bytes where a
    file is large. Raises BundleError, and RequestError for a large file that is not sound."""
    if not os.path.isdir(path):
        yield from _of_file(path, size)
        return
    for one in found_in(path):
        if one.trouble:
            yield from read_documents(path)  # which says what is wrong
        yield from _of_file(one.path, size)


def pieces_of(stream: BinaryIO, name: str, size: int = CHUNK) -> Iterator[Piece]:
    """The same of what is open already, say a pipe, to its end."""
    head = bytes(read_stream(stream, SMALL))
    chunks = chain([head], iter(lambda: stream.read(size), b""))
    if len(head) <= SMALL or not any(known.match(head) for known in (_YAML_LIST, _JSON)):
        yield from streamed_documents(BytesIO(head + read_stream(stream, MAX_MANIFESTS)), name)
    elif _INDENTED.match(head):
        yield from _indented(chunks, name, size)
    elif _YAML_LIST.match(head):
        yield from _yaml(chunks, name)
    else:
        yield from _any_json(_Reading(chunks, name), size)


def _of_file(path: str, size: int) -> Iterator[Piece]:
    try:
        file = open_regular(path)
    except OSError:
        yield from read_documents(path)  # which says why
        return
    with file:
        yield from pieces_of(file, path, size)


def _indented(chunks: Iterator[bytes], name: str, size: int) -> Iterator[Batch]:
    """A list as kubectl prints it: an item ends with a brace at its depth, for no text holds a line's end.

    A piece that is no list of objects was cut inside of one: then what is left is read as any other JSON, and so is the
    last item with what follows the list.
    """
    rest, start = _INDENTED.sub(b"", next(chunks), 1), 0
    for chunk in chunks:
        rest += chunk
        cut = rest.rfind(_ITEM_END) + len(_ITEM_END)
        if cut < len(_ITEM_END):
            continue
        data = b"[%b]" % rest[: cut - 1]
        try:
            count = len(_objects.decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            break
        yield Batch(name, start, data)
        start, rest = start + count, rest[cut:]
    reading = _Reading(chain([rest], chunks), name)
    yield from reading.items({}, size, start)
    yield from _any_json(reading, size)


def _yaml(chunks: Iterator[bytes], name: str) -> Iterator[Piece]:
    """A list as kubectl prints it as YAML: an item begins with a dash at the beginning of a line, for all that belongs
    to an item is indented. What follows the items says that this was all."""
    first = next(chunks)
    found = _YAML_LIST.match(first)
    begins = found.end() - len(b"- ") if found else 0
    rest, start, line = first[begins:], 0, first[:begins].count(b"\n")
    for chunk in chunks:
        rest += chunk
        cut = rest.rfind(_YAML_ITEM) + 1
        if cut and b"\n---" not in rest:
            (manifest,) = _parsed(rest[:cut], name, line)
            items = manifest.data["items"] if isinstance(manifest.data, dict) else []
            yield Batch(name, start, json.dumps(items, default=str).encode())
            start, line, rest = start + len(items), line + rest[:cut].count(b"\n"), rest[cut:]
    last, *others = _parsed(rest, name, line)
    if not isinstance(last.data, dict) or last.data.get("kind") != "List":
        raise RequestError(name, "the list ends before it says `kind: List`: the file is not whole")
    yield Batch(name, start, json.dumps(last.data["items"], default=str).encode())
    yield from others


def _parsed(text: bytes, name: str, line: int) -> tuple[Manifest, ...]:
    """Some items of a list, with what follows them. `line` counts the lines before them. Raises BundleError."""
    head = b"items:\n"
    try:
        return streamed_documents(BytesIO(head + text), name)
    except BundleError:
        return streamed_documents(BytesIO(b"\n" * (line - 1) + head + text), name)


def _any_json(reading: _Reading, size: int) -> Iterator[Batch]:
    """Lists and objects one after the other, however they are written."""
    while reading.more():
        about = reading.list_begins()
        if about is None:
            yield reading.one()
        else:
            yield from reading.items(about, size)


class _Reading:
    """A file of JSON, of which no more is in memory than one object and what was read with it."""

    def __init__(self, chunks: Iterable[bytes], name: str) -> None:
        self._chunks, self._name = iter(chunks), name
        self._text, self._at = "", 0
        self._left = b""

    def more(self) -> bool:
        """Whether anything follows."""
        self._skip(_SPACE)
        return self._at < len(self._text)

    def list_begins(self) -> dict[str, str] | None:
        """If a list follows whose head says what its items are, `apiVersion` and `kind` of these, and on to the first;
        None if not."""
        while len(self._text) - self._at < _HEAD and self._fill():
            pass
        opened = _OPEN.match(self._text, self._at)
        at, about = opened.end() if opened else self._at, dict[str, str]()
        while field := _FIELD.match(self._text, at):
            at = field.end()
            if field[1] != "metadata":
                about[field[1]] = field[2].strip('"')
        begins = _ITEMS.match(self._text, at)
        kind = about.get("kind", "")
        if not opened or not begins or not kind.endswith("List"):
            return None
        self._at = begins.end()
        return {} if kind == "List" else {**about, "kind": kind.removesuffix("List")}

    def items(self, about: dict[str, str], size: int, start: int = 0) -> Iterator[Batch]:
        """The items of a list, and on to its end. Raises RequestError."""
        some: list[str] = []
        held = 0
        while self._peek() != "]":
            data, text = self._value()
            if about and isinstance(data, dict) and "kind" not in data:
                text = json.dumps({**about, **data})
            some.append(text)
            held += len(text)
            if held >= size:
                yield Batch(self._name, start, f"[{','.join(some)}]".encode())
                start, some, held = start + len(some), [], 0
            self._skip(_BETWEEN)
        if some:
            yield Batch(self._name, start, f"[{','.join(some)}]".encode())
        self._at += 1
        self._text, self._at = '{"":0' + self._text[self._at :], 0  # what stands behind the items of the list
        self._value()

    def one(self) -> Batch:
        """One object."""
        return Batch(self._name, -1, f"[{self._value()[1]}]".encode())

    def _peek(self) -> str:
        self._skip(_SPACE)
        return self._text[self._at : self._at + 1]

    def _value(self) -> tuple[Any, str]:
        """The value that follows, and its text. Raises RequestError where there is none."""
        while True:
            try:
                data, end = _decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if self._fill():
                    continue
                raise RequestError(self._name, _why(error)) from None
            if end == len(self._text) and self._fill():
                continue  # a number may go on
            text, self._at = self._text[self._at : end], end
            return data, text

    def _skip(self, what: re.Pattern[str]) -> None:
        while True:
            found = what.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text) or not self._fill():
                return

    def _fill(self) -> bool:
        """Whether there was more to read. It reads as much as is held already, so that this is not done often."""
        self._text, self._at = self._text[self._at :], 0
        data, wanted = bytearray(self._left), len(self._text)
        for chunk in self._chunks:
            data += chunk
            if len(data) > wanted:
                break
        else:
            if len(data) == len(self._left):
                if data:
                    raise RequestError(self._name, "this is no UTF-8: the file is not whole")
                return False
        try:
            self._text += data.decode()
            self._left = b""
        except UnicodeDecodeError as error:
            if len(data) - error.start > 3:  # a character that is cut has so many bytes at most
                raise RequestError(self._name, f"this is no UTF-8: {error.reason}") from None
            self._text += data[: error.start].decode()
            self._left = bytes(data[error.start :])
        return True


def _why(error: Exception) -> str:
    """What is wrong, without the place, which counts from what was left of the file."""
    if not isinstance(error, json.JSONDecodeError):
        return "this is no JSON: it is nested too deep"
    if error.msg.startswith("Unterminated") or not error.doc[error.pos + ESCAPE :].strip():
        return "the file ends in the middle of an object: it is not whole"
    return f"this is no JSON: {error.msg}"
