"""What the commands read: pools and pods, from files, standard input or a cluster."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.errors import CommandError
from engine.cluster import Inventory, inventory_from_documents
from engine.document import Manifest, parse_manifests
from engine.errors import BundleError
from engine.load import read_documents
from engine.providers import POOL_LABELS
from engine.text import Source


def add_pools(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which pools there are."""
    group = parser.add_argument_group("pools")
    group.add_argument(
        "--pools",
        metavar="FILE",
        action="append",
        default=[],
        help="an inventory, Nodes or NodePools: a file, a folder or -; may be repeated",
    )
    group.add_argument("--context", metavar="NAME", help="the Nodes of this context of the kubeconfig")
    group.add_argument("--kubeconfig", metavar="FILE", help="the kubeconfig (default: kubectl's)")
    group.add_argument(
        "--pool-label",
        metavar="KEY",
        action="append",
        default=[],
        help="a node label that tells pools apart here, before those of the known providers; may be repeated",
    )


def documents(paths: Sequence[str]) -> tuple[Manifest, ...]:
    """The objects in files, folders and, for `-`, on standard input, in the order given."""
    return tuple(one for path in paths for one in (_standard_input() if path == "-" else _file(path)))


def inventory(args: argparse.Namespace) -> Inventory:
    """The pools that the arguments of `add_pools` name; none where they name nothing."""
    found = documents(args.pools)
    if names_cluster(args):
        found += of_cluster(args, "/api/v1/nodes", "Node")
    return inventory_from_documents(found, (*args.pool_label, *POOL_LABELS))


def names_cluster(args: argparse.Namespace) -> bool:
    return bool(args.context or args.kubeconfig)


def of_cluster(args: argparse.Namespace, path: str, kind: str) -> tuple[Manifest, ...]:
    """All objects of one kind in the cluster that the arguments name."""
    from cli.cluster import listed

    source = Source(f"cluster {args.context or args.kubeconfig}", "")
    return tuple(Manifest(source, item) for item in listed(args.kubeconfig, args.context, path, kind))


def _file(path: str) -> tuple[Manifest, ...]:
    if not Path(path).exists():
        raise CommandError(f"{path}: no such file or folder")
    return read_documents(path)


def _standard_input() -> tuple[Manifest, ...]:
    found, problems = parse_manifests(Source("standard input", sys.stdin.read()))
    if problems:
        raise BundleError(problems)
    return found
