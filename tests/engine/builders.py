"""What tests of several packages build from a few words: bundles, inventories, pods, and what is decided about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonpatch
import yaml

from engine.bundle import parse_bundle
from engine.decision import Decider, Decision
from engine.documents import Source, parse_manifests
from engine.names import REQUIRED
from engine.placement import Operation, Placement, patch, placed
from engine.pods import DAEMON_SET_CONTROLLERS, IncomingPod
from engine.pools import Inventory, inventory_from_documents
from engine.pools.inventory import inventory_from_objects
from engine.program import compile_bundle

FLEET = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - name: gpu
    selector: {karpenter.sh/nodepool: gpu}
    labels: {tier: gold}
    values: {topology.kubernetes.io/zone: [a, b], karpenter.sh/capacity-type: [spot, on-demand]}
    taints:
      - {key: nvidia.com/gpu, value: "true", effect: NoSchedule}
      - {key: team, value: ml, effect: NoExecute}
      - {key: soft, effect: PreferNoSchedule}
    gpus: 8
  - name: plain
    selector: {karpenter.sh/nodepool: plain}
    labels: {tier: base}
    values: {topology.kubernetes.io/zone: [a]}
    gpus: 0
  - name: legacy
    selector: {cloud.google.com/gke-nodepool: legacy}
    labels: {tier: base}
    values: {topology.kubernetes.io/zone: [c]}
    gpus: 0
"""


def inventory(text: str = FLEET) -> Inventory:
    """The pools of a YAML text."""
    manifests, problems = parse_manifests(Source("pools.yaml", text))
    assert not problems
    return inventory_from_documents(manifests)


def pools_of_nodes(*labels: dict[str, str]) -> Inventory:
    """The pools that nodes with these labels show."""
    return inventory_from_objects(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"n{i}", "labels": each}}
        for i, each in enumerate(labels)
    )


def pools_named(count: int, **more: Any) -> Any:
    pools = [{"name": f"p{i}", "selector": {"pool": f"p{i}"}, **more} for i in range(1, count + 1)]
    return inventory(yaml.safe_dump({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": pools}))


def decider(
    *specs: str,
    bundle: str = "",
    pools: Inventory | None = None,
    contact: Mapping[str, str] | None = None,
    **options: Any,
) -> Decider:
    """The engine over policies given by their specs in YAML, called one, two, three…

    `contact` are annotations of the bundle.
    """
    names = ("one", "two", "three", "four")
    files = {
        f"policies/{name}.yaml": yaml.safe_dump(
            {
                "apiVersion": "bayplan.dev/v1alpha1",
                "kind": "PlacementPolicy",
                "metadata": {"name": name},
                "spec": yaml.safe_load(spec),
            }
        )
        for name, spec in zip(names, specs, strict=False)
    }
    metadata = {"name": "test", **({"annotations": dict(contact)} if contact else {})}
    header = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Bundle", "metadata": metadata}
    files["bundle.yaml"] = yaml.safe_dump(
        {**header, "spec": {"version": "1.0.0", **(yaml.safe_load(bundle) if bundle else {})}}
    )
    parsed, problems = parse_bundle(files)
    assert parsed is not None
    assert not problems, "\n".join(map(str, problems))
    return Decider(compile_bundle(parsed), inventory() if pools is None else pools, **options)


def pod(**more: Any) -> dict[str, Any]:
    """The smallest pod, labels and spec fields as given."""
    metadata = {"name": "web-0", "labels": {"app": "web", "version": "7"}, **more.pop("metadata", {})}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i"}], **more}}


def of_a_daemon_set(node: str = "node-1", **more: Any) -> dict[str, Any]:
    """The smallest pod as the DaemonSet controller makes it for a node."""
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True}
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}}
    return pod(metadata={"ownerReferences": [owner]}, affinity=affinity, **more)


def mirror(node: str = "node-1", **more: Any) -> dict[str, Any]:
    """The smallest mirror pod of a node."""
    return pod(metadata={"annotations": {"kubernetes.io/config.mirror": "x"}}, nodeName=node, **more)


JANE = {"username": "jane", "groups": ["dev"]}
DAEMON_SET_CONTROLLER = {"username": DAEMON_SET_CONTROLLERS[0], "groups": ["system:serviceaccounts"]}
KUBELET = {"username": "system:node:node-1", "groups": ["system:nodes", "system:authenticated"]}


def incoming(
    given: dict[str, Any] | None = None, namespace: str = "team", user: Mapping[str, Any] = JANE, **labels: str
) -> IncomingPod:
    """A pod on its way into a namespace."""
    metadata = {"name": namespace, "labels": {"kubernetes.io/metadata.name": namespace, **labels}}
    request = {"operation": "CREATE", "namespace": namespace, "dryRun": False, "userInfo": user}
    return IncomingPod(pod() if given is None else given, {"metadata": metadata}, request)


def decide(*specs: str, given: dict[str, Any] | None = None, **options: Any) -> Decision:
    """One decision."""
    return decider(*specs, **options).decide(incoming(given))


def outcomes(decision: Decision) -> dict[str, str]:
    """Each policy's outcome."""
    return {policy.name: policy.outcome for policy in decision.policies}


def patched(decision: Decision) -> Any:
    """The spec after the patch, by an independent library."""
    return jsonpatch.apply_patch(decision.incoming.pod, list(decision.patch))["spec"]


def required(decision: Decision) -> Any:
    """The node selector terms that are written."""
    affinity = patched(decision)["affinity"]["nodeAffinity"]
    return affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]


def preferred(decision: Decision) -> dict[str, int]:
    """The preferences that are written, by the first value of each."""
    affinity = patched(decision)["affinity"]["nodeAffinity"]
    wishes = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    return {
        ",".join(v for e in wish["preference"]["matchExpressions"] for v in e.get("values", [e["operator"]])): wish[
            "weight"
        ]
        for wish in wishes
    }


GOLD = 'require: [{expression: \'pool.labels["tier"] == "gold"\', message: gold nodes only}]'
BASE = 'require: [{expression: \'pool.labels["tier"] == "base"\', message: base nodes only}]'


def patch_of(pod: dict[str, Any], placement: Placement) -> tuple[Operation, ...]:
    """What a placement does to a pod."""
    return patch(pod, placed(pod, placement))
