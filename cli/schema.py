"""Write the JSON Schema of a kind of document, as editors complete and check by it.

Without a kind, one schema for all of them is written: what a file of a bundle may hold.

example:
  bayplan schema > bayplan.json
  # yaml-language-server: $schema=bayplan.json      (the first line of a policy)
"""

from __future__ import annotations

import argparse
import json

KINDS = ("Bundle", "PlacementPolicy", "PlacementTest", "Inventory")


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of `bayplan schema`."""
    parser.add_argument("kind", nargs="?", choices=KINDS, metavar="KIND", help=f"one of {', '.join(KINDS)}")


def run(args: argparse.Namespace) -> int:
    """Print it as JSON."""
    from engine.bundle import document_schema, whole_schema
    from engine.pools import inventory_schema

    def of(kind: str) -> dict[str, object]:
        return dict(inventory_schema() if kind == "Inventory" else document_schema(kind))

    schema = of(args.kind) if args.kind else {"oneOf": [of(kind) for kind in KINDS]}
    print(json.dumps(whole_schema(args.kind or "Bayplan", schema), indent=2))
    return 0
