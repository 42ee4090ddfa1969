"""Where bundles and inventories come from, and how they become what decides.

A source gives the files of a bundle, which are parsed, compiled and tested to a Program; files of pools and watched
Nodes make an Inventory; both make a Decider. A `Follower` asks a source again and again, `Activation` swaps the Decider
while requests are answered; what fails on the way leaves the last good one active. Start with `transaction.py` (the
steps), then `follower.py` and `activation.py`; `keeper.py` remembers what served. `content.py` says what a source is,
`sources.py` how one is written; `folder.py` reads bundles and objects, `files.py` the disk. Registries (`oci`), Git
(`git`) and signatures (`signature`) have faces of their own, which only those load who need them.
"""

from delivery.activation import Activation, Rolling, Stages, decider_of
from delivery.archive import Manifest, opened, packed
from delivery.content import Content, SourceError
from delivery.credentials import Credentials, read_credentials
from delivery.dumps import Batch, pieces, pieces_of
from delivery.fingerprint import Fingerprint, fingerprint_of
from delivery.folder import bundle_of, read_documents, streamed_documents
from delivery.follower import Follower, followed
from delivery.inventory import LiveInventory
from delivery.keeper import HeldError
from delivery.neighbours import Neighbours
from delivery.once import bundle_as_read, bundle_at, bundle_from, commit_of
from delivery.proposals import judged
from delivery.rollout import Rollout
from delivery.sources import ARCHIVES, Address, read_address, source_of
from delivery.statuses import Statuses
from delivery.store import Store
from delivery.transaction import Candidate, Demands, Overrides, StepFailedError, candidate_of
from delivery.trusted import Trusted

__all__ = [
    "ARCHIVES",  # how names of archives end
    "Activation",  # the Decider that is active, kept up to date with its sources
    "Address",  # a source as somebody wrote it, taken apart
    "Batch",  # objects of a large file, as the text of a JSON list
    "Candidate",  # a Content that passed every step before the swap, with its Program
    "Content",  # the files of a bundle as a source has them, and what speaks for them
    "Credentials",  # what a source is shown, from a folder of files
    "Demands",  # what is asked of a bundle beside being sound, and what it is to be for this cluster
    "Fingerprint",  # what is equal as long as files have not changed
    "Follower",  # follows one source: what passes every step becomes active
    "HeldError",  # what somebody wants of a source can't be had
    "LiveInventory",  # the Inventory of watched Nodes and files of pools
    "Manifest",  # what an archive says that it holds
    "Neighbours",  # bundles that serve together, and what their policies do to each other
    "Overrides",  # constants that a cluster lays over a bundle's
    "Rolling",  # that bundles decide about some workloads, and those before them about the others
    "Rollout",  # a bundle and the one before it, each deciding about some workloads
    "SourceError",  # a source can't say what it has, or hand it out
    "Stages",  # the steps to a Decider: take, build
    "Statuses",  # what became of objects of a cluster, told on them
    "StepFailedError",  # a step of an activation failed: which one, and why
    "Store",  # the last good revisions of a source on disk
    "Trusted",  # who must vouch for what a source has
    "bundle_as_read",  # the same as far as it can be read, and all problems
    "bundle_at",  # the Bundle that a folder was at a revision of Git; raises BundleError, RequestError, SourceError
    "bundle_from",  # the Bundle that a source has now, read once; raises BundleError, SourceError
    "bundle_of",  # the Bundle in the bytes of files as far as it can be read, and all problems
    "candidate_of",  # a content that passed every step before the swap; raises StepFailedError
    "commit_of",  # the commit of Git that files of a folder are of
    "decider_of",  # the Decider of a Program and an Inventory, renewed where the Program stays
    "fingerprint_of",  # the Fingerprint of files and folders
    "followed",  # an address as it is followed by default
    "judged",  # what is wrong with one object of a cluster, by itself
    "opened",  # what an archive holds; raises SourceError
    "packed",  # the archive of a bundle's files
    "pieces",  # the Manifests of a file or folder, or Batches of large ones; raises BundleError, RequestError
    "pieces_of",  # the same of a stream that is open
    "read_address",  # the parts of a source as somebody wrote it; raises BundleError
    "read_credentials",  # the Credentials in a folder; raises SourceError
    "read_documents",  # the Manifests in a file or folder; raises BundleError
    "source_of",  # the source of an address; raises BundleError
    "streamed_documents",  # the Manifests of a stream that is open; raises BundleError
]
