"""Bundles of a few policies on three pools, and what an examination says of them."""

from __future__ import annotations

from typing import Any

import yaml

from engine.analysis.examination import Examination, examine, inventories_of
from engine.bundle import Bundle, parse_bundle
from engine.program import Program, compile_bundle

POOLS = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: gold, selector: {pool: gold}, labels: {tier: gold, arch: amd64}, values: {zone: [a, b]}, gpus: 0}
  - {name: base, selector: {pool: base}, labels: {tier: base, arch: amd64}, values: {zone: [b, c]}, gpus: 0}
  - {name: arm, selector: {pool: arm}, labels: {tier: base, arch: arm64}, gpus: 2}
"""


def files_of(policies: dict[str, str], more: dict[str, str] | None = None, **spec: Any) -> dict[str, str]:
    """A bundle's files: specs of policies by name, pools, and whatever else."""
    header = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Bundle", "metadata": {"name": "test"}}
    files = {"bundle.yaml": yaml.safe_dump({**header, "spec": {"version": "1.0.0", **spec}}), "pools/p.yaml": POOLS}
    for name, given_spec in policies.items():
        policy = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": name}}
        files[f"policies/{name}.yaml"] = yaml.safe_dump({**policy, "spec": yaml.safe_load(given_spec)})
    return {**files, **(more or {})}


def bundle_of(policies: dict[str, str], more: dict[str, str] | None = None, **spec: Any) -> tuple[Bundle, Program]:
    bundle, problems = parse_bundle(files_of(policies, more, **spec))
    assert bundle is not None
    assert not problems, "\n".join(map(str, problems))
    return bundle, compile_bundle(bundle)


def examined(policies: dict[str, str], more: dict[str, str] | None = None, **spec: Any) -> Examination:
    bundle, program = bundle_of(policies, more, **spec)
    return examine(bundle, program, inventories_of(bundle))


def found(policies: dict[str, str], more: dict[str, str] | None = None, **spec: Any) -> list[tuple[str, str]]:
    """Rule and file of every problem."""
    examination = examined(policies, more, **spec)
    return [(problem.rule, problem.span.source.name) for problem in examination.problems]


def told(examination: Examination) -> list[tuple[str, str]]:
    """Rule and message of every problem."""
    return [(problem.rule, problem.message) for problem in examination.problems]


GOLD = """
podSelector: {matchLabels: {class: gold}}
require: [{expression: 'pool.labels["tier"] == "gold"'}]
"""

ARM = """
podSelector: {matchExpressions: [{key: arch, operator: In, values: [arm64, arm]}]}
namespaceSelector: {matchLabels: {team: a}}
require: [{expression: 'pool.labels["arch"] == "arm64"'}]
"""

WIDE = 'require: [{expression: \'pool.labels["arch"] == "amd64"\'}]'
STRICT = 'require: [{expression: \'pool.labels["tier"] == "gold"\'}]\npriority: 5'
SEEN = {
    "pools/p.yaml": """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: gold, selector: {pool: gold}, labels: {tier: gold}}
  - name: seen
    selector: {cloud.google.com/gke-nodepool: seen}
    taints: [{key: k, value: v, effect: NoSchedule}]
"""
}
