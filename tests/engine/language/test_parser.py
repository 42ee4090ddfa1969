"""engine.language.parser: shapes, places, and what is said about text that has no shape."""

from __future__ import annotations

import string
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.documents import Excerpt, Problem
from engine.language.parser import MAX_LENGTH, MAX_NESTING, MAX_WORDS, parse
from engine.language.syntax import (
    Bind,
    Call,
    Comprehension,
    Has,
    Ident,
    Index,
    ListLiteral,
    Literal,
    MapLiteral,
    Node,
    OptionalMap,
    Select,
    StructLiteral,
    children,
)
from engine.language.values import Uint


def tree(text: str) -> Node:
    node, problems = parse(Excerpt.of(text))
    assert node is not None, "\n".join(map(str, problems))
    assert not problems
    return node


def faults(text: str) -> tuple[Problem, ...]:
    node, problems = parse(Excerpt.of(text))
    assert node is None
    assert problems
    return problems


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from nodes(child)


def said(node: Node) -> str:
    """A tree as a text in which every bracket shows."""
    match node:
        case Literal():
            return repr(node.value)
        case Ident():
            return node.name
        case Select():
            return f"{said(node.operand)}.{'?' if node.optional else ''}{node.field}"
        case Has():
            return f"has({said(node.operand)}.{node.field})"
        case Index():
            return f"{said(node.operand)}[{'?' if node.optional else ''}{said(node.index)}]"
        case Call():
            target = f"{said(node.target)}." if node.target else ""
            return f"{target}{node.function}({', '.join(map(said, node.args))})"
        case ListLiteral():
            pairs = zip(node.elements, node.optional, strict=True)
            return f"[{', '.join('?' * optional + said(element) for element, optional in pairs)}]"
        case MapLiteral():
            return f"{{{', '.join('?' * o + f'{said(k)}: {said(v)}' for k, v, o in node.entries)}}}"
        case StructLiteral():
            return f"{node.name}{{{', '.join('?' * o + f'{k}: {said(v)}' for k, v, o in node.entries)}}}"
        case Comprehension():
            inside = [said(node.range), *node.variables, *map(said, node.body)]
            return f"<{node.macro} {', '.join(inside)}>"
        case OptionalMap():
            return f"<optMap{'!' * node.flat} {said(node.target)}, {node.variable}, {said(node.body)}>"
        case Bind():
            return f"<bind {node.variable}, {said(node.value)}, {said(node.body)}>"
    raise AssertionError(node)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a || b && c", "_||_(a, _&&_(b, c))"),
        ("a && b || c", "_||_(_&&_(a, b), c)"),
        ("a || b || c || d", "_||_(_||_(a, b), _||_(c, d))"),
        ("(a || b) && c", "_&&_(_||_(a, b), c)"),
        ("a ? b : c ? d : e", "_?_:_(a, b, _?_:_(c, d, e))"),
        ("a - b - c * d % e", "_-_(_-_(a, b), _%_(_*_(c, d), e))"),
        ("a <= b == c", "_==_(_<=_(a, b), c)"),
        ("a in b", "@in(a, b)"),
        ("a in[b]", "@in(a, [b])"),
        ("!a.b", "!_(a.b)"),
        ("!!a", "!_(!_(a))"),
        ("-a", "-_(a)"),
        ("- 1 - -1 -1", "_-_(_-_(-1, -1), 1)"),
        ("a-1", "_-_(a, 1)"),
        ("-1.5.b", "-1.5.b"),
        ("index + inside", "_+_(index, inside)"),
        ("trueish || nullable", "_||_(trueish, nullable)"),
        ("a.b[0].c(1)(2)", None),
        ("a.b[0].c(1, 2).d()", "a.b[0].c(1, 2).d()"),
        ("f(a, b)", "f(a, b)"),
        (".a.b && .f(1)", "_&&_(.a.b, f(1))"),
        ("a.?b[?c].?d", "a.?b[?c].?d"),
        ("a.`b-c/d.e f`.`g`", "a.b-c/d.e f.g"),
        ("a.namespace.if", "a.namespace.if"),
        ("[1, ?b,]", "[1, ?b]"),
        ("[] + [,]", "_+_([], [])"),
        ('{"a": 1, ?b: c,}', "{'a': 1, ?b: c}"),
        ("{} == {,}", "_==_({}, {})"),
        ("a.b.C{x: 1, ?y: 2,}", "a.b.C{x: 1, ?y: 2}"),
        (".C{`x-y`: 1}", ".C{x-y: 1}"),
        ("a // comment\n + b //", "_+_(a, b)"),
        ("\t\r\n\fa\n", "a"),
        ("has(a.b.c)", "has(a.b.c)"),
        ("a.has(b)", "a.has(b)"),
        ("a.all(x, b)", "<all a, x, b>"),
        ("a.all(i, x, b)", "<all a, i, x, b>"),
        ("a.exists((x), b)", "<exists a, x, b>"),
        ("a.existsOne(x, b)", "<exists_one a, x, b>"),
        ("a.exists_one(x, y, b)", "<exists_one a, x, y, b>"),
        ("a.map(x, b)", "<map a, x, b>"),
        ("a.map(x, b, c)", "<map a, x, b, c>"),
        ("a.filter(x, b)", "<filter a, x, b>"),
        ("a.sortBy(x, b)", "<sortBy a, x, b>"),
        ("a.transformList(i, x, b)", "<transformList a, i, x, b>"),
        ("a.transformMap(k, v, b, c)", "<transformMap a, k, v, b, c>"),
        ("a.transformMapEntry(k, v, {v: k})", "<transformMapEntry a, k, v, {v: k}>"),
        ("a.optMap(x, b)", "<optMap a, x, b>"),
        ("a.optFlatMap(x, b)", "<optMap! a, x, b>"),
        ("cel.bind(x, a, b)", "<bind x, a, b>"),
        ("a.bind(x, b, c)", "a.bind(x, b, c)"),
        ("all(x, b)", "all(x, b)"),
    ],
)
def test_shapes(text: str, expected: str | None) -> None:
    if expected is None:
        assert faults(text)[0].rule == "syntax"
    else:
        assert said(tree(text)) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("0x7f", 127),
        ("-0xFF", -255),
        ("007", 7),
        ("18446744073709551615u", Uint(2**64 - 1)),
        ("0xAU", Uint(10)),
        ("1.5", 1.5),
        (".5e3", 500.0),
        ("1e-2", 0.01),
        ("-1.25E+2", -125.0),
        ("true", True),
        ("null", None),
        ("'it\"s'", 'it"s'),
        (r'"\a\b\f\n\r\t\v\\\?\"\'\`"', "\a\b\f\n\r\t\v\\?\"'`"),
        (r'"\x41\X42\103\u00e9\U0001F600"', "ABCé😀"),
        (r'r"a\n\"', "a\\n\\"),
        (r"R'\d'", "\\d"),
        ('"""a "quoted"\n\\tb"""', 'a "quoted"\n\tb'),
        ("'''a\r\nb\rc'''", "a\nb\nc"),
        ('r"""\\a\n"b"""', '\\a\n"b'),
        (r'b"\xff\377é"', b"\xff\xff\xc3\xa9"),
        (r"B'a'", b"a"),
        (r'br"\x"', b"\\x"),
        ("b'''\n'''", b"\n"),
    ],
)
def test_constants(text: str, value: object) -> None:
    node = tree(text)
    assert isinstance(node, Literal)
    assert node.value == value
    assert type(node.value) is type(value)


