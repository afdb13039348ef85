"""Is a map that crosses stacks and languages checked before anything is made of it?"""

from collections.abc import Callable
from typing import Any

import pytest

from meshvm.errors import ArgumentError
from meshvm.facts import ENDPOINT_KEYS, MESH_KEYS, VERSION, check_endpoint, check_mesh
from tests.samples import ENDPOINT, MESH

Check = Callable[[str, Any], dict[str, str]]
MAPS = [pytest.param(check_mesh, dict(MESH), id="mesh"), pytest.param(check_endpoint, dict(ENDPOINT), id="endpoint")]


@pytest.mark.parametrize(("check", "right"), MAPS)
def test_a_map_that_is_right_passes_as_it_is(check: Check, right: dict[str, str]) -> None:
    assert check("mesh", right) == right


@pytest.mark.parametrize(("check", "right"), MAPS)
def test_keys_of_a_later_release_are_left_out(check: Check, right: dict[str, str]) -> None:
    assert check("mesh", {**right, "later": {"nested": 1}}) == right


@pytest.mark.parametrize(("check", "right"), MAPS)
@pytest.mark.parametrize("value", [None, 1, True, ["x"], {"x": "y"}])
def test_each_key_must_be_there_and_be_a_string(check: Check, right: dict[str, str], value: object) -> None:
    for key in set(right) - {"version"}:
        for wrong in ({**right, key: value}, {name: one for name, one in right.items() if name != key}):
            with pytest.raises(ArgumentError) as caught:
                check("mesh", wrong)
            assert caught.value.path == f"mesh.{key}"
            assert "give the output" in str(caught.value)


@pytest.mark.parametrize(("check", "right"), MAPS)
@pytest.mark.parametrize("version", ["2", "", None, 1])
def test_a_map_of_another_version_is_refused(check: Check, right: dict[str, str], version: object) -> None:
    with pytest.raises(ArgumentError) as caught:
        check("mesh", {**right, "version": version})
    assert caught.value.path == "mesh"
    assert repr(version) in str(caught.value)
    assert "same release of meshvm" in str(caught.value)


@pytest.mark.parametrize("check", [check_mesh, check_endpoint])
@pytest.mark.parametrize("value", [None, "text", 1, ["list"]])
def test_what_is_no_map_is_refused(check: Check, value: object) -> None:
    with pytest.raises(ArgumentError, match="is not a map"):
        check("mesh", value)


def test_every_key_has_its_meaning() -> None:
    assert all(MESH_KEYS.values())
    assert all(ENDPOINT_KEYS.values())


def test_the_keys_of_this_version_are_these() -> None:
    """Stacks of other releases and languages read them: another set is another version."""
    assert VERSION == "1"
    assert set(MESH_KEYS) == set(MESH)
    assert set(ENDPOINT_KEYS) == set(ENDPOINT)
