"""Reading a text by the parser's tables: what Lark's own loop does, less what only its error messages need.

Most of what an LALR parser of CEL does is to say that a constant is a primary is a member is a unary … is an
expression: a dozen reductions for each operand, none of which changes the value. Which state such a chain ends in
depends on the two states on top of the stack and the next word alone, so it is worked out once (`_step`).

Tables, lexers and callbacks are Lark's, so both read the same texts as the same trees. A text that can't be read is
Unread, without a reason: Lark knows it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from re import Match
from typing import Any, NamedTuple

from engine.language.grammar import Reduction, Tables, Token

END = "$END"


class Unread(Exception):  # noqa: N818 - not an error: whoever asked asks Lark next
    """The text is no expression."""


class _Step(NamedTuple):
    """What to do about a word: first, `state` takes the place of the one on top of the stack, whose value goes through
    `wrapping`, if there is any. Then `shift` is the state to go to with the word, or else `reduce` is to be done, or
    else the text is read.
    """

    state: int
    wrapping: Reduction | None
    shift: int | None = None
    reduce: Reduction | None = None


class Reader:
    """Reads texts by the tables of a parser.

    `passing` are names of rules whose value is that of their part where they have only one. Rules whose name begins
    with `_` are Lark's lists: what has only one such part, and that of one element, is that element.
    """

    def __init__(self, tables: Tables, passing: Collection[str]) -> None:
        self._tables = tables
        self._passing = frozenset(passing)
        self._steps: dict[tuple[int, int, str], _Step] = {}

    def read(self, text: str) -> Any:
        """What the callbacks make of a text. Raises Unread."""
        lexers, gotos, known = self._tables.lexers, self._tables.gotos, self._steps
        states, values = [-1, self._tables.start], list[Any]()
        place, end, kind, word = 0, len(text), "", None
        while True:
            match, ignored, renamed = lexers[states[-1]]
            kind = END
            while place < end:
                found = match(text, place)
                if found is None:
                    raise Unread
                place = found.end()
                if found.lastgroup not in ignored:
                    word = _word(found, renamed)
                    kind = word.type
                    break
            while True:
                key = (states[-2], states[-1], kind)
                state, wrapping, shift, reduce = known.get(key) or self._step(key)
                states[-1] = state
                if wrapping is not None:
                    values[-1] = wrapping.call([values[-1]])
                if shift is not None:
                    states.append(shift)
                    values.append(word)
                    break
                if reduce is None:
                    return values[-1]
                size, name, _, call = reduce
                parts = values[-size:]
                del values[-size:], states[-size:]
                values.append(call(parts))
                states.append(gotos[states[-1]][name])

    def _step(self, key: tuple[int, int, str]) -> _Step:
        """What to do about a word of a kind, given the two states on top of the stack. Raises Unread."""
        below, state, kind = key
        actions, wrapping = self._tables.actions, None
        while kind != END or state != self._tables.end:
            action = actions[state].get(kind)
            if action is None:
                raise Unread
            if isinstance(action, int):
                step = _Step(state, wrapping, shift=action)
                break
            unwraps = wrapping is not None and action.first == wrapping.name
            wraps = wrapping is None and action.name.startswith("_")
            passes = unwraps or wraps or (action.name in self._passing and not action.first.startswith("_"))
            if action.size != 1 or not passes or (unwraps and action.name.startswith("_")):
                step = _Step(state, wrapping, reduce=action)
                break
            wrapping = action if wraps else None
            state = self._tables.gotos[below][action.name]
        else:
            step = _Step(state, wrapping)
        self._steps[key] = step
        return step


def _word(found: Match[str], renamed: Mapping[str, Any]) -> Token:
    """The word that was found, with the places that callbacks ask for."""
    text, kind = found.group(), found.lastgroup or ""
    word = str.__new__(Token, text)
    word.type, word.value, word.start_pos, word.end_pos = kind, text, found.start(), found.end()
    renaming = renamed.get(kind)
    return renaming(word) if renaming is not None else word
