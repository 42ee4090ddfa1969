"""engine.language.checker: types of expressions, what is refused, and the warnings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.documents import Excerpt, Problem
from engine.language import mistakes
from engine.language.checker import check, signature
from engine.language.functions import OVERLOADS
from engine.language.mistakes import said
from engine.language.parser import parse
from engine.language.syntax import Call, Node, children
from engine.language.types import BOOL, DOUBLE, DYN, INT, STRING, ObjectType, Type, list_of, map_of, optional_of
from engine.language.unify import free
from engine.program import NAMESPACE, POD, REQUEST
from engine.program.vocabulary import CLUSTER, NODE, POOL, TAINT, params_type
from tests.examples import examples

VARIABLES: Mapping[str, Type] = {
    "pod": POD,
    "pool": POOL,
    "node": NODE,
    "taint": TAINT,
    "request": REQUEST,
    "cluster": CLUSTER,
    "namespaceObject": NAMESPACE,
    "params": params_type({"zones": ["a"], "classes": {"big": ["x"]}, "share": 0.5, "odd": [1, "a"]}),
    "variables": ObjectType("variables", fields={"gpus": INT, "name": STRING}),
    "anything": DYN,
    "i": INT,
    "s": STRING,
    "b": BOOL,
    "d": DOUBLE,
    "list": list_of(INT),
    "map": map_of(STRING, INT),
    "maybe": optional_of(STRING),
}


def checked(
    text: str, result: Type | None = None, conditions: tuple[str, ...] = ()
) -> tuple[Node, tuple[Problem, ...]]:
    excerpt = Excerpt.of(text)
    node, problems = parse(excerpt)
    assert node is not None, problems
    trees = [parse(Excerpt.of(condition))[0] for condition in conditions]
    return check(node, excerpt, VARIABLES, result=result, given=[tree for tree in trees if tree])


def problem_of(text: str, result: Type | None = None) -> Problem:
    _, problems = checked(text, result)
    errors = [problem for problem in problems if problem.severity == "error"]
    assert len(errors) == 1, "\n".join(map(str, problems))
    return errors[0]


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("1", "int"),
        ("1u", "uint"),
        ("null", "null"),
        ("b'a'", "bytes"),
        ("pod.spec", "PodSpec"),
        ("pod.spec.containers[0].?ports", "optional(list(ContainerPort))"),
        ("pod.metadata.?labels[?'a']", "optional(string)"),
        ("pod.metadata.?labels.a", "optional(string)"),
        ("pod.?metadata.labels.a", "optional(string)"),
        ("pod.?spec.?nodeName.orValue('')", "string"),
        ("[optional.of(1)][?0]", "optional(optional(int))"),
        ("pod.spec.containers.map(c, int(c.?resources.?limits[?'gpu'].orValue('0'))).sum()", "int"),
        ("namespaceObject.metadata.labels", "map(string, string)"),
        ("request.userInfo.username", "string"),
        ("cluster.labels['a']", "string"),
        ("params.zones", "list(string)"),
        ("params.classes['big']", "list(string)"),
        ("params.classes.big", "list(string)"),
        ("params.odd[0]", "dyn"),
        ("pool.cpu", "double"),
        ("pool.values['zone'][0]", "string"),
        ("pool.taints.filter(t, t.effect == 'NoSchedule')", "list(Taint)"),
        ("node.labels['a'] + node.zone", "string"),
        ("variables.gpus", "int"),
        ("anything.a.b[0]['c']", "dyn"),
        ("anything + 1", "int"),
        ("anything.startsWith('a')", "bool"),
        ("i < 1.5", "bool"),
        ("dyn(1) == dyn(1.0)", "bool"),
        ("1 in [dyn(1), dyn('a')]", "bool"),
        ("'a' in map", "bool"),
        ("b ? [] : [1]", "list(int)"),
        ("b ? i : anything", "dyn"),
        ("[]", "list(dyn)"),
        ("{}", "map(dyn, dyn)"),
        ("[] + [1]", "list(int)"),
        ("[[], [1], []]", "list(list(int))"),
        ("[{}, {'a': [1]}]", "list(map(string, list(int)))"),
        ("[?maybe, 'a']", "list(string)"),
        ("{?'a': maybe, 'b': 'c'}", "map(string, string)"),
        ("[optional.none(), optional.of(1)]", "list(optional(int))"),
        ("list.map(x, x * 2)", "list(int)"),
        ("list.map(x, x > 1, string(x))", "list(string)"),
        ("list.filter(x, x > 1)", "list(int)"),
        ("map.filter(k, k > 'a')", "list(string)"),
        ("map.map(k, map[k])", "list(int)"),
        ("map.all(k, v, k == string(v))", "bool"),
        ("list.exists(n, x, n == x)", "bool"),
        ("['a'].all(n, x, n == 0 && x == 'a')", "bool"),
        ("list.exists_one(x, x == 1)", "bool"),
        ("anything.all(x, x)", "bool"),
        ("[].map(x, x)", "list(dyn)"),
        ("optional.of({'c': {}}).c.missing.or(optional.none()[0]).orValue('a')", "string"),
        ("['a'].transformList(n, x, n)", "list(int)"),
        ("map.transformMap(k, v, v > 1, k)", "map(string, string)"),
        ("['a'].transformMap(n, x, x)", "map(int, string)"),
        ("map.transformMapEntry(k, v, {v: k})", "map(int, string)"),
        ("list.sortBy(x, -x)", "list(int)"),
        ("maybe.optMap(x, size(x))", "optional(int)"),
        ("maybe.optFlatMap(x, optional.of(size(x)))", "optional(int)"),
        ("maybe.orValue('a')", "string"),
        ("maybe.or(optional.of('a'))", "optional(string)"),
        ("cel.bind(x, 1, x + i)", "int"),
        ("type(1)", "type(int)"),
        ("type(1) == int", "bool"),
        ("type(1) == type('a')", "bool"),
        ("google.protobuf.Timestamp == type(timestamp(0))", "bool"),
        ("timestamp('2026-01-01T00:00:00Z') - timestamp(0)", "duration"),
        ("pod.spec.?affinity.orValue(null) == null", "bool"),
        ("'%s %d'.format([[1, 2.5, 'x'], 1])", "string"),
        ("[1].all(pod, .pod.spec.containers.size() == pod)", "bool"),
        ("list.exists(pod, pod == 1) && pod.metadata.namespace == ''", "bool"),
        ("size([1]) + [1].size() + s.size() + map.size()", "int"),
        ("-i", "int"),
        ("d * 2.0 - -d", "double"),
        ("pod.spec.containers[0].?livenessProbe.?httpGet.?port", "optional(dyn)"),
    ],
)
def test_types(text: str, type_: str) -> None:
    node, problems = checked(text)
    assert [str(problem) for problem in problems if problem.rule != "not-in-kubernetes"] == []
    assert said(node.type) == type_


@pytest.mark.parametrize(
    ("text", "rule", "marked", "message", "help_"),
    [
        ("objekt.spec", "unknown-variable", "objekt", "there is no variable `objekt`", ""),
        ("podd.spec", "unknown-variable", "podd", "`podd`", "did you mean `pod`?"),
        ("object.spec", "unknown-variable", "object", "`object`", "is `pod` here"),
        ("[1].all(x, y == 1)", "unknown-variable", "y", "`y`", ""),
        ("pod.spec.affinty", "unknown-field", "affinty", "`PodSpec` has no field", "did you mean `affinity`?"),
        ("pod.labels['a']", "unknown-field", "labels", "`Pod` has no field `labels`", "`metadata.labels`"),
        ("has(pool.zone)", "unknown-field", "zone", "`Pool` has no field `zone`", "did you mean `zones`?"),
        ("pool.?zone", "unknown-field", "zone", "`Pool` has no field `zone`", "did you mean `zones`?"),
        ("pod.?spec.nodename", "unknown-field", "nodename", "`PodSpec` has no", "`nodeName`"),
        ("variables.gpu > 1", "unknown-field", "gpu", "there is no variable `gpu` in this policy", "`gpus`"),
        ("params.zone", "unknown-field", "zone", "`params` has no field `zone`", "did you mean `zones`?"),
        ("taint.effects", "unknown-field", "effects", "`Taint` has no field", "did you mean `effect`?"),
        ("s.length", "no-fields", "length", "string has no field `length`", "an object or a map"),
        ("has(i.x)", "no-fields", "x", "int has no field `x`", ""),
        ("list.name", "no-fields", "name", "list(int) has no field", "`list.map(x, x.name)`"),
        ("{1: 2}.a", "wrong-index", "a", "map(int, int) can't be of type string", "type int"),
        ("pod['spec']", "not-indexable", "'spec'", "Pod can't be indexed", "write `.spec`"),
        ("s[0]", "not-indexable", "0", "string can't be indexed", ""),
        ("list['a']", "wrong-index", "'a'", "list(int) can't be of type string", "type int"),
        ("map[1]", "wrong-index", "1", "can't be of type int", "type string"),
        ("list[1.0]", "wrong-index", "1.0", "can't be of type double", "type int"),
        ("[1, 2][2]", "index-out-of-range", "2", "index 2 is out of range: the list has 2 elements", ""),
        ("list[-1]", "index-out-of-range", "-1", "index -1 is out of range", "at least 0"),
        ("s.startWith('a')", "unknown-function", "startWith", "no method `startWith`", "`startsWith`"),
        ("startsWith(s, 'a')", "unknown-function", "startsWith", "no function", "a method: `value.startsWith(…)`"),
        ("i.int()", "unknown-function", "int", "there is no method `int`", "it is a function: `int(…)`"),
        ("exists(list, 1)", "unknown-function", "exists", "no function", "it is a method: `list.exists(…)`"),
        ("sizeof(list)", "unknown-function", "sizeof", "no function `sizeof`", "did you mean `size`?"),
        ("optional.off(1)", "unknown-function", "off", "no function `optional.off`", "`optional.of`"),
        ("s.startsWith(1)", "no-matching-overload", "1", "argument 1 of `startsWith` can't be of type int",
         "`string.startsWith(string) -> bool`"),
        ("i.startsWith('a')", "no-matching-overload", "startsWith", "the receiver of `startsWith`", "`string.starts"),
        ("s.startsWith('a', 'b')", "no-matching-overload", "startsWith", "can't be called with (string, string)", ""),
        ("s.startsWith(maybe)", "no-matching-overload", "maybe", "argument 1 of", "`.orValue(…)` gives its value"),
        ("int(list)", "no-matching-overload", "list", "argument 1 of `int` can't be of type list(int)", "`int("),
        ("maybe.orValue(1)", "no-matching-overload", "orValue", "`orValue` can't be called with (int)", ""),
        ("s + i", "no-matching-overload", "+", "`+` can't be applied to string and int", "`string(…)` converts"),
        ("i * d", "no-matching-overload", "*", "`*` can't be applied to int and double", "`double(…)`"),
        ("s > 2", "no-matching-overload", ">", "`>` can't be applied to string and int", "`quantity(…)`"),
        ("maybe < 'a'", "no-matching-overload", "<", "can't be applied to optional(string)", "`.orValue(…)`"),
        ("-s", "no-matching-overload", "-", "`-` can't be applied to string", "`-int` or `-double`"),
        ("-1u", "no-matching-overload", "-", "`-` can't be applied to uint", ""),
        ("pool.cpu - pool.gpus", "no-matching-overload", "-", "to double and int", "`double - double`"),
        ("'a' in 'abc'", "no-matching-overload", "'abc'", "`in` can't be applied", "`text.contains(part)`"),
        ("s == true", "never-equal", "==", "compares string with bool", '`"true"`'),
        ("8 != s", "never-equal", "!=", "compares int with string", '`"8"`'),
        ("i == '8'", "never-equal", "==", "compares int with string", "leave out the quotes: `8`"),
        ("'8' == pool.cpu", "never-equal", "==", "compares string with double", "leave out the quotes: `8.0`"),
        ("i == '64Gi'", "never-equal", "==", "compares int with string", "`dyn()`"),
        ("list in i", "no-matching-overload", "i", "can't be applied to list(int) and int", "`i in list`"),
        ("pool.zones in s", "no-matching-overload", "s", "list(string) and", "swap the sides: `s in pool.zones`"),
        ("pool.zones.includes(s)", "unknown-function", "includes", "no method `includes`", "`x in list`"),
        ("1 == 1.0", "never-equal", "==", "compares int with double, which are never equal", "`1.0` for double"),
        ("1u == 1", "never-equal", "==", "compares uint with int", ""),
        ("s != i", "never-equal", "!=", "`!=` compares string with int", "`dyn()`"),
        ("s == null", "never-equal", "==", "compares string with null", "`has(…)`"),
        ("maybe == 'a'", "never-equal", "==", "compares optional(string) with string", "`.orValue(…)`"),
        ("list == ['a']", "never-equal", "==", "list(int) with list(string)", ""),
        ("pod == pool", "never-equal", "==", "compares Pod with Pool", ""),
        ("2 in [1.0]", "never-equal", "in", "compares int with double", ""),
        ("1 in map", "never-equal", "in", "compares int with string", ""),
        ("pod.metadata.namespace in pool", "no-matching-overload", "pool", "string and Pool", "`element in list`"),
        ("b && s", "not-bool", "s", "this operand of `&&` is of type string", "a bool"),
        ("!i", "not-bool", "i", "the operand of `!` is of type int", "a bool"),
        ("i ? 1 : 2", "not-bool", "i", "the condition of `? :` is of type int", ""),
        ("list.all(x, x)", "not-bool", "x", "the condition of `all` is of type int", ""),
        ("list.map(x, x, x)", "not-bool", "x", "the condition of `map` is of type int", ""),
        ("b ? 1 : 'a'", "branches-differ", "1 : 'a'", "are of types int and string", "`dyn()`"),
        ("s.all(x, true)", "not-iterable", "all", "`all` can't walk over a value of type string", "a list or a map"),
        ("maybe.exists(x, true)", "not-iterable", "exists", "optional(string)", "`.orValue([])`"),
        ("map.sortBy(x, x)", "not-iterable", "sortBy", "map(string, int)", "a list"),
        ("list.sortBy(x, [x])", "not-sortable", "[x]", "can't sort by a value of type list(int)", "an order"),
        ("[?1]", "not-optional", "1", "the element after `?` is of type int", "`optional.of(…)`"),
        ("{?'a': 1}", "not-optional", "1", "the value after `?` is of type int", ""),
        ("s.optMap(x, x)", "not-optional", "s", "the receiver of `optMap` is of type string", ""),
        ("maybe.optFlatMap(x, x)", "not-optional", "x", "the result of `optFlatMap` is of type string", ""),
        ("map.transformMapEntry(k, v, v)", "not-a-map", "v", "this is of type int", "`{key: value}`"),
        ("[1, 'a', 'b']", "mixed-literal", "'a'", "this element is of type string, and the first one of type int", ""),
        ("[1, dyn(2)]", "mixed-literal", "dyn(2)", "this element is of type dyn", "`dyn()` around each"),
        ("['a', null]", "mixed-literal", "null", "of type null", ""),
        ("{'a': 1, 'b': 'c'}", "mixed-literal", "'c'", "this value is of type string", ""),
        ("{'a': 1, 2: 2}", "mixed-literal", "2: 2", "this key is of type int", ""),
        ("{1.0: 2}", "bad-key", "1.0", "double can't be a map's key", "a string, int, uint or bool"),
        ("Pod{}", "no-constructor", "Pod", "no type `Pod`", "a map is written"),
        ("int('x')", "bad-constant", "int('x')", "`int('x')` always fails: cannot convert", ""),
        ("timestamp('nope')", "bad-constant", "timestamp('nope')", "always fails", ""),
        ("duration('1 day')", "bad-constant", "duration('1 day')", "always fails", ""),
        ("s.matches('(')", "bad-pattern", "'('", "does not compile", "RE2"),
        ("matches(s, 'a**')", "bad-pattern", "'a**'", "does not compile", "RE2"),
    ],
)  # fmt: skip
def test_mistakes_point(text: str, rule: str, marked: str, message: str, help_: str) -> None:
    problem = problem_of(text)
    assert problem.rule == rule
    assert message in problem.message
    assert help_ in f"{problem.expected} {problem.hint}"
    assert text[problem.span.start : problem.span.end] == marked.split(": ")[0] if rule == "mixed-literal" else True
    if rule != "mixed-literal":
        assert text[problem.span.start : problem.span.end] == marked


@pytest.mark.parametrize(
    ("text", "result", "rule", "message"),
    [
        ("pod.metadata.namespace", BOOL, "not-bool", "the expression is of type string"),
        ("anything", BOOL, "not-bool", "the expression is of type dyn"),
        ("'a'", DOUBLE, "wrong-result", "the expression is of type string"),
        ("[1]", list_of(STRING), "wrong-result", "the expression is of type list(int)"),
    ],
)
def test_results(text: str, result: Type, rule: str, message: str) -> None:
    problem = problem_of(text, result)
    assert (problem.rule, problem.message) == (rule, message)
    assert (problem.span.start, problem.span.end) == (0, len(text))


@pytest.mark.parametrize(
    ("text", "result"), [("b", BOOL), ("1", DOUBLE), ("1u", DOUBLE), ("d", DOUBLE), ("[]", list_of(INT))]
)
def test_right_results(text: str, result: Type) -> None:
    assert checked(text, result)[1] == ()


def test_one_mistake_is_said_once_and_all_are_said() -> None:
    _, problems = checked("pod.spce.x[0].map(y, y + 1) == s.upper() && foo.bar(1) || s + 1 in [baz, 2] ? i : unknown")
    assert [problem.rule for problem in problems if problem.severity == "error"] == [
        "unknown-field",
        "unknown-function",
        "unknown-variable",
        "no-matching-overload",
        "unknown-variable",
        "unknown-variable",
    ]


@pytest.mark.parametrize(
    "text", ["[1, 'a']", "{'a': 1, 2: null}", "[1][1]", "int('x')", "s.matches('(')", "[[1], ['a']]"]
)
def test_cel_spec_is_more_lenient(text: str) -> None:
    excerpt = Excerpt.of(text)
    node, _ = parse(excerpt)
    assert node is not None
    assert check(node, excerpt, VARIABLES)[1] != ()
    assert check(node, excerpt, VARIABLES, strict=False)[1] == ()


def test_what_kubernetes_lacks_is_marked() -> None:
    _, problems = checked("cel.bind(x, 1, x)")
    assert [(problem.rule, problem.severity) for problem in problems] == [("not-in-kubernetes", "warning")]


def overload_of(text: str) -> str:
    node, problems = checked(text)
    assert not problems
    assert isinstance(node, Call)
    return node.overload


@pytest.mark.parametrize(
    ("text", "overload"),
    [
        ("i + 1", "add_int64"),
        ("i < 1.5", "less_int64_double"),
        ("s == 'a'", "equals"),
        ("b && b", "logical_and"),
        ("i in list", "in_list"),
        ("s in map", "in_map"),
        ("b ? 1 : 2", "conditional"),
        ("[1] + []", "add_list"),
        ("anything + anything", ""),
        ("anything + 1", ""),
        ("anything in list", "in_list"),
        ("anything && b", ""),
        ("1 in anything", ""),
    ],
)
def test_overloads(text: str, overload: str) -> None:
    assert overload_of(text) == overload


def test_examples_of_all_functions_are_well_typed() -> None:
    for overloads in OVERLOADS.values():
        for overload in overloads:
            assert overload.example, overload.id
            node, problems = parse(Excerpt.of(overload.example))
            assert node is not None, (overload.example, problems)
            node, problems = check(node, Excerpt.of(overload.example), {}, result=BOOL)
            assert [str(problem) for problem in problems if problem.severity == "error"] == []


def test_signatures_read_like_calls() -> None:
    shown = {signature(overload) for overload in OVERLOADS["startsWith"]}
    assert shown == {"string.startsWith(string) -> bool"}


def test_every_mistake_has_a_rule_of_its_own() -> None:
    source = inspect.getsource(mistakes)
    rules = set(re.findall(r'Problem\(\s*"([a-z-]+)"', source))
    named = set(re.findall(r"^def ([a-z]\w+)\([^)]*\) -> Problem", source, re.MULTILINE))
    same_rule = {
        "wrong_argument": "no_matching_overload",
        "wrong_operands": "no_matching_overload",
        "backquoted": "not_in_kubernetes",
    }
    assert {same_rule.get(name, name).replace("_", "-") for name in named} == rules


WORDS = [
    "pod",
    "spec",
    "a",
    "list",
    "map",
    "s",
    "i",
    "maybe",
    "anything",
    "params",
    "x",
    "1",
    "1.5",
    "'a'",
    "[]",
    "{}",
    "true",
]
GLUE = [
    ".",
    ".?",
    "[",
    "]",
    "(",
    ")",
    " + ",
    " == ",
    " && ",
    " in ",
    ", ",
    "!",
    "-",
    " ? ",
    " : ",
    "has(",
    ".map(x, ",
    ".all(x, ",
]


@examples(300)
@given(st.lists(st.sampled_from(WORDS + GLUE), max_size=14).map("".join))
def test_whatever_is_read_gets_types(text: str) -> None:
    excerpt = Excerpt.of(text)
    node, _ = parse(excerpt)
    if node is None:
        return
    typed, problems = check(node, excerpt, VARIABLES)
    assert all(str(problem) for problem in problems)
    pending = [typed]
    while pending:
        inner = pending.pop()
        assert not free(inner.type)
        pending += children(inner)
