"""delivery.follower: what a source has becomes active once, what fails is told and tried again, people are obeyed."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from delivery import keeper
from delivery.content import Content, SourceError
from delivery.follower import Followed, Follower, followed
from delivery.keeper import HeldError
from delivery.sources import read_address
from delivery.store import Kept, Store
from delivery.transaction import Demands, Overrides, StepFailedError
from engine.bundle import Revision
from engine.documents import Source
from telemetry import Metrics
from tests.delivery import bundles
from tests.delivery.bad_bundles import BAD, Bad, Serving, good, withstands_files
from tests.delivery.shelf import Shelf
from tests.waiting import wait_for

BROKEN = {name: data.replace(b"pool.labels", b"pool.lables") for name, data in good("2.0.0").items()}


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def served(shelf: Shelf, *versions: str, store: Store | None = None) -> Serving:
    """What has served these versions, one after the other."""
    serving = Serving(shelf, store=store)
    serving.follower.first()
    for version in versions:
        shelf.publish(good(version))
        serving.ask()
    assert serving.version == (versions[-1] if versions else "")
    return serving


# what a source has


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("bad", BAD[::9], ids=lambda bad: bad.name)
def test_what_is_bad_is_refused_wherever_it_is_from(shelf: Shelf, bad: Bad, first: bool) -> None:
    withstands_files(shelf, bad, first=first)


def test_what_did_not_change_is_not_fetched(shelf: Shelf) -> None:
    serving = served(shelf, "1.0.0")
    for _ in range(3):
        assert serving.ask().step == ""
    assert (shelf.looks, shelf.fetches, len(serving.taken)) == (4, 1, 1)


def test_what_was_refused_for_what_it_holds_is_not_fetched_again(shelf: Shelf) -> None:
    serving = served(shelf, "1.0.0")
    shelf.publish(BROKEN)
    for _ in range(3):
        assert serving.ask().step == "compile"
    assert shelf.fetches == 2
    assert serving.failures("compile") == 1


def test_a_version_is_seen_once_it_is_active_and_not_before(shelf: Shelf) -> None:
    """OPA 2220: the version of a bundle whose activation failed was taken for known, and never tried again."""
    serving = served(shelf, "1.0.0")
    shelf.publish(good("1.1.0"))
    for failing in (SourceError("fetch", "the connection was reset"), SourceError("digest", "it is not what was said")):
        shelf.fails = {"fetch": failing}
        status = serving.ask()
        assert (status.step, status.message, serving.version) == (failing.step, str(failing), "1.0.0")
    shelf.fails = {}
    assert serving.ask().step == ""
    assert serving.version == "1.1.0"


@dataclass
class Word:
    version: str
    words: str = "somebody vouches for it"
    expires: datetime.datetime | None = None


class NotSignedError(Exception):
    step = "signature"


def test_who_is_trusted_may_change_without_the_content(shelf: Shelf) -> None:
    trusting = False

    def vouch(*said: Any) -> Word:
        _, name, version, _, _ = said
        if not trusting:
            raise NotSignedError(f"nobody vouches for {name}")
        return Word(version)

    serving = Serving(shelf, Demands(vouch=vouch))
    shelf.publish(good("1.0.0"))
    for _ in range(2):
        status = serving.ask()
        assert (status.step, status.message, serving.version) == ("signature", "nobody vouches for small", "")
    trusting = True
    assert serving.ask().vouched == "somebody vouches for it"
    assert serving.version == "1.0.0"


def test_what_nobody_vouches_for_is_not_evaluated(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def vouch(*_: object) -> Word:
        raise NotSignedError("nobody")

    monkeypatch.setattr("delivery.transaction.compile_bundle", lambda *_: pytest.fail("it was compiled"))
    shelf.publish(BROKEN)
    assert Serving(shelf, Demands(vouch=vouch)).ask().step == "signature"


def test_the_newest_version_that_somebody_vouched_for_is_remembered(shelf: Shelf, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def vouch(*said: Any) -> Word:
        _, _, version, seen, _ = said
        asked.append((version, seen))
        return Word(version)

    store = Store(tmp_path, "shelf")
    serving = Serving(shelf, Demands(vouch=vouch), store)
    for version in ("1.9.0", "1.10.0", "1.9.5"):
        shelf.publish(good(version))
        serving.ask()
    assert asked == [("1.9.0", ""), ("1.10.0", "1.9.0"), ("1.9.5", "1.10.0")]
    assert Store(tmp_path, "shelf").decided().seen == {"small": "1.10.0"}


def test_a_bug_in_a_step_is_told_once_and_tried_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    serving = served(shelf, "1.0.0")
    shelf.publish(good("1.1.0"))
    with monkeypatch.context() as patched:
        patched.setattr("delivery.transaction.compile_bundle", lambda *_: 1 // 0)
        for _ in range(3):
            assert serving.ask().step == "compile"
    assert caplog.text.count("ZeroDivisionError: integer division") == 1
    assert serving.failures("compile") == 3
    serving.ask()
    assert serving.version == "1.1.0"


def test_a_return_to_what_served_before_is_told(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    serving = served(shelf, "1.0.0", "1.1.0")
    with caplog.at_level("INFO"):
        shelf.publish(good("1.0.0"))
        serving.ask()
    assert serving.version == "1.0.0"
    assert "is back, after small@1.1.0" in caplog.text


def test_a_source_that_can_not_be_asked_is_told_of_and_leaves_what_serves(shelf: Shelf) -> None:
    serving = served(shelf, "1.0.0")
    before = serving.follower.status.last_successful_request
    shelf.fails = {"look": SourceError("look", "no answer in time")}
    status = serving.ask()
    assert (status.step, status.message, serving.version) == ("look", "no answer in time", "1.0.0")
    assert status.complaints == ["bundle `the shelf`: the step `look` failed: no answer in time"]
    assert status.last_request >= status.last_successful_request == before
    shelf.fails = {}
    assert serving.ask().complaints == []


def test_another_bundle_that_needs_another_bayplan_is_refused(shelf: Shelf) -> None:
    files = good("1.0.0")
    files["bundle.yaml"] = files["bundle.yaml"].replace(
        b"version:", b"requires: {bayplan: '>=2'}, versions: x, version:"
    )
    shelf.publish(files)  # whose field nobody knows yet
    status = Serving(shelf, Demands(bayplan="1.4.0")).ask()
    assert (status.step, status.message) == ("parse", "bundle `small` 1.0.0 requires bayplan >=2, and this is 1.4.0")


def test_what_requires_another_kubernetes_is_refused_and_tried_again(shelf: Shelf) -> None:
    release = ["v1.29.4"]
    demands = Demands(kubernetes=lambda: release[0])
    serving = Serving(shelf, demands)
    shelf.publish(good("1.0.0"))
    assert serving.ask().step == ""
    wanting = dict(good("1.1.0"))
    wanting["bundle.yaml"] = wanting["bundle.yaml"].replace(b"version:", b"requires: {kubernetes: '>=1.30'}, version:")
    shelf.publish(wanting)
    status = serving.ask()
    assert (status.step, serving.version) == ("parse", "1.0.0")
    assert "the bundle requires Kubernetes `>=1.30`, and this is 1.29.4" in status.message
    release[0] = "v1.30.0-eks.1"  # the cluster was upgraded
    assert (serving.ask().step, serving.version) == ("", "1.1.0")
    release[0] = "v1.29.4"  # and back: what served once can be gone back to
    shelf.publish(good("1.2.0"))
    serving.ask()
    serving.follower.rollback()
    assert serving.version == "1.1.0"


def test_where_the_kubernetes_is_not_known_it_is_not_asked_for(shelf: Shelf) -> None:
    wanting = dict(good("1.1.0"))
    wanting["bundle.yaml"] = wanting["bundle.yaml"].replace(b"version:", b"requires: {kubernetes: '>=9'}, version:")
    shelf.publish(wanting)
    assert Serving(shelf).ask().step == ""


def test_names_that_are_not_its_own_are_refused(shelf: Shelf) -> None:
    shelf.publish(good("1.0.0"))
    status = Serving(shelf, Demands(owns=("tra", "te"))).ask()
    assert status.step == "parse"
    assert "policies/named.yaml:3" in status.message
    assert "`no-node-names` is not bundle `small`'s to say" in status.message
    assert Serving(shelf, Demands(owns=("tra", "te", "no-"))).ask().step == ""


CONFLICT = """\
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: elsewhere}
spec:
  podSelector: {matchLabels: {workload: training}}
  require: [{expression: 'pool.name == "general"'}]
