"""Answer the API server as its mutating admission webhook.

Pools come from the Nodes of the cluster, and from Karpenter's and Cluster API's objects there, followed while they come
and go, from files, or from both; what a file says of a pool wins. A bundle or file that changes is activated when it is
sound, a bundle's own tests included; until then, and if it is not, the last good one keeps deciding. Several bundles
decide together, each with a source and a beginning of policies' names of its own.

Standard output gets one JSON line per logged decision, standard error everything else.

example:
  bayplan serve --bundle policies/gpu --pools policies/gpu/pools --dev --mode audit
  bayplan serve --bundle policies/gpu --context staging --tls-cert tls.crt --tls-key tls.key
  bayplan serve --bundle policies/gpu --owns gpu- --bundle policies/net --owns net- --pools pools.yaml --dev
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import CommandError
from cli.served import add_bundles, served_bundles
from engine.bundle import FAILURE_POLICIES, MODES
from engine.release import VERSION

if TYPE_CHECKING:
    from telemetry import Collector
    from webhook import StoreOptions

OTLP_HEADERS = ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
"""Variables that OpenTelemetry has for headers, the narrower one first."""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of `bayplan serve`."""
    add_bundles(parser)
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="enforce",
        help="the most that is done; a bundle's or a policy's own mode may be more careful (default: enforce)",
    )
    parser.add_argument(
        "--state",
        metavar="DIR",
        help="a folder to keep the last good revisions in, and what was pinned, suspended or rolled back (default: "
        "nothing outlasts a restart)",
    )
    add_store(parser.add_argument_group("store"))
    add_collector(parser.add_argument_group("collector"))
    pools = parser.add_argument_group("pools and cluster")
    pools.add_argument(
        "--pools",
        action="append",
        default=[],
        metavar="FILE",
        help="an inventory, Nodes or NodePools, file or folder; may be repeated",
    )
    pools.add_argument(
        "--kubeconfig", metavar="FILE", help="the cluster to watch (default: the one that this runs in, else kubectl's)"
    )
    pools.add_argument("--context", metavar="NAME", help="the context of the kubeconfig")
    pools.add_argument(
        "--in-cluster",
        choices=("auto", "yes", "no"),
        default="auto",
        help="whether to use this pod's service account (default: auto)",
    )
    pools.add_argument(
        "--pool-label",
        action="append",
        default=[],
        metavar="KEY",
        help="a node label that tells pools apart here, before those of the known providers; may be repeated",
    )
    pools.add_argument("--cluster-name", default="", metavar="NAME", help="`cluster.name` in expressions")
    pools.add_argument(
        "--cluster-label",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one of `cluster.labels` in expressions; may be repeated",
    )
    serving = parser.add_argument_group("serving")
    serving.add_argument(
        "--listen",
        default="[::]:8443",
        metavar="HOST:PORT",
        help="where admission is served over TLS (default: [::]:8443, all addresses of IPv4 and IPv6)",
    )
    serving.add_argument(
        "--health",
        default="[::]:8080",
        metavar="HOST:PORT",
        help="where /healthz, /readyz and /metrics are (default: [::]:8080)",
    )
    serving.add_argument(
        "--status-token-file",
        metavar="FILE",
        help="the token with which /readyz says why and /metrics names policies and bundles (default: nobody is told)",
    )
    serving.add_argument(
        "--operator-token-file",
        metavar="FILE",
        help="the token with which POST /rollback, /pin, /suspend and /resume are obeyed (default: the one above)",
    )
    serving.add_argument("--tls-cert", metavar="FILE", help="the certificate chain, PEM; loaded again when it changes")
    serving.add_argument("--tls-key", metavar="FILE", help="its private key, PEM")
    serving.add_argument(
        "--client-ca",
        metavar="FILE",
        help="answer only clients with a certificate of these authorities, PEM; loaded again when it changes",
    )
    serving.add_argument(
        "--client-name",
        action="append",
        default=[],
        metavar="NAME",
        help="of them only those whose certificate carries this name; may be repeated (default: all of them)",
    )
    serving.add_argument(
        "--dev", action="store_true", help="make a certificate, and print the webhook configuration to apply"
    )
    serving.add_argument(
        "--dev-url", metavar="URL", help="how the API server reaches this machine (default: https://127.0.0.1:PORT)"
    )
    serving.add_argument("--dev-config", metavar="FILE", help="write the webhook configuration to a file instead")
    serving.add_argument(
        "--dev-namespace",
        action="append",
        default=[],
        metavar="NAME",
        help="have only the pods of this namespace sent here; may be repeated (default: all but the system's)",
    )
    serving.add_argument(
        "--failure-policy",
        choices=FAILURE_POLICIES,
        default="Ignore",
        help="what happens to a pod that a bug keeps from being decided (default: Ignore)",
    )
    serving.add_argument(
        "--namespace",
        metavar="NAME",
        help="the namespace that this runs in, which is left alone (default: the service account's, else bayplan)",
    )
    serving.add_argument(
        "--daemonset-controller",
        action="append",
        default=[],
        metavar="USER",
        help="a user that makes the pods of DaemonSets, which are left alone; may be repeated (default: "
        "system:serviceaccount:kube-system:daemon-set-controller and system:kube-controller-manager)",
    )
    serving.add_argument(
        "--log-decisions",
        choices=("changed", "all", "none"),
        default="changed",
        help="which decisions are logged: `changed`, those that change or refuse a pod or warn, and every audited "
        "one; `all`, whole; or `none`; those in which a policy failed always are (default: changed)",
    )
    serving.add_argument(
        "--events",
        action="store_true",
        help="write Kubernetes Events about pods that are refused, to their controllers, and about pods that will wait "
        "(default: nothing is written to the cluster)",
    )
    serving.add_argument(
        "--shutdown-delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long to keep answering after SIGTERM while connections move elsewhere (default: 0)",
    )


