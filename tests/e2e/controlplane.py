"""A real Kubernetes control plane on this machine: etcd, API server, scheduler and controller manager, no kubelet.

Nodes are plain API objects, so the scheduler really binds pods to them and no container ever runs.
`ControlPlane` is what a test can do with it; `start` takes a few seconds.

What differs from a production cluster, and why:
- TaintNodesByCondition is off, else each new Node would carry a not-ready taint that only a kubelet's status removes.
- The node lifecycle controller is off: Nodes have no heartbeats here, and it would mark them unreachable.
- etcd does not wait for the disk.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from .certificates import Authority, make_authority, signing_key
from .processes import Process, free_ports

T = TypeVar("T")
Json = Any  # an object of the Kubernetes API, as json gives it

CONTEXT = "bayplan-tests"
PROGRAMS = ("etcd", "kube-apiserver", "kube-scheduler", "kube-controller-manager", "kubectl")
READY_SECONDS = 120.0
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05

ALONE = ("--leader-elect=false", "--secure-port=0", "--kube-api-qps=1000", "--kube-api-burst=1000")
ALLOCATABLE = {"cpu": "32", "memory": "128Gi", "ephemeral-storage": "100Gi", "pods": "1000"}
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "Request",
            "verbs": ["create", "update", "patch"],
            "resources": [{"group": "", "resources": ["pods", "pods/binding"]}],
        },
        {"level": "None"},
    ],
}


class ApiError(Exception):
    """An answer of the API server that is no success."""

    def __init__(self, status: int, message: str, body: Json) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.body = body


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running control plane, and what a test does with it as a cluster administrator."""

    url: str
    """`https://127.0.0.1:PORT` of the API server."""
    token: str
    """A bearer token of the group system:masters."""
    kubeconfig: Path
    """A kubeconfig file for the same user; its only context is `bayplan-tests`."""
    authority: Authority
    """Who signed the API server's certificate; issue a webhook's from it and use its `bundle` as caBundle."""
    folder: Path
    """A scratch folder that lives as long as the control plane: logs, keys, data."""
    audit_log: Path
    """The API server's audit log, JSON lines: pods' creations, changes and bindings at level Request."""
    programs: Mapping[str, Path]
    """The binaries by name; `helm` may be missing."""
    _client: httpx.Client = field(repr=False)

    # talking to the API server

    def request(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        content_type: str = "application/json",
        user: Mapping[str, Json] | None = None,
        **query: str,
    ) -> httpx.Response:
        """Send one request, as another user (`username`, `groups`) if one is given; the answer whatever it is.

        A `body` that is text is sent as it is, any other as JSON.
        """
        content = body if body is None or isinstance(body, str) else json.dumps(body)
        headers = [("Content-Type", content_type)]
        if user is not None:
            headers += [("Impersonate-User", user["username"])]
            headers += [("Impersonate-Group", group) for group in user.get("groups") or ()]
        return self._client.request(method, path, content=content, headers=headers, params=query or None)

    def api(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        content_type: str = "application/json",
        user: Mapping[str, Json] | None = None,
        **query: str,
    ) -> Json:
        """Send one request and return the decoded answer; anything but a success raises `ApiError`."""
        return decoded(self.request(method, path, body, content_type=content_type, user=user, **query))

    def kubectl(
        self, *arguments: str | Path, stdin: Json = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as administrator; `stdin` is text, or is written as JSON."""
        return self.run(self.programs["kubectl"], *arguments, stdin=stdin, check=check)

    def helm(self, *arguments: str | Path, stdin: Json = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run helm as administrator, with its caches and settings in the scratch folder."""
        return self.run(self.programs["helm"], *arguments, stdin=stdin, check=check)

    def run(
        self, program: str | Path, *arguments: str | Path, stdin: Json = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run any program with this cluster's kubeconfig; a failure raises with what it printed, unless not `check`."""
        text = stdin if isinstance(stdin, str) or stdin is None else json.dumps(stdin)
        done = subprocess.run(
            [program, *arguments],
            input="" if text is None else text,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder / "home")},
        )
        if check and done.returncode:
            raise AssertionError(f"{done.args} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def apply(self, *objects: Json) -> None:
        """Create or change objects of any kind, as `kubectl apply -f -` does."""
        self.kubectl("apply", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": list(objects)})

    def define(self, definitions: Path) -> None:
        """Add the custom resources of a folder, and wait until the API server knows them."""
        self.kubectl("apply", "--server-side", "-f", definitions)
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", definitions)

    # nodes

    def add_node(
        self,
        name: str,
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Mapping[str, str]] = (),
        allocatable: Mapping[str, str] | None = None,
    ) -> Json:
        """Create a Ready node; `allocatable` is laid over 32 CPUs, 128 GiB and 1,000 pods."""
        resources = {**ALLOCATABLE, **(allocatable or {})}
        own = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {**own, **(labels or {})}},
            "spec": {"taints": [dict(taint) for taint in taints]},
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            },
        }
        return self.api("POST", "/api/v1/nodes", node)

    def remove_node(self, name: str) -> None:
        """Delete a node; pods that are bound to it stay."""
        self.api("DELETE", f"/api/v1/nodes/{name}")

    # namespaces and pods

    def add_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> Json:
        """Create a namespace, and wait for the service account that its pods need."""
        metadata = {"name": name, "labels": dict(labels or {})}
        namespace = self.api(
            "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        )
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        wait_for(lambda: self.request("GET", account).is_success, f"service account `default` in `{name}`")
        return namespace

    def remove_namespace(self, name: str) -> None:
        """Have a namespace and its content deleted, without waiting. Nothing runs, so its pods need no grace."""
        self.api("DELETE", f"/api/v1/namespaces/{name}")
        self.api("DELETE", f"/api/v1/namespaces/{name}/pods", gracePeriodSeconds="0")

    def account_kubeconfig(self, namespace: str, account: str) -> Path:
        """Write a kubeconfig with a token of a service account, as the kubelet would give its pods; its path."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        token = self.api("POST", path, body)["status"]["token"]
        return _kubeconfig(self.folder / f"{namespace}-{account}.kubeconfig", self.url, self.authority, token)

    def pod(self, namespace: str, name: str) -> Json:
        """The pod as it is now."""
        return self.api("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")

    def pods(self, namespace: str, selector: str = "") -> list[Json]:
        """The pods of a namespace, or those that a label selector names, by name."""
        found = self.api("GET", f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)["items"]
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def create_pod(
        self, namespace: str, pod: Json, *, dry_run: bool = False, user: Mapping[str, Json] | None = None
    ) -> Json:
        """Create a pod and return it as it was admitted; a dry run goes through admission too and stores nothing."""
        query = {"dryRun": "All"} if dry_run else {}
        return self.api("POST", f"/api/v1/namespaces/{namespace}/pods", pod, user=user, **query)

    def grant(self, namespace: str, role: str, *groups: str) -> None:
        """Give groups of users a ClusterRole in one namespace."""
        names = [f"--group={group}" for group in groups]
        self.kubectl(
            "create",
            "rolebinding",
            f"{role}-{groups[0].replace(':', '-')}",
            f"--clusterrole={role}",
            *names,
            "-n",
            namespace,
        )

    def wait_bound(self, namespace: str, name: str) -> str:
        """Wait until the scheduler has bound the pod; the name of its node."""

        def node() -> str | None:
            bound: str | None = self.pod(namespace, name)["spec"].get("nodeName")
            return bound

        return wait_for(node, f"pod `{namespace}/{name}` to be bound", lambda: self.pod(namespace, name)["status"])

    def wait_all_bound(self, namespace: str, selector: str, count: int) -> dict[str, str]:
        """Wait until `count` pods of a label selector are there and bound; pod name to node name."""

        def nodes() -> dict[str, str] | None:
            bound = {p["metadata"]["name"]: p["spec"].get("nodeName") for p in self.pods(namespace, selector)}
            return bound if len(bound) == count and all(bound.values()) else None

        return wait_for(
            nodes, f"{count} bound pods `{selector}` in `{namespace}`", lambda: self.pods(namespace, selector)
        )

    def wait_unschedulable(self, namespace: str, name: str) -> str:
        """Wait until the scheduler has found no node for the pod; its message."""
        return wait_for(
            lambda: unschedulable(self.pod(namespace, name)),
            f"pod `{namespace}/{name}` to be unschedulable",
            lambda: self.pod(namespace, name),
        )

    def wait_settled(self, namespace: str, selector: str, count: int) -> dict[str, str | None]:
        """Wait until each of `count` pods is bound or found unschedulable; pod name to node name or None."""

        def nodes() -> dict[str, str | None] | None:
            pods = self.pods(namespace, selector)
            if len(pods) != count or not all(pod["spec"].get("nodeName") or unschedulable(pod) for pod in pods):
                return None
            return {pod["metadata"]["name"]: pod["spec"].get("nodeName") for pod in pods}

        return wait_for(
            nodes, f"{count} settled pods `{selector}` in `{namespace}`", lambda: self.pods(namespace, selector)
        )

    # what admission did

    def audit_events(self, namespace: str, verb: str = "create") -> list[Json]:
        """Audit events of one namespace's pods so far, in order, without dry runs; `annotations` is always there."""
        return [
            event
            for event in self._audited()
            if event["verb"] == verb
            and event["objectRef"].get("namespace") == namespace
            and "subresource" not in event["objectRef"]
            and "dryRun=" not in event["requestURI"]
        ]

    def bindings(self) -> set[tuple[str, str, str]]:
        """Namespace, name and node of every pod that was ever given one: by its scheduler, or as it was created."""
        found = set()
        for event in self._audited():
            about, given = event["objectRef"], event.get("requestObject")
            if (
                event["responseStatus"]["code"] != 201
                or "dryRun=" in event["requestURI"]
                or not isinstance(given, dict)
            ):
                continue
            bound = about.get("subresource") == "binding"
            node = given["target"]["name"] if bound else given.get("spec", {}).get("nodeName")
            if node:
                found.add((about["namespace"], about.get("name", ""), node))
        return found

    def audit_event(self, response: httpx.Response) -> Json:
        """The audit event of one answered request for a pod."""
        wanted = response.headers["Audit-Id"]
        return wait_for(
            lambda: next((event for event in self._audited() if event["auditID"] == wanted), None),
            f"audit event {wanted}",
        )

    def admission_patches(self, namespace: str) -> list[list[Json]]:
        """The RFC 6902 patches that webhooks made to pods created in a namespace, in order, unchanged pods left out."""
        return [patch for event in self.audit_events(namespace) for patch in patches_of(event)]

    def _audited(self) -> list[Json]:
        if not self.audit_log.exists():
            return []
        lines = self.audit_log.read_text().splitlines(keepends=True)
        return [{"annotations": {}, **json.loads(line)} for line in lines if line.endswith("\n")]

    # webhooks

    def webhook_configuration(
        self,
        name: str,
        url: str,
        *,
        failure_policy: str = "Fail",
        namespaces: Sequence[str] | None = None,
        timeout_seconds: int = 10,
        reinvocation_policy: str = "IfNeeded",
    ) -> Json:
        """A MutatingWebhookConfiguration, not yet applied, that sends pods' creations to a local URL."""
        inside: Json = {}
        if namespaces is not None:
            key = "kubernetes.io/metadata.name"
            inside = {"matchExpressions": [{"key": key, "operator": "In", "values": list(namespaces)}]}
        bundle = base64.b64encode(self.authority.bundle.read_bytes()).decode()
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [
                {
                    "name": f"{name}.tests.bayplan.dev",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "failurePolicy": failure_policy,
                    "reinvocationPolicy": reinvocation_policy,
                    "timeoutSeconds": timeout_seconds,
                    "clientConfig": {"url": url, "caBundle": bundle},
                    "namespaceSelector": inside,
                    "rules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                    ],
                }
            ],
        }

    def activate(self, configuration: Json, namespace: str) -> None:
        """Apply a new webhook configuration and wait until the API server calls it for pods of the namespace."""
        self.apply(configuration)
        self.wait_called(configuration["metadata"]["name"], namespace)

    def wait_called(self, configuration: str, namespace: str) -> None:
        """Wait until a webhook configuration takes part in a pod's creation, whatever its webhook answers."""
        wait_for(lambda: configuration in self._probe(namespace), f"webhook configuration `{configuration}`")

    def redirect_service(self, namespace: str, name: str) -> None:
        """Have the API server find a Service on this machine: a webhook that refers to it, at the port that it names.

        It still checks the certificate for `<name>.<namespace>.svc`.
        """
        spec = {"type": "ExternalName", "externalName": "localhost", "clusterIP": None, "clusterIPs": None}
        path = f"/api/v1/namespaces/{namespace}/services/{name}"
        self.api("PATCH", path, {"spec": spec}, content_type="application/merge-patch+json")

    def _probe(self, namespace: str) -> str:
        """What the API server says about webhooks when it creates a pod as a dry run."""
        probe = {"metadata": {"name": "probe"}, "spec": {"containers": [{"name": "probe", "image": "probe"}]}}
        response = self.request("POST", f"/api/v1/namespaces/{namespace}/pods", probe, dryRun="All")
        annotations = self.audit_event(response)["annotations"]
        called = [f"{key}={annotations[key]}" for key in annotations if "webhook.admission.k8s.io/" in key]
        return "\n".join(called if response.is_success else [*called, response.text])

    def sweep(self) -> None:
        """Remove what a test left behind that others would notice: webhooks, admission policies, nodes, namespaces."""
        registration = "/apis/admissionregistration.k8s.io/v1"
        self.api("DELETE", f"{registration}/mutatingwebhookconfigurations")
        self.api("DELETE", f"{registration}/validatingwebhookconfigurations")
        self.api("DELETE", f"{registration}/mutatingadmissionpolicies")
        self.api("DELETE", f"{registration}/mutatingadmissionpolicybindings")
        wait_for(lambda: not self._probe("default"), "webhooks to be forgotten", lambda: self._probe("default"))
        self.api("DELETE", "/api/v1/nodes")
        for namespace in self.api("GET", "/api/v1/namespaces")["items"]:
            metadata = namespace["metadata"]
            going = "deletionTimestamp" in metadata
            if not going and metadata["name"] != "default" and not metadata["name"].startswith("kube-"):
                self.remove_namespace(metadata["name"])


