"""Two webhooks over the same bundle, one that enforces and one that audits, and what both make of one pod.

The API server asks neither of them, or one, as the `fieldManager` of a dry run says; nothing else differs between the
requests. What a webhook did is read from the API server's audit log, and what it decided from its own log.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO, Literal

from .controlplane import ControlPlane, Json, patches_of, wait_for
from .serving import Serving, running

Manager = Literal["plain", "audited", "enforced"]
CHANCE = re.compile(
    rb'"uid":"[^"]*"|"manager":"[a-z]+"|"[a-zA-Z]+":"20[0-9T:.-]+Z"|kube-api-access-[a-z0-9]{5}'
    rb'|"generateName":"(?P<prefix>[^"]*)"|"name":"[^"]*-[a-z0-9]{5}","generateName"'
)
"""What no two creations have in common, whatever webhooks do."""


class Tail:
    """The JSON lines of a file that grows, and may be put aside for a new one; each is read once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    def lines(self) -> Iterator[Json]:
        """Those that are whole by now, and were not read yet."""
        if self._file is None:
            if not self._path.exists():
                return
            self._file = self._path.open("rb")
        data = self._rest + self._file.read()
        if self._path.exists() and self._path.stat().st_ino != _inode(self._file):
            data += self._file.read()
            self._file.close()
            self._file = self._path.open("rb")
            data += self._file.read()
        *whole, self._rest = data.split(b"\n")
        for line in whole:
            if line.startswith(b"{"):
                yield json.loads(line)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


def _inode(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_ino


class Events:
    """The API server's audit events by id, as far as they were asked for by this process; safe for threads."""

    def __init__(self, path: Path) -> None:
        self._tail, self._seen = Tail(path), dict[str, Json]()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the log."""
        self._tail.close()

    def of(self, wanted: str) -> Json:
        """The event of an answered request, by its id."""

        def there() -> Json:
            with self._lock:
                for event in self._tail.lines():
                    self._seen[event["auditID"]] = {"annotations": event.get("annotations", {})}
                return self._seen.pop(wanted, None)

        return wait_for(there, f"audit event {wanted}")


@dataclass
class Answer:
    """What the API server made of a pod: its status, the object or the reason, and what the webhook did to it."""

    status: int
    content: bytes
    _event: Callable[[], Json]

    @cached_property
    def _annotations(self) -> Json:
        return self._event()["annotations"]

    @property
    def asked(self) -> bool:
        """Whether a webhook was asked."""
        return any("webhook.admission.k8s.io/" in key for key in self._annotations)

    @property
    def patches(self) -> list[list[Json]]:
        """What it changed."""
        return patches_of({"annotations": self._annotations})

    @property
    def message(self) -> str:
        """Why it was refused."""
        return str(json.loads(self.content).get("message", ""))

    @property
    def object(self) -> Json:
        return json.loads(self.content)

    @property
    def bytes(self) -> bytes:
        """The object without what is another at each creation."""
        return CHANCE.sub(_chance, self.content)


def _chance(match: re.Match[bytes]) -> bytes:
    prefix = match.group("prefix")
    return b"*" if prefix is None else b'*"' + prefix + b'"'


@dataclass
class BothModes:
    """The two webhooks, for the pods of some namespaces."""

    cluster: ControlPlane
    events: Events
    namespaces: Sequence[str]
    audited: Serving
    enforced: Serving
    logs: dict[str, Tail] = field(default_factory=dict)
    _lines: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    _begun: dict[str, int] = field(default_factory=dict)

    def create(self, pod: Json, manager: Manager, user: Mapping[str, Json] | None = None) -> Answer:
        """Create a pod of a namespace as a dry run, with one of the webhooks or none."""
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods"
        answer = self.cluster.request("POST", path, pod, user=user, dryRun="All", fieldManager=manager)
        return Answer(answer.status_code, answer.content, partial(self.events.of, answer.headers["Audit-Id"]))

    def decision(self, manager: Manager, pod: Json) -> Json:
        """What one of the webhooks logged of a pod, whose name nobody else has: it is read once."""
        metadata = pod["metadata"]
        key = (manager, metadata["namespace"], metadata.get("name") or metadata["generateName"])
        serving = self.enforced if manager == "enforced" else self.audited

        def there() -> Json:
            for line in self.logs.setdefault(manager, Tail(serving.log)).lines():
                self._lines[manager, line["pod"]["namespace"], line["pod"]["name"]] = line
            return self._lines.pop(key, None)

        return wait_for(there, f"the decision about {key}", serving.tail)

    def wait_active(self, *words: str) -> None:
        """Wait until both have said each of these since it was waited for last."""
        for name, serving in (("audited", self.audited), ("enforced", self.enforced)):
            errors = serving.log.with_suffix(".errors")
            begun = self._begun.get(name, 0)

            def said(errors: Path = errors, begun: int = begun) -> bool:
                text = errors.read_bytes()[begun:].decode(errors="replace")
                return all(re.search(word, text) for word in words)

            wait_for(said, f"{name}: {words}", serving.tail)
        for name, serving in (("audited", self.audited), ("enforced", self.enforced)):
            self._begun[name] = serving.log.with_suffix(".errors").stat().st_size


def chosen(cluster: ControlPlane, serving: Serving, manager: str, namespaces: Sequence[str]) -> Json:
    """The configuration of a webhook that is asked about what comes with one `fieldManager`."""
    name = f"bayplan-{manager}-{namespaces[0]}"
    made = cluster.webhook_configuration(name, serving.url, namespaces=namespaces)
    expression = f'request.options.?fieldManager.orValue("") == "{manager}"'
    made["webhooks"][0]["matchConditions"] = [{"name": "manager", "expression": expression}]
    return made


@contextmanager
def both_modes(
    cluster: ControlPlane, events: Events, namespaces: Sequence[str], bundle: Path, pools: Path
) -> Iterator[BothModes]:
    """Serve a bundle in both modes for pods of these namespaces, which exist."""
    certificate, key = cluster.authority.issue("127.0.0.1")
    common = (
        *("serve", "--bundle", bundle, "--pools", pools, "--kubeconfig", cluster.kubeconfig, "--log-decisions", "all"),
        *("--tls-cert", certificate, "--tls-key", key),
    )
    with ExitStack() as stack:
        audited = stack.enter_context(running(cluster, [*common, "--mode", "audit"]))
        enforced = stack.enter_context(running(cluster, [*common, "--mode", "enforce"]))
        modes = BothModes(cluster, events, namespaces, audited, enforced)
        for manager, serving in (("audited", audited), ("enforced", enforced)):
            cluster.apply(chosen(cluster, serving, manager, namespaces))
        probe = {
            "metadata": {"name": "probe", "namespace": namespaces[0]},
            "spec": {"containers": [{"name": "probe", "image": "probe"}]},
        }
        wait_for(lambda: modes.create(probe, "audited").asked, "the webhook that audits", audited.tail)
        wait_for(lambda: modes.create(probe, "enforced").asked, "the webhook that enforces", enforced.tail)
        modes.decision("audited", probe)
        modes.decision("enforced", probe)
        yield modes
        for tail in modes.logs.values():
            tail.close()
        for each in ("audited", "enforced"):
            path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
            cluster.api("DELETE", f"{path}/bayplan-{each}-{namespaces[0]}")
