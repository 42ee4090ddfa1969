"""Required node terms, met with those that the pod asks for itself: narrowed, never replaced.

Each of the pod's terms keeps its place and its requirements, and gets what it does not say yet of the one policy term
that can be true with it. Where several can, the term is repeated for each (the cross product); where none can, it is
dropped, provided that another remains. Kubernetes' empty term matches nothing, so one requirement added to it would
*widen*; it is left alone, and so is a pod that can match nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, TypeAlias

from engine.names import REQUIRED
from engine.nodeselector import (
    ANY,
    EVERYWHERE,
    MAX_TERMS,
    MAX_VALUES,
    TERMS,
    Expression,
    LabelStates,
    Meter,
    Term,
    Terms,
    TooMany,
    covered,
    label_key,
    one_of,
    parse_term,
    pay_for_pairs,
    said_by,
    simplify,
    term_of,
    widest,
    work,
)

Json: TypeAlias = Mapping[str, Any]
SelectorTerm: TypeAlias = Mapping[str, Any]
Addition: TypeAlias = Mapping[str, Sequence[Expression]]  # to `matchExpressions` or `matchFields`
Choices: TypeAlias = list[list[Addition]]  # one addition of each inner list
Said: TypeAlias = dict[tuple[str, LabelStates], list[Addition]]  # all that a requirement of a policy may add

OF_POD = f"{TERMS} of the pod"

_CONTRADICTION: tuple[Expression, ...] = (
    {"key": "kubernetes.io/os", "operator": "Exists"},
    {"key": "kubernetes.io/os", "operator": "DoesNotExist"},
)


def own(pod: Json, meter: Meter | None = None) -> Terms:
    """The nodes that a pod's nodeSelector and required node affinity admit: FALSE where they admit none.

    Raises TooMany.
    """
    return simplify(meanings(pod, meter), meter)


def meanings(pod: Json, meter: Meter | None = None) -> tuple[Term, ...]:
    """What each of a pod's required terms admits beside its nodeSelector; that alone, where there are no terms."""
    selector, terms = _selected(pod, meter), _required(pod)
    if terms is None:
        return (selector,)
    pay_for_terms(terms, meter, len(selector.requirements))
    meant = map(parse_term, terms)
    return tuple(meant if selector == EVERYWHERE else [selector & one for one in meant])


TERM, EXPRESSION, AGAIN = 8, 8, 2
"""What reading a node selector term takes of a budget, in units, without its match expressions; one of these, or a
label of a nodeSelector; and one more `NotIn` on the same key. Two values take one."""


def pay_for_terms(terms: Sequence[SelectorTerm], meter: Meter | None, beside: int = 0) -> None:
    """Pays for reading node selector terms of a pod, before anybody looks at what they say.

    First for as many as there are, each of which meets the labels `beside` it, then for what they list: so that to find
    out that it is too much takes no more than it costs.
    """
    if meter:
        meter.spend((TERM + (beside >> 1)) * len(terms))
        listed = [one.get(field) or () for one in terms for field in ("matchExpressions", "matchFields")]
        meter.spend(AGAIN * sum(map(len, listed)))
        meter.spend(sum([len(each.get("values") or ()) for expressions in listed for each in expressions]) >> 1)
        meter.spend((EXPRESSION - AGAIN) * sum(map(_apart, listed)))


def _apart(expressions: Sequence[Mapping[str, Any]]) -> int:
    """How many of these are read one by one: all `NotIn` on one key are read as one."""
    if len(expressions) < 2:
        return len(expressions)
    keys = [each.get("key") for each in expressions if each.get("operator") == "NotIn"]
    return len(expressions) - len(keys) + len(set(keys))


