"""Whoever may create pods plays against the policies: each row of `ATTEMPTS` is a way out, and what must come of it.

A developer with pod rights in the namespace of a tenant and an editor (the role `edit`) in nobody's namespace try them
on real controllers and a real scheduler. Whatever is said of an attempt, after each one every pod that it led to is on
a node that `Policed.may_run` allows, or on none, and the decision is in the log. docs/security.md tells of the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.names import REQUIRED

from .attempts import (
    EVERYTHING,
    GATED,
    HOSTNAME,
    MERGE,
    OPERATIONS,
    PREFERRED,
    STRATEGIC,
    Act,
    Adversary,
    adding,
    applying,
    as_an_account_of_that_name,
    asking,
    at,
    at_once,
    beside,
    binding,
    changing,
    creating,
    deleting,
    gated,
    in_a_namespace_just_made,
    in_text,
    manifest,
    of_a_real_daemon_set,
    of_a_runtime_class,
    on,
    opening,
    owner,
    preferring,
    putting,
    requiring,
    retemplating,
    term,
    then,
    with_a_volume_there,
    with_env,
    without_affinity,
    workload,
)
from .controlplane import Json, unschedulable, wait_for
from .pods import IMAGE
from .tenants import DEVELOPER, EDITOR, FORBIDDEN, Policed

CRON_SECONDS = 90.0
PAGE = Path(__file__).parents[2] / "docs" / "security.md"


class Expected(NamedTuple):
    """What must come of an attempt; a node that is forbidden never does."""

    status: tuple[int, ...]
    says: str = ""
    """A pattern that the answer matches, or where controllers are answered, an event."""
    ends: str = ""
    """`placed`: its pods run; `waits`: it has pods, and none runs; `rests`: either, or they are taken away; `nowhere`:
    none runs; `event`: its controller is refused pods; nothing: it has no pod."""
    logged: bool = True


PLACED = Expected((200, 201), ends="placed")
WAITS = Expected((200, 201), ends="waits")
NOWHERE = Expected((200, 201), ends="nowhere")
RESTS = Expected((200, 201), ends="rests")
NO_RIGHT = Expected((403,), "cannot (create|patch) resource", logged=False)
UNBOUND = Expected((403,), "cannot (create|patch) resource", ends="waits")
"""Without the right to bind a pod that is there."""
ISOLATED = "(own-pools|shared-pools)"


def refused(policy: str) -> Expected:
    """By the webhook, with a sentence that names the policy."""
    return Expected((403,), f"admission webhook .* denied the request: .*{policy}")


def invalid(says: str, *, logged: bool = False, ends: str = "") -> Expected:
    """By the API server itself, before the webhook is called or after it."""
    return Expected((400, 413, 422), says, ends=ends, logged=logged)


def made_but(says: str) -> Expected:
    """A controller's pods are refused, which an event of it tells."""
    return Expected((201,), says, ends="event")


class Row(NamedTuple):
    """A way out: what is done, what must come of it, and who tries it."""

    act: Act
    expected: Expected
    who: str = "developer editor"


