"""audit.replay: what exists, decided as if it were created now; audit.folding, by which each kind is decided once."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from typing import Any

import pytest

from audit.findings import Finding
from audit.nodes import places_of
from audit.of_decision import finding_of
from audit.parallel import rows
from audit.replay import Replay, alike, as_created, in_order, replayed
from engine.decision import Decider, Decision
from engine.documents import Manifest, RequestError, Source
from engine.pods import IncomingPod, incoming_of
from engine.program import CompiledPolicy
from engine.struct import replace
from tests.engine.builders import BASE, decider, of_a_daemon_set
from tests.engine.worlds import a_pod, a_world

SOURCE = Source("pods.yaml", "")
POD_NAME = "statefulset.kubernetes.io/pod-name"


def running(name: str, phase: str = "Running") -> dict[str, Any]:
    spec = {"nodeName": "node-1", "containers": [{"name": "main", "image": "x"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec, "status": {"phase": phase}}


def created(name: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "main", "image": "x"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def of(*documents: Any) -> list[Any]:
    return [manifest.data for manifest in replayed(Manifest(SOURCE, each) for each in documents)]


def test_a_pod_is_neither_bound_nor_has_a_status() -> None:
    given = running("a")
    before = copy.deepcopy(given)
    assert as_created(given) == created("a")
    assert given == before
    assert as_created({"spec": None, "status": {}}) == {"spec": None}


def test_a_mirror_pod_is_created_bound() -> None:
    given = running("a")
    given["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert as_created(given) == {key: value for key, value in given.items() if key != "status"}
    given["metadata"]["annotations"] = {"other": "x"}
    assert "nodeName" not in as_created(given)["spec"]


@pytest.mark.parametrize(
    ("phase", "counts"),
    [("Running", True), ("Pending", True), ("Unknown", True), ("Succeeded", False), ("Failed", False)],
)
def test_pods_that_have_finished_are_left_out(phase: str, counts: bool) -> None:
    assert of(running("a", phase)) == [created("a")] * counts


def test_lists_are_taken_apart_and_say_what_kind_their_items_are() -> None:
    bare = {key: value for key, value in running("a").items() if key not in ("kind", "apiVersion")}
    done = {key: value for key, value in running("b", "Failed").items() if key != "kind"}
    listed = {"kind": "PodList", "items": [bare, done, running("c")]}
    assert of(listed) == [{key: value for key, value in created("a").items() if key != "apiVersion"}, created("c")]
    assert of({"kind": "List", "items": [running("a"), listed, "text"]})[0] == created("a")


def test_everything_else_stays_as_it_is() -> None:
    deployment = {"kind": "Deployment", "spec": {"nodeName": "x"}, "status": {"phase": "Failed"}}
    others = [deployment, {"kind": "List", "items": None}, {"kind": "Playlist"}, "text", None, [running("a")]]
    assert of(*others) == others


# A whole replay

TIME = "2026-01-01T00:00:00Z"
DENIES_B = "deny: [{expression: 'pod.metadata.labels.app == \"b\"', message: not here}]"
NODES = [
    {"metadata": {"name": name, "labels": {"karpenter.sh/nodepool": pool}}} if pool else {"metadata": {"name": name}}
    for name, pool in (("node-1", "gpu"), ("node-2", "plain"), ("node-3", "plain"), ("node-4", ""))
]


def member(name: str, owner: str, node: str = "node-1", kind: str = "ReplicaSet", **labels: str) -> dict[str, Any]:
    """A pod of a workload as a cluster shows it: of a Deployment's ReplicaSet, if nothing else is said."""
    version = {"ReplicaSet": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1"}
    made_by = f"{owner}-5d9c" if kind == "ReplicaSet" else owner
    of = {"apiVersion": version.get(kind, "example.com/v1"), "kind": kind, "name": made_by, "controller": True}
    labels = {"app": owner, **({"pod-template-hash": "5d9c"} if kind == "ReplicaSet" else {}), **labels}
    metadata = {
        "name": name,
        "namespace": "shop",
        "uid": name,
        "labels": labels,
        "ownerReferences": [of | {"uid": "1"}],
    }
    pod = running(name)
    return {**pod, "metadata": metadata, "spec": {**pod["spec"], "nodeName": node}}


def workload(kind: str, name: str, version: str = "apps/v1", **more: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    owned = {"ownerReferences": more.pop("ownerReferences")} if "ownerReferences" in more else {}
    status = {"status": more.pop("status")} if "status" in more else {}
    spec = {"jobTemplate": {"spec": {"template": template}}} if kind == "CronJob" else {"template": template}
    metadata = {"name": name, "namespace": "shop", **owned}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": {**spec, **more}, **status}


def replay(engine: Decider, *objects: Any, nodes: bool = True) -> list[Finding]:
    places = places_of(NODES, engine.pool_index) if nodes else {}
    replay = Replay(engine, time=TIME, places=places)
    for one in objects:
        replay.given.take(one, "dump.json: ")
    return in_order(row.told() for row in rows(replay, 1, lambda _: None))


def told(findings: list[Finding]) -> list[tuple[str, str, int]]:
    return [(one.workload.title, one.outcome, one.pods) for one in findings]


def test_pods_are_told_at_their_workload() -> None:
    found = replay(
        decider(BASE, DENIES_B),
        member("a-1", "a"),
        member("b-1", "b", "node-2"),
        member("a-2", "a", "node-2"),
        member("db-0", "db", "node-3", "StatefulSet"),
        member("db-1", "db", "node-3", "StatefulSet"),
        member("agent-1", "agent", "node-4", "Agent"),
        running("alone"),  # which has no label `app`, so the policy that denies fails, closed
    )
    assert told(found) == [
        ("Deployment shop/a", "changed", 2),
        ("Deployment shop/b", "denied", 1),
        ("StatefulSet shop/db", "changed", 2),
        ("Agent shop/agent", "changed", 1),
        ("Pod default/alone", "denied", 1),
    ]
    assert {one.workload.name: one.placed for one in found} == {
        "a": {"gpu": 1, "plain": 1},
        "b": {"plain": 1},
        "db": {"plain": 2},
        "agent": {"": 1},
        "alone": {"gpu": 1},
    }


def test_pods_that_run_where_they_would_not_be_let_leave() -> None:
    (found,) = replay(decider(BASE), member("a-1", "a"), member("a-2", "a", "node-2"), member("a-3", "a", "node-4"))
    (leaves,) = found.effect.follows
    assert (leaves.what, leaves.pods, leaves.pools) == ("leaves", 2, ("", "gpu"))
    assert leaves.text == "2 of 3 pods run where they would not be let any more: 1 in no pool, 1 in gpu"
    assert Finding.from_json(found.as_json()) == found
    (audited,) = replay(decider(f"{BASE}\nmode: audit"), member("a-1", "a"))
    assert [one.what for one in audited.effect.follows] == ["leaves"]
    for spec in (DENIES_B.replace('"b"', '"a"'), f"{BASE}\npodSelector: {{matchLabels: {{app: other}}}}"):
        (other,) = replay(decider(spec), member("a-1", "a"))
        assert other.effect.follows == ()
    (unknown,) = replay(decider(BASE), member("a-1", "a", "elsewhere"))
    assert (unknown.placed, unknown.effect.follows) == ({}, ())
    (nothing,) = replay(decider(BASE), member("a-1", "a"), nodes=False)
    assert (nothing.placed, nothing.effect.follows) == ({}, ())


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([workload("Deployment", "a", replicas=0)], [("Deployment shop/a", 0)]),
        ([workload("Deployment", "a", replicas=3)], [("Deployment shop/a", 3)]),
        ([workload("Deployment", "a", replicas=-3)], [("Deployment shop/a", 0)]),
        ([workload("Deployment", "a"), member("a-1", "a")], [("Deployment shop/a", 1)]),
        ([workload("StatefulSet", "a", replicas=2)], [("StatefulSet shop/a", 2)]),
        ([workload("CronJob", "a", "batch/v1", suspend=True)], [("CronJob shop/a", 0)]),
        ([workload("CronJob", "a", "batch/v1")], [("CronJob shop/a", 1)]),
        ([workload("Job", "a", "batch/v1", parallelism=4)], [("Job shop/a", 4)]),
        ([workload("Job", "a", "batch/v1", status={"conditions": [{"type": "Complete", "status": "True"}]})], []),
        ([workload("Rollout", "a", "argoproj.io/v1alpha1", replicas=0)], [("Rollout shop/a", 0)]),
        ([workload("DaemonSet", "a")], [("DaemonSet shop/a", 0)]),
        ([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {}}], []),
    ],
)
def test_workloads_without_pods_are_told_by_their_template(objects: list[Any], expected: list[tuple[str, int]]) -> None:
    for order in (objects, objects[::-1]):
        assert [(one.workload.title, one.pods) for one in replay(decider(BASE), *order)] == expected