def unschedulable(pod: Json) -> str | None:
    """Why the scheduler found no node for a pod; None if it did, or has not tried yet."""
    for condition in pod["status"].get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition["message"])
    return None


def patches_of(event: Json) -> list[list[Json]]:
    """The patches that webhooks made during the request of one audit event, in order."""
    annotations = event["annotations"]
    keys = sorted(key for key in annotations if key.startswith("patch.webhook.admission.k8s.io/"))
    return [json.loads(annotations[key])["patch"] for key in keys]


def wait_for(
    attempt: Callable[[], T | None],
    what: str,
    last: Callable[[], object] | None = None,
    *,
    seconds: float = PATIENCE_SECONDS,
) -> T:
    """Call `attempt` until it gives something true, and return that; past the patience fail, showing `last()`."""
    deadline = time.monotonic() + seconds
    while not (value := attempt()):
        if time.monotonic() > deadline:
            seen = f"; last seen: {json.dumps(last(), indent=1)}" if last else ""
            raise AssertionError(f"waited {seconds:g} s in vain for {what}{seen}")
        time.sleep(POLL_SECONDS)
    return value


def decoded(response: httpx.Response) -> Json:
    """The decoded body of a successful answer; anything else raises `ApiError`."""
    is_json = response.headers.get("Content-Type", "").startswith("application/json")
    body = response.json() if is_json else response.text
    if response.is_success:
        return body
    raise ApiError(response.status_code, body.get("message", "") if isinstance(body, dict) else body, body)


