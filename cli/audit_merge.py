"""`bayplan audit --merge`: findings that were printed before, of several clusters, and what else was seen of these."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence

from audit import OF_CLUSTER, Finding, OfCluster, Summary, in_order
from cli.errors import CommandError
from cli.terminal import amount


def merged(paths: Sequence[str]) -> Summary:
    """What the findings in files, one a line, come to. Of a workload that several files tell of, the latest counts, and
    so does what the latest says of a cluster's pools."""
    latest: dict[tuple[str, ...], tuple[str, str]] = {}
    found: dict[tuple[tuple[str, ...], str], list[Finding]] = {}
    clusters: dict[str, list[tuple[str, str, OfCluster]]] = {}
    for path in dict.fromkeys(paths):
        for one in _read(path):
            if isinstance(one, OfCluster):
                clusters.setdefault(one.cluster, []).append((one.time, path, one))
                continue
            who = (one.cluster, *one.workload)
            latest[who] = max(latest.get(who, ("", "")), (one.time, path))
            found.setdefault((who, path), []).append(one)
    told_of = {who for who, _ in found}
    again = len(found) - len(told_of)
    if again:
        workloads = amount(again, "workload is", "workloads are")
        print(
            f"bayplan: {workloads} told of in several files, and the latest counts; of several clusters? then "
            "audit each with its --cluster-name",
            file=sys.stderr,
        )
    loads = [load for _, each in sorted(clusters.items()) for load in max(each, key=lambda one: one[:2])[2].loads]
    drifts = [
        drift
        for _, each in sorted(clusters.items())
        for _, path, one in each
        for drift in one.drifts
        if latest.get((drift.cluster, *drift.workload), ("", path))[1] == path
    ]
    return Summary.of(in_order(one for who, (_, path) in latest.items() for one in found[who, path]), loads, drifts)


def _read(path: str) -> Iterator[Finding | OfCluster]:
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        yield _of(json.loads(line))
                    except (ValueError, TypeError, RecursionError) as error:
                        raise CommandError(
                            f"{path}:{number}: {error}; expected a line of `bayplan audit -o jsonl`"
                        ) from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: this is no UTF-8") from error


def _of(data: object) -> Finding | OfCluster:
    if isinstance(data, dict) and data.get("kind") == OF_CLUSTER:
        return OfCluster.from_json(data)
    return Finding.from_json(data)  # type: ignore[arg-type]
