"""Which label says what, provider by provider: the pool of a node, and its capacity type.

The portable words other than `capacityType` are said by the same well-known label everywhere
(https://kubernetes.io/docs/reference/labels-annotations-taints/). Sources of the rest are each provider's documentation
of its node labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from engine.struct import Struct, field

ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
ARCH = "kubernetes.io/arch"
OS = "kubernetes.io/os"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
HOSTNAME = "kubernetes.io/hostname"


class NodeWord(NamedTuple):
    """A portable word of `node`, the field of `pool` that lists what its nodes may say, and the label that says it.

    `label` is None where each provider has its own: see `Provider.capacity`.
    """

    word: str
    pool_field: str
    label: str | None


NODE_WORDS: tuple[NodeWord, ...] = (
    NodeWord("zone", "zones", ZONE),
    NodeWord("region", "regions", REGION),
    NodeWord("instanceType", "instanceTypes", INSTANCE_TYPE),
    NodeWord("arch", "architectures", ARCH),
    NodeWord("os", "operatingSystems", OS),
    NodeWord("capacityType", "capacityTypes", None),
)
"""All portable words: whatever is said of one anywhere follows from here."""
WORDS: Mapping[str, str] = MappingProxyType({word: label for word, _, label in NODE_WORDS if label})
"""The label of each word that one label says, the same one with every provider."""
POOL_FIELDS: Mapping[str, str] = MappingProxyType({field: label for _, field, label in NODE_WORDS if label})
"""The label of each field of `pool` that lists the values of one label."""
WORD_OF: Mapping[str, str] = MappingProxyType({field: word for word, field, _ in NODE_WORDS})
"""By the field of `pool` that lists what its nodes may say: the word for what one node says."""

GPU_COUNTS = (
    "karpenter.k8s.aws/instance-gpu-count",
    "karpenter.azure.com/sku-gpu-count",
    "karpenter.k8s.gcp/instance-gpu-count",
)
"""Labels that say how many GPUs a node has, as Karpenter's providers name them."""

CAPACITY_TYPES = ("spot", "on-demand", "reserved")


class Marker(Struct, frozen=True):
    """A label that says a capacity type, and which of its values say which type."""

    key: str
    types: Mapping[str, str]

    def values(self, capacity_type: str) -> tuple[str, ...]:
        """The label's values that mean `capacity_type`, sorted."""
        return tuple(sorted(value for value, meaning in self.types.items() if meaning == capacity_type))


class Capacity(Struct, frozen=True):
    """How a provider says `capacityType`.

    With `otherwise`, a node on which no marker says anything else is of that type (the provider labels spot nodes
    only); without, a node that lacks the marker is of unknown type, and asking is an error.
    """

    markers: tuple[Marker, ...]
    otherwise: str | None = None

    def of(self, labels: Mapping[str, str]) -> str | None:
        """The capacity type that a node's labels say, None where they say none."""
        for marker in self.markers:
            said = marker.types.get(labels[marker.key]) if marker.key in labels else None
            if said:
                return said
        return self.otherwise

    @property
    def keys(self) -> tuple[str, ...]:
        """The labels of the markers."""
        return tuple(marker.key for marker in self.markers)


class Provider(Struct, frozen=True):
    """A way to make pools: its name, the node label that identifies one, and how it says a node's capacity type."""

    name: str
    pool_label: str
    capacity: Capacity | None = field(default=None)


def _marker(key: str, **types: str) -> Marker:
    return Marker(key, MappingProxyType(types))


