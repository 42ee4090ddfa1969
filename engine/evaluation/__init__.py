"""TODO."""

from engine.evaluation.nodeset import NodeSet, alive, intersection, node_set_of, node_terms, plain_meet, reach
from engine.evaluation.outcome import UNSELECTED, PolicyEvaluation
from engine.evaluation.pod_facts import POLICY_BUDGET, PodFacts
from engine.evaluation.policy import evaluate_policy, exempted, exempting
from engine.evaluation.pool_facts import Inputs, PoolFacts
from engine.evaluation.preferences import WeightedNodes, heaviest_overlap
from engine.evaluation.scores import scored
from engine.evaluation.verdicts import ByNode, Verdict, both_hold

__all__ = [
    "POLICY_BUDGET",
    "UNSELECTED",
    "ByNode",
    "Inputs",
    "NodeSet",
    "PodFacts",
    "PolicyEvaluation",
    "PoolFacts",
    "Verdict",
    "WeightedNodes",
    "alive",
    "both_hold",
    "evaluate_policy",
    "exempted",
    "exempting",
    "heaviest_overlap",
    "intersection",
    "node_set_of",
    "node_terms",
    "plain_meet",
    "reach",
    "scored",
]
