"""Say where pods would go and why: the sentence, each policy's part in it, the pools, the diff of the pod, the patch.

`-v` says of each pool that is out which requirement rules it out, --why-not of a pool that you name.
With -n NAMESPACE, PODS are names of pods that run, or wait, in the cluster of --context: then it also says which
policies placed them when they were created, what would be decided now, and what is another thing by now.
Nothing is changed anywhere. PODS are files, folders or - for standard input; in them Pods, workloads with a pod
template, Lists and several documents in any mix. What the API server does before it calls a webhook is done first.
Exit status: 0 also when a pod is refused, 2 could not run.

example:
  bayplan explain --bundle policies/gpu --pools policies/gpu/pools/gke.yaml policies/gpu/examples/training.yaml
  bayplan explain web-5d4f8c7b9-x2x7q -n shop --context staging --bundle policies/gpu
  kubectl get deployment web -o yaml | bayplan explain --bundle policies/gpu --context staging -
"""

from __future__ import annotations

import argparse
import json

from audit import places_of
from cli.errors import CommandError
from cli.inputs import add_bundles, add_cluster, add_namespaces, add_pools, decider_and_nodes, manifests, namespaces
from cli.narrative import told
from cli.pool_reasons import PoolReasons
from cli.running import Running, missing, running
from engine.pods import pods_from_documents


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pods",
        metavar="PODS",
        nargs="+",
        help="files, folders, or - for standard input; with -n, names of running pods",
    )
    parser.add_argument(
        "-n", metavar="NAMESPACE", help="PODS are names of pods of the cluster in this namespace, and not files"
    )
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
    if args.n is None and (wrong := next(filter(None, map(missing, args.pods)), "")):
        raise CommandError(wrong)
    deciding, nodes = decider_and_nodes(args)
    found: list[Running | None] = []
    if args.n is None:
        incoming_pods = pods_from_documents([*manifests(args.pods), *namespaces(args)])
        if not incoming_pods:
            raise CommandError(f"no pod and no workload in {', '.join(args.pods)}")
        found = [None] * len(incoming_pods)
    else:
        found = [*running(args, places_of(nodes, deciding.pool_index))]
        incoming_pods = tuple(one.incoming for one in found if one)
    every = args.verbose or args.n is not None
    reasons = PoolReasons(deciding, tuple(args.why_not), every).checked()
    decisions = [deciding.decide(incoming) for incoming in incoming_pods]
    if args.output == "json":
        told_of = zip(found, decisions, strict=True)
        each = [
            {**reasons.as_json(now, show_pod=args.show_pod), **({"running": one.as_json(now)} if one else {})}
            for one, now in told_of
        ]
        print(json.dumps(each, indent=2))
        return 0
    for index, (one, decision) in enumerate(zip(found, decisions, strict=True)):
        for line in one.lines(decision) if one else ():
            print(line)
        for line in told(decision, show_pod=args.show_pod, reasons=reasons.lines):
            print(line)
        if index + 1 < len(decisions):
            print()
    return 0
