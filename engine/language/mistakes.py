"""What can be wrong in an expression, in words: one function for each kind of mistake, named after its rule."""

from __future__ import annotations

from collections.abc import Iterable

from engine.documents import Problem, Span, did_you_mean
from engine.language.types import DOUBLE, DYN, ObjectType, Type, TypeParameter

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


def expression_too_long(span: Span, limit: int, what: str) -> Problem:
    message = f"the expression has more than {limit:,} {what}"
    hint = "split it into variables, or move its constants to params"
    return Problem("expression-too-long", message, span, hint=hint)


def expression_too_deep(span: Span, limit: int) -> Problem:
    message = f"the expression is nested deeper than {limit} levels here"
    return Problem("expression-too-deep", message, span, hint="move a part of it to a variable")


def empty_expression(span: Span) -> Problem:
    return Problem("empty-expression", "the expression is empty", span, "an expression")


# --- what check finds

_PLACES = {
    "pool": "`pool` is known in require, prefer, fallback and tolerate only",
    "node": "`node` is known in require, prefer and fallback only",
    "taint": "`taint` is known in tolerate only",
}
_HABITS = {
    "object": "what Kubernetes' policies call `object` is `pod` here",
    "self": "what Kubernetes' schemas call `self` is `pod` here",
    "namespace_object": "did you mean `namespaceObject`?",
    "authorizer": "there is no authorizer here; `request.userInfo` says who asks",
}
_FIELDS = {
    **{("Request", name): f"what the scheduler counts for the pod is `requests.{name}`" for name in ("cpu", "memory")},
    ("NamespaceMeta", "uid"): "Kubernetes does not let its own policies read it either",
}
"""What is meant by a field that a type does not have."""


def unknown_variable(span: Span, name: str, known: Iterable[str]) -> Problem:
    names = sorted(known)
    hint = _HABITS.get(name) or _PLACES.get(name) or did_you_mean(name, names)
    return Problem(
        "unknown-variable", f"there is no variable `{name}` here", span, "" if hint else _one_of(names), hint
    )


def unknown_field(span: Span, owner: ObjectType, field: str) -> Problem:
    if owner.name == "variables":
        message = f"there is no variable `{field}` in this policy"
    else:
        message = f"`{owner.name}` has no field `{field}`"
    if owner.others is not None:
        message = f"`{owner.others.title}` never has `{field}`"
        return Problem("unknown-field", message, span, owner.others.expected)
    hint = _FIELDS.get((owner.name, field)) or did_you_mean(field, owner.fields) or _deeper(owner, field)
    return Problem("unknown-field", message, span, "" if hint else _one_of(sorted(owner.fields)), hint)


def _deeper(owner: ObjectType, field: str) -> str:
    """`labels` is a field of the pod's metadata, and half of all authors forget it."""
    inside = (name for name, type_ in owner.fields.items() if isinstance(type_, ObjectType) and field in type_.fields)
    return next((f"did you mean `{name}.{field}`?" for name in inside), "")


def no_fields(span: Span, type_: Type, field: str) -> Problem:
    hint = f"the list's elements may have it: `list.map(x, x.{field})`" if type_.name == "list" else ""
    return Problem(
        "no-fields", f"a value of type {said(type_)} has no field `{field}`", span, "an object or a map", hint
    )


def not_indexable(span: Span, type_: Type, index: str | None) -> Problem:
    hint = f"write `.{index}`" if isinstance(type_, ObjectType) and index else ""
    return Problem("not-indexable", f"a value of type {said(type_)} can't be indexed", span, "a list or a map", hint)


def wrong_index(span: Span, type_: Type, wanted: Type, found: Type) -> Problem:
    message = f"the index of a {said(type_)} can't be of type {said(found)}"
    return Problem("wrong-index", message, span, f"an index of type {said(wanted)}")


def index_out_of_range(span: Span, index: int, size: int | None) -> Problem:
    message = f"index {index} is out of range" + ("" if size is None else f": the list has {_count(size, 'element')}")
    return Problem("index-out-of-range", message, span, "an index of at least 0" if size is None else "")


def unknown_function(span: Span, name: str, method: bool, known: Iterable[str], hint: str = "") -> Problem:
    kind = "method" if method else "function"
    return Problem("unknown-function", f"there is no {kind} `{name}`", span, hint=hint or did_you_mean(name, known))


def wrong_argument(span: Span, name: str, what: str, found: Type, signatures: Iterable[str], hint: str = "") -> Problem:
    message = f"{what} of `{name}` can't be of type {said(found)}"
    return Problem("no-matching-overload", message, span, _signatures(signatures), hint)


def no_matching_overload(
    span: Span, name: str, arguments: Iterable[Type], signatures: Iterable[str], hint: str = ""
) -> Problem:
    given = ", ".join(said(argument) for argument in arguments)
    message = f"`{name}` can't be called with ({given})"
    return Problem("no-matching-overload", message, span, _signatures(signatures), hint)


