"""Access to a cluster: clients, lists and watches of its API server, and the pools of its Nodes.

`connect` finds a `Cluster`, as kubectl or a pod's service account would; `listed` reads all objects of a kind once, a
`Reflector` keeps a copy of them up to date. `LivePools` makes an Inventory of Nodes, again only where they changed.
Start with `client.py`, then `reflector.py`.
"""

from cluster.client import ClusterError, InCluster, connect, inside, own_namespace
from cluster.listing import listed
from cluster.live_pools import LivePools
from cluster.objects import NODES, Namespaces
from cluster.reflector import Reflector

__all__ = [
    "NODES",  # the Kind of Nodes for a Reflector, and what is kept of each
    "ClusterError",  # the error of a cluster that there is no way to
    "InCluster",  # whether to use the pod's own service account: auto, yes or no
    "LivePools",  # an Inventory of live Nodes, remembering the pools of those that did not change
    "Namespaces",  # Namespaces of the cluster, watched, and fetched where a watch is late
    "Reflector",  # a copy of all objects of one kind, kept up to date by a watch
    "connect",  # the Cluster that arguments, service account or kubeconfig name; raises ClusterError
    "inside",  # whether this process runs in a pod with a service account
    "listed",  # all objects under a path of the API, read once; raises ClusterError
    "own_namespace",  # the namespace of the pod that this process runs in, or None
]
