"""CEL as Kubernetes speaks it: text to a typed tree, a tree to a Python function, and the functions of the library.

In the pipeline: `parse` makes a tree of an Excerpt, `check` gives its nodes types, `Ledger` estimates what it may cost,
and `compile_expression` makes a function `f(budget, *values)` of it. Each says what is wrong as Problems, with carets.
A function that runs gives a CEL value, or raises CelError (the expression has no value) or BudgetExceeded.
The package knows nothing of pods or pools: who calls `check` says which variables there are, and of which types.

Start with `syntax.py` (the tree) and `values.py` (what is computed with), then `parser.py`, `checker.py` and
`codegen.py`. `functions/` has the library, one module for each family.
"""

from engine.language.checker import check
from engine.language.dispatch import dispatcher
from engine.language.estimate import Ledger
from engine.language.evaluate import compile_expression
from engine.language.functions import OVERLOADS
from engine.language.grammar import grammar_table
from engine.language.mistakes import said
from engine.language.overload import Overload
from engine.language.parser import parse
from engine.language.regex import price
from engine.language.syntax import (
    OPERATORS,
    Bind,
    Call,
    Comprehension,
    Has,
    Ident,
    Index,
    ListLiteral,
    Literal,
    MapLiteral,
    Node,
    OptionalMap,
    Select,
    children,
    free_names,
    reads,
    rebuilt,
    replace,
    shape,
    substituted,
    walk,
)
from engine.language.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    ERROR,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    ObjectType,
    Others,
    Type,
    list_of,
    map_of,
)
from engine.language.values import (
    NO_VALUE,
    NOTHING,
    Budget,
    BudgetExceeded,
    CelError,
    NoSuchKey,
    Optional,
    bare,
    compare,
    equal,
    fresh,
    keys_of,
)

__all__ = [
    "BOOL",  # the type bool
    "BYTES",  # the type bytes
    "DOUBLE",  # the type double
    "DYN",  # the type of what only run time can tell
    "ERROR",  # the type of what has been complained about: fits everywhere
    "INT",  # the type int
    "NOTHING",  # the empty Optional
    "NO_VALUE",  # what an empty Optional holds; expressions never see it
    "OPERATORS",  # cel-spec's name by operator: `_+_` of `+`
    "OVERLOADS",  # the Overloads of the library by function
    "STRING",  # the type string
    "TIMESTAMP",  # the type `google.protobuf.Timestamp`
    "UINT",  # the type uint
    "Bind",  # a Node: `cel.bind(variable, value, body)`
    "Budget",  # what a run may still spend, in units of about half a microsecond
    "BudgetExceeded",  # the error of a run that took too long or made something too large
    "Call",  # a Node: a function, method or operator with its arguments
    "CelError",  # the error of an expression that has no value
    "Comprehension",  # a Node: a macro that walks a list or map
    "Has",  # a Node: `has(operand.field)`
    "Ident",  # a Node: a variable or a type's name
    "Index",  # a Node: `operand[index]`
    "Ledger",  # the estimated costs of one policy's expressions
    "ListLiteral",  # a Node: `[a, b]`
    "Literal",  # a Node: a constant
    "MapLiteral",  # a Node: `{a: b}`
    "NoSuchKey",  # the CelError of a key that a map or object lacks
    "Node",  # a part of a syntax tree, with its place and type
    "ObjectType",  # a Type with fields
    "Optional",  # CEL's optional as a value
    "OptionalMap",  # a Node: `optional.optMap(x, body)`
    "Others",  # which keys an ObjectType has besides its fields
    "Overload",  # one signature of one function of the library
    "Select",  # a Node: `operand.field`
    "Type",  # a CEL type
    "bare",  # an error that is kept, without the frames that it came through
    "check",  # a tree with types, and what is wrong with it
    "children",  # the Nodes directly inside of one
    "compare",  # -1, 0 or 1 for two values of an order; raises CelError
    "compile_expression",  # the Python function of a checked tree
    "dispatcher",  # a function that chooses the Overload by the values it meets
    "equal",  # CEL's `==` of two values
    "free_names",  # the variables that a tree reads
    "fresh",  # a CelError that was kept, to be raised once more
    "grammar_table",  # what Lark makes of the grammar, as text; `tools/grammar.py` keeps it
    "keys_of",  # the keys of a map in one order
    "list_of",  # the type of a list
    "map_of",  # the type of a map
    "parse",  # the tree of an Excerpt, or what is wrong with it
    "price",  # what compiling a pattern costs, in units of the budget
    "reads",  # whether a tree reads a variable
    "rebuilt",  # a Node with each expression directly inside changed
    "replace",  # a Node with some of its fields changed
    "said",  # a type in words, as messages write it
    "shape",  # a text that equal expressions share
    "substituted",  # a tree with a value in place of a variable
    "walk",  # a Node and all Nodes inside
]
