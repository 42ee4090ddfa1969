"""Say what a bundle would change for workloads that exist already, aggregated by their owner. Nothing is changed.

Each pod is decided as if it were created now: from files as `kubectl get pods -A -o yaml` prints them or manifests of
workloads, or from a cluster. Pods that have finished are left out.
Exit status: 0 nothing would change, 1 something would, 2 could not run.

example:
  bayplan audit --bundle policies/spot-first --context staging
  bayplan audit --bundle policies/spot-first --pools policies/spot-first/pools/mixed.yaml --pods manifests/
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from audit import Finding, Tally, aggregated, changes, finding_of, now
from cli.errors import CommandError
from cli.inputs import add_bundles, add_cluster, add_pods, add_pools, decider, names_cluster, running_pods
from cli.terminal import GREEN, RED, amount, styled, table
from engine.decision import Decision, title


def add(parser: argparse.ArgumentParser) -> None:
    add_bundles(parser)
    add_pods(parser)
    add_pools(parser)
    add_cluster(parser)
    parser.add_argument("--all", action="store_true", help="tell of workloads that stay as they are, too")
    parser.add_argument("-o", "--output", choices=["text", "json", "jsonl"], default="text", help="how to print (text)")


def run(args: argparse.Namespace) -> int:
    if not args.pods and not names_cluster(args):
        raise CommandError("say which pods: --pods FILE…, or --context NAME for those of a cluster")
    deciding = decider(args)
    decisions = [deciding.decide(incoming) for incoming in running_pods(args)]
    found = [decision for decision in decisions if changes(decision)]
    if args.output == "json":
        print(json.dumps([decision.as_json() for decision in decisions], indent=2))
    elif args.output == "jsonl":
        time = now()
        for decision in decisions:
            print(_line(finding_of(deciding, decision, time=time, cluster=args.cluster_name)))
    else:
        worth_a_line = (one for one in decisions if changes(one) or one.pools.waits or one.pools.unseen)
        _tell(aggregated(decisions if args.all else worth_a_line), decisions, found)
    return int(bool(found))


def _line(finding: Finding) -> str:
    return json.dumps(finding.as_json(), ensure_ascii=False, separators=(",", ":"))


def _tell(findings: Sequence[Tally], decisions: Sequence[Decision], found: Sequence[Decision]) -> None:
    if findings:
        rows = [(f.owner, str(f.pods), f.effect, ", ".join(f.policies)) for f in findings]
        print(table(rows, ("OWNER", "PODS", "EFFECT", "POLICIES")))
        print()
    refused = sum(not decision.allowed for decision in found)
    owners = len({title(decision.incoming) for decision in decisions})
    told = f"{amount(len(decisions), 'pod')} of {amount(owners, 'workload')}: "
    told += styled(f"{len(found) - refused} would change", RED if found else GREEN) + f", {refused} would be refused"
    templates = [decision.incoming.template is not None for decision in decisions if decision.pools.waits]
    waiting, idle = templates.count(False), templates.count(True)
    told += ", " + styled(f"{waiting} would stay Pending", RED) if waiting else ""
    told += ", " + styled(f"{amount(idle, 'DaemonSet')} would get no pods", RED) if idle else ""
    unseen = sum(bool(decision.pools.unseen) for decision in decisions)
    told += ", " + styled(f"{unseen} would need nodes that nobody has seen", RED) if unseen else ""
    print(told)
