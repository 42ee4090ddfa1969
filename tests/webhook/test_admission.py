"""webhook.admission: what is said of pods that a bundle knows, does not know, refuses, and breaks on."""

from __future__ import annotations

import asyncio
import copy
import io
import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import LookupFailedError
from engine.decision import Decider, Decision
from engine.documents import Manifest, Source
from engine.pods import IncomingPod, named, pods_from_documents, without_environment
from telemetry import DecisionLog, Metrics
from tests.delivery.bundles import NAMED, TEAMS, TRAINING, decider
from tests.webhook.reviews import UID, Json, body, patch_of, pod, review
from webhook.admission import Admission, Decides, LogDecisions

ENFORCE, AUDIT = decider(), decider("audit")
TRAINEE = pod({"workload": "training"})
SECRET = "hunter2-the-secret"
SECRETIVE = pod(
    {"workload": "training"},
    {"containers": [{"name": "app", "image": "a", "env": [{"name": "PASSWORD", "value": SECRET}]}]},
    annotations={"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"env": SECRET})},
)


@dataclass
class Holder:
    """What is active."""

    decider: Decides | None


@dataclass
class Names:
    """Namespaces: those that a watch knows, and those that only the API server knows yet, or nobody."""

    known: dict[str, Json] = field(default_factory=dict)
    younger: dict[str, Json] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    silent: bool = False

    def get(self, name: str) -> Mapping[str, Any] | None:
        return self.known.get(name)

    def find(self, name: str) -> Future[Json]:
        self.found.append(name)
        future: Future[Json] = Future()
        future.set_running_or_notify_cancel()
        if name in self.younger:
            future.set_result(self.younger[name])
        elif not self.silent:
            future.set_exception(LookupFailedError("the API server answered 503", "503"))
        return future


SHOPS = Names({"shop": named("shop")})


class Broken:
    """A decider with a bug that quotes what it was given."""

    def __init__(self, part: str = "env") -> None:
        self.part = part

    def decide(self, incoming: IncomingPod) -> Decision:
        container = incoming.pod["spec"]["containers"][0]
        raise KeyError(f"bug at {container.get(self.part) or incoming.pod['metadata']}")


class Shy:
    """A decider with a bug that shows only where there is an environment, and quotes it."""

    def decide(self, incoming: IncomingPod) -> Decision:
        for entry in incoming.pod["spec"]["containers"][0]["env"]:
            if entry["value"]:
                raise ValueError(entry["value"])
        return ENFORCE.decide(incoming)


class Webhook:
    """An admission with its log and metrics."""

    def __init__(
        self,
        decides: Decides | None,
        *,
        log: LogDecisions = "changed",
        namespaces: Names | None = SHOPS,
        **more: Any,
    ) -> None:
        self.metrics = Metrics("test")
        self.output = io.BytesIO()
        self.log = DecisionLog(self.output, lambda *_: None)
        self.admission = Admission(
            Holder(decides), self.metrics, namespaces, decisions=self.log, log_decisions=log, **more
        )

    def post(self, sent: bytes) -> tuple[int, Json]:
        answer = asyncio.run(self.admission.answer(sent))
        return answer.status, json.loads(answer.body)

    def create(self, pod: Json, **request: Json) -> Json:
        """The response to the creation of a pod."""
        status, answer = self.post(body(review(pod, **request)))
        assert status == 200
        assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        assert answer["response"]["uid"] == request.get("uid", UID)
        return answer["response"]

    def lines(self) -> list[Json]:
        self.log.close()
        return [json.loads(line) for line in self.output.getvalue().splitlines()]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"bayplan_{name}", labels)


