"""Make decisions again that a webhook kept, by the bundle and the pools of then, or by others. Nothing is changed.

The store is the folder that `bayplan serve --store` is given, or a copy; a log is one of its files. Without ID and
--bundle, the newest decisions are listed. With ID, one is made again, and compared word by word with what it was; with
--bundle or --pools, by these in place of those of then. Without ID, --bundle tells what the bundle would have decided
otherwise, as `diff` does: of all decisions, by revision. Where a policy reads the environment of pods, nothing is
certain: it is not kept.
Exit status: 0 it comes to the same, 1 it does not, or perhaps, 2 could not run.

example:
  bayplan replay --store /var/lib/bayplan-store
  bayplan replay --store /var/lib/bayplan-store 0.1742
  bayplan replay --store /var/lib/bayplan-store --bundle policies/gpu --pools nodes.yaml
  bayplan replay --log decisions-0-20261127T120000.000000Z.jsonl.gz --bundle policies/gpu
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

from audit import Moves, StoredDecision, StoredDecisions, UnusableError, by_admission
from cli.changes import Comparison, as_json, as_text
from cli.errors import CommandError
from cli.inputs import add_bundles, add_pools, compiled, given_inventory, loaded, together
from cli.narrative import told
from cli.stored import add_store, kept_in, time_of
from cli.terminal import GREEN, RED, amount, styled, table
from engine.analysis import Version, revised
from engine.decision import Decider, Decision, decided_alike, placed_alike
from engine.pools import Inventory

NEWEST = 20
WORLDS = 8
"""So many of the worlds in which decisions were made are remembered with the next revision in them."""
SHOWN = ("allowed", "message", "patch")
"""What is shown of a decision that is another one now."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", nargs="?", help="a decision, as it is listed, or the uid of its request")
    add_store(parser, required=True)
    parser.add_argument(
        "--newest",
        metavar="COUNT",
        type=int,
        help=f"so many are listed ({NEWEST}), or compared (all)",
    )
    add_bundles(parser, required=False)
    add_pools(parser)
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    if args.newest is not None and args.newest < 1:
        raise CommandError("--newest must be at least 1")
    with kept_in(args.store) as store:
        if args.id is not None:
            return _one(store.named(args.id), args)
        if args.bundle:
            return _all(store, args)
        return _list([*store.newest(args.newest or NEWEST, args.since)], args)


def _list(found: Sequence[StoredDecision], args: argparse.Namespace) -> int:
    found = sorted(found, key=lambda one: one.named.at)
    if args.output == "json":
        print(json.dumps([_named(one) for one in found], indent=2))
    elif found:
        rows = [(n.id, time_of(n.at), n.workload, n.outcome, _short(n.revision)) for n in (one.named for one in found)]
        print(table(rows, ("ID", "TIME", "WORKLOAD", "OUTCOME", "REVISION")))
    else:
        print("no decision is kept yet")
    return 0


def _one(stored: StoredDecision, args: argparse.Namespace) -> int:
    inventory = given_inventory(args)
    elsewhere = bool(args.bundle) or inventory is not None
    decision = stored.again(_other(stored, args, inventory) if elsewhere else None)
    verdict = stored.verdict(decision) if not elsewhere else _compared_with_then(stored, decision)
    if args.output == "json":
        data = _named(stored) | {"verdict": verdict, "readingEnvironment": list(stored.kept.blind)}
        print(json.dumps(data | {"then": stored.kept.decision, "again": decision.as_json()}, indent=2))
    else:
        print("\n".join(_told(stored, decision, verdict)))
    return int(verdict != "same")


def _compared_with_then(stored: StoredDecision, decision: Decision) -> str:
    """Whether what is decided elsewhere is for a pod's author what was decided then."""
    if stored.decider is None:
        return "same" if decision.as_json()["patch"] == stored.kept.decision.get("patch") else "other"
    then = stored.again()
    return "same" if placed_alike(then, decision) and decided_alike(then, decision) else "other"


def _told(stored: StoredDecision, decision: Decision, verdict: str) -> Iterator[str]:
    named = stored.named
    yield f"{named.id}: {named.workload}, decided at {time_of(named.at)} by {named.revision}"
    yield ""
    yield from told(decision)
    yield ""
    if verdict == "same":
        yield styled("it comes to the same", GREEN)
        return
    again = decision.as_json()
    for key in SHOWN:
        if stored.kept.decision.get(key) != again[key]:
            yield styled(f"- {key}: {json.dumps(stored.kept.decision.get(key), ensure_ascii=False)}", RED)
            yield styled(f"+ {key}: {json.dumps(again[key], ensure_ascii=False)}", GREEN)
    if verdict == "uncertain":
        policies = ", ".join(stored.kept.blind)
        yield f"whether it comes to the same is not certain: {policies} may read the environment, which is not kept"
    else:
        yield styled("it does not come to the same", RED)


