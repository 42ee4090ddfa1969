"""From what a source holds to a program that may decide: the steps on the way, each of which may end it.

fetch → limits → digest → signature → parse → compile → test → conflicts → swap. The source does the first ones, as
far as they are about how it is asked; what decides now is swapped by `delivery.activation`. Nothing of a step that
failed goes on to the next.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, Protocol

from delivery.content import Content, SourceError
from delivery.fingerprint import fingerprint_of
from delivery.folder import bundle_of, text_of
from delivery.pace import hurry
from delivery.requirements import unmet
from engine.bundle import Bundle, Policy, Revision, overridden
from engine.documents import BundleError, Problem, RequestError, Source
from engine.program import Program, compile_bundle
from engine.struct import Marked, Struct, replace
from engine.versions import VersionRange

Step = Literal["look", "fetch", "limits", "digest", "signature", "parse", "compile", "test", "conflicts", "swap"]

UNREADABLE = "unreadable"
"""The rule of a file that could not be read: what is wrong with the disk, not with the bundle."""
NOT_OWNED = "not-owned"
"""No rule of `check`: whose a name is says who serves the bundle."""
LIMITS = frozenset(("oversize", "too-many-files", "too-large", "too-much-to-read"))


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


class Vouched(Protocol):
    """That a bundle may be served, as far as signatures go."""

    @property
    def version(self) -> str:
        """The bundle's version, to be kept as the newest one seen; empty where nobody vouches for it."""

    @property
    def words(self) -> str:
        """Who vouches for it, and why that is enough."""

    @property
    def expires(self) -> datetime.datetime | None:
        """Until when it was signed; None for as long as its key is trusted."""


Vouch = Callable[[Content, str, str, str, float], Vouched]
"""Says who vouches for a content, or raises what has `step` and says why that is not enough.

Given are the bundle's name and version as it says them itself, the newest version seen of it (empty for none), and the
time, in seconds since 1970, for which it has to be good.
"""


class Overrides(Struct, frozen=True):
    """Constants that a cluster lays over a bundle's: files, and texts, which win; YAML maps from names to values."""

    files: tuple[str, ...] = ()
    texts: tuple[Source, ...] = ()

    def version(self) -> str:
        """Equal as long as no file has changed; empty where there are none."""
        return fingerprint_of(*self.files).hex() if self.files else ""

    def sources(self) -> tuple[Source, ...]:
        """All of them. Raises BundleError for what is no text, OSError for what can't be read."""
        return (*(text_of(file) for file in self.files), *self.texts)


class Candidate(Marked, frozen=True):
    """A content that passed every step before the swap, and the bundle and program that it is.

    `vouched` says who vouches for it, None where nobody was asked; `conflicts` what its policies do to each other, None
    where that was not looked for.
    """

    unprinted = ("bundle", "program")

    content: Content
    bundle: Bundle
    program: Program
    vouched: Vouched | None = None
    conflicts: tuple[Problem, ...] | None = None

    @property
    def revision(self) -> Revision:
        return self.program.revision

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(dict.fromkeys((*self.bundle.warnings, *self.program.warnings, *(self.conflicts or ()))))


class Demands(Struct, frozen=True):
    """What is asked of a content beside being a sound bundle, and what it is to be for this cluster.

    `vouch` is asked who speaks for it; `owns` are the beginnings that names of its policies must have one of, any if
    there are none, and `others` those of bundles that serve beside it, with what these are called; with `strict`, what
    its policies do to each other stands in the way, and is not only told. `bayplan` is the version that this is;
    `kubernetes` gives that of the cluster, empty where it is not known.
    """

    vouch: Vouch | None = None
    overrides: Overrides = Overrides()
    owns: tuple[str, ...] = ()
    others: Mapping[str, str] = {}
    strict: bool = False
    bayplan: str = ""
    kubernetes: Callable[[], str] = lambda: ""

    @property
    def once(self) -> Demands:
        """What is asked of a content that has served before: the cluster may be another release since."""
        return replace(self, kubernetes=Demands().kubernetes)


