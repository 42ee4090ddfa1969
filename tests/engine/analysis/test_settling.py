"""engine.analysis.settling: how often expressions are put to pools is counted before it is done."""

from __future__ import annotations

import json

import pytest

from engine.analysis import settling
from engine.analysis.examination import inventories_of
from engine.analysis.settling import deciders
from engine.decision import Decider
from tests.engine.analysis.bundles import bundle_of, examined
from tests.engine.analysis.test_hostile import pools
from tests.engine.builders import incoming

NAMED = [f'pool.name.startsWith("x{i}")' for i in range(3)]
TIERS = [f'pool.labels["tier"] != "t{i}"' for i in range(3)]
ON_PODS = ['pod.metadata.name == "a" || pool.name.startsWith(pod.metadata.namespace)']


def put(expressions: list[str], count: int, least: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether `least` is how often these are put to pools, and no less."""
    specs = {f"p{i}": json.dumps({"require": [{"expression": text}]}) for i, text in enumerate(expressions)}
    bundle, program = bundle_of(specs, {"pools/p.yaml": pools(count, taints=0)})
    inventories = inventories_of(bundle)
    monkeypatch.setattr(settling, "MAX_PUT", least)
    enough = deciders(program, inventories, None)
    monkeypatch.setattr(settling, "MAX_PUT", least - 1)
    return enough is not None and deciders(program, inventories, None) is None


def test_pools_that_an_expression_can_tell_apart_count_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """And to find out which these are counts once for all that see the same of a pool."""
    assert put(NAMED, 10, 10 + 3 * 10, monkeypatch)
    assert put(TIERS, 10, 10 + 3 * 2, monkeypatch)  # gold, base
    assert put([*NAMED, *TIERS], 10, 20 + 3 * 10 + 3 * 2, monkeypatch)


def test_what_reads_the_pod_is_paid_for_by_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, program = bundle_of(
        {"p": json.dumps({"require": [{"expression": ON_PODS[0]}]})}, {"pools/p.yaml": pools(9)}
    )
    monkeypatch.setattr(settling, "MAX_PUT", 0)
    assert deciders(program, inventories_of(bundle), None) is not None


def test_a_decider_on_pools_is_the_one_that_it_would_be() -> None:
    specs = {f"p{i}": json.dumps({"require": [{"expression": text}]}) for i, text in enumerate([*NAMED, *TIERS])}
    bundle, program = bundle_of(specs, {"pools/p.yaml": pools(5)})
    ((name, inventory),) = inventories_of(bundle)
    found = deciders(program, [(name, inventory)], None)
    assert found is not None
    assert found[0][1].decide(incoming()) == Decider(program, inventory).decide(incoming())


def test_what_was_not_looked_at_is_said_of_each_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "MAX_PUT", 20)
    specs = {f"p{i}": json.dumps({"require": [{"expression": text}]}) for i, text in enumerate(NAMED)}
    found = examined(specs, {"pools/p.yaml": pools(10)})
    assert found.cut_short == {"p0", "p1", "p2"}
    words = "what it does on pools was not looked at, for these are too many: that would take too long"
    assert found.undecided == dict.fromkeys(("p0", "p1", "p2"), words)
