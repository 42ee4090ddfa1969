"""Scores as weights: what a number-valued expression comes to, pool by pool and node by node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from engine.evaluation.nodeset import NodeSet
from engine.evaluation.pool_facts import Inputs
from engine.evaluation.preferences import WeightedNodes, with_disjoint_terms
from engine.evaluation.verdicts import POOLS
from engine.language import CelError
from engine.nodeselector import TRUE, Terms, both, within_limit
from engine.pools import Cases, Read, Words, words_of
from engine.program import Arguments, CasesOf, Reads, Score, Undecided, assumed_cases


def scored(score: Score, inputs: Inputs, errors: list[str]) -> Iterable[WeightedNodes]:
    """A score as WeightedNodes: one for each weight, on the nodes that have it. Raises BudgetExceeded and TooMany.

    Pools on which it is an error are left out, and `errors` says why.
    """
    pool_index, weights = inputs.pool_facts.pool_index, dict[tuple[int, Terms], int]()
    if not score.reads_pool and not score.reads_capacity:
        arguments = (*inputs.arguments, None)
        for guard, value in values_anywhere(score, arguments, errors):
            if weight := _clipped(value):
                yield WeightedNodes(NodeSet(((pool_index.every, within_limit(guard)),), guard), weight)
        return
    for i, cases, reads in by_pool_values(score, inputs, errors):
        for guard, value in cases:
            if weight := _clipped(value):
                for mask, demanded in pool_index.demands(reads, 1 << i):
                    terms = both(within_limit(guard), demanded, inputs.meter)
                    weights[weight, terms] = weights.get((weight, terms), 0) | mask
    for (weight, terms), mask in weights.items():
        yield WeightedNodes(with_disjoint_terms(NodeSet(((mask, terms),)), inputs.meter), weight)


def _clipped(value: object) -> int:
    """A score as a weight: rounded, at least 0 and at most 100; what is no number, or a NaN, weighs nothing."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value != value:
        return 0
    return round(min(100.0, max(0.0, float(value))))


def by_pool_values(score: Scored, inputs: Inputs, errors: list[str]) -> Iterator[tuple[int, Cases, Reads]]:
    """A number by pool: its index, the cases of the number on its nodes, and what was read of it.

    Pools on which it is an error are left out, and `errors` says why.
    """
    pool_facts = inputs.pool_facts
    inputs.meter.spend(POOLS * len(pool_facts.pool_index.pools))
    for i, pool in enumerate(pool_facts.pool_index.pools):
        view, noted = pool_facts.views[i], set[Read]()
        if score.computed and pool.inferred:
            view, noted = view.noting()
        try:
            cases = _values_here(score, (*inputs.arguments, view), words_of(pool.provider))
        except CelError as error:
            errors.append(f"{error} (pool `{pool.name}`)")
            continue
        yield i, cases, score.reads | noted


def _values_here(score: Scored, arguments: Arguments, words: Words) -> Cases:
    """The cases of a number on the nodes of the pool in the arguments. Raises CelError."""
    if score.cases is not None:
        cases_of = score.cases
        return assumed_cases(lambda given: cases_of(given, words), arguments)
    assert score.function is not None
    try:
        return ((TRUE, score.function(*arguments)),)
    except Undecided:
        assert score.open is not None
        return score.open(arguments, words)


def values_anywhere(score: Scored, arguments: Arguments, errors: list[str]) -> Cases:
    """The cases of a number that does not depend on the pool; none where it is an error, and `errors` says why."""
    try:
        if score.cases is not None:
            return score.cases(arguments, words_of(""))
        return ((TRUE, score.function(*arguments)),) if score.function is not None else ()
    except CelError as error:
        errors.append(str(error))
        return ()


class Scored(Protocol):
    """What `by_pool_values` reads of a score."""

    @property
    def function(self) -> Callable[..., object] | None: ...
    @property
    def cases(self) -> CasesOf | None: ...
    @property
    def open(self) -> CasesOf | None: ...
    @property
    def reads(self) -> Reads: ...
    @property
    def computed(self) -> bool: ...
