"""Dashboard and alerts: they ask for what the webhook exposes; each alert fires when it should, and is explained."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.charts.monitoring import (
    DASHBOARD,
    OF_THE_API_SERVER,
    OF_THE_CLIENT_LIBRARY,
    OPERATIONS,
    RULES,
    TARGET,
    Read,
    alerts,
    documented,
    expressions,
    panels,
    roughly,
)
from tests.charts.test_bayplan import render
from tests.programs import BUILD
from tests.webhook.reviews import pod
from tests.webhook.test_process import TRAINEE, serving, sources

pytestmark = pytest.mark.timeout(1_800)
WITH_EVENTS = "bayplan_events_queue_depth"
"""Is there with `--events` only, which takes a cluster."""
NIGHTLY = os.environ.get("BAYPLAN_NIGHTLY") == "1"


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What a process in audit mode exposes that has decided about a few pods: series' names, with their labels."""
    folder = tmp_path_factory.mktemp("serve")
    beside = ("--store", folder / "store", "--otlp-logs", "http://127.0.0.1:9")  # where nobody listens
    with serving(folder, *sources(folder), "--mode", "audit", "--shadow", folder / "bundle", *beside) as serve:
        for created in (TRAINEE, pod({"app": "web"}), pod(spec={"nodeName": "n1"})):
            serve.create(created)
        httpx.get(f"{serve.url}/other", verify=False)
        text = httpx.get(f"{serve.plain}/metrics", headers=serve.reader).text
    found = dict[str, set[str]]()
    for family in text_string_to_metric_families(text):
        found.setdefault(f"{family.name}_total" if family.type == "counter" else family.name, set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_the_page_tells_of_each_series_with_its_labels(exposed: dict[str, set[str]]) -> None:
    """Labels of those that have no sample yet are only on the page."""
    page, parts = documented(), ("_created", "_bucket", "_count", "_sum")
    mine = {
        name: labels for name, labels in exposed.items() if name.startswith("bayplan_") and not name.endswith(parts)
    }
    assert page.keys() - {WITH_EVENTS} == mine.keys()
    assert {name: labels for name, labels in mine.items() if labels} == {
        name: page[name] for name in mine if mine[name]
    }
    assert {"bayplan_audited_pods_total", "bayplan_audited_policies_total"} <= {name for name in mine if mine[name]}


@pytest.mark.parametrize("expression", expressions())
def test_expressions_read_what_there_is(expression: str, exposed: dict[str, set[str]]) -> None:
    reads = roughly(expression)
    assert reads, expression
    for one in reads:
        exists(one, exposed)


def exists(read: Read, exposed: dict[str, set[str]]) -> None:
    others = OF_THE_API_SERVER | OF_THE_CLIENT_LIBRARY
    if read.metric in others:
        assert read.labels <= others[read.metric] | TARGET, read
        assert read.metric in exposed or read.metric in OF_THE_API_SERVER
        return
    assert read.metric in exposed, read
    base = re.sub("_(bucket|count|sum)$", "", read.metric)
    labels = documented()[base] | exposed[read.metric]
    assert read.labels <= labels | TARGET, read


def test_each_alert_has_its_paragraph_in_the_order_of_the_rules() -> None:
    assert re.findall(r"^### (Bayplan\w+)$", OPERATIONS, re.MULTILINE) == [rule["alert"] for rule in alerts()]
    for rule in alerts():
        assert rule["annotations"]["summary"].endswith((".", ")."))
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_alerts_that_need_the_token_are_marked() -> None:
    page = documented_with_token()
    for rule in alerts():
        paragraph = OPERATIONS.split(f"### {rule['alert']}\n\n")[1]
        needs = any(read.metric in page for read in roughly(rule["expr"]))
        assert paragraph.startswith("\\*") == needs, rule["alert"]


def documented_with_token() -> set[str]:
    """The metrics that are marked in the table."""
    rows = re.findall(r"^\| (`bayplan_.*?`) (\* )?\|", OPERATIONS, re.MULTILINE)
    return {name for cell, star in rows if star for name in re.findall(r"`(\w+)", cell)}


def test_the_dashboard_is_whole() -> None:
    """Ids and places are unique, every panel has a query and a unit, and asks the data source that is chosen."""
    every = DASHBOARD["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken = set[tuple[int, int]]()
    for panel in every:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    for panel in panels():
        assert panel["targets"], panel["title"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"]
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "job"}


def test_the_chart_makes_nothing_of_it_unless_asked(helm: Path) -> None:
    kinds = {thing["kind"] for thing in render(helm).values()}
    assert not kinds & {"PodMonitor", "PrometheusRule"}
    assert not any("dashboard" in thing["metadata"]["name"] for thing in render(helm).values())


def test_the_chart_makes_monitors_rules_and_a_dashboard(helm: Path) -> None:
    values = {
        "monitoring": {
            "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "rules": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": True, "namespace": "grafana", "annotations": {"grafana_folder": "Placement"}},
        },
        "statusToken": {"secretName": "token"},
    }
    objects = render(helm, values)
    monitor, rules = objects["PodMonitor"], objects["PrometheusRule"]
    assert monitor["metadata"]["labels"]["release"] == rules["metadata"]["labels"]["release"] == "prometheus"
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    ports = [port["name"] for port in objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]["ports"]]
    assert endpoint["port"] in ports
    assert endpoint["authorization"] == {"credentials": {"name": "token", "key": "token"}}
    assert rules["spec"] == yaml.safe_load(RULES)
    (config,) = (one for one in objects.values() if one["metadata"]["name"].endswith("-dashboard"))
    assert config["metadata"]["namespace"] == "grafana"
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["annotations"] == {"grafana_folder": "Placement"}
    assert json.loads(config["data"]["bayplan.json"]) == DASHBOARD


