"""Percentage rollout of a policy: on which side a workload falls, always on the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from engine.pods.incoming import IncomingPod
from engine.pods.owner import owner_in_pod


def rolled_out(policy: str, percent: int, incoming: IncomingPod) -> bool:
    """Whether a policy has reached a workload, which stays on its side while the percentage grows.

    Only what the pod itself shows counts, for a webhook sees nothing else: a file must not fall on another side. Nor
    must a pod once the API server has given it a name: of one that asks for that, `generateName` is what counts.
    """
    if percent >= 100:
        return True
    metadata: Mapping[str, Any] = incoming.pod.get("metadata") or {}
    owner = owner_in_pod(metadata)
    name = owner.name if owner else str(metadata.get("generateName") or metadata.get("name") or "")
    identity = (policy, incoming.namespace_name, owner.kind if owner else "Pod", name)
    digest = hashlib.sha256("\0".join(identity).encode()).digest()
    return int.from_bytes(digest[:8], "big") * 100 < percent << 64  # 64 bits of the digest, as a share of 2^64
