"""Make decisions again that a webhook kept, by the bundle and the pools of then, or by others. Nothing is changed.

The store is the folder that `bayplan serve --store` is given, or a copy of it. Without ID and --bundle, the newest
decisions are listed. With ID, one is made again, and compared word by word with what it was; with --bundle or --pools,
by these in place of those of then. Without ID, --bundle tells what the bundle would have decided otherwise, as `diff`
does: of all decisions, by revision. Where a policy reads the environment of pods, nothing is certain: it is not kept.
Exit status: 0 it comes to the same, 1 it does not, or perhaps, 2 could not run.

example:
  bayplan replay --store /var/lib/bayplan-store
  bayplan replay --store /var/lib/bayplan-store 0.1742
  bayplan replay --store /var/lib/bayplan-store --bundle policies/gpu --pools nodes.yaml
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from audit import Move, StoredDecision, StoredDecisions, UnusableError, moved
from cli.changes import Comparison, as_json, as_text
from cli.errors import CommandError
from cli.inputs import add_bundles, add_pools, compiled, given_inventory, loaded
from cli.narrative import told
from cli.terminal import GREEN, RED, amount, styled, table
from engine.analysis import Version, revised
from engine.decision import Decider, Decision, decided_alike, placed_alike
from engine.pools import Inventory
from engine.program import Program

NEWEST = 20
SHOWN = ("allowed", "message", "patch")
"""What is shown of a decision that is another one now."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", nargs="?", help="a decision, as it is listed, or the uid of its request")
    parser.add_argument("--store", metavar="DIR", required=True, type=Path, help="where decisions are kept")
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
    try:
        with StoredDecisions(args.store) as store:
            if args.id is not None:
                return _one(store.named(args.id), args)
            if args.bundle:
                return _all(list(store.newest(args.newest)), args)
            return _list([*store.newest(args.newest or NEWEST)], args)
    except UnusableError as error:
        raise CommandError(str(error)) from error


def _list(found: Sequence[StoredDecision], args: argparse.Namespace) -> int:
    found = sorted(found, key=lambda one: one.named.at)
    if args.output == "json":
        print(json.dumps([_named(one) for one in found], indent=2))
    elif found:
        rows = [(n.id, _time(n.at), n.workload, n.outcome, _short(n.revision)) for n in (one.named for one in found)]
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
    yield f"{stored.named.id}: {stored.named.workload}, decided at {_time(stored.named.at)} by {stored.named.revision}"
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
        return stored.judge([compiled(place, loaded(place)) for place in args.bundle], inventory)
    if stored.decider is None or inventory is None:
        raise UnusableError(f"`{stored.named.revision}` was not kept: say another with --bundle")
    return stored.decider.renewed(inventory)


def _all(found: Sequence[StoredDecision], args: argparse.Namespace) -> int:
    """What another bundle would have decided otherwise, as `diff` tells it."""
    if len(args.bundle) != 1:
        raise CommandError("say one --bundle: it takes the place of the one of its name, or of the only one")
    inventory, bundle = given_inventory(args), loaded(args.bundle[0])
    new = Version(bundle, compiled(args.bundle[0], bundle))
    groups: dict[str, list[StoredDecision]] = {}
    for one in found:
        groups.setdefault(one.named.revision, []).append(one)
    comparisons, left_out = [], 0
    for group in groups.values():
        usable = [one for one in group if one.decider is not None and one.kept.incoming is not None]
        left_out += len(group) - len(usable)
        if usable:
            comparisons.append(_compared(usable, new, inventory))
    if args.output == "json":
        print(json.dumps({"comparisons": [as_json(one) for one in comparisons], "notCompared": left_out}, indent=2))
    else:
        print("\n\n".join(map(as_text, comparisons)) or "there is no decision that can be made again")
        if left_out:
            print(f"\n{amount(left_out, 'decision')} can't be made again: the pod or the bundle was not kept")
    return int(any(one.moves for one in comparisons))


def _compared(group: Sequence[StoredDecision], new: Version, given: Inventory | None) -> Comparison:
    """What becomes of pods that one revision decided about. The webhook's own mode is left out, as in `diff`."""
    last = group[-1]
    place = next((i for i, one in enumerate(last.bundles) if one.bundle.name == new.bundle.name), 0)
    old = Version(last.bundles[place].bundle, last.bundles[place].program)
    cluster = {field: value for field, value in last.settings["cluster"].items() if value}
    pools = ("the pools of then", last.inventory) if given is None else ("--pools", given)
    revisions = revised(old, new, [pools], cluster)
    changed = {name for one in revisions.policies for name in (one.name, one.was) if name and one.kind != "rewritten"}
    return Comparison(revisions, len(group), _moves(group, place, new.program, given, changed))


def _moves(
    group: Sequence[StoredDecision], place: int, new: Program, given: Inventory | None, changed: set[str]
) -> Sequence[Move]:
    deciders: dict[int, tuple[Decider, Decider]] = {}

    def pair(one: StoredDecision) -> tuple[Decision, Decision]:
        sides = deciders.get(id(one.decider))
        if sides is None:
            before = [each.program for each in one.bundles]
            after = [*before[:place], new, *before[place + 1 :]]
            sides = (one.judge(before, given, mode="enforce"), one.judge(after, given, mode="enforce"))
            deciders[id(one.decider)] = sides
        return one.again(sides[0]), one.again(sides[1])

    return moved(map(pair, group), changed)


def _named(one: StoredDecision) -> dict[str, Any]:
    name, at, workload, outcome, revision = one.named
    return {"id": name, "time": _time(at), "workload": workload, "outcome": outcome, "revision": revision}


def _short(revision: str) -> str:
    """Revisions with eight digits of digests, as people call them."""
    return ", ".join("+".join(_few(part) for part in one.split("+")) for one in revision.split(", "))


def _few(part: str) -> str:
    kind, colon, digits = part.partition(":")
    return f"{kind}:{digits[:8]}" if colon and kind in ("sha256", "params") else part


def _time(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
