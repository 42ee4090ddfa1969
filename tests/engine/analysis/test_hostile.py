"""Whatever a bundle holds, examining it costs at most a budget, and what was not looked for is said.

Work is counted in calls of functions, of Python's and of C's alike, for time changes from machine to machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from engine.analysis.conflicts import PAIRING, TRYING
from engine.analysis.examination import POD_SHARE, Examination, examine, inventories_of
from engine.analysis.ledger import SHARE, SHARES, WHOLE, Ledger
from engine.bundle import parse_bundle
from engine.language import Budget, BudgetExceeded
from engine.program import CompiledPolicy, compile_bundle
from engine.program.compile_cost import MAX_WORK
from tests.engine.analysis.bundles import GOLD, bundle_of, examined, files_of
from tests.engine.decision.test_hostile import counted, processor_seconds

NIGHTLY = "BAYPLAN_NIGHTLY" in os.environ
BUNDLES = 500 if NIGHTLY else 6
COUNTED = 40
"""Of so many of the dearest, calls are counted: that takes five times as long as examining them."""
ALL = 16 * SHARE + 2 * POD_SHARE + PAIRING + TRYING
CALLS = 4 * ALL
Spec = dict[str, Any]


def pools(count: int, taints: int = 1, values: int = 2) -> str:
    entries = [
        {
            "name": f"p{i}",
            "selector": {"pool": f"p{i}"},
            "labels": {"tier": ("gold", "base")[i % 2], "k0": f"a{i}"},
            "values": {"topology.kubernetes.io/zone": [f"z{j}" for j in range(values)]},
            "taints": [{"key": f"n{i}-{j}", "effect": "NoSchedule"} for j in range(taints)],
        }
        for i in range(count)
    ]
    return json.dumps({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": entries})


def any_of(count: int, i: int, of: str = 'node.labels["k{i}-{j}"] == "a{j}"') -> str:
    return " || ".join(of.replace("{i}", str(i)).replace("{j}", str(j)) for j in range(count))


KINDS: tuple[Callable[[int, int], Spec], ...] = (
    lambda n, i: {"require": [{"expression": any_of(n % 16 + 1, i)}]},
    lambda n, i: {"require": [{"expression": any_of(n % 8 + 1, i) + f' || pod.metadata.name == "x{i}"'}]},
    lambda n, _: {"fallback": [{"expression": f'node.labels["k{j}"] == "a{j}"'} for j in range(n % 60 + 1)]},
    lambda n, i: {
        "prefer": [{"expression": any_of(2, i + j), "weight": 5} for j in range(n % 30 + 1)],
    },
    lambda n, i: {
        "require": [{"expression": 'pool.labels["tier"] == "gold"'}],
        "tolerate": [{"expression": f'taint.key.matches("^n{i}(a|b)*{j}$")'} for j in range(n % 20 + 1)],
    },
    lambda n, i: {
        "failurePolicy": "Ignore",
        "require": [{"expression": f'node.zone == "z{i}"'}],
        "deny": [{"expression": any_of(n % 20 + 1, i, 'pod.spec.containers[{j}].args[{i}] == "1"')}],
    },
    lambda n, i: {"require": [{"expression": any_of(n % 20 + 1, i, 'pod.metadata.annotations["x{i}-{j}"] == "1"')}]},
)


def hostile(dice: Random) -> dict[str, str]:
    """The files of a bundle: some kinds of policies, many of each."""
    kinds = dice.sample(KINDS, dice.choice((1, 2, 3)))
    specs: dict[str, str] = {}
    for i in range(dice.choice((5, 10, 30))):
        spec = dice.choice(kinds)(dice.randrange(1_000), i)
        if dice.random() < 0.5:
            spec["podSelector"] = {"matchLabels": {dice.choice(("app", f"app{i}")): f"a{i % 3}"}}
        specs[f"policy-{i:03}"] = json.dumps(spec)
    inventory = pools(dice.choice((1, 3, 40)), dice.choice((0, 1, 8)), dice.choice((1, 5)))
    return files_of(specs, {"pools/p.yaml": inventory})


@pytest.mark.timeout(3600 if NIGHTLY else 300)
def test_examining_hostile_bundles_stays_within_the_budget() -> None:
    """Processor time is measured once for each bundle; calls are counted of those that took most."""
    took: dict[int, float] = {}
    for seed in range(BUNDLES):
        took[seed] = processor_seconds(lambda seed=seed: bundle_examined(seed)())  # type: ignore[misc]
    dearest = sorted(took, key=lambda seed: -took[seed])
    print(f"{BUNDLES} bundles, the dearest first: {', '.join(f'{took[seed]:.1f}' for seed in dearest[:20])} s")
    for seed in dearest[:COUNTED]:
        assert counted(bundle_examined(seed)) <= CALLS, seed


def bundle_examined(seed: int) -> Callable[[], object]:
    """What examines a hostile bundle that has been compiled."""
    bundle, problems = parse_bundle(hostile(Random(seed)))
    assert bundle is not None, problems
    program, inventories = compile_bundle(bundle), inventories_of(bundle)
    return lambda: examine(bundle, program, inventories)


def alternatives(count: int) -> Examination:
    one_line = {f"p{i}": json.dumps({"require": [{"expression": any_of(8, i)}]}) for i in range(count)}
    return examined(one_line, {"pools/p.yaml": pools(3)})


def test_what_was_not_looked_for_is_said_of_each_policy() -> None:
    found = alternatives(10)
    assert found.cut_short
    assert found.cut_short <= found.undecided.keys()
    assert all("that would take too long" in found.undecided[name] for name in found.cut_short)
    assert found == alternatives(10)  # on whatever machine


def test_an_ordinary_bundle_is_examined_in_full() -> None:
    assert not examined({f"p{i}": GOLD for i in range(20)}).cut_short


def test_one_policy_does_not_take_what_others_need() -> None:
    _, program = bundle_of(dict.fromkeys(("a", "b", "c"), GOLD))
    ledger, looked = Ledger(), list[str]()

    def look(policy: CompiledPolicy) -> list[str]:
        looked.append(policy.name)
        ledger.meter.spend(10**9 if policy.name == "a" else 10)
        return [policy.name]

    assert ledger.each("it was not looked at", program.policies, look) == ["b", "c"]
    assert looked == ["a", "b", "c"]
    assert ledger.by_policy == {"a": "it was not looked at: that would take too long"}


def test_what_was_found_before_the_budget_was_spent_counts() -> None:
    _, program = bundle_of({"a": GOLD})
    ledger = Ledger()

    def look(policy: CompiledPolicy) -> Any:
        yield policy.name
        ledger.meter.spend(10**9)

    assert ledger.each("not in full", program.policies, look) == ["a"]
    assert ledger.cut_short == {"a"}


def test_what_compiling_took_is_not_there_for_examining() -> None:
    _, program = bundle_of({"a": GOLD})
    assert 0 < program.work < 10_000

    def left(spent: int) -> list[int | None]:
        ledger = Ledger(spent)
        return [
            *ledger.each("", program.policies, lambda _: [ledger.meter.left]),
            ledger.all(lambda: ledger.meter.left),
        ]

    assert left(program.work) == left(0) == [SHARE, SHARE]
    assert left(WHOLE - SHARES // 2) == [SHARE // 2, SHARE // 2]
    assert left(2 * WHOLE) == [0, 0]
    assert MAX_WORK < WHOLE
    assert ALL <= SHARES


def test_a_search_past_its_share_finds_nothing() -> None:
    ledger = Ledger()

    def look() -> str:
        ledger.meter.spend(SHARE + 1)
        return "found"

    assert ledger.all(look) is None
    with pytest.raises(BudgetExceeded):
        Budget(0).spend(1)
