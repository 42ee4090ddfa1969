"""The whole webhook as one process: what `bayplan serve` runs."""

from __future__ import annotations

import contextlib
import gc
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import urlsplit

from cluster import (
    ClusterError,
    Events,
    FleetWatch,
    InCluster,
    Namespaces,
    PolicyWatch,
    connect,
    inside,
    own_namespace,
    release_of,
)
from delivery import (
    Activation,
    Candidate,
    Demands,
    Follower,
    LiveInventory,
    Neighbours,
    Overrides,
    Rolling,
    Stages,
    Statuses,
    Store,
    Trusted,
    decider_of,
    followed,
    read_address,
)
from engine.bundle import FailurePolicy, HandsOn
from engine.decision import OWN_NAMESPACE
from engine.pods import DAEMON_SET_CONTROLLERS
from engine.pools import POOL_LABELS
from engine.release import VERSION
from engine.struct import Struct, field, replace
from telemetry import Collector, DecisionLog, LogExport, Metrics, Refusals, configure_logging
from webhook.admission import Admission, LogDecisions
from webhook.app import Reviews, admission_app, counted
from webhook.certificates import Certificate
from webhook.configuration import configuration
from webhook.health import Health, HealthApp
from webhook.notices import Notices
from webhook.pair import development, development_folder
from webhook.server import Port, Serving, address_of, listen
from webhook.shadow import Shadow
from webhook.storing import Exported, StoreOptions, keeping, recorder_of, told_of
from webhook.validation import Validation

GARBAGE = 1_000_000
"""New containers between collections; the interpreter's 700 are a tenth of what one burst of requests holds."""


class BundleOptions(Struct, frozen=True, kw_only=True):
    """One of the bundles that `bayplan serve` is given, and how it is followed. What ends in `_seconds` is in
    seconds."""

    source: str
    poll_seconds: float = 60.0
    timeout_seconds: float = 60.0
    credentials: str | None = None
    overrides: Overrides = field(default_factory=Overrides)
    trusted: Trusted | None = None
    owns: tuple[str, ...] = ()
    refuse_conflicts: bool = False
    shadow: str | None = None
    previous: str | None = None


class Options(Struct, frozen=True, kw_only=True):
    """What `bayplan serve` is given; the help of its flags says what each means. `shutdown_delay` is in seconds,
    `rollout` in workloads of a hundred."""

    bundles: tuple[BundleOptions, ...]
    mode: str = "enforce"
    pools: tuple[str, ...] = ()
    kubeconfig: str | None = None
    context: str | None = None
    in_cluster: InCluster = "auto"
    pool_labels: tuple[str, ...] = ()
    cluster_name: str = ""
    cluster_labels: Mapping[str, str] = {}
    listen: str = "[::]:8443"
    health: str = "[::]:8080"
    certificate: str | None = None
    key: str | None = None
    client_authority: str | None = None
    client_names: tuple[str, ...] = ()
    status_token: str | None = None
    operator_token: str | None = None
    dev_url: str | None = None
    dev_config: str | None = None
    dev_namespaces: tuple[str, ...] = ()
    failure_policy: FailurePolicy = "Ignore"
    namespace: str | None = None
    daemon_set_controllers: tuple[str, ...] = DAEMON_SET_CONTROLLERS
    log_decisions: LogDecisions = "changed"
    shutdown_delay: float = 0.0
    state: str | None = None
    store: StoreOptions | None = None
    rollout: int = 100
    events: bool = False
    collector: Collector | None = None

    @property
    def own_namespace(self) -> str:
        """The namespace that is left alone because this runs in it."""
        return self.namespace or own_namespace() or OWN_NAMESPACE

    @property
    def followed_objects(self) -> dict[str, str]:
        """The sources that are objects of the cluster, and the names of the bundles there."""
        said = [source for one in self.bundles for source in (one.source, one.shadow, one.previous) if source]
        found = {source: read_address(source) for source in said}
        return {source: address.location for source, address in found.items() if address.kind == "objects"}

    @property
    def watches(self) -> bool:
        """Whether a cluster is watched: always without files of pools, or for policies that are objects of it; else
        where one is named or this runs in one."""
        asked = bool(self.kubeconfig or self.context) or self.in_cluster == "yes" or bool(self.followed_objects)
        return asked or not self.pools or (self.in_cluster == "auto" and inside())