def test_a_pod_is_patched() -> None:
    webhook = Webhook(ENFORCE)
    response = webhook.create(TRAINEE)
    assert response["allowed"] is True
    patched = jsonpatch.apply_patch(TRAINEE, patch_of(response))
    (term,) = patched["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term == {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["gpu"]}]}
    assert patched["spec"]["tolerations"][:2] == TRAINEE["spec"]["tolerations"]
    assert patched["spec"]["tolerations"][2]["key"] == "gpu"
    said = response["auditAnnotations"]
    assert said["revision"].startswith("small@1.0.0+sha256:")
    assert (said["mode"], said["outcome"]) == ("enforce", "mutated")
    assert said["policies"] == "no-node-names=satisfied,training=applied"
    assert "patch" not in said
    assert patch_of(webhook.create(patched)) == []
    assert webhook.metric("admission_requests_total", operation="CREATE", outcome="mutated") == 1
    assert webhook.metric("admission_requests_total", operation="CREATE", outcome="unchanged") == 1
    assert webhook.metric("admission_duration_seconds_count") == 2
    counted = {"bundle": "small", "mode": "enforce"}
    assert webhook.metric("policy_evaluations_total", policy="training", result="applied", **counted) == 1
    assert webhook.metric("policy_evaluations_total", policy="training", result="satisfied", **counted) == 1


def test_other_pods_are_left_as_they_are() -> None:
    webhook = Webhook(ENFORCE)
    response = webhook.create(pod({"app": "web"}))
    assert response["allowed"] is True
    assert patch_of(response) == []
    assert response["auditAnnotations"]["outcome"] == "unchanged"
    assert webhook.lines() == []


def test_a_refusal_names_the_policy() -> None:
    webhook = Webhook(ENFORCE)
    response = webhook.create(pod(spec={"nodeName": "n1"}))
    assert response["allowed"] is False
    assert response["status"]["code"] == 403
    assert response["status"]["reason"] == "Forbidden"
    assert "no-node-names" in response["status"]["message"]
    assert "nodeName goes around the scheduler" in response["status"]["message"]
    (line,) = webhook.lines()
    assert line["allowed"] is False
    assert line["policies"][0]["name"] == "no-node-names"


@pytest.mark.parametrize("what", [TRAINEE, pod(spec={"nodeName": "n1"}), pod({"app": "web"})])
def test_audit_changes_nothing_and_decides_the_same(what: Json) -> None:
    audit, enforce = Webhook(AUDIT), Webhook(ENFORCE, log="all")
    audited, enforced = audit.create(what), enforce.create(what)
    assert audited["allowed"] is True
    assert patch_of(audited) == []
    assert "status" not in audited
    assert "warnings" not in audited
    (would,), (did,) = audit.lines(), enforce.lines()
    for volatile in ("time", "latencySeconds", "mode"):
        assert would.pop(volatile) != did.pop(volatile) or volatile == "latencySeconds"
    assert would == did
    assert would["patch"] == patch_of(enforced)
    if patch_of(enforced):
        assert json.loads(audited["auditAnnotations"]["patch"]) == patch_of(enforced)
    assert audited["auditAnnotations"]["outcome"] == enforced["auditAnnotations"]["outcome"]
    assert audit.metric("admission_requests_total", operation="CREATE", outcome="audit") == 1
    assert audit.metric("would_mutate_total") == (0 if would["allowed"] and not would["patch"] else 1)
    assert audit.metric("audited_pods_total", outcome=enforced["auditAnnotations"]["outcome"]) == 1
    for policy in would["policies"]:
        labels = {"bundle": "small", "policy": policy["name"], "outcome": policy["outcome"]}
        assert audit.metric("audited_policies_total", **labels) == (1 if policy["outcome"] != "notMatched" else None)
    assert enforce.metric("audited_pods_total", outcome="mutated") is None


@pytest.mark.parametrize("decides", [AUDIT, decider(training=TRAINING.replace("spec:\n", "spec:\n  mode: audit\n", 1))])
def test_a_line_about_hundreds_of_terms_is_short_and_says_what_is_missing(decides: Decides) -> None:
    keys = ("rack", "row")
    terms = [
        {"matchExpressions": [{"key": key, "operator": "In", "values": [f"{key}-{i:050}"]} for key in keys]}
        for i in range(400)
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    many = copy.deepcopy(TRAINEE)
    many["spec"]["affinity"] = {"nodeAffinity": required}
    webhook = Webhook(decides)
    webhook.create(many)
    (line,) = webhook.lines()
    assert len(webhook.output.getvalue()) <= 64 * 1024 + 1
    assert set(line["omitted"]) <= {"patch", "audited.patch", "placement"}
    assert line["policies"]
    assert line["message"]
    assert line["pools"]["after"]


def test_a_policy_in_audit_mode_is_told_of_in_an_audited_bundle_too() -> None:
    audited = TRAINING.replace("spec:\n", "spec:\n  mode: audit\n", 1)
    one, both = Webhook(decider(training=audited)), Webhook(decider("audit", training=audited))
    would, too = one.create(TRAINEE)["auditAnnotations"], both.create(TRAINEE)["auditAnnotations"]
    assert (too["mode"], too["patch"]) == ("audit", would["patch"])


def test_one_policy_in_audit_mode_is_logged_whole() -> None:
    webhook = Webhook(decider(training=TRAINING.replace("spec:\n", "spec:\n  mode: audit\n", 1)))
    response = webhook.create(TRAINEE)
    assert response["allowed"] is True
    assert patch_of(response) == []
    (line,) = webhook.lines()
    assert line["mode"] == "enforce"
    assert line["audited"]["patch"] == json.loads(response["auditAnnotations"]["patch"]) != []
    assert webhook.metric("would_mutate_total") == 1
    assert webhook.metric("audited_pods_total", outcome="mutated") == 1
    told = {"bundle": "small", "policy": "training"}
    assert webhook.metric("audited_policies_total", **told, outcome="applied") == 1
    assert webhook.metric("policy_evaluations_total", **told, mode="enforce", result="audited") == 1


def test_a_policy_in_audit_mode_of_a_bundle_in_audit_mode_is_counted_as_it_would_be() -> None:
    """All that is audited is what would be, however it came to be audited."""
    webhook = Webhook(decider("audit", training=TRAINING.replace("spec:\n", "spec:\n  mode: audit\n", 1)))
    assert patch_of(webhook.create(TRAINEE)) == []
    assert webhook.metric("audited_pods_total", outcome="mutated") == 1
    assert webhook.metric("audited_policies_total", bundle="small", policy="training", outcome="applied") == 1
    assert webhook.metric("audited_policies_total", bundle="small", policy="training", outcome="audited") is None


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_pods_that_are_placed_where_taints_bar_them_are_counted(mode: str) -> None:
    """Not those that policies leave alone, whatever they ask for themselves."""
    webhook = Webhook(decider(mode, training=TRAINING[: TRAINING.index("  tolerate:")]))
    webhook.create(TRAINEE)
    webhook.create(pod({"app": "web"}, {"nodeSelector": {"pool": "gpu"}}))
    assert webhook.metric("unschedulable_pods_total") == (1 if mode == "enforce" else 0)
    assert webhook.metric("audited_pods_total", outcome="unschedulable") == (1 if mode == "audit" else None)


def test_what_is_logged_is_chosen() -> None:
    kept = {"none": 0, "changed": 1, "all": 2}
    for log, lines in kept.items():
        webhook = Webhook(ENFORCE, log=log)  # type: ignore[arg-type]
        webhook.create(TRAINEE, dryRun=True)
        webhook.create(pod())
        assert len(webhook.lines()) == lines
    short, whole = Webhook(ENFORCE), Webhook(ENFORCE, log="all")
    for webhook in (short, whole):
        webhook.create(TRAINEE, dryRun=True)
    (few,), (many,) = short.lines(), whole.lines()
    assert few["dryRun"] is many["dryRun"] is True
    assert few["uid"] == many["uid"] == UID
    assert "patch" not in few
    assert many["pools"]["after"] == ["gpu"]
    assert few.keys() < many.keys()


@pytest.mark.parametrize("log", ["none", "changed", "all"])
@pytest.mark.parametrize("failure_policy", ["Fail", "Ignore"])
def test_a_policy_that_fails_is_always_told_logged_and_counted(log: LogDecisions, failure_policy: str) -> None:
    """Also where nothing changes: whoever made the pod learns what to do, and operators that it was let through."""
    reads = f"  failurePolicy: {failure_policy}\n  deny:\n    - expression: pod.metadata.labels.team == 'x'\n"
    webhook = Webhook(decider(named=NAMED.replace("spec:\n  deny:\n", f"spec:\n{reads}", 1)), log=log)
    response = webhook.create(pod())
    open_ = failure_policy == "Ignore"
    assert response["allowed"] is open_
    told = " ".join(response["warnings"]) if open_ else response["status"]["message"]
    assert "policy no-node-names" in told
    assert "no such key" in told
    assert "the pod has no metadata.labels[team]: add it" in told
    (line,) = webhook.lines()
    (failed,) = (policy for policy in line["policies"] if policy["outcome"] == "failed")
    assert failed["name"] == "no-node-names"
    labels = {"bundle": "small", "policy": "no-node-names", "mode": "enforce", "result": "failed"}
    assert webhook.metric("policy_evaluations_total", **labels) == 1


def test_namespaces_come_from_memory_or_the_api_server() -> None:
    team_a, team_b = ({"metadata": {"name": "shop", "labels": {"team": team}}} for team in "ab")
    known = Names({"shop": team_b}, {"shop": team_a})
    response = Webhook(ENFORCE, namespaces=known).create(pod())
    assert response["auditAnnotations"]["policies"] == "no-node-names=satisfied,teams=applied"
    assert known.found == []
    younger = Names({}, {"shop": team_b})
    response = Webhook(ENFORCE, namespaces=younger).create(pod())
    assert response["auditAnnotations"]["policies"] == "no-node-names=satisfied,teams=applied"
    assert younger.found == ["shop"]


STRICT = decider(teams=TEAMS.replace("Ignore", "Fail"))
UNREADABLE = {
    "could not be read (the API server answered 503); try again": Names(),
    "could not be read (no answer in time); try again": Names(silent=True),
    "is not known, for no cluster is watched": None,
}


@pytest.mark.parametrize("why", UNREADABLE)
def test_a_namespace_that_is_not_known_is_not_one_without_labels(why: str) -> None:
    """The policy that reads it fails, and says so; one that does not is decided; a name is enough to be left alone."""
    names = UNREADABLE[why]
    webhook = Webhook(STRICT, log="all", namespaces=names, lookup_seconds=0.1)
    response = webhook.create(pod())
    assert response["allowed"] is False
    said = f"policy teams could not be decided: Namespace shop {why}"
    assert response["status"]["message"] == said
    assert "teams=failed" in response["auditAnnotations"]["policies"]
    assert webhook.create(pod(), namespace="kube-system")["allowed"] is True
    (line, _) = webhook.lines()
    assert line["namespaceKnown"] is False
    assert line["allowed"] is False
    only = Webhook(decider(teams=TEAMS.replace("{team: b}", "{kubernetes.io/metadata.name: b}")), namespaces=names)
    assert only.create(pod())["allowed"] is True


def test_a_silent_api_server_holds_up_nobody_else() -> None:
    """The one who asks for what is not known waits; whoever does not is answered meanwhile."""
    webhook = Webhook(STRICT, namespaces=Names({"known": named("known")}, silent=True), lookup_seconds=0.5)

    async def ask() -> list[str]:
        finished: list[str] = []

        async def one(namespace: str) -> None:
            await webhook.admission.answer(body(review(pod(), namespace=namespace)))
            finished.append(namespace)

        await asyncio.gather(*(one("young") for _ in range(100)), one("known"))
        return finished

    assert asyncio.run(ask())[0] == "known"


class Seen:
    """A decider that notes what it is given."""

    def __init__(self) -> None:
        self.incoming: list[IncomingPod] = []

    def decide(self, incoming: IncomingPod) -> Decision:
        self.incoming.append(incoming)
        return ENFORCE.decide(incoming)


@pytest.mark.parametrize("namespaces", [None, Names()])
def test_a_namespace_of_which_only_the_name_is_known_is_one_of_a_file(namespaces: Names | None) -> None:
    seen = Seen()
    Webhook(seen, namespaces=namespaces).create(pod())
    (incoming,) = seen.incoming
    assert incoming.namespace == {"metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop"}}}
    (made,) = pods_from_documents([Manifest(Source("pod.yaml", ""), pod())])
    assert made.namespace == incoming.namespace


