"""audit.inputs: what policies read, and what stood there."""

from __future__ import annotations

from audit.inputs import inputs_of
from tests.engine.builders import decider, incoming, pod


def paths(spec: str) -> dict[str, object]:
    """What a finding would say that a policy read of a pod, and of pools that say nothing."""
    engine = decider(spec)
    given = incoming(pod(metadata={"labels": {"app": "web", "size": "3"}}))
    return {one.path: one.value for one in inputs_of(engine.policies, given, engine.pool_index.pools[:1])}


def test_what_a_score_reads_is_an_input() -> None:
    size = 'int(pod.metadata.labels["size"])'
    assert paths(f"prefer: [{{expression: 'true', score: '{size} > 2 ? 9 : 1'}}]") == {"pod.metadata.labels.size": "3"}
    of_nodes = paths(
        f"prefer: [{{expression: 'true', score: 'node.labels[\"tier\"] == \"gold\" ? {size} : pool.gpus'}}]"
    )
    assert of_nodes["pod.metadata.labels.size"] == "3"
    assert of_nodes["pool.gpus"] == 8
