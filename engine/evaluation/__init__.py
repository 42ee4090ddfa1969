"""What one policy says of one pod, before the policies meet.

In the pipeline: a `Program` and a `PoolIndex` make `PoolFacts` once per inventory; with an `IncomingPod` they make
`PodFacts` once per decision; `evaluate_policy` takes a policy and PodFacts and gives a `PolicyEvaluation`: not matched,
failed, denied, or applied with the nodes that it requires (a `NodeSet`) and prefers (`WeightedNodes`). Decision puts
the evaluations of all policies together.

Start with `policy.py`, then `pool_facts.py` (expressions decided for all pools at once) and `verdicts.py` (what such a
decision is). `nodeset.py` is where a pod may go: masks of pools with terms.
"""

from engine.evaluation.nodeset import NodeSet, alive, intersection, node_set_of, node_terms, plain_meet, reach
from engine.evaluation.outcome import UNSELECTED, PolicyEvaluation
from engine.evaluation.pod_facts import (
    COMBINING_BUDGET,
    INVENTORY_BUDGET,
    LEAST_FOR_COMBINING,
    POLICY_BUDGET,
    PodFacts,
)
from engine.evaluation.policy import evaluate_policy, exempted, exempting, failure_of, unread_by
from engine.evaluation.pool_facts import Inputs, PoolFacts
from engine.evaluation.preferences import WeightedNodes, heaviest_overlap
from engine.evaluation.scores import scored
from engine.evaluation.verdicts import ByNode, Verdict, both_hold

__all__ = [
    "COMBINING_BUDGET",  # units that combining the policies, and writing what they come to, may spend on a pod
    "INVENTORY_BUDGET",  # units of `engine.language.Budget` that one policy may spend on what no pod changes
    "LEAST_FOR_COMBINING",  # units that it may spend beside what evaluating the policies has left
    "POLICY_BUDGET",  # units that one policy may spend on one pod
    "UNSELECTED",  # the message of a policy whose selectors do not match the pod
    "ByNode",  # a Verdict that differs between the nodes of a pool: masks with a Truth each
    "Inputs",  # what the expressions of one policy are decided with, for one pod
    "NodeSet",  # where a pod may go: groups of pools, each with the terms of its nodes
    "PodFacts",  # what is the same for all policies on one pod, and the budget that they share
    "PolicyEvaluation",  # what one policy says of one pod
    "PoolFacts",  # what expressions without a pod come to, pool by pool, for one inventory
    "Verdict",  # where an expression is true and where false: ByPool or ByNode
    "WeightedNodes",  # a NodeSet that is preferred, and a weight of 1 to 100 (of tiers, a level)
    "alive",  # whether any node can possibly be left of a NodeSet
    "both_hold",  # the Verdict of `left && right`
    "evaluate_policy",  # the PolicyEvaluation of a policy and PodFacts
    "exempted",  # the evaluation of a policy that an exemption takes from the pod, or None
    "exempting",  # the exemptions that match a pod, and those that failed
    "failure_of",  # why a policy fails whose expression is an error, and what to do about it
    "heaviest_overlap",  # the most that weights add up to on one node
    "intersection",  # the nodes of two NodeSets; raises TooMany
    "node_set_of",  # the NodeSet on which a Verdict is true; raises TooMany
    "node_terms",  # the Terms that exactly the nodes of a NodeSet match; raises TooMany
    "plain_meet",  # the intersection of NodeSets that are whole pools, None where one is not
    "reach",  # the mask of pools that may have a node of some groups
    "scored",  # a score as WeightedNodes
    "unread_by",  # what policies say of a pod that was not read: that they have failed
]
