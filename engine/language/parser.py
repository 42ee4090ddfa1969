"""Text to syntax tree: `parse` reads one expression and says what is wrong with it, where, and what was meant.

Lark calls the methods of `_Builder` bottom-up, one at each reduction, so no depth of nesting can exhaust the stack.
What is wrong but still has a shape (a number that is too large, a macro with too few arguments) becomes a `_Wrong` node
and is reported when the whole text has been read; what has no shape ends the reading at its first place.

Callbacks, macros, constants and the diagnosis of what can't be read stand in one file, for all of them make or explain
the same nodes and `_Wrong`s; each has a section of its own. The grammar is in `grammar.py`, the words of the problems
are in `mistakes.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any

from engine.documents import Excerpt, Problem
from engine.language import grammar, mistakes
from engine.language.grammar import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from engine.language.reading import Reader, Unread
from engine.language.syntax import (
    OPERATORS,
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
    qualified,
    replace,
)
from engine.language.values import Uint
from engine.names import KEYWORDS, RESERVED

MAX_LENGTH = 16_384
MAX_WORDS = 4_096
"""Code points, and names, constants and signs, in one expression. Reading takes time in proportion to the latter."""

MAX_NESTING = 100
"""Levels of one expression's tree. cel-spec asks for 32 at most; every reader of the tree may recurse this deep and
stays far from Python's 1,000 frames. Operands of `&&` and `||` are balanced, so 1,000 of them are 10 levels."""


def parse(excerpt: Excerpt) -> tuple[Node | None, tuple[Problem, ...]]:
    """The tree of an expression, or None and what is wrong with it."""
    text = excerpt.value
    if not text.strip():
        return None, (mistakes.empty_expression(excerpt.whole),)
    if len(text) > MAX_LENGTH:
        return None, (mistakes.expression_too_long(excerpt.span(0, 1), MAX_LENGTH, "characters"),)
    outsized = _outsized(excerpt)
    if outsized:
        return None, (outsized,)
    try:
        node = _node(_read(text))
    except UnexpectedInput as error:
        return None, (_syntax_problem(excerpt, error),)
    problems = tuple(_faults(node, excerpt))
    return (None if problems else node), problems


def _outsized(excerpt: Excerpt) -> Problem | None:
    """What is too large in a text that has not been read, found in little time whatever it is."""
    words = depth = 0
    for match in _LEXEME.finditer(excerpt.value):
        words += not match.group().isspace()
        depth += (match["open"] is not None) - (match["close"] is not None)
        if depth > MAX_NESTING:
            return mistakes.expression_too_deep(excerpt.span(match.start(), match.end()), MAX_NESTING)
        if words > MAX_WORDS:
            return mistakes.expression_too_long(excerpt.span(match.start(), match.end()), MAX_WORDS, "words and signs")
    return None


@cache
def _parser() -> Lark:
    return grammar.parser(_Builder())


@cache
def _reader() -> Reader | None:
    tables = grammar.tables(_parser())
    return Reader(tables, _PASSING) if tables else None


def _read(text: str) -> Any:
    """What `_Builder` makes of a text. Raises UnexpectedInput."""
    reader = _reader()
    if reader:
        with suppress(Unread):
            return reader.read(text)
    return _parser().parse(text)


def _faults(root: Node, excerpt: Excerpt) -> Iterator[Problem]:
    pending = [(root, 1)]
    too_deep = False
    while pending:
        node, depth = pending.pop()
        if depth > MAX_NESTING and not too_deep:
            too_deep = True
            yield mistakes.expression_too_deep(excerpt.span(node.start, node.start + 1), MAX_NESTING)
        if isinstance(node, _Wrong):
            yield node.problem(excerpt.span(node.start, node.end))
        parts = node.parts if isinstance(node, _Wrong) else children(node)
        pending.extend((part, depth + 1) for part in parts)


# --- building the tree


class _Wrong(Node, frozen=True):
    """A stretch of the text that means nothing: `problem` says why, given its place."""

    problem: Any
    parts: tuple[Node, ...] = ()


