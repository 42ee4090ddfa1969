"""Several bundles on one command line: a flag behind a `--bundle` is about that one, and no name is two's to say."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple


class OfBundle(argparse.Action):
    """Notes what a flag says, and behind which `--bundle` it stands; `many`, if it may be repeated for one of them."""

    def __init__(self, *args: Any, many: bool = False, **more: Any) -> None:
        super().__init__(*args, **more)
        self.many = many

    def __call__(self, _: object, namespace: argparse.Namespace, values: Any, __: str | None = None) -> None:
        noted = getattr(namespace, "noted", ())
        behind = len(namespace.bundle or ())
        said = True if self.nargs == 0 else values
        namespace.noted = (*noted, (behind, self.dest, self.many, said))


def said_of(args: argparse.Namespace, place: int) -> dict[str, Any]:
    """What flags say of the bundle in a place: those behind it, and those before the first."""
    said: dict[str, Any] = {}
    for behind, name, many, value in getattr(args, "noted", ()):
        if len(args.bundle) == 1 or behind in (0, place + 1):
            said[name] = [*said.get(name, ()), value] if many else value
    return said


class Owner(NamedTuple):
    """A bundle, as it is written, and how names of its policies begin."""

    source: str
    owns: Sequence[str]


def overlaps(owners: Sequence[Owner]) -> Iterator[str]:
    """Why it is not certain of bundles that decide together that no two hold a policy of the same name."""
    for one in owners if len(owners) > 1 else ():
        if not one.owns:
            others = ", ".join(f"`{other.source}`" for other in owners if other is not one)
            yield (
                f"say with --owns how names of policies of bundle `{one.source}` begin, behind its --bundle: it serves "
                f"beside {others}, and no two may hold a policy of the same name"
            )
    for one, other in combinations(owners, 2):
        if one.source == other.source:
            yield f"bundle `{one.source}` is given twice: say all that it --owns behind one --bundle"
        for mine in one.owns:
            for its in other.owns:
                if mine.startswith(its) or its.startswith(mine):
                    yield (
                        f"--owns `{mine}` of bundle `{one.source}` and --owns `{its}` of bundle `{other.source}` "
                        "overlap: a policy could be either's to say; give prefixes of which none begins with another"
                    )
