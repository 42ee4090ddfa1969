"""Pods made up from what policies ask of pods: candidates on which a claim about policies can be tried.

What a selector asks is exact. What an expression asks is guessed from what it compares (`pod.spec.priorityClassName ==
"batch"`): each such clue is a value for a field. Whether a policy applies to the pod that comes of it, and what
follows, is for the engine to say, so that a wrong guess finds nothing and claims nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias

from engine.bundle import Exemption, Policy, Selector
from engine.documents import Excerpt, Manifest, RequestError, Source
from engine.language import (
    BOOL,
    INT,
    Call,
    Comprehension,
    Has,
    Ident,
    Index,
    ListLiteral,
    Literal,
    Node,
    ObjectType,
    Select,
    Type,
    children,
    parse,
)
from engine.names import is_dns_label, is_label_value
from engine.nodeselector import ANY, EXISTS, LabelStates, from_expression, one_of
from engine.pods import NAME_LABEL, IncomingPod, check_pod, named, pods_from_documents
from engine.program import NAMESPACE, POD, PRESENT, REQUEST
from engine.struct import Struct, field

Path: TypeAlias = tuple[str | int, ...]
Clue: TypeAlias = tuple[Path, object]
States: TypeAlias = Mapping[str, LabelStates]

ROOTS: Mapping[str, Type] = {
    "pod": POD,
    "namespaceObject": NAMESPACE,
    "request": REQUEST,
}
WRITTEN: Mapping[str, Path] = {
    **{name: (name,) for name in ROOTS},
    "requests": ("pod", "spec", "containers", 0, "resources", "requests"),
}
"""By variable: where a pod, its Namespace or its request say what it holds."""
POD_LABELS: Path = ("pod", "metadata", "labels")
NAMESPACE_LABELS: Path = ("namespaceObject", "metadata", "labels")
MAX_CLUES = 24
"""Clues that are followed of one policy."""
SOME = "some"
"""A value where any will do."""

_FREE = frozenset(("annotations", "args", "command", "env"))
"""Fields in which any text may stand; most others take a name or a number."""
_THROUGH = frozenset(("orValue", "value", "int", "uint", "double", "string", "quantity", "sum", "max", "min", "first"))
_COMPARISONS = frozenset(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"))


class Wanted(Struct, frozen=True):
    """What a pod must be: the states of its labels and of its namespace's, and values of other fields by path."""

    labels: States = field(default_factory=dict)
    namespace: States = field(default_factory=dict)
    fields: Mapping[Path, object] = field(default_factory=dict)

    def __and__(self, other: Wanted) -> Wanted | None:
        """Both at once; None where no pod can be both."""
        labels, namespace = _met(self.labels, other.labels), _met(self.namespace, other.namespace)
        differing = any(self.fields[path] != other.fields[path] for path in self.fields.keys() & other.fields.keys())
        if labels is None or namespace is None or differing:
            return None
        return Wanted(labels, namespace, {**self.fields, **other.fields})

    def __str__(self) -> str:
        """For people: `a pod labelled `tier: gold` in a namespace labelled `team: a``."""
        said = [f"`{key}: {value}`" for key, value in _chosen(self.labels).items()]
        others = [f"`{_dotted(path)}{'' if value is None else f': {value}'}`" for path, value in self.fields.items()]
        spaces = [f"`{key}: {value}`" for key, value in _chosen(self.namespace).items()]
        words = "a pod" + (f" labelled {', '.join(said)}" if said else " without labels" if self.labels else "")
        words += f" with {', '.join(others)}" if others else ""
        return words + (f" in a namespace labelled {', '.join(spaces)}" if spaces else "")


def selected(policy: Policy | Exemption) -> Wanted | None:
    """What the selectors of a policy or an exemption ask for; None where they match nothing."""
    labels, namespace = _states(policy.pod_selector), _states(policy.namespace_selector)
    return None if labels is None or namespace is None else Wanted(labels, namespace)


def variants(policy: Policy, params: Mapping[str, object]) -> list[Wanted]:
    """Pods that a policy may be about: what its selectors ask, then with each clue of its expressions, and with all."""
    base = selected(policy)
    if base is None:
        return []
    found = [base]
    everything = base
    for clue in islice(dict.fromkeys(_clues_of(policy, params)), MAX_CLUES):
        one = _said(*clue)
        with_it, with_all = base & one, everything & one
        found += [with_it] if with_it is not None and with_it not in found else []
        everything = everything if with_all is None else with_all
    return [*found, *([everything] if everything not in found else [])]


def with_value(wanted: Wanted, path: Path, value: object) -> Wanted | None:
    """The same with this value in one field; None where a selector asks for another one, or it can't stand there."""
    try:
        kind = ROOTS[str(path[0])]
        for step in path[1:]:
            kind = _inner({"": kind}, step)
    except (KeyError, TypeError):
        return None
    fit = _fitting(kind, value)
    if isinstance(fit, str) and (kind == INT or not _may_stand(fit, path)):
        return None
    if path[:-1] == POD_LABELS:
        return wanted & _said(path, fit)
    return Wanted(wanted.labels, wanted.namespace, {**wanted.fields, path: fit})


