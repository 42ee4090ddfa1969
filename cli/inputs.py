"""What the commands read: pools and pods, from files, standard input or a cluster."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from cli.owned import OfBundle, Owner, overlaps, said_of
from delivery import ARCHIVES, Batch, SourceError, bundle_as_read, pieces, pieces_of, read_documents, streamed_documents
from engine.bundle import Bundle
from engine.decision import OWN_NAMESPACE, Decider
from engine.documents import BundleError, Manifest, Problem, Source
from engine.pods import IncomingPod, pods_from_documents, unlisted
from engine.pools import POOL_LABELS, Census, Inventory, inventory_from_documents, live_inventory
from engine.program import Program, compile_bundle

Json = Mapping[str, Any]
Place = Path | str
"""Where a bundle is: a path, or an address."""
A_BUNDLE = "a folder, an archive, git+… or oci://…"
DESCRIPTORS = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
"""Names of what is open already; other pipes are not read, for they may never end, and nobody may write into them."""


def add_pools(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which pools there are."""
    group = parser.add_argument_group("pools")
    group.add_argument(
        "--pools",
        metavar="FILE",
        action="append",
        default=[],
        help="an inventory, Nodes or NodePools: a file, a folder or -; may be repeated",
    )
    group.add_argument("--context", metavar="NAME", help="the pools of this context of the kubeconfig")
    group.add_argument("--kubeconfig", metavar="FILE", help="the kubeconfig (default: kubectl's)")
    group.add_argument(
        "--in-cluster",
        choices=("auto", "yes", "no"),
        default="no",
        help="whether to use this pod's service account (default: no)",
    )
    group.add_argument(
        "--pool-label",
        metavar="KEY",
        action="append",
        default=[],
        help="a node label that tells pools apart here, before those of the known providers; may be repeated",
    )


