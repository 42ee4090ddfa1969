"""How long an audit of a dump takes: `kubectl get pods -A -o json` of a large cluster, by one process and by several.

    python -m benchmarks.replay [--pods N] [--owners N] [--jobs N,…]

A pod has about 9 KB, as kubectl indents it; each owner's differ from the others'. A table goes to stderr, one JSON
object a line to stdout: seconds on the clock, seconds of the processor of all processes, and the largest one's memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

Json = dict[str, Any]
BUNDLE = Path(__file__).parents[1] / "policies" / "spot-first"
NODES = 2000
POOLS = 20
STAMP = "2026-11-27T08:15:42Z"


def nodes() -> Json:
    """The Nodes that the pods are on, of pools of which some are spot."""
    found = []
    for i in range(NODES):
        labels = {
            "karpenter.sh/nodepool": f"pool-{i % POOLS}",
            "karpenter.sh/capacity-type": "spot" if i % POOLS < 8 else "on-demand",
            "topology.kubernetes.io/zone": "abc"[i % 3],
        }
        status = {"allocatable": {"cpu": "16", "memory": "64Gi"}}
        found.append(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{i}", "labels": labels}, "status": status}
        )
    return {"apiVersion": "v1", "kind": "List", "items": found}


def pods(count: int, owners: int) -> Iterator[Json]:
    """Pods of Deployments, in turn, as an API server shows them."""
    dice = random.Random(1)
    for i in range(count):
        yield _pod(i % owners, i // owners, dice)


def _pod(owner: int, number: int, dice: random.Random) -> Json:
    app, token = f"app-{owner}", f"kube-api-access-{''.join(dice.choices('bcdfghjklm2456789', k=5))}"
    labels = {
        "app": app,
        "app.kubernetes.io/name": app,
        "interruptible": "true" if owner % 3 else "false",
        "pod-template-hash": "5d9c7b",
        "team": f"team-{owner % 40}",
    }
    uid = f"{owner:08d}-{number:04d}-4000-8000-000000000000"
    reference = {"apiVersion": "apps/v1", "blockOwnerDeletion": True, "controller": True, "kind": "ReplicaSet"}
    metadata = {
        "creationTimestamp": STAMP,
        "generateName": f"{app}-5d9c7b-",
        "labels": labels,
        "name": f"{app}-5d9c7b-{number:05d}",
        "namespace": f"team-{owner % 60}",
        "ownerReferences": [{**reference, "name": f"{app}-5d9c7b", "uid": f"{owner:08d}-0000-4000-8000-000000000000"}],
        "resourceVersion": str(number * 7919),
        "uid": uid,
    }
    probe = {
        "failureThreshold": 3,
        "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"},
        "periodSeconds": 10,
    }
    container = {
        "env": [{"name": f"VARIABLE_{k}", "value": "x" * 20} for k in range(12)],
        "image": f"registry.example/{app}:1.2.3",
        "imagePullPolicy": "IfNotPresent",
        "livenessProbe": {**probe, "successThreshold": 1, "timeoutSeconds": 1},
        "name": "main",
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": "250m", "memory": "512Mi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": token, "readOnly": True}
        ],
    }
    timed = [
        {"effect": "NoExecute", "key": f"node.kubernetes.io/{key}", "operator": "Exists", "tolerationSeconds": 300}
        for key in ("not-ready", "unreachable")
    ]
    sources = [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}, {"configMap": {"name": "ca"}}]
    spec = {
        "containers": [container],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "nodeName": f"node-{dice.randrange(NODES)}",
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 30,
        "tolerations": timed,
        "volumes": [{"name": token, "projected": {"defaultMode": 420, "sources": sources}}],
    }
    conditions = [
        {"lastProbeTime": None, "lastTransitionTime": STAMP, "status": "True", "type": one}
        for one in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    running = {
        "containerID": f"containerd://{'a' * 64}",
        "image": f"registry.example/{app}:1.2.3",
        "imageID": f"registry.example/{app}@sha256:{'b' * 64}",
        "lastState": {},
        "name": "main",
        "ready": True,
        "restartCount": 0,
        "started": True,
        "state": {"running": {"startedAt": STAMP}},
    }
    status = {"conditions": conditions, "containerStatuses": [running], "hostIP": "10.0.0.1", "phase": "Running"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def write(file: TextIO, found: Iterator[Json]) -> None:
    """A list as kubectl prints it."""
    file.write('{\n    "apiVersion": "v1",\n    "items": [\n')
    for number, one in enumerate(found):
        text = json.dumps(one, indent=4).replace("\n", "\n        ")
        separator = ",\n" if number else ""
        file.write(f"{separator}        {text}")
    file.write('\n    ],\n    "kind": "List",\n    "metadata": {\n        "resourceVersion": ""\n    }\n}\n')


def measured(folder: Path, jobs: int) -> Json:
    """One audit of what is in a folder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    words = [
        "audit",
        "--bundle",
        str(BUNDLE),
        "--pools",
        str(folder / "nodes.json"),
        "--pods",
        str(folder / "pods.json"),
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "cli.main", *words, "--jobs", str(jobs), "--fail-on", "none"],
        cwd=Path(__file__).parents[1],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    total = next(line for line in ran.stdout.splitlines() if " pods of " in line)
    return {"jobs": jobs, "seconds": seconds, "processor": processor, "mib": after.ru_maxrss / 1024, "total": total}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=100_000)
    parser.add_argument("--owners", type=int, default=3_000)
    parser.add_argument("--jobs", default="1,2")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "nodes.json").write_text(json.dumps(nodes()))
        with open(folder / "pods.json", "w") as file:
            write(file, pods(args.pods, args.owners))
        size = os.path.getsize(folder / "pods.json") / 2**20
        print(f"{args.pods:,} pods of {args.owners:,} workloads, {size:,.0f} MiB", file=sys.stderr)
        print(f"{'jobs':>4}  {'seconds':>8}  {'processor':>9}  {'MiB':>5}", file=sys.stderr)
        for jobs in map(int, args.jobs.split(",")):
            one = measured(folder, jobs)
            print(f"{jobs:>4}  {one['seconds']:>8.1f}  {one['processor']:>9.1f}  {one['mib']:>5.0f}", file=sys.stderr)
            print(json.dumps(one))


if __name__ == "__main__":
    main()
