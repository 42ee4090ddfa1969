"""Which labels tell the nodes of several groups apart, where no provider's label does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from engine.pools.cluster_api import OWN_DOMAIN, ROLE_PREFIX
from engine.pools.nodes import is_machine_label
from engine.pools.pool import Labels
from engine.pools.providers import ARCH, OS, is_anybodys, pool_label_of
from engine.struct import Struct

Label = tuple[str, str]
_OF_MACHINES = (ARCH, OS, "beta.kubernetes.io/arch", "beta.kubernetes.io/os", "cluster.x-k8s.io/set-name")

_GIVEN = ("agentpool", "storageprofile", "storagetier", "CriticalAddonsOnly")
"""Labels and taints of AKS that have no prefix (https://learn.microsoft.com/azure/aks/use-labels)."""
_INSTALLERS = ("eksctl.io", "k3s.io", "cattle.io", "talos.dev", "openshift.io", "microk8s.io")


class Crowd(Struct, frozen=True):
    """Nodes that belong together: the labels that all will carry, that by which they may be named, and those there are.

    `members` are the labels of each node that is known to belong here.
    """

    labels: Labels
    name: Label
    members: Sequence[Labels]


def selectors(crowds: Sequence[Crowd], others: Sequence[Labels], order: Sequence[str]) -> list[Labels | None]:
    """For each crowd the labels that its nodes and no others carry; None where there are none.

    `others` are the labels of the nodes that belong to none of them, `order` the labels that identify a pool. Looked
    for are: the identifying label that its nodes carry; one label, or all of those, that its nodes will carry; the name
    that others of its kind are labelled with; a label that happens to tell them apart now.
    """
    return _Search(crowds, others, order).found()


class _Search:
    def __init__(self, crowds: Sequence[Crowd], others: Sequence[Labels], order: Sequence[str]) -> None:
        self._crowds, self._others, self._order = crowds, others, order
        self._everybody = [*(labels for crowd in crowds for labels in crowd.members), *others]
        self._said = Counter(label for crowd in crowds for label in crowd.labels.items())
        keys = {key for key, _ in self._said} | {crowd.name[0] for crowd in crowds}
        self._firsts = Counter(filter(None, map(self._first, self._everybody)))
        self._carried = _counted(self._everybody, keys)
        self._own = [_counted(crowd.members, keys) for crowd in crowds]

    def found(self) -> list[Labels | None]:
        by_key = Counter(key for at, _ in enumerate(self._crowds) for key, _ in self._unique(at))
        general = (at for at, _ in enumerate(self._crowds) if not self._identified(at) and not list(self._unique(at)))
        whole = {at for at in general if self._crowds[at].labels and self._all_together(at)}
        found = self._sound([self._selector(at, by_key, whole) for at, _ in enumerate(self._crowds)])
        if not any(crowd.members for crowd, selector in zip(self._crowds, found, strict=True) if not selector):
            return found
        seen = self._seen()
        keys = Counter(key for some in seen for key, _ in some)
        return [selector or self._happens(some, keys) for selector, some in zip(found, seen, strict=True)]

    def _selector(self, at: int, by_key: Counter[str], whole: set[int]) -> Labels | None:
        labels = self._crowds[at].labels
        identified = self._identified(at)
        if identified:
            return dict([identified])
        more_special = any(self._crowds[i].labels.items() < labels.items() for i in whole)
        one = min(self._unique(at), key=lambda label: (-by_key[label[0]], _rank(label[0]), label), default=None)
        if one and not more_special:
            return dict([one])
        if labels and self._all_together(at):
            return dict(labels)
        return dict([self._crowds[at].name]) if self._named(at) else None

    def _sound(self, found: list[Labels | None]) -> list[Labels | None]:
        """The selectors less those that match nodes of another crowd, which no longer selector makes that crowd's."""
        shared = [at for at, one in enumerate(found) if one and all(self._said[label] > 1 for label in one.items())]
        doubtful = [at for at in shared if not self._identified(at)]
        wrong = {at for at in doubtful if any(self._intrudes(at, i, found) for i, _ in enumerate(found) if i != at)}
        return self._sound([None if at in wrong else one for at, one in enumerate(found)]) if wrong else found

    def _intrudes(self, at: int, other: int, found: list[Labels | None]) -> bool:
        """Whether nodes of another crowd, now or later, match a crowd's selector, and are not told from its own."""
        mine, theirs = (found[at] or {}).items(), (found[other] or {}).items()
        provided = self._identified(other) and len(mine) == 1 and not any(key in self._order for key, _ in mine)
        if mine < theirs or provided:  # theirs comes first
            return False
        crowd = self._crowds[other]
        return any(mine <= labels.items() for labels in (crowd.labels, *crowd.members))

    def _happens(self, some: Sequence[Label], keys: Counter[str]) -> Labels | None:
        label = min(some, key=lambda label: (-keys[label[0]], label), default=None)
        return dict([label]) if label else None

    def _first(self, labels: Labels) -> Label | None:
        key = pool_label_of(labels, self._order)
        return None if key is None else (key, labels[key])

    def _identified(self, at: int) -> Label | None:
        """The label that identifies the pool of all these nodes, and of no other."""
        members = self._crowds[at].members
        firsts = {self._first(labels) for labels in members}
        first = firsts.pop() if len(firsts) == 1 else None
        return first if first and self._firsts[first] == len(members) else None

    def _unique(self, at: int) -> Iterable[Label]:
        """The labels that these nodes will carry, and no others will, or do."""
        crowd = self._crowds[at]
        return (
            label
            for label in crowd.labels.items()
            if self._said[label] == 1
            and self._own[at][label] == self._carried[label] == len(crowd.members)
            and self._may_select([label[0]], crowd)
        )

    def _may_select(self, keys: Collection[str], crowd: Crowd) -> bool:
        """Whether no label comes before: one that identifies pools selects only where it is a node's first."""
        ours = {key for key in keys if key in self._order}
        return not ours or all(pool_label_of(labels, self._order) in ours for labels in crowd.members or [crowd.labels])

    def _all_together(self, at: int) -> bool:
        """Whether no other crowd will carry exactly these labels, and no other node carries all of them by chance."""
        labels = self._crowds[at].labels.items()
        if any(i != at and crowd.labels.items() == labels for i, crowd in enumerate(self._crowds)):
            return False
        if not all(labels <= member.items() for member in self._crowds[at].members):
            return False
        if not self._may_select(self._crowds[at].labels.keys(), self._crowds[at]):
            return False
        rivals = [crowd for i, crowd in enumerate(self._crowds) if i != at and not labels <= crowd.labels.items()]
        strangers = [member for crowd in rivals for member in crowd.members]
        return not any(labels <= each.items() for each in (*strangers, *self._others))

    def _named(self, at: int) -> bool:
        """Whether the crowd's name is on its nodes, or, as long as there are none, names are on all others' nodes."""
        crowd = self._crowds[at]
        if crowd.members:
            return self._is_named(at) and self._carried[crowd.name] == len(crowd.members)
        alike = [i for i, other in enumerate(self._crowds) if other.name[0] == crowd.name[0] and other.members]
        return bool(alike) and not self._carried[crowd.name] and all(map(self._is_named, alike))

    def _is_named(self, at: int) -> bool:
        crowd = self._crowds[at]
        return self._own[at][crowd.name] == len(crowd.members) and self._may_select([crowd.name[0]], crowd)

    def _seen(self) -> list[list[Label]]:
        """For each crowd the labels that all its nodes carry, and none of the others do or will, machines' left out."""
        carried = Counter(label for labels in self._everybody for label in labels.items())
        return [
            [
                label
                for label in (crowd.members[0].items() if crowd.members else ())
                if label[1]
                and carried[label] == len(crowd.members)
                and all(labels.get(label[0]) == label[1] for labels in crowd.members)
                and self._said[label] == (label in crowd.labels.items())
                and label[0] not in self._order
                and is_group_label(label[0])
            ]
            for crowd in self._crowds
        ]


def _counted(nodes: Sequence[Labels], keys: Collection[str]) -> Counter[Label]:
    """How many of the nodes carry which label, of these keys."""
    return Counter((key, labels[key]) for labels in nodes for key in keys if key in labels)


def is_group_label(key: str) -> bool:
    """Whether a label may stand for a group of nodes, and does not only say what machine a node is."""
    return not is_machine_label(key) and key not in _OF_MACHINES


def is_own_label(key: str) -> bool:
    """Whether whoever runs a cluster is likely to have given its nodes this label, or this taint, to tell them apart.

    Left out is what kubelets, clouds, Karpenter, installers and operators of storage and devices give to nodes.
    """
    prefix = key.rpartition("/")[0]
    foreign = prefix.startswith(("topology.", "cluster.x-k8s.io", "karpenter.")) or prefix.endswith(_INSTALLERS)
    return is_group_label(key) and not foreign and not is_anybodys(key) and key not in _GIVEN


def _rank(key: str) -> int:
    """Labels that are there to tell machines apart come first, roles last."""
    prefix = key.split("/")[0]
    return 0 if prefix.endswith(OWN_DOMAIN) else 2 if prefix == ROLE_PREFIX else 1


def partitions(nodes: Sequence[Labels]) -> Mapping[str, Mapping[str, int]]:
    """The labels by which nodes of no pool could be told apart: those that all of them carry, with how many carry what.

    Left out is what says what machine it is, and a label that is different on every node.
    """
    keys = set.intersection(*(set(labels) for labels in nodes)) if nodes else set()
    counted = {key: Counter(labels[key] for labels in nodes) for key in sorted(keys) if is_group_label(key)}
    return {
        key: some for key, some in counted.items() if "" not in some and (len(some) < len(nodes) or len(nodes) == 1)
    }
