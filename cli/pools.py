"""List pools as policies see them, from files, from the Nodes of a cluster, or both.

`-o yaml` prints an Inventory document: keep it as a file for --pools and for a bundle's tests, and add to it what Nodes
can't tell.

example:
  bayplan pools --context staging
  kubectl get nodes -o json | bayplan pools --pools -
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from audit import as_yaml
from cli.errors import CommandError
from cli.inputs import add_pools, inventory, names_cluster
from cli.terminal import amount, table
from engine.pools import Pool

GIB = 1 << 30
OBSERVED = """\
# Made from Nodes: labels and taints are what all nodes of a pool carry now. Written here they are declared: keep those
# that the next node will carry, too.
"""


def add(parser: argparse.ArgumentParser) -> None:
    add_pools(parser)
    parser.add_argument("-o", "--output", choices=["text", "json", "yaml"], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    if not args.pools and not names_cluster(args):
        raise CommandError("say where the pools are: --pools FILE, or --context NAME for those of a cluster")
    found = inventory(args)
    if args.output == "json":
        print(json.dumps([pool.view for pool in found.pools], indent=2))
    elif args.output == "yaml":
        entries = [entry(pool) for pool in found.pools]
        print(OBSERVED if any(pool.observed for pool in found.pools) else "", end="")
        print(as_yaml({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": entries}), end="")
    else:
        header = ("POOL", "PROVIDER", "NODES", "READY", "CPU", "MEMORY", "GPUS", "ZONES", "CAPACITY", "TAINTS")
        if found.pools:
            print(table([_row(pool) for pool in found.pools], header))
        if found.strays:
            print(f"\n{amount(found.strays, 'node')} in no pool: see --pool-label")
    return 0


def entry(pool: Pool) -> dict[str, Any]:
    """A pool as an entry of an Inventory document; what is not known is left out."""
    said: dict[str, Any] = {
        "name": pool.name,
        "provider": pool.provider,
        "selector": dict(pool.selector),
        "labels": {key: value for key, value in pool.labels.items() if key not in pool.selector},
        "values": {key: list(values) for key, values in pool.values.items()},
        "annotations": dict(pool.annotations),
        "taints": [{key: value for key, value in taint._asdict().items() if value} for taint in pool.taints],
        "readyNodes": pool.ready_nodes if pool.ready_nodes != pool.nodes else None,
        "cpu": int(pool.cpu) if pool.cpu == int(pool.cpu) else pool.cpu,
        "memory": pool.memory,
        "gpus": pool.gpus,
        "weight": pool.weight,
        "price": pool.price,
    }
    return {key: value for key, value in said.items() if value not in (None, "", 0, {}, [])} | {"nodes": pool.nodes}


def _row(pool: Pool) -> tuple[str, ...]:
    taints = [f"{key}{'=' + value if value else ''}:{effect}" for key, value, effect in pool.taints]
    return (
        pool.name,
        pool.provider or "-",
        str(pool.nodes),
        str(pool.ready_nodes),
        f"{pool.cpu:g}" if pool.cpu else "-",
        f"{pool.memory / GIB:.0f}Gi" if pool.memory else "-",
        str(pool.gpus) if pool.gpus else "-",
        _list(pool.view["zones"]),
        _list(pool.view["capacityTypes"]),
        _list(taints),
    )


def _list(values: Any) -> str:
    return ",".join(values) or "-"
