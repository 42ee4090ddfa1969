"""How long one decision takes, next to celpy and Google's C++ runtime evaluating the same expressions in the same run.

    python -m benchmarks.decide [--quick]

A table of ratios goes to stderr, one JSON object a line to stdout: the median of many runs in microseconds. The other
runtimes only evaluate the policies' expressions for each pool; Bayplan also matches, intersects and writes the patch.
`--quick` does fewer runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import cel_expr_python.cel as cel_cpp
import celpy

from cli.pools import described
from engine.bundle import parse_bundle
from engine.decision import Decider
from engine.nodeselector import one_of
from engine.pods import IncomingPod
from engine.pools import Fact, Inventory, Pool, Taint
from engine.program import Program, compile_bundle
from engine.struct import replace

ZONES = ("eu-1a", "eu-1b", "eu-1c")
ZONE = "topology.kubernetes.io/zone"
EXPRESSIONS: Mapping[str, tuple[int, str]] = {
    "pool only": (12, '"arm64" in pool.architectures && pool.labels["tier"] != "t{i}"'),
    "pod and pool": (8, 'pod.metadata.labels["app"] == "web" && pool.labels["team"] != "x{i}"'),
    "presence": (8, 'has(pod.metadata.annotations) && "note{i}" in pod.metadata.annotations || pool.cpu >= 4.0'),
    "choice": (8, 'pod.spec.containers.exists(c, c.name == "gpu{i}") ? pool.gpus > 0 : pool.gpus >= 0'),
    "taints": (6, 'pool.taints.all(t, t.key != "dedicated{i}")'),
    "prefix": (4, 'pod.metadata.labels["app"].startsWith("w") ? pool.name.startsWith("pool-") : pool.name == "{i}"'),
    "mixed": (4, 'pod.metadata.labels["want"] == pool.labels["team"] || pool.name != "pool-{i}"'),
}


def pools(count: int) -> Inventory:
    """So many pools, all alike in what the expressions ask, different in what they are."""
    return Inventory(
        tuple(
            Pool(
                name=f"pool-{i:04}",
                provider="karpenter",
                selector={"karpenter.sh/nodepool": f"pool-{i:04}"},
                facts={
                    "karpenter.sh/nodepool": Fact(one_of([f"pool-{i:04}"])),
                    "kubernetes.io/arch": Fact(one_of(["arm64" if i % 2 == 0 else "amd64"])),
                    "tier": Fact(one_of([f"t{i % 7 + 60}"])),
                    "team": Fact(one_of([f"team-{i % 20}"])),
                    ZONE: Fact(one_of(ZONES)),
                },
                taints=(Taint("nvidia.com/gpu", "true", "NoSchedule"),) if i % 5 == 0 else (),
                cpu=8.0 + i % 3,
                memory=32 << 30,
                gpus=i % 3,
            )
            for i in range(count)
        )
    )


def texts() -> list[str]:
    """The 50 expressions: a few of each kind, each its own."""
    return [text.replace("{i}", str(i)) for count, text in EXPRESSIONS.values() for i in range(count)]


def policies(expressions: list[str], selector: Callable[[int], Mapping[str, Any]] = lambda _: {}) -> dict[str, str]:
    """The files of a bundle with a policy for each expression."""
    header = {"apiVersion": "bayplan.dev/v1alpha1"}
    bundle = {**header, "kind": "Bundle", "metadata": {"name": "bench"}, "spec": {"version": "1.0.0"}}
    documents = [
        {
            **header,
            "kind": "PlacementPolicy",
            "metadata": {"name": f"policy-{i:03}"},
            "spec": {"podSelector": selector(i), "require": [{"expression": text}]},
        }
        for i, text in enumerate(expressions)
    ]
    return {"bundle.yaml": json.dumps(bundle), "policies/all.yaml": "\n---\n".join(map(json.dumps, documents))}


def compiled(files: dict[str, str]) -> Program:
    """The program of a bundle's files."""
    bundle, problems = parse_bundle(files)
    assert bundle is not None, problems
    return compile_bundle(bundle)


def pod(terms: int = 0) -> dict[str, Any]:
    """A pod of about 5 kB, as admission sees it."""
    environment = [{"name": f"SETTING_{i}", "value": f"value-{i}" * 3} for i in range(40)]
    container = {"image": "registry.example.com/web:1", "env": environment, "resources": {"requests": {"cpu": "2"}}}
    spec: dict[str, Any] = {"containers": [{"name": f"c{i}", **container} for i in range(2)]}
    if terms:
        expressions = [
            [{"key": ZONE, "operator": "In", "values": [f"eu-1{c}", f"own-{i}"]}] for i in range(terms) for c in "a"
        ]
        required = {"nodeSelectorTerms": [{"matchExpressions": one} for one in expressions]}
        spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    labels = {"app": "web", "want": "team-4", **{f"group-{i}": "yes" for i in range(5)}}
    return {"metadata": {"generateName": "web-", "labels": labels, "annotations": {"a": "b"}}, "spec": spec}


