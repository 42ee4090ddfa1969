"""TODO."""

from engine.evaluation.nodeset import Region, alive, intersection, node_terms, plain_meet, reach, region
from engine.evaluation.outcome import UNSELECTED, Finding
from engine.evaluation.pod_facts import POLICY_BUDGET, Occasion
from engine.evaluation.policy import exempted, exempting, judge
from engine.evaluation.pool_facts import Ground, Moment
from engine.evaluation.preferences import Wish, stacked
from engine.evaluation.scores import scored
from engine.evaluation.verdicts import Cased, Verdict, both_hold

__all__ = [
    "POLICY_BUDGET",
    "UNSELECTED",
    "Cased",
    "Finding",
    "Ground",
    "Moment",
    "Occasion",
    "Region",
    "Verdict",
    "Wish",
    "alive",
    "both_hold",
    "exempted",
    "exempting",
    "intersection",
    "judge",
    "node_terms",
    "plain_meet",
    "reach",
    "region",
    "scored",
    "stacked",
]
