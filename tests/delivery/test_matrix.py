"""What can be wrong with a bundle, and where: each kind of it is tried from each source, or a reason says why not.

A cell is a kind of fault and a source, with the names under which that is tried, each as the first bundle and as a
later one: nothing becomes active, or the old revision stays; the status names the step; the next good one is taken.
`FILES` are names in `bad_bundles.BAD`, which every source of files gets; `OWN` those of tables, or of tests, of one
source; `NOWHERE` says why a source can't have such a fault.

Folders and archives are tried whole always, and objects. Of what is the same wherever files are from, repositories
(by themselves and over https) and registries (without lists of what refers to what, and with them) get all of it
nightly.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import pytest

from tests.delivery import git_place, object_place, test_archive, test_folder_source, test_trusted
from tests.delivery.bad_bundles import BAD
from tests.delivery.git import test_source as test_git
from tests.delivery.oci import test_following, test_signed
from tests.delivery.signature import bad_signatures
from tests.delivery.signature import test_bad_bundles as test_signatures

SOURCES = ("folder", "archive", "repository", "registry", "objects")
FILES: Mapping[str, tuple[str, ...]] = {
    "truncated": ("truncated", "truncated-policy", "nothing", "empty-bundle-yaml", "empty-policy", "no-bundle-yaml"),
    "damaged": ("zeros", "not-utf-8", "no-yaml", "pools-no-yaml", "tabs", "conflict-markers", "text", "hidden-name"),
    "bombs": ("billion-laughs", "deep", "oversize-file", "too-many-files", "too-large"),
    "unparsable": (
        *("a-list", "yaml-tag", "unknown-kind", "no-kind", "other-api-version", "unknown-field", "wrong-type"),
        *("no-effect", "no-name", "weight", "rollout", "selector", "duplicate-policy", "second-bundle", "no-policies"),
        *("no-semantic-version", "unknown-bundle-field", "params-not-as-schema", "exemption-of-nothing"),
        *("test-of-no-policy", "test-of-no-file", "test-of-no-pools", "broken-pools"),
    ),
    "type error": (
        *("type-error", "syntax", "misspelt-field", "unknown-name", "no-boolean", "no-affinity", "unknown-param"),
        *("unknown-variable", "unknown-function", "namespace-is-reserved", "pattern"),
    ),
    "failing own test": ("failing-test", "failing-pools", "test-of-no-pod"),
    "overlapping prefix": ("overlapping-prefix",),
    "needs a newer bayplan": ("needs-newer-bayplan", "needs-newer-kubernetes"),
    "duplicate keys": ("duplicate-key",),
    "aliases": ("alias",),
    "LFS pointers": ("lfs-pointer", "lfs-pointer-as-bundle"),
    "conflicts": ("conflicts",),
}
KINDS = (
    *("truncated", "damaged", "bombs", "symlinks", "..", "wrong digest", "wrong signature", "missing signature"),
    *("other bundle's signature", "older version", "expired", "unparsable", "type error", "failing own test"),
    *("overlapping prefix", "needs a newer bayplan", "duplicate keys", "aliases", "LFS pointers", "submodules"),
    "conflicts",
)
OLDER = ("test_an_older_version_is_refused_once_a_newer_one_was_seen",)
ANEW = ("test_so_it_is_for_who_starts_anew_and_has_nothing_but_the_memory_of_it",)
SIGNED: Mapping[str, tuple[str, ...]] = {
    "wrong signature": ("stranger", "no-json", "certificate", "truncated", "other-payload", "digest-alone"),
    "missing signature": ("unsigned", "empty"),
    "other bundle's signature": ("other-archive", "other-bundle", "other-name", "other-version"),
    "expired": ("expired", "not-yet"),
}
ARCHIVED: Mapping[str, tuple[str, ...]] = {
    "truncated": ("empty", "no end", "half an end"),
    "damaged": ("no gzip", "no tar", "two gzip files", "bytes after the end"),
    "bombs": ("a gzip bomb", "a bomb of a manifest", "large in all", "many files", "large by itself"),
    "symlinks": ("a symbolic link", "a hard link"),
    "..": ("upwards", "upwards inside", "absolute", "a dot", "a header of pax", "a global header of pax"),
    "wrong digest": ("another file", "a file more", "a file less", "no digest", "another bundle's name"),
    "duplicate keys": ("a manifest with a key twice", "twice"),
}
OWN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "folder": {"symlinks": tuple(test_folder_source.LINKS)},
    "archive": {
        **SIGNED,
        **ARCHIVED,
        "older version": (*OLDER, *ANEW),
        "truncated": (*ARCHIVED["truncated"], "test_a_file_that_is_being_written_is_waited_for"),
    },
    "repository": {
        "truncated": ("file-lost", "empty-tree"),
        "damaged": ("no-commit", "commit-of-no-tree", "name-not-utf-8"),
        "bombs": ("many-by-few", "deep-folders", "huge-file", "ignore-is-huge"),
        "symlinks": ("link", "link-out", "link-to-a-folder", "ignore-is-a-link", "folder-is-a-link"),
        "..": ("parent-folder", "this-folder", "path-as-name"),
        "wrong digest": ("file-damaged",),
        "wrong signature": ("stranger", "changed", "no-ssh", "gpg", "tomorrow"),
        "missing signature": ("unsigned",),
        "other bundle's signature": ("other-name", "test_a_signed_tag_is_taken_under_its_own_name_only"),
        "older version": (*OLDER, *ANEW),
        "expired": ("expired",),
        "submodules": ("submodule",),
    },
    "registry": {
        **SIGNED,
        **ARCHIVED,
        "truncated": ("a part of it", "nothing of it", "cut off", "no bytes"),
        "bombs": ("too large inside", "more than it", *ARCHIVED["bombs"]),
        "wrong digest": ("a bit", "another archive", "an attestation", *ARCHIVED["wrong digest"]),
        "older version": (*OLDER, "test_so_it_is_for_who_starts_anew"),
    },
    "objects": {
        "truncated": ("cut off", "no bundle", "no policies", "a spec of nothing"),
        "damaged": ("a spec that is a list", "no version"),
        "bombs": ("a large spec", "a large bundle", "many", "deep"),
        "unparsable": tuple(bad.name for bad in object_place.AS_OBJECTS if bad.name in FILES["unparsable"]),
        "type error": tuple(bad.name for bad in object_place.AS_OBJECTS if bad.name in FILES["type error"]),
        "overlapping prefix": FILES["overlapping prefix"],
        "needs a newer bayplan": FILES["needs a newer bayplan"],
    },
}
UNSIGNED = "it carries no signature, and where one is required nothing of it serves, good or bad"
VALUES = "the API server keeps values, and not the text that they were read from"
NOWHERE: Mapping[str, Mapping[str, str]] = {
    "folder": {
        "..": "a file system lists names, and `..` is no name of a file",
        "wrong digest": "nothing says what its digest should be",
        "submodules": "checked out it is a folder like others",
        **dict.fromkeys((*SIGNED, "older version"), UNSIGNED),
    },
    "archive": {"submodules": "tar has nothing of the kind"},
    "repository": {},
    "registry": {"submodules": "what it holds is an archive"},
    "objects": {
        "symlinks": "what an object says stands in it",
        "..": "its name is a DNS name, which has no `/`",
        "wrong digest": "nothing says what its digest should be",
        "submodules": "what an object says stands in it",
        "LFS pointers": "no file is kept anywhere",
        "duplicate keys": VALUES,
        "aliases": VALUES,
        "failing own test": "tests and pools of a bundle are no objects",
        "conflicts": "they are looked for on the bundle's own pools, and pools are no objects",
        **dict.fromkeys((*SIGNED, "older version"), UNSIGNED),
    },
}
KNOWN: Mapping[str, tuple[Mapping[str, object] | ModuleType, ...]] = {
    "folder": (test_folder_source.LINKS, test_trusted),
    "archive": (test_archive.HOSTILE, bad_signatures.ARCHIVES, test_archive, test_signatures),
    "repository": (
        {one.name: one for one in git_place.SPOILT},
        bad_signatures.REPOSITORIES,
        test_signatures,
        test_git,
    ),
    "registry": (test_following.SPOILED, test_archive.HOSTILE, bad_signatures.ARCHIVES, test_signed),
    "objects": (object_place.SPOILT, {bad.name: bad for bad in object_place.AS_OBJECTS}),
}


def tried(kind: str, source: str) -> tuple[str, ...]:
    """The names under which a kind of fault is tried from a source."""
    files = FILES.get(kind, ()) if source != "objects" else ()
    return (*files, *OWN[source].get(kind, ()))


@pytest.mark.parametrize("source", SOURCES)
def test_each_kind_of_fault_is_tried_or_can_not_be(source: str) -> None:
    for kind in KINDS:
        assert bool(tried(kind, source)) != (kind in NOWHERE[source]), f"{kind}: {source}"
    assert OWN[source].keys() | NOWHERE[source].keys() <= set(KINDS)


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_said_to_be_tried_is_there(source: str) -> None:
    names = {name for known in KNOWN[source] for name in (known if isinstance(known, Mapping) else vars(known))}
    assert {name for some in OWN[source].values() for name in some} - names == set()


def test_every_bad_bundle_is_of_one_kind() -> None:
    sorted_in = [name for names in FILES.values() for name in names]
    assert sorted(sorted_in) == sorted(bad.name for bad in BAD)
    assert len(BAD) >= 60


def test_how_many_cells_there_are() -> None:
    """21 kinds from 5 sources, each first and later; and as many names as stand in them."""
    cells = [(kind, source) for kind in KINDS for source in SOURCES if tried(kind, source)]
    assert (len(KINDS) * len(SOURCES), len(cells), 2 * len(cells)) == (105, 81, 162)
    assert sum(len(tried(kind, source)) for kind, source in cells) >= 350
