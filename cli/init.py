"""Make a small bundle that passes `bayplan check` and `bayplan test`, with comments that say what each part is for.

The bundle's name is the folder's. Nothing that exists is overwritten.

example:
  bayplan init policies/my-team
  bayplan test policies/my-team
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from cli.errors import CommandError

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

FILES = {
    "bundle.yaml": """\
# The bundle: what is reviewed, released and rolled back as one. Raise the version with each change: decisions name it.
apiVersion: bayplan.dev/v1alpha1
kind: Bundle
metadata:
  name: {name}
spec:
  version: 0.1.0
  description: Say in one line what this bundle is for.
  # enforce patches pods, audit only records what it would patch, off does nothing
  mode: enforce
  # constants for expressions, as `params.<name>`; a cluster may override them
  params:
    zones: [zone-a, zone-b]
""",
    "policies/critical.yaml": """\
# One policy: which pods it is about, and what placement it intends for them.
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata:
  name: critical
spec:
  description: Critical pods run on the steady pools, in our zones, and spread over nodes.
  # which pods; `namespaceSelector` and `matchConditions` (CEL) narrow it further
  podSelector:
    matchLabels: {{tier: critical}}
  # every expression must hold, of the pool (known now) and of the node (known later: it becomes an affinity)
  require:
    - expression: pool.labels[?"steady"].orValue("") == "true"
      message: critical pods need steady nodes
    - expression: node.zone in params.zones
      message: our data is in these zones
  # the taints of the chosen pools that these pods tolerate; without it, none
  tolerate:
    - expression: taint.key == "steady"
  # Kubernetes' own fields; without a selector it is the pod's own workload
  spread:
    - topologyKey: kubernetes.io/hostname
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
""",
    "pools/example.yaml": """\
# An inventory, for tests and for `--pools`: entries like these, Nodes as `kubectl get nodes -o yaml` prints them, and
# Karpenter's NodePools, in any mix.
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - name: steady
    selector: {{karpenter.sh/nodepool: steady}}     # the labels that identify its nodes
    labels: {{steady: "true"}}                      # what every node of it carries
    values: {{topology.kubernetes.io/zone: [zone-a, zone-b, zone-c]}}   # what may differ from node to node
    taints: [{{key: steady, value: "true", effect: NoSchedule}}]
    nodes: 3
  - name: general
    selector: {{karpenter.sh/nodepool: general}}
    labels: {{steady: "false"}}
    nodes: 9
""",
    "examples/pod.yaml": """\
# bayplan explain --bundle {folder} --pools {folder}/pools/example.yaml {folder}/examples/pod.yaml
apiVersion: v1
kind: Pod
metadata:
  name: payments
  namespace: shop
  labels: {{app: payments, tier: critical}}
spec:
  containers:
    - name: web
      image: registry.example.com/payments:1.0
""",
    "tests/critical.yaml": """\
# What is expected of given pods on given pools. `bayplan test` runs it, and so does everybody who activates the bundle.
apiVersion: bayplan.dev/v1alpha1
kind: PlacementTest
metadata:
  name: critical
spec:
  pools: pools/example.yaml
  cases:
    - name: a critical pod is confined to steady nodes in our zones, and tolerates their taint
      file: examples/pod.yaml
      expect:
        allowed: true
        pools: [steady]
        policies: {{critical: applied}}
        nodeAffinity:
          - matchExpressions:
              - {{key: karpenter.sh/nodepool, operator: In, values: [steady]}}
              - {{key: topology.kubernetes.io/zone, operator: In, values: [zone-a, zone-b]}}
        tolerations:
          - {{key: steady, operator: Equal, value: "true", effect: NoSchedule}}

    - name: other pods are left alone
      pod:
        metadata: {{name: report, namespace: shop, labels: {{app: report}}}}
        spec: {{containers: [{{name: main, image: report}}]}}
      expect:
        policies: {{critical: notMatched}}
        unchanged: true
""",
}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="FOLDER", type=Path, help="the folder to make; its name becomes the bundle's")


def run(args: argparse.Namespace) -> int:
    folder: Path = args.bundle
    name = folder.resolve().name
    if not NAME.fullmatch(name):
        raise CommandError(f"`{name}` can't be a bundle's name: lower case letters, digits and `-`, 63 at most")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(f"`{folder}` exists already, and nothing is overwritten")
    for path, text in FILES.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.format(name=name, folder=folder), encoding="utf-8")
        print(f"wrote {target}")
    print(f"\nnow: bayplan check {folder} && bayplan test {folder}")
    return 0
