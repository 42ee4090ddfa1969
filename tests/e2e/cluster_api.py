"""Cluster API beside a control plane: its own core manager, with a provider of machines that are Nodes and no more.

One Cluster, whose workload cluster is the very cluster that manages it. `Provider` plays the infrastructure: of each
FakeMachine it makes a Node, as a machine's kubelet would register it, and takes it away with the machine. What of a
MachineDeployment reaches the Node, and when, is Cluster API's own doing. `ClusterApi` is what a test can do with it,
`machine_deployment` and the like are the objects.

What differs from production, and why:
- Cluster API's webhooks are not called, for they would come by a Service; so objects say themselves what those would
  fill in, and nothing is refused by them.
- An object may be reconciled more than once a second: tests wait for it.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .controlplane import ALLOCATABLE, ApiError, ControlPlane, Json, wait_for
from .karpenter import healthy
from .processes import Process, free_ports

GROUP = "cluster.x-k8s.io"
INFRASTRUCTURE = "infrastructure.cluster.x-k8s.io"
API = f"/apis/{GROUP}/v1beta2/namespaces/default"
FAKE = f"/apis/{INFRASTRUCTURE}/v1beta2/namespaces/default"
NAME = "fake"
"""The name of the one Cluster, which is in the namespace `default`, where a sweep leaves it alone."""
LABELS = {f"{GROUP}/cluster-name": NAME}
KINDS = {"FakeCluster": "fakeclusters", "FakeMachineTemplate": "fakemachinetemplates", "FakeMachine": "fakemachines"}
POOLS = {"FakeMachinePool": "fakemachinepools"}
OWNED = ("machinedeployments", "machinepools", "machinesets", "machines")
CAPACITY = "capacity.cluster-autoscaler.kubernetes.io"
"""The prefix of annotations by which the autoscaler knows the machines of a group that has none."""
LOOK_SECONDS = 0.05
PASSING = {429, 500, 503}
"""What the API server answers while a resource is new to it, or while it has too much to do."""
TAIL = 4_000


def definition(kind: str, plural: str) -> Json:
    """The definition of a custom resource of the provider, of any shape."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{INFRASTRUCTURE}", "labels": {f"{GROUP}/v1beta2": "v1beta2"}},
        "spec": {
            "group": INFRASTRUCTURE,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": "v1beta2",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    },
                }
            ],
        },
    }


def fake(kind: str, name: str, spec: Json | None = None) -> Json:
    """An object of the provider."""
    metadata = {"name": name, "namespace": "default", "labels": LABELS}
    return {"apiVersion": f"{INFRASTRUCTURE}/v1beta2", "kind": kind, "metadata": metadata, "spec": spec or {}}


def reference(kind: str, name: str) -> Json:
    """A reference to an object of the provider."""
    return {"apiGroup": INFRASTRUCTURE, "kind": kind, "name": name}


def machine_template(
    name: str,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    allocatable: Mapping[str, str] | None = None,
) -> Json:
    """What machines are made by: the labels and taints with which their kubelets register, and what they have."""
    spec: dict[str, Any] = {"labels": dict(labels or {}), "taints": [dict(taint) for taint in taints]}
    spec["allocatable"] = {**ALLOCATABLE, **(allocatable or {})}
    return fake("FakeMachineTemplate", name, {"template": {"spec": spec}})


