"""The chart as Helm renders it: what a cluster would be given, without one."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cli.main import main, parser_of
from cluster.objects import NAMESPACES, NODES, RESOURCES
from delivery import Content, Manifest, bundle_of, packed, read_address, source_of
from delivery.folder import load_bundle
from engine.bundle import BUNDLES, POLICIES

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "bayplan"
WELCOME = CHART / "welcome"
Object = dict[str, Any]


def helm_template(helm: Path, values: Object | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(helm), "template", "placement", str(CHART), "--namespace", "platform", "--values", "-"]
    return subprocess.run(command, input=json.dumps(values or {}), capture_output=True, text=True, check=False)


def render(helm: Path, values: Object | None = None) -> dict[str, Object]:
    """The rendered objects by kind (and name, where a kind has several)."""
    done = helm_template(helm, values)
    assert done.returncode == 0, done.stderr
    objects = [document for document in yaml.safe_load_all(done.stdout) if document]
    by_kind: dict[str, Object] = {}
    for thing in objects:
        kind = thing["kind"]
        by_kind[kind if kind not in by_kind else f"{kind}/{thing['metadata']['name']}"] = thing
    return by_kind


def refusal(helm: Path, values: Object) -> str:
    done = helm_template(helm, values)
    assert done.returncode != 0, done.stdout
    return done.stderr


def pod_of(objects: dict[str, Object]) -> Object:
    spec: Object = objects["Deployment"]["spec"]["template"]["spec"]
    return spec


def container_of(objects: dict[str, Object]) -> Object:
    container: Object = pod_of(objects)["containers"][0]
    return container


def mounted(objects: dict[str, Object], folder: Path) -> Content:
    """The bundle as a kubelet lays it out, keys in a hidden, dated folder and links to them, and `serve` reads it."""
    (volume,) = (volume for volume in pod_of(objects)["volumes"] if volume["name"] == "bundle")
    assert volume["configMap"] == {"name": objects["ConfigMap"]["metadata"]["name"]}
    data = {key: base64.b64decode(text) for key, text in objects["ConfigMap"]["binaryData"].items()}
    data |= {key: text.encode() for key, text in objects["ConfigMap"].get("data", {}).items()}
    dated = folder / "..2026_11_23_06_00_00.1"
    dated.mkdir(parents=True)
    (folder / "..data").symlink_to(dated.name)
    for key, content in data.items():
        (dated / key).write_bytes(content)
        (folder / key).symlink_to(f"..data/{key}")
    (argument,) = (one for one in container_of(objects)["args"] if one.startswith("--bundle="))
    (mount,) = (one for one in container_of(objects)["volumeMounts"] if one["name"] == "bundle")
    where = argument.removeprefix("--bundle=").replace(mount["mountPath"], str(folder))
    return source_of(read_address(where)).fetch()


def values_of(bundle: Path, capsys: pytest.CaptureFixture[str]) -> Object:
    """What `bayplan bundle` writes for the chart."""
    assert main(["bundle", str(bundle), "-o", "helm-values"]) == 0
    values: Object = yaml.safe_load(capsys.readouterr().out)
    return values


def test_lint(helm: Path) -> None:
    done = subprocess.run([helm, "lint", "--strict", CHART], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_system_namespaces_may_be_opted_in(helm: Path) -> None:
    objects = render(helm, {"webhook": {"handsOnNamespaces": ["kube-system"]}})
    (webhook,) = objects["MutatingWebhookConfiguration"]["webhooks"]
    (expression,) = webhook["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["kube-node-lease", "platform"]


def test_webhook_is_called_for_pods_at_creation_only_and_not_for_system_namespaces(helm: Path) -> None:
    objects = render(helm, {"webhook": {"excludeNamespaces": ["istio-system"]}})
    (webhook,) = objects["MutatingWebhookConfiguration"]["webhooks"]
    assert webhook["rules"] == [
        {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "resources": ["pods"],
            "operations": ["CREATE"],
            "scope": "Namespaced",
        }
    ]
    (expression,) = webhook["namespaceSelector"]["matchExpressions"]
    assert expression == {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": ["kube-system", "kube-node-lease", "platform", "istio-system"],
    }
    assert (webhook["failurePolicy"], webhook["sideEffects"], webhook["reinvocationPolicy"]) == (
        "Ignore",
        "None",
        "IfNeeded",
    )


def test_daemon_sets_themselves_are_sent_where_their_templates_are_narrowed(helm: Path) -> None:
    objects = render(helm, {"webhook": {"handsOnDaemonSets": "template", "excludeNamespaces": ["istio-system"]}})
    pods, templates = objects["MutatingWebhookConfiguration"]["webhooks"]
    (rule,) = templates["rules"]
    assert rule == {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "resources": ["daemonsets"],
        "operations": ["CREATE", "UPDATE"],
        "scope": "Namespaced",
    }
    assert "matchConditions" not in templates
    assert len(pods["matchConditions"]) == 2
    alike = ("name", "rules", "matchConditions")
    assert {key: value for key, value in templates.items() if key not in alike} == {
        key: value for key, value in pods.items() if key not in alike
    }


def test_both_sides_know_the_failure_policy(helm: Path) -> None:
    objects = render(helm, {"webhook": {"failurePolicy": "Fail"}})
    assert objects["MutatingWebhookConfiguration"]["webhooks"][0]["failurePolicy"] == "Fail"
    assert "--failure-policy=Fail" in container_of(objects)["args"]


def test_certificate_is_for_the_service_and_signed_by_what_the_configuration_trusts(helm: Path) -> None:
    objects = render(helm)
    client = objects["MutatingWebhookConfiguration"]["webhooks"][0]["clientConfig"]
    authority = x509.load_pem_x509_certificate(base64.b64decode(client["caBundle"]))
    certificate = x509.load_pem_x509_certificate(base64.b64decode(objects["Secret"]["data"]["tls.crt"]))
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    service = client["service"]
    assert service == {
        "name": objects["Service"]["metadata"]["name"],
        "namespace": "platform",
        "path": "/mutate",
        "port": 443,
    }
    assert f"{service['name']}.platform.svc" in names.get_values_for_type(x509.DNSName)
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)


def test_own_certificate(helm: Path) -> None:
    assert "tls.secretName needs tls.caBundle" in refusal(helm, {"tls": {"secretName": "mine"}})
    objects = render(helm, {"tls": {"secretName": "mine", "caBundle": "PEM"}})
    assert "Secret" not in objects
    client = objects["MutatingWebhookConfiguration"]["webhooks"][0]["clientConfig"]
    assert base64.b64decode(client["caBundle"]) == b"PEM"
    injected = render(helm, {"tls": {"secretName": "mine", "annotations": {"cert-manager.io/inject-ca-from": "a/b"}}})
    assert "caBundle" not in injected["MutatingWebhookConfiguration"]["webhooks"][0]["clientConfig"]


def test_service_reaches_the_pods(helm: Path) -> None:
    objects = render(helm)
    service, template = objects["Service"]["spec"], objects["Deployment"]["spec"]["template"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (port,) = service["ports"]
    ports = {port["name"]: port["containerPort"] for port in container_of(objects)["ports"]}
    assert (port["port"], ports[port["targetPort"]]) == (443, 8443)
    assert ports["health"] == 8080
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container_of(objects)[probe]["httpGet"]["port"] == "health"


def test_another_port_of_the_service_is_the_one_that_the_api_server_calls(helm: Path) -> None:
    """Where a network lets API servers reach certain ports only; the pods' own port stays."""
    objects = render(helm, {"service": {"port": 8443}, "webhook": {"handsOnDaemonSets": "template"}})
    (port,) = objects["Service"]["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (8443, "webhook")
    webhooks = objects["MutatingWebhookConfiguration"]["webhooks"]
    assert [webhook["clientConfig"]["service"]["port"] for webhook in webhooks] == [8443, 8443]
    listens = [argument for argument in container_of(objects)["args"] if argument.startswith(("--listen", "--health"))]
    named = {port["name"]: port["containerPort"] for port in container_of(objects)["ports"]}
    assert listens == [f"--listen=[::]:{named['webhook']}", f"--health=[::]:{named['health']}"]


def test_the_plain_port_is_in_no_service(helm: Path) -> None:
    assert [port["name"] for port in render(helm)["Service"]["spec"]["ports"]] == ["webhook"]


def test_only_clients_of_an_authority_are_answered_where_it_is_given(helm: Path) -> None:
    """What `serve` is told, and where the file is that it is told of."""
    from cli.main import parser_of

    values = {"clients": {"caBundle": "PEM of the authority\n", "names": ["api-server", "kube: a b"]}}
    objects = render(helm, values)
    command, *rest = container_of(objects)["args"]
    arguments = parser_of(command).parse_args(rest)
    assert arguments.client_name == ["api-server", "kube: a b"]
    folder, _, file = arguments.client_ca.rpartition("/")
    (mount,) = (mount for mount in container_of(objects)["volumeMounts"] if mount["mountPath"] == folder)
    (volume,) = (volume for volume in pod_of(objects)["volumes"] if volume["name"] == mount["name"])
    (config,) = (
        one
        for one in objects.values()
        if one["kind"] == "ConfigMap" and one["metadata"]["name"] == volume["configMap"]["name"]
    )
    assert mount["readOnly"] is True
    assert config["data"] == {file: "PEM of the authority\n"}


def test_a_collector_is_shown_headers_of_a_secret_and_verified_by_an_authority(helm: Path) -> None:
    from cli.main import parser_of

    values = {
        "otlpLogs": "https://collector:4318",
        "otlpHeaders": {"secretName": "collector", "key": "own"},
        "otlpCaBundle": "PEM of the authority\n",
    }
    objects = render(helm, values)
    command, *rest = container_of(objects)["args"]
    arguments = parser_of(command).parse_args(rest)
    assert arguments.otlp_logs == "https://collector:4318"
    volumes = {volume["name"]: volume for volume in pod_of(objects)["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container_of(objects)["volumeMounts"]}
    folder, _, file = arguments.otlp_headers.rpartition("/")
    assert mounts[folder]["readOnly"] is True
    assert volumes[mounts[folder]["name"]]["secret"] == {
        "secretName": "collector",
        "items": [{"key": "own", "path": file}],
    }
    folder, _, file = arguments.otlp_ca.rpartition("/")
    assert mounts[folder]["readOnly"] is True
    named = volumes[mounts[folder]["name"]]["configMap"]["name"]
    (config,) = (one for one in objects.values() if one["metadata"]["name"] == named)
    assert config["data"] == {file: "PEM of the authority\n"}
    for alone in ({"otlpHeaders": {"secretName": "a"}}, {"otlpCaBundle": "PEM"}):
        assert "otlpHeaders and otlpCaBundle need otlpLogs" in refusal(helm, alone)
    assert not any("otlp" in argument for argument in container_of(render(helm))["args"])


def test_whoever_reaches_the_port_is_answered_without_an_authority(helm: Path) -> None:
    objects = render(helm)
    assert not any("client" in argument for argument in container_of(objects)["args"])
    assert not any("clients" in str(volume) for volume in pod_of(objects)["volumes"])
    assert "clients.names needs clients.caBundle" in refusal(helm, {"clients": {"names": ["api-server"]}})


def test_the_token_of_the_plain_port_is_a_file_of_its_secret(helm: Path) -> None:
    from cli.main import parser_of

    objects = render(helm, {"statusToken": {"secretName": "mine", "key": "prometheus"}})
    command, *rest = container_of(objects)["args"]
    folder, _, file = str(parser_of(command).parse_args(rest).status_token_file).rpartition("/")
    (mount,) = (mount for mount in container_of(objects)["volumeMounts"] if mount["mountPath"] == folder)
    (volume,) = (volume for volume in pod_of(objects)["volumes"] if volume["name"] == mount["name"])
    assert volume["secret"] == {"secretName": "mine", "items": [{"key": "prometheus", "path": file}]}
    assert "--status-token-file" not in str(container_of(render(helm))["args"])


def test_rights_are_to_read_what_is_watched_and_nothing_else(helm: Path) -> None:
    rules = render(helm)["ClusterRole"]["rules"]
    assert all(rule.keys() == {"apiGroups", "resources", "verbs"} for rule in rules)
    assert all(rule["verbs"] == ["get", "list", "watch"] for rule in rules)
    may = {(group, resource) for rule in rules for group in rule["apiGroups"] for resource in rule["resources"]}
    paths = [path for kind in (NODES, NAMESPACES, *RESOURCES) for path in kind.paths]
    assert may == {(path.split("/")[2] if path.startswith("/apis/") else "", path.split("/")[-1]) for path in paths}


@pytest.mark.parametrize(
    "values",
    [
        {"bundle": {"source": "objects://gpu"}},
        {"bundle": {"source": "oci://registry.example/gpu:1", "shadow": "objects://next"}},
        {
            "bundle": {"owns": ["gpu-"]},
            "moreBundles": [{"source": "objects://net", "owns": ["net-"]}],
        },
    ],
)
def test_policies_that_are_objects_may_be_read_where_they_are_a_source(helm: Path, values: Object) -> None:
    without, asked = render(helm), render(helm, values)
    more = [rule for rule in asked["ClusterRole"]["rules"] if rule not in without["ClusterRole"]["rules"]]
    kinds = [POLICIES.plural, BUNDLES.plural]
    assert more == [
        {"apiGroups": ["bayplan.dev"], "resources": kinds, "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["bayplan.dev"], "resources": [f"{kind}/status" for kind in kinds], "verbs": ["patch"]},
    ]
    command, *rest = container_of(asked)["args"]
    said = parser_of(command).parse_args(rest)
    assert "objects://" in str(said)
    assert "ValidatingWebhookConfiguration" not in without
    (judge,) = asked["ValidatingWebhookConfiguration"]["webhooks"]
    (mutate,) = asked["MutatingWebhookConfiguration"]["webhooks"]
    assert judge["clientConfig"]["service"] == {**mutate["clientConfig"]["service"], "path": "/validate"}
    (rule,) = judge["rules"]
    assert (rule["apiGroups"], rule["resources"], rule["scope"]) == (["bayplan.dev"], kinds, "Cluster")
    assert judge["failurePolicy"] == "Ignore"


def test_events_are_written_only_where_they_are_asked_for(helm: Path) -> None:
    without, asked = render(helm), render(helm, {"events": True, "webhook": {"handsOnDaemonSets": "template"}})
    more = [rule for rule in asked["ClusterRole"]["rules"] if rule not in without["ClusterRole"]["rules"]]
    assert more == [
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ]
    effects = [
        {webhook["sideEffects"] for webhook in objects["MutatingWebhookConfiguration"]["webhooks"]}
        for objects in (without, asked)
    ]
    assert effects == [{"None"}, {"NoneOnDryRun"}]
    told = []
    for objects in (without, asked):
        command, *rest = container_of(objects)["args"]
        told.append(parser_of(command).parse_args(rest).events)
    assert told == [False, True]


SCHEDULED = {"audit": {"schedule": "17 3 * * *"}}


def audits(helm: Path, values: Object, **audit: Any) -> tuple[dict[str, Object], Object]:
    """What is rendered where an audit is scheduled, and the template of its pods."""
    objects = render(helm, {**values, "audit": {**SCHEDULED["audit"], **audit}})
    template: Object = objects["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]
    return objects, template


def test_no_audit_is_scheduled_unless_somebody_says_when(helm: Path) -> None:
    objects = render(helm)
    assert not {"CronJob", "Job"} & objects.keys()
    assert not any("audit" in name for name in objects)
    assert render(helm, {"audit": None}).keys() == objects.keys()  # values of a release before this one


def test_arguments_of_the_audit_are_those_of_the_command(helm: Path) -> None:
    values = {
        "inventory": "x",
        "bundle": {
            "source": "git+https://git.example/policies.git//gpu",
            "credentialsSecret": "git",
            "keys": {"a.pub": "PEM"},
            "params": {"spot": True},
            "owns": ["gpu-"],
            "shadow": "oci://registry.example/next:1",
            "refuseConflicts": True,
        },
        "moreBundles": [{"source": "oci://registry.example/net:1", "owns": ["net-"], "signature": "optional"}],
        "cluster": {"name": "prod", "labels": {"tier": "a b"}, "poolLabels": ["pool"]},
    }
    more = {"reports": True, "all": True, "namespaces": ["shop", "lab"], "selector": "app in (a,b)", "failOn": "leaves"}
    objects, template = audits(helm, values, **more)
    (container,) = template["spec"]["containers"]
    command, *rest = container["args"]
    said = parser_of(command).parse_args(rest)
    assert (command, said.in_cluster, said.reports, said.all, said.jobs) == ("audit", "yes", True, True, 1)
    assert (said.within, said.selector, said.fail_on) == (["shop", "lab"], "app in (a,b)", {"leaves"})
    assert (said.cluster_name, said.cluster_label, said.pool_label) == ("prod", ["tier=a b"], ["pool"])
    assert list(map(str, said.bundle)) == [values["bundle"]["source"], "oci://registry.example/net:1"]  # type: ignore[index]
    assert said.pools == ["/etc/bayplan/inventory/pools.yaml"]
    serving = parser_of("serve").parse_args(container_of(objects)["args"][1:])
    followed = ("poll", "shadow", "refuse_conflicts")
    assert said.noted == tuple(note for note in serving.noted if note[1] not in followed)
    served = {mount["name"]: mount for mount in container_of(objects)["volumeMounts"]}
    assert container["volumeMounts"] == [served[mount["name"]] for mount in container["volumeMounts"]]
    named = {volume["name"]: volume for volume in pod_of(objects)["volumes"]}
    assert template["spec"]["volumes"] == [named[mount["name"]] for mount in container["volumeMounts"]]
    assert {"state", "tls"}.isdisjoint(mount["name"] for mount in container["volumeMounts"])


def test_pods_of_the_audit_are_no_replicas_and_as_hardened(helm: Path) -> None:
    """Whoever selects replicas of the webhook selects none of its pods, and the webhook is not asked about them."""
    values = {"podLabels": {"team": "x"}, "monitoring": {"podMonitor": {"enabled": True}}}
    objects, template = audits(helm, values)
    labels = template["metadata"]["labels"].items()
    for selector in (
        objects["Service"]["spec"]["selector"],
        objects["Deployment"]["spec"]["selector"]["matchLabels"],
        objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        objects["PodMonitor"]["spec"]["selector"]["matchLabels"],
    ):
        assert not selector.items() <= labels
    assert ("team", "x") in labels
    (container,) = template["spec"]["containers"]
    assert template["spec"]["securityContext"] == pod_of(objects)["securityContext"]
    for key in ("securityContext", "image", "imagePullPolicy"):
        assert container[key] == container_of(objects)[key]
    assert template["spec"]["restartPolicy"] == "Never"
    (webhook,) = objects["MutatingWebhookConfiguration"]["webhooks"]
    (alone,) = webhook["namespaceSelector"]["matchExpressions"]
    assert objects["CronJob"]["metadata"]["namespace"] in alone["values"]


@pytest.mark.parametrize("reports", [False, True])
def test_the_audit_may_list_what_it_replays_and_write_reports_where_it_does(helm: Path, reports: bool) -> None:
    from cli.audit import WORKLOADS
    from cluster.reports import API_VERSION, PLURAL

    objects, template = audits(helm, {}, reports=reports)
    roles = {name: thing for name, thing in objects.items() if thing["kind"] == "ClusterRole"}
    (role,) = (thing for thing in roles.values() if thing["metadata"]["name"].endswith("-audit"))
    (binding,) = (
        thing
        for thing in objects.values()
        if thing["kind"] == "ClusterRoleBinding" and thing["metadata"]["name"].endswith("-audit")
    )
    account = template["spec"]["serviceAccountName"]
    assert account != pod_of(objects)["serviceAccountName"]
    assert [subject["name"] for subject in binding["subjects"]] == [account]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    paths = [path for kind in (NODES, NAMESPACES, *RESOURCES) for path in kind.paths]
    paths += ["/api/v1/pods", *(path for path, *_ in WORKLOADS)]
    read = {(path.split("/")[2] if path.startswith("/apis/") else "", path.split("/")[-1]) for path in paths}
    may: dict[tuple[str, str], set[str]] = {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    written = may.pop((API_VERSION.partition("/")[0], PLURAL), None)
    assert written == ({"list", "create", "patch", "delete"} if reports else None)
    assert may == {each: {"list"} for each in read}


def test_a_name_that_is_long_leaves_room_for_the_jobs(helm: Path) -> None:
    objects, template = audits(helm, {"fullnameOverride": "b" * 80, "nameOverride": "n" * 80})
    assert len(objects["CronJob"]["metadata"]["name"]) <= 52
    assert all(len(value) <= 63 for value in template["metadata"]["labels"].values())


def test_one_replay_is_a_job_that_prints_findings(helm: Path) -> None:
    """Which `kubectl create` makes as often as it is asked to, and no release."""
    objects = render(helm, {"audit": {"once": True, "jobs": 4}})
    job = objects["Job"]
    assert "name" not in job["metadata"]
    assert job["metadata"]["generateName"] == "placement-bayplan-audit-"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    said = parser_of("audit").parse_args(container["args"][1:])
    assert (said.output, said.jobs, said.fail_on, said.reports) == ("jsonl", 4, frozenset(), False)
    assert "CronJob" not in objects
    assert "ServiceAccount/placement-bayplan-audit" in objects or "placement-bayplan-audit" in str(
        objects["ServiceAccount"]
    )
    command = [str(helm), "template", "placement", str(CHART), "--set", "audit.once=true"]
    only = subprocess.run(
        [*command, "--show-only", "templates/audit-job.yaml"], capture_output=True, text=True, check=True
    )
    assert [thing["kind"] for thing in yaml.safe_load_all(only.stdout) if thing] == ["Job"]


def test_pods_meet_the_restricted_security_standard(helm: Path) -> None:
    objects = render(helm)
    pod, container = pod_of(objects)["securityContext"], container_of(objects)["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["readOnlyRootFilesystem"] is True
    assert container["capabilities"] == {"drop": ["ALL"]}


def test_a_leaving_replica_drains_within_its_grace(helm: Path) -> None:
    objects = render(helm)
    assert (
        container_of(objects)["lifecycle"]["preStop"]["sleep"]["seconds"]
        < pod_of(objects)["terminationGracePeriodSeconds"]
    )


@pytest.mark.parametrize("replicas", [1, 2, 5])
@pytest.mark.parametrize("unavailable", [None, 1, "25%"])
def test_no_disruption_budget_blocks_a_drain(helm: Path, replicas: int, unavailable: int | str | None) -> None:
    """Whatever is healthy, one pod may go: a number of pods that may be missing, never one that must stay."""
    values: Object = {"replicas": replicas}
    if unavailable is not None:
        values["podDisruptionBudget"] = {"maxUnavailable": unavailable}
    budget = render(helm, values)["PodDisruptionBudget"]["spec"]
    assert "minAvailable" not in budget
    assert budget["maxUnavailable"] == (unavailable or 1)  # a percentage is rounded up
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_a_disruption_budget_that_would_block_a_drain_is_refused(helm: Path) -> None:
    assert "PodDisruptionBudget" not in render(helm, {"podDisruptionBudget": {"enabled": False}})
    for wrong in ({"maxUnavailable": 0}, {"maxUnavailable": "0%"}, {"maxUnavailable": "1"}, {"minAvailable": 1}):
        assert "podDisruptionBudget" in refusal(helm, {"podDisruptionBudget": wrong})


@pytest.mark.parametrize("name", sorted(path.parent.name for path in (ROOT / "policies").glob("*/bundle.yaml")))
def test_a_bundle_arrives_as_it_was(helm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    folder = ROOT / "policies" / name
    there, problems = bundle_of(mounted(render(helm, values_of(folder, capsys)), tmp_path).files)
    assert problems == load_bundle(folder).warnings
    assert there == load_bundle(folder)
    assert there is not None
    assert there.revision == load_bundle(folder).revision


def test_what_signs_an_archive_goes_along(helm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signed = tmp_path / "gpu.tar.gz"
    assert main(["build", str(ROOT / "policies" / "gpu"), "-o", str(signed)]) == 0
    (tmp_path / "gpu.tar.gz.sigstore.json").write_text('{"a": "\\u00e9 {{ .Values }}"}\n')
    capsys.readouterr()
    content = mounted(render(helm, values_of(signed, capsys)), tmp_path / "etc")
    assert content.attestations == (b'{"a": "\\u00e9 {{ .Values }}"}\n',)
    assert content.archive == hashlib.sha256(signed.read_bytes()).hexdigest()


def test_another_bundle_leaves_nothing_of_the_one_before(
    helm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Helm merges maps; of two files of values the later one's bundle is whole, with or without a signature."""
    first, second = values_of(ROOT / "policies" / "gpu", capsys), values_of(ROOT / "policies" / "spot-first", capsys)
    first["bundle"]["attestation"] = "{}"
    merged = {"bundle": {**first["bundle"], **second["bundle"]}}
    there, _ = bundle_of((content := mounted(render(helm, merged), tmp_path)).files)
    assert there == load_bundle(ROOT / "policies" / "spot-first")
    assert content.attestations == ()


def test_without_a_bundle_the_welcome_bundle_is_served(helm: Path, tmp_path: Path) -> None:
    """Its archive stands beside its folder; BAYPLAN_REWRITE=1 writes it anew."""
    files = {str(path.relative_to(WELCOME)): path.read_bytes() for path in WELCOME.rglob("*.yaml")}
    bundle = load_bundle(WELCOME)
    archive = packed(files, Manifest(bundle.name, bundle.version, requires=bundle.requires))
    if os.environ.get("BAYPLAN_REWRITE"):
        WELCOME.with_suffix(".tar.gz").write_bytes(archive)
    assert WELCOME.with_suffix(".tar.gz").read_bytes() == archive
    content = mounted(render(helm), tmp_path)
    assert content.files == files
    assert content.archive == hashlib.sha256(archive).hexdigest()


def test_another_bundle_makes_other_pods(helm: Path) -> None:
    def checksum(**bundle: str) -> str:
        objects = render(helm, {"bundle": bundle})
        annotations = objects["Deployment"]["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["bayplan.dev/bundle-checksum"])

    assert checksum(archive="H4sIAAAA") == checksum(archive="H4sIAAAA")
    assert checksum(archive="H4sIAAAA") != checksum(archive="H4sIAAAB")
    assert checksum(archive="H4sIAAAA") != checksum(archive="H4sIAAAA", attestation="{}")


def test_a_config_map_of_somebody_elses_is_followed(helm: Path) -> None:
    objects = render(helm, {"bundle": {"configMap": "bayplan-bundle-gpu"}})
    assert "ConfigMap" not in objects
    (volume,) = (volume for volume in pod_of(objects)["volumes"] if volume["name"] == "bundle")
    assert volume["configMap"] == {"name": "bayplan-bundle-gpu"}
    assert "--bundle=/etc/bayplan/bundle/bundle.tar.gz" in container_of(objects)["args"]


def test_inventory(helm: Path) -> None:
    objects = render(helm, {"inventory": "kind: Inventory\n"})
    assert objects["ConfigMap/placement-bayplan-inventory"]["data"] == {"pools.yaml": "kind: Inventory\n"}
    assert "--pools=/etc/bayplan/inventory/pools.yaml" in container_of(objects)["args"]
    assert not any("--pools" in argument for argument in container_of(render(helm))["args"])


def test_arguments_are_those_of_serve(helm: Path) -> None:
    from cli.main import parser_of

    values = {
        "inventory": "x",
        "cluster": {"name": "prod", "labels": {"tier": "a b"}, "poolLabels": ["pool", "team/pool"]},
    }
    command, *rest = container_of(render(helm, values))["args"]
    arguments = parser_of(command).parse_args(rest)
    assert command == "serve"
    assert (arguments.mode, arguments.failure_policy, arguments.namespace) == ("audit", "Ignore", "platform")
    assert arguments.cluster_name == "prod"
    assert arguments.cluster_label == ["tier=a b"]
    assert arguments.pool_label == ["pool", "team/pool"]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"replica": 3}, "replica"),
        ({"mode": "enforced"}, "mode"),
        ({"webhook": {"failurePolicy": "ignore"}}, "failurePolicy"),
        ({"events": "yes"}, "events"),
        ({"audit": {"jobs": 65}}, "jobs"),
        ({"audit": {"output": "table"}}, "output"),
        ({"audit": {"report": True}}, "report"),
        ({"webhook": {"timeoutSeconds": 31}}, "timeoutSeconds"),
        ({"service": {"port": 0}}, "port"),
        ({"service": {"port": 65536}}, "port"),
        ({"service": {"port": "https"}}, "port"),
        ({"clients": {"names": "api-server"}}, "names"),
        ({"clients": {"ca": "PEM"}}, "ca"),
        ({"statusToken": {"key": 5}}, "key"),
        ({"webhook": {"handsOnDaemonSets": "templates"}}, "handsOnDaemonSets"),
        ({"webhook": {"daemonSetControllers": []}}, "daemonSetControllers"),
        ({"bundle": {"archive": "kind: Bundle"}}, "archive"),
        ({"bundle": {"archive": "H4sIAAAA\nH4sI"}}, "archive"),
        ({"bundle": {"attestation": "{}"}}, "bundle.attestation needs bundle.archive"),
        ({"bundle": {"files": {"bundle.yaml": "x"}}}, "bayplan bundle BUNDLE -o helm-values"),
        ({"bundle": {"archive": "H4sIAAAA", "configMap": "x"}}, "one of them"),
        ({"rolloutPercent": 101}, "rolloutPercent"),
        ({"rolloutPercent": 25}, "rolloutPercent below 100 needs `previous` of a bundle"),
        ({"bundle": {"previous": "oci://host/a:1"}}, "bundle.previous needs bundle.source"),
        ({"bundle": {"shadow": "./folder"}}, "shadow"),
        ({"bundle": {"identities": "https://a b"}}, "identities and trustedRoot go together"),
        ({"bundle": {"trustedRoot": "{}"}}, "identities and trustedRoot go together"),
        ({"bundle": {"identities": "https://a b", "trustedRoot": "-----BEGIN"}}, "trustedRoot"),
        ({"moreBundles": [{"source": "oci://host/b:1"}]}, "owns"),
        ({"moreBundles": [{"source": "oci://host/b:1", "owns": ["b-"]}]}, "each bundle says with `owns`"),
        ({"moreBundles": [{"source": "oci://host/b:1", "owns": ["b-"], "archive": "H4sIAAAA"}]}, "archive"),
        (
            {"bundle": {"owns": ["b-"]}, "moreBundles": [{"source": "oci://host/b:1", "owns": ["a-", "b-b-"]}]},
            "owns `b-` and `b-b-` of two bundles overlap",
        ),
    ],
)
def test_mistakes_in_values_are_refused(helm: Path, values: Object, complaint: str) -> None:
    assert complaint in refusal(helm, values)


def test_a_bundle_from_elsewhere_takes_the_place_of_an_archive(helm: Path) -> None:
    source = "git+https://git.example/platform/policies.git//gpu?tag=v1.2.0"
    bundle = {
        "source": source,
        "pollSeconds": 30,
        "credentialsSecret": "git",
        "name": "gpu",
        "keys": {"release.pub": "PEM\n"},
        "allowedSigners": "release@example.com ssh-ed25519 AAAA\n",
        "identities": "https://issuer.example https://subject.example/*\n",
        "trustedRoot": '{"mediaType": "x"}',
        "params": {"zones": ["eu-1a"], "most": 3},
        "owns": ["gpu-"],
        "refuseConflicts": True,
    }
    objects = render(helm, {"bundle": bundle})
    args = container_of(objects)["args"]
    for wanted in (
        f"--bundle={source}",
        "--poll=30",
        "--timeout=60",
        "--credentials=/etc/bayplan/credentials",
        "--state=/var/lib/bayplan",
        "--bundle-name=gpu",
        "--key=/etc/bayplan/trust/keys",
        "--allowed-signers=/etc/bayplan/trust/allowed_signers",
        "--identities=/etc/bayplan/trust/identities",
        "--trusted-root=/etc/bayplan/trust/trusted_root.json",
        "--params=/etc/bayplan/params/params.yaml",
        "--owns=gpu-",
        "--refuse-conflicts",
    ):
        assert wanted in args
    parser_of("serve").parse_args([arg for arg in args if arg != "serve"])
    maps = {thing["metadata"]["name"]: thing["data"] for kind, thing in objects.items() if kind.startswith("ConfigMap")}
    assert set(maps) == {"placement-bayplan-trust", "placement-bayplan-params"}
    assert yaml.safe_load(maps["placement-bayplan-params"]["params.yaml"]) == bundle["params"]
    volumes = {volume["name"]: volume for volume in pod_of(objects)["volumes"]}
    assert "bundle" not in volumes
    assert volumes["credentials"]["secret"] == {"secretName": "git"}
    assert {
        item["path"]: maps["placement-bayplan-trust"][item["key"]] for item in volumes["trust"]["configMap"]["items"]
    } == {
        "allowed_signers": bundle["allowedSigners"],
        "identities": bundle["identities"],
        "trusted_root.json": bundle["trustedRoot"],
        "keys/release.pub": "PEM\n",
    }
    writable = [mount["name"] for mount in container_of(objects)["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["state"]
    assert volumes["state"]["emptyDir"]
    assert container_of(objects)["securityContext"]["readOnlyRootFilesystem"] is True


def test_several_bundles_have_keys_constants_and_credentials_of_their_own(helm: Path) -> None:
    more = {
        "source": "git+https://git.example/team.git?branch=main",
        "credentialsSecret": "team-git",
        "allowedSigners": "team@example.com ssh-ed25519 AAAA\n",
        "params": {"most": 9},
        "owns": ["team-"],
        "shadow": "git+https://git.example/team.git?branch=next",
    }
    own = {
        "source": "oci://host/a:1.5.0",
        "previous": "oci://host/a:1.4.0",
        "params": {"most": 3},
        "owns": ["a-", "aa-"],
    }
    objects = render(helm, {"bundle": own, "moreBundles": [more], "rolloutPercent": 0})
    args = parser_of("serve").parse_args([arg for arg in container_of(objects)["args"] if arg != "serve"])
    assert args.bundle == [own["source"], more["source"]]
    assert args.rollout_bundle == 0
    assert {(behind, name): said for behind, name, _, said in args.noted if name != "owns"} == {
        (1, "poll"): 60.0,
        (1, "timeout"): 60.0,
        (1, "params"): "/etc/bayplan/params/params.yaml",
        (1, "previous"): own["previous"],
        (2, "poll"): 60.0,
        (2, "timeout"): 60.0,
        (2, "params"): "/etc/bayplan/params-1/params.yaml",
        (2, "credentials"): "/etc/bayplan/credentials-1",
        (2, "allowed_signers"): "/etc/bayplan/trust-1/allowed_signers",
        (2, "shadow"): more["shadow"],
    }
    assert [(behind, said) for behind, name, _, said in args.noted if name == "owns"] == [
        (1, "a-"),
        (1, "aa-"),
        (2, "team-"),
    ]
    mounts = {mount["name"]: mount["mountPath"] for mount in container_of(objects)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod_of(objects)["volumes"]}
    assert mounts.keys() == volumes.keys()
    assert volumes["credentials-1"]["secret"] == {"secretName": "team-git"}
    maps = {thing["metadata"]["name"]: thing["data"] for kind, thing in objects.items() if kind.startswith("ConfigMap")}
    for name in ("params", "params-1", "trust-1"):
        assert volumes[name]["configMap"]["name"] in maps
    assert [yaml.safe_load(maps[f"placement-bayplan-params{at}"]["params.yaml"]) for at in ("", "-1")] == [
        {"most": 3},
        {"most": 9},
    ]


@pytest.mark.parametrize("before", [{}, {"moreBundles": None, "rolloutPercent": None}])
def test_of_one_bundle_nothing_is_rolled_out(helm: Path, before: Object) -> None:
    """Nor where values of an earlier release are used again, which lack what came since."""
    args = container_of(render(helm, {"bundle": {"source": "oci://host/a:1"}, **before}))["args"]
    assert not [arg for arg in args if arg.startswith(("--rollout-bundle", "--previous", "--shadow"))]


def test_decisions_are_kept_where_and_as_long_as_said(helm: Path) -> None:
    objects = render(helm, {"store": {"enabled": True, "days": 2.5, "decisions": 2000000, "sizeMiB": 100}})
    args = parser_of("serve").parse_args([arg for arg in container_of(objects)["args"] if arg != "serve"])
    assert (args.store, args.store_days, args.store_decisions) == ("/var/lib/bayplan-store", 2.5, 2_000_000)
    assert args.store_size == "100Mi"
    (store,) = (volume for volume in pod_of(objects)["volumes"] if volume["name"] == "store")
    assert store["emptyDir"] == {"sizeLimit": "264Mi"}
    (mount,) = (mount for mount in container_of(objects)["volumeMounts"] if mount["name"] == "store")
    assert mount == {"name": "store", "mountPath": args.store}
    objects = render(helm, {"store": {"enabled": True, "existingClaim": "kept"}})
    (store,) = (volume for volume in pod_of(objects)["volumes"] if volume["name"] == "store")
    assert store["persistentVolumeClaim"] == {"claimName": "kept"}


def test_what_served_may_be_kept_in_a_claim(helm: Path) -> None:
    objects = render(helm, {"state": {"existingClaim": "kept"}})
    (state,) = (volume for volume in pod_of(objects)["volumes"] if volume["name"] == "state")
    assert state["persistentVolumeClaim"] == {"claimName": "kept"}


@pytest.mark.parametrize("source", ["https://host/repo.git", "git+file:///srv/repo", "./folder", "oci://"])
def test_a_source_that_no_pod_can_reach_is_refused(helm: Path, source: str) -> None:
    assert "bundle" in refusal(helm, {"bundle": {"source": source}})


def test_a_bundle_is_from_one_place(helm: Path) -> None:
    values = {"bundle": {"source": "oci://host/a:1", "archive": "H4sIAAAA"}}
    assert "bundle.source, bundle.archive and bundle.configMap: one of them" in refusal(helm, values)


def test_operators_may_have_a_token_of_their_own(helm: Path) -> None:
    objects = render(helm, {"statusToken": {"secretName": "tokens", "operatorKey": "operator-token"}})
    assert "--operator-token-file=/etc/bayplan/status/operator" in container_of(objects)["args"]
    (volume,) = (volume for volume in pod_of(objects)["volumes"] if volume["name"] == "status-token")
    assert volume["secret"]["items"] == [
        {"key": "token", "path": "token"},
        {"key": "operator-token", "path": "operator"},
    ]
