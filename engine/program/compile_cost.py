"""What compiling an expression takes, from reading it to the functions made of it; for a bundle has a limit of that.

Units are those of `engine.language.Budget`, half a microsecond each. Measured for each kind of part that hostile
bundles are made of, and taken at what the dearest come to, so most expressions take half of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.documents import BundleError, Problem, Span, ordered
from engine.language import Bind, Call, Comprehension, Ident, Literal, Node, OptionalMap, price, walk

MAX_WORK = 8_000_000
"""What compiling one bundle may take: four seconds at most. Past it a bundle is refused, for the webhook compiles it
beside its decisions.
"""
POLICY = 1_000
"""Units for a policy or an exemption, besides its expressions."""
EACH, PART = 1_000, 100
"""Units for an expression, and for each name, constant, field and operator in it."""
ROOT, POOL, MACRO = 300, 700, 600
"""Units that a variable takes besides, `pool`, and a macro: functions are made for what is read of a pod, of a pool it
is tried what a node's label would say, and what is inside of a macro is indented."""
TEXT = 20
"""Units for a character of a text that can't be read."""
ASKED = 50
"""A condition that is looked at to know what another expression may read takes so much less than compiling it."""
_PATTERNS = frozenset(("matches", "find", "findAll"))


def compile_cost(node: Node) -> int:
    """What compiling a tree takes at most, about, in units: its parts, and the patterns that are constants."""
    units = EACH
    for part in walk(node):
        units += PART
        match part:
            case Ident(name=name):
                units += POOL if name == "pool" else ROOT if name != "node" else 0
            case Comprehension() | OptionalMap() | Bind():
                units += MACRO
            case Call(function=function, target=target, args=args) if function in _PATTERNS:
                texts = (each.value for each in (target, *args) if isinstance(each, Literal))
                units += sum(price(text) for text in texts if isinstance(text, str))
    return units


class Work:
    """What compiling a bundle has taken so far: `spent`, in units."""

    def __init__(self) -> None:
        self.spent = 0
        self._costs: dict[int, int] = {}

    def expression(self, node: Node, given: Iterable[Node]) -> int:
        """What a tree takes beside what is given; both must be kept by who asks, for costs are, by their `id`."""
        return self._cost(node) + sum(map(self._cost, given)) // ASKED

    def _cost(self, node: Node) -> int:
        if id(node) not in self._costs:
            self._costs[id(node)] = compile_cost(node)
        return self._costs[id(node)]

    def pay(self, units: int, place: Span, problems: Iterable[Problem]) -> None:
        """Counts work. Raises BundleError, with the problems that were found before, where that is too much."""
        self.spent += units
        if self.spent <= MAX_WORK:
            return
        words = "the policies of this bundle are too much work, up to this one and its expressions"
        expected = "some 50,000 names, constants, fields and operators in all, and fewer beside large patterns"
        hint = "make two bundles of it, or say what many policies say once, with a list of `params`"
        raise BundleError(ordered([*problems, Problem("too-much-work", words, place, expected, hint)]))
