"""Do an example's files say the same: what its program reads, what Pulumi.yaml declares, what Pulumi.dev.yaml sets?"""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.imports import CHECKOUT

EXAMPLES = sorted(path.parent for path in (CHECKOUT / "examples").glob("*/__main__.py"))
ANY_EXAMPLE = pytest.mark.parametrize("example", EXAMPLES, ids=lambda folder: folder.name)


class Reads(NamedTuple):
    """What a program reads of its configuration: the keys that it requires, and the others with their defaults."""

    required: set[str]
    defaults: Mapping[str, object]


def reads(example: Path) -> Reads:
    """The program's `config.require("key")` and `config.get("key") or "default"`."""
    tree = ast.parse((example / "__main__.py").read_text())
    defaults = {
        key: node.values[1].value
        for node in ast.walk(tree)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and isinstance(node.values[1], ast.Constant)
        for key in asked(node.values[0], "get", "get_bool")
    }
    return Reads({key for node in ast.walk(tree) for key in asked(node, "require")}, defaults)


def asked(node: ast.AST, *how: str) -> list[str]:
    """The key, when the node is `config.<one of how>("key")`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="config"), attr=attr), args=[ast.Constant(value=key)]):
            return [str(key)] if attr in how else []
    return []


def calls_of_config(example: Path) -> int:
    """How often the program asks its configuration for anything."""
    tree = ast.parse((example / "__main__.py").read_text())
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    return sum(use.value.id == "config" for use in uses if isinstance(use.value, ast.Name))


def project(example: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((example / "Pulumi.yaml").read_text()))


def declared(example: Path) -> dict[str, dict[str, Any]]:
    """The project's own keys in Pulumi.yaml."""
    return {key: value for key, value in project(example)["config"].items() if ":" not in key}


def of_dev(example: Path) -> set[str]:
    """The project's own keys in Pulumi.dev.yaml, without the project's name."""
    prefix = f"{project(example)['name']}:"
    given = yaml.safe_load((example / "Pulumi.dev.yaml").read_text())["config"]
    return {key.removeprefix(prefix) for key in given if key.startswith(prefix)}


@ANY_EXAMPLE
def test_a_program_reads_what_its_pulumi_yaml_declares_and_nothing_else(example: Path) -> None:
    asks = reads(example)
    assert asks.required | set(asks.defaults) == set(declared(example))


@ANY_EXAMPLE
def test_a_program_asks_its_configuration_only_in_the_two_ways_that_are_compared(example: Path) -> None:
    asks = reads(example)
    assert calls_of_config(example) == len(asks.required) + len(asks.defaults), "config.require or config.get(..) or .."


@ANY_EXAMPLE
def test_what_a_program_requires_has_no_default_and_everything_else_has_the_program_s(example: Path) -> None:
    defaults = {key: value.get("default") for key, value in declared(example).items()}
    asks = reads(example)
    assert defaults == {**dict.fromkeys(asks.required), **asks.defaults}


@ANY_EXAMPLE
def test_every_setting_is_described(example: Path) -> None:
    assert [key for key, value in project(example)["config"].items() if not value.get("description")] == []


@ANY_EXAMPLE
def test_a_provider_s_own_setting_has_a_value_and_no_default(example: Path) -> None:
    """Pulumi does not load a project whose Pulumi.yaml has it otherwise."""
    others = {key: value for key, value in project(example)["config"].items() if ":" in key}
    assert [key for key, value in others.items() if "default" in value or "type" in value or "value" not in value] == []


@ANY_EXAMPLE
def test_the_stack_dev_sets_all_that_is_required_and_nothing_unknown(example: Path) -> None:
    assert reads(example).required <= of_dev(example) <= set(declared(example))


def test_the_examples_run_the_same_application() -> None:
    """Each folder is whole, so that it can be copied alone: the application is there twice, and is the same."""
    assert len({(example / "ratings.pl").read_text() for example in EXAMPLES}) == 1
