"""delivery.trusted: keys are read at each use; who trusts somebody takes nothing that nobody signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from delivery.transaction import Demands
from delivery.trusted import Trusted
from tests.delivery.bad_bundles import Serving, good
from tests.delivery.shelf import Shelf


@pytest.mark.parametrize(
    ("trusted", "words"),
    [
        (Trusted(required=True), "a folder can't carry one"),
        (Trusted(keys=("keys",)), "a signature is required"),
        (Trusted(name="large"), "the bundle is `small`, and `large` is to be served from here"),
    ],
)
def test_what_nobody_vouches_for_does_not_serve(trusted: Trusted, words: str) -> None:
    shelf = Shelf()
    shelf.publish(good("1.0.0"))
    status = Serving(shelf, Demands(vouch=trusted.vouch)).ask()
    assert status.step == "signature"
    assert words in status.message
    assert status.revision is None


def test_what_need_not_be_signed_is_served_and_told_of(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.publish(good("1.0.0"))
    status = Serving(shelf, Demands(vouch=Trusted(keys=(str(tmp_path),), required=False).vouch)).ask()
    assert (status.step, status.vouched) == ("", "small 1.0.0 is not signed")