def incoming(given: dict[str, Any]) -> IncomingPod:
    """The pod on its way into a namespace."""
    namespace = {"metadata": {"name": "team", "labels": {"kubernetes.io/metadata.name": "team"}}}
    request = {"operation": "CREATE", "namespace": "team", "dryRun": False, "userInfo": {"username": "u", "groups": []}}
    return IncomingPod(given, namespace, request)


def median(run: Callable[[], object], runs: int) -> float:
    """Microseconds that a run takes: the median of `runs`."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e6


def with_celpy(given: dict[str, Any], views: list[dict[str, Any]]) -> Callable[[], object]:
    """celpy's interpreter over every policy and pool; conversion of the data is not counted."""
    environment = celpy.Environment()
    programs = [environment.program(environment.compile(text)) for text in texts()]
    converted, each = celpy.json_to_cel(given), [celpy.json_to_cel(view) for view in views]

    def run() -> None:
        for program in programs:
            for view in each:
                program.evaluate({"pod": converted, "pool": view})

    return run


def with_cel_cpp(given: dict[str, Any], views: list[dict[str, Any]]) -> Callable[[], object]:
    """Google's C++ runtime over every policy and pool; an activation is made for each pool."""
    anything = cel_cpp.Type.Map(cel_cpp.Type.STRING, cel_cpp.Type.DYN)
    environment = cel_cpp.NewEnv(variables={"pod": anything, "pool": anything})
    programs = [environment.compile(text) for text in texts()]

    def run() -> None:
        for view in views:
            activation = environment.Activation({"pod": given, "pool": view})
            for program in programs:
                program.eval(activation)

    return run


def measurements(quick: bool) -> Mapping[str, Callable[[], float]]:
    """What is measured, by name."""
    runs = 20 if quick else 200
    fifty = compiled(policies(texts()))
    many = [f'pool.labels["team"] != "x{i}" && pod.metadata.labels["app"] == "web"' for i in range(500)]
    five = compiled(policies(many, lambda i: {"matchLabels": {f"group-{i}": "yes"}}))
    ten = compiled(policies(texts()[:10]))
    hundred, thousand = pools(100), pools(1000)
    small, large, sparse, worst = (
        Decider(fifty, hundred),
        Decider(fifty, thousand),
        Decider(five, hundred),
        Decider(ten, hundred),
    )
    plain, crowded = incoming(pod()), incoming(pod(20))
    for decider, one in ((small, plain), (large, plain), (sparse, plain), (worst, crowded)):
        decision = decider.decide(one)
        assert decision.allowed, decision.message
        assert decision.patch
    changed = list(thousand.pools)
    changed[500] = replace(changed[500], cpu=99.0)
    views: list[dict[str, Any]] = [described(pool) for pool in hundred.pools]
    return {
        "bayplan 50x100": partial(median, partial(small.decide, plain), runs),
        "bayplan 50x1000": partial(median, partial(large.decide, plain), runs),
        "bayplan 500 policies, 5 match": partial(median, partial(sparse.decide, plain), runs),
        "bayplan 20 own terms, 10 policies": partial(median, partial(worst.decide, crowded), runs),
        "bayplan compile 50": partial(median, lambda: compiled(policies(texts())), 3 if quick else 9),
        "bayplan swap 1000 pools": partial(median, lambda: Decider(fifty, thousand), 5),
        "bayplan change 1 of 1000 pools": partial(median, lambda: large.renewed(Inventory(tuple(changed))), 9),
        "cel-expr-python": partial(median, with_cel_cpp(plain.pod, views), 3),  # type: ignore[arg-type]
        "celpy": partial(median, with_celpy(plain.pod, views), 1),  # type: ignore[arg-type]
    }


def main() -> None:
    """Measures, prints the table, prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    results = {name: run() for name, run in measurements(parser.parse_args().quick).items()}
    base = results["bayplan 50x100"]
    print(f"{'':36}{'µs':>14}{'ratio':>10}", file=sys.stderr)
    for name, taken in results.items():
        print(f"{name:36}{taken:14,.0f}{taken / base:10.1f}", file=sys.stderr)
        print(json.dumps({"name": name, "us": round(taken, 1)}))


if __name__ == "__main__":
    main()
