"""From what a source holds to a program that may decide: the steps on the way, each of which may end it.

fetch → limits → digest → signature → parse → compile → test → conflicts → swap. The source does the first ones, as
far as they are about how it is asked; what decides now is swapped by `delivery.activation`. Nothing of a step that
failed goes on to the next: a signature is checked before anything is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from delivery.content import Content, SourceError
from delivery.folder import bundle_of
from engine.bundle import Bundle, Revision
from engine.documents import BundleError, Problem, RequestError
from engine.program import Program, compile_bundle

Step = Literal["look", "fetch", "limits", "digest", "signature", "parse", "compile", "test", "conflicts", "swap"]

UNREADABLE = "unreadable"
"""The rule of a file that could not be read: what is wrong with the disk, not with the bundle."""
LIMITS = frozenset(("oversize", "too-many-files", "too-large"))


class StepFailedError(Exception):
    """A step failed: the text says why, as its author or operator needs it.

    `lasting` says that the same content would fail again: it need not be tried before it changes. `problems` are those
    of the bundle, empty where something else is wrong; `retry_after` are seconds that a source asks for. With `bug`,
    only Bayplan's authors can do anything about it: what it was raised from belongs into the log.
    """

    def __init__(
        self, step: Step, text: str, *, lasting: bool, problems: tuple[Problem, ...] = (), retry_after: float = 0.0
    ) -> None:
        super().__init__(text)
        self.step: Step = step
        self.lasting, self.problems, self.retry_after, self.bug = lasting, problems, retry_after, False


class SignatureError(Exception):
    """Nobody who is trusted speaks for a content, or not for this: the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A content that passed every step before the swap, and the bundle and program that it is."""

    content: Content
    bundle: Bundle = field(repr=False)
    program: Program = field(repr=False)

    @property
    def revision(self) -> Revision:
        return self.program.revision

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(dict.fromkeys((*self.bundle.warnings, *self.program.warnings)))


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked of a content beside being a sound bundle.

    `trusted` raises SignatureError for a content that nobody speaks for who must, before it is parsed.
    """

    trusted: Callable[[Content], object] | None = None


def candidate_of(content: Content, demands: Demands) -> Candidate:
    """The candidate that a content is. Raises StepFailedError."""
    with _step("signature"):
        if demands.trusted:
            demands.trusted(content)
    bundle = _parsed(content)
    with _step("compile"):
        program = compile_bundle(bundle)
    with _step("test"):
        from engine.analysis import passing  # whoever only asks whether something changed does without

        program = passing(bundle, program)
    return Candidate(content, bundle, program)


def _parsed(content: Content) -> Bundle:
    with _step("parse"):
        bundle, problems = bundle_of(content.files, content.problems)
    errors = {problem.rule for problem in problems if problem.severity == "error"}
    if bundle is not None and not errors:
        return bundle
    step: Step = "limits" if errors & LIMITS else "fetch" if UNREADABLE in errors else "parse"
    told = BundleError(problems)
    raise StepFailedError(step, str(told), lasting=UNREADABLE not in errors, problems=told.problems) from told


@contextmanager
def _step(step: Step) -> Iterator[None]:
    """What goes wrong inside is the step's failure."""
    try:
        yield
    except BundleError as error:
        raise StepFailedError(step, str(error), lasting=True, problems=error.problems) from error
    except RequestError as error:
        raise StepFailedError(step, str(error), lasting=True) from error
    except SignatureError as error:  # whom to trust may change without the content
        raise StepFailedError(step, str(error), lasting=False) from error
    except Exception as error:
        raise bug(step, error) from error


@contextmanager
def asking(step: Literal["look", "fetch"]) -> Iterator[None]:
    """What goes wrong while a source is asked inside is the failure of a step: of this one, unless the source says."""
    try:
        yield
    except SourceError as error:
        raise StepFailedError(error.step, str(error), lasting=False, retry_after=error.retry_after) from error
    except OSError as error:
        raise StepFailedError(step, str(error), lasting=False) from error
    except Exception as error:
        raise bug(step, error) from error


def bug(step: Step, error: Exception) -> StepFailedError:
    """The failure of a step for an exception that nobody expected; raise it from that, so that it can be logged."""
    text = f"this is a bug of Bayplan, please report it with the log: {type(error).__name__}"
    failed = StepFailedError(step, text, lasting=False)
    failed.bug = True
    return failed
