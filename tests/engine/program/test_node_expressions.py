"""engine.program.node_expressions, against plain evaluation on every node of a small universe, errors included."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.documents import Excerpt, Problem
from engine.language import (
    BOOL,
    DOUBLE,
    INT,
    STRING,
    Budget,
    CelError,
    Node,
    ObjectType,
    Type,
    check,
    compile_expression,
    list_of,
    map_of,
    parse,
)
from engine.nodeselector import FALSE, NOWHERE, Overflow, common
from engine.pools import words_of
from engine.pools.providers import WORDS, ZONE, capacity
from engine.program import vocabulary
from engine.program.node_expressions import EXPECTED, MAX_UNROLLED, compile_cases, compile_truth
from tests.engine.terms import admits
from tests.examples import examples

PARAMS = ObjectType(
    "params",
    fields={"xs": list_of(STRING), "n": INT, "m": map_of(STRING, STRING), "many": list_of(INT), "more": list_of(INT)},
)
ROOTS: dict[str, Type] = {"node": vocabulary.NODE, "params": PARAMS}
VALUES = {
    "xs": ["a", "7"],
    "n": 3,
    "m": {"x": "a", "n": "5"},
    "many": list(range(MAX_UNROLLED)),
    "more": list(range(MAX_UNROLLED + 1)),
}
PROVIDERS = ("", "karpenter", "gke", "eks", "aks", "kops")

BIG = [str(n + d) for n in (2**53, 2**53 + 2, 2**62, 2**63 - 1024) for d in (-1, 0, 1, 2)]
NODES = [
    {key: value for key, value in zip(("x", "n", ZONE), states, strict=True) if value is not None}
    for states in product((None, "a", "b", "7"), (None, "", "0", "1", "03", "5", "z"), (None, "a"))
] + [{"big": text} for text in BIG]
CAPACITY: dict[str, list[dict[str, str]]] = {
    "": [{}],
    "kops": [{}],
    "karpenter": [{}, *({"karpenter.sh/capacity-type": t} for t in ("spot", "on-demand", "reserved", "odd"))],
    "gke": [{}, {"cloud.google.com/gke-spot": "true"}, {"cloud.google.com/gke-preemptible": "true"}],
    "eks": [{}, *({"eks.amazonaws.com/capacityType": t} for t in ("SPOT", "ON_DEMAND", "CAPACITY_BLOCK", "odd"))],
    "aks": [
        {},
        {"kubernetes.azure.com/scalesetpriority": "spot"},
        {"kubernetes.azure.com/scalesetpriority": "regular"},
    ],
}


def checked(text: str, result: Type = BOOL) -> tuple[Node, Excerpt]:
    excerpt = Excerpt.of(text)
    node, problems = parse(excerpt)
    assert node is not None, problems
    node, more = check(node, excerpt, ROOTS, result=result)
    assert not [problem for problem in (*problems, *more) if problem.severity == "error"]
    return node, excerpt


def seen(labels: dict[str, str], provider: str) -> dict[str, object]:
    """The node as plain evaluation would see it."""
    words = {word: labels[key] for word, key in WORDS.items() if key in labels}
    rule = capacity(provider)
    said = rule.of(labels) if rule else None
    return {"labels": labels, **words, **({"capacityType": said} if said else {})}


def agree(text: str) -> None:
    node, excerpt = checked(text)
    truth, plain = compile_truth(node, ("params",), excerpt), compile_expression(node, ("params", "node"))
    assert not isinstance(truth, Problem), str(truth)
    for provider in PROVIDERS:
        true, false = truth((Budget(10**6), VALUES), words_of(provider))
        for labels, more in product(NODES, CAPACITY[provider]):
            here = {**labels, **more}
            try:
                expected = plain(Budget(10**6), VALUES, seen(here, provider))
            except CelError:
                expected = None
            said = (admits(true, here), admits(false, here))
            assert said == (expected is True, expected is False), (text, provider, here)


STRINGS = st.sampled_from(
    [
        'node.labels["x"]',
        "node.labels.x",
        "node.zone",
        "dyn(node.zone)",
        "node.capacityType",
        'node.labels[?"x"].orValue("b")',
        'node.?zone.orValue("b")',
        '(has(node.labels.x) ? node.labels.x : "a")',
        '(node.capacityType == "spot" ? "a" : node.zone)',
        '(params.n > 2 ? node.labels["x"] : "b")',
        'node.labels[params.xs[1] == "7" ? "x" : "n"]',
        'string(node.labels["x"])',
    ]
)
CONSTANTS = st.sampled_from(
    ['"a"', '"b"', '"7"', '"spot"', '"on-demand"', '"no label"', "params.xs[0]", "params.xs[5]"]
)
NUMBERS = st.sampled_from(['int(node.labels["n"])', 'int(node.labels["x"])', 'int(node.labels[?"n"].orValue("3"))'])
BOUNDS = st.sampled_from(["0", "1", "3", "5", "-2", "params.n", "9223372036854775807", "1.5", "2u"])
ORDERS = st.sampled_from(["<", "<=", ">", ">="])
ALONE = [
    "has(node.labels.x)",
    '"x" in node.labels',
    "params.xs[0] in node.labels",
    "has(node.zone)",
    "has(node.capacityType)",
    "node.?zone.hasValue()",
    'node.labels[?"n"].hasValue()',
    "params.xs.exists(v, node.labels.x == v)",
    "params.xs.all(v, node.labels.x != v)",
    "params.xs.exists(i, v, node.labels.x == v && i > 0)",
    "params.n == 3",
    '(has(node.zone) ? "a" : params.xs[9]) == (has(node.zone) ? "a" : params.xs[9])',
    "params.xs[9] == node.zone",
    "params.m.all(k, k in node.labels)",
    "params.m.exists(k, v, node.labels[k] == v)",
    'params.xs.all(v, node.labels["x"] == v || node.labels["n"] == "5")',
    '["x", "topology.kubernetes.io/zone", "n", "x"].all(k, k in node.labels)',
    '["x", "n", "x", "topology.kubernetes.io/zone"].all(k, k in node.labels)',
    "params.m.all(k, v, node.labels[k] != v)",
    "[].all(x, has(node.zone) && x == 1)",
    "[].exists(x, has(node.zone) && x == 1)",
    "params.many.exists(i, int(node.labels.n) == i)",
    '"a" in [node.labels["x"], node.labels["n"]]',
    "params.xs[9] in [node.zone]",
    "dyn(node.zone) in params.xs",
    '(params.xs[0] == "a" ? node.zone : params.xs[9]) == "a"',
    '(has(node.zone) ? node.labels["x"] : "b") == "b"',
    '(node.labels["x"] == "a" ? true : has(node.zone)) == false',
    'node.?zone.value() == "a"',
    'node.labels[?"x"].value() != "a"',
    "string(dyn(node.zone)) == dyn(params.xs[0])",
    'string(dyn(has(node.zone) ? dyn(1) : dyn(node.labels["x"]))) == "a"',
    "dyn(int(node.labels.n)) == dyn(1.0)",
    "dyn(int(node.labels.n)) != dyn(1.5)",
    "int(dyn(has(node.zone) ? dyn(true) : dyn(5))) == 5",
    'int(has(node.zone) ? "3" : node.labels.n) >= 3',
    'int(has(node.zone) ? "x" : node.labels.n) >= 3',
    "int(node.labels.n) < 2 || int(node.labels.n) >= 5",
    'dyn(int(node.labels.n)) in [dyn(1), dyn(5.0), dyn("a")]',
]
# where known values meet what labels say, they are what they would be in any other expression
ALONE += [
    "(has(node.zone) ? 1 : 2) < 2",
    "(has(node.zone) ? 1 : 2) <= 1",
    "2 > (has(node.zone) ? 1 : 2)",
    "2 >= (has(node.zone) ? 3 : 2)",
    '(has(node.zone) ? "a" : "c") < "b"',
    "dyn(has(node.zone) ? dyn(1) : dyn(true)) < dyn(2)",
    "5 > int(node.labels.n)",
    "3 <= int(node.labels.n)",
    "int(node.labels.n) <= 0",
    "int(node.labels.n) < 1",
    "int(node.labels.n) > 9223372036854775806",
    'node.?zone == optional.of("a")',
    'optional.of("a") != node.labels[?"x"]',
    "node.?zone == optional.none()",
    "optional.none() != node.?zone",
    'node.?zone in [optional.of("a"), optional.none()]',
    '(has(node.zone) ? optional.of("b") : node.labels[?"x"]).orValue("q") == "b"',
    '(params.n > 2 ? optional.of("b") : node.?zone).orValue("q") == "b"',
    'optional.of("z").orValue(node.zone) == "z"',
    "(has(node.zone) ? optional.of(1) : optional.of(3)).value() < 2",
    'optional.none().orValue(node.zone) == "a"',
    "params.?n.orValue(int(node.labels.n)) > 2",
    '(has(node.zone) ? optional.none() : optional.of("a")).hasValue()',
    '(has(node.zone) ? optional.none() : optional.of("a")) == optional.none()',
    '(has(node.zone) ? optional.of("a") : node.labels[?"x"]).value() == "a"',
    '(has(node.zone) ? "a" : "b") < "b"',
    "has(node.zone) < has(node.labels.x)",
    '(has(node.zone) ? 1.0 : double("NaN")) < 2.0',
    '(has(node.zone) ? dyn(1) : dyn("a")) < dyn(2)',
    'int(node.labels.n) < double("NaN")',
    'dyn(int(node.labels.n)) == dyn(double("NaN"))',
    'int(node.labels.n) < double("Infinity")',
    'int(node.labels.n) >= double("-Infinity")',
    'int(node.labels.n) <= double("Infinity")',
    'int(node.labels.n) > double("Infinity")',
    'string(node.labels["x"]) == "a"',
    '"a" in [node.labels["x"], node.zone, "b"]',
    'int(node.labels.n) < double("-Infinity")',
    "int(dyn(int(node.labels.n))) == 5",
    "int(dyn(has(node.zone) ? dyn(1.7) : dyn(node.labels.n))) == 1",
    "int(dyn(has(node.zone) ? dyn([1]) : dyn(node.labels.n))) == 1",
    'string(dyn(has(node.zone) ? dyn(true) : dyn(node.labels.x))) == "true"',
    "node.labels.x in dyn(5)",
    '(has(node.zone) ? dyn(3) : dyn(node.labels[?"x"])).orValue("b") == "b"',
    '(dyn(params.n) ? node.zone : "b") == "b"',
    "(has(node.zone) || dyn(params.n)) == false",
    "[1].all(i, !(has(node.zone) || dyn(i)))",
    'dyn(node.zone).orValue("b") == "b"',
    "!dyn(node.zone).hasValue()",
    '(has(node.zone) ? dyn(optional.of("z")) : dyn(3)).orValue("b") == "b"',
    'node.labels[?dyn(null)].orValue("b") == "b"',
    'node.labels[?dyn(5)].orValue("b") == "b"',
    '!("/metadata.name" in node.labels)',
    'node.labels["/metadata.name"] == "a"',
    '["gpu", "a"].exists(params, .params.n == 3 && node.zone == params)',
    'node.labels.x in dyn({"a": 1})',
    "dyn(node.labels.x) == 7",
    "dyn(node.labels.n) in [dyn(1), dyn(null)]",
]
PRESENCE = st.sampled_from(ALONE)
LISTS = st.sampled_from(['["a", "b"]', "params.xs", "[]", '["a", "no label"]', "params.xs.map(v, v + v)"])
ATOMS = st.one_of(
    st.tuples(STRINGS, st.sampled_from(["==", "!="]), CONSTANTS).map(" ".join),
    st.tuples(CONSTANTS, st.sampled_from(["==", "!="]), STRINGS).map(" ".join),
    st.tuples(STRINGS, st.just("in"), LISTS).map(" ".join),
    st.tuples(NUMBERS, ORDERS, BOUNDS).map(" ".join),
    st.tuples(BOUNDS, ORDERS, NUMBERS).map(" ".join),
    st.tuples(NUMBERS, st.sampled_from(["==", "!="]), st.sampled_from(["3", "5", "-1"])).map(" ".join),
    st.tuples(CONSTANTS, st.just("in"), st.just('["a", node.zone, node.labels["x"]]')).map(" ".join),
    PRESENCE,
)
EXPRESSIONS = st.recursive(
    ATOMS.map(lambda text: f"({text})"),
    lambda inner: st.one_of(
        inner.map(lambda text: f"!{text}"),
        st.tuples(inner, st.sampled_from(["&&", "||", "==", "!="]), inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} ? {parts[1]} : {parts[2]})"),
    ),
    max_leaves=4,
)


@examples(300, mutation=5)
@given(EXPRESSIONS)
def test_a_condition_says_what_evaluation_says_on_every_node(text: str) -> None:
    """True, false and error fall on the same nodes, for every provider."""
    agree(text)


@pytest.mark.parametrize("text", ALONE)
def test_each_construct_by_itself(text: str) -> None:
    """Not only where chance puts it."""
    agree(text)
    agree(f"!({text})")


def test_large_integers_beside_a_double() -> None:
    """Several integers are one double from 2^53 on."""
    for number in ("9007199254740992.0", "9007199254740994.0", "9223372036854775807.0", "4611686018427387904.0"):
        for order in ("<", "<=", ">", ">="):
            agree(f'int(node.labels["big"]) {order} {number}')
        agree(f'dyn(int(node.labels["big"])) in [dyn({number}), dyn(3)]')


def test_what_is_nowhere_takes_no_terms_whatever_it_meets() -> None:
    many = Overflow((NOWHERE,))
    assert common(FALSE, many) is FALSE
    assert common(many, FALSE) is FALSE


def test_a_list_that_is_too_long_to_unroll_is_an_error() -> None:
    """Which may be absorbed, as any other."""
    for text in ("params.more.all(i, i >= 0 || has(node.zone))", "params.more.exists(i, has(node.zone))"):
        node, excerpt = checked(text)
        truth = compile_truth(node, ("params",), excerpt)
        assert not isinstance(truth, Problem)
        assert truth((Budget(10**6), VALUES), words_of("")) == (FALSE, FALSE)


@pytest.mark.parametrize(
    "text",
    [
        'node.labels["x"] != "a"',
        '!("x" in node.labels) || node.labels["x"] != "a"',
        'node.labels["x"] == "no label"',
        'node.labels["not a key!"] == "a"',
        'int(node.labels["n"]) >= 0',
        'int(node.labels["n"]) > -5',
        'int(node.labels["n"]) <= 9223372036854775807',
        "double(params.n) > 2.5 && has(node.zone)",
    ],
)
def test_traps(text: str) -> None:
    """What an affinity says differently from CEL, or can't say as written, comes out right."""
    agree(text)


