"""What kubectl shows those whose pods are refused, placed, or wait: golden text in `owners/`, on a real control plane.

Whoever sees only that can name the policy, the reason, and whom to ask. `BAYPLAN_REWRITE=1` writes the files anew.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from delivery import Manifest, packed

from .controlplane import CONTEXT, ControlPlane, Json, wait_for
from .pods import deployment, pod
from .processes import free_ports
from .serving import BAYPLAN, Serving
from .test_chart import NAME, Release

OWNERS = Path(__file__).parent / "owners"
SHOWN = ("Name", "Annotations", "Status", "Controlled By", "Conditions", "Events")
"""Parts of what `kubectl describe` prints that are looked at."""
NAMESPACE = "owners"
"""Of a name that is always as long, for lines are wrapped."""
TELLING = ("FailedCreate", "FailedScheduling", "PlacementRefused", "PlacementWaits")
"""Reasons of events that say why there is no pod, or why it waits."""
CASES: dict[str, tuple[dict[str, str], Json]] = {
    "refused": ({"class": "memory"}, {"hostNetwork": True}),
    "placed": ({"class": "memory"}, {}),
    "waiting": ({"class": "training"}, {}),
}
CONTACT = {
    "refused": ("no-host-network", "hostNetwork is not for workloads", "ask platform-team"),
    "waiting": ("ml-training", "does not tolerate the taints of gpu", "ask ml-platform"),
}
"""The policy, the reason and whom to ask."""


def shown(text: str) -> str:
    """Text of kubectl without what differs from run to run: ages, names that are made up, widths of columns."""
    text = re.sub(r"-[bcdf-hj-np-tv-z2456789]{7,10}(-[bcdf-hj-np-tv-z2456789]{5})?(?=[\s\"/:,]|$)", "-HASH", text)
    text = re.sub(r"(?m)^(\s*)\d+[smh]\d*[smh]?(?= )", r"\1AGE", text)
    text = re.sub(r"(?<= )(\d+[smh])+( \(x\d+ over (\d+[smh])+\))?(?= )", "AGE", text)
    return "".join(f"{re.sub(r'(?<=[^ ])  +', '  ', line).rstrip()}\n" for line in text.splitlines())


def described(text: str) -> str:
    """The parts of a description that are SHOWN."""
    kept, keeping = [], False
    for line in text.splitlines():
        if line[:1].strip():
            keeping = line.startswith(tuple(f"{part}:" for part in SHOWN))
        if keeping:
            kept.append(line)
    at = next((place for place, line in enumerate(kept) if line.startswith("Events:")), len(kept)) + 3
    events = sorted(kept[at:], key=lambda line: line.split()[1])
    return "\n".join(line for line in (*kept[:at], *events) if not line.endswith("<none>")) + "\n"


def explained(cluster: ControlPlane, namespace: str, name: str) -> str:
    """What `bayplan explain` says of a pod by its name."""
    where = ("-n", namespace, "--context", CONTEXT, "--kubeconfig", cluster.kubeconfig)
    asked = ("explain", name, *where, "--bundle", OWNERS / "bundle", "--pool-label", "pool")
    return cluster.run(BAYPLAN, *asked).stdout.partition("\n  --- the pod as it came")[0]


def events_about(cluster: ControlPlane, namespace: str, names: Iterable[str]) -> str:
    """What `kubectl get events` prints about objects whose names begin so, of those that are TELLING."""
    head, *lines = cluster.kubectl("get", "events", "-n", namespace).stdout.splitlines() or [""]
    begins = tuple(f"/{name}" for name in names)
    told = [line for line in lines if any(one in line for one in TELLING) and any(one in line for one in begins)]
    return "\n".join([head, *sorted(told, key=lambda line: line.split(maxsplit=2)[2])])


def metrics_of(serving: Serving) -> str:
    return httpx.get(f"http://127.0.0.1:{serving.plain_port}/metrics").text


@pytest.fixture
def serving(helm: ControlPlane, tmp_path: Path) -> Iterator[Serving]:
    """The webhook as the chart installs it, with events, by the rights that it has then."""
    cluster = helm
    cluster.add_namespace(NAMESPACE)
    cluster.add_node("memory-1", {"pool": "memory", "memory": "high"})
    taint = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
    cluster.add_node("gpu-1", {"pool": "gpu", "accelerator": "a100"}, [taint])
    home = f"{NAMESPACE}-home"
    cluster.add_namespace(home)
    release = Release(cluster, home, free_ports(1)[0])
    files = {path.name: path.read_bytes() for path in (OWNERS / "bundle").iterdir()}
    archive = base64.b64encode(packed(files, Manifest("classes", "1.4.0"))).decode()
    release.install(bundle={"archive": archive}, events=True, cluster={"poolLabels": ["pool"]})
    with release.replica(tmp_path) as serving:
        cluster.wait_called(NAME, NAMESPACE)
        yield serving
    release.helm("uninstall")


def test_who_sees_only_kubectl_knows_the_policy_the_reason_and_whom_to_ask(
    cluster: ControlPlane, serving: Serving
) -> None:
    namespace = NAMESPACE
    applied: dict[tuple[str, str], str] = {}
    for case, (labels, spec) in CASES.items():
        objects = {"a pod": pod(f"{case}-bare", labels=labels, spec=spec)}
        objects["a Deployment"] = deployment(case, namespace, labels=labels, spec=spec)
        for what, one in objects.items():
            done = cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=one, check=False)
            applied[case, what] = done.stdout + done.stderr

    def told() -> bool:
        seen = cluster.kubectl("get", "events", "-n", namespace).stdout
        wanted = {"PlacementWaits": 2, "FailedScheduling": 2, "PlacementRefused": 1, "FailedCreate": 1}
        return all(seen.count(f" {reason} ") == times for reason, times in wanted.items())

    wait_for(told, "the events", lambda: metrics_of(serving) + serving.tail())
    texts = {}
    for case in CASES:
        parts = []
        for what in ("a pod", "a Deployment"):
            name = f"{case}-bare" if what == "a pod" else case
            made = [each["metadata"]["name"] for each in cluster.pods(namespace) if is_of(each, name)]
            sets = cluster.api("GET", f"/apis/apps/v1/namespaces/{namespace}/replicasets", labelSelector=f"app={name}")
            known = [("pod", one) for one in made] or [("replicaset", one["metadata"]["name"]) for one in sets["items"]]
            parts.append(f"### {what}\n\n$ kubectl apply -f {name}.yaml\n{applied[case, what]}")
            parts += [
                f"$ kubectl describe {kind} {one}\n"
                + described(cluster.kubectl("describe", kind, one, "-n", namespace).stdout)
                for kind, one in known
            ]
            parts += [f"$ bayplan explain {one} …\n{explained(cluster, namespace, one)}" for one in made]
        parts.append(f"### all\n\n$ kubectl get events\n{events_about(cluster, namespace, [case])}")
        texts[case] = shown("\n".join(parts))
    for case, text in texts.items():
        file = OWNERS / f"{case}.txt"
        if os.environ.get("BAYPLAN_REWRITE"):
            file.write_text(text)
        assert text == file.read_text()
    for case, words in CONTACT.items():
        for section in texts[case].split("### ")[1:3]:
            assert all(word in section for word in words), section


def is_of(made: Json, name: str) -> bool:
    """Whether a pod is the one of a name, or of a Deployment of that name."""
    return name in (made["metadata"]["name"], made["metadata"].get("labels", {}).get("app"))