_TAKEN = RESERVED | KEYWORDS
_Parts = list[Any]  # what Lark hands over: tokens, nodes, and what other callbacks returned


def _start(part: Token | Node) -> int:
    return (part.start_pos or 0) if isinstance(part, Token) else part.start


def _end(part: Token | Node) -> int:
    return (part.end_pos or 0) if isinstance(part, Token) else part.end


class _Builder(Transformer[Any, Any]):
    """Callbacks by the names of the grammar's rules; each gets the rule's parts in order, None for what is absent."""

    def expr(self, parts: _Parts) -> Node:
        if len(parts) == 1 or parts[1] is None:
            return _node(parts[0])
        condition, question, then, _, otherwise = parts
        arguments = (condition, then, otherwise)
        return Call(
            start=condition.start, end=otherwise.end, function="_?_:_", target=None, args=arguments, at=_start(question)
        )

    def conditionalor(self, parts: _Parts) -> Node:
        return _balanced(parts[::2], parts[1::2])

    conditionaland = conditionalor

    def operator(self, parts: _Parts) -> _Parts:
        return parts

    relation_lt = relation_le = relation_gt = relation_ge = relation_eq = relation_ne = relation_in = operator
    addition_add = addition_sub = multiplication_mul = multiplication_div = multiplication_mod = operator

    def binary(self, parts: _Parts) -> Node:
        right = _node(parts[-1])
        if len(parts) == 1 or not isinstance(parts[0], list):
            return right
        left, operator = parts[0]
        return _binary(left, operator, right)

    relation = addition = multiplication = binary

    def unary(self, parts: _Parts) -> Node:
        if len(parts) == 1:
            return _node(parts[0])
        sign, operand = parts
        at = _start(sign)
        return Call(start=at, end=operand.end, function=f"{sign}_", target=None, args=(operand,), at=at)

    def only(self, parts: _Parts) -> Any:
        return parts[0]

    unary_not = unary_neg = member = primary = only

    def member_dot(self, parts: _Parts) -> Node:
        operand, _, question, name = parts
        if name in KEYWORDS:
            return _wrong(name, partial(mistakes.reserved_word, word=str(name)), operand)
        optional, at = question is not None, _start(name)
        return Select(
            start=operand.start, end=_end(name), operand=operand, field=_field(name), optional=optional, at=at
        )

    def member_index(self, parts: _Parts) -> Node:
        operand, _, question, index, closing = parts
        return Index(
            start=operand.start, end=_end(closing), operand=operand, index=index, optional=question is not None
        )

    def member_dot_arg(self, parts: _Parts) -> Node:
        target, _, name, _, arguments, closing = parts
        if name in KEYWORDS:
            return _wrong(name, partial(mistakes.reserved_word, word=str(name)), target, *(arguments or ()))
        return _method(target, name, tuple(arguments or ()), _end(closing))

    def member_object(self, parts: _Parts) -> Node:
        operand, opening, *_, closing = parts
        entries = tuple(part for part in parts if isinstance(part, tuple))
        name = qualified(operand)
        if name is None:
            values = (value for _, value, _ in entries)
            message = "only a type's name can stand before `{`"
            return _wrong(opening, partial(mistakes.syntax, message=message), operand, *values)
        return StructLiteral(start=operand.start, end=_end(closing), name=name, entries=entries)

    def field(self, parts: _Parts) -> tuple[str, Node, bool]:
        question, name, _, value = parts
        return _field(name), value, question is not None

    def item(self, parts: _Parts) -> tuple[Node, bool]:
        question, value = parts
        return value, question is not None

    def entry(self, parts: _Parts) -> tuple[Node, Node, bool]:
        question, key, _, value = parts
        return key, value, question is not None

    def ident(self, parts: _Parts) -> Node:
        return _identifier(parts[0], str(parts[0]), _start(parts[0]))

    def dot_ident(self, parts: _Parts) -> Node:
        dot, name = parts
        return _identifier(name, f".{name}", _start(dot))

    def ident_arg(self, parts: _Parts) -> Node:
        name, _, arguments, closing = parts
        return _function(name, tuple(arguments or ()), _start(name), _end(closing))

    def dot_ident_arg(self, parts: _Parts) -> Node:
        dot, name, _, arguments, closing = parts
        return _function(name, tuple(arguments or ()), _start(dot), _end(closing))

    def exprlist(self, parts: _Parts) -> _Parts:
        return parts[::2]

    def paren_expr(self, parts: _Parts) -> Node:
        opening, inner, closing = parts
        return replace(_node(inner), start=_start(opening), end=_end(closing))

    def list_lit(self, parts: _Parts) -> Node:
        items = [part for part in parts if isinstance(part, tuple)]
        elements, optional = tuple(value for value, _ in items), tuple(question for _, question in items)
        return ListLiteral(start=_start(parts[0]), end=_end(parts[-1]), elements=elements, optional=optional)

    def map_lit(self, parts: _Parts) -> Node:
        entries = tuple(part for part in parts if isinstance(part, tuple))
        return MapLiteral(start=_start(parts[0]), end=_end(parts[-1]), entries=entries)

    def literal(self, parts: _Parts) -> Node:
        token = parts[0]
        return _LITERALS[token.type](token)