def _may_stand(text: str, path: Path) -> bool:
    """Whether the API server may take this text there."""
    if path[:-1] == POD_LABELS or path[-2:-1] == ("nodeSelector",):
        return is_label_value(text)
    return not _FREE.isdisjoint(path) or is_dns_label(text)


def incoming_of(wanted: Wanted, name: str = "witness") -> IncomingPod | None:
    """A pod as wanted on its way into the cluster; None where the API server would not take such a pod."""
    labels, spaces = _chosen(wanted.labels), _chosen(wanted.namespace)
    namespace = spaces.get(NAME_LABEL, "witness")
    objects: dict[str, Any] = {
        "pod": {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, **({"labels": labels} if labels else {})},
            "spec": {"containers": [{"name": "main", "image": "registry.example.com/app:1"}]},
        },
        "namespaceObject": dict(named(namespace, {"metadata": {"labels": spaces}})),
        "request": {},
    }
    try:
        for path, value in wanted.fields.items():
            _put(objects, ROOTS, path, value)
        check_pod(objects["pod"])
        source = Source("witness", "")
        space = {"apiVersion": "v1", "kind": "Namespace", **objects["namespaceObject"]}
        documents = [Manifest(source, objects["pod"]), Manifest(source, space)]
        incoming_pods = pods_from_documents(documents, request=objects["request"])
    except (RequestError, TypeError, KeyError):
        return None
    return incoming_pods[0] if incoming_pods else None  # of another kind, it is no pod


def _dotted(path: Path) -> str:
    """`pod.spec.containers[0].image`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def _states(selector: Selector) -> dict[str, LabelStates] | None:
    states: dict[str, LabelStates] = {}
    for each in selector.requirements:
        values = from_expression({"operator": each.operator, "values": each.values})
        states[each.key] = states.get(each.key, ANY) & values
    return None if any(values.impossible for values in states.values()) else states


def _met(a: States, b: States) -> dict[str, LabelStates] | None:
    """Both at once, in no order; None where that can't be. It takes as long as the shorter one, and a copy."""
    fewer, more = (a, b) if len(a) < len(b) else (b, a)
    met = dict(more)
    for key, values in fewer.items():
        met[key] = both = more.get(key, ANY) & values
        if both.impossible:
            return None
    return met


def _chosen(states: States) -> dict[str, str]:
    """One value for each label that must be there."""
    chosen = {}
    for key, values in sorted(states.items()):
        if not values.absent:
            listed = sorted(values.finite or ())
            chosen[key] = listed[0] if listed else _other(values)
    return chosen


def _other(values: LabelStates) -> str:
    return SOME if values.holds(SOME) else next(name for i in range(1000) if values.holds(name := f"{SOME}-{i}"))


def _said(path: Path, value: object) -> Wanted:
    """A clue as something wanted."""
    for root, place in ((POD_LABELS, "labels"), (NAMESPACE_LABELS, "namespace")):
        if path[:-1] == root:
            states = {str(path[-1]): EXISTS if value is None else one_of([str(value)])}
            return Wanted(labels=states) if place == "labels" else Wanted(namespace=states)
    return Wanted(fields={path: value})


# Clues


def _clues_of(policy: Policy, params: Mapping[str, object]) -> Iterator[Clue]:
    variables = {variable.name: _parsed(variable.excerpt) for variable in policy.variables}
    reader = _Reader({name: node for name, node in variables.items() if node}, params)
    own = [*(item.excerpt for item in policy.require), *(item.expression.excerpt for item in policy.split)]
    wishes = [item.expression.excerpt for item in policy.prefer]
    for excerpt in (*(condition.excerpt for condition in policy.match_conditions), *own, *wishes):
        node = _parsed(excerpt)
        if node:
            yield from reader.clues(node, {})
    for node in reader.variables.values():
        yield from reader.clues(node, {})


def _parsed(excerpt: Excerpt) -> Node | None:
    return parse(excerpt)[0]