@pytest.mark.parametrize("namespace", ["kube-system", "kube-node-lease"])
def test_namespaces_of_the_system_are_left_alone(namespace: str) -> None:
    response = Webhook(ENFORCE).create(pod({"workload": "training"}, {"nodeName": "n"}), namespace=namespace)
    assert response["allowed"] is True
    assert patch_of(response) == []


@pytest.mark.parametrize("change", [{"operation": "UPDATE"}, {"subResource": "status", "object": None}])
def test_other_requests_are_allowed(change: Json) -> None:
    webhook = Webhook(ENFORCE)
    response = webhook.create(TRAINEE, **change)
    assert response == {"uid": UID, "allowed": True}
    operation = change.get("operation", "CREATE")
    assert webhook.metric("admission_requests_total", operation=operation, outcome="ignored") == 1


def test_bad_requests_get_the_field() -> None:
    webhook = Webhook(ENFORCE)
    status, answer = webhook.post(body(review(None)))
    assert status == 400
    assert answer["kind"] == "Status"
    assert answer["message"] == "request.object: is missing"
    assert answer["details"]["causes"] == [{"field": "request.object", "message": "is missing"}]
    assert webhook.post(b"nonsense")[0] == 400
    assert webhook.metric("admission_requests_total", operation="CREATE", outcome="invalid") == 1
    assert webhook.metric("admission_requests_total", operation="unknown", outcome="invalid") == 1