_PASSING = (
    "expr",
    "conditionalor",
    "conditionaland",
    "relation",
    "addition",
    "multiplication",
    "unary",
    "member",
    "primary",
)
"""Rules whose callbacks give their part where there is only one."""


def _node(part: Any) -> Node:
    assert isinstance(part, Node)
    return part


def _wrong(at: Token | Node, problem: Any, *parts: Node) -> Node:
    return _Wrong(start=_start(at), end=_end(at), problem=problem, parts=parts)


def _binary(left: Node, operator: Token, right: Node) -> Node:
    function = OPERATORS[str(operator)]
    return Call(
        start=left.start, end=right.end, function=function, target=None, args=(left, right), at=_start(operator)
    )


def _balanced(operands: Sequence[Node], operators: Sequence[Token]) -> Node:
    """`a || b || c || d` as `(a || b) || (c || d)`, which means the same and is shallow."""
    if not operators:
        return operands[0]
    middle = len(operators) // 2
    left = _balanced(operands[: middle + 1], operators[:middle])
    return _binary(left, operators[middle], _balanced(operands[middle + 1 :], operators[middle + 1 :]))


def _field(name: Token) -> str:
    return str(name).strip("`")


def _identifier(token: Token, name: str, start: int) -> Node:
    if token in _TAKEN:
        return _wrong(token, partial(mistakes.reserved_word, word=str(token)))
    return Ident(start=start, end=_end(token), name=name)


# --- macros

_ONE = {"all": "condition", "exists": "condition", "exists_one": "condition", "existsOne": "condition"}
_WALKS: dict[str, tuple[str, ...]] = {
    **{name: (f"list.{name}(x, {body})", f"list.{name}(i, x, {body})") for name, body in _ONE.items()},
    "filter": ("list.filter(x, condition)",),
    "map": ("list.map(x, value)", "list.map(x, condition, value)"),
    "sortBy": ("list.sortBy(x, key)",),
    "transformList": ("list.transformList(i, x, value)", "list.transformList(i, x, condition, value)"),
    "transformMap": ("map.transformMap(k, v, value)", "map.transformMap(k, v, condition, value)"),
    "transformMapEntry": (
        "map.transformMapEntry(k, v, {key: value})",
        "map.transformMapEntry(k, v, condition, {key: value})",
    ),
}
_TWO_VARIABLES = frozenset(("transformList", "transformMap", "transformMapEntry"))
_MAYBE = {name: (f"optional.{name}(x, value)",) for name in ("optMap", "optFlatMap")}
_BIND = ("cel.bind(name, value, expression)",)
_HAS = ("has(object.field)",)
MACROS: frozenset[str] = frozenset((*_WALKS, *_MAYBE, "has", "cel.bind"))
"""Every macro's name: for suggestions."""