PROVIDERS: tuple[Provider, ...] = (
    Provider(
        "karpenter",
        "karpenter.sh/nodepool",
        Capacity((_marker("karpenter.sh/capacity-type", **{t: t for t in CAPACITY_TYPES}),)),
    ),
    Provider(
        "gke",
        "cloud.google.com/gke-nodepool",
        Capacity(
            (
                _marker("cloud.google.com/gke-spot", true="spot"),
                _marker("cloud.google.com/gke-preemptible", true="spot"),
            ),
            otherwise="on-demand",
        ),
    ),
    Provider(
        "eks",
        "eks.amazonaws.com/nodegroup",
        Capacity(
            (_marker("eks.amazonaws.com/capacityType", SPOT="spot", ON_DEMAND="on-demand", CAPACITY_BLOCK="reserved"),)
        ),
    ),
    Provider(
        "aks",
        "kubernetes.azure.com/agentpool",
        Capacity((_marker("kubernetes.azure.com/scalesetpriority", spot="spot"),), otherwise="on-demand"),
    ),
    Provider("kops", "kops.k8s.io/instancegroup"),
    Provider(
        "cluster-api",
        "cluster.x-k8s.io/deployment-name",
        Capacity((Marker("cluster.x-k8s.io/interruptible", MappingProxyType({"": "spot"})),), otherwise="on-demand"),
    ),
)
"""In the order in which a node's labels are looked at: Karpenter's own label wins on a cluster of another provider."""
CAPACITY_LABELS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        marker.key: marker.types
        for provider in PROVIDERS
        if provider.capacity and provider.capacity.otherwise is None
        for marker in provider.capacity.markers
    }
)
"""The labels that say nothing but a capacity type, on each node; which of their values say which type."""

BY_NAME: Mapping[str, Provider] = MappingProxyType({provider.name: provider for provider in PROVIDERS})
BY_POOL_LABEL: Mapping[str, Provider] = MappingProxyType({provider.pool_label: provider for provider in PROVIDERS})
POOL_LABELS: tuple[str, ...] = tuple(provider.pool_label for provider in PROVIDERS)
"""The labels that identify a pool, in order, Karpenter's first."""


def capacity(provider: str) -> Capacity | None:
    """How `provider` says a node's capacity type; None where it does not, or is not in the table."""
    known = BY_NAME.get(provider)
    return known.capacity if known else None


def provider_of(selector: Mapping[str, str]) -> str:
    """The provider whose label identifies a pool with this selector, an empty string where none does."""
    return next((provider.name for provider in PROVIDERS if provider.pool_label in selector), "")


def pool_label_order(own: Sequence[str] = ()) -> tuple[str, ...]:
    """All identifying labels in the order in which they are looked for: Karpenter's, the operator's own, the rest."""
    return tuple(dict.fromkeys((POOL_LABELS[0], *own, *POOL_LABELS)))


def pool_label_of(labels: Mapping[str, str], order: Sequence[str] = POOL_LABELS) -> str | None:
    """Which label says the pool of a node with these labels: the first, in order, that it carries with a value."""
    return next(filter(labels.get, order), None)


def spot_markers() -> frozenset[str]:
    """The labels that mark spot nodes only: where such a label may have several values, it may be missing as well."""
    return frozenset(
        key for each in PROVIDERS if each.capacity and each.capacity.otherwise for key in each.capacity.keys
    )


_DOMAINS = (
    "kubernetes.io",
    "k8s.io",
    "karpenter.sh",
    "k8s.aws",
    "eks.amazonaws.com",
    "kubernetes.azure.com",
    "karpenter.azure.com",
    "cloud.google.com",
    "k8s.gcp",
    "gke.io",
    "csi.aws.com",
    "csi.azure.com",
    "nvidia.com",
    "amd.com",
    "intel.com",
)
"""The domains of labels that kubelets, clouds, storage drivers and the makers of devices give to nodes by themselves;
so do Karpenter's providers under `karpenter.`."""


def is_anybodys(key: str) -> bool:
    """Whether somebody else than the author of a pool may give its nodes this label: it is of a well-known domain."""
    domain, slash, _ = key.rpartition("/")
    own = any(domain == each or domain.endswith(f".{each}") for each in _DOMAINS)
    return bool(slash) and (own or domain.startswith("karpenter."))
