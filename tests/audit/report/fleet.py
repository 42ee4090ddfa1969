"""A cluster as there are many: tenants, spot and GPU pools, services and batch, and what eight policies make of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import yaml

from audit.capacity import loads_of
from audit.drift import drift_of
from audit.findings import Finding
from audit.of_decision import finding_of
from audit.replay import Row
from audit.summary import Summary
from engine.bundle import parse_bundle
from engine.decision import Decider
from engine.pods import IncomingPod
from engine.pods.incoming import Owner
from engine.program import compile_bundle
from tests.engine.builders import inventory

REQUEST = {"operation": "CREATE", "userInfo": {}}
TIME = "2026-03-02T09:30:00.000000Z"
ZONES = "topology.kubernetes.io/zone: [eu-central-1a, eu-central-1b, eu-central-1c]"


def _pool(name: str, cpu: int, nodes: int, *, capacity: str = "on-demand", zones: str = ZONES, more: str = "") -> str:
    more = more if "labels" in more else f", labels: {{tenant: none}}{more}"
    values = f"{{{zones}, karpenter.sh/capacity-type: [{capacity}]}}"
    selector = f"{{karpenter.sh/nodepool: {name}}}"
    size = f"cpu: {cpu}, memory: {4 * cpu}Gi, gpus: 0, nodes: {nodes}"
    return f"- {{name: {name}, selector: {selector}, values: {values}, {size}{more}}}\n"


def _taint(key: str, value: str) -> str:
    return f", taints: [{{key: {key}, value: {value}, effect: NoSchedule}}]"


POOLS = "apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools:\n" + "".join(
    (
        _pool("general-a", 16, 360, zones="topology.kubernetes.io/zone: [eu-central-1a]"),
        _pool("general-b", 16, 260, zones="topology.kubernetes.io/zone: [eu-central-1b]"),
        _pool("general-c", 16, 240, zones="topology.kubernetes.io/zone: [eu-central-1c]"),
        _pool("spot-small", 8, 110, capacity="spot", more=_taint("spot", "'true'")),
        _pool("spot-large", 48, 20, capacity="spot", more=_taint("spot", "'true'")),
        _pool("compute", 64, 60),
        _pool("memory", 32, 10, more=_taint("class", "memory")),
        _pool("gpu-t4", 16, 400, more=_taint("nvidia.com/gpu", "'true'")).replace("gpus: 0", "gpus: 1"),
        _pool("gpu-a100", 96, 900, more=_taint("nvidia.com/gpu", "'true'")).replace("gpus: 0", "gpus: 8"),
        _pool("tenant-payments", 16, 14, more=", labels: {tenant: payments}" + _taint("tenant", "payments")),
        _pool("tenant-search", 32, 40, more=", labels: {tenant: search}" + _taint("tenant", "search")),
        _pool("legacy-m4", 8, 180),
    )
)

POLICIES: dict[str, dict[str, Any]] = {
    "interruptible-on-spot": {
        "podSelector": {"matchLabels": {"interruptible": "true"}},
        "require": [{"expression": 'node.capacityType == "spot"', "message": "work that may be stopped runs on spot"}],
        "tolerate": [{"expression": 'taint.key == "spot"'}],
    },
    "stateful-off-spot": {
        "matchConditions": [
            {
                "name": "stateful",
                "expression": 'pod.metadata.?ownerReferences.orValue([]).exists(o, o.kind == "StatefulSet")',
            }
        ],
        "require": [
            {"expression": 'node.capacityType != "spot"', "message": "spot nodes may be taken away at any time"}
        ],
    },
    "tenants-on-own-pools": {
        "namespaceSelector": {"matchExpressions": [{"key": "tenant", "operator": "Exists"}]},
        "variables": [{"name": "tenant", "expression": 'namespaceObject.metadata.labels["tenant"]'}],
        "require": [
            {
                "expression": 'pool.labels[?"tenant"].orValue("") == variables.tenant',
                "message": "tenants run on their own pools",
            }
        ],
        "tolerate": [{"expression": 'taint.key == "tenant" && taint.value == variables.tenant'}],
        "priority": 100,
    },
    "others-off-tenants-pools": {
        "namespaceSelector": {"matchExpressions": [{"key": "tenant", "operator": "DoesNotExist"}]},
        "require": [{"expression": '!pool.name.startsWith("tenant-")', "message": "pools of tenants are theirs alone"}],
    },
    "leave-legacy": {
        "require": [{"expression": 'pool.name != "legacy-m4"', "message": "m4 is switched off on 1 June"}],
    },
    "gpu-where-asked": {
        "matchConditions": [
            {"name": "asks", "expression": 'int(requests[?"nvidia.com/gpu"].orValue(0)) > 0'},
        ],
        "require": [
            {
                "expression": 'int(requests[?"nvidia.com/gpu"].orValue(0)) <= pool.gpus',
                "message": "a node with as many GPUs as the pod asks for",
            }
        ],
        "tolerate": [{"expression": 'taint.key == "nvidia.com/gpu"'}],
    },
    "memory-class": {
        "podSelector": {"matchLabels": {"class": "memory"}},
        "require": [{"expression": 'pool.name == "memory"', "message": "class memory runs on the memory pool"}],
    },
    "services-have-a-team": {
        "namespaceSelector": {"matchLabels": {"stage": "production"}},
        "deny": [
            {
                "expression": '!("team" in pod.metadata.labels)',
                "message": "pods in production carry the label team, so that somebody can be called at night",
            }
        ],
    },
}

NAMESPACES = [
    *("payments", "payments-batch", "search", "search-index", "shop", "shop-staging", "cart", "checkout", "catalog"),
    *("media", "media-encode", "ml-training", "ml-serving", "ml-notebooks", "reports", "reports-nightly", "billing"),
    *("billing-dev", "identity", "identity-dev", "mail", "mobile-api", "partners", "pricing", "recommend", "returns"),
    *("shipping", "stock", "support", "tracking", "warehouse", "web", "web-preview", "events", "events-replay"),
    *("observability", "platform-tools", "ci-runners", "sandbox", "data-lake"),
]
THINGS = [
    *("api", "worker", "web", "cache", "sync", "importer", "exporter", "index", "scheduler", "gateway", "proxy"),
    *("store", "feed", "mailer", "cron", "audit"),
]


def engine() -> Decider:
    files = {
        f"policies/{name}.yaml": yaml.safe_dump(
            {
                "apiVersion": "bayplan.dev/v1alpha1",
                "kind": "PlacementPolicy",
                "metadata": {"name": name, "annotations": {"bayplan.dev/owner": "platform-team"}},
                "spec": spec,
            },
            sort_keys=False,
        )
        for name, spec in POLICIES.items()
    }
    files["bundle.yaml"] = (
        "apiVersion: bayplan.dev/v1alpha1\nkind: Bundle\nmetadata: {name: placement}\nspec: {version: 2.4.0}\n"
    )
    bundle, problems = parse_bundle(files)
    assert bundle is not None
    assert not problems, "\n".join(map(str, problems))
    return Decider(compile_bundle(bundle), inventory(POOLS), mode="audit")


def findings(owners: int = 1500, pods: int = 20_000, seed: int = 7) -> list[Finding]:
    """What the policies make of so many workloads with so many pods."""
    dice = random.Random(seed)
    decider = engine()
    return [_finding(decider, dice, *each) for each in _workloads(dice, owners, pods)]


def summary(owners: int = 1500, pods: int = 20_000) -> Summary:
    """The same with what pools are asked for, and the pods that would not be let where they are."""
    rows = [_row(one) for one in findings(owners, pods)]
    return Summary.of((row.told() for row in rows), loads_of(rows, engine().pool_index.pools, {}), drift_of(rows))


def _row(finding: Finding) -> Row:
    pools = finding.effect.pools
    homes = tuple(name for name in pools.after if name not in pools.untolerated)
    lost = finding.outcome in ("denied", "unschedulable")
    leaving = {name: [name] * count for name, count in finding.placed.items() if name not in homes and not lost}
    return Row(finding, finding.pods, finding.pods, Counter(finding.placed), leaving, homes)


def _workloads(dice: random.Random, owners: int, pods: int) -> Iterator[tuple[str, str, str, int]]:
    rest = pods
    for number in range(owners):
        namespace = NAMESPACES[number % len(NAMESPACES)]
        kind = dice.choices(("Deployment", "StatefulSet", "CronJob", "DaemonSet"), (70, 15, 10, 5))[0]
        replicas = 0 if kind == "CronJob" else min(rest, max(1, int(dice.paretovariate(1.1) * 4)), 400)
        if number == owners - 1:
            replicas = rest
        rest -= replicas
        yield namespace, kind, f"{dice.choice(THINGS)}-{number}", replicas


def _finding(decider: Decider, dice: random.Random, namespace: str, kind: str, name: str, pods: int) -> Finding:
    labels = {"app": name, "team": namespace.split("-")[0]}
    spec: dict[str, Any] = {}
    requests = {"cpu": dice.choice(("100m", "250m", "500m", "1", "2")), "memory": dice.choice(("256Mi", "1Gi", "4Gi"))}
    stage = {} if namespace.endswith(("dev", "staging", "preview", "sandbox")) else {"stage": "production"}
    tenant = {"tenant": namespace.split("-")[0]} if namespace.startswith(("payments", "search")) else {}
    home: tuple[str, ...] = ("general-a", "general-b", "general-c", "compute")
    if namespace.startswith("ml"):
        requests["nvidia.com/gpu"] = dice.choice(("1", "1", "1", "8"))
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
        home = ("gpu-a100",) if requests["nvidia.com/gpu"] == "8" else ("gpu-t4", "gpu-a100")
    elif tenant:
        home = f"tenant-{tenant['tenant']}", "general-a", "general-b"
    elif namespace.endswith(("nightly", "encode", "runners", "replay")):
        if kind != "StatefulSet" or dice.random() < 0.2:
            labels["interruptible"] = "true"
    elif dice.random() < 0.05:
        labels["class"] = "memory"
        if dice.random() < 0.5:
            spec["tolerations"] = [{"key": "class", "operator": "Exists"}]
    if stage and dice.random() < 0.012:
        del labels["team"]
    free = not (tenant or namespace.startswith("ml") or "class" in labels or "interruptible" in labels)
    if free and dice.random() < 0.7:
        spec["affinity"] = _selects(["general-a", "general-b", "general-c", "compute"])
    elif free and dice.random() < 0.5:
        spec["affinity"] = _selects(["legacy-m4", "general-a"])
        home = "legacy-m4", "general-a"
    limits = {"requests": requests, "limits": {k: v for k, v in requests.items() if "/" in k}}
    spec["containers"] = [{"name": "main", "image": "registry.example/app:1", "resources": limits}]
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u", "controller": True}
    metadata = {"generateName": f"{name}-", "labels": labels, "ownerReferences": [owner]}
    around = {"metadata": {"name": namespace, "labels": {"kubernetes.io/metadata.name": namespace, **stage, **tenant}}}
    version = "batch/v1" if kind == "CronJob" else "apps/v1"
    whose = None if pods else Owner(version, kind, name)
    incoming = IncomingPod({"metadata": metadata, "spec": spec}, around, REQUEST, owner=whose)
    finding = finding_of(decider, decider.decide(incoming), time=TIME, cluster="prod-eu-1")
    placed: dict[str, int] = {}
    for each in range(pods):
        pool = home[each % len(home)]
        placed[pool] = placed.get(pool, 0) + 1
    return finding.with_pods(pods, placed)


def _selects(pools: list[str]) -> dict[str, Any]:
    expression = {"key": "karpenter.sh/nodepool", "operator": "In", "values": pools}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
