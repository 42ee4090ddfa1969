"""Reading a pack of Git, the form in which objects are sent, from a sender that is not trusted.

A pack is a list of objects, compressed one by one. Some are deltas: instructions that make an object out of another
one, by its place or its name. No name of an object is in a pack: it is the hash of what comes out, so whoever finds an
object by its name has the right one. Sizes are said before what they are the sizes of, and are held against the limits
before anything is inflated. The format: gitformat-pack(5).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from delivery.content import SourceError

MAX_OBJECTS = 100_000
MAX_INFLATED = 512 << 20
"""Limits of a pack: its objects; bytes that they and the deltas among them make, which are read and forgotten."""
MAX_OBJECT = 4 << 20
"""Bytes of an object that is looked into. Larger ones are passed over."""
MAX_HELD = 64 << 20
"""Bytes of objects that are in memory at once."""

COMMIT, TREE, BLOB, TAG, _BY_PLACE, _BY_NAME = 1, 2, 3, 4, 6, 7
KINDS = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}
_CHUNK = 1 << 16


class GitObject(NamedTuple):
    """An object by the name that is the hash of it."""

    kind: int
    name: str
    data: bytes


class _Entry(NamedTuple):
    """An object as it is packed: its kind, what size it inflates to, where that starts, and what it is a delta to."""

    kind: int
    size: int
    start: int
    base: int | str | None


class Pack:
    """A pack that was received as a whole. Raises SourceError for one that is damaged, or over the limits."""

    def __init__(self, data: bytes | bytearray, check: Callable[[], object], algorithm: str = "sha1") -> None:
        """`check` is called again and again, and raises what ends it all; `algorithm` is that of objects' names."""
        self._data, self._check, self._algorithm = memoryview(data), check, algorithm
        self._width = hashlib.new(algorithm).digest_size
        self._inflated = 0
        self.passed_over = 0
        """How many objects were too large to be looked into, so far."""
        self._entries = self._scanned()

    def objects(self, *kinds: int) -> Iterator[GitObject]:
        """The objects of some kinds, each once, but for those that are too large to be looked into."""
        below: dict[int | str, list[int]] = {}
        for place, entry in self._entries.items():
            if entry.base is not None:
                below.setdefault(entry.base, []).append(place)
        for place, entry in self._entries.items():
            if entry.kind in kinds and entry.size <= MAX_OBJECT:
                yield from self._family(place, entry, below)
            elif entry.kind in kinds:
                self.passed_over += 1

    def _family(self, place: int, entry: _Entry, below: dict[int | str, list[int]]) -> Iterator[GitObject]:
        """An object, and what deltas make of it, directly or not."""
        data = self._inflate(entry)
        name = self._name(entry.kind, data)
        yield GitObject(entry.kind, name, data)
        places = self._deltas(place, name, below)
        frames = [(data, places)] if places else []
        held = len(data)
        while frames:
            self._check()
            base, places = frames[-1]
            place = places.pop()
            if not places:
                frames.pop()
                held -= len(base)
            made = self._applied(base, self._entries[place])
            if made is None:
                self.passed_over += 1
                continue
            name = self._name(entry.kind, made)
            yield GitObject(entry.kind, name, made)
            if further := self._deltas(place, name, below):
                frames.append((made, further))
                held += len(made)
                if held > MAX_HELD:
                    raise _too_much("deltas that hold", MAX_HELD >> 20, "MiB at once")

    def _deltas(self, place: int, name: str, below: dict[int | str, list[int]]) -> list[int]:
        return below.pop(place, []) + below.pop(name, [])

    def _applied(self, base: bytes, entry: _Entry) -> bytes | None:
        """What a delta makes of an object; None where that is too large to be looked into."""
        if entry.size > MAX_OBJECT:
            return None
        delta = self._inflate(entry)
        try:
            expected, at = _varint(delta, 0)
            size, at = _varint(delta, at)
        except IndexError:
            raise _damaged("a delta has no sizes") from None
        if expected != len(base):
            raise _damaged("a delta is to an object of another size")
        self._count(size)
        return None if size > MAX_OBJECT else applied(base, delta, at, size)

    def _name(self, kind: int, data: bytes) -> str:
        return hashlib.new(self._algorithm, b"%s %d\0%s" % (KINDS[kind], len(data), data)).hexdigest()

    def _scanned(self) -> dict[int, _Entry]:
        """All entries by their place, after the pack's own checksum."""
        end = len(self._data) - self._width
        if end < 12 or bytes(self._data[:4]) != b"PACK" or int.from_bytes(self._data[4:8]) not in (2, 3):
            raise _damaged("it has no header")
        if hashlib.new(self._algorithm, self._data[:end]).digest() != bytes(self._data[end:]):
            raise _damaged("its checksum is another one: it was cut off, or changed on the way")
        count, at = int.from_bytes(self._data[8:12]), 12
        if count > MAX_OBJECTS:
            raise _too_much("", MAX_OBJECTS, "objects")
        entries: dict[int, _Entry] = {}
        for _ in range(count):
            self._check()
            place = at
            entry = self._entry(place)
            at = self._passed(entry, end)
            entries[place] = entry
        if at != end:
            raise _damaged("there is something after its last object")
        return entries

    def _entry(self, place: int) -> _Entry:
        try:
            byte = self._data[place]
            kind, size, shift, at = byte >> 4 & 7, byte & 15, 4, place + 1
            while byte & 0x80:
                byte = self._data[at]
                size |= (byte & 0x7F) << shift
                shift, at = shift + 7, at + 1
                if shift > 60:
                    raise _damaged("a size is no number")
            if kind in KINDS:
                return _Entry(kind, size, at, None)
            if kind == _BY_NAME:
                return _Entry(kind, size, at + self._width, bytes(self._data[at : at + self._width]).hex())
            if kind == _BY_PLACE:
                distance, at = _distance(self._data, at)
                if not 0 < distance <= place - 12:
                    raise _damaged("a delta is to what is not in the pack")
                return _Entry(kind, size, at, place - distance)
        except IndexError:
            pass
        raise _damaged(f"what starts at byte {place} is no object")

    def _passed(self, entry: _Entry, end: int) -> int:
        """Where an entry ends. What it inflates to must have the size that was said, and is not kept."""
        self._count(entry.size)
        inflater, at, size = zlib.decompressobj(), entry.start, 0
        while not inflater.eof:
            chunk = self._data[at : min(at + _CHUNK, end, at + entry.size + 64)]
            if not chunk:
                raise _damaged("an object is not complete")
            at += len(chunk)
            size += self._inflated_size(inflater, chunk, entry.size - size)
        if size != entry.size:
            raise _damaged("an object is smaller than it says")
        return at - len(inflater.unused_data)

    def _inflated_size(self, inflater: zlib._Decompress, chunk: bytes | memoryview, room: int) -> int:
        """How many bytes a piece inflates to, at most a little more than there is room for."""
        size, more = 0, True
        while more and not inflater.eof:
            try:
                made = len(inflater.decompress(chunk, _CHUNK))
            except zlib.error as error:
                raise _damaged(f"an object can't be inflated ({error})") from None
            size += made
            if size > room:
                raise _damaged("an object is larger than it says")
            chunk = inflater.unconsumed_tail
            more = bool(chunk) or made == _CHUNK
        return size

    def _inflate(self, entry: _Entry) -> bytes:
        """What an entry inflates to, which was found to have the right size before."""
        inflater, at = zlib.decompressobj(), entry.start
        parts = []
        while not inflater.eof:
            chunk = self._data[at : at + min(_CHUNK, entry.size + 64)]
            parts.append(inflater.decompress(chunk))
            at += len(chunk)
        return b"".join(parts)

    def _count(self, size: int) -> None:
        self._inflated += size
        if self._inflated > MAX_INFLATED:
            raise _too_much("objects that inflate to", MAX_INFLATED >> 20, "MiB")