@pytest.mark.parametrize(
    ("text", "marked", "what"),
    [
        ('node.zone.startsWith("eu-")', 'node.zone.startsWith("eu-")', "`startsWith` of a node's label"),
        ("node.zone == node.region", "node.zone == node.region", "comparing one label of a node with another"),
        ('node.zone < "m"', 'node.zone < "m"', "the order of strings"),
        ('has(node.zone) && node.zone.matches("eu-.*")', 'node.zone.matches("eu-.*")', "`matches` of a node's label"),
        ("node.labels.exists(k, k == 'x')", "node.labels", "walking over a node's labels"),
        ("size(node.labels) > 3", "size(node.labels)", "`size` of a node's label"),
        ('node.zone + "a" == "b"', 'node.zone + "a"', "`+` of a node's label"),
        ("node.labels == {'a': 'b'}", "node.labels", "a node's labels as a whole"),
        ("node == node", "node", "`node` as a whole"),
        ("node.zone in [node.region]", "node.zone", "comparing one label of a node with another"),
        ("node.zone in node.labels", "node.zone", "a key that another label of the node says"),
        ("node.labels[node.zone] == 'a'", "node.labels[node.zone]", "this use of `node`"),
        (
            "[1, 2].map(x, x + size(node.labels)) == [1]",
            "[1, 2].map(x, x + size(node.labels))",
            "`map` over a node's labels",
        ),
        ("'a' in [node.zone].map(z, z)", "[node.zone].map(z, z)", "`map` over a node's labels"),
        ("[node.zone][0] == 'a'", "[node.zone][0]", "this use of `node`"),
        ("string(dyn(int(node.labels.n))) == '5'", "string(dyn(int(node.labels.n)))", "`string` of a node's label"),
        ("-int(node.labels.n) == 5", "-int(node.labels.n)", "`-` of a node's label"),
        (
            "params.xs.exists_one(x, x == node.zone)",
            "params.xs.exists_one(x, x == node.zone)",
            "`exists_one` over a node's labels",
        ),
    ],
)
def test_what_an_affinity_cannot_say_is_refused_in_its_place(text: str, marked: str, what: str) -> None:
    """The caret stands under the smallest part that is to blame, and the message names it."""
    node, excerpt = checked(text)
    problem = compile_truth(node, ("params",), excerpt)

    assert isinstance(problem, Problem)
    assert problem.rule == "not-an-affinity"
    assert text[problem.span.start : problem.span.end] == marked
    assert problem.message == f"{what} is not something that an affinity can say"
    assert problem.expected == EXPECTED