def serve(options: Options, output: BinaryIO) -> None:
    """Serve until SIGTERM or SIGINT; decisions are logged to `output`, everything else to standard error.

    Raises BundleError, ListenError, CertificateError, ClusterError or OSError for what keeps it from starting.
    """
    _settle()
    metrics = Metrics(VERSION)
    with contextlib.ExitStack() as stack:
        stack.callback(configure_logging(metrics.log_dropped.inc))
        admission_port, health_port = (
            stack.enter_context(contextlib.closing(listen(address))) for address in (options.listen, options.health)
        )
        port = address_of(admission_port).rpartition(":")[2]
        url = (options.dev_url or f"https://127.0.0.1:{port}").rstrip("/")
        certificate, authority = _certificate(options, url, stack)
        cluster = connect(options.kubeconfig, options.context, options.in_cluster) if options.watches else None
        namespaces = Namespaces(cluster, metrics) if cluster else None
        fleet = FleetWatch(cluster, lambda: activation.fleet_changed(), metrics) if cluster else None
        reflectors = [*fleet.reflectors, namespaces.reflector] if fleet and namespaces else []
        live = LiveInventory(fleet.take if fleet else None, (*options.pool_labels, *POOL_LABELS), options.pools)
        stages = _stages(options, live)
        objects = {s: PolicyWatch(cluster, name, metrics) for s, name in options.followed_objects.items() if cluster}
        reflectors += [reflector for watch in objects.values() for reflector in watch.reflectors]
        previous = {
            i: each.previous for i, each in enumerate(options.bundles) if each.previous and options.rollout < 100
        }
        rolling = Rolling(options.rollout, previous) if previous else None
        recorder = recorder_of(options.store, metrics) if options.store else None
        activation = Activation(stages, metrics, [*map(Path, options.pools)], _names(options), rolling)
        release = partial(release_of, cluster) if cluster else str
        several = len(options.bundles) > 1
        neighbours = Neighbours(len(options.bundles), _cluster(options)) if several else None
        follow = partial(_follower, options, metrics, release, objects)
        followers = [
            follow(i, each.source, keeping(recorder, partial(activation.take, place=i)), neighbours)
            for i, each in enumerate(options.bundles)
        ]
        followers += [
            follow(i, source, keeping(recorder, partial(activation.take_previous, place=i)), side="previous")
            for i, source in previous.items()
        ]
        for reflector in reversed(reflectors):
            stack.callback(reflector.stop)
        for reflector in reflectors:
            reflector.start()
        for follower in followers:
            follower.first()
        activation.first()
        if authority:
            _tell(options, url, authority, activation.hands_on, output)
        export = LogExport(options.collector, Exported(metrics)) if options.collector else None
        decisions = DecisionLog(
            output,
            lambda reason, lines: metrics.dropped.labels(reason).inc(lines),
            also=export.write if export else None,
        )
        stack.callback(decisions.close)
        shadowed = any(each.shadow for each in options.bundles)
        shadow = Shadow(activation, stages.build, metrics, decisions) if shadowed else None
        notices = Notices(Events(cluster), metrics) if options.events and cluster else None
        watchers = tuple(each for each in (shadow, notices) if each is not None)
        statuses = [
            Statuses(objects[each.source], follower, time.time)
            for each, follower in zip(options.bundles, followers, strict=False)
            if each.source in objects
        ]
        optional = tuple(each for each in (export, notices, recorder) if each is not None)
        beside = (*statuses, *_shadowing(options, shadow, follow), *optional)
        for part in (certificate, activation, *followers, *beside):
            stack.callback(part.stop)
            part.start()
        refusals, strangers = Refusals(metrics, "admission"), Refusals(metrics, "health")
        reviews = Reviews(
            Admission(
                activation,
                metrics,
                namespaces,
                failure_policy=options.failure_policy,
                decisions=decisions,
                log_decisions=options.log_decisions,
                watchers=watchers,
                store=recorder,
            ),
            refusals,
            Validation(partial(_bundle_of, tuple(objects.values()))) if objects else None,
        )
        serving: Serving

        def stored() -> tuple[str, ...]:
            return (*(recorder.complaints() if recorder else ()), export.complaint if export else "")

        def store() -> dict[str, Any] | None:
            return told_of(recorder, options.store.folder) if recorder and options.store else None

        def notes() -> list[str]:
            told = [complaint for follower in followers for complaint in follower.status.complaints]
            return [complaint for complaint in (*told, *activation.complaints(), *stored()) if complaint]

        def unready() -> list[str]:
            unlisted = [f"{r.kind.name}: {r.problem}" for r in reflectors if not r.answered]
            waiting = activation.unready()
            return (["stopping"] if serving.draining else []) + waiting + (notes() if waiting else []) + unlisted

        token = Path(options.status_token) if options.status_token else None
        operators = Path(options.operator_token) if options.operator_token else token
        health = HealthApp(Health(metrics, unready, lambda: serving.stuck(), token, notes, followers, operators, store))
        serving = Serving(
            reviews,
            Port(admission_app(reviews, refusals), refusals, context=certificate.context, names=options.client_names),
            Port(counted(health, strangers), strangers),
            shutdown_delay=options.shutdown_delay,
        )
        _gauges(metrics, activation, decisions, followers)
        expires = "When the serving certificate expires, NaN where that can't be read."
        metrics.live("bayplan_tls_cert_expiry_timestamp_seconds", expires, certificate.expiry)
        if shadow:
            metrics.live("bayplan_shadow_queue_depth", "Pods that wait for the shadow.", shadow.depth)
        if recorder:
            metrics.live("bayplan_store_queue_depth", "Decisions that wait for the store.", recorder.depth)
            metrics.live("bayplan_store_bytes", "What the store takes on disk.", recorder.bytes)
            failing = "1 while the store can't be written."
            metrics.live("bayplan_store_failing", failing, recorder.failing)
        if export:
            told = "Decisions that wait to be sent to the collector."
            metrics.live("bayplan_otlp_logs_queue_depth", told, export.depth)
            metrics.live("bayplan_otlp_logs_failing", "1 while no collector takes decisions.", export.failing)
        if notices:
            waiting = "Events that are to be written, and pods that are to be looked for."
            metrics.live("bayplan_events_queue_depth", waiting, notices.depth)
        gc.collect()
        _settle()
        serving.run(admission_port, health_port)


