"""The MutatingWebhookConfiguration that has the API server call a webhook at a URL."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from engine.bundle import FailurePolicy, HandsOn
from engine.decision import LEFT_ALONE
from engine.pods import DAEMON_SET_CONTROLLERS, MIRROR, NAME_LABEL, NODE_USER, NODES

NAME = "bayplan-dev"
"""Not what the chart calls its own: applying one must not replace the other."""
WEBHOOK = "mutate.bayplan.dev"
TEMPLATES = "daemonsets.bayplan.dev"
"""Called for DaemonSets, where a bundle narrows their templates."""
TIMEOUT_SECONDS = 2
"""Of one call; a webhook that times out is asked again when others change the pod, so a pod waits twice at most."""

_TERMS = "object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
_OF_A_DAEMON_SET = (
    "has(object.metadata.ownerReferences)"
    ' && object.metadata.ownerReferences.exists(o, o.apiVersion == "apps/v1" && o.kind == "DaemonSet"'
    " && has(o.controller) && o.controller)"
    " && has(object.spec.affinity) && has(object.spec.affinity.nodeAffinity)"
    f" && has({_TERMS}) && has({_TERMS}.nodeSelectorTerms) && {_TERMS}.nodeSelectorTerms != null"
    f" && size({_TERMS}.nodeSelectorTerms) > 0"
    f" && {_TERMS}.nodeSelectorTerms.all(t, has(t.matchFields) && t.matchFields.exists(f,"
    ' f.key == "metadata.name" && f.operator == "In" && has(f.values) && size(f.values) == 1))'
)
NOT_MIRROR = (
    f'!(has(request.userInfo.username) && request.userInfo.username.startsWith("{NODE_USER}")'
    f' && has(request.userInfo.groups) && "{NODES}" in request.userInfo.groups'
    f' && has(object.metadata.annotations) && "{MIRROR}" in object.metadata.annotations'
    f' && has(object.spec.nodeName) && request.userInfo.username == "{NODE_USER}" + object.spec.nodeName)'
)


def not_of_a_daemon_set(controllers: Iterable[str]) -> str:
    """The condition, in CEL, under which a pod is sent although it may look like a DaemonSet's: it looks otherwise, or
    none of these users made it. The user comes first, so no pod of anybody else can make it fail or cost much."""
    users = ", ".join(json.dumps(user) for user in controllers)
    return f"!(has(request.userInfo.username) && request.userInfo.username in [{users}] && {_OF_A_DAEMON_SET})"


def configuration(
    url: str,
    authority: bytes,
    namespace: str,
    failure_policy: FailurePolicy = "Ignore",
    only: Sequence[str] = (),
    daemon_set_controllers: Iterable[str] = DAEMON_SET_CONTROLLERS,
    hands_on: Sequence[HandsOn] = (),
    *,
    events: bool = False,
) -> str:
    """The configuration as YAML. `url` is that of `/mutate`, `authority` the PEM of who signed its certificate;
    `only` the namespaces whose pods are sent, all if empty; `daemon_set_controllers` the users of that controller;
    `hands_on` what each bundle wants sent besides; with `events`, answers have effects, but for those to dry runs.

    Left out is what the webhook would leave alone anyway, and nothing else: pods that the DaemonSet controller made,
    mirror pods that their node's kubelet made, and the namespaces kube-system, kube-node-lease and the webhook's own.
    Pods with a `nodeName` are sent, for `deny` is about them, too.
    """
    named = {name for one in hands_on for name in one.namespaces}
    daemon_sets = {one.daemon_sets for one in hands_on}
    namespaces = [_namespaces("NotIn", LEFT_ALONE.difference(named) | {namespace})]
    if only:
        namespaces.append(_namespaces("In", only))
    conditions = [{"name": "not-a-mirror-pod", "expression": NOT_MIRROR}]
    if "pods" not in daemon_sets:
        expression = not_of_a_daemon_set(daemon_set_controllers)
        conditions.insert(0, {"name": "not-of-a-daemon-set", "expression": expression})

    def called(name: str, group: str, resource: str, *operations: str, **more: Any) -> dict[str, Any]:
        rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": list(operations), "resources": [resource]}
        return {
            "name": name,
            "clientConfig": {"url": url, "caBundle": base64.b64encode(authority).decode()},
            "rules": [{**rule, "scope": "Namespaced"}],
            "matchPolicy": "Equivalent",
            **more,
            "namespaceSelector": {"matchExpressions": copy.deepcopy(namespaces)},
            "failurePolicy": failure_policy,
            "sideEffects": "NoneOnDryRun" if events else "None",
            "reinvocationPolicy": "IfNeeded",
            "timeoutSeconds": TIMEOUT_SECONDS,
            "admissionReviewVersions": ["v1"],
        }

    webhooks = [called(WEBHOOK, "", "pods", "CREATE", matchConditions=conditions)]
    if "template" in daemon_sets:
        webhooks.append(called(TEMPLATES, "apps", "daemonsets", "CREATE", "UPDATE"))
    whole = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": webhooks,
    }
    text: str = yaml.safe_dump(whole, sort_keys=False, width=120)
    return text


def _namespaces(operator: str, names: Iterable[str]) -> dict[str, Any]:
    """Namespaces by the one label that nobody can change."""
    return {"key": NAME_LABEL, "operator": operator, "values": sorted(set(names))}
