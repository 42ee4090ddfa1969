"""Labels that expressions read and of which no pool says anything: typos more often than not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from engine.analysis.stage import LIKENESS, PARSING
from engine.bundle import Policy
from engine.documents import Excerpt, Problem, Span, did_you_mean
from engine.language import Budget, Call, Has, Ident, Index, Literal, Node, Select, parse, walk
from engine.nodeselector import ABSENT
from engine.pools import POOL_LABELS, Inventory, Pool
from engine.program import CompiledPolicy

WELL_KNOWN = (
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "node.kubernetes.io/windows-build",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
)
"""Labels that kubelets and cloud providers give to nodes whatever a pool says. Source: k8s.io/api core/v1."""

_OTHERS = (
    "amazonaws.com",
    "azure.com",
    "google.com",
    "k8s.aws",
    "k8s.io",
    "karpenter.sh",
    "kubernetes.io",
    "nvidia.com",
)
"""Domains of labels that somebody else than the cluster's people gives to nodes, such as pools need not declare."""


class _Key(NamedTuple):
    """A label's key in an expression: what it is, where it stands, and `params.x` where it stands there."""

    key: str
    span: Span
    by: str = ""


class KnownLabels:
    """The labels of which anything is known on some inventory: `carried` are those that some node may carry."""

    def __init__(self, inventories: Sequence[Inventory]) -> None:
        self.carried = {key for each in inventories for pool in each.pools for key in _may_carry(pool)}
        said = {key for each in inventories for key in _said(each)}
        self.known = {*said, *WELL_KNOWN, *POOL_LABELS}


def unseen_labels(
    policy: CompiledPolicy, labels: KnownLabels, params: Mapping[str, object], meter: Budget
) -> Iterator[Problem]:
    """A problem for each label key, a constant or of `params`, of which no inventory knows anything.

    Whatever is known of a pool's label counts: values, presence, bounds, absence, and that some of its nodes carry it.
    So do the labels of nodes in no pool.
    """
    meter.spend(PARSING * sum(len(excerpt.value) for excerpt in policy.policy.excerpts))
    for one in dict.fromkeys(_keys_of(policy.policy, params)):
        if one.key in labels.known:
            continue
        meter.spend(LIKENESS * (len(labels.known) + len(labels.carried)))
        near = _near(one.key, WELL_KNOWN if _foreign(one.key) else labels.known)
        if near or not _foreign(one.key):
            named = f"`{one.key}` (`{one.by}`)" if one.by else f"`{one.key}`"
            message = f"no pool says anything of the label {named} that `{policy.name}` reads"
            hint = near or _hint(one.key, labels.carried)
            yield Problem("unseen-label", message, one.span, hint=hint, severity="warning")


def _said(inventory: Inventory) -> Iterator[str]:
    """The labels of which anything is known: of nodes of a pool, or of nodes of none."""
    for pool in inventory.pools:
        yield from pool.facts
    for stray in inventory.stray_nodes:
        yield from stray.labels


def _may_carry(pool: Pool) -> Iterator[str]:
    """The labels that are known of a pool, but for those that none of its nodes carries."""
    return (key for key, fact in pool.facts.items() if fact.states != ABSENT)


def _foreign(key: str) -> bool:
    """Whether a label is of a domain from which nodes get labels that nobody has declared."""
    domain = key.partition("/")[0] if "/" in key else ""
    return any(domain == one or domain.endswith(f".{one}") for one in _OTHERS) or domain.startswith("karpenter.")


def _near(key: str, known: Iterable[str]) -> str:
    """A hint with the nearest key of the same domain, else, for a key of one's own, with the nearest of all."""
    domain, _, name = key.rpartition("/")
    alike = [one.rpartition("/")[2] for one in known if domain and one.startswith(f"{domain}/")]
    hint = did_you_mean(name, alike).replace("`", f"`{domain}/", 1)
    return hint or ("" if _foreign(key) else did_you_mean(key, known))


def _hint(key: str, carried: Iterable[str]) -> str:
    own = sorted(one for one in carried if not _foreign(one))
    listed = f"; pools have {', '.join(f'`{one}`' for one in own[:5])}{' and others' if own[5:] else ''}" if own else ""
    return f"if nodes do carry `{key}`, say so in the inventory{listed}"


def _keys_of(policy: Policy, params: Mapping[str, object]) -> Iterator[_Key]:
    for excerpt in policy.excerpts:
        node, _ = parse(excerpt)
        for each in walk(node) if node else ():
            match each:
                case Index(operand=labels, index=key) | Call(function="@in", args=(key, labels)) if _is_labels(labels):
                    yield from _said_by(key, excerpt, params)
                case Select(operand=labels, field=name) | Has(operand=labels, field=name) if _is_labels(labels):
                    yield _Key(name, excerpt.span(each.start, each.end))


def _is_labels(node: Node) -> bool:
    """Whether this is `pool.labels`, `pool.values` or `node.labels`."""
    match node:
        case Select(operand=Ident(name="pool" | ".pool"), field="labels" | "values"):
            return True
        case Select(operand=Ident(name="node" | ".node"), field="labels"):
            return True
    return False


def _said_by(key: Node, excerpt: Excerpt, params: Mapping[str, object]) -> Iterator[_Key]:
    """The key that a part of an expression is, if that is certain."""
    span = excerpt.span(key.start, key.end)
    match key:
        case Literal(value=str(constant)):
            yield _Key(constant, span)
        case Select(operand=Ident(name="params" | ".params"), field=name) if isinstance(said := params.get(name), str):
            yield _Key(said, span, f"params.{name}")
