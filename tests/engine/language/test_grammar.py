"""engine.language.grammar: the table is that of the grammar, and a parser of it reads what a new one reads."""

from __future__ import annotations

import pytest

from engine.language import grammar
from engine.language.grammar import Transformer, UnexpectedInput

TEXTS = [
    'pool.labels["a"] == "b" && !(node.zone in ["x", "y"]) || pool.cpu >= 4.0',
    "pod.?metadata[?'a'].orValue({}) == {'a': [1, -2u, 0x1F, 1e3, null, true]}",
    '[1, 2].exists(x, x > 1 ? x % 2 == 0 : .y(x)) && r\'a\' + b\'c\' + """d""" != T{f: 1,}.`a-b`',
]
BROKEN = ["a ==", "a b", "1 2", "'", "[1", "{a}", "a..b"]


def test_the_table_is_of_this_grammar_and_this_lark() -> None:
    """If not: python tools/grammar.py."""
    assert grammar._table()["made of"] == grammar._made_of()


@pytest.mark.parametrize("text", TEXTS)
def test_a_parser_of_the_table_reads_what_a_new_one_reads(text: str) -> None:
    assert grammar.parser(Transformer()).parse(text) == grammar.build(Transformer()).parse(text)


@pytest.mark.parametrize("text", BROKEN)
def test_and_stops_where_that_stops(text: str) -> None:
    stops = []
    for parser in (grammar.parser(Transformer()), grammar.build(Transformer())):
        with pytest.raises(UnexpectedInput) as stopped:
            parser.parse(text)
        stops.append((type(stopped.value), stopped.value.pos_in_stream, sorted(getattr(stopped.value, "accepts", ()))))
    assert stops[0] == stops[1]


def test_another_grammar_or_no_table_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(grammar, "build", lambda transformer: made.append(transformer))
    monkeypatch.setattr(grammar, "EXTENSION", f"{grammar.EXTENSION}\n")
    grammar.parser(Transformer())
    monkeypatch.undo()
    monkeypatch.setattr(grammar, "build", lambda transformer: made.append(transformer))
    monkeypatch.setattr(grammar, "_table", dict)
    grammar.parser(Transformer())
    assert len(made) == 2
