"""A fleet as large clusters have it, and a process that serves it as an API server does.

5,000 Nodes of 100 NodePools and 100 MachineDeployments, 500 NodeClaims. Objects are as large as real ones: a Node has
about 30 labels, conditions, images and managed fields, ten kilobytes altogether.

    python -m benchmarks.fleet NODES KUBECONFIG

writes a kubeconfig file that leads there, prints its address, answers lists page by page and keeps watches open.
Commands come on standard input, one a line: `heartbeat N` and `label N` change so many Nodes; each is answered by a
line when all events were written.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
NODES, NAMESPACES = "/api/v1/nodes", "/api/v1/namespaces"
NODE_POOLS, NODE_CLAIMS = "/apis/karpenter.sh/v1/nodepools", "/apis/karpenter.sh/v1/nodeclaims"
MACHINE_DEPLOYMENTS = "/apis/cluster.x-k8s.io/v1beta2/machinedeployments"
MACHINE_SETS = "/apis/cluster.x-k8s.io/v1beta2/machinesets"
MACHINE_POOLS = "/apis/cluster.x-k8s.io/v1beta2/machinepools"
POOLS = 100
"""Of each of both kinds."""
ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
TYPES = tuple(
    f"{family}.{size}"
    for family in ("m6i", "m7i", "c6i", "c7i", "r6i", "m6a")
    for size in ("xlarge", "2xlarge", "4xlarge")
)
CPUS = {"xlarge": 4, "2xlarge": 8, "4xlarge": 16}
CLAIMS = 500
CHUNK = 8192
STAMP = "2026-11-27T08:15:42Z"


def fleet(count: int) -> dict[str, dict[str, Json]]:
    """By path, the objects of a cluster of `count` Nodes by name; the same each time."""
    rng = random.Random(7)
    found: dict[str, dict[str, Json]] = {
        path: {}
        for path in (NODES, NAMESPACES, NODE_POOLS, NODE_CLAIMS, MACHINE_POOLS, MACHINE_DEPLOYMENTS, MACHINE_SETS)
    }
    for n in range(POOLS):
        _add(found[NODE_POOLS], _node_pool(n))
        _add(found[MACHINE_DEPLOYMENTS], _machines(n, "MachineDeployment", f"workers-{n}"))
        _add(found[MACHINE_SETS], _machines(n, "MachineSet", f"workers-{n}-x7k2p"))
    for n in range(200):
        labels = {"kubernetes.io/metadata.name": f"team-{n}", "team": f"team-{n % 20}"}
        _add(
            found[NAMESPACES],
            {
                "metadata": _metadata(rng, f"team-{n}", labels),
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            },
        )
    for n in range(count):
        _add(found[NODES], _node(rng, n))
    for n in range(min(CLAIMS, count)):
        _add(found[NODE_CLAIMS], _node_claim(rng, n))
    return found


def _add(objects: dict[str, Json], thing: Json) -> None:
    metadata = thing["metadata"]
    objects[f"{metadata.get('namespace', '')}/{metadata['name']}"] = thing


def _metadata(rng: random.Random, name: str, labels: Json, **more: Any) -> Json:
    uid = str(uuid.UUID(int=rng.getrandbits(128)))
    return {"name": name, "uid": uid, "resourceVersion": "1", "creationTimestamp": STAMP, "labels": labels, **more}


def _node(rng: random.Random, n: int) -> Json:
    of_karpenter, pool = n % 2 == 0, n // 2 % POOLS
    kind = TYPES[(pool + rng.randrange(3)) % len(TYPES)]
    zone = ZONES[rng.randrange(3) if of_karpenter else pool % 3]
    cores = CPUS[kind.partition(".")[2]]
    address = f"10.{n >> 14}.{n >> 7 & 127}.{n & 127}"
    name = f"ip-{address.replace('.', '-')}.eu-central-1.compute.internal"
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/instance-type": kind,
        "beta.kubernetes.io/os": "linux",
        "failure-domain.beta.kubernetes.io/region": "eu-central-1",
        "failure-domain.beta.kubernetes.io/zone": zone,
        "k8s.io/cloud-provider-aws": "6f0ae1bd4a3c5ae0d8b1fd6d3e9a5a9f",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": kind,
        "team": f"team-{pool % 20}",
        "topology.ebs.csi.aws.com/zone": zone,
        "topology.k8s.aws/zone-id": f"euc1-az{ZONES.index(zone) + 1}",
        "topology.kubernetes.io/region": "eu-central-1",
        "topology.kubernetes.io/zone": zone,
    }
    annotations = {
        "csi.volume.kubernetes.io/nodeid": json.dumps({"ebs.csi.aws.com": f"i-{rng.getrandbits(68):017x}"}),
        "node.alpha.kubernetes.io/ttl": "0",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    }
    if of_karpenter:
        labels |= _karpenter_labels(pool, kind, cores)
        annotations |= {
            "karpenter.k8s.aws/ec2nodeclass-hash": f"{rng.getrandbits(64)}",
            "karpenter.sh/nodepool-hash": f"{rng.getrandbits(64)}",
        }
    else:
        labels["node.cluster.x-k8s.io/pool"] = f"workers-{pool}"
        about = {"cluster-name": "prod", "cluster-namespace": "fleet", "owner-kind": "MachineSet"}
        annotations |= {f"cluster.x-k8s.io/{key}": said for key, said in about.items()}
        annotations["cluster.x-k8s.io/owner-name"] = f"workers-{pool}-x7k2p"
        annotations["cluster.x-k8s.io/machine"] = f"workers-{pool}-x7k2p-{rng.getrandbits(25):05x}"
    taints = [{"key": "dedicated", "value": f"team-{pool % 20}", "effect": "NoSchedule"}] if pool % 5 == 0 else []
    return {
        "metadata": _metadata(
            rng,
            name,
            labels,
            annotations=annotations,
            finalizers=["karpenter.sh/termination"],
            managedFields=_managed(labels),
        ),
        "spec": {"providerID": f"aws:///{zone}/i-{rng.getrandbits(68):017x}", **({"taints": taints} if taints else {})},
        "status": _status(rng, name, address, cores),
    }


def _karpenter_labels(pool: int, kind: str, cores: int) -> Json:
    family, _, size = kind.partition(".")
    about = {
        "category": family[0],
        "cpu": str(cores),
        "cpu-manufacturer": "intel" if family[-1] == "i" else "amd",
        "cpu-sustained-clock-speed-mhz": "3500",
        "ebs-bandwidth": "10000",
        "encryption-in-transit-supported": "true",
        "family": family,
        "generation": family[1],
        "hypervisor": "nitro",
        "memory": str(cores * 4096),
        "network-bandwidth": "1562",
        "size": size,
    }
    return {
        **{f"karpenter.k8s.aws/instance-{key}": said for key, said in about.items()},
        "karpenter.k8s.aws/ec2nodeclass": "default",
        "karpenter.sh/capacity-type": "spot" if pool % 3 else "on-demand",
        "karpenter.sh/initialized": "true",
        "karpenter.sh/nodepool": f"general-{pool}",
        "karpenter.sh/registered": "true",
    }


def _status(rng: random.Random, name: str, address: str, cores: int) -> Json:
    memory = cores * 4 * 1024 * 1024 - rng.randrange(300_000)
    amounts = {
        "cpu": str(cores),
        "ephemeral-storage": "83873772Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": f"{memory}Ki",
        "pods": "58",
    }
    usable = {
        **amounts,
        "cpu": f"{cores * 1000 - 80}m",
        "ephemeral-storage": "76224326324",
        "memory": f"{memory - 1_017_856}Ki",
    }
    reasons = {
        "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        "Ready": ("KubeletReady", "kubelet is posting ready status"),
    }
    conditions: list[Json] = [
        {
            "type": kind,
            "status": "True" if kind == "Ready" else "False",
            "lastHeartbeatTime": STAMP,
            "lastTransitionTime": STAMP,
            "reason": reason,
            "message": message,
        }
        for kind, (reason, message) in reasons.items()
    ]
    images = [
        {
            "names": [
                f"602401143452.dkr.ecr.eu-central-1.amazonaws.com/app-{rng.randrange(400)}@sha256:{rng.getrandbits(256):064x}",
                f"602401143452.dkr.ecr.eu-central-1.amazonaws.com/app-{rng.randrange(400)}:v1.{rng.randrange(90)}.0",
            ],
            "sizeBytes": rng.randrange(10**9),
        }
        for _ in range(20)
    ]
    info = {
        "architecture": "amd64",
        "bootID": f"{rng.getrandbits(128):032x}",
        "containerRuntimeVersion": "containerd://2.1.4",
        "kernelVersion": "6.12.37-61.105.amzn2023.x86_64",
        "kubeProxyVersion": "",
        "kubeletVersion": "v1.36.3-eks-113cf36",
        "machineID": f"{rng.getrandbits(128):032x}",
        "operatingSystem": "linux",
        "osImage": "Amazon Linux 2023.8",
        "systemUUID": f"{rng.getrandbits(128):032x}",
    }
    return {
        "addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": name},
            {"type": "InternalDNS", "address": name},
        ],
        "allocatable": usable,
        "capacity": amounts,
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "images": images,
        "nodeInfo": info,
        "features": {"supplementalGroupsPolicy": True},
        "runtimeHandlers": [
            {"name": "", "features": {"recursiveReadOnlyMounts": True, "userNamespaces": True}},
            {"name": "runc", "features": {"recursiveReadOnlyMounts": True, "userNamespaces": True}},
        ],
    }


def _managed(labels: Json) -> list[Json]:
    fields = {
        "f:metadata": {"f:labels": {".": {}, **{f"f:{key}": {} for key in labels}}},
        "f:spec": {"f:providerID": {}},
    }
    conditions: Json = {
        f'k:{{"type":"{kind}"}}': {
            "f:lastHeartbeatTime": {},
            "f:lastTransitionTime": {},
            "f:message": {},
            "f:reason": {},
            "f:status": {},
        }
        for kind in ("DiskPressure", "MemoryPressure", "PIDPressure", "Ready")
    }
    status = {
        "f:status": {
            "f:allocatable": {"f:ephemeral-storage": {}, "f:memory": {}},
            "f:capacity": {"f:memory": {}},
            "f:conditions": conditions,
            "f:images": {},
            "f:nodeInfo": {"f:bootID": {}},
        }
    }
    about = {"operation": "Update", "apiVersion": "v1", "time": STAMP, "fieldsType": "FieldsV1"}
    return [
        {"manager": "kubelet", **about, "fieldsV1": fields},
        {"manager": "kubelet", **about, "fieldsV1": status, "subresource": "status"},
    ]


def _requirements(n: int) -> list[Json]:
    return [
        {
            "key": "karpenter.k8s.aws/instance-family",
            "operator": "In",
            "values": ["m6i", "m7i", "c6i", "c7i", "r6i", "m6a"],
        },
        {
            "key": "karpenter.sh/capacity-type",
            "operator": "In",
            "values": ["spot", "on-demand"] if n % 3 else ["on-demand"],
        },
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
        {"key": "topology.kubernetes.io/zone", "operator": "In", "values": list(ZONES)},
        {"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gt", "values": ["3"]},
    ]


def _node_pool(n: int) -> Json:
    taints = [{"key": "dedicated", "value": f"team-{n % 20}", "effect": "NoSchedule"}] if n % 5 == 0 else []
    inner = {
        "requirements": _requirements(n),
        "taints": taints,
        "expireAfter": "720h",
        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
    }
    spec = {
        "template": {"metadata": {"labels": {"team": f"team-{n % 20}"}}, "spec": inner},
        "disruption": {"consolidateAfter": "1m"},
    }
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": _metadata(random.Random(n), f"general-{n}", {}),
        "spec": spec,
        "status": {"nodes": 25, "resources": {"cpu": "200"}},
    }


def _machines(n: int, kind: str, name: str) -> Json:
    labels = {"cluster.x-k8s.io/cluster-name": "prod", "cluster.x-k8s.io/deployment-name": f"workers-{n}"}
    carried = {**labels, "node.cluster.x-k8s.io/pool": f"workers-{n}"}
    template = {
        "metadata": {"labels": carried},
        "spec": {
            "clusterName": "prod",
            "version": "v1.36.3",
            "failureDomain": ZONES[n % 3],
            "bootstrap": {"configRef": {"kind": "KubeadmConfigTemplate", "name": name}},
            "infrastructureRef": {"kind": "AWSMachineTemplate", "name": name},
        },
    }
    spec = {"clusterName": "prod", "replicas": 25, "selector": {"matchLabels": carried}, "template": template}
    version = "cluster.x-k8s.io/v1beta2"
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": _metadata(random.Random(n), name, labels, namespace="fleet"),
        "spec": spec,
        "status": {"replicas": 25},
    }


def _node_claim(rng: random.Random, n: int) -> Json:
    pool, waits = n % POOLS, n % 10 == 0
    status: Json = {
        "allocatable": {
            "cpu": "7910m",
            "ephemeral-storage": "71Gi",
            "memory": "28966Mi",
            "pods": "58",
            "vpc.amazonaws.com/pod-eni": "38",
        },
        "capacity": {"cpu": "8", "ephemeral-storage": "80Gi", "memory": "31129Mi", "pods": "58"},
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "lastTransitionTime": STAMP,
                "reason": kind,
                "message": "",
                "observedGeneration": 1,
            }
            for kind in ("Launched", "Registered", "Initialized", "Ready", "Consolidatable")
        ],
        "imageID": "ami-0c1f2e3d4b5a69788",
        "providerID": f"aws:///{ZONES[n % 3]}/i-{rng.getrandbits(68):017x}",
    }
    if not waits:
        at = n * 2
        status["nodeName"] = f"ip-10-{at >> 14}-{at >> 7 & 127}-{at & 127}.eu-central-1.compute.internal"
    labels = {**_karpenter_labels(pool, TYPES[n % len(TYPES)], 8), "topology.kubernetes.io/zone": ZONES[n % 3]}
    metadata = _metadata(rng, f"general-{pool}-{n:05x}", labels, managedFields=_managed(labels))
    spec = {
        "requirements": [
            *_requirements(n),
            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": list(TYPES)},
        ],
        "expireAfter": "720h",
        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
    }
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": metadata, "spec": spec, "status": status}


class _Server(ThreadingHTTPServer):
    """Lists are written once; events are written to all watches of a path."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, objects: dict[str, dict[str, Json]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects = objects
        self.written = {path: [_compact(each) for _, each in sorted(some.items())] for path, some in objects.items()}
        self.changed = threading.Condition()
        self.events: list[tuple[str, bytes]] = []
        self.delivered: dict[int, int] = {}
        self.version = 1

    def change(self, what: str, count: int) -> None:
        """Change so many Nodes, and wait until all watches were told."""
        nodes = list(self.objects[NODES].values())[:count]
        with self.changed:
            for node in nodes:
                self.version += 1
                node["metadata"]["resourceVersion"] = str(self.version)
                if what == "label":
                    node["metadata"]["labels"]["wave"] = str(self.version)
                for condition in node["status"]["conditions"]:
                    condition["lastHeartbeatTime"] = f"2026-11-27T08:15:{self.version % 60:02}Z"
                self.events.append((NODES, b'{"type":"MODIFIED","object":' + _compact(node) + b"}\n"))
            self.changed.notify_all()
            self.changed.wait_for(lambda: all(at == len(self.events) for at in self.delivered.values()))


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        super().setup()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        found = parts.path in self.server.written
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if "watch" in query and found:
            self._follow(parts.path)
            return
        body = self._page(parts.path, query) if found else b'{"kind":"Status","code":404}'
        for at in range(0, len(body), CHUNK):
            self._chunk(body[at : at + CHUNK])
        self._chunk(b"")

    def _page(self, path: str, query: dict[str, str]) -> bytes:
        written = self.server.written[path]
        start = int(query.get("continue", "0"))
        end = start + int(query.get("limit", len(written)))
        more = str(end) if end < len(written) else ""
        return b'{"metadata":{"resourceVersion":"1","continue":"%s"},"items":[%s]}' % (
            more.encode(),
            b",".join(written[start:end]),
        )

    def _follow(self, path: str) -> None:
        server, me = self.server, id(self)
        at = len(server.events)
        while True:
            with server.changed:
                server.delivered[me] = at
                server.changed.notify_all()
                while len(server.events) == at:
                    server.changed.wait()
                news, at = server.events[at:], len(server.events)
            try:
                for event in (event for where, event in news if where == path):
                    self._chunk(event)
            except OSError:
                with server.changed:
                    del server.delivered[me]
                    server.changed.notify_all()
                return

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _compact(thing: Json) -> bytes:
    return json.dumps(thing, separators=(",", ":")).encode()


def main(count: int, kubeconfig: Path, commands: Iterator[str]) -> None:
    """Serve such a cluster, to which the file that is written leads, until there are no commands any more."""
    server = _Server(fleet(count))
    url = f"http://127.0.0.1:{server.server_port}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "large", "cluster": {"server": url}}],
        "users": [{"name": "large", "user": {"token": "secret"}}],
        "contexts": [{"name": "large", "context": {"cluster": "large", "user": "large"}}],
        "current-context": "large",
    }
    kubeconfig.write_text(json.dumps(config))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(url, flush=True)
    for line in commands:
        what, number = line.split()
        server.change(what, int(number))
        print("done", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), iter(sys.stdin))