# Asked of Prometheus itself, which takes minutes to build


class Prometheus:
    """tests/controlplane/prometheus/promql, a program of questions and answers."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def ask(self, **question: object) -> dict[str, list[dict[str, object]]]:
        text = json.dumps(question)
        done = subprocess.run([self._program], input=text, capture_output=True, text=True, check=True, timeout=300)
        answer: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
        assert answer["errors"] == [], answer["errors"]
        return answer

    def firing(self, series: str, minutes: int) -> dict[str, str]:
        """The summaries of the alerts that fire after so many minutes, by alert."""
        loaded = "load 1m\n" + "".join(f"  {line}\n" for line in series.strip().splitlines())
        told = self.ask(series=loaded, rules=RULES, at=minutes)["firing"]
        return {str(one["alert"]): str(one["summary"]) for one in told}


@pytest.fixture(scope="module")
def prometheus() -> Prometheus:
    if not NIGHTLY:
        pytest.skip("Prometheus takes minutes to build: nightly")
    done = subprocess.run([BUILD, "promql"], stdout=subprocess.PIPE, text=True, check=True)
    return Prometheus(Path(done.stdout.strip().removeprefix("promql=")))


def test_prometheus_takes_the_rules(prometheus: Prometheus) -> None:
    prometheus.ask(rules=RULES)


@pytest.mark.parametrize("expression", expressions())
def test_prometheus_reads_the_same(expression: str, prometheus: Prometheus, exposed: dict[str, set[str]]) -> None:
    for read in prometheus.ask(expression=expression)["reads"]:
        labels = read["labels"]
        assert isinstance(labels, list)
        exists(Read(str(read["metric"]), frozenset(map(str, labels))), exposed)


WELL = """
bayplan_build_info{version="1"} 1x20000
bayplan_admission_requests_total{operation="CREATE", outcome="error"} 0x20000
bayplan_admission_requests_total{operation="CREATE", outcome="mutated"} 0+100x20000
bayplan_admission_duration_seconds_bucket{le="0.005"} 0+100x20000
bayplan_admission_duration_seconds_bucket{le="2.5"} 0+100x20000
bayplan_admission_duration_seconds_bucket{le="+Inf"} 0+100x20000
bayplan_policy_evaluations_total{bundle="small", policy="gold", mode="enforce", result="applied"} 0+100x20000
bayplan_policy_evaluations_total{bundle="small", policy="gold", mode="enforce", result="failed"} 0x20000
bayplan_unschedulable_pods_total 0x20000
bayplan_activation_failures_total{step="test"} 0x20000
bayplan_bundle_failing 0x20000
bayplan_bundle_held 0x20000
bayplan_bundle_last_success_request_timestamp_seconds 0+60x20000
bayplan_bundle_info{name="small", version="1", revision="a", digest="aa", side="active", instance="1"} 1x20000
bayplan_bundle_info{name="small", version="1", revision="a", digest="aa", side="active", instance="2"} 1x20000
bayplan_bundle_expiry_timestamp_seconds 0x20000
bayplan_cache_last_contact_timestamp_seconds{kind="nodes"} 0+60x20000
bayplan_tls_cert_expiry_timestamp_seconds 99999999x20000
bayplan_decision_log_dropped_total{reason="full"} 0x20000
bayplan_store_failing 0x20000
bayplan_store_dropped_total{reason="full"} 0x20000
bayplan_otlp_logs_failing 0x20000
bayplan_otlp_logs_dropped_total{reason="full"} 0x20000
bayplan_refusals_total{port="admission", reason="tls"} 0+1x20000
apiserver_admission_webhook_fail_open_count{name="mutate.bayplan.dev", type="admit"} 0x20000
apiserver_admission_webhook_fail_open_count{name="mutate.other.dev", type="admit"} 0+1x20000
apiserver_admission_webhook_rejection_count{name="mutate.bayplan.dev", error_type="no_error"} 0+1x20000
apiserver_admission_webhook_rejection_count{name="mutate.bayplan.dev", error_type="calling_webhook_error"} 0x20000
"""
"""A cluster in which all is well, policies that refuse pods and somebody else's webhook included."""
ILL = {
    "BayplanPodsCreatedUndecided": (
        'apiserver_admission_webhook_fail_open_count{name="mutate.bayplan.dev"',
        "0x28 1x20",
        30,
    ),
    "BayplanPodsRefusedUndecided": ('error_type="calling_webhook_error"', "0x28 3x20", 30),
    "BayplanAbsent": ("bayplan_build_info", "1x10 _x40", 30),
    "BayplanErrors": ('outcome="error"', "0x28 1x20", 30),
    "BayplanSlow": ('le="0.005"', "0+1x50", 30),
    "BayplanPolicyFails": ('result="failed"', "0x28 1x20", 30),
    "BayplanPodsUnschedulable": ("bayplan_unschedulable_pods_total", "0x28 1x20", 30),
    "BayplanActivationFails": ("bayplan_activation_failures_total", "0x28 1x20", 30),
    "BayplanBundleFailing": ("bayplan_bundle_failing", "0x5 1x30", 30),
    "BayplanSourceSilent": ("bayplan_bundle_last_success_request_timestamp_seconds", "300x50", 30),
    "BayplanReplicasDiffer": ('instance="2"', "", 30),
    "BayplanBundleExpires": ("bayplan_bundle_expiry_timestamp_seconds", "86400x50", 30),
    "BayplanBundleHeld": ("bayplan_bundle_held", "1x20000", 10_100),
    "BayplanInventoryStale": ("bayplan_cache_last_contact_timestamp_seconds", "300x50", 30),
    "BayplanCertificateExpires": ("bayplan_tls_cert_expiry_timestamp_seconds", "86400x100", 90),
    "BayplanDecisionsLost": ("bayplan_decision_log_dropped_total", "0x28 1x20", 30),
    "BayplanStoreFails": ("bayplan_store_failing", "0x5 1x30", 30),
    "BayplanExportFails": ("bayplan_otlp_logs_failing", "0x5 1x30", 30),
    "BayplanRefusals": ("bayplan_refusals_total", "0+100x50", 30),
}
"""For each alert: of which line of the above, what comes in its place, and after how many minutes it fires."""


