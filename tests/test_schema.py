"""Is the schema that other languages get the one that was agreed on?"""

import inspect
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi.provider.experimental.analyzer import Analyzer
from pulumi.provider.experimental.schema import generate_schema

import meshvm

GOLDEN: Final = Path(__file__).parent / "schema.json"
# Set to write the schema anew, and look at the difference: what is gone or renamed there breaks users' programs.
REGENERATE: Final = "MESHVM_WRITE_SCHEMA"
COMPONENTS = [
    value for value in vars(meshvm).values() if inspect.isclass(value) and issubclass(value, pulumi.ComponentResource)
]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema as the provider host infers it from the source."""
    found = Analyzer("meshvm").analyze(COMPONENTS)
    spec = generate_schema("meshvm", "0.0.0", None, found["component_definitions"], found["type_definitions"], [])
    plain: dict[str, Any] = json.loads(json.dumps(spec.to_json()))
    return plain


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every input, output and field with its place."""
    for kind, keys in (("resources", ("inputProperties", "properties")), ("types", ("properties",))):
        for token, one in schema[kind].items():
            for key in keys:
                for name, found in (one.get(key) or {}).items():
                    yield f"{token} {key} {name}", found


def test_the_schema_is_the_golden_one(schema: dict[str, Any]) -> None:
    text = json.dumps(schema, indent=2, sort_keys=True) + "\n"
    if os.environ.get(REGENERATE):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), (
        f"the schema has changed: run {REGENERATE}=1 make test ARGS='tests/test_schema.py', look at the difference of "
        f"tests/{GOLDEN.name}, and write an API change into CHANGELOG.md"
    )


def test_the_package_has_exactly_its_components(schema: dict[str, Any]) -> None:
    assert set(schema["resources"]) == {f"meshvm:index:{one.__name__}" for one in COMPONENTS}
    assert {one.__name__ for one in COMPONENTS} == {"MeshExpansion", "MeshVm", "VmGateway"}


def test_every_component_type_and_property_is_described(schema: dict[str, Any]) -> None:
    bare = [place for place, found in properties(schema) if not found.get("description")]
    bare += [
        token for kind in ("resources", "types") for token, one in schema[kind].items() if not one.get("description")
    ]
    assert bare == []


def test_the_mesh_and_the_endpoint_are_maps_of_anything(schema: dict[str, Any]) -> None:
    """A type of its own would be read as empty when it comes as an Output."""
    resources = schema["resources"]
    for component, key, name in (
        ("MeshVm", "inputProperties", "mesh"),
        ("MeshExpansion", "inputProperties", "gateway"),
        ("MeshExpansion", "properties", "mesh"),
        ("VmGateway", "properties", "endpoint"),
    ):
        found = resources[f"meshvm:index:{component}"][key][name]
        assert found["type"] == "object"
        assert found["additionalProperties"]["$ref"] == "pulumi.json#/Any"


def test_names_are_camel_case_for_other_languages(schema: dict[str, Any]) -> None:
    assert [place for place, _ in properties(schema) if "_" in place.rsplit(" ", 1)[-1]] == []
