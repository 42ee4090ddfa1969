"""The inputs that mattered: what the policies with a part in a decision read of pod, Namespace, request and pools.

Which fields those are is told by the expressions' text (`Rule.reads`, and the leaves' `reads` of pools), and by the
selectors; what evaluation touched would depend on the order of writing, for `&&` absorbs in either. Values of a pod's
environment are never among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from audit.findings import Input
from engine.documents import RequestError
from engine.pods import IncomingPod, requests_of, without_environment
from engine.pools import PLAIN_FIELDS, POOL_FIELDS, Pool, Read, capacity_types
from engine.program import EACH, CompiledPolicy, FieldPath, Rule, leaves_of

MOST = 40
"""Inputs of a finding, and values of a list, at most."""
LONGEST = 200
"""Characters of a value that is text."""
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_UNTOLD = ("env", "envFrom", "command", "args", EACH)
"""Fields of a container that may hold secrets."""


def inputs_of(policies: Iterable[CompiledPolicy], incoming: IncomingPod, pools: Sequence[Pool]) -> tuple[Input, ...]:
    """What these policies read, and what stands there: first of the pod and what surrounds it, then of these pools."""
    paths: dict[FieldPath, None] = {}
    reads: dict[Read, None] = {}
    for policy in policies:
        paths |= dict.fromkeys(paths_of(policy))
        for rule in rules_of(policy):
            for leaf in leaves_of(rule.tree):
                reads |= dict.fromkeys(sorted(leaf.reads | (leaf.seen or frozenset())))
        for wish in policy.prefer:
            reads |= dict.fromkeys(sorted(wish.score.reads | wish.score.seen if wish.score else ()))
    roots = {
        "pod": without_environment(incoming.pod),
        "namespaceObject": incoming.namespace,
        "request": incoming.request,
    }
    given = (Input(written(path), _shown(_value(path, roots, incoming))) for path in paths if not _secret(path))
    of_pools = (one for read in reads if read.kind != "all" for one in _of_pools(read, pools))
    return tuple(islice((*given, *of_pools), MOST))


def rules_of(policy: CompiledPolicy) -> Iterator[Rule]:
    """The entries of a policy that are over pools and nodes."""
    yield from policy.require
    yield from (share.rule for share in policy.split)
    yield from (wish.rule for wish in policy.prefer if wish.rule)
    yield from policy.fallback


def paths_of(policy: CompiledPolicy) -> Iterator[FieldPath]:
    """The fields of the pod, and of what surrounds it, that a policy's selectors and expressions read."""
    for selector, root in ((policy.pod_selector, "pod"), (policy.namespace_selector, "namespaceObject")):
        yield from ((root, "metadata", "labels", requirement.key) for requirement in selector.requirements)
    yield from (path for one in (*policy.match_conditions, *policy.deny) for path in one.reads)
    yield from (path for rule in rules_of(policy) for path in rule.reads)
    yield from (path for wish in policy.prefer if wish.score for path in wish.score.paths)
    yield from (path for one in policy.tolerate for path in one.reads)


def _secret(path: FieldPath) -> bool:
    """Whether a field is a pod's environment, or may hold it: all of a pod, of its spec, or of its containers."""
    if path[0] != "pod":
        return False
    if path[1:3] == ("metadata", "annotations") or path == ("pod", "metadata"):
        return len(path) < 4 or path[3] is EACH
    inside = len(path) > 2 and path[1] == "spec" and path[2] in _CONTAINERS
    return len(path) < 3 or (inside and (len(path) < 5 or path[4] in _UNTOLD))


def written(path: FieldPath) -> str:
    """A path as in expressions; `[*]` is every element."""
    text = str(path[0])
    for step in path[1:]:
        if step is EACH:
            text += "[*]"
        elif isinstance(step, str) and _WORD.fullmatch(step):
            text += f".{step}"
        else:
            text += f'["{step}"]' if isinstance(step, str) else f"[{step}]"
    return text


def _value(path: FieldPath, roots: Mapping[str, Any], incoming: IncomingPod) -> Any:
    if path[0] == "requests":
        found = requested(incoming.pod)
        return found.get(str(path[1])) if len(path) > 1 and path[1] is not EACH else found
    return _at(roots.get(str(path[0])), path[1:])


def requested(pod: Mapping[str, Any]) -> dict[str, int | float]:
    """What the scheduler will count for a pod, by resource; nothing where a quantity is none."""
    try:
        return requests_of(pod)
    except RequestError:
        return {}


def _at(value: Any, steps: Sequence[str | int | None]) -> Any:
    """What stands at the end of a way; a list where it goes to every element. None where there is nothing."""
    for place, step in enumerate(steps):
        if step is EACH:
            each = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
            return [_at(one, steps[place + 1 :]) for one in islice(each, MOST)]
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def _shown(value: Any) -> Any:
    """A value within bounds."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
    if isinstance(value, Mapping):
        return {str(key): _shown(one) for key, one in islice(value.items(), MOST)}
    if isinstance(value, (list, tuple)):
        return [_shown(one) for one in islice(value, MOST)]
    return value


def _of_pools(read: Read, pools: Sequence[Pool]) -> Iterator[Input]:
    """What pools say to one thing that is read of them, those that say the same together."""
    found: dict[str, tuple[Any, list[str]]] = {}
    for pool in pools:
        said = _said(read, pool)
        found.setdefault(repr(said), (said, []))[1].append(pool.name)
    path = _pool_path(read)
    yield from (Input(path, value, tuple(names)) for value, names in found.values())


def _pool_path(read: Read) -> str:
    match read.kind:
        case "field":
            return f"pool.{read.key}"
        case "listed":
            return f"pool.{next(field for field, label in POOL_FIELDS.items() if label == read.key)}"
        case "capacity":
            return "pool.capacityTypes"
    return f'pool.{read.kind}["{read.key}"]'


def _said(read: Read, pool: Pool) -> Any:
    """What a pool says to it: a value, a list of those that it may be, None where that is not known or not there."""
    if read.kind == "field":
        return getattr(pool, PLAIN_FIELDS[read.key])
    if read.kind == "capacity":
        types = capacity_types(pool)
        return None if types is None else sorted(types)
    values = pool.choices.get(read.key)
    return values[0] if values is not None and read.kind == "labels" and read.key in pool.labels else values