"""


def test_conflicts_are_told_afterwards_or_stand_in_the_way(shelf: Shelf) -> None:
    files = {**good("1.0.0", elsewhere=CONFLICT), "pools/a.yaml": bundles.POOLS.encode()}
    shelf.publish(files)
    serving = Serving(shelf)
    assert serving.ask().warnings == ()
    serving.follower.examine()
    assert "conflicting-policies" in {problem.rule for problem in serving.follower.status.warnings}
    status = Serving(shelf, Demands(strict=True)).ask()
    assert (status.step, status.revision) == ("conflicts", None)
    assert "leave" in status.message


# when it is asked


def test_what_is_elsewhere_is_asked_less_often_than_what_is_here(tmp_path: Path) -> None:
    here = followed(read_address(str(tmp_path)), 60.0, Demands())
    there = followed(read_address("git+https://host/repo.git"), 60.0, Demands())
    assert (here.interval, here.jitter, here.local) == (0.5, 0.0, True)
    assert (there.interval, there.jitter, there.local) == (60.0, 0.2, False)


def test_a_thread_follows_and_can_be_stopped(shelf: Shelf) -> None:
    shelf.publish(good("1.0.0"))
    taken: list[str] = []
    source = Followed(shelf, "test", 0.01)
    one = Follower(source, lambda candidate, *_: taken.append(candidate.revision.version), Metrics("test"))
    one.first()
    assert taken == []
    one.start()
    wait_for(lambda: taken == ["1.0.0"], "the first")
    shelf.publish(good("1.1.0"))
    wait_for(lambda: taken == ["1.0.0", "1.1.0"], "the second")
    one.stop()
    assert shelf.closed
    looks = shelf.looks
    time.sleep(0.05)
    assert shelf.looks == looks


# what people decide


def test_rolled_back_from_is_held_back_and_the_next_one_is_not(shelf: Shelf) -> None:
    serving = served(shelf, "1.0.0", "1.1.0", "1.2.0")
    serving.follower.rollback()
    assert serving.version == "1.1.0"
    for _ in range(2):
        status = serving.ask()
        assert (serving.version, status.step, len(status.held_back)) == ("1.1.0", "", 1)
    assert serving.follower.held
    serving.follower.rollback()
    assert serving.version == "1.0.0"
    with pytest.raises(HeldError, match=r"there is no revision before small@1\.0\.0"):
        serving.follower.rollback()
    shelf.publish(good("1.2.1"))
    serving.ask()
    assert serving.version == "1.2.1"
    serving.follower.resume()
    assert not serving.follower.held


def test_what_is_held_back_stays_so_when_it_is_published_again(shelf: Shelf) -> None:
    serving = served(shelf, "1.0.0", "1.1.0")
    serving.follower.rollback()
    shelf.publish(good("1.1.0"))
    serving.ask()
    assert serving.version == "1.0.0"
    serving.follower.resume()
    serving.ask()
    assert serving.version == "1.1.0"


def test_one_may_be_named(shelf: Shelf) -> None:
    serving = served(shelf, "1.0.0", "1.1.0", "1.2.0")
    digest = serving.taken[0].revision.digest
    with pytest.raises(HeldError, match=r"`1\.3\.0` is no revision that was kept: small@1\.2\.0"):
        serving.follower.rollback("1.3.0")
    with pytest.raises(HeldError, match="is no revision"):
        serving.follower.rollback(digest[:5])
    with pytest.raises(HeldError, match="is active already"):
        serving.follower.rollback("1.2.0")
    serving.follower.rollback(f"sha256:{digest[:8]}")
    assert serving.version == "1.0.0"
    serving.follower.rollback("1.2.0")  # what was held back is not, once somebody wants it
    assert serving.version == "1.2.0"
    assert serving.follower.status.held_back == (digest,)


def test_what_is_pinned_stays(shelf: Shelf) -> None:
    serving = served(shelf, "1.0.0", "1.1.0")
    serving.follower.pin("1.0.0")
    shelf.publish(good("1.2.0"))
    assert serving.ask().pinned == serving.taken[0].revision.digest
    assert serving.version == "1.0.0"
    assert shelf.fetches == 2
    serving.follower.pin()
    serving.follower.resume()
    serving.ask()
    assert serving.version == "1.2.0"


def test_what_is_suspended_is_not_asked(shelf: Shelf) -> None:
    serving = served(shelf, "1.0.0")
    serving.follower.suspend()
    shelf.publish(good("1.1.0"))
    assert serving.ask().suspended
    assert (shelf.looks, serving.version) == (1, "1.0.0")
    serving.follower.resume()
    serving.ask()
    assert serving.version == "1.1.0"


def test_nothing_can_be_held_before_something_is_active(shelf: Shelf) -> None:
    serving = Serving(shelf)
    for decide in (serving.follower.rollback, serving.follower.pin):
        with pytest.raises(HeldError, match="nothing is active yet"):
            decide()


def test_what_is_decided_while_a_bundle_is_fetched_wins(shelf: Shelf) -> None:
    serving = served(shelf, "1.0.0", "1.1.0")
    shelf.publish(good("1.2.0"))
    shelf.meanwhile = lambda: serving.follower.pin("1.0.0")
    serving.ask()
    assert serving.version == "1.0.0"


def test_what_can_not_decide_any_more_is_not_gone_back_to(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    serving = served(shelf, "1.0.0", "1.1.0")
    with monkeypatch.context() as patched:
        patched.setattr("delivery.transaction.compile_bundle", lambda *_: 1 // 0)
        with pytest.raises(HeldError, match="can't decide: the step `compile` failed"):
            serving.follower.rollback()
    assert serving.version == "1.1.0"
    assert not serving.follower.held


# after a restart


def restarted(shelf: Shelf, folder: Path, demands: Demands | None = None) -> Serving:
    serving = Serving(shelf, demands, Store(folder, "shelf"))
    serving.follower.first()
    return serving


def test_a_start_without_the_source_serves_what_served(shelf: Shelf, tmp_path: Path) -> None:
    served(shelf, "1.0.0", "1.1.0", store=Store(tmp_path, "shelf"))
    shelf.fails = {"look": SourceError("look", "no route to host")}
    serving = restarted(shelf, tmp_path)
    assert serving.version == "1.1.0"
    status = serving.ask()
    assert (status.step, serving.version) == ("look", "1.1.0")
    assert [revision.version for revision in status.kept] == ["1.1.0", "1.0.0"]


def test_a_start_with_the_source_at_hand_does_not_fetch_what_is_kept(shelf: Shelf, tmp_path: Path) -> None:
    served(shelf, "1.0.0", store=Store(tmp_path, "shelf"))
    serving = restarted(shelf, tmp_path)
    assert serving.ask().step == ""
    assert (serving.version, shelf.fetches) == ("1.0.0", 1)


def test_what_people_decided_outlasts_a_restart(shelf: Shelf, tmp_path: Path) -> None:
    served(shelf, "1.0.0", "1.1.0", "1.2.0", store=Store(tmp_path, "shelf")).follower.rollback()
    serving = restarted(shelf, tmp_path)
    assert (serving.version, serving.follower.held) == ("1.1.0", True)
    serving.ask()
    assert serving.version == "1.1.0"
    serving.follower.pin("1.0.0")
    serving = restarted(shelf, tmp_path)
    assert serving.version == "1.0.0"
    serving.follower.suspend()
    assert restarted(shelf, tmp_path).follower.status.suspended
    restarted(shelf, tmp_path).follower.resume()
    serving = restarted(shelf, tmp_path)
    serving.ask()
    assert serving.version == "1.2.0"


def test_what_was_kept_and_does_not_compile_stops_nobody(
    shelf: Shelf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """OPA 3837: a bundle on disk that did not compile kept the server from starting."""
    store = Store(tmp_path, "shelf")
    served(shelf, "1.0.0", store=store)
    revision = Revision("small", "2.0.0", "f" * 64)
    store.keep(Kept(revision, Content("9", "the shelf at 9", BROKEN), time.time() + 1, time.time()))
    shelf.fails = {"look": SourceError("look", "no route to host")}
    serving = restarted(shelf, tmp_path)
    assert serving.version == "1.0.0"
    assert "small@2.0.0+sha256:ffffffff can't decide: the step `compile` failed" in caplog.text
    shelf.fails = {}
    for one in store.folder.glob("*.revision"):
        if not one.name.startswith("f"):
            one.unlink()
    serving = restarted(shelf, tmp_path)  # now nothing that was kept is of use
    assert serving.version == ""
    assert serving.follower.status.step == "kept"
    serving.ask()
    assert (serving.version, serving.follower.status.step) == ("1.0.0", "")


def test_what_is_kept_under_the_name_of_another_does_not_decide(
    shelf: Shelf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path, "shelf")
    served(shelf, "1.0.0", store=store)
    content = Content("9", "the shelf at 9", good("3.0.0"))
    store.keep(Kept(Revision("small", "2.0.0", "f" * 64), content, time.time() + 1, time.time()))
    shelf.fails = {"look": SourceError("look", "no route to host")}
    assert restarted(shelf, tmp_path).version == "1.0.0"
    assert "small@2.0.0+sha256:ffffffff can't decide: what was kept as it is small@3.0.0" in caplog.text


def test_what_is_kept_must_be_vouched_for_still(shelf: Shelf, tmp_path: Path) -> None:
    times: list[float] = []

    def vouch(*said: Any) -> Word:
        _, _, version, _, now = said
        times.append(now)
        if version == "1.1.0" and len(times) > 2:
            raise NotSignedError("the key was taken back")
        return Word(version)

    serving = Serving(shelf, Demands(vouch=vouch), Store(tmp_path, "shelf"))
    for version in ("1.0.0", "1.1.0"):
        shelf.publish(good(version))
        serving.ask()
    serving = restarted(shelf, tmp_path, Demands(vouch=vouch))
    assert serving.version == "1.0.0"
    assert times[3] == times[0]  # for the time at which it was verified: what was good then and expired serves on


def test_one_that_is_here_starts_with_what_was_kept_or_not_at_all(shelf: Shelf, tmp_path: Path) -> None:
    shelf.publish(BROKEN)
    with pytest.raises(StepFailedError):
        Serving(shelf, local=True).follower.first()
    shelf.publish(good("1.0.0"))
    Serving(shelf, store=Store(tmp_path, "shelf"), local=True).follower.first()
    shelf.publish(BROKEN)
    serving = Serving(shelf, store=Store(tmp_path, "shelf"), local=True)
    serving.follower.first()
    assert serving.version == "1.0.0"
    assert serving.ask().step == "compile"


def test_a_disk_that_can_not_be_written_is_told_of(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "STORE_SECONDS", 0.0)
    store = Store(tmp_path / "file" / "state", "shelf")
    (tmp_path / "file").write_text("in the way")
    serving = served(shelf, "1.0.0", "1.1.0", store=store)
    assert "can't be written: Not a directory" in serving.follower.status.store
    assert any("can't be written" in line for line in serving.follower.status.complaints)
    serving.follower.rollback()
    assert serving.version == "1.0.0"
    (tmp_path / "file").unlink()
    serving.follower._keeper.write()
    assert serving.follower.status.store == ""
    again = restarted(shelf, tmp_path / "file" / "state")
    assert (again.version, again.follower.held) == ("1.0.0", True)


# constants of the cluster


def with_params(version: str) -> dict[str, bytes]:
    files = good(version)
    files["bundle.yaml"] = files["bundle.yaml"].replace(
        b"mode: enforce", b"params: {zones: [a, b], most: 3}, mode: enforce"
    )
    return files


def test_constants_are_laid_over_and_are_part_of_what_is_active(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("zones: [c]\n")
    shelf.publish(with_params("1.0.0"))
    serving = Serving(shelf, Demands(overrides=Overrides((str(file),), (Source("--param", "most: 4"),))))
    revision = serving.ask().revision
    assert serving.taken[-1].program.params == {"zones": ["c"], "most": 4}
    assert revision
    assert "+params:" in str(revision)
    file.write_text("zones: [d]\n")
    serving.ask()
    assert serving.taken[-1].program.params == {"zones": ["d"], "most": 4}
    assert serving.taken[-1].revision != revision
    assert shelf.fetches == 1
    file.write_text("zone: [d]\n")
    status = serving.ask()
    assert (status.step, len(serving.taken)) == ("parse", 2)
    assert f"{file}:1:1: error: bundle `small` has no constant `zone`" in status.message
    assert "did you mean `zones`?" in status.message
    file.write_text("zones: [d]\n")
    assert serving.ask().step == ""
    file.unlink()
    assert serving.ask().step == "parse"


@pytest.mark.parametrize("how", ["pinned", "rolled back"])
def test_constants_change_while_something_is_held_and_what_the_source_has_comes_back(
    shelf: Shelf, tmp_path: Path, how: str
) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("zones: [c]\n")
    serving = Serving(shelf, Demands(overrides=Overrides((str(file),))))
    for version in ("1.0.0", "1.1.0"):
        shelf.publish(with_params(version))
        serving.ask()
    if how == "pinned":
        serving.follower.pin("1.0.0")
    else:
        serving.follower.rollback()
    assert (serving.ask().step, serving.version) == ("", "1.0.0")
    file.write_text("zones: [d]\n")
    assert (serving.ask().step, serving.version) == ("", "1.0.0")
    assert serving.taken[-1].program.params["zones"] == ["d"]
    file.write_text("zone: [d]\n")
    for _ in range(2):
        assert (serving.ask().step, serving.version) == ("parse", "1.0.0")
    file.write_text("zones: [e]\n")
    assert (serving.ask().step, serving.version) == ("", "1.0.0")
    assert serving.taken[-1].program.params["zones"] == ["e"]
    fetches = shelf.fetches
    serving.ask()
    assert shelf.fetches == fetches
    serving.follower.resume()
    assert (serving.ask().step, serving.version) == ("", "1.1.0")
    assert serving.taken[-1].program.params["zones"] == ["e"]


@pytest.mark.parametrize("how", ["away", "broken", "suspended"])
def test_constants_do_not_wait_for_the_source(shelf: Shelf, tmp_path: Path, how: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("zones: [c]\n")
    serving = Serving(shelf, Demands(overrides=Overrides((str(file),))))
    shelf.publish(with_params("1.0.0"))
    serving.ask()
    if how == "away":
        shelf.fails = {"look": SourceError("look", "no route to host")}
    elif how == "broken":
        shelf.publish(BROKEN)
    else:
        serving.follower.suspend()
    expected = {"away": "look", "broken": "compile", "suspended": ""}[how]
    assert serving.ask().step == expected
    file.write_text("zones: [d]\n")
    assert (serving.ask().step, serving.version) == (expected, "1.0.0")
    assert serving.taken[-1].program.params["zones"] == ["d"]
    taken = len(serving.taken)
    file.write_text("zone: [d]\n")
    assert serving.ask().step == (expected or "parse")
    file.write_text("zones: [e]\n")
    assert (serving.ask().step, len(serving.taken)) == (expected, taken + 1)
    shelf.fails = {}
    shelf.publish(with_params("1.1.0"))
    serving.follower.resume()
    assert (serving.ask().step, serving.version) == ("", "1.1.0")
    assert serving.taken[-1].program.params["zones"] == ["e"]
