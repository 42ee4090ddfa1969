"""Who made a pod: said by the request's user, not by the pod, for whoever may create pods writes what they like.

Sources: k8s.io/kubernetes/pkg/controller/daemon (daemon_controller.go syncNodes and, in util,
ReplaceDaemonSetPodNodeNameNodeAffinity: exactly one required term, of the node's name), pkg/kubelet/pod
(mirror_client.go), and the admission plugin NodeRestriction (a node's user makes mirror pods that name that node, and
nothing else).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from engine.names import REQUIRED
from engine.pods.incoming import IncomingPod

Json = Any
Object = Mapping[str, Json]

CONTROLLER_MANAGER = "system:kube-controller-manager"
"""The user of all controllers where they share one."""
DAEMON_SET_CONTROLLERS = ("system:serviceaccount:kube-system:daemon-set-controller", CONTROLLER_MANAGER)
"""The users that the DaemonSet controller has: its own, or the controller manager's where its controllers share one."""
NODE_USER = "system:node:"
"""What begins a kubelet's user; the node's name follows."""
NODES = "system:nodes"
"""The group of kubelets."""
MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a mirror pod."""
DAEMON_SET = ("apps/v1", "DaemonSet")


def is_daemon_sets(pod: Object) -> bool:
    """Whether a pod is as the DaemonSet controller makes them: controlled by an `apps/v1` DaemonSet, and confined by
    each of its required terms to one node by its name."""
    references = (pod.get("metadata") or {}).get("ownerReferences") or ()
    if not any(one.get("controller") and _kind_of(one) == DAEMON_SET for one in references):
        return False
    affinity = ((pod.get("spec") or {}).get("affinity") or {}).get("nodeAffinity") or {}
    terms: Sequence[Object] = (affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or ()
    return bool(terms) and all(any(map(_names_node, term.get("matchFields") or ())) for term in terms)


def claims_daemon_set(pod: Object) -> bool:
    """Whether a pod says that its controller is something called DaemonSet, of whatever API."""
    for one in (pod.get("metadata") or {}).get("ownerReferences") or ():  # asked of every pod
        if one.get("kind") == "DaemonSet" and one.get("controller"):
            return True
    return False


def claims_mirror(pod: Object) -> bool:
    """Whether a pod says that it mirrors a static one."""
    return MIRROR in ((pod.get("metadata") or {}).get("annotations") or ())


def made_by_daemon_set_controller(incoming: IncomingPod, controllers: Collection[str]) -> bool:
    """Whether one of these users asked for a pod, and it is as the DaemonSet controller makes them."""
    return user_name(incoming) in controllers and is_daemon_sets(incoming.pod)


def made_by_kubelet(incoming: IncomingPod) -> bool:
    """Whether a mirror pod was asked for by the kubelet of the node that it names."""
    node = (incoming.pod.get("spec") or {}).get("nodeName")
    user = incoming.request.get("userInfo") or {}
    return bool(node) and user.get("username") == f"{NODE_USER}{node}" and NODES in (user.get("groups") or ())


def user_name(incoming: IncomingPod) -> str:
    """Who asked for a pod, empty where that is not known."""
    return str((incoming.request.get("userInfo") or {}).get("username") or "")


def _kind_of(reference: Object) -> tuple[Json, Json]:
    return reference.get("apiVersion"), reference.get("kind")


def _names_node(requirement: Object) -> bool:
    values = requirement.get("values") or ()
    return requirement.get("key") == "metadata.name" and requirement.get("operator") == "In" and len(values) == 1