def add_pods(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which pods to decide about, those of a cluster among them."""
    parser.add_argument(
        "--pods",
        metavar="FILE",
        nargs="+",
        default=[],
        help="files, folders, or - for standard input (default: the pods of the cluster)",
    )
    add_namespaces(parser)


def add_namespaces(parser: argparse.ArgumentParser) -> None:
    """The argument that says which Namespaces there are, with their labels."""
    parser.add_argument(
        "--namespace",
        metavar="FILE",
        action="append",
        default=[],
        help="Namespaces with their labels, matched by name; may be repeated",
    )


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """The arguments that say what expressions see as `cluster`, the same as those of `serve`."""
    group = parser.add_argument_group("cluster")
    group.add_argument("--cluster-name", default="", metavar="NAME", help="`cluster.name` in expressions")
    group.add_argument(
        "--cluster-label",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="one of `cluster.labels` in expressions; may be repeated",
    )


def add_bundles(
    parser: argparse.ArgumentParser,
    *,
    required: bool = True,
    about: str = f"{A_BUNDLE}; of several, all decide together",
) -> None:
    """The arguments that say which bundle decides, or which ones together, and whose names of policies are."""
    parser.add_argument("--bundle", metavar="BUNDLE", type=bundle_named, required=required, action="append", help=about)
    parser.add_argument(
        "--owns",
        action=OfBundle,
        many=True,
        metavar="PREFIX",
        help="how names of policies of the bundle before it may begin, as `serve` is told; may be repeated",
    )


def decider(args: argparse.Namespace) -> Decider:
    """The bundles on the pools, for the cluster, that the arguments name."""
    return decider_and_nodes(args)[0]


def decider_and_nodes(
    args: argparse.Namespace, programs: Sequence[Program] | None = None
) -> tuple[Decider, Sequence[Json]]:
    """The same, and the Nodes that the pools are known from, as far as there are some. `programs` are those of the
    bundles where they have been read already."""
    if programs is None:
        programs = [program for _, program in together(args)]
    pools, nodes = _read(args)
    if any(map(looks_at_pools, programs)):
        _told_if_none(pools)
    return Decider(programs, pools, cluster=given_cluster(args), namespaces=(_own_namespace(args),)), nodes


def _own_namespace(args: argparse.Namespace) -> str:
    """The namespace that is left alone: where this runs, or else what the chart's would be."""
    if not is_inside(args):
        return OWN_NAMESPACE
    from cluster import own_namespace

    return own_namespace() or OWN_NAMESPACE


def together(args: argparse.Namespace) -> list[tuple[Bundle, Program]]:
    """The bundles that the arguments of `add_bundles` name, of which no two say anything of one name."""
    places: Sequence[Place] = args.bundle or ()
    owned(args)
    bundles = [loaded(place) for place in places]
    apart(places, bundles)
    for place, bundle, owns in zip(places, bundles, owned(args), strict=True):
        within(place, bundle, owns)
    return [(bundle, compiled(place, bundle)) for place, bundle in zip(places, bundles, strict=True)]


def owned(args: argparse.Namespace) -> list[Sequence[str]]:
    """How names of policies of each bundle may begin; as they like where that is said of none."""
    places: Sequence[Place] = args.bundle or ()
    owns = [said_of(args, place).get("owns", ()) for place in range(len(places))]
    if any(behind == 0 for behind, *_ in getattr(args, "noted", ())) and len(places) != 1:
        raise CommandError("--owns stands behind the --bundle that it is about")
    if any(owns):
        for wrong in overlaps([Owner(str(place), one) for place, one in zip(places, owns, strict=True)]):
            raise CommandError(wrong)
    return owns


def within(place: Place, bundle: Bundle, owns: Sequence[str]) -> None:
    """Refuse a bundle with a policy whose name does not begin as the bundle's may, if anything is said of that."""
    for policy in bundle.policies if owns else ():
        if not policy.name.startswith(tuple(owns)):
            expected = " or ".join(f"`{prefix}`" for prefix in owns)
            raise CommandError(f"{place}/{policy.span}: `{policy.name}` does not begin with {expected}, as --owns says")


def apart(places: Sequence[Place], bundles: Sequence[Bundle | Program]) -> None:
    """Refuse bundles that can't decide together: no two may have a policy of the same name."""
    known: dict[str, Place] = {}
    for place, bundle in zip(places, bundles, strict=True):
        for policy in bundle.policies:
            other = known.setdefault(policy.name, place)
            if other is not place:
                raise CommandError(f"{other} and {place} can't decide together: both have a policy `{policy.name}`")


def looks_at_pools(program: Program) -> bool:
    """Whether it makes a difference to a bundle which pools there are."""
    leaves = any(leaf.reads_pool or leaf.reads_capacity for leaf in program.leaves)
    scores = (one.score for policy in program.policies for one in policy.prefer if one.score)
    scored = any(score.reads_pool or score.reads_capacity for score in scores)
    return leaves or scored or any(policy.tolerate for policy in program.policies)


def given_cluster(args: argparse.Namespace) -> dict[str, Any]:
    """What expressions see as `cluster`."""
    return {"name": args.cluster_name, "labels": dict(_pair(pair) for pair in args.cluster_label)}


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise CommandError(f"--cluster-label `{text}` is not KEY=VALUE")
    return key, value


def documents(paths: Sequence[str]) -> tuple[Manifest, ...]:
    """The objects in files, folders and, for `-`, on standard input, in the order given."""
    return tuple(one for path in paths for one in (_standard_input() if path == "-" else _file(path)))


def manifests(paths: Sequence[str]) -> tuple[Manifest, ...]:
    """As `documents`, of what may hold pods: a line that is wrong is not shown, for it may be their environment."""
    no_decisions(paths)
    try:
        return documents(paths)
    except BundleError as error:
        raise told_without_lines(error) from error


def no_decisions(paths: Iterable[str]) -> None:
    """Refuse files of decisions, which hold no manifests, where pods are meant."""
    for path in map(Path, paths):
        if path.is_file() and _may_hold_decisions(path):
            from audit import taken_for_manifests  # whoever gives manifests starts without

            if told := taken_for_manifests(path):
                raise CommandError(told)


def _may_hold_decisions(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            start = file.read(64 << 10)
    except OSError:
        return False
    return b'"kind":"Kept' in start or b'"revision":' in start


def told_without_lines(error: BundleError) -> CommandError:
    """What is wrong with files that may hold pods."""
    told = [f"{problem.span}: {problem.message}" for problem in error.problems]
    return CommandError("\nbayplan: ".join(told))


def pieces_at(path: str) -> Iterator[Manifest | Batch]:
    """As `documents`, of one path and piece by piece, so that it may be large."""
    if path == "-":
        if sys.stdin is None:
            raise CommandError("standard input is closed")
        yield from pieces_of(sys.stdin.buffer, "standard input")
    elif path.startswith(DESCRIPTORS) and Path(path).exists() and not Path(path).is_file():
        with open(path, "rb") as stream:
            yield from pieces_of(stream, path)
    elif not Path(path).exists():
        raise CommandError(f"{path}: no such file or folder")
    else:
        yield from pieces(path)


def namespaces(args: argparse.Namespace) -> tuple[Manifest, ...]:
    """The Namespaces of the cluster, if one is named, then those of the files under `--namespace`, which win."""
    found: tuple[Manifest, ...] = ()
    for path in args.namespace:
        here = tuple(_namespaces(documents([path])))
        if not here:
            raise CommandError(f"no Namespace in {path}")
        found += here
    return (of_cluster(args, "/api/v1/namespaces", "Namespace") if names_cluster(args) else ()) + found


def running_pods(args: argparse.Namespace) -> tuple[IncomingPod, ...]:
    """The pods that the arguments of `add_pods` name, or else those of the cluster, as they were created."""
    from audit import replayed

    found = manifests(args.pods) if args.pods else of_cluster(args, "/api/v1/pods", "Pod")
    return pods_from_documents([*replayed(found), *namespaces(args)])


def _namespaces(found: Iterable[Manifest]) -> Iterator[Manifest]:
    for manifest in found:
        data = manifest.data
        kind = str(data.get("kind") or "") if isinstance(data, dict) else ""
        if kind == "Namespace":
            yield manifest
        elif kind in ("List", "NamespaceList") and isinstance(data.get("items"), list):
            typed = {"kind": "Namespace"} if kind == "NamespaceList" else {}
            items = [{**typed, **item} for item in data["items"] if isinstance(item, dict)]
            yield from _namespaces(Manifest(manifest.source, item) for item in items)


def located(bundle: Place, problem: Problem) -> str:
    """A problem of a bundle in words, its place as a path from here."""
    return str(problem) if str(bundle) == "." else f"{bundle}/{problem}"


def bundle_named(text: str) -> Place:
    """A bundle as somebody names it: a path as paths are written, an address as it is."""
    return text if "://" in text else Path(text)


def existing(bundle: Place) -> Place:
    """The folder or archive of a bundle, if there is one, or its address."""
    if isinstance(bundle, Path) and not bundle.is_dir():
        if not bundle.exists():
            raise CommandError(f"{bundle}: no such folder")
        if not str(bundle).endswith(ARCHIVES):
            raise CommandError(f"{bundle}: not a folder; a bundle is a folder, or an archive ({ARCHIVES[0]})")
    return bundle


def as_read(bundle: Place) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """What can be made of the bundle that is named, and all that is wrong with it."""
    try:
        return bundle_as_read(str(existing(bundle)), "BUNDLE")
    except SourceError as error:
        raise CommandError(f"{bundle}: {error}") from error


def loaded(place: Place) -> Bundle:
    """The bundle that is named. What is wrong with it goes to standard error."""
    bundle, problems = as_read(place)
    if bundle is None or any(problem.severity == "error" for problem in problems):
        raise _unusable(place, BundleError(problems))
    return bundle


def compiled(path: Place, bundle: Bundle) -> Program:
    """The program of a bundle. What is wrong with its expressions goes to standard error."""
    try:
        return compile_bundle(bundle)
    except BundleError as error:
        raise _unusable(path, error) from error


def _unusable(path: Place, error: BundleError) -> CommandError:
    for problem in error.problems:
        if problem.severity == "error":
            print(located(path, problem), end="\n\n", file=sys.stderr)
    return CommandError(f"the bundle can't be used; `bayplan check {path}` tells everything that is wrong with it")


def inventory(args: argparse.Namespace, *, live: bool = False) -> Inventory:
    """The pools that the arguments of `add_pools` name; where they name no cluster, kubectl's if `live`, else none."""
    pools = read_inventory(args, live=live)
    _told_if_none(pools)
    return pools


def _told_if_none(pools: Inventory) -> None:
    if not pools.pools:
        see = "no node that is known belongs to one: see --pool-label" if pools.strays else "see --pools"
        print(f"bayplan: no pools are known, so what is said of `pool` holds of none: {see}", file=sys.stderr)


def read_inventory(args: argparse.Namespace, *, live: bool = False) -> Inventory:
    """As `inventory`, without a word where there are no pools."""
    return _read(args, live=live)[0]


def _read(args: argparse.Namespace, *, live: bool = False) -> tuple[Inventory, Sequence[Json]]:
    """The pools, and the Nodes among what they are known from."""
    found, labels = documents(args.pools), (*args.pool_label, *POOL_LABELS)
    nodes = [one for each in found for _, one in unlisted("", each.data) if one.get("kind") == "Node"]
    if live or names_cluster(args):
        pools, more = _live(args, found, labels)
        return pools, [*nodes, *more]
    return inventory_from_documents(found, labels), nodes


def _live(
    args: argparse.Namespace, found: Sequence[Manifest], labels: Sequence[str]
) -> tuple[Inventory, Sequence[Json]]:
    """The pools of the cluster that the arguments name, and of files beside it, as the webhook sees them there; and the
    cluster's Nodes."""
    from cluster import ClusterError, fleet_of

    try:
        fleet = fleet_of(args.kubeconfig, args.context, args.in_cluster)
    except ClusterError as error:
        raise CommandError(
            str(error) + ("" if names_cluster(args) else "; with --pools FILE none is needed")
        ) from error
    return live_inventory(found, fleet, Census(labels)), fleet.nodes


def given_inventory(args: argparse.Namespace) -> Inventory | None:
    """The pools that the arguments of `add_pools` name, None where they name nothing."""
    return inventory(args) if args.pools or names_cluster(args) else None


def names_cluster(args: argparse.Namespace) -> bool:
    named = bool(args.context or args.kubeconfig)
    if args.in_cluster == "yes" and named:
        raise CommandError("--in-cluster yes is the cluster that this runs in: leave --context and --kubeconfig out")
    return named or is_inside(args)


def is_inside(args: argparse.Namespace) -> bool:
    """Whether it is the cluster that this runs in."""
    if args.in_cluster != "auto":
        return bool(args.in_cluster == "yes")
    from cluster import inside

    return not args.context and not args.kubeconfig and inside()


def cluster_title(args: argparse.Namespace) -> str:
    """The cluster that the arguments name, in words."""
    return "cluster that this runs in" if is_inside(args) else f"cluster {args.context or args.kubeconfig}"


def of_cluster(args: argparse.Namespace, path: str, kind: str) -> tuple[Manifest, ...]:
    """All objects of one kind in the cluster that the arguments name."""
    from cluster import ClusterError, listed

    source = Source(cluster_title(args), "")
    try:
        items = listed(args.kubeconfig, args.context, path, kind, args.in_cluster)
        return tuple(Manifest(source, item) for item in items)
    except ClusterError as error:
        raise CommandError(str(error)) from error


def _file(path: str) -> tuple[Manifest, ...]:
    if not Path(path).exists():
        raise CommandError(f"{path}: no such file or folder")
    if path.startswith(DESCRIPTORS) and not Path(path).is_file():  # a shell's `<(kubectl get nodes -o yaml)`
        with open(path, "rb") as stream:
            return streamed_documents(stream, path)
    return read_documents(path)


def _standard_input() -> tuple[Manifest, ...]:
    if sys.stdin is None:  # closed by `<&-`
        raise CommandError("standard input is closed")
    return streamed_documents(sys.stdin.buffer, "standard input")
