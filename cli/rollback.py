"""Have running webhooks go back to the revision that was active before, or to one that is named.

What was active is held back: it does not become active again until `bayplan resume`. Whatever the source has next is
activated as always. With --state of `serve`, this outlasts a restart.

example:
  bayplan rollback --token-file token
  bayplan rollback 1.4.1 --token-file token --context production -n bayplan
"""

from __future__ import annotations

import argparse

from cli.operated import add_bundle, add_replicas, order


def add(parser: argparse.ArgumentParser) -> None:
    words = "a version, or a digest or its beginning (default: the one before)"
    parser.add_argument("revision", metavar="REVISION", nargs="?", default="", help=words)
    add_bundle(parser)
    add_replicas(parser)


def run(args: argparse.Namespace) -> int:
    return order(args, "/rollback", {"revision": args.revision})
