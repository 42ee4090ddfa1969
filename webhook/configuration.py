"""The MutatingWebhookConfiguration that has the API server call a webhook at a URL."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from engine.bundle import FailurePolicy
from engine.decision import LEFT_ALONE
from engine.pods import NAME_LABEL

NAME = "bayplan-dev"
"""Not what the chart calls its own: applying one must not replace the other."""
WEBHOOK = "mutate.bayplan.dev"
TIMEOUT_SECONDS = 2
"""Of one call; a webhook that times out is asked again when others change the pod, so a pod waits twice at most."""

NOT_DAEMON_SET = (
    '!object.metadata.?ownerReferences.orValue([]).exists(o, o.kind == "DaemonSet" && o.?controller.orValue(false))'
)
NOT_MIRROR = '!("kubernetes.io/config.mirror" in object.metadata.?annotations.orValue({}))'


def configuration(
    url: str,
    authority: bytes,
    namespace: str,
    failure_policy: FailurePolicy = "Ignore",
    only: Sequence[str] = (),
) -> str:
    """The configuration as YAML. `url` is that of `/mutate`, `authority` the PEM of who signed its certificate;
    `only` the namespaces whose pods are sent, all if empty.

    Left out are what the webhook would leave alone anyway: pods of DaemonSets, mirror pods, and the namespaces
    kube-system, kube-node-lease and the webhook's own. Pods with a `nodeName` are sent, for `deny` is about them, too.
    """
    namespaces = [_namespaces("NotIn", LEFT_ALONE | {namespace})]
    if only:
        namespaces.append(_namespaces("In", only))
    webhook: dict[str, Any] = {
        "name": WEBHOOK,
        "clientConfig": {"url": url, "caBundle": base64.b64encode(authority).decode()},
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["pods"],
                "scope": "Namespaced",
            }
        ],
        "matchPolicy": "Equivalent",
        "matchConditions": [
            {"name": "not-of-a-daemon-set", "expression": NOT_DAEMON_SET},
            {"name": "not-a-mirror-pod", "expression": NOT_MIRROR},
        ],
        "namespaceSelector": {"matchExpressions": namespaces},
        "failurePolicy": failure_policy,
        "sideEffects": "None",
        "reinvocationPolicy": "IfNeeded",
        "timeoutSeconds": TIMEOUT_SECONDS,
        "admissionReviewVersions": ["v1"],
    }
    whole = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [webhook],
    }
    text: str = yaml.safe_dump(whole, sort_keys=False, width=120)
    return text


def _namespaces(operator: str, names: Iterable[str]) -> dict[str, Any]:
    """Namespaces by the one label that nobody can change."""
    return {"key": NAME_LABEL, "operator": operator, "values": sorted(set(names))}
