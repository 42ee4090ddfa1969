"""TODO."""

from engine.program.compiler import compile_bundle
from engine.program.model import (
    POD_NAMES,
    CompiledExemption,
    CompiledPolicy,
    Condition,
    Function,
    Program,
    Rule,
    Score,
    Weighted,
)
from engine.program.tree import CONTAINS, NOTHING_READ, ORDERED, Both, Bridge, Choice, Leaf, Not, Reads, Tree, leaves_of
from engine.program.truths import NO, UNKNOWN, YES, Arguments, CasesOf, Truth, TruthOf, choose, conjoin, negate
from engine.program.vocabulary import NAMESPACE, POD, PRESENT, REQUEST

__all__ = [
    "CONTAINS",
    "NAMESPACE",
    "NO",
    "NOTHING_READ",
    "ORDERED",
    "POD",
    "POD_NAMES",
    "PRESENT",
    "REQUEST",
    "UNKNOWN",
    "YES",
    "Arguments",
    "Both",
    "Bridge",
    "CasesOf",
    "Choice",
    "CompiledExemption",
    "CompiledPolicy",
    "Condition",
    "Function",
    "Leaf",
    "Not",
    "Program",
    "Reads",
    "Rule",
    "Score",
    "Tree",
    "Truth",
    "TruthOf",
    "Weighted",
    "choose",
    "compile_bundle",
    "conjoin",
    "leaves_of",
    "negate",
]
