"""The pools of a cluster, from any mix of Inventory documents, Karpenter NodePools and Nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from engine.documents import (
    BundleError,
    Manifest,
    Map,
    Problem,
    Problems,
    RequestError,
    Scalar,
    Source,
    Span,
    bad,
    head,
    parse_manifests,
    parse_quantity,
)
from engine.pools import cluster_api, karpenter, node_claims
from engine.pools.census import Census
from engine.pools.evidence import Declared
from engine.pools.inventory_file import INVENTORY_DOCUMENT, explain_derived
from engine.pools.machines import machine_pools
from engine.pools.nodes import name_of
from engine.pools.objects import LEAVING, is_leaving, map_at, taints_at, text_of
from engine.pools.pool import Inventory, Remark
from engine.struct import Struct, field, replace


class _Found(Struct):
    """What the documents read so far declare or show, by kind, and what is wrong with them.

    `counted` says that `nodes` are all that there are.
    """

    problems: Problems = field(default_factory=list)
    declared: dict[frozenset[tuple[str, str]], Declared] = field(default_factory=dict)
    node_pools: list[Declared] = field(default_factory=list)
    machines: list[cluster_api.Machines] = field(default_factory=list)
    claims: list[node_claims.Claim] = field(default_factory=list)
    nodes: list[Mapping[str, Any]] = field(default_factory=list)
    names: dict[str, Span] = field(default_factory=dict)
    selectors: dict[frozenset[tuple[str, str]], Span] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    counted: bool = False

    def declare(self, said: Declared, value: Map) -> None:
        identity = frozenset(said.selector.items())
        name_span, selector_span = _value_span(value, "name"), _value_span(value, "selector")
        self._unique(f"pool `{said.name}`", self.names.setdefault(said.name, name_span), name_span)
        self._unique("pool with this selector", self.selectors.setdefault(identity, selector_span), selector_span)
        self.declared.setdefault(identity, said)

    def _unique(self, what: str, earlier: Span, span: Span) -> None:
        if earlier is not span:
            bad(self.problems, "duplicate-pool", f"a second {what}, the first at {earlier}", span)


def _value_span(value: Map, name: str) -> Span:
    found = value.get(name)
    return head(found) if found else head(value)


def inventory_from_documents(documents: Iterable[Manifest], pool_labels: Sequence[str] = ()) -> Inventory:
    """The inventory that files describe, in any mix: Inventory documents, Karpenter NodePools, Nodes and lists of them.

    Raises BundleError with all that is wrong in Inventory documents, RequestError for another object that can't be
    used, or where there is nothing that describes pools.
    """
    return _combine(_read(documents), Census(pool_labels))


class Cluster(Protocol):
    """What was read of a cluster: its Nodes, taken for sound, custom resources of any shape, and what was not read."""

    @property
    def nodes(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def resources(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def unread(self) -> Sequence[str]: ...


def live_inventory(documents: Iterable[Manifest], cluster: Cluster | None, census: Census) -> Inventory:
    """The inventory of a cluster, if there is one, and of files beside it.

    What can't be used is left out, and the inventory says so. Raises what `inventory_from_documents` raises for files.
    """
    found = _read(documents)
    found.nodes += cluster.nodes if cluster else ()
    found.counted = cluster is not None
    found.remarks += (Remark("unread", "", text) for text in cluster.unread) if cluster else ()
    for each in cluster.resources if cluster else ():
        try:
            _take_object(each, found)
        except RequestError as error:
            found.remarks.append(Remark("unusable", _called(each), f"{error}, so it is left out"))
    return _combine(found, census)


def _called(resource: Mapping[str, Any]) -> str:
    """A resource as it is spoken of: its kind and its name."""
    metadata = resource.get("metadata")
    names = [metadata.get(key) for key in ("namespace", "name")] if isinstance(metadata, Mapping) else []
    return f"{resource.get('kind')} {'/'.join(str(name) for name in names if name)}".strip()


def _read(documents: Iterable[Manifest]) -> _Found:
    """What documents declare or show. Raises BundleError and RequestError."""
    found = _Found()
    for document in documents:
        if isinstance(document.data, Mapping) and _is_ours(document.data):
            _take_inventory(document, found)
        else:
            try:
                _take_object(document.data, found)
            except RequestError as error:
                path = f"{document.source.name}: {error.path}" if error.path else document.source.name
                raise RequestError(path, error.message) from None
    if found.problems:
        raise BundleError(explain_derived(found.problems))
    return found


def inventory_from_objects(objects: Iterable[Mapping[str, Any]], pool_labels: Sequence[str] = ()) -> Inventory:
    """The inventory that live Nodes and Karpenter NodePools make. Raises RequestError for an object of no use."""
    found = _Found()
    for each in objects:
        _take_object(each, found)
    return _combine(found, Census(pool_labels))


def inventory_problems(source: Source) -> tuple[Problem, ...]:
    """What is wrong with a file that describes pools, by place; empty where nothing is."""
    documents, problems = parse_manifests(source)
    if problems:
        return problems
    try:
        inventory_from_documents(documents)
    except BundleError as error:
        return error.problems
    except RequestError as error:
        path = error.path.removeprefix(source.name).removeprefix(": ")
        return (Problem("inventory", f"{path}: {error.message}" if path else error.message, Span(source, 0, 0)),)
    return ()


def _is_ours(data: Mapping[str, Any]) -> bool:
    return data.get("kind") == "Inventory" or str(data.get("apiVersion", "")).startswith("bayplan.dev/")


def _take_inventory(document: Manifest, found: _Found) -> None:
    value = document.positioned
    if value is None:
        raise RequestError(document.source.name, "the inventory can't be read")
    kind = value.get("kind") if isinstance(value, Map) else None
    if isinstance(kind, Scalar) and kind.text != "Inventory":
        message = f"`{kind.text}` does not describe pools"
        bad(found.problems, "unknown-kind", message, kind.span, "`Inventory`, or Nodes, or Karpenter NodePools")
        return
    read = INVENTORY_DOCUMENT(value, found.problems)
    for said, given in read.get("pools", ()) if isinstance(read, dict) else ():
        found.declare(said, given)


def _take_object(data: Any, found: _Found) -> None:
    if not isinstance(data, Mapping):
        raise RequestError("", "the document is not an object")
    kind = str(data.get("kind") or "")
    if kind == "Node":
        found.nodes.append(_checked_node(data))
    elif karpenter.is_node_pool(data):
        said = karpenter.declared(data)
        if is_leaving(data):  # Karpenter makes no more nodes of it (pkg/controllers/provisioning/provisioner.go)
            found.remarks.append(Remark("leaving", f"NodePool {said.name}", LEAVING))
            return
        if any(said.name == other.name for other in found.node_pools):
            raise RequestError("metadata.name", f"a second NodePool `{said.name}`")
        found.node_pools.append(said)
    elif node_claims.is_node_claim(data):
        claim = node_claims.read(data)
        found.claims += [claim] if claim else []
    elif cluster_api.is_machines(data):
        machines = cluster_api.read(data)
        if any(machines.owner == other.owner for other in found.machines):
            raise RequestError("metadata.name", f"a second {machines.owner}")
        found.machines.append(machines)
    elif kind.endswith("List") and isinstance(data.get("items"), list):
        for at, item in enumerate(data["items"]):
            try:
                _take_object(_as_item(item, kind, data.get("apiVersion")), found)
            except RequestError as error:
                raise RequestError(f"items[{at}].{error.path}".rstrip("."), error.message) from None
    else:
        found.others.append(kind or "objects without kind")


def _as_item(item: Any, kind: str, version: object) -> Any:
    """Items of a typed list may come without their kind, and without the version that the list has."""
    if isinstance(item, Mapping) and "kind" not in item and kind != "List":
        return {"apiVersion": version, "kind": kind.removesuffix("List"), **item}
    return item


def _checked_node(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node, if what is read of it has the shape that the API server gives it."""
    for key, value in map_at(_inner(node, "metadata"), "labels", "metadata").items():
        text_of(value, f"metadata.labels.{key}")
    taints_at(_inner(node, "spec"), "taints", "spec")
    for part in ("allocatable", "capacity"):
        for name, amount in _inner(node, "status", part).items():
            try:
                parse_quantity(str(amount))
            except ValueError as error:
                raise RequestError(f"status.{part}.{name}", str(error)) from None
    conditions = _inner(node, "status").get("conditions") or []
    if not isinstance(conditions, list) or not all(isinstance(each, Mapping) for each in conditions):
        raise RequestError("status.conditions", "conditions must be a list of objects")
    return node


