"""A fleet of two tenants with the shipped `tenant-isolation` at work, and who plays against it.

The policies' meaning is said here a second time, without Bayplan: `may_run` is what tests judge nodes by.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .controlplane import CONTEXT, ControlPlane, Json
from .karpenter import POOL_LABEL, node_pool
from .pods import pod
from .serving import Serving, running

SHIPPED = Path(__file__).parents[2] / "policies" / "tenant-isolation"
GROUP_LABEL = "eks.amazonaws.com/nodegroup"
GROUPS = (POOL_LABEL, GROUP_LABEL)
"""Labels that say of a node that it belongs to a pool."""
FORBIDDEN = "globex-open-1"
"""A node without taints that neither `acme` nor `tools` may use; what an attempt aims at."""
NAMESPACES: Mapping[str, str | None] = {"acme": "acme", "tools": None, "globex": "globex"}
"""The namespaces and their tenants."""
DEVELOPER = {"username": "devon", "groups": ["acme-developers"]}
"""May do with pods of `acme` what developers do, and nothing else."""
EDITOR = {"username": "edith", "groups": ["tools-editors"]}
"""Has the role `edit` in `tools`."""
DEVELOPERS_RULES = [
    {
        "apiGroups": [""],
        "resources": ["pods"],
        "verbs": ["create", "get", "list", "watch", "update", "patch", "delete"],
    },
    {"apiGroups": [""], "resources": ["pods/ephemeralcontainers", "pods/resize"], "verbs": ["update", "patch"]},
    {"apiGroups": [""], "resources": ["pods/exec", "pods/log", "pods/eviction"], "verbs": ["get", "create"]},
]
PLATFORM = """
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: no-host}
spec:
  deny:
    - expression: pod.spec.?hostNetwork.orValue(false)
      message: hostNetwork is not for workloads
    - expression: pod.spec.?volumes.orValue([]).exists(v, has(v.hostPath))
      message: hostPath is not for workloads
    - expression: pod.spec.schedulerName != "default-scheduler"
      message: there is one scheduler
---
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: few-shards}
spec:
  deny:
    - expression: int(pod.metadata.?labels[?"shards"].orValue("1")) > 8
      message: eight shards are enough
---
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: small-scratch}
spec:
  deny:
    - expression: >-
        quantity(pod.metadata.?annotations[?"example.com/scratch"].orValue("1Gi")).isGreaterThan(quantity("100Gi"))
      message: scratch space ends at 100Gi
---
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: batch}
spec:
  description: Pods of a class get what is meant for it; the class is the author's to choose.
  podSelector: {matchLabels: {class: batch}}
  require:
    - expression: pool.labels[?"class"].orValue("") == "batch"
      message: batch runs on batch pools
---
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: trusted}
spec:
  podSelector: {matchLabels: {class: trusted}}
  tolerate:
    - expression: taint.key == "tenant"