def by(kind: str, name: str, version: str = "apps/v1") -> list[dict[str, Any]]:
    return [{"apiVersion": version, "kind": kind, "name": name, "uid": "2", "controller": True}]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        # a Job's name only looks like a CronJob's
        ([member("x", "load-20240101", kind="Job")], [("CronJob shop/load", 1)]),
        ([member("x", "load-20240101", kind="Job"), workload("Job", "load-20240101", "batch/v1")],
         [("Job shop/load-20240101", 1)]),
        # whoever made the Job, or the ReplicaSet
        ([workload("Job", "part-1", "batch/v1", ownerReferences=by("JobSet", "train", "jobset.x-k8s.io/v1")),
          member("x", "part-1", kind="Job")], [("JobSet shop/train", 1)]),
        ([workload("ReplicaSet", "a-5d9c", ownerReferences=by("Deployment", "a"), replicas=1),
          workload("Deployment", "a", replicas=1), member("a-1", "a")], [("Deployment shop/a", 1)]),
        ([workload("ReplicaSet", "a-old", ownerReferences=by("Deployment", "a"), replicas=0)], []),
        ([workload("ReplicaSet", "a-old", ownerReferences=by("Deployment", "a"), replicas=0),
          workload("Deployment", "a", replicas=0)], [("Deployment shop/a", 0)]),
        ([workload("ReplicaSet", "own", replicas=2)], [("ReplicaSet shop/own", 2)]),
    ],
)  # fmt: skip
def test_what_controllers_make_of_each_other_is_told_at_the_first(
    objects: list[Any], expected: list[tuple[str, int]]
) -> None:
    for order in (objects, objects[::-1]):
        assert [(one.workload.title, one.pods) for one in replay(decider(BASE), *order)] == expected


