"""TODO."""

from engine.pools.index import HARD_EFFECTS, Group, PoolIndex, members
from engine.pools.inventory import inventory_from_documents, inventory_problems
from engine.pools.membership import inventory_from_pools
from engine.pools.nodes import NodeGroup, group, pool_of
from engine.pools.pool import Inventory, Pool, Taint
from engine.pools.providers import NODE_WORDS, POOL_FIELDS, POOL_LABELS, WORD_OF
from engine.pools.reads import Read
from engine.pools.words import Cases, Label, PortableWord, Words, words_of

__all__ = [
    "HARD_EFFECTS",
    "NODE_WORDS",
    "POOL_FIELDS",
    "POOL_LABELS",
    "WORD_OF",
    "Cases",
    "Group",
    "Inventory",
    "Label",
    "NodeGroup",
    "Pool",
    "PoolIndex",
    "PortableWord",
    "Read",
    "Taint",
    "Words",
    "group",
    "inventory_from_documents",
    "inventory_from_pools",
    "inventory_problems",
    "members",
    "pool_of",
    "words_of",
]