def test_no_alert_fires_where_all_is_well(prometheus: Prometheus) -> None:
    assert prometheus.firing(WELL, 10_100) == {}


def test_a_source_that_nobody_asks_is_not_silent(prometheus: Prometheus) -> None:
    line = "bayplan_bundle_last_success_request_timestamp_seconds 0+60x20000"
    suspended = f"{line.split()[0]} 0+60x10{' NaN' * 90}"
    assert prometheus.firing(WELL.replace(line, suspended), 100) == {}


def test_a_collector_that_is_away_for_a_moment_is_not_told_and_what_is_lost_is(prometheus: Prometheus) -> None:
    line = "bayplan_otlp_logs_failing 0x20000"
    assert prometheus.firing(WELL.replace(line, "bayplan_otlp_logs_failing 0x20 1x2 0x30"), 25) == {}
    line = 'bayplan_otlp_logs_dropped_total{reason="full"} 0x20000'
    lost = 'bayplan_otlp_logs_dropped_total{reason="full"} 0x20 7x30'
    assert list(prometheus.firing(WELL.replace(line, lost), 28)) == ["BayplanExportFails"]


@pytest.mark.parametrize("alert", [rule["alert"] for rule in alerts()])
def test_each_alert_fires_alone(alert: str, prometheus: Prometheus) -> None:
    what, values, minutes = ILL[alert]
    (line,) = (line for line in WELL.splitlines() if what in line)
    series, _, _ = line.rpartition(" ")
    other = f"{series} {values}" if values else line.replace('digest="aa"', 'digest="bb"')
    fires = prometheus.firing(WELL.replace(line, other), minutes)
    assert list(fires) == [alert]
    assert "error expanding" not in fires[alert]
    assert "{{" not in fires[alert]