def _other(stored: StoredDecision, args: argparse.Namespace, inventory: Inventory | None) -> Decider:
    """Who decides in place of those of then."""
    if args.bundle:
        return stored.judge([program for _, program in together(args)], inventory)
    if stored.decider is None or inventory is None:
        raise UnusableError(f"`{stored.named.revision}` was not kept: say another with --bundle")
    return stored.decider.renewed(inventory)


def _all(store: StoredDecisions, args: argparse.Namespace) -> int:
    """What another bundle would have decided otherwise, as `diff` tells it."""
    if len(args.bundle) != 1:
        raise CommandError("say one --bundle: it takes the place of the one of its name, or of the only one")
    inventory, bundle = given_inventory(args), loaded(args.bundle[0])
    new = Version(bundle, compiled(args.bundle[0], bundle))
    groups: dict[str, _Group] = {}
    left_out = 0
    for one in (each.as_asked for each in by_admission(store.newest(args.newest, args.since))):
        if one.decider is None or one.kept.incoming is None:
            left_out += 1
            continue
        groups.setdefault(one.named.revision, _Group(new, inventory)).add(one)
    left_out += store.lost
    comparisons = [group.told() for group in groups.values()]
    if args.output == "json":
        print(json.dumps({"comparisons": [as_json(one) for one in comparisons], "notCompared": left_out}, indent=2))
    else:
        print("\n\n".join(map(as_text, comparisons)) or "there is no decision that can be made again")
        if left_out:
            print(f"\n{amount(left_out, 'decision')} can't be made again: the pod or the bundle was not kept")
    return int(any(one.moves for one in comparisons))


class _Group:
    """The decisions of one revision, one by one, and what the next one makes of them. The webhook's own mode is left
    out, as in `diff`."""

    def __init__(self, new: Version, given: Inventory | None) -> None:
        self._new, self._given = new, given
        self._moves = Moves()
        self._pods = 0
        self._last: StoredDecision | None = None
        self._sides: dict[Decider, tuple[Decider, Decider]] = {}

    def add(self, one: StoredDecision) -> None:
        """One more decision."""
        before, after = self._deciders(one)
        self._moves.add(one.again(before), one.again(after))
        self._pods += 1
        self._last = one

    def _deciders(self, one: StoredDecision) -> tuple[Decider, Decider]:
        """Who decides it by the one revision and by the other, on its pools; a few of them are remembered."""
        assert one.decider is not None
        sides = self._sides.get(one.decider)
        if sides is None:
            place, before = self._place(one), [each.program for each in one.bundles]
            after = [*before[:place], self._new.program, *before[place + 1 :]]
            sides = (one.judge(before, self._given, mode="enforce"), one.judge(after, self._given, mode="enforce"))
            while len(self._sides) >= WORLDS:
                del self._sides[next(iter(self._sides))]
            self._sides[one.decider] = sides
        return sides

    def _place(self, one: StoredDecision) -> int:
        """Whose place the next one takes."""
        names = (i for i, each in enumerate(one.bundles) if each.bundle.name == self._new.bundle.name)
        return next(names, 0)

    def told(self) -> Comparison:
        """What becomes of all of these pods."""
        last = self._last
        assert last is not None
        its = last.bundles[self._place(last)]
        cluster = {field: value for field, value in last.settings["cluster"].items() if value}
        pools = ("the pools of then", last.inventory) if self._given is None else ("--pools", self._given)
        revisions = revised(Version(its.bundle, its.program), self._new, [pools], cluster)
        policies = [one for one in revisions.policies if one.kind != "rewritten"]
        changed = {name for one in policies for name in (one.name, one.was) if name}
        return Comparison(revisions, self._pods, self._moves.told(changed))


def _named(one: StoredDecision) -> dict[str, Any]:
    name, at, workload, outcome, revision = one.named
    return {"id": name, "time": time_of(at), "workload": workload, "outcome": outcome, "revision": revision}


def _short(revision: str) -> str:
    """Revisions with eight digits of digests, as people call them."""
    return ", ".join("+".join(_few(part) for part in one.split("+")) for one in revision.split(", "))


def _few(part: str) -> str:
    kind, colon, digits = part.partition(":")
    return f"{kind}:{digits[:8]}" if colon and kind in ("sha256", "params") else part
