"""What a bundle's documents are as objects of a cluster: CustomResourceDefinitions, from the tables that read them.

Each map with known fields keeps unknown ones (`x-kubernetes-preserve-unknown-fields`), which are then refused by
whoever reads it, by name and with a hint. The API server would drop them without a word to most of its clients, and a
policy without the selector that its author misspelt is about every pod. It would drop fields of a newer version, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.bundle.contact import PREFIX
from engine.bundle.fields import SPECS, document_shape
from engine.documents import API_VERSION, JsonSchema, Plain, record, schema_of
from engine.struct import Struct

Json = dict[str, Any]

BUNDLE_LABEL = "bayplan.dev/bundle"
"""The label that says of which bundle a policy is."""
_GROUP, _VERSION = API_VERSION.split("/")
_KEPT = "x-kubernetes-preserve-unknown-fields"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DROPPED = frozenset(("additionalProperties", "uniqueItems"))
"""What a structural schema has otherwise, or not at all: uniqueness costs the API server the square of a list."""


class Resource(Struct, frozen=True):
    """A kind of objects: `plural` is its name in the API, `columns` are what `kubectl get` shows of one, by path."""

    kind: str
    plural: str
    short: str
    about: str
    columns: Mapping[str, str]

    @property
    def path(self) -> str:
        """Where the API server has them."""
        return f"/apis/{API_VERSION}/{self.plural}"


_READY = '.status.conditions[?(@.type=="Ready")]'
BUNDLES = Resource(
    "Bundle",
    "bundles",
    "bpb",
    "What the PlacementPolicies with the label bayplan.dev/bundle and this name share, and that they are one bundle.",
    {
        "Version": ".spec.version",
        "Ready": f"{_READY}.status",
        "Reason": f"{_READY}.reason",
        "Revision": ".status.revision",
    },
)
POLICIES = Resource(
    "PlacementPolicy",
    "placementpolicies",
    "bpp",
    "Which pods it is about, and what placement it intends for them. Its label bayplan.dev/bundle says of which bundle "
    "it is.",
    {
        "Bundle": r".metadata.labels.bayplan\.dev/bundle",
        "Mode": ".spec.mode",
        "Ready": f"{_READY}.status",
        "Reason": f"{_READY}.reason",
    },
)
RESOURCES = (BUNDLES, POLICIES)

_CONDITION = {
    "type": "object",
    "required": ["type", "status"],
    "properties": {
        "type": {"type": "string", "description": "Ready."},
        "status": {
            "type": "string",
            "enum": ["True", "False", "Unknown"],
            "description": "True: the object as it is now decides about pods. False: it does not.",
        },
        "reason": {"type": "string", "description": "Why, in one word."},
        "message": {
            "type": "string",
            "description": "Why, with file, line and column, as `bayplan check` says it.",
        },
        "observedGeneration": {
            "type": "integer",
            "format": "int64",
            "description": "The metadata.generation that this is about.",
        },
        "lastTransitionTime": {
            "type": "string",
            "format": "date-time",
            "description": "Since when its status is that.",
        },
    },
}
_STATUS: Json = {
    "type": "object",
    "description": "What became of it. Written by Bayplan.",
    "properties": {
        "observedGeneration": {
            "type": "integer",
            "format": "int64",
            "description": "The metadata.generation that the status is about.",
        },
        "revision": {
            "type": "string",
            "description": "The revision that is active; of a policy, the first one in which it is as now.",
        },
        "policies": {"type": "integer", "description": "Of a Bundle: how many policies the active revision has."},
        "conditions": {
            "type": "array",
            "description": "Ready: whether the object as it is now decides about pods.",
            "items": _CONDITION,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    },
}


def document_schema(kind: str) -> JsonSchema:
    """What a document of one of a bundle's kinds is."""
    return schema_of(document_shape(kind))


def whole_schema(title: str, schema: JsonSchema) -> Json:
    """A schema as a document of its own, for editors."""
    return {"$schema": _DIALECT, "title": title, **schema}


def canonical(thing: Mapping[str, Any], kind: str) -> Plain:
    """The document that an object stands for: what the API server and others keep beside it is left out.

    Of its annotations those stay that are for Bayplan to read.
    """
    metadata = thing.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    annotations = metadata.get("annotations")
    given = annotations if isinstance(annotations, Mapping) else {}
    said = {key: text for key, text in given.items() if str(key).startswith(PREFIX)}
    about = {"name": metadata.get("name"), **({"annotations": said} if said else {})}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": about, "spec": thing.get("spec")}


def definition(resource: Resource) -> Json:
    """The CustomResourceDefinition of a kind."""
    what, fields = SPECS[resource.kind]
    spec = _structural(schema_of(record(what, fields)))
    schema = {
        "type": "object",
        "description": resource.about,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {**spec, "description": f"What {what} says."},
            "status": _STATUS,
        },
    }
    names = {
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
        "plural": resource.plural,
        "singular": resource.kind.lower(),
        "shortNames": [resource.short],
        "categories": ["bayplan"],
    }
    columns = [{"name": name, "type": "string", "jsonPath": path} for name, path in resource.columns.items()]
    columns.append({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
    version = {
        "name": _VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{_GROUP}"},
        "spec": {"group": _GROUP, "scope": "Cluster", "names": names, "versions": [version]},
    }


def _structural(schema: JsonSchema) -> Json:
    """A schema in the part of OpenAPI that the API server takes: one type each, and no closed objects.

    Where a text is one of several types, it is the text that is meant: `"true"` is an expression as `true` is.
    """
    said = {key: each for key, each in schema.items() if key not in _DROPPED}
    if isinstance(schema.get("type"), list):
        if any(not isinstance(each, str) for each in schema.get("enum", ())):  # of no one type
            said = {key: each for key, each in said.items() if key != "type"} | {_KEPT: True}
        else:
            said["type"] = "string"
    if "type" not in said:
        return said | {_KEPT: True}
    if "items" in said:
        said["items"] = _structural(said["items"])
    if said["type"] != "object":
        return said
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        return said | {"additionalProperties": _structural(values)}
    fields = said.get("properties", {})
    inner = {"properties": {name: _structural(each) for name, each in fields.items()}} if fields else {}
    return said | inner | {_KEPT: True}
