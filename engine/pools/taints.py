"""Taints: which belong to a pool, and which say only how a node is at the moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from engine.pools.pool import Taint

TRANSIENT_TAINTS = frozenset(
    {
        # Kubernetes: the node lifecycle controller, the scheduler's cordon, the out-of-service procedure
        # (k8s.io/api/core/v1/well_known_taints.go)
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
        "node.kubernetes.io/unschedulable",
        "node.kubernetes.io/memory-pressure",
        "node.kubernetes.io/disk-pressure",
        "node.kubernetes.io/pid-pressure",
        "node.kubernetes.io/network-unavailable",
        "node.kubernetes.io/out-of-service",
        # cloud providers: initialisation, shutdown (k8s.io/cloud-provider/api), notice of termination
        "node.cloudprovider.kubernetes.io/uninitialized",
        "node.cloudprovider.kubernetes.io/shutdown",
        "cloud.google.com/impending-node-termination",
        "remediator.kubernetes.azure.com/unschedulable",
        "aws-node-termination-handler/asg-lifecycle-termination",
        "aws-node-termination-handler/rebalance-recommendation",
        "aws-node-termination-handler/scheduled-maintenance",
        "aws-node-termination-handler/spot-itn",
        # whoever makes and removes nodes: Karpenter, the cluster autoscaler, Cluster API
        "karpenter.sh/unregistered",
        "karpenter.sh/disrupted",
        "karpenter.sh/disruption",
        "ToBeDeletedByClusterAutoscaler",
        "DeletionCandidateOfClusterAutoscaler",
        "node.cluster.x-k8s.io/uninitialized",
        "node.cluster.x-k8s.io/outdated-revision",
        # agents that a node waits for at its start, each of which takes its own taint away
        "azurelustre.csi.azure.com/agent-not-ready",
        "cni.istio.io/not-ready",
        "disk.csi.azure.com/agent-not-ready",
        "ebs.csi.aws.com/agent-not-ready",
        "efs.csi.aws.com/agent-not-ready",
        "fsx.csi.aws.com/agent-not-ready",
        "node.cilium.io/agent-not-ready",
        "s3.csi.aws.com/agent-not-ready",
    }
)
"""Taints that say how a node is at the moment, not what its pool is for."""

TIMED_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""Those for which every pod says how long it stays: the API server adds a toleration of 300 s (NoExecute) for each that
a pod says nothing of (plugin/pkg/admission/defaulttolerationseconds)."""

_TRANSIENT_PREFIXES = (
    "startup-taint.cluster-autoscaler.kubernetes.io/",
    "status-taint.cluster-autoscaler.kubernetes.io/",
    "ignore-taint.cluster-autoscaler.kubernetes.io/",
    "readiness.k8s.io/",
)
"""Prefixes of taints that are transient by definition: the cluster autoscaler's, and that of the node readiness
controller (kubernetes-sigs), which removes each once its condition holds."""


def is_transient(key: str) -> bool:
    """Whether taints of this key are of a start-up or of a node's lifecycle."""
    return key in TRANSIENT_TAINTS or key.startswith(_TRANSIENT_PREFIXES)


def lasting(taints: Iterable[Taint]) -> tuple[Taint, ...]:
    """Those that say what a node is for, sorted, each once."""
    return tuple(sorted({taint for taint in taints if not is_transient(taint.key)}))


def taints_seen(nodes: Sequence[Iterable[Taint]]) -> tuple[Taint, ...]:
    """The taints of nodes that are given by theirs: what all have, and marked `partial` what some have."""
    counts = Counter(taint for taints in nodes for taint in lasting(taints))
    return tuple(sorted(taint._replace(partial=count < len(nodes)) for taint, count in counts.items()))


def taints_together(
    said: Iterable[Taint] | None, startup: Iterable[Taint], seen: Iterable[Taint], *, templated: bool
) -> tuple[Taint, ...]:
    """What was declared (None where nothing was) and what the nodes show besides, start-up taints left out.

    Where a template says what the next node gets (`templated`), what only nodes show is some nodes' alone: `partial`.
    """
    told = lasting(said or ())
    known = {taint[:3] for taint in told}
    leaving = {(taint.key, taint.effect) for taint in startup}  # as Kubernetes' MatchTaint: whatever the value
    more = (taint for taint in seen if taint[:3] not in known and (taint.key, taint.effect) not in leaving)
    partial = templated and said is not None
    return tuple(sorted({*told, *(taint._replace(partial=taint.partial or partial) for taint in more)}))