def applied(base: bytes, delta: bytes, at: int, size: int) -> bytes:
    """What the instructions of a delta, which start at a byte of it, make of an object: so many bytes, no more."""
    made = bytearray()
    try:
        while at < len(delta):
            byte = delta[at]
            at += 1
            if byte & 0x80:
                offset = length = 0
                for bit in range(7):
                    if byte >> bit & 1:
                        if bit < 4:
                            offset |= delta[at] << 8 * bit
                        else:
                            length |= delta[at] << 8 * (bit - 4)
                        at += 1
                length = length or 0x10000
                if offset + length > len(base):
                    raise _damaged("a delta copies what is not there")
                piece = base[offset : offset + length]
            elif byte:
                piece = delta[at : at + byte]
                at += byte
                if len(piece) < byte:
                    raise IndexError
            else:
                raise _damaged("a delta has an instruction that there is not")
            if len(made) + len(piece) > size:
                raise _damaged("a delta makes more than it says")
            made += piece
    except IndexError:
        raise _damaged("a delta is not complete") from None
    if len(made) != size:
        raise _damaged("a delta makes less than it says")
    return bytes(made)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
        if shift > 60:
            raise _damaged("a size is no number")


def _distance(data: memoryview, at: int) -> tuple[int, int]:
    """How far back the base of a delta is, in the pack's own way of writing numbers."""
    byte = data[at]
    value, first = byte & 0x7F, at
    while byte & 0x80:
        at += 1
        byte = data[at]
        value = (value + 1) << 7 | byte & 0x7F
        if at - first > 8:
            raise _damaged("a distance is no number")
    return value, at + 1


def _damaged(what: str) -> SourceError:
    return SourceError("digest", f"the pack that was sent is damaged: {what}")


def _too_much(what: str, most: int, unit: str) -> SourceError:
    return SourceError(
        "limits", f"the pack that was sent has more than {most:,} {unit}" + (f" of {what}" if what else "")
    )
