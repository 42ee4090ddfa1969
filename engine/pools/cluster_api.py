"""Cluster API's MachineDeployments, MachinePools and MachineSets, one by one: what each says of its nodes.

Of a template's labels those of some domains reach every Node of its Machines, and go on being synchronised; all others
only where the manager is told so (`--additional-sync-machine-labels`), which can't be seen from here, so they are no
facts. Not every infrastructure provider makes Machines for a MachinePool, so what its template says may reach no node.
Taints of a template reach Nodes with the feature gate MachineTaintPropagation, without which they are refused; one set
at initialisation may be gone later, as a start-up taint is. What the cluster autoscaler is told for scaling from zero,
a person wrote about the next node. Sources: Cluster API 1.13, util/labels/helpers.go, docs/book/src/reference/api/
metadata-propagation.md, internal/controllers/machine/machine_controller_noderef.go; cluster-autoscaler,
cloudprovider/clusterapi/README.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from engine.documents import RequestError, parse_quantity
from engine.names import is_label_key, is_label_value
from engine.pools.objects import Object, is_leaving, list_at, map_at, taint_of, text_at, text_of, texts_at
from engine.pools.pool import TAINT_EFFECTS, Labels, Taint
from engine.struct import Struct

GROUP = "cluster.x-k8s.io/"
NAME_LABELS: Mapping[str, str] = {
    "MachineDeployment": f"{GROUP}deployment-name",
    "MachinePool": f"{GROUP}pool-name",
    "MachineSet": f"{GROUP}set-name",
}
"""By kind, the label of a Machine that names what it belongs to; a Node has it only where it is synchronised."""

ROLE_PREFIX = "node-role.kubernetes.io"
OWN_DOMAIN = "node.cluster.x-k8s.io"
_SYNCED_DOMAINS = ("node-restriction.kubernetes.io", OWN_DOMAIN)
_CAPACITY = "capacity.cluster-autoscaler.kubernetes.io/"
_OWN_ANNOTATIONS = (GROUP, _CAPACITY, "machinedeployment.clusters.x-k8s.io/", "kubectl.kubernetes.io/", "topology.")
MAX_COUNT = 2**31 - 1


class Owner(NamedTuple):
    """What nodes belong to: a MachineDeployment, a MachinePool or a MachineSet."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class Machines(Struct, frozen=True):
    """What one object says of its nodes.

    `labels` are those that all its nodes will carry, `unsynced` the keys of the template's others. `failure_domains`
    may be zones, or not. `cpu` is in cores, `memory` in bytes; None where nothing is said. `deployment` is, of a
    MachineSet, the name of the MachineDeployment that it belongs to, `notes` what could not be used. One that is
    `leaving` is being deleted: its Machines are drained, and it makes no more.
    """

    owner: Owner
    cluster: str
    deployment: str
    labels: Labels
    unsynced: tuple[str, ...]
    taints: tuple[Taint, ...]
    passing_taints: tuple[Taint, ...]
    failure_domains: tuple[str, ...]
    cpu: float | None
    memory: int | None
    gpus: int | None
    annotations: Labels
    notes: tuple[str, ...]
    leaving: bool = False


def is_machines(data: object) -> bool:
    """Whether this is a MachineDeployment, MachinePool or MachineSet of Cluster API, of any version."""
    if not isinstance(data, Mapping) or not isinstance(data.get("kind"), str):
        return False
    return data["kind"] in NAME_LABELS and str(data.get("apiVersion", "")).startswith(GROUP)


def read(data: Object) -> Machines:
    """What one of these objects says. Raises RequestError where it is not shaped like one."""
    metadata, spec = map_at(data, "metadata", ""), map_at(data, "spec", "")
    name, namespace = metadata.get("name"), metadata.get("namespace") or ""
    if not isinstance(name, str) or not name:
        raise RequestError("metadata.name", f"a {data['kind']} needs a name")
    if not isinstance(namespace, str):
        raise RequestError("metadata.namespace", "a namespace is text")
    owner = Owner(data["kind"], namespace, name)
    template = map_at(spec, "template", "spec")
    machine = map_at(template, "spec", "spec.template")
    carried = texts_at(map_at(template, "metadata", "spec.template"), "labels", "spec.template.metadata")
    annotations = texts_at(metadata, "annotations", "metadata")
    notes: list[str] = []
    promised = dict(_promised_labels(annotations, notes))
    synced = {key: value for key, value in carried.items() if is_synced(key)}
    taints, passing = _taints(machine)
    gpu_type = annotations.get(f"{_CAPACITY}gpu-type")
    gpus = _count(annotations, "gpu-count", notes)
    cpu, memory = _amount(annotations, "cpu", notes), _amount(annotations, "memory", notes)
    return Machines(
        owner=owner,
        cluster=text_at(spec, "clusterName", "spec"),
        deployment=texts_at(metadata, "labels", "metadata").get(NAME_LABELS["MachineDeployment"], "")
        if owner.kind == "MachineSet"
        else "",
        labels={**promised, **synced},
        unsynced=tuple(sorted(carried.keys() - synced.keys() - promised.keys() - set(_bookkeeping(carried)))),
        taints=tuple(sorted({*_promised_taints(annotations, notes), *taints})),
        passing_taints=tuple(sorted(passing)),
        failure_domains=_failure_domains(spec, machine),
        cpu=None if cpu is None else float(cpu),
        memory=None if memory is None else ceil(memory),
        gpus=gpus if gpu_type else None,
        annotations={key: said for key, said in annotations.items() if not key.startswith(_OWN_ANNOTATIONS)},
        notes=tuple(notes),
        leaving=is_leaving(data),
    )


