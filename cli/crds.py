"""Write the CustomResourceDefinitions by which policies may be objects of a cluster.

They are made of the same tables that bundles are read by, so that `kubectl explain placementpolicy.spec` tells of every
field. docs/bundles.md says when objects are the better way.

example:
  bayplan crds | kubectl apply --server-side --filename -
"""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """`bayplan crds` takes no arguments."""
    parser.set_defaults()


def run(args: argparse.Namespace) -> int:  # noqa: ARG001
    """Print them as YAML, one document each."""
    from engine.bundle import RESOURCES, definition
    from engine.documents import as_yaml

    print("---\n".join(as_yaml(definition(resource)) for resource in RESOURCES), end="")
    return 0