def test_a_score_by_node_has_a_case_for_each_number() -> None:
    """Which nodes weigh what; a number that a label says is refused, for nobody could write it down."""
    node, excerpt = checked('node.capacityType == "spot" ? 60 : 10', DOUBLE)
    cases = compile_cases(node, ("params",), excerpt)
    assert not isinstance(cases, Problem)
    weights = {value: terms for terms, value in cases((Budget(10**6), VALUES), words_of("karpenter"))}

    assert set(weights) == {60, 10}
    assert admits(weights[60], {"karpenter.sh/capacity-type": "spot"})
    assert not admits(weights[10], {"karpenter.sh/capacity-type": "spot"})

    node, excerpt = checked("int(node.labels.weight)", DOUBLE)
    refused = compile_cases(node, ("params",), excerpt)
    assert isinstance(refused, Problem)
    assert refused.message == "a number that a node's label says is not something that an affinity can say"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_capacity_type_is_said_by_disjoint_labels(provider: str) -> None:
    """One case for each type that the provider has a label for; the rest lack it, or are on-demand."""
    word, rule = words_of(provider)["capacityType"], capacity(provider)
    for labels in CAPACITY[provider]:
        said = [value for nodes, value in word.cases if admits(nodes, labels)]
        expected = rule.of(labels) if rule else None
        assert said == ([expected] if expected else [])
        assert admits(word.missing, labels) == (expected is None)
    assert all(nodes != FALSE for nodes, _ in word.cases)