@pytest.mark.parametrize("operator", ["||", "&&"])
def test_long_chains_are_shallow(operator: str) -> None:
    text = f" {operator} ".join(f"a{i}.b" for i in range(800))
    node = tree(text)
    names = [inner.name for inner in nodes(node) if isinstance(inner, Ident)]
    assert names == [f"a{i}" for i in range(800)]

    def depth(inner: Node) -> int:
        return 1 + max(map(depth, children(inner)), default=0)

    assert depth(node) <= 13


def test_places_are_code_points() -> None:
    text = '  "é😀".size() == [a . b, c[1]][0].all( x, x.?y) ? -f(1) : (d)'
    node = tree(text)
    shown = {text[inner.start : inner.end] for inner in nodes(node)}
    assert shown == {
        text.strip(), '"é😀".size() == [a . b, c[1]][0].all( x, x.?y)', '"é😀".size()', '"é😀"', "1", "0", "a", "c",
        "[a . b, c[1]][0].all( x, x.?y)", "[a . b, c[1]][0]", "[a . b, c[1]]", "a . b", "c[1]", "x.?y", "-f(1)", "f(1)",
        "(d)", "x",
    }  # fmt: skip
    at = {
        text[inner.at :].split(" ")[0][:4] for inner in nodes(node) if isinstance(inner, (Call, Select, Comprehension))
    }
    assert at == {"?", "==", "size", "b,", "all(", "y)", "-f(1", "f(1)"}


