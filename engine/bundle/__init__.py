"""TODO."""

from engine.bundle.model import (
    FAILURE_POLICIES,
    MODES,
    SYSTEM_NAMESPACES,
    Bundle,
    Case,
    Exemption,
    Expression,
    FailurePolicy,
    HandsOn,
    Mode,
    Named,
    Outcome,
    PodTerm,
    Policy,
    Preference,
    Revision,
    Spread,
    Test,
)
from engine.bundle.params import Schema
from engine.bundle.reader import parse_bundle
from engine.bundle.selector import Selector

__all__ = [
    "FAILURE_POLICIES",
    "MODES",
    "SYSTEM_NAMESPACES",
    "Bundle",
    "Case",
    "Exemption",
    "Expression",
    "FailurePolicy",
    "HandsOn",
    "Mode",
    "Named",
    "Outcome",
    "PodTerm",
    "Policy",
    "Preference",
    "Revision",
    "Schema",
    "Selector",
    "Spread",
    "Test",
    "parse_bundle",
]
