"""`bayplan audit --store`: the admissions that a webhook kept, as findings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from audit import Admissions, Selection, StoredDecision, Summary, by_admission, in_order
from cli.inputs import apart, compiled, given_inventory, loaded
from cli.stored import kept_in
from cli.terminal import amount, progress
from engine.decision import Decider
from engine.pools import Inventory
from engine.program import Program
from telemetry import now

WORLDS = 8
"""So many of the worlds in which decisions were made are remembered with the next bundles in them."""


def summary_of_store(args: argparse.Namespace, selection: Selection) -> Summary:
    """What the decisions of a store come to: as they were made; or, where the arguments name bundles or pools, by these
    in place of those of then."""
    bundles = [loaded(place) for place in args.bundle or ()]
    apart(args.bundle or (), bundles)
    programs = [compiled(place, bundle) for place, bundle in zip(args.bundle or (), bundles, strict=True)]
    inventory = given_inventory(args)
    if programs or inventory is not None:
        admissions, judged = Admissions(judging(programs, inventory), time=now(), selection=selection), True
    else:
        admissions, judged = Admissions(selection=selection), False
    twice = 0
    with kept_in(args.store) as store, progress() as tell:
        for number, one in enumerate(by_admission(store.newest(since=args.since)), 1):
            admissions.add(one.as_asked if judged else one.told)
            twice += one.first is not None
            tell(f"{number:,} admissions read")
    if twice:
        told = amount(twice, "pod was", "pods were")
        print(
            f"bayplan: {told} asked about twice, for another webhook made a change in between, and counted once",
            file=sys.stderr,
        )
    _tell(admissions)
    return Summary.of(in_order(row.told() for row in admissions.rows()))


def judging(programs: Sequence[Program], inventory: Inventory | None) -> Callable[[StoredDecision], Decider | None]:
    """Who decides in place of those of then: bundles take the places of those of their names, or of all that decided
    where none is called so."""
    remembered: dict[Decider, Decider] = {}

    def judge(one: StoredDecision) -> Decider | None:
        if one.decider is None:
            return one.judge(programs, inventory, mode="enforce") if programs else None
        known = remembered.get(one.decider)
        if known is None:
            while len(remembered) >= WORLDS:
                del remembered[next(iter(remembered))]
            mode = {"mode": "enforce"} if programs else {}
            known = remembered[one.decider] = one.judge(_instead(one, programs), inventory, **mode)
        return known

    return judge


def _instead(one: StoredDecision, programs: Sequence[Program]) -> list[Program]:
    names = {program.revision.name for program in programs}
    others = [each.program for each in one.bundles if each.bundle.name not in names]
    return [*programs, *(others if len(others) < len(one.bundles) or not programs else ())]


def _tell(admissions: Admissions) -> None:
    """What is not in the findings, on standard error."""
    for why, number in sorted(admissions.left_out.items()):
        print(f"bayplan: {amount(number, 'decision')} {why}, and left out", file=sys.stderr)
    if admissions.otherwise:
        told = amount(admissions.otherwise, "kind of decision comes", "kinds of decisions come")
        print(f"bayplan: {told} to something else when made again, which is what is told here", file=sys.stderr)
    if admissions.unsure:
        names = ", ".join(sorted(admissions.unsure))
        told = "may read the environment of pods, which is not kept: what is said of them is not certain"
        print(f"bayplan: {names} {told}", file=sys.stderr)
