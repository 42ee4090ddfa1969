"""`bayplan serve` as a process of its own beside the control plane, the way that it runs in production."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from .controlplane import ControlPlane, Json, wait_for
from .processes import Process, free_ports

BAYPLAN = Path(sys.executable).with_name("bayplan")
BUNDLE = Path(__file__).parent / "bundle"
NUMBERS = itertools.count(1)
TAIL = 4_000


class Serving:
    """A webhook on fixed ports, which can be stopped and started again."""

    def __init__(self, cluster: ControlPlane, arguments: Sequence[str | Path], port: int | None = None) -> None:
        """`arguments` are those of `bayplan`, all but where it listens: at `port`, or any that is free."""
        free, self.plain_port = free_ports(2)
        self.port = port or free
        self.url = f"https://127.0.0.1:{self.port}/mutate"
        self.log = cluster.folder / f"bayplan-{next(NUMBERS)}.log"
        listen = ("--listen", f"127.0.0.1:{self.port}", "--health", f"127.0.0.1:{self.plain_port}")
        self.command = [BAYPLAN, *arguments, *listen]
        self._process: Process | None = None

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        process = self._process = Process(self.command, self.log, self.log.with_suffix(".errors"))

        def ready() -> bool:
            assert process.exit_status is None, f"{process.command} ended\n{process.output()}"
            try:
                return httpx.get(f"http://127.0.0.1:{self.plain_port}/readyz").is_success
            except httpx.TransportError:
                return False

        wait_for(ready, "the webhook", process.output)

    def terminate(self) -> int:
        """Ask it to end, as a kubelet does; its exit status."""
        assert self._process is not None
        return self._process.terminate()

    def kill(self) -> None:
        """Kill it, as a node that loses power does."""
        if self._process is not None:
            self._process.kill()

    def output(self) -> str:
        """Its standard output so far: decisions, one a line, after whatever it prints first."""
        return self.log.read_text()

    def tail(self) -> str:
        """The end of all that it has written so far."""
        return self._process.output()[-TAIL:] if self._process else ""

    def decisions(self, namespace: str, name: str | None = None) -> list[Json]:
        """The logged decisions about the pods of a namespace, or about a bare pod there, in order; no dry runs."""
        lines = [json.loads(line) for line in self.output().splitlines(keepends=True) if is_json_object(line)]
        return [
            line
            for line in lines
            if line.get("dryRun") is False
            and line["pod"]["namespace"] == namespace
            and name in (None, line["pod"]["name"])
        ]


@contextmanager
def running(cluster: ControlPlane, arguments: Sequence[str | Path], port: int | None = None) -> Iterator[Serving]:
    """Run `bayplan` with arguments that make it a webhook, from when it is ready to the end of the block."""
    serving = Serving(cluster, arguments, port)
    try:
        serving.start()
        yield serving
    finally:
        serving.kill()


@contextmanager
def admission(
    cluster: ControlPlane,
    *namespaces: str,
    mode: str = "enforce",
    failure_policy: str = "Fail",
    reinvocation_policy: str = "IfNeeded",
    bundle: Path | str = BUNDLE,
    more: Sequence[str | Path] = (),
) -> Iterator[Serving]:
    """Run the webhook and have the API server send it the pods of namespaces, the first of which exists already.

    `more` are further arguments of `bayplan serve`.
    """
    certificate, key = cluster.authority.issue("127.0.0.1")
    arguments = (
        *("serve", "--bundle", bundle, "--mode", mode, "--kubeconfig", cluster.kubeconfig),
        *("--tls-cert", certificate, "--tls-key", key, *more),
    )
    with running(cluster, arguments) as serving:
        name = f"bayplan-{namespaces[0]}"
        configuration = cluster.webhook_configuration(
            name,
            serving.url,
            namespaces=namespaces,
            failure_policy=failure_policy,
            reinvocation_policy=reinvocation_policy,
        )
        cluster.activate(configuration, namespaces[0])
        yield serving
        cluster.api("DELETE", f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{name}")


def is_json_object(line: str) -> bool:
    if not (line.startswith("{") and line.endswith("}\n")):
        return False
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