def marks(problem: Problem) -> tuple[str, int, int]:
    return problem.rule, problem.span.start, problem.span.end


@pytest.mark.parametrize(
    ("text", "rule", "marked", "message", "help_"),
    [
        ("a = b", "syntax", "=", "`=` is not an operator", "did you mean `==`?"),
        ("a === b", "syntax", "=", "`=` is not an operator", "did you mean `==`?"),
        ("a := b", "syntax", ":=", "`:=` is not an operator", "did you mean `==`?"),
        ("a => b", "syntax", "=>", "`=>` is not an operator", "did you mean `>=`?"),
        ("a <> b", "syntax", "<>", "`<>` is not an operator", "did you mean `!=`?"),
        ("a and b", "syntax", "and", "`and` is not an operator", "did you mean `&&`?"),
        ("a OR b", "syntax", "OR", "`OR` is not an operator", "did you mean `||`?"),
        ("not a", "syntax", "not", "`not` is not an operator", "did you mean `!`?"),
        ("a not in b", "syntax", "not in", "`not in` is not an operator", "did you mean `!(x in list)`?"),
        ("a is b", "syntax", "is", "`is` is not an operator", "did you mean `==`?"),
        ("if a then b", "syntax", "if", "`if` is not an operator", "did you mean `condition ? value : other`?"),
        ("a & b", "syntax", "&", "`&` is not an operator", "did you mean `&&`?"),
        ("a | b", "syntax", "|", "`|` is not an operator", "did you mean `||`?"),
        ("a startsWith b", "syntax", "startsWith", "`startsWith` is not", "`text.startsWith(…)`"),
        ("a == “x”", "syntax", "“", "`“` does not begin a string", 'straight quotes: `"`'),
        ("a == ‘x’", "syntax", "‘", "`‘` does not begin a string", "straight quotes: `'`"),
        ("a # b", "syntax", "#", "does not begin a comment", "`//`"),
        ("a; ", "syntax", ";", "unexpected `;`", "no `;`"),
        ("a b", "syntax", "b", "unexpected `b`", "an operator or the end of the expression"),
        ("a +* b", "syntax", "*", "unexpected `*`", "expected a value"),
        ("a ? b", "syntax", "", "ends too early", "expected `:`"),
        ("a +  ", "syntax", "", "ends too early", "expected a value"),
        ("a.", "syntax", "", "ends too early", "expected a name"),
        ("a.1", "syntax", "1", "unexpected `1`", "expected a name"),
        ("a.é", "syntax", "é", "unexpected `é`", "expected a name"),
        ("{a: }", "syntax", "}", "unexpected `}`", "expected a value"),
        ("{a}", "syntax", "}", "unexpected `}`", "`:`"),
        ("f(a,)", "syntax", ")", "unexpected `)`", "expected a value"),
        ("[a,,b]", "syntax", ",", "unexpected `,`", "a value or `]`"),
        ("a)", "syntax", ")", "`)` closes nothing", "remove it"),
        ("[a, (b + c] ", "syntax", "]", "`]` can't close the `(` of line 1, column 5", "expected `)`"),
        ("x[0]{a: 1}", "syntax", "{", "only a type's name can stand before `{`", ""),
        ("f(a, b", "unclosed-bracket", "(", "`(` is never closed", "a `)` that closes it"),
        ('a["b".c', "unclosed-bracket", "[", "`[` is never closed", "a `]`"),
        ("a.b == 'c", "unclosed-string", "'", "the string has no end", "a closing `'`"),
        ("'''a\n'b", "unclosed-string", "'''", "the string has no end", "a closing `'''`"),
        ('"a\nb"', "unclosed-string", '"', "the string has no end", "a string over several lines"),
        (r'"a\qb"', "bad-escape", r"\q", r"`\q` is not an escape", r"write `\\q`"),
        (r'"a\u12"', "bad-escape", r"\u", r"`\u` is not an escape", "`\\u` with four"),
        (r'"\ud800"', "bad-escape", r"\ud800", "is not an escape", "no such character"),
        (r'b"\u0041"', "bad-escape", r"\u0041", "is not an escape", "bytes have no"),
        (r'"\400"', "bad-escape", r"\4", "is not an escape", ""),
        ("9223372036854775808", "number-out-of-range", "9223372036854775808", "does not fit into int", "an int from"),
        ("18446744073709551616u", "number-out-of-range", "18446744073709551616u", "into uint", "a uint from"),
        ("1e999", "number-out-of-range", "1e999", "does not fit into double", "a double"),
        ("a =~ 'b'", "syntax", "=~", "`=~` is not an operator", "`text.matches("),
        ("a !~ 'b'", "syntax", "!~", "`!~` is not an operator", "`text.matches("),
        ("a + namespace", "reserved-word", "namespace", "`namespace` is a reserved word", "`namespaceObject`"),
        ("if(a)", "reserved-word", "if", "`if` is a reserved word", ""),
        ("in", "reserved-word", "in", "`in` is a reserved word", ""),
        ("a.in", "reserved-word", "in", "`in` is a reserved word", ""),
        ("has(a)", "macro-arguments", "a", "`has` needs the field", "`has(object.field)`"),
        ("has(a.?b)", "macro-arguments", "a.?b", "`has` needs the field", "`has(object.field)`"),
        ("has(a[0])", "macro-arguments", "a[0]", "`has` needs the field", "`has(object.field)`"),
        ("has()", "macro-arguments", "has", "`has` is given 0 arguments", "`has(object.field)`"),
        ("a.all(x)", "macro-arguments", "all", "`all` is given 1 argument", "`list.all(x, condition)` or"),
        ("a.filter(x, y, z)", "macro-arguments", "filter", "is given 3 arguments", "`list.filter(x, condition)`"),
        ("a.all(x.y, b)", "macro-arguments", "x.y", "a simple name", "`list.all(x, condition)`"),
        ("a.all(.x, b)", "macro-arguments", ".x", "a simple name", "`list.all(x, condition)`"),
        ("a.all(x, x, b)", "macro-arguments", "x, b", "the name `x` twice", "`list.all(i, x, condition)`"),
        ("a.optMap(x)", "macro-arguments", "optMap", "is given 1 argument", "`optional.optMap(x, value)`"),
        ("cel.bind(x, 1)", "macro-arguments", "bind", "`cel.bind` is given 2", "`cel.bind(name, value, expression)`"),
        (" \n ", "empty-expression", " \n ", "the expression is empty", "an expression"),
    ],
)  # fmt: skip
def test_mistakes_point(text: str, rule: str, marked: str, message: str, help_: str) -> None:
    (problem,) = faults(text)
    assert problem.rule == rule
    assert message in problem.message
    assert help_ in f"expected {problem.expected} {problem.hint}"
    # the carets are under what is wrong, or after the last word where the text ends too early
    at = problem.span.start
    if marked:
        assert text[at:].startswith(marked)
        assert problem.span.end == at + len(marked.split(", ")[0] if rule == "macro-arguments" else marked)
    else:
        assert at == len(text.rstrip())


