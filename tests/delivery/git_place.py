"""A repository of Git as a `Place` of bundles, and what only a repository can get wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from delivery.git import GitSource
from delivery.sources import read_address
from tests.delivery.bad_bundles import good
from tests.delivery.git_servers import Repository

MAIN = "refs/heads/main"


class GitPlace:
    """The folder `bundle` of the branch `main`; each publication replaces the branch."""

    def __init__(self, repository: Repository, url: str = "", credentials: Path | None = None) -> None:
        """`url` is where the repository is served; none for it itself."""
        self.repository = repository
        self.source = GitSource(read_address(f"git+{url or repository.path.as_uri()}//bundle?branch=main"), credentials)

    def publish(self, files: Mapping[str, bytes]) -> None:
        below = {f"bundle/{name}": data for name, data in files.items()}
        self.repository.record(self.repository.tree_of({"bundle/.keep": b"", **below}))

    def put(self, mode: str, path: str, data: bytes | str) -> None:
        """Publish a good bundle with something of another mode at a path in it; a text is the name of an object."""
        target = self.repository.store("blob", data) if isinstance(data, bytes) else data
        folder, _, name = path.rpartition("/")
        inside = {file.removeprefix("policies/"): text for file, text in good("6.6.6").items() if "/" in file}
        policies = self._with(inside, (mode, name, target)) if folder else self.repository.tree_of(inside)
        entries = [("40000", "policies", policies)] + ([] if folder else [(mode, name, target)])
        bundle = self._with({"bundle.yaml": good("6.6.6")["bundle.yaml"]}, *entries)
        self.repository.record(self.repository.tree([("40000", "bundle", bundle)]))

    def _with(self, files: Mapping[str, bytes], *entries: tuple[str, str, str]) -> str:
        blobs = [("100644", name, self.repository.store("blob", data)) for name, data in files.items()]
        return self.repository.tree(sorted([*blobs, *entries], key=lambda one: one[1]))


@dataclass(frozen=True, slots=True)
class Spoilt:
    """What is wrong with a repository: `spoil` makes it so, `step` fails, and `words` say why."""

    name: str
    step: str
    words: str
    spoil: Callable[[GitPlace], object]


def _raw(tree: bytes) -> Callable[[GitPlace], None]:
    """A repository whose tree is these bytes."""

    def spoil(place: GitPlace) -> None:
        blob = bytes.fromhex(place.repository.store("blob", b"a: 1"))
        place.repository.record(place.repository.store("tree", tree.replace(b"NAME", blob)))

    return spoil


def _as_bundle(tree: bytes) -> Callable[[GitPlace], None]:
    """The same of the folder of the bundle."""

    def spoil(place: GitPlace) -> None:
        blob = bytes.fromhex(place.repository.store("blob", b"a: 1"))
        bundle = place.repository.store("tree", tree.replace(b"NAME", blob))
        place.repository.record(place.repository.tree([("40000", "bundle", bundle)]))

    return spoil


def _doubling(place: GitPlace) -> None:
    """Few objects that stand for very many files."""
    tree = place.repository.tree_of({"a.txt": b"a: 1"})
    for _ in range(40):
        tree = place.repository.tree([("40000", "a", tree), ("40000", "b", tree)])
    place.repository.record(place.repository.tree([("40000", "bundle", tree)]))


def _deep(place: GitPlace) -> None:
    place.publish({"a/" * 70 + "a.yaml": b"a: 1"})


def _commit(text: str) -> Callable[[GitPlace], None]:
    """A branch whose commit is this text."""

    def spoil(place: GitPlace) -> None:
        tree = place.repository.tree_of({f"bundle/{name}": data for name, data in good("6.6.6").items()})
        place.repository.point(MAIN, place.repository.store("commit", text.replace("TREE", tree).encode()))

    return spoil


def _missing(place: GitPlace) -> None:
    """A branch whose file was lost on the server."""
    place.publish(good("6.6.6"))
    name = place.repository.store("blob", good("6.6.6")["bundle.yaml"])
    (place.repository.path / "objects" / name[:2] / name[2:]).unlink()


def _damaged(place: GitPlace) -> None:
    place.publish(good("6.6.6"))
    name = place.repository.store("blob", good("6.6.6")["bundle.yaml"])
    (place.repository.path / "objects" / name[:2] / name[2:]).write_bytes(b"damaged")


COMMITTER = "author A <a@example.org> 1 +0000\ncommitter A <a@example.org> 1 +0000\n\nA\n"
SPOILT = (
    Spoilt("branch-gone", "look", "has no branch `main`", lambda place: place.repository.point(MAIN, None)),
    Spoilt("dangling-branch", "fetch", "does not hand out `666", lambda place: place.repository.point(MAIN, "6" * 40)),
    Spoilt(
        "folder-gone",
        "fetch",
        "has no folder `bundle`; there are none",
        lambda place: place.repository.record(place.repository.tree_of({"a": b""})),
    ),
    Spoilt(
        "folder-elsewhere",
        "fetch",
        "has no folder `bundle`; there are `bundles`",
        lambda place: place.repository.record(place.repository.tree_of({"bundles/a": b""})),
    ),
    Spoilt(
        "folder-is-a-file",
        "fetch",
        "has no folder `bundle`",
        lambda place: place.repository.record(place.repository.tree_of({"bundle": b""})),
    ),
    Spoilt(
        "folder-is-a-link",
        "fetch",
        "has no folder `bundle`",
        lambda place: place.repository.record(
            place.repository.tree([("120000", "bundle", place.repository.store("blob", b"/etc"))])
        ),
    ),
    Spoilt(
        "empty-tree",
        "fetch",
        "has no folder `bundle`",
        lambda place: place.repository.record(place.repository.tree([])),
    ),
    Spoilt(
        "link",
        "parse",
        "policies/x.yaml:1:1: error: this is a symbolic link",
        lambda place: place.put("120000", "policies/x.yaml", b"named.yaml"),
    ),
    Spoilt(
        "link-out",
        "parse",
        "policies/x.yaml:1:1: error: this is a symbolic link",
        lambda place: place.put("120000", "policies/x.yaml", b"/etc/passwd"),
    ),
    Spoilt(
        "link-to-a-folder",
        "parse",
        "shared:1:1: error: this is a symbolic link",
        lambda place: place.put("120000", "shared", b"../../shared"),
    ),
    Spoilt(
        "submodule",
        "parse",
        "policies/common:1:1: error: this is a submodule",
        lambda place: place.put("160000", "policies/common", "6" * 40),
    ),
    Spoilt(
        "ignore-is-a-link",
        "fetch",
        "`.bayplanignore` is no file",
        lambda place: place.put("120000", ".bayplanignore", b"/dev/null"),
    ),
    Spoilt(
        "ignore-is-damaged", "parse", ".bayplanignore:1:1", lambda place: place.put("100644", ".bayplanignore", b"!\n")
    ),
    Spoilt(
        "ignore-is-huge",
        "parse",
        ".bayplanignore:1:1: error: the file is too large",
        lambda place: place.put("100644", ".bayplanignore", b"# " * (1 << 20)),
    ),
    Spoilt(
        "huge-file",
        "limits",
        "policies/x.yaml:1:1: error: the file is too large",
        lambda place: place.put("100644", "policies/x.yaml", b"#" * 6_000_000),
    ),
    Spoilt("parent-folder", "digest", "has an entry that git refuses: `'..'`", _as_bundle(b"100644 ..\0NAME")),
    Spoilt("this-folder", "digest", "has an entry that git refuses: `'.'`", _as_bundle(b"100644 .\0NAME")),
    Spoilt(
        "path-as-name", "digest", "has an entry that git refuses: `'../x.yaml'`", _as_bundle(b"100644 ../x.yaml\0NAME")
    ),
    Spoilt("no-name", "fetch", "", _as_bundle(b"100644 \0NAME")),
    Spoilt(
        "twice",
        "digest",
        "has an entry that git refuses: `'a.yaml'`",
        _as_bundle(b"100644 a.yaml\0NAME100644 a.yaml\0NAME"),
    ),
    Spoilt(
        "name-that-does-not-show", "parse", "the name of the file", _as_bundle("100644 a\u202eb.yaml\0NAME".encode())
    ),
    Spoilt("name-not-utf-8", "parse", "the name of the file is not UTF-8", _as_bundle(b"100644 a\xff.yaml\0NAME")),
    Spoilt("many-by-few", "limits", "there are more than 100,000 files and folders in it", _doubling),
    Spoilt("deep-folders", "limits", "folders are nested more than 64 deep", _deep),
    Spoilt("commit-of-no-tree", "fetch", "", _commit(f"tree {'6' * 40}\n{COMMITTER}")),
    Spoilt("no-commit", "fetch", "", _commit("hello\n")),
    Spoilt("file-lost", "fetch", "", _missing),
    Spoilt("file-damaged", "fetch", "", _damaged),
)
