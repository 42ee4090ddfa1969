"""What the scheduler will count for a pod: its requests, by resource.

Source: k8s.io/component-helpers/resource (PodRequests) as kube-scheduler v1.36 calls it for a pod that is to be placed
(pkg/scheduler/framework/plugins/noderesources). There pod-level resources count (gate PodLevelResources, on); a pod's
status does not, for what is resized in place runs already, nor do resource claims (DRANodeAllocatableResources, off).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from engine.documents import RequestError, nanos, spelled, written

Json = Any
Object = Mapping[str, Json]

LARGEST = 2**63 - 1
"""More than that nobody counts: a request beyond it is this many."""

_POD_LEVEL = ("cpu", "memory")
HUGE_PAGES = "hugepages-"


class Amount(NamedTuple):
    """A quantity: in billionths, and a text whose kind of suffix it is written with, or which says just this."""

    nanos: int
    like: str
    said: bool = False

    def __str__(self) -> str:
        return self.like if self.said else spelled(self.nanos, self.like)


Amounts = dict[str, Amount]


def requests_of(pod: Object) -> dict[str, int | float]:
    """What the scheduler will count, by resource: `cpu` in cores, all others in their unit (bytes, devices).

    Fractions are rounded up as the scheduler does: of `cpu` at thousandths, of others at whole ones. What nothing in
    the pod requests is not there. The pod is one that the API server has defaulted: limits stand for no requests here.
    Raises RequestError with the field's path for a quantity that is none.
    """
    spec = pod.get("spec") or {}
    amounts = aggregated(spec, "requests")
    pod_level = amounts_in(_resources(spec, "spec"), "requests", "spec.resources")
    amounts |= {name: amount for name, amount in pod_level.items() if is_pod_level(name)}
    _add(amounts, amounts_in(spec, "overhead", "spec"))
    return {name: _counted(name, amount.nanos) for name, amount in amounts.items()}


def quantities_in(pod: Object) -> int:
    """How many quantities `requests_of` will read, at most: for whoever pays for it."""
    spec = pod.get("spec") or {}
    sized = [
        spec.get("overhead"),
        *(_named(owner, "resources", "requests") for owner in (spec, *_all_containers(spec))),
    ]
    return sum(len(each) for each in sized if isinstance(each, Mapping))


def aggregated(spec: Object, kind: str) -> Amounts:
    """`requests` or `limits` of all containers together: those that run side by side, or an init container, if that
    with the sidecars that start before it needs more. Raises RequestError.

    Source: AggregateContainerRequests, AggregateContainerLimits.
    """
    total: Amounts = {}
    for place, container in _containers(spec, "containers"):
        _add(total, amounts_in(_resources(container, place), kind, f"{place}.resources"))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for place, container in _containers(spec, "initContainers"):
        own = amounts_in(_resources(container, place), kind, f"{place}.resources")
        if container.get("restartPolicy") == "Always":
            _add(total, own)
            _add(sidecars, own)
            own = sidecars
        else:
            _add(own, sidecars)
        _raise_to(starting, own)
    _raise_to(total, starting)
    return total


def amounts_in(owner: Object, kind: str, place: str) -> Amounts:
    """The quantities of a map under `kind`, which stands at `place`. Raises RequestError."""
    given = owner.get(kind)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise RequestError(f"{place}.{kind}", "this must be a map")
    return {name: _amount(said, f"{place}.{kind}.{name}") for name, said in given.items()}


def as_text(quantity: Json) -> str:
    """A quantity as text: JSON may say it as a number. Raises ValueError where it is neither."""
    if isinstance(quantity, bool) or not isinstance(quantity, (str, int, float)):
        raise ValueError("this must be a quantity")
    return quantity if isinstance(quantity, str) else repr(quantity)


def with_quantities_as_text(pod: Object) -> dict[str, Json]:
    """The pod with those quantities as text that JSON says as numbers; what is neither stays as it is."""
    spec = pod.get("spec")
    if not isinstance(spec, Mapping):
        return dict(pod)
    made = dict(_with_texts(spec, "overhead"))
    if "resources" in made:
        made["resources"] = _with_texts(made["resources"], "limits", "requests")
    for kind in ("containers", "initContainers"):
        if isinstance(made.get(kind), list):
            made[kind] = [_container_with_texts(each) for each in made[kind]]
    return {**pod, "spec": made}


def _container_with_texts(container: Json) -> Json:
    if not isinstance(container, Mapping) or "resources" not in container:
        return container
    return {**container, "resources": _with_texts(container["resources"], "limits", "requests")}


def _with_texts(owner: Json, *kinds: str) -> Json:
    if not isinstance(owner, Mapping):
        return owner
    maps = {kind: owner[kind] for kind in kinds if isinstance(owner.get(kind), Mapping)}
    return {**owner, **{kind: {name: _textual(said) for name, said in given.items()} for kind, given in maps.items()}}


def _textual(said: Json) -> Json:
    try:
        return as_text(said)
    except ValueError:
        return said


@lru_cache(maxsize=1024)
def in_thousandths(text: str) -> str:
    """A quantity as the API server keeps it in a pod: no finer than thousandths, rounded up. Raises ValueError.

    Source: SetDefaults_ResourceList.
    """
    return written(text, -3)


def is_pod_level(resource: str) -> bool:
    """Whether a resource can be requested for a pod as a whole."""
    return resource in _POD_LEVEL or resource.startswith(HUGE_PAGES)


def _amount(said: Json, place: str) -> Amount:
    try:
        return _read("0" if said is None else as_text(said))
    except ValueError as error:
        raise RequestError(place, str(error)) from None


@lru_cache(maxsize=4096)
def _read(text: str) -> Amount:
    return Amount(nanos(text), text, True)


def _counted(resource: str, amount: int) -> int | float:
    if resource == "cpu":
        return _stepped(amount, 10**6) / 1000
    return max(-LARGEST - 1, min(LARGEST, _stepped(amount, 10**9)))


def _stepped(amount: int, step: int) -> int:
    """How many steps an amount has, rounded away from zero."""
    return -(-amount // step) if amount > 0 else amount // step


def _add(amounts: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        known = amounts.get(name)
        if known is not None:
            amount = Amount(known.nanos + amount.nanos, known.like if known.nanos else amount.like)
        amounts[name] = amount


def _raise_to(amounts: Amounts, others: Amounts) -> None:
    for name, amount in others.items():
        if name not in amounts or amount.nanos > amounts[name].nanos:
            amounts[name] = amount


def _resources(owner: Object, place: str) -> Object:
    resources = owner.get("resources")
    if resources is not None and not isinstance(resources, Mapping):
        raise RequestError(f"{place}.resources", "this must be a map")
    return resources or {}


def _containers(spec: Object, kind: str) -> Iterable[tuple[str, Object]]:
    containers = spec.get(kind) or ()
    for at, container in enumerate(containers):
        if not isinstance(container, Mapping):
            raise RequestError(f"spec.{kind}[{at}]", "this must be a map")
        yield f"spec.{kind}[{at}]", container


def _all_containers(spec: Object) -> Iterable[Json]:
    return (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))


def _named(value: Json, *path: str) -> Json:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
