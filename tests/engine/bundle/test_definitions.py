"""engine.bundle.definitions: schemas and custom resources say what the tables say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.bundle import RESOURCES, Resource, canonical, definition, document_schema
from engine.bundle.fields import BUNDLE, POLICY
from engine.pools import inventory_schema

KEPT = "x-kubernetes-preserve-unknown-fields"
ROOT = Path(__file__).parents[3]
CLASSES: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "array": list,
}


def nodes(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All schemas inside a schema, with where they stand."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}.*")


def spec_of(resource: Resource) -> Any:
    whole = definition(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return whole["properties"]["spec"]


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_field_says_what_it_is_about(resource: Resource) -> None:
    whole = definition(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    silent = [
        f"{path}.{name}"
        for path, schema in nodes(whole)
        for name, inner in schema.get("properties", {}).items()
        if not inner.get("description") and f"{path}.{name}" not in (".apiVersion", ".kind", ".metadata")
    ]
    assert silent == []


@pytest.mark.parametrize("kind", ["Bundle", "PlacementPolicy", "PlacementTest", "Inventory"])
def test_every_field_of_a_document_says_what_it_is_about(kind: str) -> None:
    schema = inventory_schema() if kind == "Inventory" else document_schema(kind)
    silent = [
        f"{path}.{name}"
        for path, inner in nodes(schema)
        for name, field in inner.get("properties", {}).items()
        if not field.get("description")
    ]
    assert silent == []


def test_a_definition_has_the_fields_of_the_table() -> None:
    bundle, policy = (spec_of(resource) for resource in RESOURCES)
    assert list(bundle["properties"]) == list(BUNDLE)
    assert list(policy["properties"]) == list(POLICY)
    assert bundle["required"] == ["version"]


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_definition_is_structural(resource: Resource) -> None:
    """One type each, or any data; nothing that the API server refuses; and what is not known is kept, to be told."""
    for path, schema in nodes(spec_of(resource)):
        assert isinstance(schema.get("type", ""), str), path
        assert "type" in schema or schema[KEPT], path
        assert "uniqueItems" not in schema, path
        assert schema.get("additionalProperties", {}) is not False, path
        assert not ("properties" in schema and "additionalProperties" in schema), path
        if schema.get("type") == "object":
            assert schema.get(KEPT) or "additionalProperties" in schema, path


def test_what_is_kept_as_it_is_without_fields_is_what_can_be_no_other_way() -> None:
    free = {
        path
        for resource in RESOURCES
        for path, schema in nodes(spec_of(resource))
        if schema.get(KEPT) and "properties" not in schema
    }
    assert free == {
        ".params.*",
        ".paramsSchema.items",
        ".paramsSchema.properties.*",
        ".paramsSchema.additionalProperties",
        ".handsOn.daemonSets",
    }


def fits(schema: Any, value: Any) -> bool:
    """Whether a value is what a schema says, as far as such schemas go."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, CLASSES[kind]) for kind in kinds):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, dict):
        known = schema.get("properties", {})
        rest = schema.get("additionalProperties", {})
        return set(schema.get("required", ())) <= value.keys() and all(
            fits(known[name], inner) if name in known else rest is not False and fits(rest or {}, inner)
            for name, inner in value.items()
        )
    if isinstance(value, list):
        return all(fits(schema.get("items", {}), item) for item in value)
    return True


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("policies/*/**/*.yaml")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_samples_are_what_the_schemas_say(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        kind = document.get("kind")
        if not str(document.get("apiVersion")).startswith("bayplan.dev/"):
            continue
        assert fits(inventory_schema() if kind == "Inventory" else document_schema(kind), document)


def test_a_document_is_what_an_object_says_and_no_more() -> None:
    thing = {
        "apiVersion": "bayplan.dev/v1alpha1",
        "kind": "PlacementPolicy",
        "metadata": {"name": "a", "uid": "1", "labels": {"x": "y"}, "managedFields": []},
        "spec": {"mode": "audit"},
        "status": {"revision": "x"},
    }
    assert canonical(thing, "PlacementPolicy") == {
        "apiVersion": "bayplan.dev/v1alpha1",
        "kind": "PlacementPolicy",
        "metadata": {"name": "a"},
        "spec": {"mode": "audit"},
    }