def add_store(store: argparse._ArgumentGroup) -> None:
    """The arguments that say where decisions are kept, and how much of them."""
    store.add_argument(
        "--store",
        metavar="DIR",
        help="a folder to keep decisions in with their pods, environments left out, so that `bayplan replay` can make "
        "them again (default: none are kept)",
    )
    store.add_argument(
        "--store-as",
        choices=("sqlite", "files"),
        default="sqlite",
        help="how they are kept: in a database, or as `files` of JSON Lines, for other tools to read (default: sqlite)",
    )
    store.add_argument(
        "--store-days", type=float, default=7.0, metavar="DAYS", help="how long they are kept at most (default: 7)"
    )
    store.add_argument(
        "--store-decisions",
        type=int,
        default=100_000,
        metavar="COUNT",
        help="how many are kept at most; the oldest go first (default: 100000)",
    )
    store.add_argument(
        "--store-size",
        default="256Mi",
        metavar="SIZE",
        help="what the store takes on disk at most, at least 16Mi (default: 256Mi)",
    )


def add_collector(collector: argparse._ArgumentGroup) -> None:
    """The arguments that say which OpenTelemetry collector gets decisions."""
    collector.add_argument(
        "--otlp-logs",
        metavar="URL",
        help="send the decision log as log records to an OpenTelemetry collector, OTLP over HTTP, as in "
        "http://collector:4318 (default: nothing is sent)",
    )
    collector.add_argument(
        "--otlp-headers",
        metavar="FILE",
        help="headers that it is shown, `Name: value`, one a line; read again for each request (default: those of "
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS or OTEL_EXPORTER_OTLP_HEADERS)",
    )
    collector.add_argument("--otlp-ca", metavar="FILE", help="its authorities, PEM (default: the system's)")


def collected(args: argparse.Namespace) -> Collector | None:
    """Where decisions are sent; None where they are not."""
    from telemetry import Collector, headers_of

    for flag, path in (("--otlp-headers", args.otlp_headers), ("--otlp-ca", args.otlp_ca)):
        if path and not args.otlp_logs:
            raise CommandError(f"{flag} goes with --otlp-logs")
        if path and not Path(path).is_file():
            raise CommandError(f"{flag} `{path}` is no file")
    if not args.otlp_logs:
        return None
    resource = {
        "service.name": "bayplan",
        "service.version": VERSION,
        "service.instance.id": platform.node(),
        "k8s.cluster.name": args.cluster_name,
    }
    said = {key: value for key, value in resource.items() if value}
    variable = next(filter(os.environ.get, OTLP_HEADERS), "")
    try:
        fixed = headers_of(os.environ[variable]) if variable and not args.otlp_headers else {}
    except ValueError as error:
        raise CommandError(f"{variable}: {error}") from error
    try:
        return Collector(args.otlp_logs, args.otlp_headers, args.otlp_ca, said, fixed)
    except ValueError as error:
        raise CommandError(f"--otlp-logs: {error}") from error


