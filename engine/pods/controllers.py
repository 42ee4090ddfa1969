"""The pods that workloads' controllers would make from their templates.

Sources: k8s.io/kubernetes/pkg/controller (controller_utils.go GetPodFromTemplate; deployment, statefulset, daemon, job,
cronjob) and the labels that the API server adds to a Job's template. Names and hashes that depend on the time are
made up from the template: the same workload always gives the same pod.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from engine.documents import RequestError
from engine.names import REQUIRED
from engine.pods.authors import CONTROLLER_MANAGER, NODE_USER, NODES, claims_mirror, user_name
from engine.pods.incoming import IncomingPod, Owner

Json = Any
Object = Mapping[str, Json]
Pod = dict[str, Json]

NODE = "node-1"
"""The node that a DaemonSet's pod is made for: there is one for each, this stands for all."""

_MINUTES = "28000000"
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_SERVICE_ACCOUNTS = "system:serviceaccounts"
_AUTHENTICATED = "system:authenticated"


def pod_template(workload: Object) -> Object | None:
    """The pod template of a workload of any kind, built in or not; None for what is no workload."""
    group = str(workload.get("apiVersion", "")).partition("/")[0]
    if (group, workload.get("kind")) == ("batch", "CronJob"):
        return _at(workload, "spec", "jobTemplate", "spec", "template") or {}
    template = _at(workload, "spec", "template")
    if (group, workload.get("kind")) in _BUILT_IN:
        return template or {}
    containers = (_at(template, "spec") or {}).get("containers")
    return template if isinstance(containers, list) and containers else None


def pod_of_workload(workload: Object, template: Object, name: str, namespace: str) -> tuple[Pod, Owner]:
    """The pod that the workload's controller would make first, and the workload as the pod's owner."""
    kind, version = str(workload.get("kind", "")), str(workload.get("apiVersion", ""))
    make = _KINDS.get((version.partition("/")[0] if "/" in version else "", kind), _generic)
    return make(workload, template, name, namespace), _owner(workload, name)


def user_of(pod: Object) -> Pod:
    """`userInfo` of the request by which a pod's controller, or a kubelet, creates it; an empty one for a bare pod.

    A pod in a file is taken at its word: nobody asks for it, so there is nobody to distrust.
    """
    node = (_at(pod, "spec") or {}).get("nodeName")
    if claims_mirror(pod) and node:
        return {"username": f"{NODE_USER}{node}", "uid": "", "groups": [NODES, _AUTHENTICATED]}
    references = (_at(pod, "metadata") or {}).get("ownerReferences") or ()
    name = next((_account(each) for each in references if each.get("controller")), None)
    if name is None:
        return {"username": "", "uid": "", "groups": []}
    groups = [_SERVICE_ACCOUNTS, f"{_SERVICE_ACCOUNTS}:kube-system", _AUTHENTICATED]
    return {"username": f"system:serviceaccount:kube-system:{name}", "uid": "", "groups": groups}


def vouched_owner(incoming: IncomingPod) -> Object | None:
    """The owner reference that a pod's controller wrote: what it names exists. None where somebody else asked for the
    pod, who may write there what they like, or where the controller is none of Kubernetes' own."""
    references = (incoming.pod.get("metadata") or {}).get("ownerReferences") or ()
    reference = next((each for each in references if each.get("controller")), None)
    account = _account(reference) if reference else None
    users = (f"system:serviceaccount:kube-system:{account}", CONTROLLER_MANAGER)
    return reference if account and user_name(incoming) in users else None


def _account(reference: Object) -> str | None:
    """The service account of the controller that a reference names."""
    group = str(reference.get("apiVersion", "")).rpartition("/")[0]
    return _ACCOUNTS.get((group, str(reference.get("kind", ""))))


def _at(value: Json, *path: str) -> Json:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else None


