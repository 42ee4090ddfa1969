"""What an adversary can do: each function gives an `Act`, one or several requests to the API server as some user."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from engine.names import REQUIRED

from .controlplane import Json, wait_for
from .pods import IMAGE, daemon_set
from .tenants import FORBIDDEN, Policed, lured

MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
OPERATIONS, APPLY = "application/json-patch+json", "application/apply-patch+yaml"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
HOSTNAME = "kubernetes.io/hostname"
GATED = {"schedulingGates": [{"name": "example.com/wait"}]}
EVERYTHING = {"operator": "Exists"}


@dataclass
class Adversary:
    """Somebody with a name for what is tried; `namespace` is where it is looked for afterwards."""

    policed: Policed
    user: Json
    namespace: str
    name: str
    made: list[str] = field(default_factory=list)
    """Paths of what is to be deleted afterwards, besides pods."""

    def send(
        self, method: str, path: str, body: Json = None, kind: str = "application/json", **query: str
    ) -> httpx.Response:
        """The API server's answer to this user."""
        return self.policed.cluster.request(method, path, body, content_type=kind, user=self.user, **query)

    def admin(self, method: str, path: str, body: Json = None) -> Json:
        """What an administrator does for it beforehand, or sees."""
        return self.policed.cluster.api(method, path, body)

    @property
    def pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    @property
    def pod(self) -> str:
        return f"{self.pods}/{self.name}"

    def mine(self) -> list[Json]:
        """The pods that the attempt led to so far."""
        found = self.policed.cluster.pods(self.namespace)
        return [one for one in found if one["metadata"]["name"].startswith(self.name)]

    def events(self) -> list[str]:
        """What events say of what is called so."""
        events = self.admin("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return [one.get("message", "") for one in events if one["involvedObject"]["name"].startswith(self.name)]

    def clear(self) -> None:
        """Have everything deleted that the attempt led to."""
        cluster = self.policed.cluster
        for path in self.made:
            cluster.request("DELETE", path, propagationPolicy="Background", gracePeriodSeconds="0")
        for one in self.mine():
            cluster.request("DELETE", f"{self.pods}/{one['metadata']['name']}", gracePeriodSeconds="0")


Act = Callable[[Adversary], httpx.Response]


def creating(spec: Json = None, **metadata: Json) -> Act:
    """A lured pod with other fields."""
    return lambda a: a.send("POST", a.pods, manifest(a, spec, **metadata))


def manifest(a: Adversary, spec: Json = None, **metadata: Json) -> Json:
    made = lured(a.name, spec=spec)
    made["metadata"] |= metadata
    return made


def requiring(*terms: Json) -> Json:
    """A spec with these required terms."""
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}}


def term(key: str, operator: str, *values: str) -> Json:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


def preferring(*preferences: Json) -> Json:
    return {"affinity": {"nodeAffinity": {PREFERRED: [{"weight": 100, "preference": each} for each in preferences]}}}


def owner(kind: str = "DaemonSet", version: str = "apps/v1", **more: Json) -> Json:
    return {"apiVersion": version, "kind": kind, "name": "agent", "uid": "0", "controller": True, **more}


def on(node: str = FORBIDDEN) -> Json:
    """A term by the name of a node, as the DaemonSet controller writes it."""
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}


def in_text(find: str, put: str, kind: str = "application/json", spec: Json = None) -> Act:
    """A pod in which some text of the body is another text: what no JSON library writes."""

    def act(a: Adversary) -> httpx.Response:
        whole = json.dumps(manifest(a, spec))
        assert find in whole
        return a.send("POST", a.pods, whole.replace(find, put, 1), kind)

    return act


def then(first: Act, *more: Act) -> Act:
    """One after another, all but the last with success; the answer to the last."""

    def act(a: Adversary) -> httpx.Response:
        answer = first(a)
        for each in more:
            assert answer.is_success, answer.text
            answer = each(a)
        return answer

    return act


def changing(body: Json, kind: str = MERGE, sub: str = "") -> Act:
    """A patch of the attempt's pod."""
    return lambda a: a.send("PATCH", f"{a.pod}{sub}", body, kind)


def opening(a: Adversary) -> httpx.Response:
    """Take away the scheduling gates."""
    return a.send("PATCH", a.pod, [{"op": "remove", "path": "/spec/schedulingGates"}], OPERATIONS)


def gated(*changes: Json, spec: Json = None) -> Act:
    """A gated pod, JSON patches of it that are accepted, and then its gates opened."""
    return then(creating({**GATED, **(spec or {})}), *(changing(each, OPERATIONS) for each in changes), opening)


