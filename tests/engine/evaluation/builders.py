"""What tests of evaluation build: pools, the wishes of a decision, verdicts to draw from."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from engine.evaluation.verdicts import ByNode, ByPool, Verdict
from engine.nodeselector import ABSENT, EXISTS, Terms, one_of, term_of
from engine.pools import Read
from engine.program import NO, UNKNOWN, YES, Truth
from tests.engine.builders import inventory, patched, pools_of_nodes

PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NODEPOOL = "karpenter.sh/nodepool"
ZONE = "topology.kubernetes.io/zone"
CAPACITY = "karpenter.sh/capacity-type"


def pools(count: int, more: str = "") -> Any:
    """So many pools p0, p1, ... with as many GPUs as their number."""
    listed = "\n".join(
        f"  - {{name: p{i}, selector: {{karpenter.sh/nodepool: p{i}}}, gpus: {i}{more}}}" for i in range(count)
    )
    return inventory(f"apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools:\n{listed}")


def wishes(decision: Any) -> list[tuple[int, list[dict[str, Any]]]]:
    """Weights and what they are for, as they are written."""
    node = patched(decision).get("affinity", {}).get("nodeAffinity", {})
    return [(one["weight"], one["preference"]["matchExpressions"]) for one in node.get(PREFERRED, ())]


COUNT = 3
EVERY = (1 << COUNT) - 1
NODES: tuple[dict[str, str], ...] = ({}, {"x": "1"}, {"x": "2"})
ONE: Terms = (term_of({"x": one_of(["1"])}),)
NONE: Terms = (term_of({"x": ABSENT}),)
SOME: Terms = (term_of({"x": EXISTS}),)
TRUTHS: list[Truth] = [YES, NO, UNKNOWN, (ONE, NONE), (NONE, SOME), (SOME, ()), ((), ONE)]
reads = st.frozensets(st.sampled_from([Read("labels", "a"), Read("values", "b"), Read("capacity")]), max_size=2)
computed = st.dictionaries(st.integers(0, COUNT - 1), reads, max_size=2)


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    """Flat or cased; where no pool matters all pools are alike, and nothing was read of them."""
    if draw(st.booleans()):
        truth = draw(st.sampled_from(TRUTHS))
        if truth in (YES, NO, UNKNOWN) and draw(st.booleans()):
            return ByPool(EVERY * (truth == YES), EVERY * (truth == NO), truth)
        return ByNode(((EVERY, truth),), truth)
    if draw(st.booleans()):
        true = draw(st.integers(0, EVERY))
        return ByPool(true, draw(st.integers(0, EVERY)) & ~true, None, draw(reads), draw(computed))
    split: dict[Truth, int] = {}
    for i in range(COUNT):
        truth = draw(st.sampled_from(TRUTHS))
        split[truth] = split.get(truth, 0) | 1 << i
    return ByNode(tuple((mask, truth) for truth, mask in split.items()), None, draw(reads), draw(computed))


FLEET = pools_of_nodes(
    {NODEPOOL: "k", "rack": "r", "disk": "ssd"},
    {NODEPOOL: "k", "rack": "r", "disk": "ssd"},
    {NODEPOOL: "l", "rack": "q"},
)
