"""engine.language.estimate: Kubernetes' numbers where it has some, and sizes of types, constants and expressions."""

from __future__ import annotations

import pytest

from engine.documents import Excerpt
from engine.language.checker import check
from engine.language.estimate import (
    EXPRESSION_LIMIT,
    LARGE,
    PLACE,
    TEXT,
    Estimate,
    Size,
    estimate,
    size_of_type,
    size_of_value,
    too_expensive,
)
from engine.language.parser import parse
from engine.language.types import BOOL, BYTES, DYN, INT, STRING, TIMESTAMP, Type, list_of, map_of
from engine.program import vocabulary

ROOTS: dict[str, Type] = {
    "pod": vocabulary.POD,
    "pool": vocabulary.POOL,
    "params": DYN,
    "a": BOOL,
    "b": BOOL,
    "number": INT,
    "moment": TIMESTAMP,
    "text": STRING,
    "part": STRING,
    "data": BYTES,
    "numbers": list_of(INT),
    "texts": list_of(STRING),
    "lists": list_of(list_of(INT)),
    "words": map_of(STRING, STRING),
}


def cost(text: str, /, **sizes: Size) -> Estimate:
    excerpt = Excerpt.of(text)
    node, problems = parse(excerpt)
    assert node is not None, problems
    checked, problems = check(node, excerpt, ROOTS)
    assert [str(problem) for problem in problems if problem.severity == "error"] == []
    return estimate(checked, sizes)


LONG = {"text": Size(500, STRING), "part": Size(500, STRING), "data": Size(500, BYTES)}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # numbers of cel-go's own tests (checker/cost_test.go), the upper end of each range
        ('"Hello World!"', 0),
        ("numbers", 1),
        ('words["key"]', 2),
        ("pod.kind", 2),
        ("has(pod.metadata.labels)", 2),
        ("[1, 2, 3]", 10),
        ('{"a": 1, "b": 2, "c": 3}', 30),
        ("[1, 2, 3].all(x, true)", 20),
        ("text.matches('[0-9]')", 103),
        ("'123'.matches('[0-9]')", 2),
        ("true || false", 0),
        ("a || b || a || b", 4),
        ("a && b && a && b", 4),
        ("1 < 2", 1),
        ("1 == 2", 1),
        ("2 in [1, 2, 3]", 13),
        ("1 + 1", 1),
        ("true ? 1 : 2", 0),
        ('size("123")', 1),
        ("string(data)", 51),
        ("bytes(text)", 51),
        ("string(1)", 1),
        ("text.contains(part)", 2502),
        ("text.startsWith(part)", 52),
        ("text + part", 102),
    ],
)
def test_costs_are_those_of_cel_go(text: str, wanted: int) -> None:
    assert cost(text, **LONG).cost == wanted


def test_a_loop_in_a_loop_costs_what_cel_go_says() -> None:
    inner = Size(10, list_of(INT))
    assert cost("lists.all(x, x.all(y, true))", lists=Size(50, ROOTS["lists"], value=inner)).cost == 1752
    assert cost("numbers.all(x, true)", numbers=Size(100, ROOTS["numbers"])).cost == 302


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ('"abc"', 3),
        ('"abc" + "de"', 5),
        ("[1, 2] + [3]", 3),
        ("[1, 2].map(x, [x])", 2),
        ("texts", LARGE),
        ("text", TEXT),
        ("pod.metadata.name", 253),
        ("pod.spec.containers[0].name", 63),
        ('pool.labels["a"]', 63),
        ("pool.zones", LARGE),
        ("pool.zones[0]", 63),
        ('"abc".split("")', 3),
        ('"a,b".split(",", 1)', 1),
        ('["abc", "de"].join(", ")', 10),
        ('"aaa".replace("a", "bcd")', 15),
        ("lists.range(7)", 7),
        ("a ? [1] : [1, 2, 3]", 3),
        ("texts.map(t, t + t)[0]", 2 * TEXT),
        ("pod.metadata.?labels.orValue({})", LARGE),
        ("words.filter(k, true)", LARGE),
        ('"%s!".format(["abc"])', 6),
    ],
)
def test_sizes_follow_from_what_stands_there(text: str, size: int) -> None:
    assert cost(text).size.own == size


