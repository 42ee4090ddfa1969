"""What follows for one pod from all policies together: the decision, and the words that explain it.

`Decider` takes a compiled bundle and an inventory, and for each pod what every policy says by itself, which
`engine.evaluation` tells. Read `decide` first, top to bottom. What it calls, in this order: `candidates` (which
policies can be about the pod at all), `combine` (what all of them require together, and who gives way), `weigh` and
`intent` (what is written into the pod), `attribution` (whose doing that is), `words` (the sentence), `redact` (what
errors must not tell). What comes out is a `Decision`, of which webhook, command line, audit and analysis are readers.
Afterwards, where somebody asks, `exclusion` tells why pools are out.
"""

from engine.decision.decide import EVALUATING, OWN_NAMESPACE, Decider
from engine.decision.decision import Decision, PolicyOutcome, PoolNames, outcome_of
from engine.decision.exclusion import Exclusion, why_not
from engine.decision.first_look import makes_none
from engine.decision.likeness import decided_alike, placed_alike
from engine.decision.marks import marks_on, without_marks
from engine.decision.part import LEFT_ALONE, NO_POD
from engine.decision.weigh import scaled_to
from engine.decision.words import NO_KNOWN_POOL, described_pod, listed, placing_policies, title

__all__ = [
    "EVALUATING",  # what evaluating one policy costs at least, in units
    "LEFT_ALONE",  # the namespaces whose pods are left alone, besides Bayplan's own
    "NO_KNOWN_POOL",  # how the warning ends that a pod's own constraints match no pool
    "NO_POD",  # the arguments of a function that stand for the pod, where there is none
    "OWN_NAMESPACE",  # where Bayplan runs, if nothing else is said
    "Decider",  # a program on an inventory: decides about pods
    "Decision",  # the outcome for one pod, as a value and as JSON
    "Exclusion",  # why a pool is out, and whose doing that is
    "PolicyOutcome",  # what one policy did about one pod
    "PoolNames",  # the pools that a pod may go to, before and after
    "decided_alike",  # whether two decisions come to the same, enforced or not
    "described_pod",  # a pod in words: its workload, or its name
    "listed",  # names as a sentence lists them
    "makes_none",  # why a required term makes Karpenter drop a pod, empty if it does not
    "marks_on",  # the annotations of a pod that name revision and policies
    "outcome_of",  # denied, mutated or unchanged
    "placed_alike",  # whether two decisions tell the API server the same
    "placing_policies",  # the names of policies that say where a decision's pod may run
    "scaled_to",  # weights made lighter in proportion, so that those of one node stay within a limit
    "title",  # a pod's workload as a heading
    "why_not",  # by name of a pool that a decision leaves out: its Exclusion
    "without_marks",  # a pod without the annotations that name revision and policies
]