def machine_deployment(
    name: str,
    replicas: int = 1,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    own_labels: Mapping[str, str] | None = None,
    own_annotations: Mapping[str, str] | None = None,
    failure_domain: str | None = None,
    template: str = "plain",
) -> Json:
    """A MachineDeployment; `labels`, `annotations` and `taints` are those of its machines, `own_` ones its own."""
    selector = {f"{GROUP}/deployment-name": name, **LABELS}
    machine: dict[str, Any] = {
        "clusterName": NAME,
        "bootstrap": {"dataSecretName": "none"},
        "infrastructureRef": reference("FakeMachineTemplate", template),
        "deletion": {"nodeDrainTimeoutSeconds": 1, "nodeDeletionTimeoutSeconds": 1},
    }
    machine |= {"failureDomain": failure_domain} if failure_domain else {}
    machine |= {"taints": [dict(taint) for taint in taints]} if taints else {}
    return {
        "apiVersion": f"{GROUP}/v1beta2",
        "kind": "MachineDeployment",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {**LABELS, **(own_labels or {})},
            "annotations": dict(own_annotations or {}),
        },
        "spec": {
            "clusterName": NAME,
            "replicas": replicas,
            "selector": {"matchLabels": selector},
            "rollout": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}},
            "deletion": {"order": "Random"},
            "template": {
                "metadata": {"labels": {**(labels or {}), **selector}, "annotations": dict(annotations or {})},
                "spec": machine,
            },
        },
    }


def machine_pool(name: str, replicas: int = 1, *, labels: Mapping[str, str] | None = None) -> Json:
    """A MachinePool over a FakeMachinePool of the same name, which is to be added beside it."""
    return {
        "apiVersion": f"{GROUP}/v1beta2",
        "kind": "MachinePool",
        "metadata": {"name": name, "namespace": "default", "labels": LABELS},
        "spec": {
            "clusterName": NAME,
            "replicas": replicas,
            "template": {
                "metadata": {"labels": {**LABELS, **(labels or {})}},
                "spec": {
                    "clusterName": NAME,
                    "bootstrap": {"dataSecretName": "none"},
                    "infrastructureRef": reference("FakeMachinePool", name),
                },
            },
        },
    }