def test_constants_of_the_bundle_have_their_own_sizes() -> None:
    params = size_of_value({"zones": ["eu-1a", "eu-1b"], "classes": {"general": ["a"], "large": ["b", "c", "d"]}})
    assert cost("text in params.zones", params=params).cost == 1 + 2 + 2
    assert cost('params.classes["large"]', params=params).size.own == 3
    assert cost("params.classes[text]", params=params).size.own == 3
    assert cost("params.zones[0]", params=params).size.own == 5


def test_elements_at_one_place_are_counted_together() -> None:
    nested = cost("pod.spec.containers.all(c, c.?env.orValue([]).all(e, true))")
    assert nested.most is not None
    assert nested.most.loops == (("all", LARGE), ("all", PLACE // LARGE))
    alone = cost("pod.spec.containers[0].?env.orValue([]).all(e, true)")
    assert alone.most is not None
    assert alone.most.loops == (("all", LARGE),)


CONTAINERS = "pod.spec.containers"

MOUNTS = "c.?volumeMounts.orValue([])"


@pytest.mark.parametrize(
    "text",
    [
        f"{CONTAINERS}.all(c, c.image.matches('^registry[.]example[.]com/[a-z]+'))",
        f"{CONTAINERS}.all(c, c.?env.orValue([]).all(e, e.?value.orValue('').matches('^[a-z]+://[^/]+/[0-9]{{3}}$')))",
        f"{CONTAINERS}.all(a, {CONTAINERS}.exists_one(b, b.name == a.name))",
        f"{CONTAINERS}.all(c, {MOUNTS}.all(m, pod.spec.?volumes.orValue([]).exists(v, v.name == m.name)))",
        f"({CONTAINERS} + pod.spec.?initContainers.orValue([])).all(c, c.name.startsWith('a'))",
        "pool.taints.all(t, pod.spec.?tolerations.orValue([]).exists(o, o.?key.orValue('') == t.key))",
        "pod.metadata.?annotations.orValue({}).all(k, v, v.contains('secret') || k.matches('^[a-z./]+$'))",
    ],
)
def test_what_reasonable_policies_do_is_allowed(text: str) -> None:
    assert cost(text).cost <= EXPRESSION_LIMIT


@pytest.mark.parametrize(
    "text",
    [
        f"{CONTAINERS}.all(a, {CONTAINERS}.all(b, {CONTAINERS}.all(c, a.name != b.name || b.name != c.name)))",
        f"{CONTAINERS}.all(a, {MOUNTS.replace('c.', 'a.')}.all(m, {CONTAINERS}.all(c, {MOUNTS}.all(n, m == n))))",
        "lists.range(1000000).all(x, x >= 0)",
        "lists.range(1000).all(x, lists.range(1000).all(y, x + y >= 0))",
        "texts.map(t, texts.map(u, t + u).join()).join().matches('(a|b)*c')",
        "[text].map(a, a + a + a + a).map(b, b + b + b + b)" + ".map(c, c + c + c + c)" * 8 + ".size() > 0",
    ],
)
def test_what_may_take_too_long_is_refused(text: str) -> None:
    found = cost(text)
    problem = too_expensive(found, Excerpt.of(text))
    assert found.cost > EXPRESSION_LIMIT
    assert problem is not None
    assert problem.rule == "too-expensive"
    assert f"{found.cost:,}" in problem.message


def test_the_problem_names_the_loops() -> None:
    text = f"{CONTAINERS}.all(a, {CONTAINERS}.all(b, {CONTAINERS}.exists(c, a.name + b.name == c.name)))"
    problem = too_expensive(cost(text), Excerpt.of(text))
    assert problem is not None
    assert "in `all` over 64, `all` over 64, `exists` over 64" in problem.hint


def test_estimates_of_anything_end() -> None:
    deep = "x" + ".map(y, y + y)" * 60
    assert cost(f"[text].map(z, z).map(x, [x]{deep[1:]}).size() > 0").cost > EXPRESSION_LIMIT


def test_optionals_and_unknown_values_have_sizes() -> None:
    assert size_of_type(Type("optional_type", (STRING,)), "namespace").own == 63
    assert size_of_type(DYN).own == TEXT
    assert cost("dyn(numbers).all(x, x == 1)").cost > 0
