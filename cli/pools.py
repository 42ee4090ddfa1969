"""List pools as policies see them: of the cluster that kubectl's current context names, of another, or of files.

`-v` says of each pool what is known and from where, what is not known and where to say it, and of nodes in no pool
which labels could tell them apart. `-o yaml` prints an Inventory document: keep it as a file for --pools and for a
bundle's tests, and add to it what the cluster can't tell.

example:
  bayplan pools --context staging -v
  kubectl get nodes,nodepools -o json | bayplan pools --pools -
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from audit import as_yaml
from cli.inputs import add_pools, inventory
from cli.pool_details import details, shortened, sources
from cli.terminal import amount, table, wrapped
from engine.nodeselector import ABSENT, ANY, EXISTS
from engine.pools import POOL_FIELDS, Fact, Inventory, Pool, capacity_types, open_marker, spot_markers

GIB = 1 << 30
OBSERVED = """\
# Made from Nodes: labels and taints are what all nodes of a pool carry now. Written here they are declared: keep those
# that the next node will carry, too.
"""
UNSAID = """\
# An entry can't say all that is known; of what is left out here a node is asked. Add what you know better:
"""
HEADER = ("POOL", "PROVIDER", "NODES", "READY", "CPU", "MEMORY", "GPUS", "ZONES", "CAPACITY", "TAINTS")
REMARKS = {
    "contradiction": "Contradictions",
    "unread": "Not read, so what is said there is not known",
    "unusable": "Not used",
    "leaving": "Being deleted",
    "untold": "No pools, for no label tells their nodes apart",
    "elsewhere": "Of other clusters",
    "unsynced": "Said, but no fact",
}
"""The kinds of remarks, in the order in which they are printed."""
ONLY_VERBOSE = frozenset({"elsewhere", "unsynced"})
LOGICAL, PROVIDED_BY = "pool", "pool-provider"
"""The labels by which pools of several providers are one to those who choose among them: its name, and whose part."""


def add(parser: argparse.ArgumentParser) -> None:
    add_pools(parser)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="what is known of each pool and from where, and what not"
    )
    parser.add_argument("-o", "--output", choices=["text", "json", "yaml"], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    found = inventory(args, live=not args.pools)
    if args.output == "json":
        print(json.dumps([_json(pool, found) for pool in found.pools], indent=2))
    elif args.output == "yaml":
        print(as_document(found), end="")
    else:
        _print(found, verbose=args.verbose)
    return 0


def _print(found: Inventory, *, verbose: bool) -> None:
    if found.pools:
        print(table(list(_rows(found.pools)), HEADER))
    if verbose:
        for pool in found.pools:
            print(f"\n{details(pool)}")
    paragraphs = [*_outside(found, verbose=verbose), *_remarks(found, verbose=verbose)]
    for at, paragraph in enumerate(paragraphs):
        print(f"\n{paragraph}" if at or found.pools else paragraph)


def _rows(pools: Sequence[Pool]) -> Iterator[Sequence[str]]:
    """A line for each pool; those of one logical pool together, under a line for all of them."""
    logical = _logical_pools(pools)
    told = set()
    for pool in pools:
        name = logical_pool(pool)
        if name is None:
            yield _row(pool)
        elif name not in told:
            told.add(name)
            parts = logical[name]
            yield (
                f"{name}/",
                "",
                _sum(part.nodes for part in parts),
                _sum(part.ready_nodes for part in parts),
                *[""] * 6,
            )
            yield from ((f"  {first}", *rest) for first, *rest in map(_row, parts))


def _logical_pools(pools: Sequence[Pool]) -> Mapping[str, Sequence[Pool]]:
    found: dict[str, list[Pool]] = {}
    for pool in pools:
        name = logical_pool(pool)
        if name is not None:
            found.setdefault(name, []).append(pool)
    return found


def logical_pool(pool: Pool) -> str | None:
    """The logical pool that a pool is a part of: all its nodes say so, and whose part they are."""
    return pool.labels.get(LOGICAL) if PROVIDED_BY in pool.labels else None


def _outside(found: Inventory, *, verbose: bool) -> Iterator[str]:
    """The nodes that belong to no pool."""
    if not found.strays:
        return
    if not verbose:
        yield f"{amount(found.strays, 'node')} in no pool: see --pool-label"
        return
    lines = [f"{amount(found.strays, 'node')} in no pool: {shortened(found.stray_names, 10)}"]
    for key, values in found.stray_keys.items():
        counts = shortened([f"{value} ({count})" for value, count in sorted(values.items())], 10)
        lines.append(f"  --pool-label {key} would make of them: {counts}")
    yield "\n".join(
        lines if found.stray_keys else [*lines, "  no label that all of them carry tells any of them apart"]
    )


def _remarks(found: Inventory, *, verbose: bool) -> Iterator[str]:
    """What else is worth knowing; what is only for reading is left out unless asked for."""
    for kind, title in REMARKS.items():
        some = [str(remark) for remark in found.remarks if remark.kind == kind]
        if some and (verbose or kind not in ONLY_VERBOSE):
            yield "\n".join([f"{title}:", *(wrapped(text, "  ") for text in some)])


def _json(pool: Pool, found: Inventory) -> dict[str, Any]:
    """A pool as expressions see it, and where that is from."""
    remarks = [remark.text for remark in found.remarks if remark.about == pool.name]
    more = {"selector": dict(pool.selector), "logicalPool": logical_pool(pool), "sources": sources(pool)}
    return {**described(pool), **more, "remarks": remarks}


def _only_present(fact: Fact) -> bool:
    """Whether all nodes carry a label, and that is all that an inventory can say of it."""
    return not fact.states.absent and fact.value is None and fact.values is None and not fact.open


def described(pool: Pool) -> dict[str, Any]:
    """A pool as JSON, by the fields that expressions read; what is not known is null."""
    said: dict[str, Any] = {
        "name": pool.name,
        "provider": pool.provider,
        "labels": dict(pool.labels),
        "values": {key: list(values) for key, values in pool.values.items()},
        "annotations": dict(pool.annotations),
        "taints": [taint._asdict() for taint in pool.taints],
        **{field: _listed(pool.fact(key).values) for field, key in POOL_FIELDS.items()},
        "capacityTypes": _listed(capacity_types(pool)),
        "nodes": pool.nodes,
        "readyNodes": pool.ready_nodes,
        "cpu": None if pool.cpu is None else float(pool.cpu),
        "memory": pool.memory,
        "gpus": pool.gpus,
        "weight": pool.weight,
    }
    return said if pool.price is None else {**said, "price": float(pool.price)}


def _listed(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def as_document(found: Inventory) -> str:
    """An Inventory document, with a comment where it says more than is certain."""
    observed = any(fact.observed and not fact.open for pool in found.pools for fact in pool.facts.values())
    entries = [entry(pool) for pool in found.pools]
    document = as_yaml({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": entries})
    outside = f"# Without {amount(found.strays, 'node')} of no pool: see --pool-label\n" if found.strays else ""
    unsaid = [line for pool in found.pools for line in _unsaid(pool)]
    more = "".join([UNSAID, *(f"{line}\n" for line in unsaid)]) if unsaid else ""
    return (OBSERVED if observed else "") + more + outside + document


def _unsaid(pool: Pool) -> Iterator[str]:
    """Comments about what is known of a pool, and an entry can't say."""
    said = [
        f"`{key}` is left open, {shortened(fact.seen, 8)} now" if fact.open else f"`{key}` {fact.states}"
        for key, fact in pool.facts.items()
        if fact.open or not _is_said(key, fact)
    ]
    if pool.closed:
        said.append("labels that its NodePool does not mention are on none of its nodes")
    for each in said:
        yield f"#   {' '.join(f'{pool.name}: {each}'.split())}"  # on one line, whatever somebody called it