def adding(field: str, value: Json) -> Json:
    """One operation that sets a field of the spec."""
    return [{"op": "add", "path": f"/spec/{field}", "value": value}]


def binding(namespaced: bool = False) -> Act:
    """Put a pod on the forbidden node, as a scheduler does."""

    def bind(a: Adversary) -> httpx.Response:
        target = {"apiVersion": "v1", "kind": "Node", "name": FORBIDDEN}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": a.name}, "target": target}
        path = f"/api/v1/namespaces/{a.namespace}/bindings" if namespaced else f"{a.pod}/binding"
        return a.send("POST", path, body)

    return then(creating(GATED), bind)


def putting(change: Callable[[Json], Json]) -> Act:
    """The whole pod, changed."""
    return lambda a: a.send("PUT", a.pod, change(a.admin("GET", a.pod)))


def without_affinity(given: Json) -> Json:
    return {**given, "spec": {key: value for key, value in given["spec"].items() if key != "affinity"}}


def at(path: str, body: Json, method: str = "POST", kind: str = "application/json") -> Act:
    """A request to any path; `{namespace}` and `{name}` in it are the adversary's."""
    return lambda a: a.send(method, path.format(namespace=a.namespace, name=a.name), body, kind)


def applying(spec: Json = None) -> Act:
    """Server-side apply."""
    return lambda a: a.send("PATCH", a.pod, manifest(a, spec), APPLY, fieldManager="mine", force="true")


def deleting(a: Adversary) -> httpx.Response:
    return a.send("DELETE", a.pod, gracePeriodSeconds="0")


def with_env(text: str, count: int = 1) -> Json:
    """A spec whose one container has so large an environment."""
    env = [{"name": f"E{number}", "value": text} for number in range(count)]
    return {"containers": [{"name": "app", "image": IMAGE, "env": env}]}


def asking(**requests: Json) -> Json:
    return {"containers": [{"name": "app", "image": IMAGE, "resources": {"requests": requests}}]}


def at_once(count: int) -> Act:
    """So many pods at the same time; the answer to one that is refused if any is."""

    def act(a: Adversary) -> httpx.Response:
        def create(number: int) -> httpx.Response:
            return a.send("POST", a.pods, manifest(a, name=f"{a.name}-{number}"))

        with ThreadPoolExecutor(count) as pool:
            answers = sorted(pool.map(create, range(count)), key=lambda answer: answer.status_code)
        return answers[-1]

    return act


# Workloads


def template(a: Adversary, spec: Json, metadata: Json) -> Json:
    labels = {"app": a.name, **metadata.get("labels", {})}
    return {"metadata": {**metadata, "labels": labels}, "spec": {**lured(a.name)["spec"], **(spec or {})}}


KINDS = {
    "deployments": ("apps/v1", "Deployment"),
    "replicasets": ("apps/v1", "ReplicaSet"),
    "statefulsets": ("apps/v1", "StatefulSet"),
    "daemonsets": ("apps/v1", "DaemonSet"),
    "jobs": ("batch/v1", "Job"),
    "cronjobs": ("batch/v1", "CronJob"),
    "replicationcontrollers": ("v1", "ReplicationController"),
}


def path_of(a: Adversary, plural: str) -> str:
    version, _ = KINDS[plural]
    return f"{'/api' if version == 'v1' else '/apis'}/{version}/namespaces/{a.namespace}/{plural}"


def workload(plural: str, spec: Json = None, **metadata: Json) -> Act:
    """A workload whose template makes lured pods."""

    def act(a: Adversary) -> httpx.Response:
        version, kind = KINDS[plural]
        once = {"restartPolicy": "Never"} if plural in ("jobs", "cronjobs") else {}
        inner: Json = {"template": template(a, {**once, **(spec or {})}, metadata)}
        if plural == "replicationcontrollers":
            inner["selector"] = {"app": a.name}
        elif not once:
            inner["selector"] = {"matchLabels": {"app": a.name}}
        if plural == "statefulsets":
            inner["serviceName"] = "any"
        if plural == "cronjobs":
            inner = {"schedule": "* * * * *", "jobTemplate": {"spec": inner}}
        whole = {"apiVersion": version, "kind": kind, "metadata": {"name": a.name}, "spec": inner}
        a.made.append(f"{path_of(a, plural)}/{a.name}")
        return a.send("POST", path_of(a, plural), whole)

    return act


def retemplating(plural: str, spec: Json) -> Act:
    """A patch of the template of the attempt's workload."""
    body = {"spec": {"template": {"spec": spec}}}
    return lambda a: a.send("PATCH", f"{path_of(a, plural)}/{a.name}", body, MERGE)


# Of several steps


