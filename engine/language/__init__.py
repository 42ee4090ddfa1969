"""TODO."""

from engine.language.checker import check
from engine.language.dispatch import dispatcher
from engine.language.estimate import Ledger
from engine.language.evaluate import compile_expression
from engine.language.functions import OVERLOADS
from engine.language.mistakes import said
from engine.language.overload import Overload
from engine.language.parser import parse
from engine.language.syntax import (
    OPERATORS,
    Call,
    Comprehension,
    Has,
    Ident,
    Index,
    ListLiteral,
    Literal,
    Node,
    Select,
    children,
    free_names,
    shape,
    walk,
)
from engine.language.types import BOOL, BYTES, DOUBLE, DYN, ERROR, INT, STRING, UINT, ObjectType, Type, list_of, map_of
from engine.language.values import (
    NO_VALUE,
    NOTHING,
    Budget,
    BudgetExceeded,
    CelError,
    NoSuchKey,
    Optional,
    compare,
    equal,
    keys_of,
)

__all__ = [
    "BOOL",
    "BYTES",
    "DOUBLE",
    "DYN",
    "ERROR",
    "INT",
    "NOTHING",
    "NO_VALUE",
    "OPERATORS",
    "OVERLOADS",
    "STRING",
    "UINT",
    "Budget",
    "BudgetExceeded",
    "Call",
    "CelError",
    "Comprehension",
    "Has",
    "Ident",
    "Index",
    "Ledger",
    "ListLiteral",
    "Literal",
    "NoSuchKey",
    "Node",
    "ObjectType",
    "Optional",
    "Overload",
    "Select",
    "Type",
    "check",
    "children",
    "compare",
    "compile_expression",
    "dispatcher",
    "equal",
    "free_names",
    "keys_of",
    "list_of",
    "map_of",
    "parse",
    "said",
    "shape",
    "walk",
]
