"""Pods on their way into a cluster, and what surrounds them.

In the pipeline this is the other input beside bundle and pools: an `IncomingPod` is a pod with its Namespace and its
request, as plain JSON. The webhook makes one of a review; `pods_from_documents` makes them of files, a workload's
template included, as the controllers and the API server's defaults would. `owner_of` says whose pod it is,
`requests_of` what the scheduler will count for it. `redactor`
and `without_environment` keep the values of a pod's environment out of errors and logs.

Start with `incoming.py`, then `manifests.py` (files to pods) and `owner.py`.
"""

from engine.pods.authors import (
    DAEMON_SET_CONTROLLERS,
    MIRROR,
    NODE_USER,
    NODES,
    claims_daemon_set,
    claims_mirror,
    made_by_daemon_set_controller,
    made_by_kubelet,
    user_name,
)
from engine.pods.controllers import user_of, vouched_owner
from engine.pods.dealing import dealt, index_of
from engine.pods.incoming import IncomingPod, Owner
from engine.pods.manifests import incoming_of, namespace_of, pod_of_daemon_set, pods_from_documents, unlisted
from engine.pods.namespaces import NAME_LABEL, named, namespace_object
from engine.pods.owner import free_owner, owner_of
from engine.pods.redaction import reads_environment, redactor, withheld, without_environment
from engine.pods.requests import quantities_in, requests_of, with_quantities_as_text
from engine.pods.rollout import rolled_out
from engine.pods.shape import check_pod

__all__ = [
    "DAEMON_SET_CONTROLLERS",  # the users that the DaemonSet controller has, if nothing else is said
    "MIRROR",  # the annotation of a mirror pod
    "NAME_LABEL",  # the label that the API server gives each Namespace: its name
    "NODES",  # the group of kubelets
    "NODE_USER",  # what begins a kubelet's user name
    "IncomingPod",  # a pod with its Namespace, its request and its owner
    "Owner",  # the workload that a pod belongs to
    "check_pod",  # raises RequestError for a pod that the API server could not decode
    "claims_daemon_set",  # whether a pod says that something called DaemonSet controls it
    "claims_mirror",  # whether a pod says that it mirrors a static one
    "dealt",  # the shares of a split, in the order in which a pod gets them
    "free_owner",  # the owner that may label each of its pods as it likes, empty where there is none
    "incoming_of",  # the IncomingPod of one object, None for what makes no pods; raises RequestError
    "index_of",  # the index of a pod of a StatefulSet or indexed Job, or None
    "made_by_daemon_set_controller",  # whether the DaemonSet controller asked for a pod, and it looks like it
    "made_by_kubelet",  # whether the kubelet of the node that a mirror pod names asked for it
    "named",  # the `namespaceObject` of a Namespace's name, with the label that holds it
    "namespace_object",  # a Namespace as Kubernetes shows it to policies
    "namespace_of",  # the name of a Namespace in a file, and what policies see of it; raises RequestError
    "owner_of",  # the Owner (apiVersion, kind, name) of a pod, None for a bare one
    "pod_of_daemon_set",  # the IncomingPod that stands for those of a DaemonSet; raises RequestError
    "pods_from_documents",  # the IncomingPods of files; raises RequestError
    "quantities_in",  # how many quantities `requests_of` will read, at most
    "reads_environment",  # whether an expression may read a pod's environment
    "redactor",  # a function that hides values of one pod's environment in texts
    "requests_of",  # what the scheduler will count for a pod, by resource; raises RequestError
    "rolled_out",  # whether a policy's rollout, in percent, has reached a pod's workload
    "unlisted",  # the objects of a document, those of lists one by one; raises RequestError
    "user_name",  # who asked for a pod, empty where that is not known
    "user_of",  # `userInfo` of the request by which a pod's controller makes it
    "vouched_owner",  # the owner reference of a pod that its controller asked for, or None
    "with_quantities_as_text",  # a pod whose quantities are text where they were numbers
    "withheld",  # an error without its words, its place only
    "without_environment",  # a pod without the values of its environment
]
