"""States of a label, and nodes, few enough to try them all; sets of states and terms over them to draw from."""

from __future__ import annotations

from hypothesis import strategies as st

from engine.nodeselector.states import (
    ABSENT,
    ANY,
    EXISTS,
    MAX_INTEGER,
    NODE_NAME,
    NONE,
    LabelStates,
    integers,
    none_of,
    one_of,
)
from engine.nodeselector.term import (
    Term,
    Terms,
    named,
    not_named,
    term_of,
)
from tests.engine.matching import nodes
from tests.engine.terms import admits

STRINGS = ["", "a", "b", "1", "01", "2", "9223372036854775808"]
BOUNDS = [-1, 0, 1, 2, 3, MAX_INTEGER - 1, MAX_INTEGER]
# One state for each way that sets made of these can differ: the strings themselves, of each integer near a bound a
# spelling that no set mentions, one integer far from all, one string that no set mentions.
STATES: list[str | None] = [None, "zz", "1.5", "x1", *STRINGS, *(str(n).zfill(40) for n in {*BOUNDS, 4, 99} - {-1})]
sets = st.recursive(
    st.one_of(
        st.sampled_from([ANY, NONE, EXISTS, ABSENT]),
        st.lists(st.sampled_from(STRINGS), max_size=3).map(one_of),
        st.lists(st.sampled_from(STRINGS), max_size=3).map(none_of),
        st.builds(integers, st.sampled_from(BOUNDS), st.sampled_from(BOUNDS)),
    ),
    lambda inner: st.one_of(
        st.builds(LabelStates.__and__, inner, inner),
        st.builds(LabelStates.__or__, inner, inner),
        st.builds(LabelStates.__sub__, inner, inner),
        st.builds(LabelStates.__invert__, inner),
    ),
    max_leaves=5,
)


def members(values: LabelStates) -> set[str | None]:
    return {state for state in STATES if values.holds(state)}


def labels_of(state: str | None) -> dict[str, str]:
    return {} if state is None else {"k": state}


def spellings(number: int) -> list[str]:
    return [str(number).zfill(length) for length in range(len(str(number)), 64)]


# Terms, over a universe of three labels and two names

KEY_STATES: dict[str, list[str | None]] = {
    "a": [None, "x", "y", "zz"],
    "b": [None, "", "zz", "0", "1", "01", "02", "3", "7", "07", "8"],
    "c": [None, "x", "zz"],
}

UNIVERSE = list(nodes(KEY_STATES, ("n1", "n2", "n3", "n4")))
EXPRESSIBLE = {
    "a": [one_of("x"), one_of("xy"), none_of("x"), none_of("xy"), EXISTS, ABSENT, ABSENT | one_of("y")],
    "b": [integers(1), integers(0, 2), integers(2, 7), one_of(["1", ""]), none_of(["7"]), ABSENT | integers(3)],
    "c": [one_of("x"), ABSENT, EXISTS],
    NODE_NAME: [named(["n1"]), named(["n1", "n2"]), not_named(["n1"]), not_named(["n1", "n3"])],
}

terms = st.fixed_dictionaries({}, optional={k: st.sampled_from(vs) for k, vs in EXPRESSIBLE.items()}).map(term_of)


def where(found: Terms | list[Term]) -> set[int]:
    return {i for i, (labels, name) in enumerate(UNIVERSE) if admits(tuple(found), labels, name)}
