"""TODO."""

from engine.placement.json_patch import Operation, patch
from engine.placement.placement import NOTHING, Placement, labels_of, placed
from engine.placement.pod_affinity import Identity, WeightedPodTerm, pod_term, term_identity
from engine.placement.pod_selector import written_out
from engine.placement.preferred import WISHES
from engine.placement.required import OF_POD, own
from engine.placement.spread import (
    Constraint,
    combined_constraints,
    constraint_identity,
    counted_labels,
    spread_constraint,
)
from engine.placement.tolerations import Toleration, tolerates, toleration_for
from engine.placement.weights import MAX_WEIGHT, united

__all__ = [
    "MAX_WEIGHT",
    "NOTHING",
    "OF_POD",
    "WISHES",
    "Constraint",
    "Identity",
    "Operation",
    "Placement",
    "Toleration",
    "WeightedPodTerm",
    "combined_constraints",
    "constraint_identity",
    "counted_labels",
    "labels_of",
    "own",
    "patch",
    "placed",
    "pod_term",
    "spread_constraint",
    "term_identity",
    "tolerates",
    "toleration_for",
    "united",
    "written_out",
]
