"""What can be wrong in an expression, in words: one function for each kind of mistake, named after its rule."""

from __future__ import annotations

from engine.errors import Problem
from engine.text import Span

# --- what parse finds


def syntax(span: Span, message: str, expected: str = "", hint: str = "") -> Problem:
    return Problem("syntax", message, span, expected, hint)


def unclosed_bracket(span: Span, bracket: str, closing: str) -> Problem:
    return Problem("unclosed-bracket", f"`{bracket}` is never closed", span, f"a `{closing}` that closes it")


def unclosed_string(span: Span, quote: str) -> Problem:
    more = "" if len(quote) > 1 else "; a string over several lines is written between `" + quote * 3 + "`"
    return Problem("unclosed-string", "the string has no end", span, f"a closing `{quote}`{more}")


def bad_escape(span: Span, escape: str, hint: str) -> Problem:
    return Problem("bad-escape", f"`{escape}` is not an escape sequence", span, hint=hint)


def reserved_word(span: Span, word: str) -> Problem:
    hints = {"namespace": "the pod's Namespace is `namespaceObject`, its name `pod.metadata.namespace`"}
    message = f"`{word}` is a reserved word and can't be a name here"
    return Problem("reserved-word", message, span, hint=hints.get(word, ""))


def number_out_of_range(span: Span, text: str, kind: str) -> Problem:
    ranges = {
        "int": "an int from -9223372036854775808 to 9223372036854775807",
        "uint": "a uint from 0u to 18446744073709551615u",
        "double": "a double of at most 1.7976931348623157e308",
    }
    return Problem("number-out-of-range", f"`{text}` does not fit into {kind}", span, ranges[kind])


def macro_arguments(span: Span, name: str, forms: tuple[str, ...], problem: str) -> Problem:
    return Problem("macro-arguments", f"`{name}` {problem}", span, " or ".join(f"`{form}`" for form in forms))


def expression_too_long(span: Span, length: int, limit: int) -> Problem:
    message = f"the expression has {length:,} characters, and at most {limit:,} are allowed"
    return Problem(
        "expression-too-long", message, span, hint="split it into variables, or move its constants to params"
    )


def expression_too_deep(span: Span, limit: int) -> Problem:
    message = f"the expression is nested deeper than {limit} levels here"
    return Problem("expression-too-deep", message, span, hint="move a part of it to a variable")


def empty_expression(span: Span) -> Problem:
    return Problem("empty-expression", "the expression is empty", span, "an expression")
