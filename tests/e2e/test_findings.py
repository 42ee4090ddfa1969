"""Law 8 on the real API server: a finding's patch is what a webhook that enforces makes of a pod; one that audits
makes nothing of it.

Random bundles, each with its pools and some pods, take turns in two webhooks, which run as processes of their own and
follow their files; several such lanes run beside each other, for most of a turn is waiting. What `bayplan audit` says
of the pods is held against what the API server logged.
"""

from __future__ import annotations

import json
import os
import queue
import random
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.pods.controllers import pod_of_workload, pod_template, user_of
from tests.engine.worlds import World, a_pod, a_world
from tests.engine.worlds import _inventory as inventory_of

from .auditing import findings
from .both_modes import Answer, BothModes, Events, both_modes
from .controlplane import ControlPlane, wait_for
from .test_laws import acceptable

pytestmark = pytest.mark.skipif(os.environ.get("BAYPLAN_NIGHTLY") != "1", reason="takes minutes")
PAIRS, LANES, JOBS = 2_000, 5, 3
SAMPLES = Path(__file__).parents[2] / "policies"
HEAD = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Bundle", "metadata": {"name": "laws"}}
PARAMS = {"on": True, "off": False}
MADE_UP = "k2x7q"
"""What the API server puts behind a `generateName`."""
Json = dict[str, Any]


@pytest.fixture
def events(cluster: ControlPlane) -> Iterator[Events]:
    """What the API server logs."""
    with closing(Events(cluster.audit_log)) as events:
        yield events


# Pods


def a_given(dice: random.Random, name: str, namespace: str) -> Json:
    """A pod, or a Deployment, of a name that nobody else has."""
    pod = dressed(dice, acceptable(a_pod(dice)))
    metadata = {**pod["metadata"], "name": name, "namespace": namespace}
    kind = dice.choice(["", "", "ReplicaSet", "StatefulSet", "Job", "Deployment"])
    if not kind:
        return {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": metadata}
    template = {"metadata": {"labels": pod["metadata"]["labels"]}, "spec": pod["spec"]}
    spec: Json = {"selector": {"matchLabels": {"app": pod["metadata"]["labels"]["app"]}}, "template": template}
    version, more = ("batch/v1", {"completionMode": "Indexed"}) if kind == "Job" else ("apps/v1", {})
    workload = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}
    workload["spec"] = {**spec, **more}
    if kind == "Job":
        template["spec"] = {**template["spec"], "restartPolicy": "Never"}
    return workload if kind == "Deployment" else of_workload(workload)


def of_workload(workload: Json) -> Json:
    """The pod that its controller would make first (tests/e2e/test_templates.py holds that against the real ones)."""
    template = pod_template(workload)
    assert template is not None
    metadata = workload["metadata"]
    return pod_of_workload(workload, template, metadata["name"], metadata.get("namespace", "default"))[0]


def dressed(dice: random.Random, pod: Json) -> Json:
    """The pod with some more that pods have, which no policy of these worlds asks for."""
    spec = dict(pod["spec"])
    (container,) = spec["containers"]
    more: list[Json] = [
        {"resources": {"requests": {"cpu": dice.choice(["100m", "2"]), "memory": "0.5Gi"}}},
        {"env": [{"name": "PASSWORD", "value": "hunter2"}], "ports": [{"containerPort": 80}]},
        {},
    ]
    spec["containers"] = [{**container, **dice.choice(more)}]
    if dice.random() < 0.2:
        spec["initContainers"] = [{"name": "first", "image": "first:1", "restartPolicy": "Always"}]
    if dice.random() < 0.2:
        spec |= dice.choice(
            [
                {"priorityClassName": "system-cluster-critical"},
                {"automountServiceAccountToken": False},
                {"schedulingGates": [{"name": "example.com/wait"}]},
                {"topologySpreadConstraints": [], "hostNetwork": True},
                {"tolerations": []},
                {"affinity": {}},
                {"nodeSelector": {}},
            ]
        )
    labels = pod["metadata"]["labels"]
    notes: Json = dice.choice(
        [{}, {}, {"annotations": {"note": "x"}}, {"annotations": {"bayplan.dev/bundle": "forged"}}]
    )
    return {"metadata": {**pod["metadata"], "labels": labels, **notes}, "spec": spec}


