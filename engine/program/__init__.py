"""A bundle compiled: every expression checked and turned into what runs.

In the pipeline: a `Bundle` goes in, `compile_bundle` gives a `Program`, or raises BundleError with every problem of
every expression. A program's rules are `Tree`s of `Leaf`s: an expression over pools is taken apart at `&& || !` and
`?:`, so that evaluation decides each leaf once for all pools, and equal leaves once for all policies. A leaf over
`node` becomes a function to a `Truth`: the node selector terms where it is true, and where it is false.

Start with `model.py` (what a program is) and `compiler.py`. `node_expressions.py` says how an expression over an
unknown node becomes node selector terms; `vocabulary.py` has the types of `pod`, `pool`, `node` and the others.
"""

from engine.program.advice import named_taints
from engine.program.compiler import compile_bundle
from engine.program.fields_read import EACH, FieldPath
from engine.program.model import (
    POD_NAMES,
    CompiledExemption,
    CompiledPolicy,
    CompiledPreference,
    CompiledTolerance,
    Condition,
    Function,
    Program,
    Rule,
    Score,
)
from engine.program.open_expressions import as_seen, assumed, assumed_cases
from engine.program.pool_view import PoolLacks, PoolView, Undecided, UnknownFact
from engine.program.tree import (
    CONTAINS,
    NOTHING_READ,
    ORDERED,
    Both,
    Choice,
    Leaf,
    Not,
    PodPoolComparison,
    Reads,
    Tree,
    leaves_of,
)
from engine.program.truths import (
    NO,
    UNKNOWN,
    YES,
    Arguments,
    CasesOf,
    Truth,
    TruthOf,
    choose,
    conjoin,
    meter_of,
    negate,
)
from engine.program.vocabulary import NAMESPACE, POD, PRESENT, REQUEST

__all__ = [
    "CONTAINS",  # the operator of a PodPoolComparison: the pool's value is in the pod's list
    "EACH",  # the step of a FieldPath to every element or value
    "NAMESPACE",  # the type of `namespaceObject`
    "NO",  # the Truth of what is false on every node
    "NOTHING_READ",  # Reads of nothing
    "ORDERED",  # by comparison operator: is the pod's value to be less, and may it be equal
    "POD",  # the type of `pod`
    "POD_NAMES",  # the variables that depend on the pod and its request
    "PRESENT",  # by type, the fields that every admitted object has though the models do not require them
    "REQUEST",  # the type of `request`
    "UNKNOWN",  # the Truth of what is an error on every node
    "YES",  # the Truth of what is true on every node
    "Arguments",  # the arguments of a compiled function: a budget, then the variables' values in order
    "Both",  # a Tree: `left && right`
    "CasesOf",  # a function of Arguments and Words that gives the Cases of a value
    "Choice",  # a Tree: `test ? yes : no`
    "CompiledExemption",  # an exemption and its compiled conditions
    "CompiledPolicy",  # a policy and its compiled expressions
    "CompiledPreference",  # an entry of `prefer`: a Rule with a weight of 1 to 100, or a Score
    "CompiledTolerance",  # an entry of `tolerate`: which taints, and for how many seconds
    "Condition",  # a boolean expression that reads no pool, compiled
    "FieldPath",  # a variable, then the fields, keys and indexes on the way to what an expression reads
    "Function",  # a compiled expression, called with Arguments
    "Leaf",  # a Tree: a part of an expression that is decided as a whole
    "Not",  # a Tree: `!inner`
    "PodPoolComparison",  # a Leaf's comparison of a value of the pod with one of the pool
    "PoolLacks",  # the NoSuchKey of what is known not to be there of a pool
    "PoolView",  # a pool as expressions read it
    "Program",  # a compiled bundle
    "Reads",  # a frozenset of Read: what an expression reads of a pool
    "Rule",  # a boolean expression over pools and a node, compiled, with its message and place
    "Score",  # a number-valued expression over pools and a node, compiled
    "Tree",  # Leaf, Not, Both or Choice
    "Truth",  # a pair of Terms: the nodes where a boolean is true, and where it is false
    "TruthOf",  # a function of Arguments and Words that gives the Truth of a boolean
    "Undecided",  # raised through an expression that reads a label which is not the same on all nodes of a pool
    "UnknownFact",  # the CelError of what nobody has said of a pool
    "as_seen",  # what a function gives where what a pool leaves open is as on the nodes that are there
    "assumed",  # a Truth with each undecided label of a pool taken to be in each of its states
    "assumed_cases",  # the same of Cases
    "choose",  # the Truth of `test ? yes : no`
    "compile_bundle",  # the Program of a Bundle; raises BundleError
    "conjoin",  # the Truth of `left && right`
    "leaves_of",  # the Leafs of a Tree
    "meter_of",  # the budget among a function's arguments, which pays for the algebra
    "named_taints",  # the literals by which an expression over a taint asks for its key
    "negate",  # the Truth of `!truth`
]