def test_namespaces_count_whenever_they_come() -> None:
    spec = f"{BASE}\nnamespaceSelector: {{matchLabels: {{team: ml}}}}"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "ml"}}}
    for order in ([namespace, member("a-1", "a")], [member("a-1", "a"), namespace]):
        assert told(replay(decider(spec), *order)) == [("Deployment shop/a", "changed", 1)]
    assert told(replay(decider(spec), member("a-1", "a"))) == [("Deployment shop/a", "unchanged", 1)]
    later = {**namespace, "metadata": {"name": "shop"}}
    assert told(replay(decider(spec), namespace, later, member("a-1", "a")))[0][1] == "unchanged"


def test_daemon_sets_are_left_alone_or_told_by_their_template() -> None:
    pods = [member(f"agent-{i}", "agent", f"node-{i}", "DaemonSet") for i in (1, 2, 3)]
    for one in pods:
        one["spec"]["affinity"] = of_a_daemon_set(one["spec"]["nodeName"])["spec"]["affinity"]
    objects = [*pods, workload("DaemonSet", "agent")]
    assert told(replay(decider(BASE), *objects)) == [("DaemonSet shop/agent", "unchanged", 3)]
    (found,) = replay(decider(BASE, bundle="handsOn: {daemonSets: template}"), *objects)
    assert (found.outcome, found.pods, found.template) == ("changed", 3, True)
    narrowed = replay(decider(BASE, bundle="handsOn: {daemonSets: true}"), *pods[1:])
    assert [one.pods for one in narrowed] == [1, 1]  # each with the name of its node in what is written
    other = copy.deepcopy(pods)
    for one in other:
        one["metadata"]["ownerReferences"][0]["apiVersion"] = "apps.kruise.io/v1beta1"
    patches = [one.effect.patch for one in replay(decider(BASE), *other)]
    assert len({json.dumps(patch) for patch in patches}) == len(patches)