# One bundle and its pods


@dataclass(frozen=True)
class Told:
    """A pod or workload, and what came of its pod: without a webhook, with one that audits, with one that enforces.

    `other` is what the first two were asked for, under a name as long. `line` is what was logged where it was audited,
    `uid` that of the request where it was enforced.
    """

    given: Json
    other: Json
    plain: Answer
    audited: Answer
    enforced: Answer
    line: Json
    uid: str


@dataclass(frozen=True)
class Pair:
    """A bundle with its pools, in folders or files, and pods. `split`: it may deal pods out by the uids of their
    requests. `namespaces` are those that are not only names."""

    name: str
    bundle: Path
    pools: Path
    told: list[Told]
    split: bool = False
    namespaces: Sequence[Json] = ()


def renamed(given: Json, name: str) -> Json:
    """The same under another name, where it has one that begins with `p`."""
    other: Json = json.loads(json.dumps(given).replace(name, name.replace("p", "q", 1)))
    return other


def pod_of(given: Json) -> Json:
    return given if given["kind"] == "Pod" else of_workload(given)


def asked(modes: BothModes, several: Sequence[tuple[Json, Json]]) -> list[Told]:
    """What becomes of pods, or of the first ones of workloads; each comes with what goes by another name."""
    answers = []
    for given, other in several:
        user = user_of(pod_of(given))
        asking = user if user["username"] else None
        answers.append(
            (
                modes.create(pod_of(other), "plain", asking),
                modes.create(pod_of(other), "audited", asking),
                modes.create(pod_of(given), "enforced", asking),
            )
        )
    told = []
    for (given, other), each in zip(several, answers, strict=True):
        line = modes.decision("audited", pod_of(other))
        told.append(Told(given, other, *each, line, modes.decision("enforced", pod_of(given))["uid"]))
    return told


# What is found


def found_of(bundle: Path, pools: Path, pods: str, folder: Path) -> dict[str, Json]:
    """What `bayplan audit` finds of pods, given as JSON, by the name of each; `folder` is a process' own."""
    place = folder / f"pods-{os.getpid()}.json"
    place.write_text(pods)
    found = findings("--bundle", bundle, "--pools", pools, "--pods", place)
    return {one["example"].removesuffix(MADE_UP): one for one in found}


def as_pods(pair: Pair, stored: bool) -> str:
    """The pods of a pair as they are in files, or as they are `stored`."""
    items = [*pair.namespaces, *(item for one in pair.told for item in items_of(one, stored))]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def items_of(one: Told, stored: bool) -> Iterator[Json]:
    """The pod that was enforced, and the one that was audited, as an audit meets them: each with the uid by which its
    request was told apart, for a pod that exists has one."""
    each = [(one.given, one.uid), (one.other, one.line["uid"])]
    for given, uid in each if one.given != one.other else each[:1]:
        if given["kind"] != "Pod":
            yield given
            continue
        base = given
        if stored:
            base = {**one.plain.object, "metadata": {**one.plain.object["metadata"], **given["metadata"]}}
            base = {**base, "apiVersion": "v1", "kind": "Pod"}
            if "name" not in given["metadata"]:
                base["metadata"]["name"] = given["metadata"]["generateName"] + MADE_UP
        yield {**base, "metadata": {**base["metadata"], "uid": uid}}


def example_of(given: Json) -> str:
    """The name of its pod, without what is made up."""
    metadata = pod_of(given)["metadata"]
    return str(metadata.get("name") or metadata["generateName"])