def test_nothing_is_decided_before_anything_is_active() -> None:
    status, answer = Webhook(None).post(body(review(TRAINEE)))
    assert status == 503
    assert "active" in answer["message"]


def test_a_bug_of_ours_is_logged_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    webhook = Webhook(Broken("image"))
    response = webhook.create(TRAINEE)
    assert response["allowed"] is True
    assert patch_of(response) == []
    (warning,) = response["warnings"]
    assert UID in warning
    assert len(warning) <= 120
    assert UID in caplog.text
    assert "Traceback" in caplog.text
    assert "KeyError: 'bug at registry.invalid/app:1'" in caplog.text
    assert webhook.metric("admission_requests_total", operation="CREATE", outcome="error") == 1


def test_a_bug_of_ours_refuses_where_the_operator_wants_it(caplog: pytest.LogCaptureFixture) -> None:
    response = Webhook(Broken("image"), failure_policy="Fail").create(TRAINEE)
    assert response["allowed"] is False
    assert response["status"]["code"] == 500
    assert UID in response["status"]["message"]
    assert "KeyError" not in response["status"]["message"]
    assert "KeyError" in caplog.text


@pytest.mark.parametrize("broken", [Broken(), Broken("nothing"), Shy()])
def test_the_environment_is_never_told(broken: Decides, caplog: pytest.LogCaptureFixture) -> None:
    webhook = Webhook(broken, log="all")
    response = webhook.create(SECRETIVE)
    assert "Traceback" in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in json.dumps(response)
    for mode in ("enforce", "audit"):
        fine = Webhook(decider(mode), log="all")
        fine.create(SECRETIVE)
        assert SECRET not in json.dumps(fine.lines())


