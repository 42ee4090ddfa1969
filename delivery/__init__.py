"""Where bundles and inventories come from, and how they become what decides.

A folder is read to a Bundle, a Bundle compiled and tested to a Program; files of pools and watched Nodes make an
Inventory; both make a Decider. `Activation` follows all sources and swaps the Decider while requests are answered; what
fails on the way leaves the last good one active. Start with `activation.py`; `folder.py` reads bundles and objects,
`files.py` the disk.
"""

from delivery.activation import Activation, Stages, decider_of, program_from
from delivery.fingerprint import Fingerprint, fingerprint_of
from delivery.folder import load_bundle, read_bundle, read_documents, streamed_documents
from delivery.inventory import LiveInventory

__all__ = [
    "Activation",  # the Decider that is active, kept up to date with its sources
    "Fingerprint",  # what is equal as long as files have not changed
    "LiveInventory",  # the Inventory of watched Nodes and files of pools
    "Stages",  # the three steps of activation: load, take, build
    "decider_of",  # the Decider of a Program and an Inventory, renewed where the Program stays
    "fingerprint_of",  # the Fingerprint of files and folders
    "load_bundle",  # the Bundle in a folder; raises BundleError
    "program_from",  # the Program of the bundle in a folder, tested; raises BundleError or OSError
    "read_bundle",  # the Bundle in a folder as far as it can be read, and all problems
    "read_documents",  # the Manifests in a file or folder; raises BundleError
    "streamed_documents",  # the Manifests of a stream that is open; raises BundleError
]
