"""Say which revisions running webhooks serve, and what is wrong with their bundles.

Without --url, all running pods of a Deployment are asked, through the API server. The token is needed, for what is told
names policies.

Exit status: 0 all is well and the same everywhere, 1 something failed or replicas differ, 2 could not ask.

example:
  bayplan status --token-file token
  bayplan status --url http://127.0.0.1:8080 --token-file token -o json
"""

from __future__ import annotations

import argparse

from cli.operated import add_replicas, asked, show


def add(parser: argparse.ArgumentParser) -> None:
    add_replicas(parser)


def run(args: argparse.Namespace) -> int:
    return show(asked(args, "GET", "/status", {}), args.output)
