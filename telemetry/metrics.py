"""What Prometheus reads at `/metrics`. No label ever holds a pod's name."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

NAMING = frozenset({"bayplan_bundle", "bayplan_bundle_info", "bayplan_policy_evaluations", "bayplan_audited_policies"})
"""Metrics whose labels name a bundle or its policies."""
MAX_SERIES = 5_000
"""Series of a metric that names policies: what names come after that, of bundles to come, is counted as `OTHERS`."""
OUTCOMES = ("mutated", "unchanged", "denied", "audit", "ignored", "invalid", "error")
"""What comes of an admission request."""
BUNDLE_STEPS = ("look", "fetch", "limits", "digest", "signature", "parse", "compile", "test", "conflicts", "swap")
STEPS = (*BUNDLE_STEPS, "inventory", "keep", "kept")
"""At which activating a bundle or an inventory may fail, and keeping what is active.

They are there at 0 from the start, like all of which an alert asks whether there was one: of a series that appears with
a 1, Prometheus knows no increase."""
OTHERS = "(others)"
"""No bundle and no policy is called so."""

Labels = tuple[str, ...]


class ActiveBundle(Protocol):
    """A revision of a bundle; as a text it is how people call it."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def digest(self) -> str: ...


class Metrics(Collector):
    """The counters and gauges of one webhook process.

    What every admission counts is kept in plain dicts, written by the event loop alone and read when Prometheus asks:
    a counter of the client library costs ten times as much, and there is one for each policy that had something to say.
    """

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._requests: defaultdict[Labels, int] = defaultdict(int, {("CREATE", outcome): 0 for outcome in OUTCOMES})
        self._evaluations: defaultdict[Labels, int] = defaultdict(int)
        self._refusals: defaultdict[Labels, int] = defaultdict(int)
        self._sides: defaultdict[Labels, int] = defaultdict(int)
        self._audited_pods: defaultdict[Labels, int] = defaultdict(int)
        self._audited_policies: defaultdict[Labels, int] = defaultdict(int)
        self._would_mutate = 0
        self._unschedulable = 0
        self._live: list[tuple[str, str, Callable[[], float]]] = []
        self.registry.register(self)
        registry = self.registry
        self._duration = Histogram(
            "bayplan_admission_duration_seconds",
            "Time from a request's last byte to its answer.",
            buckets=SECONDS,
            registry=registry,
        )
        self.bundle = Gauge(
            "bayplan_bundle_info",
            "The active bundles, and those before them where they are rolled out to some workloads.",
            ("name", "version", "revision", "digest", "side"),
            registry=registry,
        )
        self.activated = Gauge(
            "bayplan_bundle_last_success_activation_timestamp_seconds",
            "When the active bundle or inventory became active.",
            registry=registry,
        )
        self.activation_failures = Counter(
            "bayplan_activation_failures",
            "Bundles and inventories that were not activated, by the step that failed.",
            ("step",),
            registry=registry,
        )
        for step in STEPS:
            self.activation_failures.labels(step)
        self.activation_seconds = Histogram(
            "bayplan_activation_duration_seconds",
            "Time to build and swap what decides, by what changed.",
            ("cause",),
            buckets=SECONDS,
            registry=registry,
        )
        self.cache_objects = Gauge(
            "bayplan_cache_objects", "Objects of the cluster that are known.", ("kind",), registry=registry
        )
        self.cache_synced = Gauge(
            "bayplan_cache_synced", "1 once all objects of the kind have been listed.", ("kind",), registry=registry
        )
        self.cache_contact = Gauge(
            "bayplan_cache_last_contact_timestamp_seconds",
            "When the API server last said anything about the kind.",
            ("kind",),
            registry=registry,
        )
        self.watch_restarts = Counter(
            "bayplan_watch_restarts", "Watches that ended, by why.", ("kind", "reason"), registry=registry
        )
        self.lookups = Counter(
            "bayplan_namespace_lookups",
            "Namespaces that a watch did not know, asked for at the API server, by what came of it.",
            ("result",),
            registry=registry,
        )
        self.dropped = Counter(
            "bayplan_decision_log_dropped", "Lines of the decision log that were lost.", ("reason",), registry=registry
        )
        for reason in ("full", "write"):
            self.dropped.labels(reason)
        self.log_dropped = Counter(
            "bayplan_log_dropped", "Lines of the log on standard error that were lost.", registry=registry
        )
        self.shadow_decisions = Counter(
            "bayplan_shadow_decisions", "Pods that the shadow was asked about.", registry=registry
        )
        self.shadow_differences = Counter(
            "bayplan_shadow_differences",
            "Pods about which the shadow decides otherwise, by what it would do.",
            ("difference",),
            registry=registry,
        )
        self.shadow_dropped = Counter(
            "bayplan_shadow_dropped", "Pods that the shadow was not asked about.", registry=registry
        )
        self.events = Counter(
            "bayplan_events",
            "Events about pods that are refused or will wait, by what became of them.",
            ("result",),
            registry=registry,
        )
        self.store_kept = Counter(
            "bayplan_store_kept", "Decisions that were committed to the store.", registry=registry
        )
        self.store_dropped = Counter(
            "bayplan_store_dropped", "Decisions that are not in the store, by why.", ("reason",), registry=registry
        )
        for reason in ("full", "stop", "bug"):
            self.store_dropped.labels(reason)
        self.store_failures = Counter(
            "bayplan_store_failures", "Times that the store could not be written; it is tried again.", registry=registry
        )
        self.otlp_sent = Counter(
            "bayplan_otlp_logs_sent", "Decisions that a collector took as log records.", registry=registry
        )
        self.otlp_dropped = Counter(
            "bayplan_otlp_logs_dropped", "Decisions that no collector took, by why.", ("reason",), registry=registry
        )
        for reason in ("full", "refused", "stop", "bug"):
            self.otlp_dropped.labels(reason)
        Gauge("bayplan_build_info", "The running version.", ("version",), registry=registry).labels(version).set(1)

    def admission(self, operation: str, outcome: str, seconds: float) -> None:
        """Count one answered request, by one of the `OUTCOMES`."""
        self._requests[operation, outcome] += 1
        self._duration.observe(seconds)

    def evaluation(self, bundle: str, policy: str, mode: str, result: str) -> None:
        """Count what became of one policy for one pod."""
        labels = _within(self._evaluations, (bundle, policy, mode, result))
        if labels not in self._evaluations:
            self._evaluations[(*labels[:3], "failed")] += 0
        self._evaluations[labels] += 1

    def refused(self, port: str, reason: str) -> None:
        """Count a request or a connection that got no review: `reason` is an HTTP status, or a word where none was."""
        self._refusals[port, reason] += 1

    def audited(self, outcome: str) -> None:
        """Count a pod that something in audit mode is about, by what enforcing it would have come to: denied,
        unschedulable, mutated or unchanged."""
        self._audited_pods[(outcome,)] += 1
        self._would_mutate += outcome != "unchanged"

    def audited_policy(self, bundle: str, policy: str, outcome: str) -> None:
        """Count what would have become of one policy for one pod, where audit mode kept it from that."""
        self._audited_policies[_within(self._audited_policies, (bundle, policy, outcome))] += 1

    def unschedulable(self) -> None:
        """Count a pod that was patched, and then may only run where taints bar it."""
        self._unschedulable += 1

    def live(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge that is read when Prometheus asks."""
        self._live.append((name, text, value))

    def activate(self, revisions: Iterable[ActiveBundle], previous: Iterable[ActiveBundle] = ()) -> None:
        """Say which bundles are active from now on, and which ones are `previous` to them for some workloads."""
        self.bundle.clear()
        for side, each in (("active", revisions), ("previous", previous)):
            for one in each:
                self.bundle.labels(one.name, one.version, str(one), one.digest, side).set(1)
        self.activated.set(time.time())

    def rolled_out(self, side: str) -> None:
        """Count a decision by whether the active bundle made it, or the previous one."""
        self._sides[(side,)] += 1

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        yield _family(
            "bayplan_admission_requests",
            "Answered admission requests.",
            ("operation", "outcome"),
            self._requests,
        )
        yield _family(
            "bayplan_policy_evaluations",
            "What became of each policy, pods that it does not match left out.",
            ("bundle", "policy", "mode", "result"),
            self._evaluations,
        )
        yield _family(
            "bayplan_refusals",
            "Requests and connections that got no review, by HTTP status, or by a word where there was no HTTP.",
            ("port", "reason"),
            self._refusals,
        )
        yield _family(
            "bayplan_rollout_decisions",
            "Decisions while bundles are rolled out to some workloads, by which side made them.",
            ("side",),
            self._sides,
        )
        yield _family(
            "bayplan_audited_pods",
            "Pods that something in audit mode is about, by what enforcing it would have come to.",
            ("outcome",),
            self._audited_pods,
        )
        yield _family(
            "bayplan_audited_policies",
            "What would have become of each policy, where audit mode kept it from that.",
            ("bundle", "policy", "outcome"),
            self._audited_policies,
        )
        yield CounterMetricFamily(
            "bayplan_would_mutate", "Pods that audit mode left as they were.", value=self._would_mutate
        )
        yield CounterMetricFamily(
            "bayplan_unschedulable_pods",
            "Pods that were patched, and may only run where taints bar them.",
            value=self._unschedulable,
        )
        for name, text, value in self._live:
            yield GaugeMetricFamily(name, text, value=value())

    def text(self, *, policies: bool = True) -> bytes:
        """Everything in Prometheus' text format; without `policies`, nothing that names a bundle or a policy."""
        return generate_latest(self.registry if policies else _Unnamed(self.registry))


class _Unnamed:
    """A registry's metrics, those without samples of which one names a bundle or a policy."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            if family.name in NAMING:
                family.samples = []
            yield family


def _within(counts: dict[Labels, int], labels: Labels) -> Labels:
    """The labels under which to count, within `MAX_SERIES`: the first two, of which there is no end, are left out."""
    if labels in counts or len(counts) < MAX_SERIES:
        return labels
    return (OTHERS, OTHERS, *labels[2:])


def _family(name: str, text: str, labels: Labels, counts: dict[Labels, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in tuple(counts.items()):
        family.add_metric(values, count)
    return family
