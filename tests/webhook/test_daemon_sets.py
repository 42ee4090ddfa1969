"""webhook: DaemonSets that are created or changed, where a bundle narrows their templates."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest

from engine.documents import Manifest, Source
from engine.pods import pods_from_documents
from tests.engine.builders import GOLD, decider
from tests.engine.decision.test_templates import TEMPLATE, daemon_set
from tests.webhook.reviews import UID, Json, body, patch_of, review
from tests.webhook.test_admission import SECRET, Names, Webhook

NAMES = Names({"team": {"metadata": {"name": "team", "labels": {}}}})
JANE = {"username": "jane", "groups": ["dev"]}
GPU = {"key": "nvidia.com/gpu", "operator": "Exists"}


def webhook(engine: Any = None) -> Webhook:
    return Webhook(engine or decider(GOLD, bundle=TEMPLATE), namespaces=NAMES)


def written(given: Json, **request: Json) -> Json:
    resource = {"group": "apps", "version": "v1", "resource": "daemonsets"}
    return review(given, **{"resource": resource, "namespace": "team", "userInfo": JANE, **request})


def answer(to: Webhook, given: Json, **request: Json) -> Json:
    status, said = to.post(body(written(given, **request)))
    assert status == 200, said
    return said["response"]


def test_a_daemon_set_is_narrowed_and_logged() -> None:
    asked = webhook()
    response = answer(asked, daemon_set())
    narrowed = jsonpatch.apply_patch(daemon_set(), patch_of(response))
    assert "karpenter.sh/nodepool" in str(narrowed["spec"]["template"]["spec"]["affinity"])
    assert narrowed["spec"]["selector"] == daemon_set()["spec"]["selector"]
    assert response["warnings"] == [
        "policy one: the DaemonSet would get no pods, for it does not tolerate the taints of gpu "
        "(nvidia.com/gpu=true:NoSchedule and team=ml:NoExecute), and nothing else is left"
    ]
    assert patch_of(answer(asked, narrowed)) == []
    line, *_ = asked.lines()
    assert (line["template"], line["pod"]["name"], line["pod"]["owner"]["kind"]) == (True, "agent", "DaemonSet")


def test_a_file_of_it_is_decided_the_same() -> None:
    """Law 9."""
    engine = decider(GOLD, "deny: [{expression: 'request.userInfo.username == \"jane\"'}]", bundle=TEMPLATE)
    given = daemon_set({"tolerations": [GPU]})
    (incoming,) = pods_from_documents([Manifest(Source("f", ""), given)])
    assert list(engine.decide(incoming).patch) == patch_of(answer(webhook(engine), given)) != []


def test_a_change_is_narrowed_if_the_template_changes() -> None:
    """Else a new policy would keep finalizers from being removed, and an annotation would restart pods."""
    asked = webhook(decider("deny: [{expression: 'true', message: not today}]", bundle=TEMPLATE))
    old = daemon_set()
    touched = {**old, "metadata": {**old["metadata"], "annotations": {"a": "b"}, "finalizers": []}}
    for given in (old, touched):
        assert answer(asked, given, operation="UPDATE", oldObject=old) == {"uid": UID, "allowed": True}
    changed = daemon_set({"tolerations": [GPU]})
    assert "not today" in answer(asked, changed, operation="UPDATE", oldObject=old)["status"]["message"]
    assert "not today" in answer(asked, old, operation="UPDATE", oldObject=None)["status"]["message"]


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "DELETE"},
        {"operation": "UPDATE", "subResource": "status"},
        {"resource": {"group": "apps", "version": "v1", "resource": "deployments"}},
        {"resource": {"group": "apps.kruise.io", "version": "v1alpha1", "resource": "daemonsets"}},
    ],
)
def test_other_requests_are_left_as_they_are(request_: Json) -> None:
    response = answer(webhook(), daemon_set(), **request_)
    assert (response["allowed"], patch_of(response)) == (True, [])


@pytest.mark.parametrize("bundle", ["", "handsOn: {daemonSets: true}"])
def test_without_a_bundle_that_says_so_nothing_happens(bundle: str) -> None:
    response = answer(webhook(decider(GOLD, bundle=bundle)), daemon_set())
    assert (response["allowed"], patch_of(response)) == (True, [])


def test_what_is_no_daemon_set_is_told_with_its_place() -> None:
    broken = daemon_set()
    broken["spec"]["template"]["spec"]["tolerations"] = [{"key": 1}]
    for given, field in ((broken, "request.object.spec.template.spec.tolerations[0].key"), (None, "request.object")):
        status, said = webhook().post(body(written(given)))
        assert status == 400
        assert field in said["message"]
    others: tuple[Json, ...] = ({"kind": "Deployment"}, {"kind": ["DaemonSet"]}, {"apiVersion": {}}, {"kind": None})
    for other in others:
        status, said = webhook().post(body(written({**daemon_set(), **other})))
        assert (status, said["message"]) == (400, "request.object.kind: expected `DaemonSet` of `apps/v1`")


def test_a_bug_tells_nothing_of_the_template_s_environment(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def decide(self, incoming: Any) -> Any:
            raise KeyError(str(incoming.template))

    given = copy.deepcopy(daemon_set())
    given["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": SECRET}]
    assert answer(webhook(Broken()), given)["allowed"]
    assert "bug while deciding" in caplog.text
    assert SECRET not in caplog.text


def test_before_anything_is_active_the_api_server_is_told_so() -> None:
    status, _ = Webhook(None, namespaces=NAMES).post(body(written(daemon_set())))
    assert status == 503


def test_one_with_too_many_values_is_not_read_and_refused_by_what_may_be_about_it() -> None:
    """As a pod is; what only chooses among nodes is about no DaemonSet."""
    engine = decider(GOLD, "prefer: [{expression: 'node.zone == \"a\"', weight: 5}]", bundle=TEMPLATE)
    asked = webhook(engine)
    large = daemon_set({"tolerations": [{}] * 120_000})
    response = answer(asked, large)
    assert response["allowed"] is False
    assert "the DaemonSet has more than 100,000 values and is not read" in response["status"]["message"]
    assert response["auditAnnotations"]["policies"] == "one=failed"
    assert answer(asked, large, operation="UPDATE", oldObject=daemon_set())["allowed"] is False
    assert answer(asked, daemon_set(), operation="UPDATE", oldObject=large)["allowed"] is True


def test_one_with_too_many_values_whose_template_stays_is_left_as_it_is() -> None:
    """Or its controller could not write its status, nor anybody take it down."""
    large = daemon_set({"tolerations": [{}] * 120_000})
    now = {**copy.deepcopy(large), "status": {"currentNumberScheduled": 1}}
    assert answer(webhook(), now, operation="UPDATE", oldObject=large) == {"uid": UID, "allowed": True}
