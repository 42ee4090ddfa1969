"""Access to a cluster: clients, lists and watches of its API server, and the pools of its Nodes."""

from cluster.client import Cluster, ClusterError, InCluster, connect, inside, own_namespace
from cluster.listing import listed
from cluster.live_pools import LivePools
from cluster.objects import NODES, Namespaces
from cluster.reflector import Reflector

__all__ = [
    "NODES",
    "Cluster",
    "ClusterError",
    "InCluster",
    "LivePools",
    "Namespaces",
    "Reflector",
    "connect",
    "inside",
    "listed",
    "own_namespace",
]