def _owner(workload: Object, name: str) -> Owner:
    """A ReplicaSet of a Deployment, or a Job of a CronJob, stands for the workload that it belongs to."""
    kind = str(workload.get("kind", ""))
    metadata = _at(workload, "metadata") or {}
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller") and (kind, reference.get("kind")) in _PASSED_ON:
            return Owner(str(reference.get("apiVersion", "")), str(reference["kind"]), str(reference.get("name", "")))
    return Owner(str(workload.get("apiVersion", "")), kind, name)


def _made(workload: Object, template: Object, name: str, namespace: str) -> Pod:
    """GetPodFromTemplate: what all controllers do."""
    given = _at(template, "metadata") or {}
    metadata: Pod = {"generateName": f"{name}-", "namespace": namespace}
    for part in ("labels", "annotations"):
        if given.get(part):
            metadata[part] = dict(given[part])
    if given.get("finalizers"):
        metadata["finalizers"] = list(given["finalizers"])
    metadata["ownerReferences"] = [_reference(workload, name, namespace)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": dict(template.get("spec") or {})}


def _reference(workload: Object, name: str, namespace: str) -> Pod:
    reference = {"apiVersion": str(workload.get("apiVersion", "")), "kind": str(workload.get("kind", "")), "name": name}
    return {**reference, "uid": _uid(workload, name, namespace), "controller": True, "blockOwnerDeletion": True}


def _uid(workload: Object, name: str, namespace: str) -> str:
    """The workload's own, or one made up from its name."""
    given = (_at(workload, "metadata") or {}).get("uid")
    digits = hashlib.sha256(f"{workload.get('kind')}\0{namespace}\0{name}".encode()).hexdigest()
    return str(given or f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}")


def _hash(template: Object) -> str:
    """Ten characters of the alphabet that Kubernetes uses for such; not the ones that it would choose."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True, default=str).encode()).digest()
    return "".join(_SAFE[byte % len(_SAFE)] for byte in digest[:10])


def _generic(workload: Object, template: Object, name: str, namespace: str) -> Pod:
    return _made(workload, template, name, namespace)


def _deployment(workload: Object, template: Object, name: str, namespace: str) -> Pod:
    suffix = _hash(template)
    replica_set = {"apiVersion": workload.get("apiVersion"), "kind": "ReplicaSet"}
    pod = _made(replica_set, template, f"{name}-{suffix}", namespace)
    return _with_labels(pod, {"pod-template-hash": suffix})


def _stateful_set(workload: Object, template: Object, name: str, namespace: str) -> Pod:
    spec = _at(workload, "spec") or {}
    ordinal = int((_at(spec, "ordinals") or {}).get("start") or 0)
    pod = _made(workload, template, name, namespace)
    own = f"{name}-{ordinal}"
    labels = {
        "apps.kubernetes.io/pod-index": str(ordinal),
        "controller-revision-hash": f"{name}-{_hash(template)}",
        "statefulset.kubernetes.io/pod-name": own,
    }
    pod = _with_labels(pod, labels)
    pod["metadata"] = {"name": own, **pod["metadata"]}
    pod["spec"] = {**pod["spec"], "hostname": own, "subdomain": spec.get("serviceName") or ""}
    claims = [_claimed(claim, own) for claim in spec.get("volumeClaimTemplates") or ()]
    if claims:
        names = {claim["name"] for claim in claims}
        others = [volume for volume in pod["spec"].get("volumes") or () if volume.get("name") not in names]
        pod["spec"]["volumes"] = [*claims, *others]
    return pod


def _claimed(claim: Object, pod: str) -> Pod:
    name = str((_at(claim, "metadata") or {}).get("name", ""))
    return {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{pod}"}}


def _daemon_set(workload: Object, template: Object, name: str, namespace: str) -> Pod:
    """The required terms of the template are replaced by the node's name; preferred ones and the node selector stay."""
    pod = _made(workload, template, name, namespace)
    generation = str((_at(workload, "metadata") or {}).get("generation") or 1)
    pod = _with_labels(pod, {"controller-revision-hash": _hash(template), "pod-template-generation": generation})
    spec = pod["spec"]
    affinity = dict(_at(spec, "affinity") or {})
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [NODE]}]}
    required = {REQUIRED: {"nodeSelectorTerms": [term]}}
    affinity["nodeAffinity"] = {**(_at(affinity, "nodeAffinity") or {}), **required}
    taints = [("not-ready", "NoExecute"), ("unreachable", "NoExecute"), ("disk-pressure", "NoSchedule")]
    taints += [(key, "NoSchedule") for key in ("memory-pressure", "pid-pressure", "unschedulable")]
    taints += [("network-unavailable", "NoSchedule")] * bool(spec.get("hostNetwork"))
    added = [{"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect} for key, effect in taints]
    given = [each for each in spec.get("tolerations") or () if each not in added]
    pod["spec"] = {**spec, "affinity": affinity, "tolerations": [*given, *added]}
    return pod


def _job(workload: Object, template: Object, name: str, namespace: str) -> Pod:
    pod = _made(workload, template, name, namespace)
    uid = _uid(workload, name, namespace)
    labels = {"batch.kubernetes.io/job-name": name, "job-name": name}
    spec = _at(workload, "spec") or {}
    if not spec.get("manualSelector"):
        labels |= {"batch.kubernetes.io/controller-uid": uid, "controller-uid": uid}
    annotations = dict(pod["metadata"].get("annotations") or {})
    if spec.get("completionMode") == "Indexed":
        labels["batch.kubernetes.io/job-completion-index"] = "0"
        annotations["batch.kubernetes.io/job-completion-index"] = "0"
        pod["metadata"]["generateName"] = f"{name}-0-"
        pod["spec"] = {**pod["spec"], "hostname": f"{name}-0"}
        for kind in ("initContainers", "containers"):
            if pod["spec"].get(kind):
                pod["spec"][kind] = [_with_index(container) for container in pod["spec"][kind]]
    pod = _with_labels(pod, labels)
    if annotations:
        pod["metadata"]["annotations"] = annotations
    pod["metadata"]["finalizers"] = [*pod["metadata"].get("finalizers", []), "batch.kubernetes.io/job-tracking"]
    return pod


def _with_index(container: Object) -> Pod:
    path = "metadata.labels['batch.kubernetes.io/job-completion-index']"
    index = {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
    return {**container, "env": [*(container.get("env") or ()), index]}


def _cron_job(workload: Object, template: Object, name: str, namespace: str) -> Pod:
    job_template = _at(workload, "spec", "jobTemplate") or {}
    job = {"apiVersion": workload.get("apiVersion"), "kind": "Job", "spec": _at(job_template, "spec") or {}}
    return _job(job, template, f"{name}-{_MINUTES}", namespace)


def _with_labels(pod: Pod, labels: Mapping[str, str]) -> Pod:
    metadata = pod["metadata"]
    return {**pod, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **labels}}}


_KINDS: Mapping[tuple[str, str], Callable[[Object, Object, str, str], Pod]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
}
"""What a controller does besides filling in the template; ReplicaSets, ReplicationControllers and others do no more."""

_BUILT_IN = {*_KINDS, ("apps", "ReplicaSet"), ("v1", "ReplicationController")}

_PASSED_ON = {("ReplicaSet", "Deployment"), ("Job", "CronJob")}

_ACCOUNTS = {
    ("apps", "ReplicaSet"): "replicaset-controller",
    ("", "ReplicationController"): "replication-controller",
    ("apps", "StatefulSet"): "statefulset-controller",
    ("apps", "DaemonSet"): "daemon-set-controller",
    ("batch", "Job"): "job-controller",
}
"""Service accounts in kube-system, by group and kind."""


def workload_name(workload: Object) -> str:
    """The workload's name, or one made from its `generateName`. Raises RequestError where there is neither."""
    metadata = _at(workload, "metadata") or {}
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if isinstance(name, str) and name:
        return name
    if isinstance(prefix, str) and prefix:
        return f"{prefix}00000"
    raise RequestError("metadata.name", "the workload has no name")
