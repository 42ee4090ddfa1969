"""engine.language: authors who mean harm: whatever they write is refused, or stopped after little work.

Work is counted, never timed: units of the run-time budget, and the lines and calls that Python runs. On the machine
that this was written on a unit is at most half a microsecond, so INVENTORY_BUDGET is at most 100 ms.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from engine.bundle import parse_bundle
from engine.decision import Decider
from engine.documents import Excerpt, Problem, Source, parse_documents
from engine.evaluation import INVENTORY_BUDGET
from engine.language.checker import check
from engine.language.codegen import FILENAME
from engine.language.estimate import EXPRESSION_LIMIT, estimate
from engine.language.evaluate import compile_expression
from engine.language.parser import parse
from engine.language.regex import MAX_PATTERN, compile_pattern, price
from engine.language.syntax import Node
from engine.language.types import DYN
from engine.language.values import Budget, BudgetExceeded, CelError
from engine.pods import IncomingPod
from engine.pools import Inventory
from engine.program import compile_bundle, vocabulary

MANY = 100_000
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "a",
        "namespace": "b",
        "labels": {f"k{i}": "v" * 60 for i in range(1000)},
        "annotations": {"long": "a" * 900_000},
    },
    "spec": {"containers": [{"name": f"c{i}", "image": "i", "env": [{"name": "A"}]} for i in range(MANY)]},
}
LONG = 'pod.metadata.annotations["long"]'
ALL = "pod.spec.containers"
RANGE = f"lists.range({MANY})"


def checked(text: str) -> tuple[Node | None, tuple[Problem, ...]]:
    excerpt = Excerpt.of(text)
    node, problems = parse(excerpt)
    if node is None:
        return None, problems
    node, problems = check(node, excerpt, {"pod": vocabulary.POD, "params": DYN})
    errors = tuple(problem for problem in problems if problem.severity == "error")
    return (None if errors else node), errors


def counted(run: Callable[[], object]) -> int:
    """The lines of generated code, and the calls of functions in Python and in C, that a run takes."""
    count = 0

    def line(_: FrameType, event: str, __: object) -> Any:
        nonlocal count
        count += event == "line"
        return line

    def call(frame: FrameType, _: str, __: object) -> Any:
        return line if frame.f_code.co_filename == FILENAME else None

    def profile(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(call)
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return count


def spent(text: str) -> tuple[str, int]:
    """How a run of an expression on a hostile pod ends, and what it leaves of a policy's budget."""
    node, problems = checked(text)
    assert node is not None, problems
    budget = Budget(INVENTORY_BUDGET)
    function = compile_expression(node, ("pod", "params"))
    end = "value"

    def run() -> None:
        nonlocal end
        try:
            function(budget, POD, {})
        except BudgetExceeded:
            end = "stopped"
        except CelError:
            end = "error"

    work = counted(run)
    assert work <= 3 * INVENTORY_BUDGET, work
    return end, budget.left


STOPPED = [
    # nested comprehensions
    f"{ALL}.all(a, {ALL}.all(b, a.name != b.name))",
    f"{ALL}.map(a, {ALL}.map(b, a.name)).size() > 0",
    f"{RANGE}.all(a, {RANGE}.all(b, a + b >= 0))",
    f"{RANGE}.map(a, lists.range(a)).size() > 0",
    # a long body makes few steps expensive
    f"{RANGE}.all(i, {' && '.join(['i >= 0'] * 300)})",
    f"{RANGE}.all(i, [{', '.join(['i'] * 500)}].size() > 0)",
    f"{RANGE}.all(i, {{{', '.join(f'{k}: i' for k in range(300))}}}.size() > 0)",
    f"{RANGE}.all(i, string(timestamp(i)) != '')",
    f"{RANGE}.all(i, double(string(i)) >= 0.0)",
    # strings and lists that grow
    f"{ALL}.map(a, {LONG} + 'x').size() > 0",
    f"{LONG}.replace('a', 'aa') == 'x'",
    f"{LONG}.replace('', 'aaaa') == 'x'",
    f"{LONG} + {LONG} == 'x'",
    f"{ALL}.map(a, {LONG}.split('')).size() > 0",
    f"{ALL}.map(a, {ALL} + {ALL}).size() > 0",
    f"'%s'.format([{ALL}]) == 'x'",
    f"'%x'.format([{LONG}]) == 'x'",
    f"{RANGE}.map(i, lists.range(10)).flatten().size() > 0",
    # what walks its arguments
    f"{ALL}.all(a, {ALL} == {ALL})",
    f"{ALL} == {ALL}.map(a, a)",
    f"{ALL}.all(a, a in {ALL})",
    f"{ALL}.all(a, {LONG}.indexOf('aaab') < 0)",
    f"{RANGE}.all(i, {LONG}.startsWith({LONG}))",
    f"{RANGE}.all(i, {LONG} == {LONG} + '')",
    f"{RANGE}.all(i, {LONG} >= {LONG})",
    f"{RANGE}.all(i, !isQuantity({LONG}) && !isSemver({LONG}) && !isIP({LONG}) && !isURL({LONG}))",
    f"{RANGE}.map(i, -i).sort().size() > 0",
    f"{RANGE}.sortBy(i, -i).size() > 0",
    f"{RANGE}.map(i, [i]).distinct().size() > 0",
    f"sets.contains({RANGE}, {RANGE})",
    # patterns
    f"{LONG}.matches('(a|aa)+$')",
    f"{LONG}.matches('(a?){{300}}a{{300}}c')",
    f"{LONG}.findAll('a').size() > 0",
    f"{LONG}.find('(a*)*b') == 'x'",
    f"{ALL}.all(a, a.name.matches('[a-z]+[0-9]'))",
    "lists.range(1000).all(i, 'a'.matches(string(i) + '[a-z]{1,900}') || true)",
    r"lists.range(1000).all(i, 'a'.matches(string(i) + r'[\pL]{1,900}') || true)",
    f"{LONG}.matches({LONG}) || true",
    f"lists.range({10 * MANY}).size() > 0",
]


