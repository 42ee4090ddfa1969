"""The inventory of a running webhook: what is known of a cluster that is watched, and files of pools."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from delivery.folder import read_documents
from engine.pools import Census, Inventory, Remark, live_inventory

if TYPE_CHECKING:  # whoever only reads a folder does without clients of clusters
    from cluster import Fleet

MOST_TOLD = 10
"""As many remarks of one kind are logged for one inventory, at most."""
log = logging.getLogger("bayplan.inventory")


class LiveInventory:
    """The inventory that a cluster and files of pools make.

    `fleet` gives what the cluster has now, None as long as that is not known; it is None itself where no cluster is
    watched. `pool_labels` identify pools, in order; `files` are read each time.
    """

    def __init__(
        self, fleet: Callable[[], Fleet | None] | None, pool_labels: Sequence[str], files: Sequence[str]
    ) -> None:
        self._fleet = fleet
        self._census = Census(pool_labels)
        self._files = tuple(files)
        self._told: set[Remark] = set()

    def take(self) -> Inventory | None:
        """The inventory of now; None as long as the cluster is not known. Raises BundleError or RequestError.

        What is worth knowing of how it came about is logged once; of much of one kind, the first and a count.
        """
        fleet = self._fleet() if self._fleet else None
        if self._fleet and fleet is None:
            return None
        documents = [document for path in self._files for document in read_documents(path)]
        inventory = live_inventory(documents, fleet, self._census)
        new: dict[str, list[Remark]] = {}
        for remark in inventory.remarks:
            if remark not in self._told:
                new.setdefault(remark.kind, []).append(remark)
        for remarks in new.values():
            for remark in remarks[:MOST_TOLD]:
                log.warning("%s", remark)
            if len(remarks) > MOST_TOLD:
                log.warning("and %d more such: `bayplan pools` lists them", len(remarks) - MOST_TOLD)
        self._told = set(inventory.remarks)
        return inventory
