"""Comparisons with a word that is never said: `node.capacityType == "SPOT"`, `pod.kind == "CronJob"`.

Some fields have one of a few words only. To compare one with any other gives the same always, which nobody means: most
often it is a word of a cloud, of another tool, or in capitals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.documents import Excerpt, Problem, did_you_mean
from engine.language import (
    Call,
    Comprehension,
    Ident,
    Index,
    ListLiteral,
    Literal,
    MapLiteral,
    Node,
    ObjectType,
    OptionalMap,
    Select,
    children,
)
from engine.pools import CAPACITY_LABELS, CAPACITY_TYPES, NODE_WORDS
from engine.struct import Struct, field, replace


class Closed(Struct, frozen=True):
    """The words that something may say, each of a list's elements if `many`. Without `words` all but those in `never`.

    `meant` says, by another word, which of them was meant; `never`, in a sentence, why it is not said; `instead`, with
    the word in place of `{}`, what to ask for any other.
    """

    words: tuple[str, ...] = ()
    meant: Mapping[str, str] = field(default_factory=dict)
    never: Mapping[str, str] = field(default_factory=dict)
    instead: str = ""
    many: bool = False
    name: str = ""

    def says(self, word: object) -> bool:
        """Whether it may say that."""
        return not isinstance(word, str) or (word not in self.never and (not self.words or word in self.words))

    def hint(self, word: str) -> str:
        """What to write instead, as far as that is known."""
        if word in self.never:
            return self.never[word]
        folded = {_folded(one): one for one in (*self.meant, *self.words)}
        known = folded.get(_folded(word), "")
        meant = self.meant.get(known, known)
        if meant:
            return f"did you mean `{meant}`?"
        return self.instead.format(word) if self.instead else did_you_mean(word, self.words)


def _folded(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())


_OWNERS = {
    "Deployment": "ReplicaSet",
    "CronJob": "Job",
    "Rollout": "ReplicaSet",
    "DeploymentConfig": "ReplicationController",
}
"""By kind of workload whose pods another object owns: which one."""
# Go's GOARCH, which is what a kubelet writes
_ARCHITECTURES = (
    "amd64", "arm64", "386", "arm", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64",
    "s390x",
)  # fmt: skip
_SPELLINGS = {"x86_64": "amd64", "x64": "amd64", "aarch64": "arm64", "armv8": "arm64", "i386": "386", "x86": "386"}


_OWNED = "whose pod it is, its `ownerReferences` say: `pod.metadata.?ownerReferences.orValue([]).exists(o, {})`"
_BY_KIND, _BY_VERSION = (_OWNED.format(f'o.{name} == "{{}}"') for name in ("kind", "apiVersion"))


def _passed_on(kind: str, owner: str) -> str:
    return f"{_BY_KIND.format(owner)}; pods of a {kind} are owned by a {owner}"


_ARCH = Closed(_ARCHITECTURES, _SPELLINGS)
_OS = Closed(("linux", "windows"))
_TYPES = {value: meant for types in CAPACITY_LABELS.values() for value, meant in types.items()}
_CAPACITY = Closed(CAPACITY_TYPES, {**_TYPES, "preemptible": "spot", "low-priority": "spot", "regular": "on-demand"})
_PORTABLE = {"arch": _ARCH, "os": _OS, "capacityType": _CAPACITY}
_EFFECT = Closed(("NoSchedule", "PreferNoSchedule", "NoExecute"))
_HONOR = Closed(("Honor", "Ignore"))
_PROTOCOL = Closed(("TCP", "UDP", "SCTP"))
_PROFILE = Closed(("RuntimeDefault", "Localhost", "Unconfined"))
_PULL = Closed(("Always", "IfNotPresent", "Never"))
_RESTART = Closed(("Always", "OnFailure", "Never"))

# Sources: the enums of Kubernetes' own types, v1.36 (k8s.io/api/core/v1)
_FIELDS: Mapping[tuple[str, str], Closed] = {
    **{("Node", word): _PORTABLE[word] for word, _, _ in NODE_WORDS if word in _PORTABLE},
    **{("Pool", name): replace(_PORTABLE[w], many=True) for w, name, _ in NODE_WORDS if w in _PORTABLE},
    ("Taint", "effect"): _EFFECT,
    ("Toleration", "effect"): _EFFECT,
    ("Toleration", "operator"): Closed(("Exists", "Equal", "Lt", "Gt")),
    ("Request", "operation"): Closed(
        ("CREATE",), never=dict.fromkeys(("UPDATE", "DELETE", "CONNECT"), "pods are placed when they are created")
    ),
    ("Pod", "kind"): Closed(
        ("Pod",), never={kind: _passed_on(kind, owner) for kind, owner in _OWNERS.items()}, instead=_BY_KIND
    ),
    ("Pod", "apiVersion"): Closed(("v1",), instead=_BY_VERSION),
    ("OwnerReference", "kind"): Closed(
        never={kind: f"pods of a {kind} are owned by a {owner}" for kind, owner in _OWNERS.items()}
    ),
    ("PodSpec", "restartPolicy"): _RESTART,
    ("PodSpec", "dnsPolicy"): Closed(("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")),
    ("PodSpec", "preemptionPolicy"): Closed(("PreemptLowerPriority", "Never")),
    ("PodOS", "name"): _OS,
    ("Container", "imagePullPolicy"): _PULL,
    ("Container", "restartPolicy"): _RESTART,
    ("Container", "terminationMessagePolicy"): Closed(("File", "FallbackToLogsOnError")),
    ("ContainerPort", "protocol"): _PROTOCOL,
    ("HTTPGetAction", "scheme"): Closed(("HTTP", "HTTPS")),
    ("ImageVolumeSource", "pullPolicy"): _PULL,
    ("LabelSelectorRequirement", "operator"): Closed(("In", "NotIn", "Exists", "DoesNotExist")),
    ("NodeSelectorRequirement", "operator"): Closed(("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")),
    ("NamespaceStatus", "phase"): Closed(("Active", "Terminating")),
    ("AppArmorProfile", "type"): _PROFILE,
    ("SeccompProfile", "type"): _PROFILE,
    ("TopologySpreadConstraint", "nodeAffinityPolicy"): _HONOR,
    ("TopologySpreadConstraint", "nodeTaintsPolicy"): _HONOR,
    ("TopologySpreadConstraint", "whenUnsatisfiable"): Closed(("DoNotSchedule", "ScheduleAnyway")),
}
_LABELS: Mapping[str, Closed] = {
    "kubernetes.io/arch": _ARCH,
    "kubernetes.io/os": _OS,
    **{
        key: Closed(tuple(types), {meant: value for value, meant in types.items()})
        for key, types in CAPACITY_LABELS.items()
    },
}
"""By label of nodes: the values that it has."""

Constants = Sequence[tuple[object, Node]]
"""Values that are known now, and where they are written."""
Scope = Mapping[str, "Closed | Constants"]


def closed_of(node: Node, variables: Mapping[str, Closed]) -> Closed | None:
    """The words that an expression may say, if they are a few."""
    return _Reader(variables, {}).closed(node, {})


def never_said(
    node: Node, excerpt: Excerpt, variables: Mapping[str, Closed], params: Mapping[str, object]
) -> Iterator[Problem]:
    """Warns of each constant that is compared with what never says it."""
    for closed, word, place, operator in _Reader(variables, params).comparisons(node, {}):
        one = closed.words[0] if len(closed.words) == 1 else ""
        message = f"`{closed.name}` {'never has' if closed.many else 'is never'} `{word}`"
        if one:
            message = f"`{closed.name}` is always `{one}`, and never `{word}`"
        message += {"_==_": ", so this never holds", "_!=_": ", so this always holds"}.get(operator, "")
        several = [f"`{each}`" for each in closed.words[:6]]
        expected = "" if one or not several else f"one of {', '.join(several)}{', …' if len(closed.words) > 6 else ''}"
        span = excerpt.span(place.start, place.end)
        yield Problem("word-never-said", message, span, expected, closed.hint(word), severity="warning")


class _Reader(Struct, frozen=True):
    """What parts of expressions may say. `variables` are the policy's, as far as they say one of a few words."""

    variables: Mapping[str, Closed]
    params: Mapping[str, object]

    def comparisons(self, node: Node, scope: Scope) -> Iterator[tuple[Closed, str, Node, str]]:
        """Each comparison of such words with one that is none of them: those, that one, its place, the operator."""
        match node:
            case Call(function="_==_" | "_!=_", args=(left, right)):
                yield from self._compared(left, right, node.function, scope)
                yield from self._compared(right, left, node.function, scope)
            case Call(function="@in", args=(left, right)):
                yield from self._compared(left, right, "in" if self._several(right, scope) else "_==_", scope)
                yield from self._compared(right, left, "_==_", scope)
            case Call(function="sets.contains" | "sets.intersects" | "sets.equivalent", args=(left, right)):
                yield from self._compared(left, right, "in", scope)
                yield from self._compared(right, left, "in", scope)
            case Comprehension():
                yield from self.comparisons(node.range, scope)
                inner = self._entered(node, scope)
                for part in node.body:
                    yield from self.comparisons(part, inner)
                return
            case OptionalMap():
                yield from self.comparisons(node.target, scope)
                closed = self.closed(node.target, scope)
                yield from self.comparisons(node.body, {**scope, node.variable: closed if closed else ()})
                return
        for child in children(node):
            yield from self.comparisons(child, scope)

    def closed(self, node: Node | None, scope: Scope) -> Closed | None:
        """The words that an expression may say; None where they are not known to be a few."""
        match node:
            case Ident(name=name):
                known = scope.get(name)
                return known if isinstance(known, Closed) else None
            case Select(operand=Ident(name="variables"), field=name):
                return self.variables.get(name)
            case Select(operand=operand, field=name):
                return _of_field(operand, name)
            case Index(operand=operand, index=Literal(value=str(key))) if _is_labels(operand):
                return replace(_LABELS[key], name=key) if key in _LABELS else None
            case Index(operand=operand):
                return _element(self.closed(operand, scope))
            case Call(function="orValue", target=Node() as target, args=(default,)):
                return self._or_else(self.closed(target, scope), default, scope)
            case Call(function="value" | "dyn" | "string" | "distinct" | "sort" | "sorted"):
                return self.closed(_operand(node), scope)
            case Call(function="optional.of" | "first" | "last" | "min" | "max"):
                found = self.closed(_operand(node), scope)
                return _element(found) or found
            case Comprehension(macro="filter", range=range_):
                return self.closed(range_, scope)
        return None

    def _or_else(self, closed: Closed | None, default: Node, scope: Scope) -> Closed | None:
        """Those words, or a default."""
        constants = self._constants(default, scope)
        if closed is None or constants is None:
            return None
        more = tuple(value for value, _ in constants if isinstance(value, str))
        never = {word: why for word, why in closed.never.items() if word not in more}
        return replace(closed, words=(*closed.words, *more) if closed.words else (), never=never)

    def _compared(self, one: Node, other: Node, operator: str, scope: Scope) -> Iterator[tuple[Closed, str, Node, str]]:
        closed = self.closed(one, scope)
        constants = self._constants(other, scope) if closed else None
        for value, place in constants or ():
            if closed and isinstance(value, str) and not closed.says(value):
                yield closed, value, place, operator

    def _several(self, node: Node, scope: Scope) -> bool:
        return len(self._constants(node, scope) or ()) != 1

    def _entered(self, node: Comprehension, scope: Scope) -> Scope:
        """The scope of a macro's body: its element is what the range has."""
        closed = _element(self.closed(node.range, scope))
        known: Closed | Constants = closed or self._constants(node.range, scope) or ()
        return {**scope, **dict.fromkeys(node.variables, ()), node.variables[-1]: known}

    def _constants(self, node: Node, scope: Scope) -> Constants | None:
        """What is known now of an expression's value: it, or its elements, or keys."""
        match node:
            case Literal(value=value):
                return ((value, node),)
            case ListLiteral(elements=elements):
                parts = [self._constants(element, scope) for element in elements]
                return None if None in parts else tuple(pair for part in parts for pair in part or ())
            case MapLiteral(entries=entries):
                return tuple((key.value, key) for key, _, _ in entries if isinstance(key, Literal))
            case Ident(name=name) if name in scope:
                known = scope[name]
                return known if not isinstance(known, Closed) and known else None
            case Select() | Index():
                value = self._param(node)
                values = value if isinstance(value, (list, tuple, Mapping)) else [] if value is None else [value]
                return tuple((each, node) for each in values) or None
        return None

    def _param(self, node: Node) -> Any:
        """The constant of the bundle that an expression names."""
        match node:
            case Ident(name="params"):
                return self.params
            case Select(operand=operand, field=key) | Index(operand=operand, index=Literal(value=str(key))):
                outer = self._param(operand)
                return outer.get(key) if isinstance(outer, Mapping) else None
        return None


def _operand(node: Call) -> Node | None:
    return node.target or next(iter(node.args), None)


def _of_field(operand: Node, name: str) -> Closed | None:
    owner = operand.type
    while owner.name == "optional_type":
        owner = owner.parameters[0]
    if isinstance(owner, ObjectType):
        closed = _FIELDS.get((owner.name, name))
        return replace(closed, name=name) if closed else None
    return replace(_LABELS[name], name=name) if _is_labels(operand) and name in _LABELS else None


def _is_labels(node: Node) -> bool:
    return isinstance(node, Select) and node.field == "labels" and node.operand.type.name in ("Node", "Pool")


def _element(closed: Closed | None) -> Closed | None:
    return replace(closed, many=False) if closed and closed.many else None