@pytest.mark.parametrize("text", STOPPED)
def test_what_takes_too_long_is_stopped(text: str) -> None:
    end, left = spent(text)
    assert end == "stopped"
    assert left <= INVENTORY_BUDGET


BOUNDED = [
    f"{RANGE}.all(i, i >= 0)",
    f"{RANGE}.map(i, i).size() > 0",
    f"{RANGE}.exists_one(i, i == 3)",
    f"{ALL}.filter(a, a.name.startsWith('c')).size() > 0",
    f"{LONG}.split('').size() > 0",
    f"{LONG}.lowerAscii().size() > 0",
    f"{ALL}.all(a, {LONG}.contains('aaab')) || true",
    "lists.range(300).all(a, lists.range(300).all(b, a + b >= 0))",
]


@pytest.mark.parametrize("text", BOUNDED)
def test_what_ends_has_been_paid_for(text: str) -> None:
    end, left = spent(text)
    assert end == "value"
    assert 0 <= left < INVENTORY_BUDGET


def doubled(first: str, step: str, last: str, times: int = 30) -> str:
    """`cel.bind` within `cel.bind`, each of which doubles what the one before has made."""
    names = [f"x{i}" for i in range(times + 1)]
    opened = "".join(
        f"cel.bind({name}, {first if i == 0 else step.format(names[i - 1])}, " for i, name in enumerate(names)
    )
    return opened + last.format(names[-1]) + ")" * len(names)


@pytest.mark.parametrize(
    "text",
    [
        doubled("'aaaaaaaa'", "{0} + {0}", "{0}.size() > 0"),
        doubled("[0, 0, 0, 0]", "{0} + {0}", "{0}.size() > 0"),
        doubled("[0]", "[{0}, {0}]", "{0} == {0}"),
        doubled("dyn([0])", "dyn([{0}, {0}])", "'%s'.format([{0}]) == 'x'"),
        doubled("dyn([0])", "dyn([{0}, {0}])", "[{0}].flatten(40).size() > 0"),
        doubled("dyn([0])", "dyn([{0}, {0}])", "[{0}, {0}].distinct().size() > 0"),
        doubled("dyn([0])", "dyn([{0}, {0}])", "{0} in [{0}]"),
        doubled("dyn([0])", "dyn([{0}, {0}])", "sets.contains([{0}], [{0}])"),
    ],
)
def test_what_grows_exponentially_is_stopped(text: str) -> None:
    assert spent(text)[0] == "stopped"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("(" * 8000 + "1" + ")" * 8000, "expression-too-deep"),
        ("[" * 8000 + "]" * 8000, "expression-too-deep"),
        ("{1:" * 3000 + "1" + "}" * 3000, "expression-too-deep"),
        ("!" * 4000 + "true", "expression-too-deep"),
        ("a" + ".b" * 8000, "expression-too-long"),
        ("1" + " + 1" * 4000, "expression-too-long"),
        ("true" + " && true" * 3000, "expression-too-long"),
        ("[" + "1, " * 5000 + "1]", "expression-too-long"),
        ("a.all(x, " * 1500 + "a" + ")" * 1500, "expression-too-deep"),
        ("'" + "a" * 20_000 + "'", "expression-too-long"),
        ("'a'.matches('a{1,1000}{1,1000}')", "bad-pattern"),
        ("'a'.matches('((a{1,100}){1,10}){1,10}')", "bad-pattern"),
        (r"'a'.matches(r'[\pL]{1,400}')", "bad-pattern"),
        ("'a'.matches('" + "a" * (MAX_PATTERN + 1) + "')", "bad-pattern"),
        ("[" + ", ".join(rf"'a'.matches(r'[\pL]{{1,{i}}}')" for i in range(30, 330)) + "].size() > 0", "bad-pattern"),
    ],
)
def test_what_is_too_large_is_refused_before_it_runs(text: str, rule: str) -> None:
    node, problems = checked(text)
    assert node is None
    assert {problem.rule for problem in problems} == {rule}