def _shadowing(options: Options, shadow: Shadow | None, follow: Callable[..., Follower]) -> Iterator[Shadow | Follower]:
    """The shadow and who follows its sources; what is wrong with that is told, and keeps nobody from serving."""
    if shadow is None:
        return
    yield shadow
    for place, each in enumerate(options.bundles):
        if each.shadow:
            yield follow(place, each.shadow, partial(shadow.take, place=place), side="shadow")


def _bundle_of(watches: Iterable[PolicyWatch], name: str) -> Mapping[str, Any] | None:
    """The Bundle of a name among the objects that are followed, if it is known."""
    for watch in watches:
        with contextlib.suppress(ClusterError):
            if watch.name == name:
                return watch.take().bundle
    return None


def _names(options: Options) -> list[str]:
    """How the bundles are called where they are waited for: the only one is simply the bundle."""
    return [each.source for each in options.bundles] if len(options.bundles) > 1 else [""]


def _cluster(options: Options) -> Mapping[str, Any]:
    """What expressions see as `cluster`."""
    return {"name": options.cluster_name, "labels": dict(options.cluster_labels)}


def _stages(options: Options, live: LiveInventory) -> Stages:
    build = partial(
        decider_of,
        mode=options.mode,
        cluster=_cluster(options),
        own_namespace=options.own_namespace,
        daemon_set_controllers=options.daemon_set_controllers,
    )
    return Stages(live.take, build)