def _function(name: Token, arguments: tuple[Node, ...], start: int, end: int) -> Node:
    if name in _TAKEN:
        return _wrong(name, partial(mistakes.reserved_word, word=str(name)), *arguments)
    at = _start(name)
    if name != "has":
        return Call(start=start, end=end, function=str(name), target=None, args=arguments, at=at)
    if len(arguments) != 1:
        return _miscounted(name, _HAS, arguments)
    argument = arguments[0]
    if not isinstance(argument, Select) or argument.optional:
        message = "needs the field of an object, written with a dot"
        problem = partial(mistakes.macro_arguments, name="has", forms=_HAS, problem=message)
        return _wrong(argument, problem, argument)
    return Has(start=start, end=end, operand=argument.operand, field=argument.field, at=argument.at)


def _method(target: Node, name: Token, arguments: tuple[Node, ...], end: int) -> Node:
    if name in _WALKS:
        return _walk(target, name, arguments, end)
    if name in _MAYBE:
        return _optional_map(target, name, arguments, end)
    if name == "bind" and isinstance(target, Ident) and target.name in ("cel", ".cel"):
        return _bind(target, name, arguments, end)
    at = _start(name)
    return Call(start=target.start, end=end, function=str(name), target=target, args=arguments, at=at)


def _miscounted(name: Token, forms: tuple[str, ...], arguments: tuple[Node, ...], *more: Node) -> Node:
    count = len(arguments)
    problem = f"is given {count} argument{'' if count == 1 else 's'}"
    return _wrong(
        name, partial(mistakes.macro_arguments, name=str(name), forms=forms, problem=problem), *more, *arguments
    )


def _walk(target: Node, name: Token, arguments: tuple[Node, ...], end: int) -> Node:
    forms = _WALKS[str(name)]
    counts = [form.count(",") + 1 for form in forms]
    if name == "transformMapEntry":
        counts = [3, 4]
    if len(arguments) not in counts:
        return _miscounted(name, forms, arguments, target)
    two = name in _TWO_VARIABLES or (name in _ONE and len(arguments) == 3)
    variables, body = arguments[: 1 + two], arguments[1 + two :]
    for variable in variables:
        if not _simple(variable):
            return _nameless(name, forms, variable, target, *arguments)
    names = tuple(variable.name for variable in variables if isinstance(variable, Ident))
    if len(set(names)) < len(names):
        problem = f"is given the name `{names[0]}` twice"
        return _wrong(
            variables[1], partial(mistakes.macro_arguments, name=str(name), forms=forms, problem=problem), target, *body
        )
    macro = "exists_one" if name == "existsOne" else str(name)
    at = _start(name)
    return Comprehension(start=target.start, end=end, macro=macro, range=target, variables=names, body=body, at=at)


def _simple(variable: Node) -> bool:
    return isinstance(variable, Ident) and not variable.name.startswith(".")


def _nameless(name: Token, forms: tuple[str, ...], variable: Node, *parts: Node) -> Node:
    wrong = (part for part in parts if part is not variable or isinstance(part, _Wrong))
    problem = partial(
        mistakes.macro_arguments, name=str(name), forms=forms, problem="needs a simple name for its variable"
    )
    return _wrong(variable, problem, *wrong)


def _optional_map(target: Node, name: Token, arguments: tuple[Node, ...], end: int) -> Node:
    forms = _MAYBE[str(name)]
    if len(arguments) != 2:
        return _miscounted(name, forms, arguments, target)
    variable, body = arguments
    if not isinstance(variable, Ident) or not _simple(variable):
        return _nameless(name, forms, variable, target, *arguments)
    flat, at = name == "optFlatMap", _start(name)
    return OptionalMap(start=target.start, end=end, target=target, variable=variable.name, body=body, flat=flat, at=at)


