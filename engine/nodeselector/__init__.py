"""What a node may be: sets of label states, their conjunctions (terms) and disjunctions (node selectors).

This is the algebra that everything else counts in: pools are told apart in it, expressions over `node` are compiled to
it, and affinity is read from it and written to it. It knows nothing of pods or policies. Start with `states.py`, then
`term.py` (one node selector term) and `terms.py` (several, and the limits).

**States.** To a scheduler a label of a node is in one of these states: absent, or one string. Not any string: the API
server refuses a node whose label has more than 63 characters, blanks, or a sign in front, so such a string is no state
at all, and a set that "holds" it simply does not. (That is why a value that can't be a label never has to be dealt
with after construction, and why an integer that is a label is never negative: a minus can't come first.)

**LabelStates** is a set of states. Kubernetes compares a label in three ways: with strings, by presence, and, where the
label parses as an int64 (Go's `strconv.ParseInt(v, 10, 64)`: `007` is 7, `1.5` and 2^63 are no integers), with an
integer bound. So every set that can be said, and all intersections, unions and complements, are made of four facts:

    absent   is the absent label in?
    others   are the strings that are no integers in, those of `odd` aside?
    spans    which integers are in, those of `odd` aside: disjoint, not adjacent, ascending, ends included, 0..2^63-1
    odd      the finitely many strings for which that answer is the wrong way round

    In [a, b]      absent=False  others=False  spans=()            odd={a, b}
    NotIn [a]      absent=True   others=True   spans=0..2^63-1     odd={a}
    Exists         absent=False  others=True   spans=0..2^63-1     odd={}
    Gt 4, NotIn 7  absent=False  others=False  spans=5..2^63-1     odd={7}

This is a Boolean algebra: `&`, `|`, `-` and `~` always have an answer. Equal sets are equal values, which makes `==`
the test for meaning the same, and `impossible` that for having no state left. One detail is needed for that: the
integer 7 has 63 spellings (`7`, `07`, ... up to 63 characters), so {7} as a span less some spellings can be the same
set as the other spellings listed. The spelling that wins is that a span holds an integer if more than half of its
spellings are in; 23 odd spellings of one integer are needed before it matters.

**Emission** is narrower than the algebra. A requirement list says `In`, or `NotIn`, or bounds; a union of those takes
several node selector terms, so `alternatives` gives a list of expression lists, pairwise disjoint: any one of them must
hold. Presence without being an integer can't be said at all (`Inexpressible`); no union or intersection of what can be
said leads there, only complements of bounds. Bounds are strict and must be label values themselves, so never negative:
`>= 0` is said by `Lt` alone, and "any integer" takes two lists, for neither `Gt -1` nor `Lt 2^63` exists.

**A Term** maps label keys to LabelStates, as one node selector term does, and is the product of these sets: impossible
as soon as one of them is, everywhere if there is none. Only one spelling is kept of each (no key with ANY, one
NOWHERE), so here too equal means equal. The node's name (`matchFields: metadata.name`) is one more key, `NODE_NAME`,
that no label can have; its values are marked by the same slash, so that a node called `7` is never taken for an
integer. Mind that Kubernetes' *empty* term matches nothing: `parse_term` reads it as NOWHERE, and EVERYWHERE is never
emitted.

**Terms** is a disjunction, in canonical order. `implies` splits: what is left of a term when another is taken from it
is again a few disjoint terms, and nothing left means covered. That can take exponentially many steps, so it has a
budget, and past it the answer is no, which is safe: something is written although it already held.

**Work.** What pairs up terms takes a `Meter`, and pays for it before it is done, by the sizes of what is given: a unit
is half a microsecond. Many requirements on one key (`together`), and many terms that differ in one, become one
set at once, which is no work to speak of.

**Limits.** What would take more than MAX_TERMS terms or MAX_VALUES values raises `TooMany`. `union` and `common` give
an `Overflow` instead, for what they make may never be asked for; `within_limit` raises where it is.
"""