def _follower(
    options: Options,
    metrics: Metrics,
    release: Callable[[], str],
    objects: Mapping[str, PolicyWatch],
    place: int,
    source: str,
    take: Callable[[Candidate, str, float], None],
    neighbours: Neighbours | None = None,
    side: Literal["active", "previous", "shadow"] = "active",
) -> Follower:
    """Who follows a source for the bundle in a place, of which the same is asked whichever source it is. What a shadow
    was is not kept. `release` is the cluster's; `objects` are watched, by the source that they are."""
    bundle = options.bundles[place]
    demands = Demands(
        vouch=bundle.trusted.vouch if bundle.trusted else None,
        overrides=bundle.overrides,
        owns=bundle.owns,
        others={prefix: other.source for other in options.bundles if other is not bundle for prefix in other.owns},
        strict=bundle.refuse_conflicts,
        bayplan=VERSION,
        kubernetes=release,
    )
    credentials = Path(bundle.credentials) if bundle.credentials else None
    store = Store(Path(options.state), source) if options.state and side != "shadow" else None
    watch = objects.get(source)
    asked = followed(read_address(source), bundle.poll_seconds, demands, credentials, bundle.timeout_seconds, watch)
    if side != "shadow" and bundle.previous:
        asked = replace(asked, side=side, percent=options.rollout if side == "active" else 100 - options.rollout)
    return Follower(asked, take, metrics, store, (neighbours, place) if neighbours else None)


def _certificate(options: Options, url: str, stack: contextlib.ExitStack) -> tuple[Certificate, bytes]:
    """The certificate of the files; or one made for development, with its authority."""
    authority = Path(options.client_authority) if options.client_authority else None
    if options.certificate and options.key:
        return Certificate(Path(options.certificate), Path(options.key), authority), b""
    names = dict.fromkeys([urlsplit(url).hostname or "127.0.0.1", "localhost", "127.0.0.1", "::1"])
    pair = development(list(names))
    folder = Path(stack.enter_context(development_folder()))
    return Certificate(*pair.write(folder), authority), pair.authority


def _tell(options: Options, url: str, authority: bytes, hands_on: Sequence[HandsOn], output: BinaryIO) -> None:
    """Print the webhook configuration for development, or write it where it is wanted."""
    text = configuration(
        f"{url}/mutate",
        authority,
        options.own_namespace,
        options.failure_policy,
        options.dev_namespaces,
        options.daemon_set_controllers,
        hands_on,
        events=options.events,
    )
    if options.dev_config:
        Path(options.dev_config).write_text(text)
    else:
        output.write(text.encode())
        output.flush()


def _settle() -> None:
    """Collect less often, and never again what is loaded by now: an admission makes garbage without cycles."""
    gc.freeze()
    gc.set_threshold(GARBAGE)
    gc.enable()


def _gauges(metrics: Metrics, activation: Activation, decisions: DecisionLog, followers: Sequence[Follower]) -> None:
    """What is read when Prometheus asks; of several bundles, what is worst."""
    metrics.live("bayplan_inventory_pools", "Pools that decisions know of.", activation.pools)
    metrics.live("bayplan_inventory_strays", "Nodes that belong to no pool.", activation.strays)
    metrics.live("bayplan_decision_log_queue_depth", "Lines that wait to be written.", decisions.depth)

    def of_each(worst: Callable[[Iterable[float]], float], of: Callable[[Follower], float]) -> Callable[[], float]:
        return lambda: worst(of(follower) for follower in followers)

    metrics.live(
        "bayplan_bundle_last_success_request_timestamp_seconds",
        "When a source of bundles last said what it has; of several, the one that did so longest ago. Sources that are "
        "suspended are left out; NaN where all are.",
        lambda: min(
            (one.status.last_successful_request for one in followers if not one.status.suspended), default=math.nan
        ),
    )
    metrics.live(
        "bayplan_bundle_last_success_download_timestamp_seconds",
        "When a source of bundles last handed one out; of several, the one that did so longest ago.",
        of_each(min, lambda one: one.status.last_successful_download),
    )
    metrics.live(
        "bayplan_bundle_expiry_timestamp_seconds",
        "Until when the active bundle was signed, 0 for no end; past it, it goes on deciding. Of several, the first.",
        of_each(lambda ends: min(filter(None, ends), default=0.0), lambda one: one.status.expires),
    )
    held = "1 while a bundle is pinned, suspended or held back."
    metrics.live("bayplan_bundle_held", held, of_each(max, lambda one: float(one.held)))
    failing = "1 while what a source of bundles has is not active, because a step failed."
    metrics.live("bayplan_bundle_failing", failing, of_each(max, lambda one: float(bool(one.status.step))))
