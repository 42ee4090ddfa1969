"""TODO."""

from engine.evaluation.nodeset import NodeSet, alive, intersection, node_set_of, node_terms, plain_meet, reach
from engine.evaluation.outcome import UNSELECTED, Finding
from engine.evaluation.pod_facts import POLICY_BUDGET, PodFacts
from engine.evaluation.policy import exempted, exempting, judge
from engine.evaluation.pool_facts import Inputs, PoolFacts
from engine.evaluation.preferences import Wish, heaviest_overlap
from engine.evaluation.scores import scored
from engine.evaluation.verdicts import ByNode, Verdict, both_hold

__all__ = [
    "POLICY_BUDGET",
    "UNSELECTED",
    "ByNode",
    "Finding",
    "Inputs",
    "NodeSet",
    "PodFacts",
    "PoolFacts",
    "Verdict",
    "Wish",
    "alive",
    "both_hold",
    "exempted",
    "exempting",
    "heaviest_overlap",
    "intersection",
    "judge",
    "node_set_of",
    "node_terms",
    "plain_meet",
    "reach",
    "scored",
]