def wrong_operands(span: Span, operator: str, operands: Iterable[Type], partners: Iterable[str], hint: str) -> Problem:
    given = " and ".join(said(operand) for operand in operands)
    expected = " or ".join(f"`{partner}`" for partner in partners)
    return Problem("no-matching-overload", f"`{operator}` can't be applied to {given}", span, expected, hint)


def never_equal(span: Span, operator: str, left: Type, right: Type, hint: str = "") -> Problem:
    message = f"`{operator}` compares {said(left)} with {said(right)}, which are never equal"
    return Problem("never-equal", message, span, "two values of one type", hint or "`dyn()` lets run time decide")


def not_bool(span: Span, place: str, found: Type) -> Problem:
    hint = "compare it with something, or convert it: `bool(…)`" if found == DYN else ""
    return Problem("not-bool", f"{place} is of type {said(found)}", span, "a bool", hint)


def wrong_result(span: Span, wanted: Type, found: Type) -> Problem:
    expected = "a number" if wanted == DOUBLE else f"a value of type {said(wanted)}"
    return Problem("wrong-result", f"the expression is of type {said(found)}", span, expected)


def branches_differ(span: Span, left: Type, right: Type) -> Problem:
    message = f"the two branches of `? :` are of types {said(left)} and {said(right)}"
    return Problem("branches-differ", message, span, "two values of one type", "`dyn()` lets run time decide")


def not_iterable(span: Span, macro: str, found: Type, wanted: str = "a list or a map") -> Problem:
    hint = "`.orValue([])` gives a list" if found.name == "optional_type" else ""
    return Problem("not-iterable", f"`{macro}` can't walk over a value of type {said(found)}", span, wanted, hint)


def not_sortable(span: Span, found: Type) -> Problem:
    expected = "a key that has an order: a number, string, bool, bytes, timestamp or duration"
    return Problem("not-sortable", f"`sortBy` can't sort by a value of type {said(found)}", span, expected)


def not_optional(span: Span, place: str, found: Type) -> Problem:
    return Problem("not-optional", f"{place} is of type {said(found)}", span, "an optional value", "`optional.of(…)`")


def not_a_map(span: Span, found: Type) -> Problem:
    message = f"`transformMapEntry` needs a map of one entry, and this is of type {said(found)}"
    return Problem("not-a-map", message, span, "`{key: value}`")


def mixed_literal(span: Span, what: str, first: Type, found: Type) -> Problem:
    message = f"this {what} is of type {said(found)}, and the first one of type {said(first)}"
    return Problem("mixed-literal", message, span, f"{what}s of one type", "put `dyn()` around each of them")


def bad_key(span: Span, found: Type) -> Problem:
    message = f"a value of type {said(found)} can't be a map's key"
    return Problem("bad-key", message, span, "a string, int, uint or bool")


def bad_constant(span: Span, text: str, reason: str) -> Problem:
    return Problem("bad-constant", f"`{text}` always fails: {reason}", span)


def bad_pattern(span: Span, reason: str) -> Problem:
    return Problem("bad-pattern", f"this regular expression does not compile: {reason}", span, "RE2's syntax")


def no_constructor(span: Span, name: str) -> Problem:
    hint = 'a map is written `{"key": value}`'
    return Problem(
        "no-constructor", f"there is no type `{name}` whose values can be written like this", span, hint=hint
    )


def unguarded_optional(span: Span, owner: str, field: str, path: str, safe: str) -> Problem:
    message = f"`{field}` may be absent from `{owner}`, and reading it then is an error"
    hint = f"ask first: `has({path})`, or read it as `{safe}` and give a default with `.orValue(…)`"
    return Problem("unguarded-optional", message, span, hint=hint, severity="warning")


def not_in_kubernetes(span: Span, name: str) -> Problem:
    message = f"the API server does not offer `{name}` to its own policies"
    return Problem("not-in-kubernetes", message, span, severity="warning")


def backquoted(span: Span, name: str) -> Problem:
    message = "the API server takes no names in backquotes in its own policies"
    return Problem("not-in-kubernetes", message, span, hint=f'write `["{name}"]`', severity="warning")


# --- words


def said(type_: Type) -> str:
    """A type as its author would write it."""
    short = {"google.protobuf.Timestamp": "timestamp", "google.protobuf.Duration": "duration", "null_type": "null"}
    name = "optional" if type_.name == "optional_type" else short.get(type_.name, type_.name)
    if isinstance(type_, TypeParameter):
        return "dyn" if name.startswith("_") else name
    inside = ", ".join(said(parameter) for parameter in type_.parameters)
    return f"{name}({inside})" if inside else name


def _one_of(names: list[str]) -> str:
    if not names or len(names) > 24:
        return ""
    return ("one of " if len(names) > 1 else "") + ", ".join(f"`{name}`" for name in names)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _signatures(signatures: Iterable[str]) -> str:
    return " or ".join(f"`{signature}`" for signature in dict.fromkeys(signatures))