def test_refusing_what_is_too_deep_or_too_long_takes_no_parsing() -> None:
    for text in ("[" * 8000 + "]" * 8000, "1" + " + 1" * 4000):
        assert counted(lambda text=text: parse(Excerpt.of(text))) < 100_000  # type: ignore[misc]


def test_a_pattern_costs_the_same_whether_it_is_new_or_not() -> None:
    """A decision must not depend on what was decided before."""
    text = "lists.range(9).all(i, 'abc'.matches('b|' + string(i)))"
    compile_pattern("b|1")
    assert spent(text) == spent(text)


def test_a_patterns_price_grows_with_what_it_repeats() -> None:
    assert price("a{1,900}") > 50 * price("a{1,9}") // 10 > price("a")
    assert price(r"[\pL]{1,30}") > INVENTORY_BUDGET // 8


@pytest.mark.parametrize(
    "text",
    [
        f"{ALL}.all(a, {ALL}.all(b, {ALL}.all(c, a.name != b.name || b.name != c.name)))",
        "lists.range(10000000).all(i, i >= 0)",
        doubled("'aaaaaaaa'", "{0} + {0}", "{0}.size() > 0"),
        doubled("[0, 0]", "{0}.map(y, [y, y]).flatten()", "{0}.size() > 0"),
        ".".join([ALL, *["map(x, [x, x]).flatten()"] * 20]) + ".size() > 0",
    ],
)
def test_what_is_hopeless_is_known_before_it_runs(text: str) -> None:
    node, problems = checked(text)
    assert node is not None, problems
    assert estimate(node, {}).cost > EXPRESSION_LIMIT


# A whole bundle

HEAD = "apiVersion: bayplan.dev/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\nspec:\n"
BUNDLE = HEAD.format("Bundle", "hostile") + "  version: 1.0.0\n  params: {x: 1}\n"


def policy(name: str, spec: str) -> str:
    return HEAD.format("PlacementPolicy", name) + spec


def rules(files: dict[str, str]) -> set[str]:
    return {problem.rule for problem in parse_bundle({"bundle.yaml": BUNDLE, **files})[1]}


def test_a_hostile_policy_fails_alone() -> None:
    """`failurePolicy` decides about the pod; the policies beside it are decided as always."""
    hostile = f"  deny: [{{expression: '{ALL}.all(a, {ALL}.all(b, a != b))'}}]\n  failurePolicy: Ignore\n"
    files = {
        "bundle.yaml": BUNDLE,
        "policies/hostile.yaml": policy("hostile", hostile),
        "policies/good.yaml": policy("good", "  deny: [{expression: has(pod.spec.nodeName)}]\n"),
    }
    bundle, problems = parse_bundle(files)
    assert bundle is not None, problems
    decider = Decider(compile_bundle(bundle), Inventory((), 0))
    incoming = IncomingPod(POD, {"metadata": {"name": "b"}}, {"operation": "CREATE", "namespace": "b"})
    results = []
    work = counted(lambda: results.append(decider.decide(incoming)))
    (decision,) = results
    outcomes = {each.name: each.outcome for each in decision.policies}
    assert outcomes == {"hostile": "failed", "good": "satisfied"}
    assert "budget" in next(each.error for each in decision.policies if each.name == "hostile")
    assert decision.allowed
    assert work <= 3 * INVENTORY_BUDGET


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("[" * 1_000_000, "too-deep"),
        ("[" * 400_000 + "]" * 400_000, "too-deep"),
        ("{a: " * 200_000, "too-deep"),
        ("\n" + "".join("  " * i + "    a:\n" for i in range(700)), "too-deep"),
        ("\n" + "    - " * 100_000, "too-deep"),
        ("a" * (1 << 20), "oversize"),
        ("'" + "a\n" * 400_000, "yaml-syntax"),
    ],
)
def test_huge_yaml_is_refused_early(text: str, rule: str) -> None:
    results = []
    source = Source("bundle.yaml", f"{BUNDLE}  description: {text}")
    work = counted(lambda: results.append(parse_documents(source)))
    ((_, problems),) = results
    assert rule in {problem.rule for problem in problems}
    assert work < 100_000


def test_aliases_that_stand_for_billions_are_refused() -> None:
    lines = ["  params:", "    a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"    a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    assert "yaml-alias" in rules({"bundle.yaml": BUNDLE.replace("  params: {x: 1}\n", "\n".join(lines) + "\n")})
