"""What follows for a pod, worked into its own constraints and written as a patch.

The end of the pipeline: a `Placement` (terms that are required, weighted preferences, tolerations, spread constraints,
pod terms) and a pod go in; `placed` gives the pod with the placement worked in, `patch` the RFC 6902 operations that
make it so. What the pod says itself is narrowed and never replaced, and what already holds is not written. It knows no
policy: `engine.decision` says what is intended.

Start with `placement.py`, then `required.py` (required node affinity, the hard part) and `json_patch.py`.
"""

from engine.placement.json_patch import FIELDS, Operation, patch
from engine.placement.placement import NOTHING, Placement, labels_of, placed
from engine.placement.pod_affinity import Identity, WeightedPodTerm, pod_term, term_identity
from engine.placement.pod_selector import WORKLOAD_LABELS, own_workload, written_out
from engine.placement.preferred import WISHES, preferences, wishes_of
from engine.placement.required import OF_POD, meanings, narrowed, own, pay_for_terms
from engine.placement.spread import (
    Constraint,
    combined_constraints,
    constraint_identity,
    counted_labels,
    spread_constraint,
)
from engine.placement.tolerations import COVERING, Toleration, stay, tolerates, toleration_for
from engine.placement.weights import MAX_WEIGHT, united

__all__ = [
    "COVERING",  # what asking one toleration whether it covers another takes of a budget
    "FIELDS",  # the fields of a pod's spec that a patch can name
    "MAX_WEIGHT",  # 100, the largest weight of a preference
    "NOTHING",  # the Placement that changes nothing
    "OF_POD",  # "node selector terms of the pod": what there is too much of, in messages
    "WISHES",  # "preferences": what there is too much of, in messages
    "WORKLOAD_LABELS",  # labels that name a workload, whoever made its pods
    "Constraint",  # a topology spread constraint, in Kubernetes' own fields
    "Identity",  # what a pod affinity term means: equal where two mean the same
    "Operation",  # one RFC 6902 operation
    "Placement",  # what policies intend for one pod
    "Toleration",  # a toleration, in Kubernetes' own fields
    "WeightedPodTerm",  # a weight of 1 to 100, None where required, and a pod affinity term
    "combined_constraints",  # the pod's spread constraints with those wanted, and what was overruled
    "constraint_identity",  # topology key and whenUnsatisfiable, of which the API server takes one each
    "counted_labels",  # the Term of the pods that a spread constraint counts
    "labels_of",  # a pod's labels
    "meanings",  # what each of a pod's required terms admits beside its nodeSelector
    "narrowed",  # the pod's nodeSelectorTerms with Terms worked in, None if that changes nothing; raises TooMany
    "own",  # the Terms of the nodes that a pod's own constraints admit
    "own_workload",  # the label selector of a pod's own workload
    "patch",  # the Operations that make a placement hold; raises TooMany
    "pay_for_terms",  # pays for reading node selector terms of a pod, before any is
    "placed",  # the pod with a placement worked in; raises TooMany
    "pod_term",  # a pod affinity term, in Kubernetes' own fields
    "preferences",  # the weighted preferences that a pod lacks, in Kubernetes' own fields; raises TooMany
    "spread_constraint",  # a topology spread constraint, in Kubernetes' own fields
    "stay",  # the toleration that says how long a pod stays on a not-ready or unreachable node
    "term_identity",  # the Identity of a pod affinity term
    "tolerates",  # whether a toleration lets a pod onto a node with a taint
    "toleration_for",  # the narrowest toleration of a taint
    "united",  # weights by what they are for, added up
    "wishes_of",  # what each of a pod's preferences weighs, and the Term that it is for
    "written_out",  # the one label selector of a policy's labelSelector, matchLabelKeys and mismatchLabelKeys
]