def test_what_can_not_be_used_is_said_with_its_place() -> None:
    odd = member("a-1", "a")
    odd["spec"]["nodeSelector"] = {"x": 1}
    with pytest.raises(RequestError) as error:
        replay(decider(BASE), {"kind": "List", "items": [running("ok"), odd]})
    assert error.value.path == "dump.json: items[1].spec.nodeSelector.x"
    with pytest.raises(RequestError, match="not an object"):
        replay(decider(BASE), "text")
    for metadata in ("text", {"annotations": "bayplan.dev/revision"}, {"annotations": ["bayplan.dev/policies"]}):
        with pytest.raises(RequestError, match="this must be"):
            replay(decider(BASE), {**running("a"), "metadata": metadata})
    with pytest.raises(RequestError, match="expected a list that says its `kind`"):
        replay(decider(BASE), {"items": [running("a")]})


def test_a_pod_that_is_too_odd_to_be_folded_is_decided_for_itself() -> None:
    odd = member("a-1", "a")
    odd["metadata"]["labels"] = None
    odd["metadata"]["ownerReferences"][0]["controller"] = None
    odd["status"] = {"phase": 7}
    found = replay(decider(BASE), odd, member("a-2", "a"))
    assert sum(one.pods for one in found) == 2


# Law 8: folded, the findings are those of each pod alone


def alone(engine: Decider, objects: list[dict[str, Any]]) -> dict[str, int]:
    """What each pod comes to, and how many there are of each: decided one by one, as a webhook would."""
    counts: Counter[str] = Counter()
    for one in objects:
        incoming = incoming_of("", as_created(one), {})
        assert incoming is not None
        counts[alike(finding_of(engine, engine.decide(incoming), time=TIME))] += 1
    return counts


def folded(engine: Decider, objects: list[dict[str, Any]]) -> dict[str, int]:
    """The same of a replay of all of them."""
    return {alike(one): one.pods for one in replay(engine, *objects, nodes=False)}


def a_fleet(dice: random.Random) -> list[dict[str, Any]]:
    """Pods of a few workloads, of one template each, with all that pods of one template have for themselves."""
    found: list[dict[str, Any]] = []
    for number in range(dice.randint(1, 4)):
        kind = dice.choice(["ReplicaSet", "StatefulSet", "Job", "DaemonSet", "Agent", ""])
        template = a_pod(dice)
        for i in range(dice.randint(1, 4)):
            node = f"node-{dice.randint(1, 4)}"
            one = member(f"w{number}-{i}", f"w{number}", node, kind or "ReplicaSet")
            one["metadata"]["labels"] |= template["metadata"]["labels"]
            one["spec"] = {**one["spec"], **copy.deepcopy(template["spec"]), "hostname": f"w{number}-{i}"}
            one["metadata"]["creationTimestamp"] = f"2026-01-01T00:00:0{i}Z"
            one["metadata"]["annotations"] = dice.choice([{}, {"note": str(i)}, {"bayplan.dev/revision": f"r{i}"}])
            if kind == "StatefulSet":
                one["metadata"]["labels"] |= {"apps.kubernetes.io/pod-index": str(i), POD_NAME: f"w{number}-{i}"}
            if kind == "Job":
                one["metadata"]["annotations"] |= {"batch.kubernetes.io/job-completion-index": str(i)}
            if kind == "DaemonSet" and dice.random() < 0.8:
                one["spec"]["affinity"] = of_a_daemon_set(node)["spec"]["affinity"]
            if not kind:
                del one["metadata"]["ownerReferences"]
            found.append(one)
    dice.shuffle(found)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_folded_findings_are_those_of_each_pod_alone(seed: int) -> None:
    dice = random.Random(seed)
    engine = a_world(dice).decider()
    for _ in range(3):
        fleet = a_fleet(dice)
        assert folded(engine, fleet) == alone(engine, fleet)


