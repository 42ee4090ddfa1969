"""delivery.objects: objects become the files of a bundle, as a whole, and not while their kind is being taken away."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from cluster import MAX_SPEC
from delivery import objects
from delivery.content import SourceError
from delivery.folder import bundle_of
from delivery.objects import document_of
from engine.analysis import passing
from engine.bundle import parse_bundle
from engine.documents import Excerpt, Source, Span, parse_manifests
from engine.program import compile_bundle
from engine.struct import Struct
from tests.delivery import bundles
from tests.delivery.bad_bundles import Bad, withstands, withstands_files
from tests.delivery.object_place import AS_OBJECTS, GOING, REQUIRE, SPOILT, ObjectPlace, Watched, thing


def test_objects_are_the_files_of_a_bundle() -> None:
    watched = Watched(thing("a", REQUIRE))
    content = watched.source.fetch()
    bundle, problems = bundle_of(content.files, content.problems)
    assert bundle is not None
    assert problems == ()
    assert (bundle.name, bundle.version, [policy.name for policy in bundle.policies]) == ("small", "1.0.0", ["a"])
    assert content.origin == "objects://small"
    assert content.version == watched.source.look()


def test_what_is_applied_together_becomes_active_together() -> None:
    watched = Watched(thing("a", REQUIRE))
    first = watched.look(0)
    for name in ("b", "c", "d"):
        watched.policies.append(thing(name, REQUIRE))
        assert watched.look(0.5) == first
        assert watched.names() == ["bundle.yaml", "policies/a.yaml"]
    assert watched.look(0.9) == first
    second = watched.look(0.2)
    assert second != first
    assert watched.names() == ["bundle.yaml", *(f"policies/{name}.yaml" for name in "abcd")]
    assert watched.look(10) == second


def test_changes_that_do_not_end_are_waited_for_only_so_long() -> None:
    watched = Watched(thing("a", REQUIRE))
    first = watched.look(0)
    seen = set()
    for number in range(100):
        watched.policies[0] = thing("a", {**REQUIRE, "priority": number})
        seen.add(watched.look(0.5))
    assert first in seen
    assert len(seen) == 2


def test_what_is_as_before_again_needs_no_rest() -> None:
    watched = Watched(thing("a", REQUIRE))
    first = watched.look(0)
    watched.policies.append(thing("b", REQUIRE))
    assert watched.look(0.5) == first
    watched.policies.pop()
    assert watched.look(0.1) == first
    assert watched.look(5) == first


def test_metadata_status_and_the_order_of_keys_make_no_version() -> None:
    one = Watched(thing("a", {"mode": "audit", **REQUIRE}))
    other = Watched({**thing("a", {**REQUIRE, "mode": "audit"}), "status": b"{}"})
    other.policies[0]["metadata"]["generation"] = 7
    assert one.source.look() == other.source.look()


def test_whom_to_ask_is_read_and_other_annotations_make_no_version() -> None:
    said = {"bayplan.dev/owner": "gpu-team", "bayplan.dev/link": "https://wiki.example/gpu"}
    one = Watched(thing("a", REQUIRE, annotations={**said, "kubectl.kubernetes.io/last-applied-configuration": "{}"}))
    other = Watched(thing("a", REQUIRE, annotations=said))
    assert one.source.look() == other.source.look()
    bundle, problems = bundle_of(one.source.fetch().files, ())
    assert problems == ()
    assert bundle is not None
    assert str(bundle.policies[0].contact) == "ask gpu-team, https://wiki.example/gpu"
    other.policies[0] = thing("a", REQUIRE, annotations={**said, "bayplan.dev/owner": "other-team"})
    other.look(0)
    assert other.look(5) != one.look(5)


def test_policies_that_go_with_their_kind_stay() -> None:
    watched = Watched(thing("a", REQUIRE), thing("b", REQUIRE))
    first = watched.look(0)
    watched.policies.pop()
    watched.going = "the kind of objects `placementpolicies` is being deleted"
    watched.look(0.5)
    with pytest.raises(SourceError, match="is being deleted") as caught:
        watched.look(2)
    assert caught.value.step == "look"
    assert watched.names() == ["bundle.yaml", "policies/a.yaml", "policies/b.yaml"]
    watched.wrong, watched.going = "the cluster has no kind of objects", ""
    with pytest.raises(SourceError, match="no kind of objects"):
        watched.look(1)
    watched.wrong = ""
    watched.policies = [thing("a", REQUIRE), thing("b", REQUIRE)]
    assert watched.look(1) == first


def test_a_policy_that_somebody_deletes_goes() -> None:
    watched = Watched(thing("a", REQUIRE), thing("b", REQUIRE))
    watched.look(0)
    watched.policies.pop()
    watched.look(0.5)
    watched.look(2)
    assert watched.names() == ["bundle.yaml", "policies/a.yaml"]


def test_policies_without_their_bundle_are_none() -> None:
    watched = Watched(thing("a", REQUIRE))
    watched.bundle = None
    with pytest.raises(SourceError, match="the cluster has no Bundle `small`") as caught:
        watched.source.fetch()
    assert caught.value.step == "fetch"


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        (MAX_SPEC + 1, "oversize"),
        (b"[" * 5000 + b"]" * 5000, "too-deep"),
        (json.dumps({"a": json.loads("[" * 70 + "]" * 70)}).encode(), "too-deep"),
        (b"[]", "wrong-type"),
        (b"null", "wrong-type"),
        (b'{"require": "x"}', "wrong-type"),
        (b'{"require": [{"expression": "\\u0000\\u001b[2J\\u202e"}]}', "syntax"),
        (b'{"requre": []}', "unknown-field"),
    ],
)
def test_what_is_no_policy_is_told_of(spec: Any, rule: str) -> None:
    watched = Watched({**thing("a", REQUIRE), "spec": spec}, thing("b", REQUIRE))
    content = watched.source.fetch()
    bundle, problems = bundle_of(content.files, content.problems)
    assert {each.span.source.name for each in problems} <= {"policies/a.yaml"}
    if rule != "syntax":
        assert rule in {each.rule for each in problems}
    else:  # what an expression is, is found out when it is compiled
        assert bundle is not None


def test_nothing_that_shows_is_lost_on_the_way() -> None:
    """A hostile text stays what it is, and is escaped where it would not show."""
    said = "\x1b[31m\u202e\u2028 \ufeff'\"\\\n\t"
    document = document_of(thing("a", {**REQUIRE, "description": said}))
    assert isinstance(document, bytes)
    assert document.decode().replace("\n", "").isprintable()
    bundle, problems = parse_bundle(
        {
            "bundle.yaml": bundles.BUNDLE.replace("VERSION", "1.0.0"),
            "policies/a.yaml": document.decode(),
        }
    )
    assert problems == ()
    assert bundle is not None
    assert bundle.policies[0].description == said


@pytest.mark.parametrize("path", sorted(Path("policies").glob("*/bundle.yaml")), ids=lambda path: path.parent.name)
def test_the_samples_as_objects_are_what_they_are_as_files(path: Path) -> None:
    """All but places: the same policies, exemptions and constants; and they pass the tests of the files."""
    folder = path.parent
    files = {str(file.relative_to(folder)): file.read_text() for file in sorted(folder.rglob("*.yaml"))}
    found = [
        (name, one.data)
        for name, text in files.items()
        for one in parse_manifests(Source(name, text))[0]
        if isinstance(one.data, dict) and one.data.get("kind") in ("Bundle", "PlacementPolicy")
    ]
    written = {name: text for name, text in files.items() if name not in dict(found)}
    for _, each in found:
        said = each["metadata"].get("annotations")
        text = document_of(thing(each["metadata"]["name"], each["spec"], each["kind"], said))
        assert isinstance(text, bytes)
        written[objects.file_of({"kind": each["kind"], "metadata": each["metadata"]})] = text.decode()
    (original, _), (bundle, problems) = parse_bundle(files), parse_bundle(written)
    assert problems == ()
    assert original is not None
    assert bundle is not None
    for field in ("name", "version", "mode", "params", "exemptions", "hands_on", "policies", "workload_labels"):
        assert _without_places(getattr(bundle, field)) == _without_places(getattr(original, field))
    passing(bundle, compile_bundle(bundle))


def _without_places(value: Any) -> Any:
    if isinstance(value, Excerpt):
        return value.value
    if isinstance(value, Span):
        return None
    if isinstance(value, Struct):
        return [_without_places(getattr(value, name)) for name in value.__struct_fields__]
    if dataclasses.is_dataclass(value):
        return [_without_places(getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, (tuple, list)):
        return [_without_places(each) for each in value]
    return value


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("bad", AS_OBJECTS, ids=lambda bad: bad.name)
def test_what_is_wrong_with_a_bundle_is_refused(bad: Bad, first: bool) -> None:
    withstands_files(ObjectPlace(), bad, first=first)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("name", SPOILT)
def test_what_is_wrong_with_objects_is_refused(name: str, first: bool) -> None:
    place, (spoil, step, words) = ObjectPlace(), SPOILT[name]
    withstands(place, lambda: spoil(place), step, words, first=first)


def test_objects_that_go_with_their_kind_change_nothing() -> None:
    place, (spoil, step, words) = ObjectPlace(), GOING
    withstands(place, lambda: spoil(place), step, words, first=False)
