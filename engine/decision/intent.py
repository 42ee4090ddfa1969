"""TODO."""

from __future__ import annotations

from collections.abc import Mapping

from engine.decision.combine import _Failure
from engine.evaluation import NodeSet, PolicyEvaluation, node_terms
from engine.language import BudgetExceeded, CelError
from engine.nodeselector import TRUE, Terms, implies
from engine.pools import PoolIndex, Taint


def _holds_already(mine: Terms, wanted: NodeSet, pool_index: PoolIndex) -> bool:
    """Whether the pod's own constraints keep it in a region; one that has none is kept nowhere."""
    if mine == TRUE:
        return wanted.anywhere == TRUE
    return implies(mine, node_terms(wanted, pool_index.every, pool_index))


def _named(evaluation: PolicyEvaluation, pool: Mapping[str, object], taint: Taint) -> bool:
    view = taint._asdict()
    for entry in evaluation.policy.tolerate:
        try:
            if entry.function(*evaluation.arguments, pool, view) is True:
                return True
        except (CelError, BudgetExceeded) as error:
            raise _Failure({evaluation.policy.name: f"{entry.place}: {error}"}) from error
    return False
