"""`bayplan crds` and `bayplan schema`: what clusters and editors are told of a bundle's documents."""

from __future__ import annotations

import json

import pytest
import yaml

from engine.bundle import RESOURCES, definition
from tests.cli.conftest import Bayplan


def test_definitions_are_written_as_yaml(bayplan: Bayplan) -> None:
    ran = bayplan("crds")
    assert ran.status == 0, ran.err
    assert list(yaml.safe_load_all(ran.out)) == [definition(resource) for resource in RESOURCES]


@pytest.mark.parametrize("kind", ["Bundle", "PlacementPolicy", "PlacementTest", "Inventory"])
def test_a_schema_is_written_as_json(bayplan: Bayplan, kind: str) -> None:
    ran = bayplan("schema", kind)
    assert ran.status == 0, ran.err
    schema = json.loads(ran.out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == kind
    assert schema["properties"]["kind"]["enum"] == [kind]


def test_without_a_kind_it_is_that_of_all(bayplan: Bayplan) -> None:
    schema = json.loads(bayplan("schema").out)
    kinds = [each["properties"]["kind"]["enum"] for each in schema["oneOf"]]
    assert kinds == [["Bundle"], ["PlacementPolicy"], ["PlacementTest"], ["Inventory"]]
