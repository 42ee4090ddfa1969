"""What an expression read of a pool on which it does not hold: the values on the pool's side, in words.

The expression is run once more, on a view of the pool that takes down what is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from engine.decision.contradiction import MANY, labelled
from engine.evaluation import Inputs
from engine.language import BudgetExceeded, CelError
from engine.nodeselector import ANY, FALSE, LabelStates, Terms
from engine.pools import POOL_FIELDS, Pool, Read
from engine.program import Both, Choice, Leaf, Not, PoolView, Tree, Undecided

LONGEST = 60
"""So many characters of a value of the pod's are told."""


class _Watched(PoolView):
    """A view of a pool that takes down the fields that are read of it, in their order."""

    __slots__ = ("fields",)

    def __init__(self, pool: Pool, reads: set[Read]) -> None:
        super().__init__(pool, None, reads)
        self.fields: list[str] = []

    def __getitem__(self, field: str) -> object:
        self.fields.append(field)
        return super().__getitem__(field)


def values_read(tree: Tree, inputs: Inputs, i: int, tells: Callable[[str], bool], *, quiet: bool) -> Sequence[str]:
    """What makes an expression false on all nodes of the pool at an index, in words.

    Labels are told whose key may be (`tells`), and nothing of the pod if `quiet`.
    """
    labels: dict[str, LabelStates] = {}
    others: dict[str, None] = {}
    pods: dict[str, None] = {}
    pool = inputs.pool_facts.pool_index.pools[i]
    for leaf in _to_blame(tree, inputs, i, holds=False):
        if leaf.bridge is not None and not quiet:
            pods |= dict.fromkeys(_of_pod(leaf, inputs))
        if leaf.function is not None and leaf.reads_pool:
            read, fields = _read(leaf, inputs, i)
            labels |= {key: pool.fact(key).states for key in read if pool.fact(key).states != ANY}
            others |= dict.fromkeys(f"`pool.{field}` is {said}" for field in fields if (said := _value(pool, field)))
        elif leaf.function is None:
            terms = [term for truth in _truth(leaf, inputs, i) for term in truth]
            known = inputs.pool_facts.pool_index.known(i)
            labels |= {key: known[key] for term in terms for key, _ in term.requirements if known[key] != ANY}
    labels = {key: states for key, states in labels.items() if tells(key)}
    carried = [f"its nodes carry {', '.join(labelled(key, labels[key]) for key in list(labels)[:MANY])}"]
    return [*pods, *(carried if labels else ()), *others]


def _truth(tree: Tree, inputs: Inputs, i: int) -> tuple[Terms, Terms]:
    """On which nodes of a pool an expression is true, and on which it is false."""
    verdict, every = inputs.decide(tree), inputs.pool_facts.pool_index.every
    return next((truth for mask, truth in verdict.cases(every) if mask >> i & 1), (FALSE, FALSE))


def _is(tree: Tree, inputs: Inputs, i: int, *, holds: bool) -> bool:
    """Whether an expression is, on no node of a pool, the opposite."""
    return _truth(tree, inputs, i)[int(holds)] == FALSE


def _to_blame(tree: Tree, inputs: Inputs, i: int, *, holds: bool) -> Iterator[Leaf]:
    """The leaves that make an expression true on a pool, or false."""
    match tree:
        case Leaf():
            yield tree
        case Not():
            yield from _to_blame(tree.inner, inputs, i, holds=not holds)
        case Both():
            sides = (tree.left, tree.right)
            one = None if holds else next((side for side in sides if _is(side, inputs, i, holds=False)), None)
            for side in sides if one is None else (one,):
                yield from _to_blame(side, inputs, i, holds=holds)
        case Choice():
            yes = _is(tree.test, inputs, i, holds=True)
            yield from _to_blame(tree.test, inputs, i, holds=yes)
            yield from _to_blame(tree.yes if yes else tree.no, inputs, i, holds=holds)


def _read(leaf: Leaf, inputs: Inputs, i: int) -> tuple[Sequence[str], Sequence[str]]:
    """The labels that a leaf reads of a pool, sorted, and the other fields, in the order in which it reads them."""
    assert leaf.function is not None
    reads: set[Read] = set()
    view = _Watched(inputs.pool_facts.pool_index.pools[i], reads)
    undecided = ""
    try:
        leaf.function(*inputs.arguments, view)
    except Undecided as one:
        undecided = one.key
    except (CelError, BudgetExceeded):
        pass
    fields = list(dict.fromkeys(view.fields))
    keys = {read.key for read in reads} | {POOL_FIELDS[field] for field in fields if field in POOL_FIELDS} | {undecided}
    return sorted(keys - {""}), [field for field in fields if field not in POOL_FIELDS]


def _of_pod(leaf: Leaf, inputs: Inputs) -> Iterator[str]:
    """The value of the pod's that a leaf compares with the pool."""
    assert leaf.bridge is not None
    try:
        value = leaf.bridge.pod(*inputs.arguments, None)
    except (CelError, BudgetExceeded):
        return
    said = _list([str(one) for one in value]) if isinstance(value, (list, tuple)) else _plain(value)
    if said:
        yield f"the pod's value is {said if len(said) <= LONGEST else f'{said[:LONGEST]}…'}"


def _plain(value: object) -> str:
    """A string, a number or a truth value in words; empty for anything else."""
    if isinstance(value, float):
        return f"{value:g}"
    return (str(value) or "empty") if isinstance(value, (str, int)) else ""


def _value(pool: Pool, field: str) -> str:
    """The value of a field of `pool` that is not a label's, in words; empty where there is none."""
    match field:
        case "labels" | "values":
            return ""
        case "taints":
            return _list([str(taint) for taint in pool.taints])
        case "annotations":
            return _list([f"{key}={value}" for key, value in pool.annotations.items()])
    value = PoolView(pool).get(field)
    if isinstance(value, (list, tuple)):
        return _list([str(one) for one in value])
    return _plain(value)


def _list(values: Sequence[str]) -> str:
    shown = [*values[:MANY], f"{len(values) - MANY} more"] if len(values) > MANY + 1 else values
    return f"[{', '.join(shown)}]"