def candidate_of(
    content: Content, demands: Demands, seen: Mapping[str, str], now: float, rest: Callable[[], None] = hurry
) -> Candidate:
    """The candidate that a content is. Raises StepFailedError.

    `seen` is by bundle the newest version that somebody vouched for, `now` the time for which signatures must be good.
    `rest` is called between pieces of the work.
    Of what nobody has vouched for yet no more is read than what it is; and nothing of it is evaluated.
    """
    with _step("parse"):
        bundle, problems = bundle_of(content.files, content.problems)
    rest()
    vouched = None
    if bundle is not None and demands.vouch is not None:
        with _step("signature"):
            vouched = demands.vouch(content, bundle.name, bundle.version, seen.get(bundle.name, ""), now)
    bundle = _sound(bundle, problems, demands)
    with _step("compile"):
        program = compile_bundle(bundle, rest)
    with _step("test"):
        program = _passing(bundle, program) if bundle.tests else program
    rest()
    with _step("parse", lasting=False):
        here = overridden(bundle, demands.overrides.sources())
    if here is not bundle:
        with _step("compile", lasting=False):
            bundle, program = here, compile_bundle(here, rest)
    candidate = Candidate(content, bundle, program, vouched)
    return _without_conflicts(candidate) if demands.strict else candidate


def _passing(bundle: Bundle, program: Program) -> Program:
    from engine.analysis import passing  # whoever has no tests, or only asks whether something changed, does without

    return passing(bundle, program)


def conflicts_of(candidate: Candidate) -> tuple[Problem, ...]:
    """What the policies of a candidate do to each other on the bundle's own pools, as `check` tells it."""
    from engine.analysis import examine, inventories_of

    return examine(candidate.bundle, candidate.program, inventories_of(candidate.bundle)).problems


def _without_conflicts(candidate: Candidate) -> Candidate:
    with _step("conflicts"):
        found = conflicts_of(candidate)
        if found:
            raise BundleError(found)
    return replace(candidate, conflicts=())


def _sound(bundle: Bundle | None, problems: tuple[Problem, ...], demands: Demands) -> Bundle:
    """The bundle, if nothing is wrong with it. Raises StepFailedError."""
    needed = bundle.requires.get("bayplan") if bundle else None
    if bundle and needed and demands.bayplan and not VersionRange(needed).admits(demands.bayplan):
        text = f"bundle `{bundle.name}` {bundle.version} requires bayplan {needed}, and this is {demands.bayplan}"
        raise StepFailedError("parse", text, lasting=True)
    errors = {problem.rule for problem in problems if problem.severity == "error"}
    if bundle is None or errors:
        step: Step = "limits" if errors & LIMITS else "fetch" if UNREADABLE in errors else "parse"
        told = BundleError(problems)
        raise StepFailedError(step, str(told), lasting=UNREADABLE not in errors, problems=told.problems) from told
    lacking = unmet(bundle, demands.kubernetes()) if "kubernetes" in bundle.requires else ()
    if lacking:
        raise StepFailedError("parse", str(BundleError(lacking)), lasting=False, problems=lacking)
    strangers = [policy for policy in bundle.policies if demands.owns and not policy.name.startswith(demands.owns)]
    if strangers:
        expected = "a name that begins with " + " or ".join(f"`{prefix}`" for prefix in demands.owns)
        told = BundleError(
            Problem(NOT_OWNED, f"`{policy.name}` is not {_whose(bundle, policy, demands)}", policy.span, expected)
            for policy in strangers
        )
        raise StepFailedError("parse", str(told), lasting=True, problems=told.problems)
    return bundle


def _whose(bundle: Bundle, policy: Policy, demands: Demands) -> str:
    """That a name is another bundle's, if one is known that it is of."""
    other = next((name for prefix, name in demands.others.items() if policy.name.startswith(prefix)), None)
    return f"bundle `{bundle.name}`'s to say" + (f", but that of `{other}`, which serves beside it" if other else "")


@contextmanager
def _step(step: Step, *, lasting: bool = True) -> Iterator[None]:
    """What goes wrong inside is the step's failure."""
    try:
        yield
    except BundleError as error:
        raise StepFailedError(step, str(error), lasting=lasting, problems=error.problems) from error
    except RequestError as error:
        raise StepFailedError(step, str(error), lasting=lasting) from error
    except OSError as error:
        raise StepFailedError(step, str(error), lasting=False) from error
    except Exception as error:
        if getattr(error, "step", "") == step:  # it says so itself; and whom to trust may change without the content
            raise StepFailedError(step, str(error), lasting=False) from error
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