THEIRS = term("tenant", "In", "globex")
ANYWHERE = term(HOSTNAME, "Exists")
BY_HOST = term(HOSTNAME, "In", FORBIDDEN)
MIRROR = {"kubernetes.io/config.mirror": "x"}
LARGER = {"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "2"}}}]}}
SHORTEST = {"effect": "NoExecute", "tolerationSeconds": -(2**63)}
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
CONTROLLER = {"resource": "serviceaccounts", "namespace": "kube-system", "name": "daemon-set-controller"}
ACT_AS_CONTROLLER = {"spec": {"resourceAttributes": {"verb": "impersonate", **CONTROLLER}}}
ATTEMPTS: Mapping[str, Row] = {
    # who it says has made it
    "owner: a DaemonSet": Row(creating(ownerReferences=[owner()]), RESTS),
    "owner: a DaemonSet, bound to a node": Row(creating(requiring(on()), ownerReferences=[owner()]), NOWHERE),
    "owner: of an API that is not there": Row(
        creating(requiring(on()), ownerReferences=[owner(version="invented.example/v1")]), NOWHERE
    ),
    "owner: of an API that was": Row(creating(ownerReferences=[owner(version="extensions/v1beta1")]), RESTS),
    "owner: not its controller": Row(creating(ownerReferences=[owner(controller=False)]), RESTS),
    "owner: two controllers": Row(
        creating(ownerReferences=[owner(), owner("Job", "batch/v1", uid="1")]),
        invalid("Only one reference", logged=True),
    ),
    "owner: a DaemonSet beside the controller": Row(
        creating(ownerReferences=[owner("Job", "batch/v1", uid="1"), owner(controller=False)]), RESTS
    ),
    "owner: a real DaemonSet's uid": Row(of_a_real_daemon_set(bound=False), RESTS, "editor"),
    "owner: a real DaemonSet's uid, bound to a node": Row(of_a_real_daemon_set(bound=True), NOWHERE, "editor"),
    "owner: a real DaemonSet to adopt it": Row(of_a_real_daemon_set(bound=True, controller=False), NOWHERE, "editor"),
    "owner: an operator's": Row(creating(ownerReferences=[owner("StrimziPodSet", "core.strimzi.io/v1beta2")]), RESTS),
    "owner: the node": Row(creating(ownerReferences=[owner("Node", "v1", name=FORBIDDEN)]), RESTS),
    "owner: an account named like the controller": Row(as_an_account_of_that_name, NOWHERE, "editor"),
    # mirror pods
    "mirror: with the node": Row(creating({"nodeName": FORBIDDEN}, annotations=MIRROR), refused("no-bypass")),
    "mirror: without a node": Row(creating(annotations=MIRROR), invalid("must set spec.nodeName", logged=True)),
    "mirror: from a file, of the node": Row(
        creating(
            {"nodeName": FORBIDDEN},
            annotations={**MIRROR, "kubernetes.io/config.source": "file", "kubernetes.io/config.hash": "x"},
            ownerReferences=[owner("Node", "v1", name=FORBIDDEN)],
        ),
        refused("no-bypass"),
    ),
    # naming a node
    "nodeName: another tenant's": Row(creating({"nodeName": FORBIDDEN}), refused("no-bypass")),
    "nodeName: one's own": Row(creating({"nodeName": "acme-1"}), refused("no-bypass")),
    "nodeName: one that is not there": Row(creating({"nodeName": "tomorrow"}), refused("no-bypass")),
    "nodeName: in another letter case": Row(
        in_text('"spec": {', f'"spec": {{"NodeName": "{FORBIDDEN}", "nodename": "{FORBIDDEN}", '), PLACED
    ),
    "nodeName: empty": Row(creating({"nodeName": ""}), PLACED),
    "nodeName: null": Row(creating({"nodeName": None}), PLACED),
    "nodeName: afterwards": Row(
        then(creating(GATED), changing({"spec": {"nodeName": FORBIDDEN}})),
        invalid("may not|cannot be", logged=True, ends="waits"),
    ),
    "nodeName: nominated in the status": Row(
        in_text('"spec": {', f'"status": {{"nominatedNodeName": "{FORBIDDEN}"}}, "spec": {{'), PLACED
    ),
    "nodeName: by the status": Row(
        then(creating(GATED), changing({"status": {"nominatedNodeName": FORBIDDEN}}, MERGE, "/status")),
        UNBOUND,
    ),
    # binding
    "binding: of the pod": Row(binding(), UNBOUND),
    "binding: of the namespace": Row(binding(namespaced=True), UNBOUND),
    "scheduler: of one's own": Row(creating({"schedulerName": "mine"}), refused("no-host")),
    "scheduler: by its name in another case": Row(creating({"schedulerName": "Default-Scheduler"}), refused("no-host")),
    "scheduler: empty": Row(creating({"schedulerName": ""}), PLACED),
    # gates, and what may be changed behind them
    "gates: opened": Row(gated(), PLACED),
    "gates: tolerations added": Row(gated(adding("tolerations/-", {"key": "x", **EVERYTHING})), PLACED),
    "gates: the affinity taken away": Row(
        then(creating(GATED), changing({"spec": {"affinity": None}})),
        invalid("may not|additions", logged=True, ends="waits"),
    ),
    "gates: the pod put again without affinity": Row(
        then(creating(GATED), putting(without_affinity)), invalid("may not|additions", logged=True, ends="waits")
    ),
    "gates: a term added": Row(
        then(
            creating({**GATED, **requiring(ANYWHERE)}),
            changing(adding(f"affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms/-", THEIRS), OPERATIONS),
        ),
        invalid("additions", logged=True, ends="waits"),
    ),
    "gates: other preferences": Row(
        gated(adding("affinity/nodeAffinity/" + PREFERRED, [{"weight": 100, "preference": BY_HOST}])), PLACED
    ),
    "gates: a node selector": Row(gated(adding("nodeSelector", {"tenant": "globex"})), WAITS),
    "gates: a node selector that was there": Row(
        then(
            creating({**GATED, "nodeSelector": {"kubernetes.io/os": "linux"}}),
            changing({"spec": {"nodeSelector": None}}),
        ),
        invalid("additions", logged=True, ends="waits"),
    ),
    "gates: a requirement added": Row(
        gated(
            adding(
                f"affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms/0/matchExpressions/-",
                THEIRS["matchExpressions"][0],
            )
        ),
        RESTS,
    ),
    "gates: a label that chooses a policy": Row(
        then(creating(GATED), changing({"metadata": {"labels": {"class": "trusted"}}}), opening), PLACED
    ),
    "changed: the affinity": Row(
        then(creating(), changing({"spec": {"affinity": None}})), invalid("may not change", logged=True, ends="placed")
    ),
    "changed: tolerations of a pod that waits": Row(
        then(
            creating({"tolerations": [], "nodeSelector": {HOSTNAME: "nowhere"}}),
            changing(adding("tolerations/-", EVERYTHING), OPERATIONS),
        ),
        WAITS,
    ),
    "changed: an ephemeral container": Row(
        then(
            creating(),
            changing(
                {"spec": {"nodeName": FORBIDDEN, "ephemeralContainers": [{"name": "d", "image": IMAGE}]}},
                STRATEGIC,
                "/ephemeralcontainers",
            ),
        ),
        Expected((200,), ends="placed"),
        "developer",
    ),
    "changed: resized": Row(
        then(creating(asking(cpu="1")), changing(LARGER, STRATEGIC, "/resize")),
        Expected((200,), ends="placed"),
        "developer",
    ),
    "changed: resized, with another affinity": Row(
        then(creating(asking(cpu="1")), changing({"spec": {"affinity": None}}, MERGE, "/resize")),
        Expected((200,), ends="placed"),
        "developer",
    ),
    # tolerations
    "tolerations: everything": Row(creating({"tolerations": [EVERYTHING]}), PLACED),
    "tolerations: another tenant": Row(creating({"tolerations": [{"key": "tenant", "value": "globex"}]}), PLACED),
    "tolerations: a thousand": Row(
        creating({"tolerations": [{"key": f"k{number}", "operator": "Exists"} for number in range(1000)]}), PLACED
    ),
    "tolerations: that contradict": Row(
        creating({"tolerations": [{"key": "tenant", "operator": "Exists", "value": "x"}]}),
        invalid("value must be empty", logged=True),
    ),
    # what the pod asks for itself
    "affinity: another tenant": Row(creating(requiring(THEIRS)), refused(ISOLATED)),
    "affinity: or anywhere": Row(creating(requiring(THEIRS, ANYWHERE)), PLACED),
    "affinity: an empty term": Row(creating(requiring({})), WAITS),
    "affinity: an empty term and anywhere": Row(creating(requiring({}, ANYWHERE)), PLACED),
    "affinity: the host": Row(creating(requiring(BY_HOST)), WAITS),
    "affinity: a field of the node": Row(creating(requiring(on())), WAITS),
    "affinity: all fields but one": Row(
        creating(requiring({"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["acme-1"]}]})),
        PLACED,
    ),
    "affinity: not one's own, or any tenant's": Row(
        creating(requiring(term("tenant", "NotIn", "acme"), term("tenant", "Exists"))), PLACED
    ),
    "affinity: numbers that are none": Row(
        creating(requiring({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["x"]}]}, THEIRS)),
        refused(ISOLATED),
    ),
    "affinity: only preferred": Row(creating(preferring(BY_HOST, THEIRS, ANYWHERE)), PLACED),
    "affinity: a preference that the scheduler can't read": Row(creating(preferring(term("a", "Lt", "x"))), WAITS),
    "affinity: null": Row(creating({"affinity": None}), PLACED),
    "affinity: required null": Row(creating({"affinity": {"nodeAffinity": {REQUIRED: None}}}), PLACED),
    "affinity: no terms": Row(creating(requiring()), invalid("must have at least one", logged=True)),
    "affinity: a node selector": Row(creating({"nodeSelector": {"tenant": "globex"}}), refused(ISOLATED)),
    "affinity: a node selector by host": Row(creating({"nodeSelector": {HOSTNAME: FORBIDDEN}}), WAITS),
    "affinity: nodes of no pool": Row(creating(requiring(term("eks.amazonaws.com/nodegroup", "DoesNotExist"))), RESTS),
    "affinity: beside another tenant's pod": Row(beside, WAITS),
    "spread: over all nodes": Row(
        creating(
            {
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": HOSTNAME,
                        "whenUnsatisfiable": "DoNotSchedule",
                        "minDomains": 9,
                        "nodeAffinityPolicy": "Ignore",
                        "nodeTaintsPolicy": "Ignore",
                        "labelSelector": {},
                    }
                ]
            },
        ),
        PLACED,
    ),
    # size
    "size: 600 KB of <": Row(creating(with_env("<" * 600_000)), PLACED),
    "size: 1.3 MB of <": Row(creating(with_env("<" * 1_300_000)), PLACED, "editor"),
    "size: sixty at once": Row(at_once(60), PLACED),
    "size: 450 KB of control characters": Row(creating(with_env("\x01" * 450_000)), PLACED),
    "size: 5,000 variables": Row(creating(with_env("x", 5000)), PLACED),
    "size: 3 MB of annotations": Row(creating(annotations={"a": "x" * 3_200_000}), invalid("Request entity too large")),
    "size: 2 MB of annotations": Row(creating(annotations={"a": "x" * 2_000_000}), invalid("Too long", logged=True)),
    "size: 250 KB of < in annotations": Row(creating(annotations={"a": "<" * 250_000}), PLACED),
    "size: 1,001 terms": Row(
        creating(requiring(*(term("rack", "In", f"r{number}") for number in range(1001)))),
        refused(f"{ISOLATED} could not be decided: .*nodeSelectorTerms"),
    ),
    "size: 900 terms": Row(
        creating(requiring(*(term("rack", "NotIn", f"r{number}") for number in range(900)))),
        refused(f"{ISOLATED} could not be decided: .*nodeSelectorTerms"),
    ),
    "size: 9,000 values of NotIn": Row(
        creating(requiring(term("rack", "NotIn", *(f"r{number}" for number in range(9000))))), PLACED
    ),
    "size: 3,000 requirements": Row(
        creating(
            requiring(
                {
                    "matchExpressions": [
                        {"key": f"k{number}", "operator": "NotIn", "values": ["x"]} for number in range(3000)
                    ]
                }
            )
        ),
        refused(f"{ISOLATED} could not be decided: .*nodeSelectorTerms"),
    ),
    "size: 1,001 preferences": Row(
        creating(preferring(*(term("rack", "NotIn", f"r{number}") for number in range(1001)))),
        PLACED,
    ),
    "size: 2,000 containers": Row(
        creating({"containers": [{"name": f"c{number}", "image": IMAGE} for number in range(2000)]}), PLACED
    ),
    # odd values
    "labels: the tenant on the pod": Row(creating(labels={"tenant": "globex"}), PLACED),
    "labels: a class with pools of its own": Row(creating(labels={"class": "batch"}), PLACED, "editor"),
    "labels: a class without pools among one's own": Row(
        creating(labels={"class": "batch"}), refused("batch"), "developer"
    ),
    "labels: a class that tolerates tenants": Row(creating(labels={"class": "trusted"}), PLACED),
    "labels: not a number": Row(
        creating(labels={"shards": "many"}), refused("few-shards could not be decided: .*labels.shards")
    ),
    "labels: a number too large": Row(
        creating(labels={"shards": "9" * 30}), refused("few-shards could not be decided")
    ),
    "labels: an empty number": Row(creating(labels={"shards": ""}), refused("few-shards could not be decided")),
    "labels: denied": Row(creating(labels={"shards": "9"}), refused("few-shards")),
    "labels: no labels": Row(creating(labels=None), PLACED),
    "labels: a long key": Row(creating(labels={"a" * 200 + ".example/" + "k" * 63: "v" * 63}), PLACED),
    "labels: not a label": Row(creating(labels={"not a key": "not a value"}), invalid("Invalid value", logged=True)),
    "annotations: a quantity that is none": Row(
        creating(annotations={"example.com/scratch": "1Gii"}),
        refused("small-scratch could not be decided: .*annotations"),
    ),
    "annotations: a quantity of many digits": Row(
        creating(annotations={"example.com/scratch": "9" * 100_000}), refused("small-scratch")
    ),
    "annotations: Bayplan's": Row(
        creating(annotations={"bayplan.dev/revision": "x", "bayplan.dev/skip": "true", "bayplan.dev/mode": "off"}),
        PLACED,
    ),
    "annotations: kubectl's": Row(
        creating(annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}"}), PLACED
    ),
    "requests: no quantity": Row(creating(asking(cpu="many")), invalid("quantities must match")),
    "requests: below nothing": Row(
        creating(asking(cpu="-1")), invalid("must be greater than or equal to 0", logged=True)
    ),
    "requests: more than there is": Row(creating(asking(memory="9223372036854775807")), WAITS),
    "requests: of many digits": Row(creating(asking(cpu="0." + "0" * 400 + "1")), PLACED),
    "requests: overhead without a class": Row(
        creating({"overhead": {"cpu": "1"}}), Expected((403,), "Overhead", logged=False)
    ),
    # classes
    "class: a priority": Row(creating({"priorityClassName": "system-node-critical"}), PLACED),
    "class: a priority as a number": Row(
        creating({"priority": 2_000_001_000}), Expected((403,), "the integer value of priority", logged=False)
    ),
    "class: a runtime's nodes": Row(of_a_runtime_class({"nodeSelector": {"tenant": "globex"}}), refused(ISOLATED)),
    "class: a runtime's tolerations": Row(of_a_runtime_class({"tolerations": [EVERYTHING]}, {"cpu": "1"}), PLACED),
    "host: network": Row(creating({"hostNetwork": True}), refused("no-host")),
    "host: path": Row(creating({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}), refused("no-host")),
    "host: a volume that is there": Row(with_a_volume_there, WAITS, "editor"),
    "host: another operating system": Row(creating({"os": {"name": "windows"}}), PLACED),
    # how it is written
    "written: two specs": Row(
        in_text('"spec": {', f'"spec": {{"nodeName": "{FORBIDDEN}"}}, "spec": {{'), refused("no-bypass")
    ),
    "written: a nodeName with an escape": Row(
        in_text('"spec": {', f'"spec": {{"node\\u004eame": "{FORBIDDEN}", '), refused("no-bypass")
    ),
    "written: a node selector twice": Row(
        in_text('"spec": {', '"spec": {"nodeSelector": {"tenant": "acme", "tenant": "globex"}, '), refused(ISOLATED)
    ),
    "written: a nodeName twice": Row(
        in_text('"spec": {', f'"spec": {{"nodeName": "", "nodeName": "{FORBIDDEN}", '), refused("no-bypass")
    ),
    "written: affinity again as null": Row(in_text('"tolerations"', '"affinity": null, "tolerations"'), PLACED),
    "written: with characters that are none": Row(
        in_text('"metadata": {', r'"metadata": {"annotations": {"a": "\u0000\ud800\u2028\u202e"}, '), PLACED
    ),
    "written: with the largest numbers": Row(
        creating({"terminationGracePeriodSeconds": 2**63 - 1, "tolerations": [{**EVERYTHING, **SHORTEST}]}), PLACED
    ),
    "written: already being deleted": Row(
        creating(deletionTimestamp="2020-01-01T00:00:00Z", finalizers=["example.com/stays"]), PLACED
    ),
    "written: with an unknown field": Row(creating({"nodeSelectorTerms": [THEIRS]}), PLACED),
    "written: as YAML": Row(in_text("{", "# a comment\n{", "application/yaml"), PLACED),
    "written: a dry run": Row(lambda a: a.send("POST", a.pods, manifest(a), dryRun="All"), Expected((201,))),
    "written: a dry run that is refused": Row(
        lambda a: a.send("POST", a.pods, manifest(a, {"nodeName": FORBIDDEN}), dryRun="All"), refused("no-bypass")
    ),
    "written: by server-side apply": Row(applying(), PLACED),
    "written: by server-side apply, twice": Row(
        then(applying(GATED), applying({**GATED, **requiring(THEIRS)})), invalid("", logged=True, ends="waits")
    ),
    "written: by server-side apply, with a node": Row(applying({"nodeName": FORBIDDEN}), refused("no-bypass")),
    "written: to a subresource": Row(
        at("/api/v1/namespaces/{namespace}/pods/{name}/status", {"kind": "Pod"}),
        Expected((403, 404, 405), logged=False),
    ),
    "written: deleted and made again": Row(then(creating(requiring(ANYWHERE)), deleting, creating()), PLACED),
    "name: generated": Row(lambda a: a.send("POST", a.pods, manifest(a, name=None, generateName=f"{a.name}-")), PLACED),
    "name: with dots": Row(lambda a: a.send("POST", a.pods, manifest(a, name=f"{a.name}.a.b")), PLACED),
    "name: as long as may be": Row(
        lambda a: a.send("POST", a.pods, manifest(a, name=f"{a.name}-" + "x" * (252 - len(a.name)))), PLACED
    ),
    "name: of a system's pod": Row(
        lambda a: a.send(
            "POST", a.pods, manifest(a, name=f"{a.name}-kube-proxy", labels={"k8s-app": "kube-proxy", "tier": "node"})
        ),
        PLACED,
    ),
    # namespaces
    "namespace: just made, a tenant's": Row(in_a_namespace_just_made("acme"), PLACED, "editor"),
    "namespace: just made, nobody's": Row(in_a_namespace_just_made(None), PLACED, "editor"),
    "namespace: just made, of a tenant without pools": Row(in_a_namespace_just_made("initech"), NOWHERE, "editor"),
    "namespace: called like the system's": Row(in_a_namespace_just_made(None, "kube-system-"), PLACED, "editor"),
    "namespace: its labels": Row(
        at("/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"tenant": "globex"}}}, "PATCH", MERGE), NO_RIGHT
    ),
    "namespace: another's": Row(lambda a: a.send("POST", "/api/v1/namespaces/globex/pods", manifest(a)), NO_RIGHT),
    "namespace: another's in the body": Row(creating(namespace="globex"), invalid("does not match the namespace")),
    "namespace: the system's": Row(
        lambda a: a.send("POST", "/api/v1/namespaces/kube-system/pods", manifest(a)), NO_RIGHT
    ),
    "namespace: a node's labels": Row(
        at(f"/api/v1/nodes/{FORBIDDEN}", {"metadata": {"labels": {"tenant": "acme"}}}, "PATCH", MERGE), NO_RIGHT
    ),
    # what decides who is judged
    "rights: the webhook's configuration": Row(
        at(f"{ADMISSION}/mutatingwebhookconfigurations/bayplan-dev", {"webhooks": []}, "PATCH", MERGE), NO_RIGHT
    ),
    "rights: a token of the DaemonSet controller": Row(
        at("/api/v1/namespaces/kube-system/serviceaccounts/daemon-set-controller/token", {"spec": {}}), NO_RIGHT
    ),
    "rights: to act as the DaemonSet controller": Row(
        at("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", ACT_AS_CONTROLLER),
        Expected((201,), '"allowed":false', logged=False),
    ),
    # workloads
    "daemonset: that tolerates everything": Row(workload("daemonsets"), PLACED, "editor"),
    "daemonset: for other nodes": Row(
        workload("daemonsets", {"nodeSelector": {"tenant": "globex"}}), refused("shared-pools"), "editor"
    ),
    "daemonset: with a node's name": Row(
        workload("daemonsets", {"nodeName": FORBIDDEN}), refused("no-bypass"), "editor"
    ),
    "daemonset: by a field of nodes": Row(workload("daemonsets", requiring(on())), NOWHERE, "editor"),
    "daemonset: widened afterwards": Row(
        then(workload("daemonsets"), retemplating("daemonsets", {"affinity": None})), PLACED, "editor"
    ),
    "daemonset: moved afterwards": Row(
        then(workload("daemonsets"), retemplating("daemonsets", {"nodeSelector": {"tenant": "globex"}})),
        RESTS,
        "editor",
    ),
    "daemonset: of 200 KB of <, changed": Row(
        then(workload("daemonsets", with_env("<" * 200_000)), retemplating("daemonsets", {"affinity": None})),
        PLACED,
        "editor",
    ),
    "daemonset: with labels that fail": Row(
        workload("daemonsets", labels={"shards": "x"}), refused("few-shards"), "editor"
    ),
    "daemonset: without the right to": Row(workload("daemonsets"), NO_RIGHT, "developer"),
    "template: a Deployment's": Row(workload("deployments"), PLACED, "editor"),
    "template: a Deployment's, with a node's name": Row(
        workload("deployments", {"nodeName": FORBIDDEN}), made_but("no-bypass"), "editor"
    ),
    "template: a Deployment's, with an owner": Row(
        workload("deployments", ownerReferences=[owner()]), PLACED, "editor"
    ),
    "template: a Deployment's, changed": Row(
        then(workload("deployments"), retemplating("deployments", requiring(THEIRS, ANYWHERE))), PLACED, "editor"
    ),
    "template: a ReplicaSet's": Row(workload("replicasets"), PLACED, "editor"),
    "template: a ReplicaSet's, for other nodes": Row(
        workload("replicasets", {"nodeSelector": {"tenant": "globex"}}), made_but("shared-pools"), "editor"
    ),
    "template: a ReplicationController's": Row(workload("replicationcontrollers"), PLACED, "editor"),
    "template: a StatefulSet's": Row(workload("statefulsets"), PLACED, "editor"),
    "template: a StatefulSet's, with a node's name": Row(
        workload("statefulsets", {"nodeName": FORBIDDEN}), made_but("no-bypass"), "editor"
    ),
    "template: a Job's": Row(workload("jobs"), PLACED, "editor"),
    "template: a Job's, a mirror": Row(
        workload("jobs", {"nodeName": FORBIDDEN}, annotations=MIRROR), made_but("no-bypass"), "editor"
    ),
    "template: a Job's, that fails": Row(workload("jobs", labels={"shards": "x"}), made_but("few-shards"), "editor"),
    "template: a ControllerRevision": Row(
        at("/apis/apps/v1/namespaces/{namespace}/controllerrevisions", {"metadata": {"name": "r"}, "revision": 1}),
        NO_RIGHT,
    ),
}
PEOPLE = {"developer": (DEVELOPER, "acme"), "editor": (EDITOR, "tools")}
PLAYED = [(name, who) for name, row in ATTEMPTS.items() for who in row.who.split()]


@pytest.fixture
def adversary(policed: Policed, request: pytest.FixtureRequest) -> Iterator[Adversary]:
    """Who tries a row, under a name that begins with its number."""
    name, who = request.param
    user, namespace = PEOPLE[who]
    slug = re.sub("[^a-z0-9]+", "-", name.lower())[:40].strip("-")
    playing = Adversary(policed, user, namespace, f"a{PLAYED.index((name, who)):03}-{slug}")
    yield playing
    playing.clear()


@pytest.fixture(scope="module")
def cron_job(policed: Policed) -> Adversary:
    """A CronJob of a lured template, made first, for it has pods on the minute only."""
    editor = Adversary(policed, EDITOR, "tools", "cron")
    assert workload("cronjobs")(editor).is_success
    return editor


def test_each_kind_is_told_of() -> None:
    told = [row.split("|")[1].strip() for row in PAGE.read_text().splitlines() if row.startswith("| ")]
    assert {name.partition(":")[0] for name in ATTEMPTS} - set(told) == set()


@pytest.mark.usefixtures("cron_job")
def test_without_the_policies_the_lure_works(policed: Policed) -> None:
    assert policed.unpoliced == FORBIDDEN
    assert not policed.may_run("tools", FORBIDDEN)
    assert not policed.may_run("acme", FORBIDDEN)


@pytest.mark.parametrize(
    ("adversary", "attempt"),
    [pytest.param(each, each[0], id="-".join(each)) for each in PLAYED],
    indirect=["adversary"],
)
def test_no_way_out(adversary: Adversary, attempt: str) -> None:
    act, expected, _ = ATTEMPTS[attempt]
    answer = act(adversary)
    assert answer.status_code in expected.status, answer.text[:2000]
    if expected.ends != "event":
        assert re.search(expected.says, answer.text, re.DOTALL), answer.text[:2000]
    if expected.ends:
        wait_for(lambda: has_ended(adversary, expected), f"it to end: {expected}", adversary.mine)
    policed = adversary.policed
    nodes = {one["spec"]["nodeName"] for one in adversary.mine() if one["spec"].get("nodeName")}
    assert all(policed.may_run(adversary.namespace, node) for node in nodes), nodes
    assert not nodes or expected.ends in ("placed", "rests")
    if expected.logged:
        lines = wait_for(lambda: policed.decisions(adversary.namespace, adversary.name), "the decision to be logged")
        if "denied the request" in answer.text:
            assert not lines[-1]["allowed"]
        elif adversary.mine():
            assert isolation(lines) <= {"applied", "satisfied"}


def test_a_cron_jobs_pods_are_placed(cron_job: Adversary) -> None:
    pods = wait_for(cron_job.mine, "the minute to be over", seconds=CRON_SECONDS)
    node = cron_job.policed.cluster.wait_bound("tools", pods[0]["metadata"]["name"])
    assert cron_job.policed.may_run("tools", node)
    cron_job.clear()


def test_nothing_was_ever_on_a_node_that_is_forbidden(policed: Policed) -> None:
    """Not for a moment: what was bound and then taken away is in the API server's log, too."""
    bound = policed.cluster.bindings()
    assert ("tools", "unpoliced", FORBIDDEN) in bound
    policed_ones = {one for one in bound if one[1] != "unpoliced"}
    assert {one for one in policed_ones if not policed.may_run(one[0], one[2])} == set()


def has_ended(adversary: Adversary, expected: Expected) -> bool:
    """Whether the attempt's pods have come to rest, as it must end."""
    pods = adversary.mine()
    if expected.ends == "event":
        return any(re.search(expected.says, said) for said in adversary.events())
    if expected.ends == "placed":
        return any(one["spec"].get("nodeName") for one in pods) and all(map(rests, pods))
    return all(map(rests, pods)) and bool(pods or expected.ends in ("rests", "nowhere"))


def rests(given: Json) -> bool:
    """Whether nothing is going to happen to a pod by itself."""
    return bool(given["spec"].get("nodeName") or given["spec"].get("schedulingGates") or unschedulable(given))


def isolation(lines: list[Json]) -> set[str]:
    """What came of the policies that keep tenants apart, in the decisions that they were about."""
    return {
        policy["outcome"]
        for line in lines
        for policy in line["policies"]
        if re.fullmatch(ISOLATED, policy["name"]) and policy["outcome"] != "notMatched"
    }
