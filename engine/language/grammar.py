"""The grammar of expressions: celpy's `cel.lark`, and what Kubernetes' CEL has beyond it.

celpy's file has the shape of the language (precedence, what is a member, what is a primary). Kubernetes' CEL adds
optional syntax, trailing commas and quoted field names, and is stricter about numbers, strings and keywords. Lark
checks that each `%override` replaces something, so a celpy that renames a rule is noticed when the parser is built.
The grammar is read as a text, for importing celpy takes longer than parsing a bundle does.

To make a parser of it takes Lark a quarter of a second, so what it makes is kept in `table.json`, which
`python tools/grammar.py` writes. It is used only where both the grammar and Lark are those that it was made of.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from importlib.abc import ResourceLoader
from re import Match
from typing import Any, NamedTuple

import lark
from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.grammar import Rule
from lark.lexer import TerminalDef

__all__ = [
    "Lark",
    "Lexer",
    "Reduction",
    "Tables",
    "Token",
    "Transformer",
    "UnexpectedCharacters",
    "UnexpectedInput",
    "UnexpectedToken",
    "build",
    "grammar",
    "grammar_table",
    "parser",
    "tables",
]

# Chains of && and || are flat, so that a thousand operands are one node's children and not a thousand levels.
# A sign belongs to the number (contextual lexing keeps `a -1` a subtraction), for only so can -2^63 be written.
EXTENSION = r"""
%override conditionalor  : _or
_or : conditionaland | _or OR conditionaland
%override conditionaland : _and
_and : relation | _and AND relation
%override relation_in : relation IN

%override member_dot     : member "." [OPTIONAL] (IDENT | QUOTED)
%override member_index   : member "[" [OPTIONAL] expr "]"
%override member_object  : member "{" [_fields] [","] "}"
%override list_lit       : "[" [_items] [","] "]"
%override map_lit        : "{" [_entries] [","] "}"
_fields : field | _fields "," field
_items : item | _items "," item
_entries : entry | _entries "," entry
field : [OPTIONAL] (IDENT | QUOTED) ":" expr
item : [OPTIONAL] expr
entry : [OPTIONAL] expr ":" expr

OR : "||"
AND : "&&"
OPTIONAL : "?"
QUOTED : /`[A-Za-z0-9_.\-\/ ]+`/
IN.2 : /in(?![A-Za-z0-9_])/
%override BOOL_LIT.2 : /(true|false)(?![A-Za-z0-9_])/
%override NULL_LIT.2 : /null(?![A-Za-z0-9_])/
%override UINT_LIT.4 : /(0x[0-9a-fA-F]+|[0-9]+)[uU](?![A-Za-z0-9_])/
%override FLOAT_LIT.3 : /(-\s*)?([0-9]*\.[0-9]+([eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)(?![A-Za-z0-9_])/
%override INT_LIT.2 : /(-\s*)?(0x[0-9a-fA-F]+|[0-9]+)(?![A-Za-z0-9_])/
%override STRING_LIT.2 : /[rR]"[^"\n\r]*"|[rR]'[^'\n\r]*'|"(\\.|[^"\\\n\r])*"|'(\\.|[^'\\\n\r])*'/
%override MLSTRING_LIT.3 : /[rR](\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3})/
    | /\"{3}(\\[\s\S]|[^\\])*?\"{3}|'{3}(\\[\s\S]|[^\\])*?'{3}/
