"""Culprit: which field made an expression fail, and what to do about it, for whoever made the pod.

It is told by its place alone, with the keys that the policy's author wrote: what stands there is not repeated. Looking
is paid for by the request, from a budget of its own; once that is spent, all that is told is what a policy reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from engine.language import Budget, BudgetExceeded, CelError, NoSuchKey
from engine.nodeselector import Meter, TooMany
from engine.program import EACH, POD_NAMES, Arguments, FieldPath, PoolLacks

_LOOKED_AT = 64
"""So many values of a field are looked at, at most."""
_PATHS = 8
"""So many fields are looked at, at most: an author must not make a failure dear."""
TELLING = 10_000
"""What all policies on one pod may spend on saying which fields they failed for, in units: five milliseconds."""
_LOOK = 2
"""What to look at one value takes of a budget, in units: about a microsecond."""
_NAMED = 3
"""So many fields are named, at most, where it may have been any of them."""
_OWNERS = {"pod": "the pod", "namespaceObject": "its Namespace", "request": "the request", "requests": "the pod"}
_UNREAD = "nothing of the pod is to blame: whoever keeps the policy can mend it"
_GUARD = "or have whoever keeps the policy allow for it"


def remedy(error: Exception, paths: Iterable[FieldPath], arguments: Arguments) -> str:
    """Which field of those at `paths` an expression failed for that was called with these arguments, and what to do."""
    roots = dict(zip(POD_NAMES[:3], arguments[1:4], strict=True))  # what is written down, and not computed
    read = [path for path in islice(paths, _PATHS) if path[0] in roots or path[0] == "requests"]
    meter = _telling(arguments)
    if isinstance(error, (BudgetExceeded, TooMany)):
        return _too_large(read, roots, meter)
    try:
        missing = _lacking(error, read, roots, meter)
        if missing:
            return missing
        suspects = _quoted(error, read, roots, meter)
    except BudgetExceeded:
        suspects = []
    suspects = suspects or list(dict.fromkeys(map(_written, read)))
    return f"that is about {_either(suspects)}: change it, {_GUARD}" if suspects else _UNREAD


def lack(error: Exception | None, paths: Iterable[FieldPath], arguments: Arguments) -> str:
    """Which field of those at `paths` an expression ran into that is not there, and what to do; empty for what else."""
    if not isinstance(error, NoSuchKey) or isinstance(error, PoolLacks):
        return ""
    roots = dict(zip(POD_NAMES[:3], arguments[1:4], strict=True))
    try:
        return _lacking(error, islice(paths, _PATHS), roots, _telling(arguments))
    except BudgetExceeded:
        return ""


def _telling(arguments: Arguments) -> Meter:
    """What pays for a look at the pod: the request's own, where there is a request."""
    budget = getattr(arguments[4], "telling", None) if len(arguments) > 4 else None
    return budget if isinstance(budget, Budget) else Budget(TELLING)


def _either(paths: Sequence[FieldPath]) -> str:
    """Some of these fields in words."""
    named = " or ".join(map(_named, paths[:_NAMED]))
    return f"{named}, or {len(paths) - _NAMED} more" if len(paths) > _NAMED else named


def _lacking(error: Exception, read: Iterable[FieldPath], roots: Mapping[str, object], meter: Meter) -> str:
    missing = _missing(error, read, roots, meter) if isinstance(error, NoSuchKey) else None
    return f"{_OWNERS[str(missing[0])]} has no {_shown(missing)}: add it, {_GUARD}" if missing else ""


def _too_large(read: Sequence[FieldPath], roots: Mapping[str, object], meter: Meter) -> str:
    """The largest of the fields that were read, for reading them took too long."""
    try:
        sizes = _sizes(read, roots, meter)
    except BudgetExceeded:
        return f"it reads {_either(list(dict.fromkeys(map(_written, read))))}: make that smaller, {_GUARD}"
    if not sizes:
        return _UNREAD
    largest = max(sizes, key=lambda path: sizes[path])
    return f"the largest of what it reads is {_named(_written(largest))}: make that smaller, {_GUARD}"


