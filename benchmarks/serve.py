"""What one admission costs: `bayplan serve` next to a webhook that does nothing, on the same stack, in the same run.

    python -m benchmarks.serve [--requests N] [--rounds N]

Both are processes of their own on loopback, TLS, uvicorn, FastAPI with a raw ASGI endpoint; the other one decodes the
review's uid with a typed decoder and answers `allowed`. Rounds alternate between them. Processor time is what the
kernel counts for all threads of a process; time is seen from one keep-alive connection, bursts from many. Bayplan has
50 policies over 100 pools, its metrics on, and its log as said.

Standard output gets JSON lines, standard error a table.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from webhook import development, server_context

POLICIES = 50
POOLS = 100
BURST = 300
READY_SECONDS = 30.0

VARIANTS = {
    "no-op webhook": None,
    "bayplan, one of 50 policies matches": ("changed", "class-7"),
    "bayplan, all decisions logged whole": ("all", "class-7"),
    "bayplan, no policy matches": ("changed", "none"),
}


@dataclass(frozen=True, slots=True)
class Webhook:
    """A running webhook."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    body: bytes


def pod(class_name: str) -> dict[str, Any]:
    """A pod of about the size that API servers send: two containers with 30 variables each."""
    container = {
        "name": "app",
        "image": "registry.example/app:1",
        "env": [{"name": f"VARIABLE_{n}", "value": f"value number {n}"} for n in range(30)],
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
    }
    tolerations = [
        {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for what in ("not-ready", "unreachable")
    ]
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f8c7b9", "uid": "u", "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "web-5d4f8c7b9-",
            "namespace": "shop",
            "labels": {"app": "web", "class": class_name, "pod-template-hash": "5d4f8c7b9"},
            "annotations": {"prometheus.io/scrape": "true"},
            "ownerReferences": [owner],
            "managedFields": [{"manager": "kube-controller-manager", "fieldsV1": {f"f:{n}": {} for n in range(60)}}],
        },
        "spec": {
            "containers": [container, {**container, "name": "sidecar"}],
            "tolerations": tolerations,
            "schedulerName": "default-scheduler",
            "volumes": [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
        },
        "status": {},
    }


def review(class_name: str) -> bytes:
    gvk = {"group": "", "version": "v1"}
    request = {
        "uid": "3f0c1a52-7d6b-4a53-9b0c-58f1f6f1b0aa",
        "kind": {**gvk, "kind": "Pod"},
        "resource": {**gvk, "resource": "pods"},
        "namespace": "shop",
        "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": ["system:all"]},
        "object": pod(class_name),
        "oldObject": None,
        "dryRun": False,
    }
    whole = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(whole, separators=(",", ":")).encode()


def write_bundle(folder: Path) -> Path:
    """Fifty policies, each for the pods of one class, on the pools of that class, spot first."""
    (folder / "policies").mkdir(parents=True)
    metadata = "apiVersion: bayplan.dev/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\n"
    (folder / "bundle.yaml").write_text(metadata.format("Bundle", "fifty") + "spec: {version: 1.0.0}\n")
    for n in range(POLICIES):
        policy = f"""\
spec:
  podSelector: {{matchLabels: {{class: class-{n}}}}}
  matchConditions:
    - name: not-debug
      expression: '!("debug" in pod.metadata.?annotations.orValue({{}}))'
  require:
    - expression: pool.labels["class"] == "class-{n}" || pool.cpu >= {60 + n}.0
    - expression: node.zone in ["eu-1a", "eu-1b"]
  prefer:
    - expression: node.capacityType == "spot"
      weight: 60
  tolerate:
    - expression: taint.key == "class"
"""
        (folder / "policies" / f"{n}.yaml").write_text(metadata.format("PlacementPolicy", f"class-{n}") + policy)
    return folder


def write_pools(path: Path) -> Path:
    pools = [
        {
            "name": f"pool-{n}",
            "selector": {"karpenter.sh/nodepool": f"pool-{n}"},
            "labels": {"class": f"class-{n % POLICIES}"},
            "values": {
                "topology.kubernetes.io/zone": ["eu-1a", "eu-1b", "eu-1c"],
                "karpenter.sh/capacity-type": ["spot", "on-demand"],
            },
            "taints": [{"key": "class", "value": f"class-{n % POLICIES}", "effect": "NoSchedule"}],
            "nodes": 5,
            "cpu": n % 64 + 1,
        }
        for n in range(POOLS)
    ]
    path.write_text(json.dumps({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": pools}))
    return path


class _Request(msgspec.Struct):
    uid: str


class _Review(msgspec.Struct):
    request: _Request


class _Answer(msgspec.Struct, rename="camel"):
    response: dict[str, object]
    api_version: str = "admission.k8s.io/v1"
    kind: str = "AdmissionReview"


def serve_nothing(certificate: str, key: str) -> None:
    """The webhook that does nothing, until it is killed; prints its port."""
    import uvicorn
    import uvloop
    from fastapi import FastAPI
    from starlette.routing import Route

    decoder, encoder = msgspec.json.Decoder(_Review), msgspec.json.Encoder()

    class Mutate:
        async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
            body = bytearray()
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            uid = decoder.decode(body).request.uid
            answer = encoder.encode(_Answer({"uid": uid, "allowed": True}))
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer})

    context = server_context()
    context.load_cert_chain(certificate, key)
    app = FastAPI(openapi_url=None)
    app.router.routes.append(Route("/mutate", endpoint=Mutate(), methods=["POST"]))
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=120,
        backlog=2048,
        ssl_context_factory=lambda *_: context,
    )

    async def run() -> None:
        from webhook import address_of, listen

        listener = listen("127.0.0.1:0")
        print(address_of(listener), flush=True)
        await uvicorn.Server(config).serve(sockets=[listener])

    uvloop.run(run())