%override BYTES_LIT.4 : /[bB]/ (MLSTRING_LIT | STRING_LIT)
"""


def grammar() -> str:
    """The whole grammar, for Lark."""
    spec = importlib.util.find_spec("celpy")
    if spec is None or spec.origin is None or not isinstance(spec.loader, ResourceLoader):
        raise ImportError("the grammar of expressions comes with the package cel-python, which is not installed")
    path = os.path.join(os.path.dirname(spec.origin), "cel.lark")
    return spec.loader.get_data(path).decode() + EXTENSION


def parser(transformer: Transformer[Any, Any]) -> Lark:
    """An LALR parser that calls `transformer` at each reduction, with every token, brackets and commas included."""
    known = _table()
    if known.get("made of") != _made_of():
        return build(transformer)
    kept: Lark = _Kept._load_from_dict(known["data"], known["memo"], transformer=transformer)  # type: ignore[no-untyped-call]
    return kept


class _Kept(Lark):
    """A parser that was made of the table, whose grammar and Lark are those that all this was tried with."""


def build(transformer: Transformer[Any, Any] | None) -> Lark:
    """The same parser, made of the grammar."""
    return Lark(
        grammar(),
        parser="lalr",
        lexer="contextual",
        start="expr",
        transformer=transformer,
        keep_all_tokens=True,
        maybe_placeholders=True,
    )


class Reduction(NamedTuple):
    """What a rule makes of its parts: how many they are, the rule's name, its first part's, and the callback."""

    size: int
    name: str
    first: str
    call: Callable[[list[Any]], Any]


class Lexer(NamedTuple):
    """How to read the next word in one state: a match from a place on, the kinds that say nothing, and what gives
    words of some kinds another one, such as a name that is reserved.
    """

    match: Callable[[str, int], Match[str] | None]
    ignored: frozenset[str]
    renamed: Mapping[str, Callable[[Token], Token]]


class Tables(NamedTuple):
    """A parser's tables: by state, the lexer; by kind of the next word, the state to go to or what to reduce; by the
    name of what was reduced, the state to go to. And the states in which reading begins and ends.
    """

    lexers: Mapping[int, Lexer]
    actions: Mapping[int, Mapping[str, int | Reduction]]
    gotos: Mapping[int, Mapping[str, int]]
    start: int
    end: int


def tables(parser: Lark) -> Tables | None:
    """The tables of a parser; None of a Lark that is not the one this was tried with, for they are its own affair."""
    if not isinstance(parser, _Kept):
        return None
    frontend: Any = parser.parser
    table, callbacks = frontend.parser._parse_table, frontend.parser.parser.callbacks
    reductions: dict[Rule, Reduction] = {}

    def action(target: Any) -> int | Reduction:
        if isinstance(target, int):
            return target
        if target not in reductions:
            first = target.expansion[0].name if target.expansion else ""
            reductions[target] = Reduction(len(target.expansion), target.origin.name, first, callbacks[target])
        return reductions[target]

    actions, gotos = dict[int, dict[str, int | Reduction]](), dict[int, dict[str, int]]()
    for state, found in table.states.items():
        actions[state] = {kind: action(to) for kind, (_, to) in found.items() if kind.isupper()}
        gotos[state] = {name: to for name, (_, to) in found.items() if not name.isupper()}
    return Tables(_Lexers(frontend.lexer.lexers), actions, gotos, table.start_states["expr"], table.end_states["expr"])


class _Lexers(dict[int, Lexer]):
    """Lark's lexers by state, each built when the first text comes there: a pattern of its own takes milliseconds."""

    def __init__(self, lexers: Mapping[int, Any]) -> None:
        super().__init__()
        self._lexers = lexers

    def __missing__(self, state: int) -> Lexer:
        lexer = self._lexers[state]
        (pattern,) = lexer.scanner._mres
        found = self[state] = Lexer(pattern.match, frozenset(lexer.ignore_types), dict(lexer.callback))
        return found


def grammar_table() -> str:
    """What Lark makes of the grammar, as text: JSON of a line for each state of the parser."""
    data, memo = build(None).memo_serialize([TerminalDef, Rule])
    data["options"]["transformer"] = None
    states = data["parser"]["parser"].pop("states")
    rest = json.dumps({"made of": _made_of(), "data": data, "memo": memo}, separators=(",", ":"))
    lines = (
        json.dumps(list(map(_shortened, states[state].items())), separators=(",", ":")) for state in sorted(states)
    )
    return '{"states":[\n' + ",\n".join(lines) + "\n],\n" + rest[1:] + "\n"


def _shortened(action: tuple[int, tuple[int, Any]]) -> list[int]:
    """For a kind of word or part, the state to go to; or, as what is below zero, the rule to reduce by."""
    kind, (reduces, to) = action
    return [kind, ~to["@"] if reduces else to]


def _lengthened(kind: int, to: int) -> tuple[int, Any]:
    """What `_shortened` made of a kind and what to do, as Lark keeps it."""
    return kind, ((1, {"@": ~to}) if to < 0 else (0, to))


def _table() -> dict[str, Any]:
    """What `grammar_table` gave; nothing where the file is not there."""
    loader = globals()["__loader__"]
    assert isinstance(loader, ResourceLoader)
    try:
        text = loader.get_data(os.path.join(os.path.dirname(__file__), "table.json"))
    except OSError:
        return {}
    known: dict[str, Any] = json.loads(text)
    tables = known["data"]["parser"]["parser"]
    states = enumerate(known.pop("states"))
    tables["states"] = {state: dict(_lengthened(*action) for action in actions) for state, actions in states}
    tables["tokens"] = _numbered(tables["tokens"])
    known["memo"] = _numbered(known["memo"])
    return known


def _numbered(table: Mapping[str, Any]) -> dict[int, Any]:
    """A map whose keys are numbers again; JSON knows only texts."""
    return {int(key): value for key, value in table.items()}


def _made_of() -> list[str]:
    return [lark.__version__, hashlib.sha256(grammar().encode()).hexdigest()]
