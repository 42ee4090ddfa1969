"""The whole webhook as one process: what `bayplan serve` runs."""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from engine.analysis import proven
from engine.decision import OWN_NAMESPACE, Decider
from engine.documents import Manifest, Source
from engine.load import load_bundle, read_documents
from engine.pools import POOL_LABELS, Inventory, inventory_from_documents
from engine.program import Program, compile_bundle
from webhook.activation import Activation, Stages
from webhook.admission import Admission, FailurePolicy, LogDecisions
from webhook.app import Mutate, admission_app, health_app
from webhook.certificates import Certificate, development, development_folder
from webhook.configuration import configuration
from webhook.kube import Cluster, InCluster, connect, inside, own_namespace
from webhook.metrics import Metrics
from webhook.objects import NODES, Namespaces
from webhook.pools import LivePools
from webhook.records import DecisionLog
from webhook.reflector import Reflector
from webhook.server import Serving, address_of, listen

GARBAGE = 20_000
"""New containers between collections; the interpreter's 700 are a tenth of what one burst of requests holds."""
_CLUSTER = Source("the cluster", "")

log = logging.getLogger("bayplan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `bayplan serve` can be told; the help of its flags says what each means."""

    bundle: str
    mode: str = "enforce"
    pools: tuple[str, ...] = ()
    kubeconfig: str | None = None
    context: str | None = None
    in_cluster: InCluster = "auto"
    pool_labels: tuple[str, ...] = ()
    cluster_name: str = ""
    cluster_labels: Mapping[str, str] = field(default_factory=dict)
    listen: str = "0.0.0.0:8443"
    health: str = "0.0.0.0:8080"
    certificate: str | None = None
    key: str | None = None
    dev_url: str | None = None
    dev_config: str | None = None
    dev_namespaces: tuple[str, ...] = ()
    failure_policy: FailurePolicy = "Ignore"
    namespace: str | None = None
    log_decisions: LogDecisions = "changed"
    shutdown_delay: float = 0.0

    @property
    def own_namespace(self) -> str:
        """The namespace that is left alone because this runs in it."""
        return self.namespace or own_namespace() or OWN_NAMESPACE

    @property
    def watches(self) -> bool:
        """Whether a cluster is watched: always without files of pools, else where one is named or this runs in one."""
        asked = bool(self.kubeconfig or self.context) or self.in_cluster == "yes"
        return asked or not self.pools or (self.in_cluster == "auto" and inside())


def serve(options: Options, output: BinaryIO) -> None:
    """Serve until SIGTERM or SIGINT; decisions are logged to `output`, everything else to standard error.

    Raises BundleError, ListenError, CertificateError, ClusterError or OSError for what keeps it from starting.
    """
    configure_logging()
    metrics = Metrics(version("bayplan"))
    with contextlib.ExitStack() as stack:
        admission_port, health_port = (
            stack.enter_context(contextlib.closing(listen(address))) for address in (options.listen, options.health)
        )
        certificate = _certificate(options, address_of(admission_port), metrics, output, stack)
        cluster = connect(options.kubeconfig, options.context, options.in_cluster) if options.watches else None
        live = _Live(options, cluster, metrics)
        activation = Activation(live.stages(), metrics, Path(options.bundle), [Path(path) for path in options.pools])
        live.changed = activation.nodes_changed
        stack.callback(live.stop)
        live.start()
        activation.first()
        decisions = DecisionLog(output, lambda reason, lines: metrics.dropped.labels(reason).inc(lines))
        stack.callback(decisions.close)
        for part in (certificate, activation):
            stack.callback(part.stop)
            part.start()
        mutate = Mutate(
            Admission(
                activation,
                metrics,
                live.namespaces,
                failure_policy=options.failure_policy,
                decisions=None if options.log_decisions == "none" else decisions,
                log_decisions=options.log_decisions,
            )
        )
        serving: Serving

        def unready() -> list[str]:
            return (["stopping"] if serving.draining else []) + activation.unready() + live.unready()

        serving = Serving(
            mutate,
            admission_app(mutate),
            health_app(metrics, unready),
            certificate.context,
            shutdown_delay=options.shutdown_delay,
        )
        _gauges(metrics, activation, decisions)
        _settle()
        serving.run(admission_port, health_port)


def configure_logging() -> None:
    """One line per record on standard error, UTC."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    log.setLevel(logging.INFO)


class _Live:
    """The objects of the cluster that are watched, and the inventory that they and the files make."""

    def __init__(self, options: Options, cluster: Cluster | None, metrics: Metrics) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.namespaces = Namespaces(cluster, metrics) if cluster else None
        self._options = options
        self._labels = (*options.pool_labels, *POOL_LABELS)
        self._pools = LivePools(self._labels)
        self._nodes = Reflector(cluster, NODES, lambda: self.changed(), metrics) if cluster else None

    def stages(self) -> Stages:
        return Stages(self._load, self._take, self._build)

    def start(self) -> None:
        for reflector in self._reflectors():
            reflector.start()

    def stop(self) -> None:
        for reflector in self._reflectors():
            reflector.stop()

    def unready(self) -> list[str]:
        return [f"{r.kind.name}: {r.problem}" for r in self._reflectors() if not r.synced]

    def _reflectors(self) -> list[Reflector[dict[str, object]]]:
        watched = (self._nodes, self.namespaces.reflector if self.namespaces else None)
        return [reflector for reflector in watched if reflector is not None]

    def _load(self) -> Program:
        bundle = load_bundle(self._options.bundle)
        program = compile_bundle(bundle)
        for problem in dict.fromkeys((*bundle.warnings, *program.warnings)):
            log.warning("%s", problem)
        return proven(bundle, program)

    def _take(self) -> Inventory | None:
        """The inventory of now; None as long as the Nodes have not been listed."""
        if self._nodes is not None and not self._nodes.synced:
            return None
        nodes = self._nodes.items() if self._nodes else []
        documents = [document for path in self._options.pools for document in read_documents(path)]
        if not documents:
            return self._pools.inventory(nodes)
        return inventory_from_documents([*documents, *(Manifest(_CLUSTER, node) for node in nodes)], self._labels)

    def _build(self, program: Program, inventory: Inventory, active: Decider | None) -> Decider:
        if active is not None and active.program is program:
            return active.renewed(inventory)
        cluster = {"name": self._options.cluster_name, "labels": dict(self._options.cluster_labels)}
        own = (self._options.own_namespace,)
        return Decider(program, inventory, mode=self._options.mode, cluster=cluster, namespaces=own)


def _certificate(
    options: Options, address: str, metrics: Metrics, output: BinaryIO, stack: contextlib.ExitStack
) -> Certificate:
    """The certificate of the files; or one made for development, whose webhook configuration is printed."""
    if options.certificate and options.key:
        return Certificate(Path(options.certificate), Path(options.key), metrics)
    url = (options.dev_url or f"https://127.0.0.1:{address.rpartition(':')[2]}").rstrip("/")
    names = dict.fromkeys([urlsplit(url).hostname or "127.0.0.1", "localhost", "127.0.0.1", "::1"])
    pair = development(list(names))
    text = configuration(
        f"{url}/mutate", pair.authority, options.own_namespace, options.failure_policy, options.dev_namespaces
    )
    if options.dev_config:
        Path(options.dev_config).write_text(text)
    else:
        output.write(text.encode())
        output.flush()
    folder = Path(stack.enter_context(development_folder()))
    return Certificate(*pair.write(folder), metrics)


def _settle() -> None:
    """Collect less often, and never again what is loaded by now: an admission makes garbage without cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


def _gauges(metrics: Metrics, activation: Activation, decisions: DecisionLog) -> None:
    metrics.live("bayplan_inventory_pools", "Pools that decisions know of.", activation.pools)
    metrics.live("bayplan_inventory_strays", "Nodes that belong to no pool.", activation.strays)
    metrics.live("bayplan_decision_log_queue_depth", "Lines that wait to be written.", decisions.depth)