def _is_said(key: str, fact: Fact) -> bool:
    """Whether an entry says of a label what is known of it, be it nothing."""
    known = fact.value is not None or fact.values is not None
    return known or fact.states in (ANY, ABSENT, EXISTS) or _is_mark(key, fact)


def _is_mark(key: str, fact: Fact) -> bool:
    """Whether a label marks only some nodes, as those of spot machines: where it has a value, it may be missing."""
    return key in spot_markers() and fact.states.absent and bool(fact.states.finite)


def entry(pool: Pool) -> dict[str, Any]:
    """A pool as an entry of an Inventory document; what is not known is left out."""
    said: dict[str, Any] = {
        "name": pool.name,
        "provider": pool.provider,
        "selector": dict(pool.selector),
        "labels": {key: value for key, value in pool.labels.items() if key not in pool.selector},
        "values": {key: list(some) for key, fact in pool.facts.items() if (some := _choices(pool, key, fact))},
        "present": [key for key, fact in pool.facts.items() if _only_present(fact)],
        "absent": [key for key, fact in pool.facts.items() if fact.states == ABSENT],
        "annotations": dict(pool.annotations),
        "taints": [{key: value for key, value in taint._asdict().items() if value} for taint in pool.taints],
        "readyNodes": pool.ready_nodes if pool.ready_nodes != pool.nodes else None,
        "cpu": int(pool.cpu) if pool.cpu is not None and pool.cpu == int(pool.cpu) else pool.cpu,
        "memory": pool.memory,
        "gpus": pool.gpus,
        "weight": pool.weight or None,
        "price": pool.price,
        "nodes": pool.nodes,
    }
    return {key: value for key, value in said.items() if value not in (None, "", {}, [])}


def _choices(pool: Pool, key: str, fact: Fact) -> Sequence[str]:
    """The values that an entry lists for a label; none where it does not vary, or they are not known."""
    if _is_mark(key, fact):
        return sorted(fact.states.finite or ())
    return pool.values.get(key, ())


def _row(pool: Pool) -> tuple[str, ...]:
    taints = [f"{taint}{' (partial)' if taint.partial else ''}" for taint in pool.taints]
    return (
        pool.name,
        pool.provider or "-",
        _number(pool.nodes),
        _number(pool.ready_nodes),
        _number(pool.cpu),
        "?" if pool.memory is None else f"{pool.memory / GIB:.0f}Gi",
        _number(pool.gpus),
        _there(pool, POOL_FIELDS["zones"], pool.fact(POOL_FIELDS["zones"]).values),
        _there(pool, open_marker(pool), capacity_types(pool)),
        _list(taints),
    )


def _sum(counts: Iterable[int | None]) -> str:
    numbers = list(counts)
    return "?" if None in numbers else str(sum(number or 0 for number in numbers))


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def _there(pool: Pool, key: str, values: Sequence[str] | None) -> str:
    """What nodes may carry as a label; what they carry now, and a sign that others may come, where that is open."""
    fact = pool.fact(key)
    return f"{','.join(fact.seen)},…" if values is None and fact.open else _list(values)


def _list(values: Sequence[str] | None) -> str:
    return "?" if values is None else ",".join(values) or "-"
