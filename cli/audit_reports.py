"""What `bayplan audit --reports` writes into the cluster: a report for each workload, and what has none any more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from audit import Finding, Workload, outdated, own_labels, reports_of, workload_in, worth_telling
from cli.errors import CommandError
from cli.terminal import amount, progress
from engine.struct import Struct

if TYPE_CHECKING:
    from cluster import InCluster, Reports

MOST_TOLD = 3
"""Refusals that are told one by one."""


class Looked(Struct, frozen=True):
    """What an audit has looked at: the kinds of workloads of a cluster by path, version and name; the namespaces, one
    that is empty for all; whether only at `some` of the pods there; and kinds that it was `refused`."""

    kinds: Sequence[tuple[str, str, str]]
    namespaces: Sequence[str]
    some: bool
    refused: Collection[str]


@contextmanager
def opened(
    kubeconfig: str | None, context: str | None, namespaces: Iterable[str], inside: InCluster
) -> Iterator[Reports]:
    """The reports of a cluster. Raises CommandError where there are none, or they may not be listed."""
    from cluster import ClusterError, Reports, connect

    try:
        cluster = connect(kubeconfig, context, inside)
        try:
            reports = Reports(cluster)
            for namespace in namespaces:
                reports.check(namespace)
            yield reports
        finally:
            cluster.close()
    except ClusterError as error:
        raise CommandError(f"--reports: {error}") from error


def write(reports: Reports, findings: Sequence[Finding], looked: Looked, *, everything: bool) -> None:
    """Have the cluster's reports say what was found; `everything`: of workloads that stay as they are, too.

    Says on standard error what was done. Raises ClusterError, and CommandError for what was refused, once all else is
    done.
    """
    bundle = findings[0].bundle
    worth = {one.workload for one in findings if everything or worth_telling(one)}
    made = reports_of(one for one in findings if one.workload in worth)
    uids, gone = _uids(reports, {one.workload for one in made}, looked)
    wanted = {one.key: one for one in made if one.workload not in gone}
    met = {one.workload for one in findings}
    written = same = removed = 0
    refusals: list[str] = []
    now = findings[0].time

    def put(done: Callable[[], bool]) -> int:
        """1 if it was done; what is refused is noted."""
        from cluster import RefusedError

        try:
            return int(done())
        except RefusedError as refusal:
            refusals.append(str(refusal))
            return 0

    due: list[Callable[[], bool]] = []
    over: list[Callable[[], bool]] = []
    for namespace in looked.namespaces:  # all of them first: an API server answers for a list for some minutes only
        for there in reports.each(namespace, own_labels(bundle)):
            one = wanted.pop((there["metadata"]["namespace"], there["metadata"]["name"]), None)
            if one is not None:
                said = one.as_object(uids.get(one.workload, ""), now, there)
                if outdated(there, said):
                    due.append(partial(reports.apply, said))
                else:
                    same += 1
            elif _is_over(workload_in(there), met, looked):
                about = {key: there["metadata"].get(key) for key in ("namespace", "name", "uid", "resourceVersion")}
                over.append(partial(reports.remove, {"metadata": about}))
    for done in over:
        removed += put(done)
    with progress() as tell:
        for done in due:
            written += put(done)
            tell(f"{written:,} reports written")
        for one in wanted.values():
            written += put(partial(reports.apply, one.as_object(uids.get(one.workload, ""), now)))
            tell(f"{written:,} reports written")
    told = [f"{written:,} written", f"{same:,} said so already", f"{removed:,} removed"]
    print(f"bayplan: reports: {', '.join(told)}", file=sys.stderr)
    if refusals:
        more = [f"and {len(refusals) - MOST_TOLD:,} more"] if len(refusals) > MOST_TOLD else []
        raise CommandError("\nbayplan: ".join([*refusals[:MOST_TOLD], *more]))


def _uids(
    reports: Reports, workloads: Collection[Workload], looked: Looked
) -> tuple[dict[Workload, str], set[Workload]]:
    """The uids of workloads, as far as they can be known, and those that are gone by now.

    Of kinds that nobody asks for by themselves, pods say whose they are.
    """
    from cluster import Listed, RefusedError

    known = {(version, kind): path for path, version, kind in looked.kinds}
    of_kind: dict[Listed, set[Workload]] = {}
    pods = Listed("/api/v1/pods", "v1", "Pod")
    for one in workloads:
        path = known.get(one[:2])
        of_kind.setdefault(pods if path is None else Listed(path, *one[:2]), set()).add(one)
    found: dict[Workload, str] = {}
    gone: set[Workload] = set()
    for kind, some in sorted(of_kind.items()):
        try:
            found |= {Workload(*owner): uid for owner, uid in reports.uids(kind, looked.namespaces, some).items()}
        except RefusedError as refusal:
            whose = amount(len(some), "report is", "reports are")
            print(f"bayplan: {whose} owned by nobody, and will stay when {kind.kind}s go: {refusal}", file=sys.stderr)
            continue
        gone |= {one for one in some - found.keys() if kind != pods or one.kind == pods.kind}
    return found, gone


def _is_over(workload: Workload | None, met: Collection[Workload], looked: Looked) -> bool:
    """Whether there is nothing to say any more of the workload of a report; what was not looked at stays."""
    if workload is None or workload in met:
        return True
    return not looked.some and workload.kind not in looked.refused