def of_a_real_daemon_set(bound: bool, controller: bool = True) -> Act:
    """A pod that says it is a DaemonSet's that is there, by its uid."""

    def act(a: Adversary) -> httpx.Response:
        given = daemon_set(f"real-{a.name}", a.namespace, spec={"nodeSelector": {"nowhere": "yes"}})
        path = path_of(a, "daemonsets")
        real = a.admin("POST", path, given)
        a.made.append(f"{path}/real-{a.name}")
        said = owner(name=real["metadata"]["name"], uid=real["metadata"]["uid"], controller=controller)
        return creating(requiring(on()) if bound else None, ownerReferences=[said], labels={"app": f"real-{a.name}"})(a)

    return act


def beside(a: Adversary) -> httpx.Response:
    """A pod that must be where a pod of another tenant is."""
    theirs = lured(f"{a.name}-theirs", labels={"app": a.name})
    a.policed.cluster.create_pod("globex", theirs)
    a.policed.cluster.wait_bound("globex", f"{a.name}-theirs")
    a.made.append(f"/api/v1/namespaces/globex/pods/{a.name}-theirs")
    near = {"labelSelector": {"matchLabels": {"app": a.name}}, "namespaces": ["globex"], "topologyKey": HOSTNAME}
    return creating({"affinity": {"podAffinity": {REQUIRED: [near]}}})(a)


def of_a_runtime_class(scheduling: Json, overhead: Json = None) -> Act:
    """A pod of a RuntimeClass, which the API server writes into it before any webhook is asked."""

    def act(a: Adversary) -> httpx.Response:
        path = "/apis/node.k8s.io/v1/runtimeclasses"
        whole = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "any", "scheduling": scheduling}
        more = {"overhead": {"podFixed": overhead}} if overhead else {}
        a.admin("POST", path, {**whole, **more, "metadata": {"name": a.name}})
        a.made.append(f"{path}/{a.name}")

        def create() -> httpx.Response | None:
            answer = a.send("POST", a.pods, manifest(a, {"runtimeClassName": a.name}))
            return None if "RuntimeClass" in answer.text and not answer.is_success else answer

        return wait_for(create, "the RuntimeClass to be known")

    return act


def in_a_namespace_just_made(tenant: str | None, prefix: str = "") -> Act:
    """As fast as the API server lets anybody create pods there."""

    def act(a: Adversary) -> httpx.Response:
        a.namespace = f"{prefix}{a.name}"
        a.policed.tenants[a.namespace] = tenant
        metadata = {"name": a.namespace, "labels": {"tenant": tenant} if tenant else {}}
        a.admin("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        a.made.append(f"/api/v1/namespaces/{a.namespace}")
        a.policed.cluster.grant(a.namespace, "edit", a.user["groups"][0])

        def create() -> httpx.Response | None:
            answer = a.send("POST", a.pods, manifest(a))
            early = "cannot create resource" in answer.text or "error looking up service account" in answer.text
            return None if early else answer

        return wait_for(create, "pods to be accepted in the namespace")

    return act


def as_an_account_of_that_name(a: Adversary) -> httpx.Response:
    """A service account that is called like the DaemonSet controller's, in a namespace of one's own."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "daemon-set-controller"}}
    a.send("POST", f"/api/v1/namespaces/{a.namespace}/serviceaccounts", account)
    a.policed.cluster.grant(a.namespace, "edit", f"system:serviceaccounts:{a.namespace}")
    a.user = {
        "username": f"system:serviceaccount:{a.namespace}:daemon-set-controller",
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{a.namespace}"],
    }
    return creating(requiring(on()), ownerReferences=[owner()])(a)


def with_a_volume_there(a: Adversary) -> httpx.Response:
    """A pod with a volume that is only on the forbidden node."""
    size, claim = {"storage": "1Gi"}, f"/api/v1/namespaces/{a.namespace}/persistentvolumeclaims"
    modes = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    term_there = {"nodeSelectorTerms": [term(HOSTNAME, "In", FORBIDDEN)]}
    volume = {**modes, "capacity": size, "local": {"path": "/"}, "nodeAffinity": {"required": term_there}}
    named = {"metadata": {"name": a.name}}
    a.admin("POST", "/api/v1/persistentvolumes", {**named, "spec": volume})
    claimed = {**modes, "resources": {"requests": size}, "volumeName": a.name}
    a.made += [f"{claim}/{a.name}", f"/api/v1/persistentvolumes/{a.name}"]
    assert a.send("POST", claim, {**named, "spec": claimed}).is_success
    bound = "Bound"
    wait_for(lambda: a.admin("GET", f"{claim}/{a.name}")["status"].get("phase") == bound, "the volume to be bound")
    return creating({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": a.name}}]})(a)
