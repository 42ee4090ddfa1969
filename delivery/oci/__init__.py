"""Bundles in registries: an artifact of one layer, the archive, and attestations that refer to it.

`OciSource` follows a tag, a range of versions or a digest; `push`, `pull` and `attach` are what the command line does.
Start with `registry.py`, the API of a registry: what is shown to whom, and that nothing is handed on unmeasured.
"""

from delivery.oci.publish import attach, pull, push
from delivery.oci.reference import Reference, reference_of
from delivery.oci.source import OciSource

__all__ = [
    "OciSource",  # the source of an artifact
    "Reference",  # an artifact in a registry, by tag, digest or range of versions
    "attach",  # put an attestation beside an artifact; raises SourceError
    "pull",  # the archive of an artifact; raises SourceError
    "push",  # put an archive into a registry; raises SourceError
    "reference_of",  # the Reference of an address
]