def differences(pair: Pair, found: Mapping[str, Json], counts: Counter[str]) -> Iterator[str]:
    """What is not as it was found."""
    for one in pair.told:
        what = f"{pair.name} {example_of(one.given)}"
        if one.plain.status != 201:
            yield f"{what}: refused without a webhook: {one.plain.message}"
            continue
        if one.audited.patches or one.audited.bytes != one.plain.bytes:
            yield f"{what}: an audited pod is another\n{one.plain.bytes!r}\n{one.audited.bytes!r}"
        counts["byte-equal"] += 1
        if one.given["kind"] != "Pod" and pair.split:
            continue  # which share its first pod has goes by a uid that no template has
        finding = found[example_of(one.given)]
        done = finding["enforced"] or finding
        if one.enforced.status == 201:
            patch = [operation for each in one.enforced.patches for operation in each]
            if patch != done["patch"] or done["outcome"] == "denied":
                yield f"{what}: {done['outcome']}\nfound    {done['patch']}\nenforced {patch}"
            counts["patched" if patch else "left"] += 1
        else:
            refused = one.enforced.status == 403 and done["outcome"] == "denied"
            if not refused or done["reason"] not in one.enforced.message:
                yield f"{what}: {done['outcome']} {done['reason']}\nenforced {one.enforced.message}"
            counts["denied"] += 1
        other = found[example_of(one.other)]
        would = one.line.get("audited") or one.line
        if (would["patch"], would["allowed"]) != (other["patch"], other["outcome"] != "denied"):
            yield f"{what}: {other['outcome']}\nfound   {other['patch']}\naudited {would['patch']} {would['allowed']}"


# Random bundles


def a_bundle(dice: random.Random, number: int) -> tuple[World, dict[str, str], str, bool]:
    """A world, its bundle's files, its pools, and whether a policy splits."""
    world = a_world(dice, nodes=0)
    policies = [policy.document() for policy in world.policies]
    for policy in policies:
        if dice.random() < 0.15:
            policy["spec"]["mode"] = "audit"
    notes = {"annotate": False} if dice.random() < 0.3 else {}
    head = {**HEAD, "spec": {"version": f"1.0.{number}", "params": PARAMS, **notes}}
    files = {"bundle.yaml": json.dumps(head), "policies/all.yaml": as_documents(policies)}
    nothing = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": []}
    pools = as_documents(world.objects() or [nothing])
    return world, files, pools, any(policy.split for policy in world.policies)


def as_documents(objects: Sequence[Json]) -> str:
    """Objects as documents of one file."""
    return "\n---\n".join(map(json.dumps, objects))


def published(folder: Path, number: int, files: Mapping[str, str], pools: str) -> None:
    """A bundle and its pools in a folder of their own, to which those that are followed point from now on, each
    in one step."""
    mine = folder / str(number)
    for path, text in {"pools.yaml": pools, **{f"bundle/{path}": text for path, text in files.items()}}.items():
        target = mine / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    for name in ("pools.yaml", "bundle"):
        (folder / "next").symlink_to(mine / name)
        (folder / "next").replace(folder / name)


def lane(modes: BothModes, folder: Path, begun: World, number: int, done: queue.Queue[Pair]) -> None:
    """Bundles one after the other, each decided about by both webhooks; the first is served already."""
    (namespace,) = modes.namespaces
    before = begun
    for seed in range(number, PAIRS, LANES):
        world, files, pools, split = a_bundle(random.Random(seed), seed)
        if seed != number:
            same = inventory_of(world.objects()) == inventory_of(before.objects())
            published(folder, seed, files, pools)
            modes.wait_active(rf"laws@1\.0\.{seed}\+\S+ is active .*\(bundle,", *[r"\(file,"] * (not same))
            before = world
        dice, names = random.Random(-seed), [f"p{seed}-{each}" for each in range(1 + seed % 2)]
        given = [(name, a_given(dice, name, namespace)) for name in names]
        told = asked(modes, [(one, renamed(one, name)) for name, one in given])
        mine = folder / str(seed)
        done.put(Pair(f"seed {seed}", mine / "bundle", mine / "pools.yaml", told, split))


