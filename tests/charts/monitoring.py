"""What the chart's dashboard and alerts ask Prometheus for, and what there is to be asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

MONITORING = Path(__file__).parents[2] / "charts" / "bayplan" / "monitoring"
RULES = (MONITORING / "rules.yaml").read_text()
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()

TARGET = frozenset({"job", "instance"})
"""Labels that Prometheus gives whatever it scrapes."""
OF_THE_API_SERVER = {
    "apiserver_admission_webhook_fail_open_count": {"name", "type"},
    "apiserver_admission_webhook_rejection_count": {"name", "type", "operation", "error_type", "rejection_code"},
}
OF_THE_CLIENT_LIBRARY = {"process_resident_memory_bytes": set[str](), "process_cpu_seconds_total": set[str]()}
_GRAFANA = {"$__rate_interval": "5m", "$__range": "1h", '"$job"': '".*"'}


class Read(NamedTuple):
    """A metric that an expression reads, with the labels that it selects or groups by."""

    metric: str
    labels: frozenset[str]


def alerts() -> list[dict[str, Any]]:
    """The rules, in their order."""
    return [rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"]]


def panels() -> Iterator[dict[str, Any]]:
    yield from (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def shown() -> Iterator[str]:
    """The expressions of the dashboard as Prometheus gets them."""
    for expression in (
        *(target["expr"] for panel in panels() for target in panel["targets"]),
        *(one["expr"] for one in DASHBOARD["annotations"]["list"]),
    ):
        for variable, value in _GRAFANA.items():
            expression = expression.replace(variable, value)
        yield expression


def expressions() -> list[str]:
    return [*(rule["expr"] for rule in alerts()), *shown()]


def roughly(expression: str) -> set[Read]:
    """What an expression reads, told by its look: enough for those with one metric to an aggregation, as ours are.

    A nightly run asks Prometheus' own parser the same.
    """
    grouped = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")}
    found = set[Read]()
    for metric, _, selector in re.findall(r"\b((?:bayplan|process|apiserver)_\w+)(\{([^}]*)\})?", expression):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
        found.add(Read(metric, frozenset(labels | grouped)))
    return found


def documented() -> dict[str, set[str]]:
    """Each metric that the page on operations names in its table, with its labels."""
    table = OPERATIONS[OPERATIONS.index("| metric | tells |") : OPERATIONS.index("### Prometheus and Grafana")]
    found = dict[str, set[str]]()
    for line in table.splitlines():
        for metric, _, labels in re.findall(r"`(bayplan_\w+)(\{([^}]*)\})?`", line.split(" | ")[0]):
            found[metric] = {label.strip() for label in labels.split(",") if label}
    return found