@contextmanager
def start(
    folder: Path, programs: Mapping[str, Path], shown: Mapping[str, tuple[Path, Path]] | None = None
) -> Iterator[ControlPlane]:
    """Start a control plane that keeps everything in `folder`, and stop it at the end.

    `shown` are client certificates, with their keys, that the API server shows to webhooks, by the servers' names.
    """
    authority = make_authority(folder)
    etcd_port, peer_port, api_port = free_ports(3)
    url = f"https://127.0.0.1:{api_port}"
    tokens = {name: secrets.token_hex(16) for name in ("admin", "scheduler", "controller-manager")}
    kubeconfigs = {name: _kubeconfig(folder / f"{name}.kubeconfig", url, authority, tokens[name]) for name in tokens}
    (folder / "home").mkdir()

    with ExitStack() as running:

        def run(name: str, *flags: str) -> Process:
            process = Process([programs[name], *flags], folder / f"{name}.log")
            running.callback(process.kill)
            return process

        etcd = run("etcd", *_etcd_flags(folder, etcd_port, peer_port))
        api_server = run("kube-apiserver", *_api_server_flags(folder, authority, tokens, etcd_port, api_port, shown))
        context = ssl.create_default_context(cafile=str(authority.bundle))
        client = running.enter_context(
            httpx.Client(
                base_url=url, verify=context, headers={"Authorization": f"Bearer {tokens['admin']}"}, timeout=60
            )
        )
        _wait_until_ready(client, [etcd, api_server])
        run(
            "kube-scheduler",
            f"--kubeconfig={kubeconfigs['scheduler']}",
            *ALONE,
        )
        run(
            "kube-controller-manager",
            f"--kubeconfig={kubeconfigs['controller-manager']}",
            f"--service-account-private-key-file={folder / 'accounts.key'}",
            f"--root-ca-file={authority.bundle}",
            "--use-service-account-credentials=true",
            "--controllers=*,-node-lifecycle-controller,-node-ipam-controller",
            *ALONE,
        )
        control_plane = ControlPlane(
            url=url,
            token=tokens["admin"],
            kubeconfig=kubeconfigs["admin"],
            authority=authority,
            folder=folder,
            audit_log=folder / "audit.log",
            programs=programs,
            _client=client,
        )
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        wait_for(lambda: control_plane.request("GET", account).is_success, "the first service account")
        yield control_plane