class Provider:
    """Infrastructure that reconciles: a thread that looks at what is wanted and makes it so."""

    def __init__(self, cluster: ControlPlane) -> None:
        self._cluster = cluster
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="machines", daemon=True)
        self._error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; raises what went wrong in it."""
        self._over.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._over.wait(LOOK_SECONDS):
                try:
                    self._look()
                except ApiError as error:
                    if error.status not in PASSING:
                        raise
        except BaseException as error:
            self._error = error

    def _look(self) -> None:
        """Once over everything. What others changed or removed meanwhile is looked at again."""
        for one in self._list("fakeclusters"):
            self._settle("fakeclusters", one, {"controlPlaneEndpoint": {"host": "127.0.0.1", "port": 6443}})
        machines = self._list("fakemachines")
        for one in machines:
            if "deletionTimestamp" not in one["metadata"] and not provisioned(one):
                self._register(one["metadata"]["name"], one["spec"])
                self._settle("fakemachines", one, {"providerID": provider_id(one["metadata"]["name"])})
        wanted = {one["metadata"]["name"] for one in machines}
        for one in self._list("fakemachinepools"):
            wanted |= self._fill(one)
        for node in self._cluster.api("GET", "/api/v1/nodes")["items"]:
            name = node["metadata"]["name"]
            if node["spec"].get("providerID") == provider_id(name) and name not in wanted:
                self._cluster.request("DELETE", f"/api/v1/nodes/{name}")

    def _fill(self, pool: Json) -> set[str]:
        """Machines for a MachinePool, as many as it says; their names."""
        name = pool["metadata"]["name"]
        answer = self._cluster.request("GET", f"{API}/machinepools/{name}")
        count = answer.json()["spec"].get("replicas", 1) if answer.is_success else 0
        names = [f"{name}-{number}" for number in range(count)]
        ids = [provider_id(each) for each in names]
        if pool["spec"].get("providerIDList") != ids or not provisioned(pool):
            for each in names:
                self._register(each, pool["spec"])
            self._settle("fakemachinepools", pool, {"providerIDList": ids}, {"replicas": count})
        return set(names)

    def _register(self, name: str, spec: Json) -> None:
        """What a kubelet does when its machine has started."""
        own = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        resources = spec.get("allocatable", ALLOCATABLE)
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {**own, **spec.get("labels", {})}},
            "spec": {"providerID": provider_id(name), "taints": spec.get("taints", [])},
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            },
        }
        answer = self._cluster.request("POST", "/api/v1/nodes", node)
        assert answer.is_success or answer.status_code == 409, answer.text

    def _settle(self, plural: str, one: Json, spec: Json, status: Json | None = None) -> None:
        """Say in an object of the provider what has come of it."""
        path = f"{FAKE}/{plural}/{one['metadata']['name']}"
        merge = "application/merge-patch+json"
        if any(one["spec"].get(key) != value for key, value in spec.items()):
            self._cluster.request("PATCH", path, {"spec": spec}, content_type=merge)
        said = {"initialization": {"provisioned": True}, "ready": True, **(status or {})}
        if any(one.get("status", {}).get(key) != value for key, value in said.items()):
            self._cluster.request("PATCH", f"{path}/status", {"status": said}, content_type=merge)

    def _list(self, plural: str) -> list[Json]:
        found: list[Json] = self._cluster.api("GET", f"{FAKE}/{plural}")["items"]
        return [{"spec": {}, **one} for one in found]


def provisioned(one: Json) -> bool:
    """Whether an object of the provider says that it is there."""
    return bool(one.get("status", {}).get("initialization", {}).get("provisioned"))


def provider_id(name: str) -> str:
    """How a Node and its machine know each other."""
    return f"fake:///{name}"


class ClusterApi:
    """A running manager of Cluster API and its provider, and what a test does with them."""

    def __init__(self, cluster: ControlPlane) -> None:
        self.cluster = cluster
        """The control plane that it acts on, and nobody else's."""
        self._provider = Provider(cluster)
        self._process: Process | None = None

    def output(self) -> str:
        """The manager's log so far."""
        return self._process.output() if self._process else ""

    def tail(self) -> str:
        """The end of the manager's log so far."""
        return self.output()[-TAIL:]

    def start(self, *flags: str) -> None:
        """Run the manager, and wait until it is ready."""
        hooks, health = free_ports(2)
        program = self.cluster.programs["cluster-api"]
        own = (
            f"--kubeconfig={self.cluster.kubeconfig}",
            f"--webhook-cert-dir={self.cluster.folder / 'cluster-api-certificate'}",
            f"--webhook-port={hooks}",
            f"--health-addr=127.0.0.1:{health}",
            "--diagnostics-address=0",
            "--skip-crd-migration-phases=StorageVersionMigration,CleanupManagedFields",
            "--feature-gates=ReconcilerRateLimiting=false",
        )
        process = self._process = Process([program, *own, *flags], self.cluster.folder / "cluster-api.log")
        wait_for(lambda: healthy(process, health), "the manager of Cluster API", self.tail)

    def stop(self) -> None:
        """Kill the manager, if it runs."""
        if self._process is not None:
            self._process.kill()

    @contextmanager
    def flags(self, *flags: str) -> Iterator[None]:
        """Have the manager run with more flags for the length of the block."""
        self.stop()
        self.start(*flags)
        try:
            yield
        finally:
            self.stop()
            self.start()

    @contextmanager
    def providing(self) -> Iterator[None]:
        """The provider's work, for the length of the block."""
        self._provider.start()
        try:
            yield
        finally:
            self._provider.stop()

    def scale(self, name: str, replicas: int) -> None:
        """Give a MachineDeployment so many machines, as the autoscaler does."""
        merge = "application/merge-patch+json"
        path = f"{API}/machinedeployments/{name}"
        self.cluster.api("PATCH", path, {"spec": {"replicas": replicas}}, content_type=merge)

    def remove(self, name: str) -> None:
        """Delete a MachineDeployment, and wait until it is gone with its nodes."""
        path = f"{API}/machinedeployments/{name}"
        self.cluster.api("DELETE", path)
        wait_for(lambda: self.cluster.request("GET", path).status_code == 404, f"`{name}` to go", self.tail)
        wait_for(lambda: not self.machines(name), f"the machines of `{name}` to go", self.tail)

    def machines(self, name: str) -> list[Json]:
        """The Machines of a MachineDeployment as they are now."""
        selector = f"{GROUP}/deployment-name={name}"
        found: list[Json] = self.cluster.api("GET", f"{API}/machines", labelSelector=selector)["items"]
        return found

    def wait_nodes(self, name: str, count: int) -> list[Json]:
        """Wait until a MachineDeployment has so many machines, and their nodes are marked as theirs; the Nodes."""

        def marked() -> list[Json] | None:
            refs = [one.get("status", {}).get("nodeRef", {}).get("name") for one in self.machines(name)]
            if len(refs) != count or not all(refs):
                return None
            nodes = [self.cluster.request("GET", f"/api/v1/nodes/{each}") for each in refs]
            found = [answer.json() for answer in nodes if answer.is_success]
            done = [one for one in found if f"{GROUP}/owner-name" in one["metadata"].get("annotations", {})]
            return done if len(done) == count else None

        return wait_for(marked, f"{count} nodes of `{name}`", self.tail) if count else []

    def owner(self, node: Json) -> tuple[str, str]:
        """Whose a Node is, from its annotations alone: kind and name of a MachineDeployment or MachinePool."""
        said = node["metadata"]["annotations"]
        kind, name = said[f"{GROUP}/owner-kind"], said[f"{GROUP}/owner-name"]
        if kind != "MachineSet":
            return kind, name
        labels = self.cluster.api("GET", f"{API}/machinesets/{name}")["metadata"]["labels"]
        return "MachineDeployment", labels[f"{GROUP}/deployment-name"]

    def sweep(self) -> None:
        """Remove what a test left behind: MachineDeployments, MachinePools, and what `ControlPlane.sweep` removes."""
        for plural in OWNED[:2]:
            self.cluster.api("DELETE", f"{API}/{plural}")
        self.cluster.sweep()
        wait_for(lambda: not self._left(), "Cluster API to clear up", self.tail)
        self.cluster.api("DELETE", f"{FAKE}/fakemachinepools")

    def _left(self) -> bool:
        return any(self.cluster.api("GET", f"{API}/{plural}")["items"] for plural in OWNED) or bool(
            self.cluster.api("GET", "/api/v1/nodes")["items"]
        )


