"""Bundles whose signature is missing or wrong, first and later: none becomes active, and the next good one does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.delivery.bad_bundles import Serving, good, refuses_older, starts_anew, withstands

from .bad_signatures import ARCHIVES, REPOSITORIES, SignedArchive, SignedRepository, at
from .made import key, public_pem


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("name", ARCHIVES)
def test_bad_signatures_of_archives(tmp_path: Path, name: str, first: bool) -> None:
    place = SignedArchive(tmp_path)
    spoil, words = ARCHIVES[name]
    withstands(place, lambda: spoil(place), "signature", words, first=first, demands=place.demands)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("name", REPOSITORIES)
def test_bad_signatures_of_commits(tmp_path: Path, name: str, first: bool) -> None:
    place = SignedRepository(tmp_path)
    spoil, words = REPOSITORIES[name]
    withstands(place, lambda: spoil(place), "signature", words, first=first, demands=place.demands)


@pytest.mark.parametrize("make", [SignedArchive, SignedRepository])
def test_an_older_version_is_refused_once_a_newer_one_was_seen(
    tmp_path: Path, make: type[SignedArchive] | type[SignedRepository]
) -> None:
    place: SignedArchive | SignedRepository = make(tmp_path)
    refuses_older(place, place.demands)


@pytest.mark.parametrize("make", [SignedArchive, SignedRepository])
def test_so_it_is_for_who_starts_anew_and_has_nothing_but_the_memory_of_it(
    tmp_path: Path, make: type[SignedArchive] | type[SignedRepository]
) -> None:
    place: SignedArchive | SignedRepository = make(tmp_path)
    starts_anew(place, tmp_path / "state", place.demands)


def test_a_source_that_is_moved_back_to_what_was_rolled_back_to_is_sound(tmp_path: Path) -> None:
    """It serves already: a version that is older than the newest one seen is no return to it."""
    place = SignedArchive(tmp_path)
    serving = Serving(place.source, place.demands)
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        place.publish(good(number))
        assert serving.ask().step == ""
    serving.follower.rollback()
    place.publish(good("1.1.0"))
    assert (serving.ask().step, serving.version, len(serving.taken)) == ("", "1.1.0", 4)
    place.publish(good("1.0.0"))
    assert (serving.ask().step, serving.version) == ("signature", "1.1.0")
    place.spoil(good("1.1.0"), issued=at(days=-2), expires=at(days=-1))
    assert "was good until" in serving.ask().message


def test_keys_that_get_lost_stop_what_is_new_and_nothing_else(tmp_path: Path) -> None:
    place = SignedArchive(tmp_path)
    serving = Serving(place.source, place.demands)
    place.publish(good("1.0.0"))
    assert serving.ask().step == ""
    trusted = (place.keys / "release.pub").read_bytes()
    (place.keys / "release.pub").unlink()
    assert (serving.ask().step, serving.version) == ("", "1.0.0")
    place.publish(good("1.1.0"))
    assert (serving.ask().step, serving.version) == ("signature", "1.0.0")
    (place.keys / "release.pub").write_bytes(trusted)
    assert (serving.ask().step, serving.version) == ("", "1.1.0")


def test_what_expires_while_it_is_active_stays_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing new comes: perhaps there is nothing, perhaps somebody on the way sees to it."""
    place = SignedArchive(tmp_path)
    serving = Serving(place.source, place.demands)
    place.spoil(good("1.0.0"), expires=at(hours=1))
    assert serving.ask().step == ""
    now = time.time()
    monkeypatch.setattr("delivery.follower.time.time", lambda: now + 3_700)
    status = serving.ask()
    assert (status.step, serving.version) == ("signature", "1.0.0")
    assert now < status.expires < now + 3_700
    assert status.as_json()["expires"].endswith("+00:00")
    assert "has nothing newer: sign it anew, or look whether updates are held back" in status.message
    assert serving.failures("signature") == 0, "nothing failed: it is only told"
    place.spoil(good("1.0.0"), expires=at(days=1))
    assert (serving.ask().step, serving.version) == ("", "1.0.0")


def test_keys_rotate_while_it_runs(tmp_path: Path) -> None:
    """As the page says: both keys, then signed by the new one, then the old one is taken away."""
    place = SignedArchive(tmp_path)
    serving = Serving(place.source, place.demands)
    place.publish(good("1.0.0"))
    assert serving.ask().step == ""
    (place.keys / "new.pub").write_bytes(public_pem(key("ed25519", "new.pub").key))
    place.spoil(good("1.0.0"), by="new.pub")
    assert serving.ask().step == ""
    (place.keys / "release.pub").unlink()
    place.spoil(good("1.1.0"), by="new.pub")
    assert (serving.ask().step, serving.version) == ("", "1.1.0")
    place.publish(good("1.2.0"))
    assert (serving.ask().step, serving.version) == ("signature", "1.1.0")
