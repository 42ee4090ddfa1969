"""The inventory of a running webhook: the Nodes of the cluster that is watched, and files of pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from delivery.folder import read_documents
from engine.documents import Manifest, Source
from engine.pools import Inventory, inventory_from_documents

if TYPE_CHECKING:  # whoever only reads a folder does without clients of clusters
    from cluster import LivePools, Reflector

CLUSTER = Source("the cluster", "")


class LiveInventory:
    """The inventory that the Nodes of a cluster and files of pools make.

    `pools` groups Nodes, and remembers; `nodes` watches them, None where no cluster is watched. `pool_labels` identify
    pools, in order; `files` are read each time.
    """

    def __init__(
        self,
        pools: LivePools,
        nodes: Reflector[dict[str, Any]] | None,
        pool_labels: Sequence[str],
        files: Sequence[str],
    ) -> None:
        self._pools, self._nodes = pools, nodes
        self._labels = pool_labels
        self._files = tuple(files)

    def take(self) -> Inventory | None:
        """The inventory of now; None as long as the Nodes have not been listed. Raises BundleError or OSError."""
        if self._nodes is not None and not self._nodes.synced:
            return None
        nodes = self._nodes.items() if self._nodes else []
        documents = [document for path in self._files for document in read_documents(path)]
        if not documents:
            return self._pools.inventory(nodes)
        return inventory_from_documents([*documents, *(Manifest(CLUSTER, node) for node in nodes)], self._labels)
