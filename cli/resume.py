"""Have running webhooks follow the source of a bundle again.

Nothing stays pinned, suspended or held back: what the source has is activated, if it is sound.

example:
  bayplan resume --token-file token
"""

from __future__ import annotations

import argparse

from cli.operated import add_bundle, add_replicas, order


def add(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    add_replicas(parser)


def run(args: argparse.Namespace) -> int:
    return order(args, "/resume", {})