def narrowed(
    pod: Json, terms: Terms, meter: Meter | None = None, meant: tuple[Term, ...] | None = None
) -> list[SelectorTerm] | None:
    """The pod's nodeSelectorTerms with those of the policies worked in, or None if nothing need be written.

    `meant` are its `meanings`, where they are known. Raises TooMany.
    """
    existing = _required(pod)
    mine: list[SelectorTerm] = [{}] if existing is None else list(existing)
    meant = meanings(pod, meter) if meant is None else meant
    pay_for_pairs(meant, terms, meter)
    settled = [meaning.impossible or covered(meaning, terms, meter) for meaning in meant]
    if all(settled):
        return None
    as_it_is: list[Choices] = [[]]
    whole: Said = {}
    plan = [
        as_it_is if done else _plan(meaning, terms, meter, whole) for meaning, done in zip(meant, settled, strict=True)
    ]
    if all(meaning.impossible or not choices for meaning, choices in zip(meant, plan, strict=True)):
        plan = [_contradicted(meaning, terms, whole) for meaning in meant]
    planned = [(one, choices) for one, several in zip(mine, plan, strict=True) for choices in several]
    count = sum(prod(map(len, choices)) for _, choices in planned)
    if count > MAX_TERMS:
        raise TooMany(count, OF_POD)
    if meter:  # what is written is counted, and told from what is there; copies are put in order
        written = sum(_written(one) for one in mine)
        meter.spend(written if count <= len(mine) else (2 + 6 * count // max(1, len(mine))) * written)
    kept = sum(_values(one) for one, several in zip(mine, plan, strict=True) if several)
    values = sum(_values_written(one, choices) for one, choices in planned) - kept
    if values > MAX_VALUES:
        raise TooMany(values, f"values in {OF_POD}", MAX_VALUES)
    if count > len(mine):  # copies are added whole, so they must not show in which order the pod was written
        planned = [(in_order(one), choices) for one, choices in planned]
    return [_extended(one, additions) for one, choices in planned for additions in product(*choices)]


def _selected(pod: Json, meter: Meter | None) -> Term:
    selector = (pod.get("spec") or {}).get("nodeSelector") or {}
    if meter:
        meter.spend(EXPRESSION * len(selector))
    return term_of({label_key(key): one_of([value]) for key, value in selector.items()})


def _required(pod: Json) -> Sequence[SelectorTerm] | None:
    """The pod's nodeSelectorTerms, or None without required node affinity."""
    affinity = (pod.get("spec") or {}).get("affinity") or {}
    required = (affinity.get("nodeAffinity") or {}).get(REQUIRED)
    return None if required is None else required.get("nodeSelectorTerms") or ()


def _plan(meaning: Term, terms: Terms, meter: Meter | None, whole: Said) -> list[Choices]:
    """What to add to one term of the pod, once for each term that comes of it; none if no policy term can be met."""
    met: dict[Term, Term] = {}
    if meter:  # all of them are met, as they were when they were asked whether they cover it
        meter.spend(8 + work(terms) + len(terms) * work((meaning,)))
    for t in terms:
        nodes = meaning & t
        if not nodes.impossible:
            met.setdefault(nodes, t)
    wide = widest(met, meter) if len(met) > 1 else met.keys()
    if meter and len(wide) > 1:  # what is missing is told by key, and each key may take several lists of expressions
        meter.spend(2 * work(t for nodes, t in met.items() if nodes in wide))
    return [_missing(meaning, t, whole) for nodes, t in met.items() if nodes in wide]


def _contradicted(meaning: Term, terms: Terms, whole: Said) -> list[Choices]:
    """As `_plan`, where no term of the pod can be met: the pod is to match nothing, and to show why."""
    if meaning.impossible:
        return [[]]
    return [_missing(meaning, terms[0], whole) if terms else [[{"matchExpressions": _CONTRADICTION}]]]


def _missing(meaning: Term, policy: Term, whole: Said) -> Choices:
    """What a policy's term says that the pod's does not yet: for each key, alternatives of what to add.

    Where the pod says nothing of a key, that is the `whole` of what the policy says, the same for all the pod's terms.
    """
    choices: Choices = []
    for key, values in policy.requirements:
        mine = meaning[key]
        if mine == ANY:
            said = whole.get((key, values))
            if said is None:
                said = whole[key, values] = _alternatives(key, mine, values)
            choices.append(said)
        elif not mine <= values:
            choices.append(_alternatives(key, mine, values))
    return choices


def _alternatives(key: str, mine: LabelStates, values: LabelStates) -> list[Addition]:
    additions: Sequence[Addition] = said_by(key, values)
    met = mine & values
    if met.impossible:
        additions = additions[:1]
    elif len(additions) > 1:
        possible = [one for one in additions if not (mine & parse_term(one)[key]).impossible]
        closer = said_by(key, met)
        additions = possible if len(possible) <= len(closer) else closer
    return [_unsaid(key, mine, one) for one in additions]


def _unsaid(key: str, mine: LabelStates, addition: Addition) -> Addition:
    """The expressions of an addition that don't follow from what the pod's term says of the key; never all do."""
    if sum(map(len, addition.values())) == 1:
        return addition
    return {
        field: [e for e in expressions if not mine <= parse_term({field: [e]})[key]]
        for field, expressions in addition.items()
    }


def _values(one: Addition | SelectorTerm) -> int:
    """How many values match expressions list."""
    return sum(len(e.get("values") or ()) for expressions in one.values() for e in expressions or ())


def _values_written(one: SelectorTerm, choices: Choices) -> int:
    """How many values there will be in the terms that come of one, by each way to choose an addition for each key."""
    terms = prod(map(len, choices))
    return terms * _values(one) + sum(terms // len(several) * sum(map(_values, several)) for several in choices)


def _written(one: SelectorTerm) -> int:
    """How many expressions and values a node selector term has."""
    return 1 + sum(1 + len(e.get("values") or ()) // 4 for expressions in one.values() for e in expressions or ())


def _extended(one: SelectorTerm, additions: Iterable[Addition]) -> SelectorTerm:
    extended = dict(one)
    for addition in additions:
        for field, expressions in addition.items():
            extended[field] = [*(extended.get(field) or ()), *expressions]
    return extended


def in_order(value: Any) -> Any:
    """The same with the fields of objects in one order, however the pod that it comes from was written."""
    if isinstance(value, Mapping):
        return {key: in_order(value[key]) for key in sorted(value)}
    return [in_order(item) for item in value] if isinstance(value, (list, tuple)) else value
