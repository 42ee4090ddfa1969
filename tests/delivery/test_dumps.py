"""delivery.dumps: large files piece by piece, whole or not at all."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from delivery import dumps, files
from delivery.dumps import Batch, pieces, pieces_of
from engine.documents import BundleError, RequestError
from engine.pods import unlisted

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are large from a few bytes on."""
    monkeypatch.setattr(dumps, "SMALL", 64)
    monkeypatch.setattr(files, "CHUNK", 16)


def items(count: int = 7) -> list[Json]:
    """Objects that are hard to tell apart by their texts."""
    odd = ['"},\n        },', "\n    ],", "- apiVersion: v1\n- x", "é€😀", "\\", "]}", "\n---\n", "kind: List"]
    pods = []
    for i in range(count):
        metadata = {"name": f"p{i}", "labels": {"a": odd[i % len(odd)]}, "annotations": {"b": "".join(odd)}}
        pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"x": [{}, [{"k": {"z": i}}]]}})
    return pods


def kubectl_json(found: list[Json]) -> str:
    return json.dumps(
        {"apiVersion": "v1", "items": found, "kind": "List", "metadata": {"resourceVersion": ""}}, indent=4
    )


def kubectl_yaml(found: list[Json]) -> str:
    text = yaml.safe_dump({"apiVersion": "v1", "items": found, "kind": "List", "metadata": {"resourceVersion": ""}})
    return str(text)


def api(found: list[Json]) -> str:
    bare = [{key: one[key] for key in one if key not in ("apiVersion", "kind")} for one in found]
    head = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}}
    return json.dumps({**head, "items": bare}, separators=(",", ":"))


def lines(found: list[Json]) -> str:
    return "\n".join(map(json.dumps, found))


def oddly(found: list[Json]) -> str:
    """As kubectl begins, but the objects are written otherwise."""
    inner = ",\n".join(json.dumps(one, indent=8) for one in found)
    return f'{{\n    "apiVersion": "v1",\n    "items": [\n{inner}\n    ],\n    "kind": "List"}}'


def two(found: list[Json]) -> str:
    return kubectl_json(found[:3]) + kubectl_json(found[3:])


def two_of_yaml(found: list[Json]) -> str:
    return kubectl_yaml(found[:3]) + "---\n" + kubectl_yaml(found[3:])


STYLES = [kubectl_json, kubectl_yaml, api, lines, oddly, two, two_of_yaml]


def read(text: bytes | str, size: int = 64) -> list[Json]:
    """The objects of a text, and that they are numbered as they stand there."""
    found: list[Json] = []
    for piece in pieces_of(BytesIO(text if isinstance(text, bytes) else text.encode()), "dump", size):
        if isinstance(piece, Batch):
            assert piece.name == "dump"
            found += [dict(one) for each in json.loads(piece.data) for _, one in unlisted("", each)]
        else:
            found += [dict(one) for _, one in unlisted("", piece.data)]
    return found


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [1, 7, 64, 1000, 1 << 20])
def test_all_objects_are_read_however_they_are_written(style: Callable[[list[Json]], str], size: int) -> None:
    assert read(style(items()), size) == items()


@pytest.mark.parametrize("style", [kubectl_json, kubectl_yaml, api])
@pytest.mark.parametrize("count", [0, 1])
def test_short_lists(style: Callable[[list[Json]], str], count: int) -> None:
    assert read(style(items(count))) == items(count)


@pytest.mark.parametrize("style", [kubectl_json, api, oddly, two, kubectl_yaml])
def test_a_file_that_is_cut_is_an_error_and_never_less(style: Callable[[list[Json]], str]) -> None:
    whole = style(items()).encode()
    end = len(whole.rstrip(b"\n}")) if style is not kubectl_yaml else whole.index(b"\nkind: List") + 11
    dice = random.Random(1)
    between = whole.find(b"}{")  # two lists: the first is whole
    for cut in (*dice.sample(range(90, end), 60), end):
        if cut in (between + 1, len(whole)) or (style is kubectl_yaml and cut == end):
            continue
        with pytest.raises((RequestError, BundleError)) as error:
            read(whole[:cut], dice.choice([1, 64, 4096]))
        assert style is kubectl_yaml or "not whole" in str(error.value)


def test_what_is_no_json_or_no_text_is_said() -> None:
    for broken in (
        '{"kind": "List", "items": [{"a": }]}',
        '{"kind": "PodList", "items": [1 2]}',
        '{"a": ' + "[" * 9999,
    ):
        with pytest.raises((RequestError, BundleError)):
            read(broken + " " * 99)
    with pytest.raises(RequestError, match="no UTF-8"):
        read(b'{"kind": "List", "items": [{"a": "' + b"\xff" * 20 + b'"}]}' + b" " * 99)


def test_a_problem_in_yaml_has_its_line() -> None:
    text = kubectl_yaml(items(5)).replace("name: p3", "name: [p3")
    with pytest.raises(BundleError) as error:
        read(text)
    line = text[: text.index("name: [p3")].count("\n") + 1
    assert {problem.span.line for problem in error.value.problems} & {line, line + 1}


def test_batches_are_numbered() -> None:
    for style in (kubectl_json, kubectl_yaml, api):
        batches = list(pieces_of(BytesIO(style(items()).encode()), "dump", 64))
        assert len(batches) > 2
        at = 0
        for one in batches:
            assert isinstance(one, Batch)
            assert one.start == at
            at += len(json.loads(one.data))
    (alone, _) = pieces_of(BytesIO(lines(items(2)).encode()), "dump", 64)
    assert isinstance(alone, Batch)
    assert alone.start == -1


def test_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(kubectl_json(items()))
    (tmp_path / "b.yaml").write_text("a: 1")
    (tmp_path / "c.txt").write_text("not read")
    found = [json.loads(one.data) if isinstance(one, Batch) else one.data for one in pieces(str(tmp_path))]
    assert [one for some in found[:-1] for one in some] == items()
    assert found[-1] == {"a": 1}
    with pytest.raises(BundleError):
        list(pieces(str(tmp_path / "missing")))