@contextlib.contextmanager
def running(folder: Path, name: str, certificate: Path, key: Path) -> Iterator[Webhook]:
    """One of the variants as a process, until the end of the block."""
    variant = VARIANTS[name]
    log = (folder / f"{name}.log").open("wb")
    if variant is None:
        command = [sys.executable, "-m", "benchmarks.serve", "--nothing", str(certificate), str(key)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        body = review("none")
    else:
        command = [sys.executable, "-m", "cli.main", "serve", "--bundle", str(folder / "bundle")]
        command += ["--pools", str(folder / "pools.json"), "--log-decisions", variant[0]]
        command += ["--tls-cert", str(certificate), "--tls-key", str(key)]
        command += ["--listen", "127.0.0.1:0", "--health", "127.0.0.1:0"]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.PIPE)
        body = review(variant[1])
    try:
        yield Webhook(name, process, _port(process), body)
    finally:
        process.terminate()
        process.wait(READY_SECONDS)
        for stream in (process.stdout, process.stderr, log):
            if stream is not None:
                stream.close()


def _port(process: subprocess.Popen[bytes]) -> int:
    """The port that a starting webhook says it listens on."""
    stream = process.stdout or process.stderr
    assert stream is not None
    for line in stream:
        text = line.decode().strip()
        if "health" in text:
            continue
        if "serving admission" in text or process.stdout:
            return int(text.removesuffix("/mutate").rpartition(":")[2])
    raise RuntimeError("the webhook did not start")


def processor_seconds(pid: int) -> float:
    """Processor time of all threads of a process so far."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def requests(webhook: Webhook, context: ssl.SSLContext, count: int) -> tuple[float, list[float]]:
    """Send reviews one after the other on one connection: processor seconds of each, and the times that they took."""
    connection = http.client.HTTPSConnection("127.0.0.1", webhook.port, context=context)
    times = []
    before = 0.0
    for n in range(-50, count):  # the first ones warm up
        if n == 0:
            before = processor_seconds(webhook.process.pid)
        began = time.perf_counter()
        connection.request("POST", "/mutate?timeout=2s", webhook.body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        times.append(time.perf_counter() - began)
        assert answer["response"]["allowed"] is True, answer
    used = (processor_seconds(webhook.process.pid) - before) / count
    connection.close()
    return used, times[50:]


async def burst(webhook: Webhook, context: ssl.SSLContext, count: int) -> float:
    """Send reviews at once, each on a connection of its own: seconds until the last answer."""

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", webhook.port, ssl=context)
        head = (
            f"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(webhook.body)}"
        )
        writer.write(head.encode() + b"\r\nConnection: close\r\n\r\n" + webhook.body)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:100]
        writer.close()
        await writer.wait_closed()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(count)))
    return time.perf_counter() - began


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and say how many times the no-op webhook's processor time an admission costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000, help="of one round of one webhook")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nothing", nargs=2, metavar=("CERT", "KEY"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.nothing:
        serve_nothing(*args.nothing)
        return 0
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        pair = development(["127.0.0.1"])
        files = pair.write(folder)
        write_bundle(folder / "bundle")
        write_pools(folder / "pools.json")
        context = ssl.create_default_context(cadata=pair.authority.decode())
        webhooks = [stack.enter_context(running(folder, each, *files)) for each in VARIANTS]
        used: dict[str, list[float]] = {each.name: [] for each in webhooks}
        times: dict[str, list[float]] = {each.name: [] for each in webhooks}
        for _ in range(args.rounds):
            for webhook in webhooks:
                seconds, some = requests(webhook, context, args.requests)
                used[webhook.name].append(seconds)
                times[webhook.name] += some
        bursts = {each.name: asyncio.run(burst(each, context, BURST)) for each in webhooks}
    _print(used, times, bursts)
    return 0


def _print(used: dict[str, list[float]], times: dict[str, list[float]], bursts: dict[str, float]) -> None:
    floor = statistics.median(used["no-op webhook"])
    width = max(map(len, used))
    heads = f"CPU µs  × no-op  p50 ms  p99 ms  {BURST} at once ms"
    print(f"{'one admission over TLS':<{width}}  {heads}", file=sys.stderr)
    for name, seconds in used.items():
        cpu, some = statistics.median(seconds), sorted(times[name])
        p50, p99 = (some[int(len(some) * part)] * 1e3 for part in (0.5, 0.99))
        row = f"{cpu * 1e6:6.0f}  {cpu / floor:7.2f}  {p50:6.2f}  {p99:6.2f}  {bursts[name] * 1e3:14.0f}"
        print(f"{name:<{width}}  {row}", file=sys.stderr)
        line = {
            "benchmark": "serve",
            "variant": name,
            "cpu_us": round(cpu * 1e6, 1),
            "cpu_us_rounds": [round(each * 1e6, 1) for each in seconds],
            "times_no_op": round(cpu / floor, 3),
            "p50_ms": round(p50, 3),
            "p99_ms": round(p99, 3),
            "burst": BURST,
            "burst_ms": round(bursts[name] * 1e3, 1),
        }
        print(json.dumps(line))


if __name__ == "__main__":
    sys.exit(main())