def _sizes(read: Iterable[FieldPath], roots: Mapping[str, object], meter: Meter) -> dict[FieldPath, int]:
    """How large what was read is, by field, in units of a budget, roughly."""
    sizes: dict[FieldPath, int] = {}
    for path in read:
        for place, value in islice(_values(path, roots, meter), _LOOKED_AT):
            if isinstance(value, (str, list, tuple, dict)):
                widened = tuple(EACH if isinstance(step, int) else step for step in place)
                units = len(value) >> 6 if isinstance(value, str) else len(value)
                sizes[widened] = sizes.get(widened, 0) + units
    return sizes


def _missing(
    error: NoSuchKey, read: Iterable[FieldPath], roots: Mapping[str, object], meter: Meter
) -> FieldPath | None:
    """The first place on the way of a path at which a map lacks the key."""
    key = error.args[0]
    for path in read:
        if path[0] == "requests":
            if len(path) > 1 and path[1] == key:
                return path[:2]
            continue
        for place, step in enumerate(path):
            if place and step == key:
                for where, value in islice(_values(path[:place], roots, meter), _LOOKED_AT):
                    if isinstance(value, Mapping) and key not in value:
                        return (*where, step)
    return None


def _quoted(error: Exception, read: Iterable[FieldPath], roots: Mapping[str, object], meter: Meter) -> list[FieldPath]:
    """Fields whose value an error repeats."""
    said = str(error) if isinstance(error, CelError) else ""
    return [
        place
        for path in read
        for place, value in islice(_values(path, roots, meter), _LOOKED_AT)
        if isinstance(value, str) and f'"{value[:63]}' in said
    ]


def _values(path: FieldPath, roots: Mapping[str, object], meter: Meter) -> Iterator[tuple[FieldPath, object]]:
    """What stands at a path, with the index of each element; nothing where the way ends before.

    Raises BudgetExceeded.
    """
    found: list[tuple[FieldPath, object]] = [((path[0],), roots[str(path[0])])] if path[0] in roots else []
    for step in path[1:]:
        inside = (one for place, value in found for one in _inside(place, value, step))
        meter.spend(_LOOK * len(found))
        found = list(islice(inside, _LOOKED_AT))
        meter.spend(_LOOK * len(found))
    yield from found


def _inside(place: FieldPath, value: object, step: str | int | None) -> Iterator[tuple[FieldPath, object]]:
    if isinstance(value, Mapping):
        if step is EACH:
            yield from (((*place, EACH), each) for each in islice(value.values(), _LOOKED_AT))
        elif step in value:
            yield (*place, step), value[step]
    elif isinstance(value, (list, tuple)):
        if step is EACH:
            yield from (((*place, i), each) for i, each in enumerate(islice(value, _LOOKED_AT)))
        elif isinstance(step, int) and 0 <= step < len(value):
            yield (*place, step), value[step]


def _written(path: FieldPath) -> FieldPath:
    """A path as far as the policy's author wrote it out, at its end."""
    while path[-1] is EACH:
        path = path[:-1]
    return path


def _named(path: FieldPath) -> str:
    """`spec.containers[0].image`, `metadata.labels[team] of its Namespace`."""
    owner = "" if path[0] in ("pod", "requests") else f" of {_OWNERS[str(path[0])]}"
    return f"{_shown(path)}{owner}" if len(path) > 1 else _OWNERS[str(path[0])]


def _shown(path: FieldPath) -> str:
    """A path as Kubernetes writes it, keys of maps in brackets."""
    root, *steps = path
    if root == "requests":
        inside = f"[{steps[0]}]" if steps and steps[0] is not EACH else ""
        return f"spec.containers[*].resources.requests{inside}"
    text = ""
    for place, step in enumerate(steps):
        in_map = place and steps[place - 1] in _MAPS
        if step is EACH:
            text += "[*]"
        elif isinstance(step, int) or in_map:
            text += f"[{step}]"
        else:
            text += f".{step}" if text else str(step)
    return text


_MAPS = frozenset(("labels", "annotations", "nodeSelector", "limits", "requests", "overhead", "matchLabels", "extra"))
"""Fields that hold what people name themselves."""