def test_taking_out_the_environment_leaves_the_rest() -> None:
    clean = without_environment(SECRETIVE)
    assert SECRET not in json.dumps(clean)
    assert SECRET in json.dumps(SECRETIVE)
    assert clean["spec"]["containers"][0]["env"] == [{"name": "PASSWORD", "value": ""}]
    assert clean["metadata"]["labels"] == {"workload": "training"}


LABELS = st.dictionaries(st.sampled_from(["workload", "app"]), st.sampled_from(["training", "web"]))
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "nodeSelector": st.dictionaries(st.sampled_from(["pool", "zone"]), st.sampled_from(["gpu", "general", "a"])),
        "nodeName": st.just("n1"),
        "tolerations": st.lists(
            st.fixed_dictionaries({"key": st.sampled_from(["gpu", "x"]), "operator": st.just("Exists")}), max_size=2
        ),
    },
)


@settings(max_examples=60, deadline=None)
@given(LABELS, SPECS)
def test_an_answered_pod_needs_no_other_answer(labels: dict[str, str], spec: Json) -> None:
    """Reinvocation: what comes back patched is not patched again; what audit logs is what enforce writes."""
    sent = pod(labels, spec)
    first = _answer(ENFORCE, sent)
    audited = _answer(AUDIT, sent)
    assert audited["allowed"] is True
    assert patch_of(audited) == []
    if first["allowed"]:
        patched = jsonpatch.apply_patch(sent, patch_of(first))
        assert patch_of(_answer(ENFORCE, patched)) == []
        assert {operation["path"].split("/")[2] for operation in patch_of(first)} <= {
            "affinity",
            "annotations",
            "tolerations",
            "topologySpreadConstraints",
        }


METRICS = Metrics("test")


def _answer(decides: Decider, sent: Json) -> Json:
    admission = Admission(Holder(decides), METRICS, SHOPS)
    return json.loads(asyncio.run(admission.answer(body(review(sent)))).body)["response"]


def test_a_pod_with_too_many_values_is_refused_by_what_may_be_about_it() -> None:
    """To read it would take longer than a request may; and what is not read is not taken for absent."""
    large = pod({"workload": "other"}, {"tolerations": [{}] * 200_000})
    webhook = Webhook(ENFORCE)
    response = webhook.create(large)
    assert response["allowed"] is False
    assert "the pod has more than 100,000 values and is not read" in response["status"]["message"]
    assert webhook.create(large, namespace="kube-system") == {"uid": UID, "allowed": True} | {
        "auditAnnotations": webhook.create(pod(), namespace="kube-system")["auditAnnotations"]
    }
