"""What the API server has done to a pod by the time a webhook is called: its types, its defaults, and its admission
plugins.

Sources: k8s.io/kubernetes/pkg/apis/core/v1 (zz_generated.defaults.go SetObjectDefaults_Pod and what it calls in
defaults.go; conversion.go), and the plugins ServiceAccount, Priority and DefaultTolerationSeconds, as seen on a 1.36
API server. Left out is what depends on objects of the cluster: limit ranges, runtime classes, priorities of classes,
service accounts that mount no token or have image pull secrets, topology labels of a node that the pod names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from engine.documents import RequestError
from engine.pods.images import tag_of
from engine.pods.reading import as_read, fields_of
from engine.pods.requests import HUGE_PAGES, aggregated, as_text, in_thousandths, is_pod_level

Json = Any
Object = dict[str, Json]

_GRACE_SECONDS = 300
_HOUR = 3600
_FILE_MODE = 0o644
_POD_SPEC: Mapping[str, Json] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
}
_CONTAINER: Mapping[str, Json] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE: Mapping[str, Json] = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_HTTP_GET: Mapping[str, Json] = {"path": "/", "scheme": "HTTP"}
_VOLUMES: Mapping[str, Mapping[str, Json]] = {
    "hostPath": {"type": ""},
    "secret": {"defaultMode": _FILE_MODE},
    "configMap": {"defaultMode": _FILE_MODE},
    "downwardAPI": {"defaultMode": _FILE_MODE},
    "projected": {"defaultMode": _FILE_MODE},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
"""By kind of volume, what it says where nothing is said."""
_SYSTEM_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_RUNNING = ("containers", "initContainers")
_OLD_ANNOTATIONS = frozenset(
    f"pod.{stage}.kubernetes.io/{what}"
    for stage in ("alpha", "beta")
    for what in ("init-containers", "init-container-statuses")
)
_SYSTEM_FIELDS = ("creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
_MIRROR = "kubernetes.io/config.mirror"
_TOKEN = "kube-api-access-"
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def defaulted(pod: Mapping[str, Json], path: str = "") -> Object:
    """The pod as the API server would show it to a webhook. Raises RequestError, with field paths under `path`, where a
    value has another type than the API server takes."""
    made = as_read(pod, path)
    _create(made["metadata"])
    spec: Object = made["spec"]
    _fill(spec, _POD_SPEC)
    spec.setdefault("securityContext", {})
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    for volume in spec.get("volumes", ()):
        _complete_volume(volume)
    for kind in (*_RUNNING, "ephemeralContainers"):
        for container in spec.get(kind) or ():
            _complete_container(container)
    for kind in _RUNNING:
        for container in spec.get(kind) or ():
            container["resources"] = _requests_from_limits(container["resources"])
            for port in (container.get("ports") or ()) if spec.get("hostNetwork") else ():
                _fill(port, {"hostPort": port["containerPort"]} if port["containerPort"] else {})
    if "resources" in spec:
        spec["resources"] = _pod_level(spec)
    _round(spec, path)
    _admit(made)
    return made


def _create(metadata: Object) -> None:
    """Of what the API server says itself nothing is taken from who creates a pod, and of equal owners one.

    Sources: k8s.io/apiserver/pkg/registry/rest (WipeObjectMetaSystemFields), pkg/endpoints/handlers
    (dedupOwnerReferences).
    """
    for name in _SYSTEM_FIELDS:
        metadata.pop(name, None)
    if "ownerReferences" in metadata:
        owners: list[Json] = []
        owners += (each for each in metadata["ownerReferences"] if each not in owners)
        metadata["ownerReferences"] = owners


def _fill(given: Object, defaults: Mapping[str, Json]) -> None:
    for key, value in defaults.items():
        if given.get(key) is None:
            given[key] = value


def _complete_container(container: Object) -> None:
    _fill(container, _CONTAINER)
    if "imagePullPolicy" not in container:
        container["imagePullPolicy"] = _pull_policy(container.get("image", ""))
    for port in container.get("ports", ()):
        _fill(port, {"protocol": "TCP"})
    for entry in container.get("env", ()):
        source = entry.get("valueFrom", {})
        _complete_field(source)
        if "fileKeyRef" in source:
            _fill(source["fileKeyRef"], {"optional": False})
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        if kind in container:
            _complete_probe(container[kind])
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict) and "httpGet" in handler:
            _fill(handler["httpGet"], _HTTP_GET)


def _complete_probe(probe: Object) -> None:
    _fill(probe, _PROBE)
    if "httpGet" in probe:
        _fill(probe["httpGet"], _HTTP_GET)
    if "grpc" in probe:
        _fill(probe["grpc"], {"service": ""})


def _complete_field(source: Object) -> None:
    if "fieldRef" in source:
        _fill(source["fieldRef"], {"apiVersion": "v1"})


def _complete_volume(volume: Object) -> None:
    if not any(kind in volume for kind in _volume_kinds()):
        volume["emptyDir"] = {}
    for kind, defaults in _VOLUMES.items():
        if kind in volume:
            _fill(volume[kind], defaults)
    if "image" in volume and "pullPolicy" not in volume["image"]:
        volume["image"]["pullPolicy"] = _pull_policy(volume["image"].get("reference", ""))
    sources = (volume.get("projected") or {}).get("sources") or ()
    for source in sources:
        if "serviceAccountToken" in source:
            _fill(source["serviceAccountToken"], {"expirationSeconds": _HOUR})
    for projection in (volume, *sources):
        for item in (projection.get("downwardAPI") or {}).get("items", ()):
            _complete_field(item)
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if claim is not None:
        _fill(claim["spec"], {"volumeMode": "Filesystem"})


@cache
def _volume_kinds() -> tuple[str, ...]:
    return tuple(name for name, _, words in fields_of("Volume") if words.startswith("*"))


def _pull_policy(image: str) -> str:
    return "Always" if tag_of(image) == "latest" else "IfNotPresent"


def _requests_from_limits(resources: Mapping[str, Json]) -> Object:
    limits = resources.get("limits", {})
    return {**resources, **({"requests": {**limits, **resources.get("requests", {})}} if limits else {})}


def _pod_level(spec: Mapping[str, Json]) -> Object:
    """What a pod with limits as a whole requests as a whole: what its containers do together, else those limits.

    Nothing is rounded yet.
    """
    resources = spec["resources"]
    limits, requests = dict(resources.get("limits", {})), dict(resources.get("requests", {}))
    if not limits and not requests:
        return dict(resources)
    containers = {
        kind: [{**each, "resources": _requests_from_limits(each.get("resources", {}))} for each in spec.get(kind, ())]
        for kind in ("containers", "initContainers")
    }
    for name, amount in aggregated(containers, "limits").items():
        if name.startswith(HUGE_PAGES) and name not in requests:
            limits.setdefault(name, str(amount))
    if limits:
        together = {name: str(amount) for name, amount in aggregated(containers, "requests").items()}
        shared = {name: said for name, said in together.items() if not name.startswith(HUGE_PAGES)}
        requests = {name: said for name, said in {**limits, **shared}.items() if is_pod_level(name)} | requests
    filled = {"limits": limits, "requests": requests}
    return {**resources, **{kind: amounts for kind, amounts in filled.items() if amounts}}


def _round(spec: Object, path: str) -> None:
    """What is finer than thousandths is rounded up, of all that is called a list of resources."""
    owners: list[tuple[Object, str]] = [(spec, f"{path}spec")]
    for kind in (*_RUNNING, "ephemeralContainers"):
        owners += [
            (each["resources"], f"{path}spec.{kind}[{at}].resources") for at, each in enumerate(spec.get(kind) or ())
        ]
    for volume in spec.get("volumes", ()):
        claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        owners += [(claim["spec"]["resources"], "")] if claim is not None else []
    owners += [(spec["resources"], f"{path}spec.resources")] if "resources" in spec else []
    for owner, place in owners:
        for kind in ("limits", "requests", "overhead"):
            if kind in owner:
                owner[kind] = _quantities(owner[kind], f"{place}.{kind}")


def _quantities(amounts: Mapping[str, Json], path: str) -> Object:
    made = {}
    for name, said in amounts.items():
        try:
            made[name] = in_thousandths(as_text(said))
        except ValueError as error:
            raise RequestError(f"{path}.{name}", str(error)) from None
    return made


def _admit(pod: Object) -> None:
    """What the admission plugins do that run before webhooks, in their order."""
    spec, metadata = pod["spec"], pod["metadata"]
    annotations: Object = metadata.get("annotations", {})
    if not _OLD_ANNOTATIONS.isdisjoint(annotations):
        metadata["annotations"] = {key: value for key, value in annotations.items() if key not in _OLD_ANNOTATIONS}
        if not metadata["annotations"]:
            del metadata["annotations"]
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    mirrors = _MIRROR in annotations
    if account or not mirrors:
        spec["serviceAccountName"] = spec["serviceAccount"] = account or "default"
    if not mirrors and spec.get("automountServiceAccountToken", True):
        _mount_token(spec)
    _fill(spec, _priority(spec))
    own = spec.get("tolerations", [])
    spec["tolerations"] = [*own, *_default_tolerations(own)]
    if not spec["tolerations"]:
        del spec["tolerations"]


def _mount_token(spec: Object) -> None:
    """The token of its service account, in each container that has nothing at that path; the volume's name is made up
    elsewhere."""
    volumes = spec.get("volumes", [])
    name = next((each["name"] for each in volumes if each["name"].startswith(_TOKEN)), "")
    mount = {"name": name or f"{_TOKEN}00000", "readOnly": True, "mountPath": _TOKEN_PATH}
    mounted = False
    for kind in ("initContainers", "containers"):
        for container in spec.get(kind) or ():
            mounts = container.get("volumeMounts", [])
            if not any(each["mountPath"] == _TOKEN_PATH for each in mounts):
                container["volumeMounts"], mounted = [*mounts, dict(mount)], True
    if mounted and not name:
        projected = {"defaultMode": _FILE_MODE, "sources": _token_sources()}
        spec["volumes"] = [*volumes, {"name": mount["name"], "projected": projected}]


def _token_sources() -> list[Json]:
    """Source: TokenVolumeSource."""
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]


def _priority(spec: Mapping[str, Json]) -> Object:
    name = spec.get("priorityClassName")
    known = _SYSTEM_PRIORITIES.get(name) if name else 0
    return {"preemptionPolicy": "PreemptLowerPriority"} | ({} if known is None else {"priority": known})


def _default_tolerations(tolerations: Sequence[Mapping[str, Json]]) -> list[Object]:
    """DefaultTolerationSeconds: for each of the two taints, unless some toleration has to do with it."""
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _GRACE_SECONDS}
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        if not any(
            each.get("key", "") in (key, "") and each.get("effect", "") in ("NoExecute", "") for each in tolerations
        )
    ]
