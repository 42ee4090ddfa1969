"""Where bundles come from and how one becomes active: folders, the inventory beside them, the swap."""

from delivery.activation import Activation, Stages, decider_of, program_from
from delivery.fingerprint import Fingerprint, fingerprint_of
from delivery.folder import load_bundle, read_bundle, read_documents
from delivery.inventory import LiveInventory

__all__ = [
    "Activation",
    "Fingerprint",
    "LiveInventory",
    "Stages",
    "decider_of",
    "fingerprint_of",
    "load_bundle",
    "program_from",
    "read_bundle",
    "read_documents",
]