def _bind(target: Node, name: Token, arguments: tuple[Node, ...], end: int) -> Node:
    if len(arguments) != 3:
        return _miscounted(Token("IDENT", "cel.bind", name.start_pos, end_pos=name.end_pos), _BIND, arguments)
    variable, value, body = arguments
    if not isinstance(variable, Ident) or not _simple(variable):
        return _nameless(Token("IDENT", "cel.bind"), _BIND, variable, *arguments)
    return Bind(start=target.start, end=end, variable=variable.name, value=value, body=body, at=_start(name))


# --- constants


def _constant(token: Token, value: object) -> Node:
    return Literal(start=_start(token), end=_end(token), value=value)


def _int(token: Token) -> Node:
    text = re.sub(r"\s", "", token)
    value = int(text, 16 if "x" in text else 10) if len(text) < 25 else 1 << 64
    if -(1 << 63) <= value < 1 << 63:
        return _constant(token, value)
    return _wrong(token, partial(mistakes.number_out_of_range, text=text[:40], kind="int"))


def _uint(token: Token) -> Node:
    text = str(token)[:-1]
    value = int(text, 16 if "x" in text else 10) if len(text) < 25 else 1 << 64
    if value < 1 << 64:
        return _constant(token, Uint(value))
    return _wrong(token, partial(mistakes.number_out_of_range, text=str(token)[:40], kind="uint"))


def _double(token: Token) -> Node:
    value = float(re.sub(r"\s", "", token))
    if abs(value) != float("inf"):
        return _constant(token, value)
    return _wrong(token, partial(mistakes.number_out_of_range, text=str(token)[:40], kind="double"))


def _bool(token: Token) -> Node:
    return _constant(token, token == "true")


def _null(token: Token) -> Node:
    return _constant(token, None)


def _string(token: Token) -> Node:
    return _quoted(token, str(token), _start(token), binary=False)


def _bytes(token: Token) -> Node:
    return _quoted(token, str(token)[1:], _start(token) + 1, binary=True)


def _quoted(token: Token, text: str, start: int, binary: bool) -> Node:
    raw = text[0] in "rR"
    quote = 3 if text[raw : raw + 3] in ('"""', "'''") else 1
    inside = text[raw + quote : -quote]
    faults: list[_Wrong] = []
    plain = raw or "\\" not in inside
    pieces = [_newlines(inside)] if plain else list(_unescaped(inside, start + raw + quote, binary, faults))
    if faults:
        return replace(faults[0], parts=tuple(faults[1:]))
    if not binary:
        return _constant(token, "".join(str(piece) for piece in pieces))
    return _constant(token, b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces))


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))"
)
_SHORT = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))


def _unescaped(text: str, start: int, binary: bool, faults: list[_Wrong]) -> Iterator[str | bytes]:
    position = 0
    while (slash := text.find("\\", position)) >= 0:
        yield _newlines(text[position:slash])
        match = _ESCAPE.match(text, slash)
        piece = _escape(match, binary) if match else None
        if piece is None:
            end = match.end() if match else slash + 2
            problem = partial(mistakes.bad_escape, escape=text[slash:end], hint=_escape_hint(text[slash:end], binary))
            faults.append(_Wrong(start=start + slash, end=start + end, problem=problem))
        else:
            yield piece
        position = match.end() if match else slash + 2
    yield _newlines(text[position:])


def _escape(match: re.Match[str], binary: bool) -> str | bytes | None:
    """What an escape stands for: `\\x` and octals are bytes in bytes and code points in strings."""
    short, hexadecimal, octal, four, eight = match.groups()
    if short:
        return _SHORT.get(short, short)
    if hexadecimal or octal:
        code = int(hexadecimal, 16) if hexadecimal else int(octal, 8)
        return bytes([code]) if binary else chr(code)
    code = int(four or eight, 16)
    return None if binary or 0xD800 <= code < 0xE000 or code > 0x10FFFF else chr(code)


def _escape_hint(escape: str, binary: bool) -> str:
    if escape[1:2] in ("u", "U") and len(escape) > 2:
        return (
            "bytes have no `\\u`; write the character itself, or its bytes as `\\x`" if binary else "no such character"
        )
    if escape[1:2] in ("x", "X", "u", "U"):
        return "write `\\x` with two hexadecimal digits, `\\u` with four, `\\U` with eight"
    return f'for a backslash write `\\\\{escape[1:]}`, or a raw string: `r"…"`'