def test_a_message_whole() -> None:
    (problem,) = faults("foo(a,\n  b + (c]")
    assert str(problem) == (
        "expression:2:9: error: `]` can't close the `(` of line 2, column 7 [syntax]\n"
        "      b + (c]\n"
        "            ^\n"
        "  expected `)`"
    )


def test_all_at_once() -> None:
    problems = faults(r'has(a) && 9223372036854775808 == namespace && "\q" == a.all(1, b.in)')
    rules = sorted(problem.rule for problem in problems)
    assert rules == [
        "bad-escape",
        "macro-arguments",
        "macro-arguments",
        "number-out-of-range",
        "reserved-word",
        "reserved-word",
    ]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a" * (MAX_LENGTH + 1), "expression-too-long"),
        ("!" * MAX_NESTING + "a", "expression-too-deep"),
        ("a" + "+a" * MAX_NESTING, "expression-too-deep"),
        ("[" * MAX_NESTING + "]" * MAX_NESTING + ".a", "expression-too-deep"),
        ("a" + ".a" * 1000, "expression-too-deep"),
        ("a" + ".a" * 5000, "expression-too-long"),
        ("a?b:" * 1000 + "c", "expression-too-deep"),
        ("-" * (MAX_WORDS - 1) + "a", "expression-too-deep"),
        ("-" * (MAX_LENGTH - 1) + "a", "expression-too-long"),
        ("(" * MAX_LENGTH, "expression-too-deep"),
        ("[" * 8000 + "]" * 7999, "expression-too-deep"),
        ("[" * 99 + "]" * 98, "unclosed-bracket"),
        ("[" + "a," * (MAX_WORDS // 2) + "]", "expression-too-long"),
        ("a.all(x," * 1000 + "a" + ")" * 1000, "expression-too-deep"),
    ],
)
def test_bounds(text: str, rule: str) -> None:
    (problem,) = faults(text)
    assert problem.rule == rule


