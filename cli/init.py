"""Make a small bundle that passes `bayplan check` and `bayplan test`, with comments that say what each part is for.

With --context or --pools the policy is about what tells the pools there apart, or the nodes if there are no pools, and
the pools become an inventory of the bundle, which its test uses. Without, it is an example that moves pods on clusters
like it, and nowhere refuses one. Only pods with the label `tier: critical` are meant.

The bundle's name is the folder's. Nothing that exists is overwritten.

example:
  bayplan init policies/my-team --context staging
  bayplan test policies/my-team
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from cli.errors import CommandError
from cli.first_bundle import Start, example, first_draft, start_from
from cli.inputs import add_pools, names_cluster, read_inventory
from engine.documents import RequestError
from engine.pools import Inventory

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="FOLDER", type=Path, help="the folder to make; its name becomes the bundle's")
    add_pools(parser)


def run(args: argparse.Namespace) -> int:
    folder: Path = args.bundle
    name = folder.resolve().name
    if not NAME.fullmatch(name):
        raise CommandError(f"`{name}` can't be a bundle's name: lower case letters, digits and `-`, 63 at most")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(f"`{folder}` exists already, and nothing is overwritten")
    found = _found(args)
    _remark(found)
    start = _start(found)
    words = " ".join(_pools(args))
    draft = first_draft(name, start)
    reading = f"--pools {folder}/{start.file}" if start.found.pools else words
    for path, text in draft.files(f"--bundle {folder} {reading} {folder}/examples/pod.yaml").items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"wrote {target}")
    print(f"\n{draft.description}; they are those with the label `tier: critical`.")
    print(f"now: bayplan check {folder}{words and ' ' + words} && bayplan test {folder}")
    return 0


def _found(args: argparse.Namespace) -> Inventory | None:
    """The pools that the arguments name, if they name any."""
    if not (args.pools or names_cluster(args)):
        return None
    try:
        return read_inventory(args)
    except (CommandError, RequestError) as error:
        raise CommandError(
            f"{error}; without --context and --pools the bundle is an example for any cluster"
        ) from error


def _start(found: Inventory | None) -> Start:
    if found is None or not (found.pools or found.strays):
        return example()
    return start_from(found)


def _remark(found: Inventory | None) -> None:
    """Say what of the cluster is not in the bundle."""
    if found is None:
        return
    for remark in found.remarks:
        if remark.kind in ("unread", "unusable"):
            print(f"bayplan: {remark}", file=sys.stderr)
    if not found.pools and not found.strays:
        print("bayplan: there is no node and no pool, so this is an example, not about this cluster", file=sys.stderr)


def _pools(args: argparse.Namespace) -> Iterator[str]:
    """The arguments that say where the pools are, as they were given."""
    for path in args.pools:
        yield f"--pools {shlex.quote(path)}"
    for flag, value in (("--kubeconfig", args.kubeconfig), ("--context", args.context)):
        if value:
            yield f"{flag} {shlex.quote(value)}"
    if args.in_cluster != "no":
        yield f"--in-cluster {args.in_cluster}"
    for key in args.pool_label:
        yield f"--pool-label {shlex.quote(key)}"
