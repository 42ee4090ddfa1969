"""Bundles that must not become active, and what is asked of every source that holds one.

A `Place` is where a test publishes bundles for a source to find: a folder, a repository, a registry. `withstands` has
something bad published there, first or after a good bundle, and holds the follower to what was promised: the old
revision decides on, the status names the step, and the next good bundle is taken.

`BAD` is what is wrong with a bundle's files, wherever they are from; sources add what only they can get wrong, as a
function that publishes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from delivery import content
from delivery.archive import Manifest, packed
from delivery.follower import Followed, Follower
from delivery.status import Status
from delivery.store import Store
from delivery.transaction import Candidate, Demands
from telemetry import Metrics
from tests.delivery import bundles


class Place(Protocol):
    """Where a test publishes bundles."""

    @property
    def source(self) -> content.Source:
        """What finds them."""

    def publish(self, files: Mapping[str, bytes]) -> None:
        """Have these files, and no others, be the bundle from now on."""


@dataclass(frozen=True, slots=True)
class Bad:
    """What is wrong with a bundle: over a good one's files these are laid (None takes one away), and `step` fails.

    `demands` are those of who serves it, which the good ones meet.
    """

    name: str
    step: str
    words: str
    files: Mapping[str, bytes | None]
    demands: Demands | None = None

    def tree(self) -> dict[str, bytes]:
        """All files of the bad bundle, whose version is 6.6.6."""
        whole = {**good("6.6.6"), **self.files}
        return {name: data for name, data in whole.items() if data is not None}


class Serving:
    """A follower of a source that is asked when a test says so, and what it has made active."""

    def __init__(
        self, source: content.Source, demands: Demands | None = None, store: Store | None = None, *, local: bool = False
    ) -> None:
        self.taken: list[Candidate] = []
        self.metrics = Metrics("test")
        followed = Followed(source, "test", 1.0, local=local, demands=demands or Demands())
        self.follower = Follower(followed, self._take, self.metrics, store)

    def _take(self, candidate: Candidate, _cause: str, _started: float) -> None:
        self.taken.append(candidate)

    def ask(self) -> Status:
        """One round, and the status after it."""
        self.follower.ask()
        return self.follower.status

    @property
    def version(self) -> str:
        """That of the revision that decides; empty for none."""
        return self.taken[-1].revision.version if self.taken else ""

    def failures(self, step: str) -> float:
        return self.metrics.registry.get_sample_value("bayplan_activation_failures_total", {"step": step}) or 0.0


def good(version: str = "1.0.0", **policies: str) -> dict[str, bytes]:
    """The files of a bundle that passes every step."""
    return {name: text.encode() for name, text in bundles.files(version, **policies).items()}


def withstands(
    place: Place, spoil: Callable[[], None], step: str, words: str, *, first: bool, demands: Demands | None = None
) -> None:
    """Something bad, published by `spoil`, becomes active neither as the first bundle nor as a later one."""
    serving = Serving(place.source, demands)
    if not first:
        place.publish(good("1.0.0"))
        assert serving.ask().step == ""
    before = serving.version
    assert before == ("" if first else "1.0.0")
    spoil()
    for _ in range(2):  # asked again, it says the same
        status = serving.ask()
        assert (status.step, serving.version) == (step, before), status.message
        assert words in status.message
        assert (status.revision.version if status.revision else "") == before
        assert serving.failures(step) >= 1
    place.publish(good("1.0.1"))
    status = serving.ask()
    assert (serving.version, status.step, status.message) == ("1.0.1", "", ""), status.message


def withstands_files(place: Place, bad: Bad, *, first: bool) -> None:
    """The same of a bundle with bad files."""
    withstands(place, lambda: place.publish(bad.tree()), bad.step, bad.words, first=first, demands=bad.demands)


def refuses_older(place: Place, demands: Demands) -> None:
    """An older version than the one seen last is refused, whichever serves now."""
    serving = Serving(place.source, demands)
    for version, expected in (("1.1.0", "1.1.0"), ("1.0.0", "1.1.0"), ("1.1.1", "1.1.1"), ("1.1.0", "1.1.1")):
        place.publish(good(version))
        status = serving.ask()
        assert serving.version == expected
        if version != expected:
            assert status.step == "signature"
            assert f"{version} is older than {expected}, which was seen before" in status.message


def starts_anew(place: Place, folder: Path, demands: Demands) -> None:
    """An older version than the one seen last is refused also by who has nothing left but the memory of that."""
    before = Serving(place.source, demands, Store(folder, "test"))
    place.publish(good("1.1.0"))
    assert before.ask().step == ""
    for kept in folder.glob("*/*.revision"):
        kept.unlink()
    serving = Serving(place.source, demands, Store(folder, "test"))
    serving.follower.first()
    place.publish(good("1.0.0"))
    status = serving.ask()
    assert (status.step, status.revision, serving.taken) == ("signature", None, [])
    assert "1.0.0 is older than 1.1.0, which was seen before" in status.message
    place.publish(good("1.1.1"))
    assert (serving.ask().step, serving.version) == ("", "1.1.1")


def archive_of(files: Mapping[str, bytes]) -> bytes:
    """The archive of files, whose manifest names the bundle as they do themselves, as far as they do."""
    head = files.get("bundle.yaml", b"").decode(errors="replace")
    name, version = re.search(r"\bname: *([\w.-]+)", head), re.search(r"\bversion: *([\w.-]+)", head)
    return packed(files, Manifest(name[1] if name else "small", version[1] if version else "1.0.0"))


def _policy(spec: str) -> dict[str, bytes]:
    return _file("policies/bad.yaml", "PlacementPolicy", f"metadata: {{name: bad}}\nspec:\n{spec}")


def _bundle(text: str) -> dict[str, bytes]:
    return {"bundle.yaml": f"apiVersion: bayplan.dev/v1alpha1\nkind: Bundle\n{text}".encode()}


def _test(spec: str) -> dict[str, bytes]:
    return _file("tests/bad.yaml", "PlacementTest", f"metadata: {{name: bad}}\nspec:\n{spec}")


def _file(name: str, kind: str, text: str) -> dict[str, bytes]:
    return {name: f"apiVersion: bayplan.dev/v1alpha1\nkind: {kind}\n{text}\n".encode()}


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a2146" * 8 + b"\nsize 12345\n"
REQUIRES = "  require: [{expression: 'EXPRESSION'}]"
POD = "{metadata: {name: a}, spec: {containers: [{name: a, image: a}]}}"

BAD = (
    Bad("nothing", "parse", "there is no `bundle.yaml`", dict.fromkeys(good())),
    Bad("no-bundle-yaml", "parse", "there is no `bundle.yaml`", {"bundle.yaml": None}),
    Bad("empty-bundle-yaml", "parse", "the file is empty", {"bundle.yaml": b""}),
    Bad("truncated", "parse", "bundle.yaml:", {"bundle.yaml": good()["bundle.yaml"][:-12]}),
    Bad(
        "truncated-policy",
        "parse",
        "policies/training.yaml:",
        {"policies/training.yaml": bundles.TRAINING.encode()[:-30]},
    ),
    Bad("empty-policy", "parse", "the file is empty", {"policies/training.yaml": b""}),
    Bad("zeros", "parse", "bundle.yaml:1:1", {"bundle.yaml": bytes(512)}),
    Bad("not-utf-8", "parse", "is not UTF-8", {"policies/bad.yaml": b"kind: \xff\n"}),
    Bad("no-yaml", "parse", "policies/bad.yaml:1:", {"policies/bad.yaml": b"kind: [\n"}),
    Bad("tabs", "parse", "policies/bad.yaml:2:", {"policies/bad.yaml": b"spec:\n\tmode: audit\n"}),
    Bad("duplicate-key", "parse", "policies/bad.yaml", {"policies/bad.yaml": b"kind: A\nkind: B\n"}),
    Bad("alias", "parse", "policies/bad.yaml", {"policies/bad.yaml": b"a: &a 1\nb: *a\n"}),
    Bad(
        "billion-laughs",
        "parse",
        "policies/bad.yaml",
        {"policies/bad.yaml": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"},
    ),
    Bad("yaml-tag", "parse", "policies/bad.yaml", {"policies/bad.yaml": b"a: !!python/object/apply:os.system [ls]\n"}),
    Bad("deep", "parse", "policies/bad.yaml", {"policies/bad.yaml": b"a: " + b"[" * 9_000 + b"]" * 9_000}),
    Bad("a-list", "parse", "a list", {"policies/bad.yaml": b"[1, 2]\n"}),
    Bad("text", "parse", "policies/bad.yaml:1:1", {"policies/bad.yaml": b"<!DOCTYPE html><html>not found</html>\n"}),
    Bad("lfs-pointer", "parse", "policies/training.yaml", {"policies/training.yaml": LFS}),
    Bad("lfs-pointer-as-bundle", "parse", "bundle.yaml", {"bundle.yaml": LFS}),
    Bad(
        "conflict-markers",
        "parse",
        "policies/bad.yaml",
        {"policies/bad.yaml": b"<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n"},
    ),
    Bad("oversize-file", "limits", "the file is too large", {"policies/bad.yaml": b"#" * ((1 << 20) + 1)}),
    Bad("too-many-files", "limits", "too many files", {f"pools/{n}.yaml": b"# none\n" for n in range(1_001)}),
    Bad("too-large", "limits", "the bundle is too large", {f"pools/{n}.yaml": b"#" * (1 << 20) for n in range(17)}),
    Bad("hidden-name", "parse", "the name of the file", {"policies/a\u202eb.yaml": b"a: 1\n"}),
    Bad("unknown-kind", "parse", "is not a kind of document", _file("policies/bad.yaml", "Deployment", "spec: {}")),
    Bad("no-kind", "parse", "needs `kind`", {"policies/bad.yaml": b"apiVersion: bayplan.dev/v1alpha1\n"}),
    Bad(
        "other-api-version",
        "parse",
        "policies/bad.yaml:1",
        {"policies/bad.yaml": b"apiVersion: bayplan.dev/v9\nkind: PlacementPolicy\nmetadata: {name: a}\nspec: {}\n"},
    ),
    Bad("unknown-field", "parse", "did you mean `require`?", _policy("  requires: []")),
    Bad(
        "wrong-type",
        "parse",
        "policies/bad.yaml",
        _policy("  priority: high\n" + REQUIRES.replace("EXPRESSION", "true")),
    ),
    Bad("no-effect", "parse", "does nothing", _policy("  mode: audit")),
    Bad(
        "no-name",
        "parse",
        "needs `metadata`",
        _file("policies/bad.yaml", "PlacementPolicy", "spec: {deny: [{expression: 'true'}]}"),
    ),
    Bad("weight", "parse", "weight", _policy("  prefer: [{expression: 'true', weight: 101}]")),
    Bad("rollout", "parse", "rollout", _policy("  rollout: 101\n  deny: [{expression: 'false'}]")),
    Bad(
        "selector",
        "parse",
        "policies/bad.yaml",
        _policy("  podSelector: {matchLabels: {'a b': c}}\n  deny: [{expression: 'false'}]"),
    ),
    Bad("duplicate-policy", "parse", "two policies `training`", {"policies/again.yaml": bundles.TRAINING.encode()}),
    Bad("second-bundle", "parse", "a second bundle", {"again.yaml": good()["bundle.yaml"]}),
    Bad(
        "no-policies",
        "parse",
        "has no policies",
        {f"policies/{name}.yaml": None for name in ("training", "named", "teams")},
    ),
    Bad(
        "no-semantic-version",
        "parse",
        "`latest` is not a semantic version",
        _bundle("metadata: {name: small}\nspec: {version: latest}\n"),
    ),
    Bad(
        "unknown-bundle-field",
        "parse",
        "bundle.yaml",
        _bundle("metadata: {name: small}\nspec: {version: 6.6.6, modes: audit}\n"),
    ),
    Bad(
        "params-not-as-schema",
        "parse",
        "the schema says otherwise",
        _bundle(
            "metadata: {name: small}\n"
            "spec: {version: 6.6.6, params: {n: x}, paramsSchema: {properties: {n: {type: integer}}}}\n"
        ),
    ),
    Bad(
        "exemption-of-nothing",
        "parse",
        "there is no policy `trainings`",
        _bundle(
            "metadata: {name: small}\n"
            "spec: {version: 6.6.6, exemptions: [{name: a, reason: b, policies: [trainings]}]}\n"
        ),
    ),
    Bad("syntax", "compile", "policies/bad.yaml", _policy(REQUIRES.replace("EXPRESSION", "pool.name =="))),
    Bad(
        "misspelt-field",
        "compile",
        "did you mean `labels`?",
        _policy(REQUIRES.replace("EXPRESSION", 'pool.lables["a"] == "b"')),
    ),
    Bad("unknown-name", "compile", "policies/bad.yaml", _policy(REQUIRES.replace("EXPRESSION", 'pol.name == "b"'))),
    Bad("type-error", "compile", "policies/bad.yaml", _policy(REQUIRES.replace("EXPRESSION", "pool.name == 1"))),
    Bad("no-boolean", "compile", "policies/bad.yaml", _policy(REQUIRES.replace("EXPRESSION", "pool.name"))),
    Bad(
        "no-affinity",
        "compile",
        "policies/bad.yaml",
        _policy(REQUIRES.replace("EXPRESSION", 'node.region.startsWith("eu-")')),
    ),
    Bad(
        "unknown-param",
        "compile",
        "policies/bad.yaml",
        _policy(REQUIRES.replace("EXPRESSION", "pool.name in params.nothing")),
    ),
    Bad(
        "unknown-variable", "compile", "policies/bad.yaml", _policy(REQUIRES.replace("EXPRESSION", "variables.nothing"))
    ),
    Bad("unknown-function", "compile", "policies/bad.yaml", _policy(REQUIRES.replace("EXPRESSION", "now() > 3"))),
    Bad(
        "namespace-is-reserved",
        "compile",
        "policies/bad.yaml",
        _policy("  deny: [{expression: 'namespace.name == \"a\"'}]"),
    ),
    Bad(
        "pattern", "compile", "policies/bad.yaml", _policy("  deny: [{expression: 'pod.metadata.name.matches(\"(\")'}]")
    ),
    Bad(
        "failing-test",
        "test",
        "the case `bad: one` fails",
        _test(f"  cases: [{{name: one, pod: {POD}, expect: {{allowed: false}}}}]"),
    ),
    Bad(
        "failing-pools",
        "test",
        "the case `bad: one` fails",
        _test(f"  cases: [{{name: one, pod: {POD}, expect: {{pools: [gpu]}}}}]"),
    ),
    Bad(
        "test-of-no-policy",
        "parse",
        "there is no policy `trainig`",
        _test(f"  cases: [{{name: one, pod: {POD}, expect: {{policies: {{trainig: applied}}}}}}]"),
    ),
    Bad(
        "test-of-no-file",
        "parse",
        "the bundle has no file `pods/a.yaml`",
        _test("  cases: [{name: one, file: pods/a.yaml, expect: {allowed: true}}]"),
    ),
    Bad(
        "test-of-no-pod",
        "test",
        "tests/bad.yaml",
        _test("  cases: [{name: one, pod: {kind: Service, metadata: {name: a}}, expect: {allowed: true}}]"),
    ),
    Bad(
        "test-of-no-pools",
        "parse",
        "the bundle has no file `pools/a.yaml`",
        _test(f"  pools: pools/a.yaml\n  cases: [{{name: one, pod: {POD}, expect: {{allowed: true}}}}]"),
    ),
    Bad(
        "broken-pools",
        "parse",
        "pools/bad.yaml",
        {"pools/bad.yaml": b"apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools: [{name: 1}]\n"},
    ),
    Bad("pools-no-yaml", "parse", "pools/bad.yaml", {"pools/bad.yaml": b"kind: [\n"}),
    Bad(
        "needs-newer-bayplan",
        "parse",
        "requires bayplan >=99, and this is 1.0.0",
        _bundle("metadata: {name: small}\nspec: {version: 6.6.6, requires: {bayplan: '>=99'}}\n"),
        Demands(bayplan="1.0.0"),
    ),
    Bad(
        "needs-newer-kubernetes",
        "parse",
        "requires",
        _bundle("metadata: {name: small}\nspec: {version: 6.6.6, requires: {kubernetes: '>=1.99'}}\n"),
        Demands(kubernetes=lambda: "v1.30.0"),
    ),
    Bad(
        "overlapping-prefix",
        "parse",
        "`bad` is not bundle `small`'s to say, but that of `oci://other`, which serves beside it",
        _policy("  deny: [{expression: 'false'}]"),
        Demands(owns=("training", "no-", "teams"), others={"bad": "oci://other"}),
    ),
    Bad(
        "conflicts",
        "conflicts",
        "`training` and `bad` together leave no pool",
        {
            **_policy("  priority: -1\n" + REQUIRES.replace("EXPRESSION", 'pool.name == "general"')),
            "pools/a.yaml": bundles.POOLS.encode(),
        },
        Demands(strict=True),
    ),
)
