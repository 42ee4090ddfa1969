"""What the API server has done to a pod by the time a webhook is called: defaults, and its built-in admission plugins.

Sources: k8s.io/kubernetes/pkg/apis/core/v1/defaults.go (SetDefaults_Pod, _PodSpec, _Container, _ResourceList,
defaultPodRequests, defaultHugePagePodLimits), and the plugins
DefaultTolerationSeconds, Priority and ServiceAccount, as seen on a 1.36 API server. Left out is what depends on
objects of the cluster: limit ranges, runtime classes, priorities of classes, tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.documents import RequestError
from engine.pods.requests import HUGE_PAGES, aggregated, as_text, in_thousandths, is_pod_level

Json = Any
Object = dict[str, Json]

_GRACE_SECONDS = 300
_POD_SPEC: Mapping[str, Json] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "serviceAccountName": "default",
    "serviceAccount": "default",
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
}
_CONTAINER: Mapping[str, Json] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_SYSTEM_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def defaulted(pod: Mapping[str, Json], path: str = "") -> Object:
    """The pod as the API server would show it to a webhook; nothing that it says is changed, but for the spelling of
    quantities. Raises RequestError, with field paths under `path`, for a quantity that is none."""
    pod = _without_nulls(pod)
    spec = pod.get("spec", {})
    made = _filled(spec, {**_POD_SPEC, "securityContext": {}, **_priority(spec)})
    if "serviceAccountName" in spec:
        made["serviceAccount"] = spec["serviceAccountName"]
    for kind in ("containers", "initContainers"):
        if kind in spec:
            made[kind] = [_container(each, f"{path}spec.{kind}[{at}].", made) for at, each in enumerate(spec[kind])]
    if "overhead" in spec:
        made["overhead"] = _quantities(spec["overhead"], f"{path}spec.overhead")
    if "resources" in spec:
        made["resources"] = _resources(_pod_level(spec), f"{path}spec.resources")
    made["tolerations"] = [*spec.get("tolerations", []), *_default_tolerations(spec.get("tolerations", []))]
    return {**pod, "spec": made}


def _without_nulls(value: Json) -> Json:
    """Null is nothing to the API server; nothing is not shown."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _filled(given: Mapping[str, Json], defaults: Mapping[str, Json]) -> Object:
    return {**given, **{key: value for key, value in defaults.items() if key not in given}}


def _priority(spec: Mapping[str, Json]) -> Object:
    name = spec.get("priorityClassName")
    known = _SYSTEM_PRIORITIES.get(name) if name else 0
    return {"preemptionPolicy": "PreemptLowerPriority"} | ({} if known is None else {"priority": known})


def _container(container: Mapping[str, Json], path: str, spec: Mapping[str, Json]) -> Object:
    made = _filled(container, {**_CONTAINER, "imagePullPolicy": _pull_policy(str(container.get("image", "")))})
    made["resources"] = _requests_from_limits(_resources(container.get("resources", {}), f"{path}resources"))
    if "ports" in container:
        made["ports"] = [_port(port, spec) for port in container["ports"]]
    return made


def _port(port: Mapping[str, Json], spec: Mapping[str, Json]) -> Object:
    host = {"hostPort": port["containerPort"]} if spec.get("hostNetwork") and "containerPort" in port else {}
    return _filled(port, {"protocol": "TCP", **host})


def _pull_policy(image: str) -> str:
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "IfNotPresent" if digest or tag not in ("", "latest") else "Always"


def _resources(resources: Mapping[str, Json], path: str) -> Object:
    made = dict(resources)
    for kind in ("limits", "requests"):
        if kind in made:
            made[kind] = _quantities(made[kind], f"{path}.{kind}")
    return made


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


def _quantities(amounts: Mapping[str, Json], path: str) -> Object:
    made = {}
    for name, said in amounts.items():
        try:
            made[name] = str(in_thousandths(as_text(said)))
        except ValueError as error:
            raise RequestError(f"{path}.{name}", str(error)) from None
    return made


def _default_tolerations(tolerations: Sequence[Mapping[str, Json]]) -> list[Object]:
    """DefaultTolerationSeconds: for each of the two taints, unless some toleration has to do with it."""
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _GRACE_SECONDS}
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        if not any(
            each.get("key", "") in (key, "") and each.get("effect", "") in ("NoExecute", "") for each in tolerations
        )
    ]
