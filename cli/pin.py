"""Have running webhooks stay at the active revision, or go to one that is named and stay there.

Whatever the source has, until `bayplan resume`. With --state of `serve`, this outlasts a restart.

example:
  bayplan pin --token-file token
  bayplan pin 1.4.1 --token-file token --url http://127.0.0.1:8080
"""

from __future__ import annotations

import argparse

from cli.operated import add_bundle, add_replicas, order


def add(parser: argparse.ArgumentParser) -> None:
    words = "a version, or a digest or its beginning (default: the active one)"
    parser.add_argument("revision", metavar="REVISION", nargs="?", default="", help=words)
    add_bundle(parser)
    add_replicas(parser)


def run(args: argparse.Namespace) -> int:
    return order(args, "/pin", {"revision": args.revision})