def _inner(value: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for at, key in enumerate(path):
        found = value.get(key)
        if found is not None and not isinstance(found, Mapping):
            raise RequestError(".".join(path[: at + 1]), "this must be an object")
        value = found or {}
    return value


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(sorted(set(kinds)))


def _combine(found: _Found, census: Census) -> Inventory:
    """Everything that declares a pool, each pool once, and the nodes. What was written by hand comes first.

    Raises RequestError where there is something, but nothing that describes pools.
    """
    if found.others and not (found.declared or found.node_pools or found.machines or found.nodes):
        message = f"there are no pools, only {_listed(found.others)}: expected Inventory, Node or NodePool"
        raise RequestError("", message)
    declared = dict(found.declared)
    machines = machine_pools(found.machines, found.nodes, tuple(declared.values()), census.order)
    found.remarks += machines.remarks
    for said in (*found.node_pools, *machines.declared):
        identity = frozenset(said.selector.items())
        declared[identity] = declared[identity].over(said) if identity in declared else said
    coming = node_claims.coming(found.claims, {name_of(node) for node in found.nodes}) if found.claims else {}
    made = census.inventory(declared.values(), found.nodes, coming, counted=found.counted or bool(found.nodes))
    found.remarks += (Remark("contradiction", pool.name, text) for pool in made.pools for text in pool.contradictions)
    return replace(made, remarks=tuple(found.remarks)) if found.remarks else made