_LITERALS = {
    "INT_LIT": _int,
    "UINT_LIT": _uint,
    "FLOAT_LIT": _double,
    "BOOL_LIT": _bool,
    "NULL_LIT": _null,
    "STRING_LIT": _string,
    "MLSTRING_LIT": _string,
    "BYTES_LIT": _bytes,
}

# --- what has no shape

_LEXEME = re.compile(
    r"""//[^\n]*|[rR](?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"(?!"")[^"\n]*"|'(?!'')[^'\n]*')"""
    r"""|\"{3}(?:\\[\s\S]|[^\\])*?\"{3}|'{3}(?:\\[\s\S]|[^\\])*?'{3}"""
    r"""|"(?!"")(?:\\.|[^"\\\n])*"|'(?!'')(?:\\.|[^'\\\n])*'"""
    r"""|(?:[A-Za-z_0-9](?!["']))+|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<quote>\"{3}|'{3}|"|')|[\s\S]"""
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_SLIPS: tuple[tuple[str, str, str], ...] = (
    (r"[“”„‟«»]", "`{}` does not begin a string", 'write straight quotes: `"`'),
    (r"[‘’‚‛]", "`{}` does not begin a string", "write straight quotes: `'`"),
    (r"===|!==", "`{}` is not an operator", "did you mean `==` or `!=`?"),
    (r"=>", "`{}` is not an operator", "did you mean `>=`?"),
    (r"=<", "`{}` is not an operator", "did you mean `<=`?"),
    (r"<>", "`{}` is not an operator", "did you mean `!=`?"),
    (r"=~|!~", "`{}` is not an operator", "a pattern is a method: `text.matches('eu-.*')`"),
    (r":=|=", "`{}` is not an operator", "did you mean `==`?"),
    (r"&", "`{}` is not an operator", "did you mean `&&`?"),
    (r"\|", "`{}` is not an operator", "did you mean `||`?"),
    (r"(?i:and)\b", "`{}` is not an operator", "did you mean `&&`?"),
    (r"(?i:or)\b", "`{}` is not an operator", "did you mean `||`?"),
    (r"not\s+in\b", "`{}` is not an operator", "did you mean `!(x in list)`?"),
    (r"is\s+not\b", "`{}` is not an operator", "did you mean `!=`?"),
    (r"is\b", "`{}` is not an operator", "did you mean `==`?"),
    (r"if\b", "`{}` is not an operator", "did you mean `condition ? value : other`?"),
    (r"matches\b|startsWith\b|endsWith\b|contains\b", "`{}` is not an operator", "it is a method: `text.{}(…)`"),
    (r"\*\*|~|\^", "`{}` is not an operator", ""),
    (r"#", "`{}` does not begin a comment", "a comment begins with `//`"),
    (r"/\*", "`{}` does not begin a comment", "a comment begins with `//` and ends with the line"),
    (r";", "unexpected `{}`", "an expression has no `;` at its end"),
    (r"\$\{?", "unexpected `{}`", "variables are written without `$`"),
)
_SLIP_PATTERNS = tuple((re.compile(pattern), message, hint) for pattern, message, hint in _SLIPS)


def _syntax_problem(excerpt: Excerpt, error: UnexpectedInput) -> Problem:
    text = excerpt.value
    at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    place = len(text.rstrip()) if at_end else (error.pos_in_stream or 0)
    brackets, quote = _open_at(text, place)
    if quote is not None:
        return mistakes.unclosed_string(excerpt.span(quote.start(), quote.end()), quote.group())
    accepts = _accepts(error)
    if at_end:
        if brackets and not _wants_value(accepts):
            bracket = text[brackets[-1]]
            return mistakes.unclosed_bracket(excerpt.span(brackets[-1], brackets[-1] + 1), bracket, _CLOSING[bracket])
        expected = _words(accepts, _CLOSING[text[brackets[-1]]] if brackets else "")
        return mistakes.syntax(excerpt.span(place, place), "the expression ends too early", expected)
    return _slip(excerpt, place) or _unexpected(excerpt, place, error, accepts, brackets)


def _open_at(text: str, place: int) -> tuple[list[int], re.Match[str] | None]:
    """The offsets of the brackets that are open at `place`, and the quote at or before it that has no partner."""
    brackets: list[int] = []
    for match in _LEXEME.finditer(text):
        if match.start() > place or (match.start() == place and not match["quote"]):
            break
        if match["quote"]:
            return brackets, match
        if match["open"]:
            brackets.append(match.start())
        elif match["close"] and brackets:
            brackets.pop()
    return brackets, None


def _slip(excerpt: Excerpt, place: int) -> Problem | None:
    """The habits of other languages, recognised where reading stopped or one word before."""
    text = excerpt.value
    if before := re.search(r"\b(?i:(not)|if)\s+$", text[:place]):
        word = before.group().strip()
        hint = "did you mean `!`?" if before[1] else "did you mean `condition ? value : other`?"
        span = excerpt.span(before.start(), before.start() + len(word))
        return mistakes.syntax(span, f"`{word}` is not an operator", hint=hint)
    start = place - 1 if place and text[place - 1] in "=&|<!" and text[place] in "=>&|" else place
    for pattern, message, hint in _SLIP_PATTERNS:
        if match := pattern.match(text, start):
            word = match.group()
            span = excerpt.span(match.start(), match.end())
            return mistakes.syntax(span, message.format(word), hint=hint.replace("{}", word))
    return None


def _unexpected(
    excerpt: Excerpt, place: int, error: UnexpectedInput, accepts: frozenset[str], brackets: list[int]
) -> Problem:
    text = excerpt.value
    token = str(error.token) if isinstance(error, UnexpectedToken) else text[place]
    span = excerpt.span(place, place + len(token))
    closing = _CLOSING[text[brackets[-1]]] if brackets else ""
    if token in _CLOSING.values() and token != closing:
        if not closing:
            return mistakes.syntax(span, f"`{token}` closes nothing", hint="remove it, or open it before")
        if not _wants_value(accepts):
            line, column = excerpt.span(brackets[-1], brackets[-1] + 1).source.position(
                excerpt.span(brackets[-1], brackets[-1] + 1).start
            )
            message = f"`{token}` can't close the `{text[brackets[-1]]}` of line {line}, column {column}"
            return mistakes.syntax(span, message, f"`{closing}`")
    shown = token if token.isprintable() and not token.isspace() else ascii(token)[1:-1]
    return mistakes.syntax(span, f"unexpected `{shown[:40]}`", _words(accepts, closing))


def _accepts(error: UnexpectedInput) -> frozenset[str]:
    if isinstance(error, UnexpectedToken):
        return frozenset(error.accepts or error.expected)
    return frozenset(error.allowed or ()) if isinstance(error, UnexpectedCharacters) else frozenset()


def _wants_value(accepts: frozenset[str]) -> bool:
    return "IDENT" in accepts


def _words(accepts: frozenset[str], closing: str) -> str:
    """What may come next, as a person would say it."""
    names = {")": "RPAR", "]": "RSQB", "}": "RBRACE"}
    words: Iterable[tuple[bool, str]] = (
        ("INT_LIT" in accepts, "a value"),
        ("IDENT" in accepts and "INT_LIT" not in accepts, "a name"),
        ("PLUS" in accepts, "an operator"),
        ("COMMA" in accepts and "IDENT" not in accepts, "`,`"),
        ("COLON" in accepts, "`:`"),
        (bool(closing) and names.get(closing) in accepts, f"`{closing}`"),
        ("$END" in accepts, "the end of the expression"),
    )
    said = [word for wanted, word in words if wanted]
    return ", ".join(said[:-1]) + (" or " if len(said) > 1 else "") + said[-1] if said else ""