@pytest.mark.timeout(3600)
def test_random_findings_are_what_enforcing_does(cluster: ControlPlane, events: Events, tmp_path: Path) -> None:
    done: queue.Queue[Pair] = queue.Queue()

    def run(number: int) -> None:
        folder, namespace = tmp_path / f"lane-{number}", f"findings-{number}"
        world, files, pools, _ = a_bundle(random.Random(number), number)
        published(folder, number, files, pools)
        cluster.add_namespace(namespace)
        with both_modes(cluster, events, [namespace], folder / "bundle", folder / "pools.yaml") as modes:
            lane(modes, folder, world, number, done)

    counts, different = Counter[str](), list[str]()
    with ThreadPoolExecutor(LANES) as lanes, ProcessPoolExecutor(JOBS, get_context("spawn")) as jobs:
        running = [lanes.submit(run, number) for number in range(LANES)]
        auditing: deque[tuple[Pair, Future[dict[str, Json]]]] = deque()
        while auditing or not done.empty() or any(not one.done() for one in running):
            with suppress(queue.Empty):
                pair = done.get(timeout=0.05)
                pods = as_pods(pair, stored=counts["begun"] % 2 == 1)
                auditing.append((pair, jobs.submit(found_of, pair.bundle, pair.pools, pods, tmp_path)))
                counts["begun"] += 1
            while auditing and auditing[0][1].done():
                pair, found = auditing.popleft()
                different += differences(pair, found.result(), counts)
                counts["pairs"] += 1
                if counts["pairs"] % 100 == 0:
                    print(f"{counts['pairs']} pairs, {len(different)} differ", *different[-1:], flush=True)
        for one in running:
            one.result()
    print(dict(counts))
    assert not different, f"{len(different)} differ\n" + "\n".join(different[:5])
    assert counts["pairs"] == PAIRS
    assert min(counts["patched"], counts["left"], counts["denied"]) > PAIRS / 10


# Samples


def namespaces_of(sample: Path) -> dict[str, Json]:
    """The Namespaces of its examples and tests by name, and those that pods are in."""
    found: dict[str, Json] = {}
    for one in documents(sample / "examples"):
        if one["kind"] == "Namespace":
            found[one["metadata"]["name"]] = one
    for test in documents(sample / "tests"):
        found |= {one["metadata"]["name"]: one for one in test["spec"].get("namespaces", ())}
    for one in given_of(sample):
        name = one["metadata"]["namespace"]
        found.setdefault(name, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return found


def documents(folder: Path) -> Iterator[Json]:
    for file in sorted(folder.rglob("*.yaml")):
        yield from filter(None, yaml.safe_load_all(file.read_text()))


def given_of(sample: Path) -> Iterator[Json]:
    """The pods and workloads of its examples, and the pods of its tests, each with a name of its own. A pod that chose
    its node by name is none of them: one that exists can't be told from one that a scheduler has bound."""
    cases = [case for test in documents(sample / "tests") for case in test["spec"]["cases"]]
    pods = [{"namespace": case.get("namespace"), **case} for case in cases if "pod" in case and "request" not in case]
    for number, one in enumerate([*documents(sample / "examples"), *pods]):
        given = {"apiVersion": "v1", "kind": "Pod", **one["pod"]} if "pod" in one else one
        if given["kind"] != "Namespace" and "nodeName" not in given.get("spec", {}):
            metadata = given.get("metadata", {})
            namespace = metadata.get("namespace") or one.get("namespace") or "default"
            name = f"{metadata.get('name', 'pod')}-{number}"
            yield {**given, "metadata": {**metadata, "name": name, "namespace": namespace}}


def priorities_of(sample: Path) -> list[Json]:
    """The PriorityClasses that its pods name, without which an API server asks nobody about them."""
    names = {name for given in given_of(sample) if (name := pod_of(given)["spec"].get("priorityClassName"))}
    head = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1000}
    return [{**head, "metadata": {"name": name}} for name in sorted(names)]


@pytest.mark.timeout(600)
def test_findings_about_samples_are_what_enforcing_does(cluster: ControlPlane, events: Events, tmp_path: Path) -> None:
    counts, different = Counter[str](), list[str]()
    for pools in sorted(SAMPLES.glob("*/pools/*.yaml")):
        sample = pools.parents[1]
        namespaces = namespaces_of(sample)
        cluster.apply(*namespaces.values(), *priorities_of(sample))
        for name in namespaces:
            account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
            wait_for(lambda account=account: cluster.request("GET", account).is_success, account)  # type: ignore[misc]
        with both_modes(cluster, events, [*namespaces], sample, pools) as modes:
            told = asked(modes, [(one, one) for one in given_of(sample)])
        items = [cluster.api("GET", f"/api/v1/namespaces/{name}") for name in namespaces]
        pair = Pair(f"{sample.name}, {pools.name}", sample, pools, told, namespaces=items)
        for stored in (False, True):
            found = found_of(sample, pools, as_pods(pair, stored), tmp_path)
            different += differences(pair, found, counts)
        counts[sample.name] += len(told)
    print(dict(counts))
    assert not different, f"{len(different)} differ\n" + "\n".join(different[:5])
    assert counts["denied"]
    assert counts["patched"]