def stored(args: argparse.Namespace) -> StoreOptions | None:
    """Where decisions are kept; None where they are not."""
    from engine.documents import parse_quantity
    from webhook import StoreOptions

    try:
        size = int(parse_quantity(args.store_size))
    except ValueError as error:
        raise CommandError(f"--store-size `{args.store_size}` is no size, as in 256Mi") from error
    if size < 16 << 20:
        raise CommandError(f"--store-size `{args.store_size}` is too little: at least 16Mi")
    if args.store_days <= 0 or args.store_decisions <= 0:
        raise CommandError("--store-days and --store-decisions must be more than 0")
    if not args.store:
        return None
    return StoreOptions(args.store, args.store_days, args.store_decisions, size, args.store_as)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    gc.disable()  # until all is imported, which is there to stay: `serve` goes on from there
    from cluster import ClusterError
    from delivery import StepFailedError
    from engine.documents import BundleError
    from engine.pods import DAEMON_SET_CONTROLLERS
    from webhook import CertificateError, ListenError, Options, serve

    _check(args)
    options = Options(
        bundles=served_bundles(args),
        mode=args.mode,
        pools=tuple(args.pools),
        kubeconfig=args.kubeconfig,
        context=args.context,
        in_cluster=args.in_cluster,
        pool_labels=tuple(args.pool_label),
        cluster_name=args.cluster_name,
        cluster_labels=_labels(args.cluster_label),
        listen=args.listen,
        health=args.health,
        certificate=args.tls_cert,
        key=args.tls_key,
        client_authority=args.client_ca,
        client_names=tuple(args.client_name),
        status_token=args.status_token_file,
        operator_token=args.operator_token_file,
        dev_url=args.dev_url,
        dev_config=args.dev_config,
        dev_namespaces=tuple(args.dev_namespace),
        failure_policy=args.failure_policy,
        namespace=args.namespace,
        daemon_set_controllers=tuple(args.daemonset_controller) or DAEMON_SET_CONTROLLERS,
        log_decisions=args.log_decisions,
        shutdown_delay=args.shutdown_delay,
        state=args.state,
        store=stored(args),
        collector=collected(args),
        events=args.events,
        rollout=100 if args.rollout_bundle is None else args.rollout_bundle,
    )
    if options.events and not options.watches:
        raise CommandError("--events goes with a cluster to write them to: say --context or --kubeconfig")
    try:
        serve(options, sys.stdout.buffer)
    except ClusterError as error:
        unasked = not (args.pools or args.kubeconfig or args.context)
        hint = "; with --pools FILE none is needed" if unasked else ""
        raise CommandError(f"{error}{hint}") from error
    except StepFailedError as error:
        if error.problems:
            raise BundleError(error.problems) from error
        raise CommandError(f"the step `{error.step}` failed: {error}") from error
    except (CertificateError, ListenError) as error:
        raise CommandError(str(error)) from error
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse what can be seen to be wrong at once."""
    for flag, path in (
        ("--status-token-file", args.status_token_file),
        ("--operator-token-file", args.operator_token_file),
    ):
        if path and not Path(path).is_file():
            raise CommandError(f"{flag} `{path}` is no file")
    if args.dev == bool(args.tls_cert or args.tls_key):
        raise CommandError("give --tls-cert and --tls-key, or --dev for a certificate of our own")
    if bool(args.tls_cert) != bool(args.tls_key):
        raise CommandError("--tls-cert and --tls-key go together")
    if (args.dev_url or args.dev_config or args.dev_namespace) and not args.dev:
        raise CommandError("--dev-url, --dev-config and --dev-namespace go with --dev")
    if args.dev_url and not args.dev_url.startswith("https://"):
        raise CommandError(f"--dev-url `{args.dev_url}` is not an https URL, and the API server calls no other")
    if args.client_name and not args.client_ca:
        raise CommandError("--client-name goes with --client-ca")


def _labels(pairs: list[str]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise CommandError(f"--cluster-label `{pair}` is not KEY=VALUE")
        labels[key] = value
    return labels
