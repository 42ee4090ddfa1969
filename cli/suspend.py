"""Have running webhooks not ask the source of a bundle any more.

What is active serves on, until `bayplan resume`. With --state of `serve`, this outlasts a restart.

example:
  bayplan suspend --token-file token
"""

from __future__ import annotations

import argparse

from cli.operated import add_bundle, add_replicas, order


def add(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    add_replicas(parser)


def run(args: argparse.Namespace) -> int:
    return order(args, "/suspend", {})
