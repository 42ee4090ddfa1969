"""engine.documents.source: lines, columns, and the lines that are shown with carets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.documents.source import WIDTH, Excerpt, Source, Span


def span(text: str, part: str) -> Span:
    start = text.index(part)
    return Span(Source("f", text), start, start + len(part))


def test_lines_and_columns_count_from_one() -> None:
    place = span("a\nbc\r\nd", "c")
    assert (place.line, place.column, str(place)) == (2, 2, "f:2:2")


def test_a_snippet_marks_its_part_of_the_line() -> None:
    assert span("a: 1\nb: twenty\n", "twenty").snippet() == "b: twenty\n   ^^^^^^"


def test_a_snippet_ends_with_its_line() -> None:
    assert span("one\ntwo\nthree", "wo\nthr").snippet() == "two\n ^^"


def test_a_snippet_of_nothing_has_one_caret() -> None:
    assert Span(Source("f", "ab"), 2, 2).snippet() == "ab\n  ^"


def test_wide_and_combining_characters_keep_the_carets_in_place() -> None:
    assert span("日本 x", "x").snippet() == "日本 x\n     ^"
    assert span("e\u0301 x", "x").snippet() == "e\u0301 x\n  ^"


def test_tabs_are_shown_as_spaces() -> None:
    assert span("\ta: x\ty", "y").snippet() == "    a: x    y\n            ^"


def test_what_can_not_be_printed_does_not_reach_a_terminal() -> None:
    assert span("a\x1b[31m\x07 b", "b").snippet() == "a�[31m� b\n        ^"


def test_long_lines_are_cut_on_both_sides() -> None:
    text = "a" * 500 + "bcd" + "e" * 500
    shown, carets = span(text, "bcd").snippet().split("\n")
    assert (shown[0], shown[-1], len(shown)) == ("…", "…", WIDTH + 2)
    assert shown[carets.index("^") :].startswith("bcd")
    assert carets.count("^") == 3


def test_long_lines_are_cut_on_one_side_near_their_ends() -> None:
    text = "x" + "a" * 500 + "y"
    beginning, end = span(text, "x").snippet(), span(text, "y").snippet()
    assert beginning == "x" + "a" * (WIDTH - 1) + "…\n^"
    assert end == "…" + "a" * (WIDTH - 1) + "y\n" + " " * WIDTH + "^"


@given(text=st.text(max_size=400), data=st.data())
def test_the_carets_stand_under_what_they_mark(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    place = Span(Source("f", text), start, end)
    shown, carets = place.snippet().split("\n")
    assert len(shown.replace("    ", " ")) <= WIDTH + 2
    assert carets.strip(" ").strip("^") == ""
    assert carets.endswith("^")


def test_an_excerpt_without_offsets_points_at_its_whole() -> None:
    whole = span("a: 'b c'", "'b c'")
    assert Excerpt("b c", whole).span(0, 1) is whole
    assert Excerpt("b c", whole, (4, 5, 6, 7)).span(2, 3).column == 7