READING = [
    'pod.metadata.name.endsWith("1")',
    'pod.?metadata.?annotations["note"].orValue("") == "1"',
    'pod.metadata.annotations.exists(k, pod.metadata.annotations[k] == "1")',
    'pod.?metadata.?labels["apps.kubernetes.io/pod-index"].orValue("") == "1"',
    'pod.metadata.labels.exists(k, pod.metadata.labels[k] == "1")',
    'pod.spec.?hostname.orValue("").endsWith("1")',
    'pod.spec.volumes.exists(v, v.name.endsWith("1"))',
    'pod.spec.containers.exists(c, c.volumeMounts.exists(m, m.name.endsWith("1")))',
    '[pod].exists(p, p.metadata.name.endsWith("1"))',
    'pod.metadata.?name.orValue("").endsWith("1")',
    '[pod.metadata].exists(m, m.name.endsWith("1"))',
    '!pod.spec.?affinity.?nodeAffinity.hasValue() && pod.metadata.name.endsWith("1")',
]


@pytest.mark.parametrize("reading", READING)
def test_what_each_pod_has_for_itself_is_told_apart_where_policies_read_it(reading: str) -> None:
    conditions = f"matchConditions: [{{name: c, expression: {json.dumps(reading)}}}]"
    for engine in (
        decider(f"{BASE}\n{conditions}"),
        decider(f"prefer: [{{expression: 'pool.gpus > 0', score: {json.dumps(f'{reading} ? 7 : 3')}}}]"),
        decider(f"{BASE}\nvariables: [{{name: v, expression: {json.dumps(reading)}}}]\n"
                "matchConditions: [{name: c, expression: variables.v}]"),
    ):  # fmt: skip
        pods = [member(f"a-{i}", "a", kind=kind) for i in range(3) for kind in ("StatefulSet", "Agent")]
        for one in pods:
            i = one["metadata"]["name"][-1]
            one["metadata"]["annotations"] = {"note": i}
            one["metadata"]["labels"] |= {"apps.kubernetes.io/pod-index": i}
            one["spec"] |= {"hostname": f"a-{i}", "volumes": [{"name": f"kube-api-access-aaaa{i}", "emptyDir": {}}]}
            mount = {"name": f"kube-api-access-aaaa{i}", "mountPath": "/x"}
            one["spec"]["containers"] = [{"name": "main", "image": "x", "volumeMounts": [mount]}]
        assert folded(engine, pods) == alone(engine, pods)
        assert len(folded(engine, pods)) > 2


def test_several_bundles_are_folded_together() -> None:
    plain, reading = (
        decider(BASE).program,
        decider(f"{BASE}\nmatchConditions: [{{name: c, expression: '{READING[0]}'}}]"),
    )
    renamed = replace(reading.program, policies=tuple(_renamed(one) for one in reading.program.policies))
    engine = Decider([plain, renamed], reading.pool_index.inventory)
    pods = [member(f"a-{i}", "a", kind="StatefulSet") for i in range(3)]
    assert folded(engine, pods) == alone(engine, pods)
    assert len(folded(engine, pods)) == 2


def _renamed(policy: CompiledPolicy) -> CompiledPolicy:
    return replace(policy, policy=replace(policy.policy, name="other"))


def test_pods_of_one_template_are_decided_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = decider(BASE)
    asked: list[IncomingPod] = []

    def decide(incoming: IncomingPod) -> Decision:
        asked.append(incoming)
        return Decider.decide(engine, incoming)

    monkeypatch.setattr(engine, "decide", decide)
    pods = [member(f"a-{i}", "a", f"node-{i % 4 + 1}") for i in range(50)]
    assert told(replay(engine, *pods)) == [("Deployment shop/a", "changed", 50)]
    assert len(asked) == 1