"""
"""What is denied besides, in conditions that the author of a pod can reach."""
PATIENT_SECONDS = 10
"""What the API server waits for the webhook here: these tests are about answers, and the machine may be busy."""


def lured(name: str, *, labels: Mapping[str, str] | None = None, spec: Mapping[str, Json] | None = None) -> Json:
    """A pod that would run on a forbidden node if it could: it tolerates everything, and prefers that node."""
    towards = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [FORBIDDEN]}]}
    preferred = [{"weight": 100, "preference": towards}]
    lure = {
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}},
    }
    return pod(name, labels=labels, spec={**lure, **(spec or {})})


@dataclass(frozen=True)
class Policed:
    """The fleet and the webhook."""

    cluster: ControlPlane
    serving: Serving
    unpoliced: str
    """The node of a pod that was lured before there was a webhook."""
    tenants: dict[str, str | None]
    """Of each namespace whose pods are looked at."""

    def may_run(self, namespace: str, node: str) -> bool:
        """Whether the policies allow the pods of a namespace on a node: a tenant's on nodes of the tenant's pools,
        everybody else's on nodes of pools that are nobody's; nobody's on nodes that belong to no pool.
        """
        labels = self.cluster.api("GET", f"/api/v1/nodes/{node}")["metadata"]["labels"]
        in_a_pool = any(label in labels for label in GROUPS)
        return in_a_pool and labels.get("tenant") == self.tenants[namespace]

    def decisions(self, namespace: str, name: str) -> list[Json]:
        """The logged decisions about what has a name that begins so, dry runs included."""
        lines = self.serving.output().splitlines(keepends=True)
        found = (json.loads(line) for line in lines if name in line and line.startswith("{") and line.endswith("}\n"))
        return [
            line
            for line in found
            if line["pod"]["namespace"] == namespace and str(line["pod"]["name"]).startswith(name)
        ]


def add_fleet(cluster: ControlPlane) -> None:
    """Pools of two tenants, tainted and not, of nobody, and nodes that belong to no pool."""

    def add(name: str, labels: Mapping[str, str], tainted: str | None = None) -> None:
        taints = [{"key": "tenant", "value": tainted, "effect": "NoSchedule"}] if tainted else []
        cluster.add_node(name, labels, taints)

    add("acme-1", {GROUP_LABEL: "acme", "tenant": "acme"}, "acme")
    add("acme-open-1", {GROUP_LABEL: "acme-open", "tenant": "acme"})
    add("globex-1", {GROUP_LABEL: "globex", "tenant": "globex"}, "globex")
    add(FORBIDDEN, {GROUP_LABEL: "globex-open", "tenant": "globex"})
    add("shared-1", {GROUP_LABEL: "shared"})
    add("batch-1", {GROUP_LABEL: "batch", "class": "batch"})
    add("stray-1", {})
    add("stray-globex-1", {"tenant": "globex"})
    cluster.define(cluster.programs["karpenter-kwok"].with_name("karpenter-kwok.crds"))
    tenants = [{"key": "tenant", "value": "globex", "effect": "NoSchedule"}]
    cluster.apply(node_pool("burst", labels={"tenant": "globex"}, taints=tenants), node_pool("open"))
    add("burst-1", {POOL_LABEL: "burst", "tenant": "globex"}, "globex")
    add("open-1", {POOL_LABEL: "open"})
    add("open-globex-1", {POOL_LABEL: "open", "tenant": "globex"})


def add_people(cluster: ControlPlane) -> None:
    """The namespaces, and who may do what in them."""
    for name, tenant in NAMESPACES.items():
        cluster.add_namespace(name, {"tenant": tenant} if tenant else {})
    rbac: dict[str, Any] = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    metadata = {"name": "developer", "namespace": "acme"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "developer"}
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": DEVELOPER["groups"][0]}
    cluster.apply(
        {**rbac, "kind": "Role", "metadata": metadata, "rules": DEVELOPERS_RULES},
        {**rbac, "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": [group]},
    )
    cluster.grant("tools", "edit", EDITOR["groups"][0])


def write_bundle(folder: Path) -> None:
    """The shipped bundle with `PLATFORM` beside it, and DaemonSets reached by their template."""
    shutil.copytree(SHIPPED, folder)
    whole = yaml.safe_load((folder / "bundle.yaml").read_text())
    whole["spec"]["handsOn"] = {"daemonSets": "template"}
    (folder / "bundle.yaml").write_text(yaml.safe_dump(whole))
    (folder / "policies" / "platform.yaml").write_text(PLATFORM)


@contextmanager
def police(cluster: ControlPlane, bundle: Path) -> Iterator[Policed]:
    """Put the policies to work on a fleet of their own, as `serve --dev` has the API server call the webhook.

    By a failure policy of `Ignore`, so that a pod to which the webhook has no answer is let by, and seen.
    """
    add_fleet(cluster)
    add_people(cluster)
    write_bundle(bundle)
    cluster.create_pod("tools", lured("unpoliced"))
    unpoliced = cluster.wait_bound("tools", "unpoliced")
    loosely = ("--dev", "--failure-policy", "Ignore", "--log-decisions", "all")
    context = ("--kubeconfig", cluster.kubeconfig, "--context", CONTEXT)
    with running(cluster, ["serve", "--bundle", bundle, *context, *loosely]) as serving:
        configuration = yaml.safe_load(serving.output().split("\n{")[0])
        for webhook in configuration["webhooks"]:
            webhook["timeoutSeconds"] = PATIENT_SECONDS
        cluster.activate(configuration, "tools")
        yield Policed(cluster, serving, unpoliced, dict(NAMESPACES))