def is_synced(key: str) -> bool:
    """Whether a label of a Machine always reaches its Node."""
    prefix = key.split("/")[0]
    return prefix == ROLE_PREFIX or any(prefix == domain or prefix.endswith(f".{domain}") for domain in _SYNCED_DOMAINS)


def _bookkeeping(labels: Labels) -> Iterator[str]:
    """The labels by which Cluster API itself finds Machines: nobody expects them on a Node."""
    return (key for key in labels if key.split("/")[0].endswith("cluster.x-k8s.io") and not is_synced(key))


def _taints(machine: Object) -> tuple[list[Taint], list[Taint]]:
    """The taints that nodes keep, and those that they have at first."""
    lasting, passing = list[Taint](), list[Taint]()
    for at, each in enumerate(list_at(machine, "taints", "spec.template.spec")):
        taint = taint_of(each, f"spec.template.spec.taints[{at}]")
        (passing if each.get("propagation") == "OnInitialization" else lasting).append(taint)
    return lasting, passing


def _failure_domains(spec: Object, machine: Object) -> tuple[str, ...]:
    several = (
        text_of(each, f"spec.failureDomains[{at}]") for at, each in enumerate(list_at(spec, "failureDomains", "spec"))
    )
    one = text_at(machine, "failureDomain", "spec.template.spec")
    return tuple(sorted({*several, one} - {""}))


def _promised_labels(annotations: Labels, notes: list[str]) -> Iterator[tuple[str, str]]:
    """The labels of the next node, as the cluster autoscaler is told: `key1=value1,key2=value2`."""
    for each in filter(None, annotations.get(f"{_CAPACITY}labels", "").split(",")):
        key, equals, value = each.strip().partition("=")
        if equals and is_label_key(key) and is_label_value(value):
            yield key, value
        else:
            notes.append(f"`{each}` in the annotation `{_CAPACITY}labels` is no label")


def _promised_taints(annotations: Labels, notes: list[str]) -> Iterator[Taint]:
    """The taints of the next node, as the cluster autoscaler is told: `key1=value1:NoSchedule,key2:NoExecute`."""
    for each in filter(None, annotations.get(f"{_CAPACITY}taints", "").split(",")):
        said, _, effect = each.strip().rpartition(":")
        key, _, value = said.partition("=")
        if effect in TAINT_EFFECTS and is_label_key(key) and is_label_value(value):
            yield Taint(key, value, effect)
        else:
            notes.append(f"`{each}` in the annotation `{_CAPACITY}taints` is no taint")


def _amount(annotations: Labels, name: str, notes: list[str]) -> Fraction | None:
    """A positive quantity; to the cluster autoscaler zero is as if nothing was said."""
    said = annotations.get(f"{_CAPACITY}{name}")
    if not said:
        return None
    try:
        amount = parse_quantity(said)
    except ValueError:
        notes.append(f"`{said}` in the annotation `{_CAPACITY}{name}` is no quantity")
        return None
    return amount if amount > 0 else None


def _count(annotations: Labels, name: str, notes: list[str]) -> int | None:
    said = annotations.get(f"{_CAPACITY}{name}")
    if not said:
        return None
    digits = said.lstrip("0") or "0"  # Python refuses to read thousands of them
    if not (said.isascii() and said.isdigit()) or len(digits) > len(str(MAX_COUNT)) or int(digits) > MAX_COUNT:
        notes.append(f"`{said}` in the annotation `{_CAPACITY}{name}` is no number")
        return None
    return int(digits)
