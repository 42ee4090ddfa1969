"""delivery.git.pack: packs are read as git reads them, and hostile ones cost neither memory nor patience."""

from __future__ import annotations

import contextlib
import hashlib
import random
import tracemalloc
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.content import SourceError
from delivery.git import pack as git_pack
from delivery.git.pack import BLOB, COMMIT, KINDS, TAG, TREE, Pack, applied
from tests.delivery.git_servers import Repository
from tests.examples import examples

BY_PLACE, BY_NAME = 6, 7


def number(value: int) -> bytes:
    """A size, as deltas say it: seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def entry(kind: int, data: bytes, base: bytes = b"", size: int | None = None, level: int = 6) -> bytes:
    """An object of a pack; `size` is what it says, if that is another one than it has."""
    said = len(data) if size is None else size
    first = kind << 4 | said & 15
    rest = said >> 4
    head = bytes([first | 0x80]) + number(rest) if rest else bytes([first])
    return head + base + zlib.compress(data, level)


def pack(entries: Iterable[bytes], count: int | None = None, version: int = 2) -> bytes:
    all_entries = list(entries)
    data = b"PACK" + version.to_bytes(4) + (len(all_entries) if count is None else count).to_bytes(4)
    data += b"".join(all_entries)
    return data + hashlib.sha1(data).digest()


def copy(offset: int, length: int) -> bytes:
    return bytes([0xFF]) + offset.to_bytes(4, "little") + length.to_bytes(3, "little")


def delta(base: int, made: int, *instructions: bytes) -> bytes:
    return number(base) + number(made) + b"".join(instructions)


def name_of(kind: bytes, data: bytes) -> str:
    return hashlib.sha1(b"%s %d\0%s" % (kind, len(data), data)).hexdigest()


def read(data: bytes) -> dict[str, bytes]:
    made = Pack(data, lambda: None)
    return {one.name: one.data for one in made.objects(BLOB, COMMIT, TAG, TREE)}


def failure(data: bytes) -> tuple[str, str]:
    with pytest.raises(SourceError) as caught:
        read(data)
    return caught.value.step, str(caught.value)


@pytest.mark.parametrize(
    "options", [(), ("--delta-base-offset",), ("--window=50", "--depth=50", "--delta-base-offset")]
)
@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_all_objects_of_a_real_pack(tmp_path: Path, algorithm: str, options: tuple[str, ...]) -> None:
    dice = random.Random(7)
    repository = Repository(tmp_path, f"--object-format={algorithm}")
    words = [f"{dice.random()}\n" for _ in range(3_000)]
    for at in range(4):
        dice.shuffle(words)
        files = {f"files/{one}.txt": "".join(sorted(words[: 100 * one + at])) for one in range(12)}
        repository.commit({**files, f"binary-{at}": dice.randbytes(200_000)})
    repository.git("tag", "--annotate", "--message", "A tag", "v1")
    names = repository.git("rev-list", "--objects", "--all", "v1").split("\n")
    listed = "\n".join(line.split()[0] for line in names)
    prefix = tmp_path / "made"
    repository.git("pack-objects", *options, str(prefix), stdin=listed.encode())
    [file] = tmp_path.glob("made-*.pack")
    found = list(Pack(file.read_bytes(), lambda: None, algorithm).objects(BLOB, COMMIT, TAG, TREE))
    assert sorted(one.name for one in found) == sorted(listed.split())
    said = [f"{one.name} {KINDS[one.kind].decode()} {len(one.data)}" for one in found]
    asked = "\n".join(one.name for one in found).encode()
    assert repository.git("cat-file", "--batch-check", stdin=asked).split("\n") == said


@given(
    st.binary(max_size=300),
    st.lists(st.tuples(st.booleans(), st.integers(0, 299), st.binary(min_size=1, max_size=127))),
)
@examples(200)
def test_a_delta_makes_what_its_instructions_say(base: bytes, steps: list[tuple[bool, int, bytes]]) -> None:
    expected, instructions = b"", b""
    for copies, offset, new in steps:
        length = min(len(new), len(base) - offset)
        if copies and length > 0:
            expected += base[offset : offset + length]
            instructions += copy(offset, length)
        else:
            expected += new
            instructions += bytes([len(new)]) + new
    assert applied(base, instructions, 0, len(expected)) == expected
    made = delta(len(base), len(expected), instructions)
    blob = entry(BLOB, base)
    for packed in (
        entry(BY_PLACE, made, bytes([len(blob)])) if len(blob) < 128 else b"",
        entry(BY_NAME, made, bytes.fromhex(name_of(b"blob", base))),
    ):
        if packed:
            assert read(pack([blob, packed]))[name_of(b"blob", expected)] == expected


DAMAGED = {
    "nothing": b"",
    "no pack": b"<html>" + bytes(100),
    "another version": pack([entry(BLOB, b"a")], version=9),
    "cut off": pack([entry(BLOB, b"a" * 1_000)])[:-21],
    "changed": pack([entry(BLOB, b"a")]).replace(b"\x31", b"\x32", 1),
    "more objects than there are": pack([entry(BLOB, b"a")], count=2),
    "fewer objects than there are": pack([entry(BLOB, b"a"), entry(BLOB, b"b")], count=1),
    "no kind": pack([entry(0, b"a")]),
    "a reserved kind": pack([entry(5, b"a")]),
    "larger than it says": pack([entry(BLOB, b"a" * 100, size=99)]),
    "smaller than it says": pack([entry(BLOB, b"a" * 100, size=101)]),
    "no zlib": pack([bytes([BLOB << 4 | 5]) + b"hello"]),
    "a size without end": pack([bytes([BLOB << 4 | 0x80]) + b"\xff" * 40]),
    "a delta to itself": pack([entry(BY_PLACE, delta(1, 1, b"\x01a"), b"\x00")]),
    "a delta to what is before the pack": pack([entry(BY_PLACE, delta(1, 1, b"\x01a"), b"\x7f")]),
    "a distance without end": pack([bytes([BY_PLACE << 4 | 1]) + b"\xff" * 40]),
    "a delta to another size": pack([a := entry(BLOB, b"ab"), entry(BY_PLACE, delta(3, 1, b"\x01a"), bytes([len(a)]))]),
    "a delta without sizes": pack([a, entry(BY_PLACE, b"", bytes([len(a)]))]),
    "a delta that copies what is not there": pack([a, entry(BY_PLACE, delta(2, 9, copy(0, 9)), bytes([len(a)]))]),
    "a delta that makes too much": pack([a, entry(BY_PLACE, delta(2, 1, copy(0, 2)), bytes([len(a)]))]),
    "a delta that makes too little": pack([a, entry(BY_PLACE, delta(2, 3, copy(0, 2)), bytes([len(a)]))]),
    "a delta that is cut off": pack([a, entry(BY_PLACE, delta(2, 9, b"\x09a"), bytes([len(a)]))]),
    "a delta of no instruction": pack([a, entry(BY_PLACE, delta(2, 1, b"\x00"), bytes([len(a)]))]),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_packs(what: str) -> None:
    step, text = failure(DAMAGED[what])
    assert step == "digest"
    assert text.startswith("the pack that was sent is damaged: ")


@given(st.data())
@examples(200)
def test_whatever_is_changed_is_noticed(data: st.DataObject) -> None:
    """Also where whoever changes it computes the checksum anew: what comes out has the name that it is the hash of."""
    whole = bytearray(
        pack([a, entry(BLOB, b"some text " * 20), entry(BY_PLACE, delta(2, 2, copy(0, 2)), bytes([len(a)]))])
    )
    at = data.draw(st.integers(0, len(whole) - 21))
    whole[at] ^= data.draw(st.integers(1, 255))
    whole[-20:] = hashlib.sha1(whole[:-20]).digest()
    found: dict[str, bytes] = {}
    with contextlib.suppress(SourceError):
        found = read(bytes(whole))
    kinds = (b"blob", b"commit", b"tree", b"tag")
    assert all(name in {name_of(kind, said) for kind in kinds} for name, said in found.items())


def measured(data: bytes) -> tuple[int, str]:
    """The most memory that reading a pack takes, in bytes, and the step that it fails in, if it does."""
    tracemalloc.start()
    try:
        found = sum(len(one.data) for one in Pack(data, lambda: None).objects(BLOB))
        step = "" if found >= 0 else "?"
    except SourceError as error:
        step = error.step
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most, step


ZEROS = bytes(64 << 20)
MEBIBYTE = 1 << 20
WIDE = entry(BLOB, bytes(MEBIBYTE))


def chain(length: int) -> list[bytes]:
    """Deltas that each make a mebibyte out of the one before."""
    entries, before = [WIDE], len(WIDE)
    for _ in range(length):
        one = entry(BY_PLACE, delta(MEBIBYTE, MEBIBYTE, copy(0, MEBIBYTE)), distance(before))
        entries.append(one)
        before = len(one)
    return entries


def distance(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        value -= 1
        out.append(0x80 | value & 0x7F)
    return bytes(reversed(out))


BOMBS = {
    "one large object": ([entry(BLOB, ZEROS)], ""),
    "an object that says it is small": ([entry(BLOB, ZEROS, size=10)], "digest"),
    "an object that says it is large": ([entry(BLOB, b"a", size=1 << 40)], "limits"),
    "many large objects": ([entry(BLOB, ZEROS)] * 3, "limits"),
    "more objects than there may be": ([], "limits"),
    "a delta that makes much": (
        [WIDE, entry(BY_PLACE, delta(MEBIBYTE, 64 * MEBIBYTE, copy(0, MEBIBYTE) * 64), distance(len(WIDE)))],
        "",
    ),
    "a delta that says it makes a lot": (
        [WIDE, entry(BY_PLACE, delta(MEBIBYTE, 1 << 50, copy(0, MEBIBYTE)), distance(len(WIDE)))],
        "limits",
    ),
    "deltas of deltas": (chain(100), ""),
}


@pytest.mark.parametrize("what", BOMBS)
def test_bombs_take_no_memory(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_pack, "MAX_INFLATED", 160 * MEBIBYTE)
    entries, expected = BOMBS[what]
    data = pack(entries, count=1 << 31 if not entries else None)
    most, step = measured(data)
    assert step == expected
    assert most < 16 * MEBIBYTE


def test_what_is_held_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each object is the base of the next one, and of a second one that waits for its turn."""
    monkeypatch.setattr(git_pack, "MAX_HELD", 8 * MEBIBYTE)
    entries, before = [WIDE], len(WIDE)
    for _ in range(20):
        first = entry(BY_PLACE, delta(MEBIBYTE, 1, copy(0, 1)), distance(before))
        second = entry(BY_PLACE, delta(MEBIBYTE, MEBIBYTE, copy(0, MEBIBYTE)), distance(before + len(first)))
        entries += [first, second]
        before = len(second)
    most, step = measured(pack(entries))
    assert step == "limits"
    assert most < 16 * MEBIBYTE


def test_reading_ends_when_its_time_is_over() -> None:
    def over() -> None:
        raise SourceError("fetch", "too late")

    with pytest.raises(SourceError, match="too late"):
        Pack(pack([a]), over)