from engine.nodeselector.states import (
    ABSENT,
    ANY,
    EXISTS,
    MAX_INTEGER,
    NODE_NAME,
    Expression,
    LabelStates,
    all_of,
    from_expression,
    integers,
    integers_in,
    label_key,
    none_of,
    one_of,
)
from engine.nodeselector.term import (
    EVERYWHERE,
    FALSE,
    NOWHERE,
    TRUE,
    Term,
    Terms,
    parse_term,
    said_by,
    state_of,
    term_of,
    together,
)
from engine.nodeselector.terms import (
    MAX_TERMS,
    MAX_VALUES,
    TERMS,
    Meter,
    Overflow,
    TooMany,
    affordable,
    both,
    bytes_of,
    can_be_said,
    common,
    covered,
    difference,
    disjoint,
    implies,
    pay_for_pairs,
    simplify,
    union,
    where,
    widest,
    within_limit,
    work,
)

__all__ = [
    "ABSENT",  # the LabelStates of a label that the node lacks: DoesNotExist
    "ANY",  # the LabelStates of a label of which nothing is asked
    "EVERYWHERE",  # the Term of every node: nothing is asked
    "EXISTS",  # the LabelStates of a label that is present, whatever its value
    "FALSE",  # the Terms of no node: none
    "MAX_INTEGER",  # 2^63-1, the largest integer that a label is compared as
    "MAX_TERMS",  # 1,000 node selector terms at most
    "MAX_VALUES",  # 10,000 values at most, in all terms together
    "NODE_NAME",  # the key of a node's name in a Term
    "NOWHERE",  # the Term of no node
    "TERMS",  # "node selector terms": what there is too much of, in messages
    "TRUE",  # the Terms of every node: EVERYWHERE alone
    "Expression",  # a match expression as JSON: key, operator, values
    "LabelStates",  # a set of the states that one label may be in
    "Meter",  # who pays for work: a request's budget, charged before the work is done
    "Overflow",  # Terms of which there are too many to say; no error until `within_limit`
    "Term",  # LabelStates by label key, all of which a node must meet
    "Terms",  # a tuple of Term, one of which a node must meet
    "TooMany",  # the error of more terms or values than are allowed
    "affordable",  # raises TooMany where Terms take too many node selector terms or values
    "all_of",  # the LabelStates that several have in common
    "both",  # the nodes of two Terms; raises TooMany
    "bytes_of",  # what it takes to keep terms, in bytes, at most
    "can_be_said",  # whether node selector terms can say a Term
    "common",  # the nodes of two Terms, or an Overflow
    "covered",  # whether all nodes of one Term are nodes of Terms; the pairs have been paid for
    "difference",  # the nodes of one Terms that are not of another; raises TooMany
    "disjoint",  # the same nodes in terms that share none; raises TooMany
    "from_expression",  # the LabelStates that one match expression admits
    "implies",  # whether all nodes of one Terms are nodes of another; no may mean unproven
    "integers",  # the LabelStates of integers from low to high, ends included
    "integers_in",  # the LabelStates of integers in one of several spans, ends included
    "label_key",  # a label's key as given, empty for that of the node's name
    "none_of",  # the LabelStates of NotIn
    "one_of",  # the LabelStates of In
    "parse_term",  # the Term that a node selector term of a pod says
    "pay_for_pairs",  # pays for each term of one Terms to meet each of another
    "said_by",  # the node selector terms that say one requirement
    "simplify",  # the same nodes in fewer terms; raises TooMany
    "state_of",  # the state that a node is in, by a key of a Term
    "term_of",  # the Term of LabelStates by key
    "together",  # the LabelStates by key of many requirements, all of which must hold
    "union",  # the nodes of any of several Terms, or an Overflow
    "where",  # the Terms of one label's LabelStates
    "widest",  # terms without those within another
    "within_limit",  # the Terms given; raises TooMany for an Overflow
    "work",  # what one look at each of some terms takes of a Meter
]
