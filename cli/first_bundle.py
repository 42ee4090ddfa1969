"""The bundle that `bayplan init` writes: files made of one idea, and tried before they are written."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import indent
from typing import Any

from audit import as_yaml
from cli.first_policy import Idea, ideas, zones
from cli.pools import as_document
from engine.analysis import examine
from engine.bundle import Bundle, parse_bundle
from engine.decision import Decider, Decision
from engine.documents import BundleError, Source, parse_manifests
from engine.names import PREFERRED, REQUIRED
from engine.pods import pods_from_documents
from engine.pools import Inventory, inventory_from_documents
from engine.program import Program, compile_bundle
from engine.struct import Struct

WISH = 50
"""The weight of what is preferred."""

BUNDLE = """\
# The bundle: what is reviewed, released and rolled back as one. Raise the version with each change: decisions name it.
apiVersion: bayplan.dev/v1alpha1
kind: Bundle
metadata:
  name: {name}
spec:
  version: 0.1.0
  description: Say in one line what this bundle is for.
  # enforce patches pods, audit only records what it would patch, off does nothing
  mode: enforce
  # constants for expressions, as `params.<name>`; a cluster may override them
{params}
"""
NO_PARAMS = "  # params: {zones: [zone-a, zone-b]}"
POLICY = """\
# One policy: which pods it is about, and what placement it intends for them.
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata:
  name: critical
spec:
  {description}
  # which pods, all others are left alone; `namespaceSelector` and `matchConditions` (CEL) narrow it further
  podSelector:
    matchLabels: {{tier: critical}}
{intent}
    - {expression}
      {more}
  # the taints of the chosen pools that these pods tolerate; without it, none
{tolerate}
  # Kubernetes' own fields; without a selector it is the pod's own workload
  spread:
    - topologyKey: {topology}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
"""
REQUIRE = """\
  # every expression must hold, of the pool (known now) and of the node (known later: it becomes an affinity)
  require:"""
PREFER = """\
  # which nodes are best, with weights of 1 to 100; under `require` in its place, without weights, it is a must
  prefer:"""
NO_TOLERATION = '''\
  # tolerate:
  #   - expression: taint.key == "dedicated"'''
EXAMPLE = """\
# An inventory, for tests and for `--pools`: entries like these, which `bayplan pools --context NAME -o yaml` makes of a
# cluster, Nodes as `kubectl get nodes -o yaml` prints them, and the pools of Karpenter and Cluster API, in any mix.
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - name: steady
    selector: {eks.amazonaws.com/nodegroup: steady}               # the labels that identify its nodes
    labels: {eks.amazonaws.com/capacityType: ON_DEMAND}           # what every node of it carries
    values: {topology.kubernetes.io/zone: [zone-a, zone-b, zone-c]}   # what may differ from node to node
    nodes: 3
  - name: spot
    selector: {eks.amazonaws.com/nodegroup: spot}
    labels: {eks.amazonaws.com/capacityType: SPOT}
    values: {topology.kubernetes.io/zone: [zone-a, zone-b, zone-c]}
    nodes: 9
"""
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: payments
  labels: {app: payments, tier: critical}
spec:
  containers:
    - name: web
      image: nginx
"""
TEST = """\
# What is expected of given pods on given pools. `bayplan test` runs it, and so does everybody who activates the bundle.
apiVersion: bayplan.dev/v1alpha1
kind: PlacementTest
metadata:
  name: critical
spec:
  pools: {pools}
  cases:
    - {case}
      file: examples/pod.yaml
      expect:
{expect}
    - name: other pods are left alone
      pod:
        metadata: {{name: report, namespace: shop, labels: {{app: report}}}}
        spec: {{containers: [{{name: main, image: report}}]}}
      expect:
        policies: {{critical: notMatched}}
        unchanged: true
"""


class Start(Struct, frozen=True):
    """What a first bundle is about: pools, and the file that has them, with its text and what is read from it.

    Of an `example` nothing is required, for it is not known where it will be used.
    """

    found: Inventory
    file: str
    text: str
    written: Inventory
    example: bool = False


def start_from(found: Inventory) -> Start:
    """The pools of a cluster. Raises BundleError and RequestError where they can't be written as a file."""
    file, text = "pools/cluster.yaml", as_document(found)
    return Start(found, file, text, _inventory(file, text))