class _Reader(Struct, frozen=True):
    """What a policy's expressions compare of a pod with what. `names` are variables of macros that stand for a path."""

    variables: Mapping[str, Node]
    params: Mapping[str, object]

    def clues(self, node: Node, names: Mapping[str, Path]) -> Iterator[Clue]:
        """Paths with values that an expression looks for; None is any value."""
        match node:
            case Call(function=function, args=(left, right)) if function in _COMPARISONS:
                for one, other in ((left, right), (right, left)):
                    path = self.path(one, names)
                    if path:
                        yield from ((path, value) for value in self._near(other))
            case Call(function="@in", args=(left, right)):
                yield from self._membership(left, right, names)
            case Call(function="startsWith" | "endsWith" | "contains", target=Node() as target, args=(argument,)):
                path = self.path(target, names)
                yield from ((path, value) for value in self._values(argument)[:1] if path)
            case Has():
                path = self.path(node, names)
                if path:
                    yield path, None
            case Call(function="orValue", args=(Literal(value=bool()),)):
                path = self.path(node, names)
                if path:
                    yield path, True
            case Index(operand=operand, index=index):
                path, known = self.path(index, names), self._constant(operand)
                if path and isinstance(known, Mapping):
                    yield from ((path, key) for key in known)
        yield from self._inside(node, names)

    def _inside(self, node: Node, names: Mapping[str, Path]) -> Iterator[Clue]:
        inner = names
        if isinstance(node, Comprehension):
            path = self.path(node.range, names)
            inner = {**names, node.variables[-1]: (*path, 0)} if path else names
        for child in children(node):
            yield from self.clues(child, inner)

    def path(self, node: Node, names: Mapping[str, Path]) -> Path | None:
        """The field that an expression is the value of, conversions and defaults aside."""
        match node:
            case Ident(name=name):
                return names.get(name) or WRITTEN.get(name)
            case Select(operand=Ident(name="variables"), field=name) if name in self.variables:
                return self.path(self.variables[name], names)
            case Select(operand=operand, field=name) | Has(operand=operand, field=name):
                path = self.path(operand, names)
                return (*path, name) if path else None
            case Index(operand=operand, index=index):
                path, key = self.path(operand, names), self._constant(index)
                return (*path, key) if path and isinstance(key, (str, int)) else None
            case Call(function=function, target=target, args=args) if function in _THROUGH:
                inner = target or (args[0] if args else None)
                return self.path(inner, names) if inner else None
            case Comprehension(macro="map", range=range_, variables=(variable,), body=(*_, body)):
                path = self.path(range_, names)
                return self.path(body, {**names, variable: (*path, 0)}) if path else None
        return None

    def _membership(self, left: Node, right: Node, names: Mapping[str, Path]) -> Iterator[Clue]:
        path, inside = self.path(left, names), self.path(right, names)
        if path:
            yield from ((path, value) for value in self._values(right))
        elif inside:
            for value in self._values(left):
                yield (*inside, value) if isinstance(value, str) else inside, None

    def _near(self, node: Node) -> Iterable[object]:
        """The value of a comparison's other side, numbers with their neighbours; a count where that is a pool's."""
        known = self._constant(node)
        if known is None:
            return (1,)
        if isinstance(known, (int, float)) and not isinstance(known, bool):
            return (known + 1, known, max(known - 1, 0))
        return self._values(node)

    def _values(self, node: Node) -> list[object]:
        known = self._constant(node)
        if isinstance(known, Mapping):
            return list(known)[:MAX_CLUES]
        return list(known)[:MAX_CLUES] if isinstance(known, (list, tuple)) else [] if known is None else [known]

    def _constant(self, node: Node) -> Any:
        """What an expression of literals and params is; None where it is anything else."""
        match node:
            case Literal(value=value):
                return value
            case ListLiteral(elements=elements):
                return [self._constant(element) for element in elements]
            case Ident(name="params"):
                return self.params
            case Select(operand=operand, field=key):
                return _item(self._constant(operand), key)
            case Index(operand=operand, index=index):
                return _item(self._constant(operand), self._constant(index))
        return None


def _item(inside: object, key: object) -> object:
    return inside.get(key) if isinstance(inside, Mapping) and isinstance(key, str) else None


# Values at their paths


def _put(into: Any, types: Mapping[str, Type], path: Path, value: object) -> None:
    """Sets one field, and makes what is missing on the way. Raises TypeError or KeyError where there is no such."""
    step, *rest = path
    kind = _inner(types, step)
    if not rest:
        final = _fitting(kind, value)
        if isinstance(into, list):
            into[:] = into or [final]
        else:
            into[step] = final
        return
    if isinstance(into, list):
        if not into:
            into.append(_blank(kind))
        inner = into[0]
    else:
        inner = into.setdefault(step, _blank(kind))
    if isinstance(inner, Mapping) and kind.name == "OwnerReference":
        inner.update(controller=True)  # type: ignore[attr-defined]
    _put(inner, {"": kind}, tuple(rest), value)


def _inner(types: Mapping[str, Type], step: str | int) -> Type:
    """The type of a field, an element or a map's value."""
    outer = types.get("")
    if outer is None:
        return types[str(step)]
    if isinstance(outer, ObjectType):
        return outer.fields[str(step)]
    if outer.name in ("list", "map"):
        return outer.parameters[-1]
    raise TypeError(f"{outer} has nothing inside")


def _blank(kind: Type) -> Any:
    """The smallest value of a type: an object has what it must have."""
    if isinstance(kind, ObjectType):
        needed = sorted(kind.fields.keys() - kind.optional - PRESENT.get(kind.name, frozenset()))
        return {name: _blank(kind.fields[name]) for name in needed}
    if kind.name in ("list", "map"):
        return [] if kind.name == "list" else {}
    return False if kind == BOOL else 1 if kind == INT else SOME


def _fitting(kind: Type, value: object) -> object:
    """A clue's value as the field's type; what any value will do for gets the smallest."""
    if isinstance(kind, ObjectType) or kind.name in ("list", "map") or value is None:
        return True if kind == BOOL and value is None else _blank(kind)
    if kind == BOOL:
        return bool(value)
    return int(str(value)) if kind == INT and str(value).isdigit() else str(value)