def _etcd_flags(folder: Path, client_port: int, peer_port: int) -> list[str]:
    client, peer = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _api_server_flags(
    folder: Path,
    authority: Authority,
    tokens: Mapping[str, str],
    etcd_port: int,
    port: int,
    shown: Mapping[str, tuple[Path, Path]] | None,
) -> list[str]:
    certificate, key = authority.issue("127.0.0.1", "localhost", "kubernetes.default.svc")
    accounts = signing_key(folder / "accounts.key")
    (folder / "tokens.csv").write_text(
        f"{tokens['admin']},admin,admin,system:masters\n"
        f"{tokens['scheduler']},system:kube-scheduler,scheduler\n"
        f"{tokens['controller-manager']},system:kube-controller-manager,controller-manager\n"
    )
    (folder / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={port}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=TaintNodesByCondition",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={accounts}",
        f"--service-account-key-file={accounts}",
        f"--audit-policy-file={folder / 'audit-policy.json'}",
        f"--audit-log-path={folder / 'audit.log'}",
        "--audit-log-mode=blocking",
        *([f"--admission-control-config-file={_shows(folder, shown)}"] if shown else []),
    ]


def _shows(folder: Path, certificates: Mapping[str, tuple[Path, Path]]) -> Path:
    """The AdmissionConfiguration that has client certificates shown to webhooks, as in docs/security.md."""
    users = [
        {"name": name, "user": {"client-certificate": str(certificate), "client-key": str(key)}}
        for name, (certificate, key) in certificates.items()
    ]
    webhooks = folder / "webhooks.yaml"
    webhooks.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "users": users}))
    configuration = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": str(webhooks),
    }
    plugin = {"name": "MutatingAdmissionWebhook", "configuration": configuration}
    path = folder / "admission.yaml"
    kind = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration"}
    path.write_text(yaml.safe_dump({**kind, "plugins": [plugin]}))
    return path


def _kubeconfig(path: Path, url: str, authority: Authority, token: str) -> Path:
    bundle = base64.b64encode(authority.bundle.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": url, "certificate-authority-data": bundle}}],
        "users": [{"name": CONTEXT, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        "current-context": CONTEXT,
    }
    path.write_text(yaml.safe_dump(config))
    return path


def _wait_until_ready(client: httpx.Client, processes: Sequence[Process]) -> None:
    def ready() -> bool:
        for process in processes:
            assert process.exit_status is None, f"{process.command} ended\n{process.output()}"
        try:
            return client.get("/readyz").is_success
        except httpx.TransportError:
            return False

    wait_for(ready, "the API server", lambda: processes[-1].output()[-4000:], seconds=READY_SECONDS)