def example() -> Start:
    """Pools that are made up."""
    file = "pools/example.yaml"
    made_up = _inventory(file, EXAMPLE)
    return Start(made_up, file, EXAMPLE, made_up, example=True)


def _inventory(file: str, text: str) -> Inventory:
    return inventory_from_documents(parse_manifests(Source(file, text))[0])


class Draft(Struct, frozen=True):
    """One idea as a bundle: required, or only preferred."""

    name: str
    start: Start
    idea: Idea
    required: bool

    @property
    def description(self) -> str:
        return f"Critical pods {'run' if self.required else 'would rather run'} {self.idea.where}"

    def files(self, words: str) -> dict[str, str]:
        """The texts by file; `words` are the arguments of `explain` that lead to the bundle and its pools."""
        start = self.start
        case = _line("name", self.description.replace("Critical", "critical", 1))
        expect = indent(as_yaml(_expected(self.decision(start.written))), " " * 8)
        return {
            **self._deciding(),
            start.file: start.text,
            "examples/pod.yaml": f"# bayplan explain {words}\n{POD}",
            "tests/critical.yaml": TEST.format(pools=start.file, case=case, expect=expect),
        }

    def holds(self) -> bool:
        """Whether nothing is wrong with it, and a critical pod is moved, to where something is."""
        bundle, program = self._compiled()
        inventories = [("the pools", self.start.found), (self.start.file, self.start.written)]
        problems = [*program.warnings, *examine(bundle, program, inventories).problems]
        decisions = [self.decision(inventory) for _, inventory in inventories]
        return not any(problem.severity in ("error", "warning") for problem in problems) and all(
            one.allowed and one.patch and not one.pools.waits and not one.warnings for one in decisions
        )

    def decision(self, inventory: Inventory) -> Decision:
        """What is decided about the example's pod."""
        pods = pods_from_documents(parse_manifests(Source("examples/pod.yaml", POD))[0])
        return Decider(self._compiled()[1], inventory).decide(pods[0])

    def _compiled(self) -> tuple[Bundle, Program]:
        bundle, problems = parse_bundle(self._deciding())
        if bundle is None:
            raise BundleError(problems)
        return bundle, compile_bundle(bundle)

    def _deciding(self) -> dict[str, str]:
        """The files without which nothing is decided."""
        idea = self.idea
        tolerated = _line("expression", f'taint.key == "{idea.tolerated}"')
        policy = POLICY.format(
            description=_line("description", f"{self.description}."),
            intent=REQUIRE if self.required else PREFER,
            expression=_line("expression", idea.expression),
            more=_line("message", f"critical pods run {idea.where}") if self.required else _line("weight", WISH),
            tolerate=f"  tolerate:\n    - {tolerated}" if idea.tolerated else NO_TOLERATION,
            topology="topology.kubernetes.io/zone" if len(zones(self.start.found)) > 1 else "kubernetes.io/hostname",
        )
        params = f"  params:\n{indent(as_yaml(idea.params).rstrip(), ' ' * 4)}" if idea.params else NO_PARAMS
        return {"bundle.yaml": BUNDLE.format(name=self.name, params=params), "policies/critical.yaml": policy}


def first_draft(name: str, start: Start) -> Draft:
    """The first idea that can be required, else that can be preferred, without anything to be said against it."""
    found = list(ideas(start.found))
    musts = [Draft(name, start, idea, required=True) for idea in found if idea.firm and not start.example]
    wishes = [Draft(name, start, idea, required=False) for idea in found]
    return next((draft for draft in (*musts, *wishes) if draft.holds()), wishes[-1])


def _line(key: str, value: object) -> str:
    """A field of a YAML document."""
    return as_yaml({key: value}).rstrip()


def _expected(decision: Decision) -> Mapping[str, Any]:
    """What a test may expect where this is decided; what is empty is left out."""
    spec: Mapping[str, Any] = decision.patched.get("spec") or {}
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    said = {
        "allowed": decision.allowed,
        "pools": list(decision.pools.after),
        "policies": {policy.name: policy.outcome for policy in decision.policies},
        "nodeAffinity": (affinity.get(REQUIRED) or {}).get("nodeSelectorTerms"),
        "preferred": affinity.get(PREFERRED),
        "tolerations": [dict(one) for one in decision.placement.tolerations],
    }
    return {key: value for key, value in said.items() if value}
