"""cli.served: what is said of each of several bundles, and which of it can't be."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from cli.served import add_bundles, served_bundles
from tests.cli.conftest import Bayplan
from webhook import BundleOptions


def served(*words: str) -> tuple[BundleOptions, ...]:
    parser = argparse.ArgumentParser()
    add_bundles(parser)
    parser.add_argument("--state", default="state")
    return served_bundles(parser.parse_args(list(words)))


def test_of_one_bundle_it_does_not_matter_where_a_flag_stands() -> None:
    (before,) = served("--owns", "a-", "--poll", "5", "--bundle", "oci://host/a:1", "--allow-older")
    (behind,) = served("--bundle", "oci://host/a:1", "--owns", "a-", "--poll", "5", "--allow-older")
    assert before == behind
    assert (before.owns, before.poll_seconds, before.timeout_seconds) == (("a-",), 5.0, 60.0)
    assert before.trusted is not None
    assert before.trusted.allow_older


def test_of_several_what_stands_behind_one_is_about_that_one() -> None:
    one, two = served(
        *("--poll", "5", "--key", "all.pub"),
        *("--bundle", "oci://host/a:1", "--owns", "a-", "--owns", "aa-", "--timeout", "7", "--refuse-conflicts"),
        *("--bundle", "oci://host/b:1", "--owns", "b-", "--poll", "9", "--key", "b.pub", "--shadow", "oci://host/b:2"),
    )
    assert (one.owns, two.owns) == (("a-", "aa-"), ("b-",))
    assert (one.poll_seconds, two.poll_seconds) == (5.0, 9.0)
    assert (one.timeout_seconds, two.timeout_seconds) == (7.0, 60.0)
    assert (one.refuse_conflicts, two.refuse_conflicts) == (True, False)
    assert (one.shadow, two.shadow) == (None, "oci://host/b:2")
    assert one.trusted is not None
    assert two.trusted is not None
    assert (one.trusted.keys, two.trusted.keys) == (("all.pub",), ("all.pub", "b.pub"))


def test_identities_are_said_as_keys_are() -> None:
    one, two = served(
        *("--trusted-root", "root.json", "--bundle", "oci://host/a:1", "--owns", "a-", "--identities", "who"),
        *("--identities", "whom", "--bundle", "oci://host/b:1", "--owns", "b-", "--key", "b.pub"),
    )
    assert one.trusted is not None
    assert two.trusted is not None
    assert (one.trusted.identities, one.trusted.roots) == (("who", "whom"), ("root.json",))
    assert (two.trusted.identities, two.trusted.keys) == (None, ("b.pub",))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--bundle A --bundle B --owns b-", "say with --owns how names of policies of bundle `A` begin"),
        ("--bundle A --owns a- --bundle B --owns a-b-", "--owns `a-` of bundle `A` and --owns `a-b-` of bundle `B`"),
        ("--owns a- --bundle A --bundle B", "--owns `a-` of bundle `A` and --owns `a-` of bundle `B` overlap"),
        ("--bundle A --owns a- --bundle A --owns b-", "bundle `A` is given twice"),
        ("--bundle A --previous B", "--previous goes with --rollout-bundle PERCENT"),
        ("--bundle A --rollout-bundle 25", "say with --previous SOURCE which bundle decides about the other workloads"),
        ("--bundle A --previous B --rollout-bundle 101", "0 to 100"),
        ("--bundle A --previous A --rollout-bundle 25", "--previous `A` is given twice"),
        ("--bundle A --previous none --rollout-bundle 25", "none"),
        ("--bundle A --owns a- --bundle B --owns b- --poll 0", "--poll is a number of seconds above 0"),
        ("--bundle A --identities who", "--identities: say with --trusted-root FILE whose certificates are believed"),
        ("--bundle A --trusted-root root", "--trusted-root: say with --identities FILE who is trusted"),
        (
            "--trusted-root root --bundle A --owns a- --identities who --bundle B --owns b-",
            "--trusted-root: say with --identities FILE who is trusted",
        ),
        ("--bundle A --owns a- --bundle B --owns b- --params none.yaml", "--params `none.yaml` is no file"),
    ],
)
def test_what_can_not_be_is_told_before_anything_is_served(
    bayplan: Bayplan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "AB":
        (tmp_path / name).mkdir()
    ran = bayplan("serve", *words.split(), "--dev")
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
