"""The pools of a cluster, and the index that answers questions about them.

In the pipeline this stands beside the bundle: Inventory documents, Karpenter NodePools and Nodes go in, an `Inventory`
of `Pool`s comes out, sorted by name. A `PoolIndex` makes it ready for decisions: sets of pools are masks (integers, bit
i is pool i), and the index says which terms select the pools of a mask, and which pools may meet a term. It reads no
policy and no pod.

Start with `pool.py` (what a pool is), `membership.py` (to which pool a node belongs) and `index.py`. `inventory.py`
reads documents of all kinds, `census.py` brings them together with nodes; `providers.py` is the table of what each
provider's labels say, and `words.py` makes the portable words (`node.zone`, `node.capacityType`) of it.
"""

from engine.pools.apart import is_own_label
from engine.pools.census import Census
from engine.pools.index import HARD_EFFECTS, Group, PoolIndex, members
from engine.pools.inventory import inventory_from_documents, inventory_problems, live_inventory
from engine.pools.inventory_file import inventory_schema
from engine.pools.nodes import NODE_RESOURCES, is_of_one_value
from engine.pools.pool import Fact, Inventory, Pool, Remark, Taint, capacity_types, open_marker
from engine.pools.providers import (
    CAPACITY_LABELS,
    CAPACITY_TYPES,
    NODE_WORDS,
    POOL_FIELDS,
    POOL_LABELS,
    WORD_OF,
    spot_markers,
)
from engine.pools.reads import PLAIN_FIELDS, Read
from engine.pools.taints import TIMED_TAINTS, is_transient
from engine.pools.words import Cases, Label, PortableWord, Words, words_of

__all__ = [
    "CAPACITY_LABELS",  # labels of nodes that say a capacity type, with the type that each value says
    "CAPACITY_TYPES",  # the words that `node.capacityType` may be
    "HARD_EFFECTS",  # the taint effects that keep pods away
    "NODE_RESOURCES",  # the resources of a Node that a pool is known by: cores, memory and GPUs
    "NODE_WORDS",  # the portable words of `node`, each with its field of `pool` and its label
    "PLAIN_FIELDS",  # the fields of `pool` that say one thing, each with its attribute of Pool
    "POOL_FIELDS",  # the label whose values each such field of `pool` lists
    "POOL_LABELS",  # the providers' labels that identify a pool, Karpenter's first
    "TIMED_TAINTS",  # the two lifecycle taints for which pods say how long they stay
    "WORD_OF",  # by field of `pool`: the word for what one node says
    "Cases",  # disjoint Terms, each with the value of an expression on its nodes
    "Census",  # makes inventories of one cluster, remembering the pools of which nothing changed
    "Fact",  # what is known of one label of a pool's nodes
    "Group",  # a mask of pools, and the Terms of their nodes that are meant
    "Inventory",  # the pools of a cluster, sorted by name, and the nodes that belong to none
    "Label",  # as a value in Cases: whatever string this label of the node says
    "Pool",  # nodes that are alike for scheduling, with what is known of them
    "PoolIndex",  # the pools of one inventory as bits of masks, and what they are known by
    "PortableWord",  # Cases of a word on one provider's nodes, and the Terms of nodes without it
    "Read",  # what an expression read of a pool: a label, its values, capacity types, a field, or all
    "Remark",  # what is worth knowing of how an Inventory came about
    "Taint",  # key, value and effect, and whether only some nodes of a pool have it
    "Words",  # PortableWord by word
    "capacity_types",  # the capacity types that a pool's nodes may have; None where that is not known
    "inventory_from_documents",  # the Inventory that files describe; raises BundleError and RequestError
    "inventory_problems",  # what is wrong with a file that describes pools
    "inventory_schema",  # the JsonSchema of a document of kind Inventory
    "is_of_one_value",  # whether each instance type has one value of a label
    "is_own_label",  # whether people are likely to have given nodes a label, or a taint, to tell them apart
    "is_transient",  # whether taints of a key say only how a node is at the moment
    "live_inventory",  # the Inventory of a cluster's objects, and of files beside them
    "members",  # the indexes of the bits that are set in a mask, ascending
    "open_marker",  # a label that says capacity types and that a pool leaves open
    "spot_markers",  # the labels that mark spot nodes only
    "words_of",  # the Words as one provider's labels say them
]