def test_what_is_just_allowed() -> None:
    assert said(tree("(" * MAX_NESTING + "a" + ")" * MAX_NESTING)) == "a"
    deep = tree("!" * (MAX_NESTING - 1) + "a")
    assert len(list(nodes(deep))) == MAX_NESTING
    assert sys.getrecursionlimit() <= 3000


WORDS = [
    "a",
    "b.c",
    "x",
    "in",
    "true",
    "null",
    "1",
    "-1",
    "2u",
    "1.5",
    '"s"',
    "r'\\d'",
    'b"x"',
    "has(a.b)",
    "a.all(x, y)",
]
MARKS = ["&&", "||", "==", "!=", "<=", "//", '"""', ".?", "[?", "if", "é", "😀", *"()[]{}.,:?!-+*/%<>=&|'\"`\\;#@ \n"]
tokens = st.sampled_from(WORDS + MARKS)


@given(st.lists(tokens, max_size=25).map("".join) | st.text(string.printable, max_size=40))
def test_anything_is_read_or_pointed_at(text: str) -> None:
    node, problems = parse(Excerpt.of(text))
    assert (node is None) == bool(problems)
    for problem in problems:
        assert 0 <= problem.span.start <= problem.span.end <= len(text) + 1
        assert str(problem)
        assert problem.message[0] == problem.message[0].lower()
    for inner in nodes(node) if node else ():
        assert 0 <= inner.start < inner.end <= len(text)
        assert all(inner.start <= child.start and child.end <= inner.end for child in children(inner))


@given(st.text(max_size=30))
def test_strings_come_back(text: str) -> None:
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'
    node = tree(quoted)
    assert isinstance(node, Literal)
    assert node.value == text
