"""Warnings: what works, and may not do what its author thinks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.bundle import PodTerm, Policy, Spread
from engine.documents import Excerpt, Problem, did_you_mean
from engine.language import TIMESTAMP, Call, Has, Ident, ListLiteral, Literal, Node, Select, reads, walk
from engine.pools import TIMED_TAINTS, WORD_OF, is_transient
from engine.struct import replace

WRITTEN = ("affinity", "tolerations", "topologySpreadConstraints")
"""What policies write: an expression that reads it sees another pod on the second call."""


LATER = "tolerations can be added to a pod later, when nothing judges them: keep pods off nodes by `require`"


def reads_what_policies_write(node: Node, excerpt: Excerpt, *, denies: bool = False) -> Iterator[Problem]:
    """Warns where an expression reads what policies write, for then deciding again may change something (law 4).

    An expression that takes `pod` or `pod.spec` as a whole may read of it what it likes. One that `denies` pods for
    their tolerations is told what else to do: the API server lets them be added to a pod that is there.
    """
    if not reads(node, "pod"):
        return
    taken_apart = {id(each.operand) for each in walk(node) if isinstance(each, (Select, Has))}
    for each in walk(node):
        match each:
            case Select(operand=operand, field=name) | Has(operand=operand, field=name) if name in WRITTEN and _is_spec(
                operand
            ):
                written = f"policies write `{name}`"
            case _ if id(each) not in taken_apart and (_is_pod(each) or _is_spec(each)):
                written = f"policies write {', '.join(f'`{name}`' for name in WRITTEN)}"
            case _:
                continue
        words = f"{written}, so this may see another pod when the API server asks a second time"
        span, hint = excerpt.span(each.start, each.end), LATER if denies and "`tolerations`" in written else ""
        yield Problem("reads-what-policies-write", words, span, hint=hint, severity="warning")


def refusing(problem: Problem, policy: str) -> Problem:
    """The same warning, with what a policy that fails closed makes of an error."""
    if problem.rule != "unguarded-optional":
        return problem
    return replace(problem, message=f"{problem.message}; `{policy}` refuses pods for which it can't be decided")


def _is_pod(node: Node) -> bool:
    return isinstance(node, Ident) and node.name in ("pod", ".pod")


def _is_spec(node: Node) -> bool:
    return isinstance(node, Select) and node.field == "spec" and _is_pod(node.operand)


def texts_for_timestamps(node: Node, excerpt: Excerpt) -> Iterator[Problem]:
    """Warns where a moment of `namespaceObject` is taken for a timestamp: it is one by type, and a text at run time.

    So it is in Kubernetes' own policies, where each use of it as a timestamp fails.
    """
    if not reads(node, "namespaceObject"):
        return
    converted = {id(each.args[0]) for each in walk(node) if isinstance(each, Call) and each.function == "dyn"}
    for each in walk(node):
        if (
            isinstance(each, Select)
            and each.type == TIMESTAMP
            and reads(each, "namespaceObject")
            and id(each) not in converted
        ):
            said = excerpt.value[each.start : each.end]
            words = f"`{each.field}` is a timestamp by its type, and a text when this runs"
            span, hint = excerpt.span(each.start, each.end), f"`timestamp(dyn({said}))` reads it"
            yield Problem("text-for-timestamp", words, span, hint=hint, severity="warning")


def mixed_pool(node: Node, excerpt: Excerpt, said: frozenset[str]) -> Iterator[Problem]:
    """Warns of `"spot" in pool.capacityTypes`, which also holds of a pool with other types.

    `said` are the portable words that the policy asks of the node itself.
    """
    for each in walk(node) if reads(node, "pool") else ():
        match each:
            case Call(function="@in", args=(_, Select(operand=Ident(name="pool"), field=field))) if (
                field in WORD_OF and WORD_OF[field] not in said
            ):
                word = WORD_OF[field]
                words = f"this holds of a pool with several {field}, too, and the pod may land on a node with another"
                span, hint = excerpt.span(each.start, each.end), f"`node.{word}` asks the node itself"
                yield Problem("mixed-pool", words, span, hint=hint, severity="warning")


def words_said(node: Node) -> Iterator[str]:
    """The fields of `node` that an expression reads, portable words among them."""
    for each in walk(node):
        if isinstance(each, Select) and isinstance(each.operand, Ident) and each.operand.name == "node":
            yield each.field


def lifecycle_taints(node: Node, excerpt: Excerpt, *, timed: bool) -> Iterator[Problem]:
    """Warns of an entry of `tolerate` that names what it can never tolerate: taints that say how a node is just now.

    Those that are `timed` may name the two for which Kubernetes gives pods a time to stay.
    """
    for literal in named_taints(node):
        key = str(literal.value)
        if not is_transient(key) or (timed and key in TIMED_TAINTS):
            continue
        span = excerpt.span(literal.start, literal.end)
        if key in TIMED_TAINTS:
            words = f"`{key}` comes and goes with a node, so this tolerates nothing without `seconds`"
            hint = "say for how long pods may stay on such a node: `seconds: 30` (Kubernetes' default is 300)"
        else:
            words = f"`{key}` says how a node is at the moment, and is no pool's, so this never tolerates it"
            hint = "leave it out; who must run on such nodes, as a DaemonSet's pods, says so in the pod"
        yield Problem("lifecycle-taint", words, span, hint=hint, severity="warning")


def named_taints(node: Node) -> Iterator[Literal]:
    """The keys of taints for which an expression over `taint` asks, as far as they are written out."""
    match node:
        case Call(function="_&&_" | "_||_", args=parts) | Call(function="_?_:_", args=(_, *parts)):
            for part in parts:
                yield from named_taints(part)
        case Call(function="_==_", args=(left, right)):
            for one, other in ((left, right), (right, left)):
                yield from _texts([one] if _is_key(other) else [])
        case Call(function="@in", args=(left, ListLiteral(elements=elements))) if _is_key(left):
            yield from _texts(elements)


def _is_key(node: Node) -> bool:
    return isinstance(node, Select) and node.field == "key" and _is_taint(node.operand)


def _is_taint(node: Node) -> bool:
    return isinstance(node, Ident) and node.name == "taint"


def _texts(nodes: Iterable[Node]) -> Iterator[Literal]:
    return (node for node in nodes if isinstance(node, Literal) and isinstance(node.value, str))


TOPOLOGIES = {
    **dict.fromkeys(("zone", "zones", "az", "availability-zone"), "topology.kubernetes.io/zone"),
    **dict.fromkeys(("region", "regions"), "topology.kubernetes.io/region"),
    **dict.fromkeys(("hostname", "host", "node", "nodes"), "kubernetes.io/hostname"),
    "arch": "kubernetes.io/arch",
    "os": "kubernetes.io/os",
    "instance-type": "node.kubernetes.io/instance-type",
}
"""By word: the label of nodes that is meant by it."""
_GROUPS = ("", "topology.kubernetes.io", "kubernetes.io", "node.kubernetes.io", "failure-domain.beta.kubernetes.io")


def topology_keys(policy: Policy) -> Iterator[Problem]:
    """Warns of a `topologyKey` that is no label of nodes unless somebody makes it one: `zone`."""
    items: tuple[Spread | PodTerm, ...] = (*policy.spread, *policy.pod_affinity, *policy.pod_anti_affinity)
    for item in items:
        key = item.topology_key
        group, _, word = key.rpartition("/")
        meant = TOPOLOGIES.get(word) if group in _GROUPS else None
        if key not in TOPOLOGIES.values() and (meant or group == "topology.kubernetes.io"):
            hint = f"did you mean `{meant}`?" if meant else did_you_mean(key, TOPOLOGIES.values())
            message = f"Kubernetes labels no node with `{key}`"
            yield Problem("topology-key", message, item.span or policy.span, hint=hint, severity="warning")
