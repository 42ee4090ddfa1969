"""TODO."""

from engine.decision.decide import LEFT_ALONE, NO_POD, OWN_NAMESPACE, Decider
from engine.decision.decision import Decision, PolicyOutcome, PoolNames, outcome_of
from engine.decision.weigh import scaled_to
from engine.decision.words import described_pod, listed, title

__all__ = [
    "LEFT_ALONE",
    "NO_POD",
    "OWN_NAMESPACE",
    "Decider",
    "Decision",
    "PolicyOutcome",
    "PoolNames",
    "described_pod",
    "listed",
    "outcome_of",
    "scaled_to",
    "title",
]
