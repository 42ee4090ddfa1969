"""Access to a cluster: clients, lists and watches of its API server, and what it has that pools are known from.

`connect` finds a `Cluster`, as kubectl or a pod's service account would; `listed` reads all objects of a kind once, a
`Reflector` keeps a copy of them up to date; what is written are `Events`, statuses of policies, and `Reports`. What
pools are known from is a `Fleet`: `fleet_of` reads it once, a `FleetWatch` follows it; a `PolicyWatch` follows policies
that are objects. Start with `client.py`, then `reflector.py`; `objects.py` says what is kept.
"""

from cluster.client import ClusterError, InCluster, connect, inside, own_namespace, release_of
from cluster.events import EventFailedError, Events, Sought, Subject
from cluster.fleet import Fleet, FleetWatch, fleet_of
from cluster.listing import RefusedError, found, listed, pages
from cluster.lookup import LookupFailedError
from cluster.objects import Namespaces
from cluster.policies import MAX_SPEC, Policies, PolicyWatch, write_status
from cluster.replicas import Replica, replica_at, replicas_of
from cluster.reports import Listed, Reports

__all__ = [
    "MAX_SPEC",  # how many bytes of JSON are read of one object of a bundle
    "ClusterError",  # the error of a cluster that there is no way to
    "EventFailedError",  # why the API server took no event, or did not say which pods there are
    "Events",  # events of the core API, written and counted on, and the pods that they are about
    "Fleet",  # the Nodes of a cluster, the custom resources of who makes them, and what could not be read
    "FleetWatch",  # the Fleet of a cluster, followed while it changes
    "InCluster",  # whether to use the pod's own service account: auto, yes or no
    "Listed",  # a kind of objects that may own reports
    "LookupFailedError",  # why an object could not be read while a request waited for it
    "Namespaces",  # Namespaces of the cluster, watched, and looked up where a watch is late
    "Policies",  # the objects of a bundle at one time
    "PolicyWatch",  # the objects of a bundle in a cluster, followed
    "RefusedError",  # the ClusterError of an answer with another status than 200
    "Replica",  # a running webhook, asked over its plain port
    "Reports",  # reports of OpenReports, read and written
    "Sought",  # a pod that was asked for, and may be there by now
    "Subject",  # what an event is about
    "connect",  # the Cluster that arguments, service account or kubeconfig name; raises ClusterError
    "fleet_of",  # the Fleet of a cluster, read once; raises ClusterError
    "found",  # the one object under a path of the API, read once; raises ClusterError
    "inside",  # whether this process runs in a pod with a service account
    "listed",  # all objects under a path of the API, read once; raises ClusterError
    "own_namespace",  # the namespace of the pod that this process runs in, or None
    "pages",  # the same page by page, as texts of lists; raises ClusterError
    "release_of",  # the release of Kubernetes that an API server is, empty where it does not say
    "replica_at",  # the Replica at an address; raises ClusterError
    "replicas_of",  # the Replicas that are pods of a Deployment; raises ClusterError
    "write_status",  # have an object of a bundle say what became of it; raises ClusterError
]
