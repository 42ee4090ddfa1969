"""Say where pods would go and why: the sentence, each policy's part in it, the pools, the diff of the pod, the patch.

`-v` says of each pool that is out which requirement rules it out, --why-not of a pool that you name.
Nothing is changed anywhere. PODS are files, folders or - for standard input; in them Pods, workloads with a pod
template, Lists and several documents in any mix. What the API server does before it calls a webhook is done first.
Exit status: 0 also when a pod is refused, 2 could not run.

example:
  bayplan explain --bundle policies/gpu --pools policies/gpu/pools/gke.yaml policies/gpu/examples/training.yaml
  kubectl get deployment web -o yaml | bayplan explain --bundle policies/gpu --context staging -
"""

from __future__ import annotations

import argparse
import json

from cli.errors import CommandError
from cli.inputs import add_bundles, add_cluster, add_namespaces, add_pools, decider, manifests, namespaces
from cli.narrative import told
from cli.pool_reasons import PoolReasons
from engine.pods import pods_from_documents


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pods", metavar="PODS", nargs="+", help="files, folders, or - for standard input")
    add_bundles(parser)
    add_namespaces(parser)
    add_pools(parser)
    add_cluster(parser)
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="how to print (text)")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="of each pool that is out, why (in JSON as `whyNot`)"
    )
    parser.add_argument(
        "--why-not",
        metavar="POOL",
        action="append",
        default=[],
        help="why the pod may not go to this pool (in JSON as `whyNot`); may be repeated",
    )
    parser.add_argument(
        "--show-pod", action="store_true", help="the whole pod as it would be created, in JSON as `patched`"
    )


def run(args: argparse.Namespace) -> int:
    deciding = decider(args)
    incoming_pods = pods_from_documents([*manifests(args.pods), *namespaces(args)])
    if not incoming_pods:
        raise CommandError(f"no pod and no workload in {', '.join(args.pods)}")
    reasons = PoolReasons(deciding, tuple(args.why_not), args.verbose).checked()
    decisions = [deciding.decide(incoming) for incoming in incoming_pods]
    if args.output == "json":
        print(json.dumps([reasons.as_json(one, show_pod=args.show_pod) for one in decisions], indent=2))
        return 0
    for index, decision in enumerate(decisions):
        for line in told(decision, show_pod=args.show_pod, reasons=reasons.lines):
            print(line)
        if index + 1 < len(decisions):
            print()
    return 0
