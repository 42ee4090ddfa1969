"""audit.stored: a decision out of the store is made again exactly, where nothing that it read was left out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from audit.database import Database, UnusableError
from audit.recorder import Begin, Recorder
from audit.stored import StoredDecisions
from delivery import Rollout
from engine.bundle import Bundle, parse_bundle
from engine.decision import Decider, Decision
from engine.pods import IncomingPod
from engine.pools import Inventory
from engine.program import compile_bundle
from tests.audit.test_recorder import Counts
from tests.engine import builders
from tests.engine.builders import GOLD


def bundle_of(files: dict[str, str]) -> Bundle:
    bundle, problems = parse_bundle(files)
    assert bundle, problems
    return bundle


def one_policy(spec: str, version: str = "1.0.0") -> Bundle:
    head = "apiVersion: bayplan.dev/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\nspec:"
    inside = "\n".join(f"  {line}" for line in spec.splitlines())
    return bundle_of(
        {
            "bundle.yaml": f"{head.format('Bundle', 'small')} {{version: {version}}}",
            "policies/one.yaml": f"{head.format('PlacementPolicy', 'one')}\n{inside}",
        }
    )


def keep(
    folder: Path,
    bundle: Bundle,
    *pods: IncomingPod,
    mode: str = "enforce",
    pools: Inventory | None = None,
    begin: Begin = Database,
) -> list[Decision]:
    """Have decisions by a bundle kept in a folder."""
    inventory = builders.inventory() if pools is None else pools
    decider = Decider(compile_bundle(bundle), inventory, namespaces=("bayplan",), mode=mode)
    recorder = Recorder(folder, Counts(), begin=begin)
    recorder.bundle(bundle)
    decisions = [decider.decide(pod) for pod in pods]
    for decision in decisions:
        recorder.offer(decision, decider, 1)
    recorder.start()
    recorder.stop()
    return decisions


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_it_is_made_again_word_by_word(tmp_path: Path, mode: str) -> None:
    pods = [builders.incoming(builders.pod(metadata={"name": f"p{n}"})) for n in range(3)]
    decisions = keep(tmp_path, one_policy(GOLD), *pods, mode=mode)
    with StoredDecisions(tmp_path) as store:
        found = list(store.newest(None))
        assert [one.named.id for one in found] == ["0.1", "0.2", "0.3"]
        for one, decision in zip(found, decisions, strict=True):
            again = one.again()
            assert again == decision
            assert one.verdict(again) == "same"
        assert store.named("0.2").kept == found[1].kept
        assert [one.named.id for one in store.newest(1)] == ["0.3"]


@pytest.mark.parametrize("wanted", ["0.9", "1.1", "nobody", "0.99999999999999999999", "", "."])
def test_who_is_not_there_is_told_of(tmp_path: Path, wanted: str) -> None:
    keep(tmp_path, one_policy(GOLD), builders.incoming())
    with StoredDecisions(tmp_path) as store, pytest.raises(UnusableError, match=f"no decision `{wanted}`"):
        store.named(wanted)


def test_no_store_and_an_empty_one_are_told_of(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="holds no decisions"):
        StoredDecisions(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("condition", "verdict"),
    [
        ('pod.spec.containers.exists(c, c.env.exists(e, e.value == "secret"))', "uncertain"),
        ('pod.metadata.labels["app"] == "web"', "same"),
    ],
)
def test_where_a_policy_reads_the_environment_nothing_is_certain(tmp_path: Path, condition: str, verdict: str) -> None:
    container = {"name": "c", "image": "i", "env": [{"name": "A", "value": "secret"}]}
    incoming = builders.incoming(builders.pod(containers=[container]))
    spec = f"matchConditions: [{{name: a, expression: '{condition}'}}]\n{GOLD}"
    (decision,) = keep(tmp_path, one_policy(spec), incoming)
    assert decision.patch
    with StoredDecisions(tmp_path) as store:
        (one,) = store.newest(None)
        assert one.verdict(one.again()) == verdict


def test_of_a_rollout_each_decision_is_made_again_by_its_side(tmp_path: Path) -> None:
    both = [one_policy(GOLD), one_policy(builders.BASE, "2.0.0")]
    sides = [Decider(compile_bundle(one), builders.inventory()) for one in both]
    rollout = Rollout(sides[1], sides[0], 50)
    recorder = Recorder(tmp_path, Counts())
    decisions = [rollout.decide(builders.incoming(builders.pod(metadata={"name": f"p{n}"}))) for n in range(20)]
    for bundle in both:
        recorder.bundle(bundle)
    for decision in decisions:
        recorder.offer(decision, rollout, 1)
    recorder.start()
    recorder.stop()
    with StoredDecisions(tmp_path) as store:
        found = list(store.newest(None))
        assert {one.named.revision for one in found} == {side.revision.whole for side in sides}
        assert [one.verdict(one.again()) for one in found] == ["same"] * 20


def test_what_was_not_kept_can_not_be_made_again(tmp_path: Path) -> None:
    large = builders.incoming(builders.pod(metadata={"name": "l", "annotations": {"a": "x" * (2 << 20)}}))
    decider = builders.decider(GOLD)
    recorder = Recorder(tmp_path, Counts())
    recorder.offer(decider.decide(large), decider, 1)
    recorder.offer(decider.decide(builders.incoming()), decider, 1)
    recorder.start()
    recorder.stop()
    with StoredDecisions(tmp_path) as store:
        first, second = store.newest(None)
        assert first.kept.decision["message"]
        with pytest.raises(UnusableError, match="too large to be kept"):
            first.again()
        with pytest.raises(UnusableError, match="was not kept"):
            second.again()
        assert second.again(decider) == decider.decide(builders.incoming())


def test_what_is_damaged_is_told_and_all_else_is_read(tmp_path: Path) -> None:
    pods = [builders.incoming(builders.pod(metadata={"name": f"p{n}"})) for n in range(5)]
    for name in ("a", "b"):
        keep(tmp_path / name, one_policy(GOLD), *pods)
    (tmp_path / "b" / "decisions-0.sqlite").rename(tmp_path / "a" / "decisions-1.sqlite")
    (tmp_path / "a" / "decisions-2.sqlite").write_bytes(b"no database" * 1000)
    with closing(sqlite3.connect(tmp_path / "a" / "decisions-0.sqlite")) as connection:
        connection.execute("UPDATE decisions SET body = x'00' WHERE id IN (2, 4)")
        connection.execute("UPDATE decisions SET world = 999 WHERE id = 5")
        connection.commit()
    with StoredDecisions(tmp_path / "a") as store:
        assert [one.named.id for one in store.newest()] == ["0.1", "0.3", *(f"1.{n}" for n in range(1, 6))]
        assert store.lost == 3
        told = store.complaints
        assert "decisions-2.sqlite` can't be read: file is not a database" in told[0]
        assert told[1].startswith("2 of the decisions can't be used: what was kept is not whole")
        assert "lacks where a decision was made" in told[2]
        with pytest.raises(UnusableError, match="is not whole"):
            store.named("0.2")
        assert store.named("0.3").again()


def test_where_nothing_can_be_read_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "decisions-0.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(UnusableError, match="file is not a database"):
        StoredDecisions(tmp_path)


def test_what_a_webhook_set_aside_is_told(tmp_path: Path) -> None:
    for name in ("1f.other", "2f.other", "3f.other", "4f.other", "5f.damaged"):
        (tmp_path / f"decisions-0.{name}").write_bytes(b"")
        (tmp_path / f"decisions-0.{name}-wal").write_bytes(b"")
    with pytest.raises(UnusableError, match=r"holds no decisions.*4 files of"):
        StoredDecisions(tmp_path)
    keep(tmp_path, one_policy(GOLD), builders.incoming())
    with StoredDecisions(tmp_path) as store:
        assert len(list(store.newest())) == 1
        others, damaged = store.complaints
    assert others.startswith(f"4 files of `{tmp_path}` that another version, or something else, wrote")
    assert "`decisions-0.3f.other`, …; what is there is left out" in others
    assert damaged.startswith(
        f"1 file of `{tmp_path}` with damage, which a webhook set aside: `decisions-0.5f.damaged`"
    )


def test_one_file_of_a_store_may_be_named(tmp_path: Path) -> None:
    keep(tmp_path, one_policy(GOLD), builders.incoming())
    with StoredDecisions(tmp_path / "decisions-0.sqlite") as store:
        (one,) = store.newest()
        assert one.named.id == "0.1"
        assert list(store.newest(since=one.named.at)) == [one]
        assert list(store.newest(since=one.named.at + 1)) == []
