"""webhook.configuration: what `serve --dev` prints asks for what the webhook answers."""

from __future__ import annotations

import base64
from typing import Any

import yaml

from engine.bundle import HandsOn
from webhook.configuration import configuration


def parsed(**more: Any) -> Any:
    return yaml.safe_load(configuration("https://127.0.0.1:8443/mutate", b"PEM", "mine", **more))


def test_pods_that_are_created_are_sent_to_the_url() -> None:
    whole = parsed()
    assert (whole["apiVersion"], whole["kind"]) == (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
    )
    (webhook,) = whole["webhooks"]
    assert webhook["clientConfig"]["url"] == "https://127.0.0.1:8443/mutate"
    assert base64.b64decode(webhook["clientConfig"]["caBundle"]) == b"PEM"
    (rule,) = webhook["rules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE"], ["pods"])
    assert webhook["sideEffects"] == "None"
    assert webhook["reinvocationPolicy"] == "IfNeeded"
    assert webhook["admissionReviewVersions"] == ["v1"]


def test_who_writes_events_says_that_answers_have_effects_but_for_dry_runs() -> None:
    hands_on = [HandsOn("template")]
    assert {each["sideEffects"] for each in parsed(events=True, hands_on=hands_on)["webhooks"]} == {"NoneOnDryRun"}


def test_namespaces_that_are_left_alone_are_not_sent() -> None:
    (webhook,) = parsed()["webhooks"]
    (expression,) = webhook["namespaceSelector"]["matchExpressions"]
    assert expression == {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": ["kube-node-lease", "kube-system", "mine"],
    }


def test_only_the_namespaces_that_are_named_are_sent_if_any_are() -> None:
    (webhook,) = parsed(only=["try", "mine"])["webhooks"]
    left_alone, sent = webhook["namespaceSelector"]["matchExpressions"]
    assert (left_alone["operator"], sent["operator"]) == ("NotIn", "In")
    assert sent == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["mine", "try"]}


def test_what_a_bundle_has_hands_on_is_sent_too() -> None:
    def called(hands_on: HandsOn) -> list[tuple[Any, ...]]:
        return [
            (each["rules"][0]["resources"], each["rules"][0]["operations"], len(each.get("matchConditions", [])))
            for each in parsed(hands_on=[hands_on])["webhooks"]
        ]

    pods = (["pods"], ["CREATE"], 2)
    assert called(HandsOn()) == [pods]
    assert called(HandsOn("pods")) == [(["pods"], ["CREATE"], 1)]
    assert called(HandsOn("template")) == [pods, (["daemonsets"], ["CREATE", "UPDATE"], 0)]
    first, second = parsed(hands_on=[HandsOn("template", ("kube-system",))], only=["a"])["webhooks"]
    assert first["namespaceSelector"] == second["namespaceSelector"]
    assert first["namespaceSelector"]["matchExpressions"][0]["values"] == ["kube-node-lease", "mine"]
    assert second["rules"][0]["apiGroups"] == ["apps"]
    assert first["name"] != second["name"]


def test_the_failure_policy_is_the_callers() -> None:
    assert parsed()["webhooks"][0]["failurePolicy"] == "Ignore"
    assert parsed(failure_policy="Fail")["webhooks"][0]["failurePolicy"] == "Fail"