@contextmanager
def start(cluster: ControlPlane) -> Iterator[ClusterApi]:
    """Run Cluster API on a control plane, with a Cluster and a template `plain`, and end it at the end."""
    program = cluster.programs["cluster-api"]
    cluster.define(program.with_name(f"{program.name}.crds"))
    cluster.apply(*(definition(kind, plural) for kind, plural in (KINDS | POOLS).items()))
    certificate, key = cluster.authority.issue("127.0.0.1")
    folder = cluster.folder / "cluster-api-certificate"
    folder.mkdir()
    shutil.copy(certificate, folder / "tls.crt")
    shutil.copy(key, folder / "tls.key")
    running = ClusterApi(cluster)
    try:
        running.start()
        wait_for(lambda: cluster.request("GET", f"{FAKE}/fakemachinepools").is_success, "the provider's resources")
        with running.providing():
            _make_cluster(cluster, running)
            yield running
    finally:
        running.stop()


def _make_cluster(cluster: ControlPlane, running: ClusterApi) -> None:
    """A Cluster that is its own workload cluster."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{NAME}-kubeconfig", "namespace": "default", "labels": LABELS},
        "type": f"{GROUP}/secret",
        "stringData": {"value": cluster.kubeconfig.read_text()},
    }
    own = {
        "apiVersion": f"{GROUP}/v1beta2",
        "kind": "Cluster",
        "metadata": {"name": NAME, "namespace": "default"},
        "spec": {"infrastructureRef": reference("FakeCluster", NAME)},
    }
    cluster.apply(secret, fake("FakeCluster", NAME), machine_template("plain"), own)

    def there() -> bool:
        status = cluster.api("GET", f"{API}/clusters/{NAME}").get("status", {})
        return bool(status.get("initialization", {}).get("infrastructureProvisioned"))

    wait_for(there, "the Cluster to be provisioned", running.tail)
