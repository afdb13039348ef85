"""Do properties survive the way from the engine to a plugin and back, and is every change of them seen?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pulumi.runtime.proto import provider_pb2

from lab.plugins.difference import compare
from lab.plugins.values import UNKNOWN, Secret, has_secret, has_unknown, inputs, plain, redacted, struct

SIGNATURE = "4dabf18193072939515e22adb298388d"
KIND = provider_pb2.PropertyDiff.Kind

scalars = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(-(2**53), 2**53),
    some.floats(allow_nan=False, allow_infinity=False),
    some.text(some.characters(exclude_categories=["Cs"])),
    some.just(UNKNOWN),
)
values = some.recursive(
    scalars,
    lambda inner: some.one_of(
        some.lists(inner, max_size=3),
        some.dictionaries(some.text("abc", min_size=1), inner, max_size=3),
        inner.map(Secret),
    ),
    max_leaves=8,
)
properties = some.dictionaries(some.text("abcde", min_size=1), values, max_size=4)


@given(properties)
def test_what_a_plugin_sends_is_what_it_would_get(given_: dict[str, Any]) -> None:
    assert inputs(struct(given_)) == given_


@given(properties)
def test_no_secret_is_left_in_what_a_log_may_show(given_: dict[str, Any]) -> None:
    shown = redacted(given_)
    assert not has_secret(shown)
    assert not has_unknown(shown)
    assert not has_secret(plain(given_))


@given(properties)
def test_the_same_inputs_are_no_difference(given_: dict[str, Any]) -> None:
    answer = compare(given_, given_, replacing=given_)
    assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE
    assert not answer.detailedDiff


def test_an_output_value_is_opened_and_its_secrecy_kept() -> None:
    output = {SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4"}
    message = struct({"known": {**output, "secret": True, "value": "x"}, "unknown": output})
    assert inputs(message) == {"known": Secret("x"), "unknown": UNKNOWN}


def test_an_asset_passes_through() -> None:
    asset = {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "text": "hello"}
    assert inputs(struct({"source": asset})) == {"source": asset}


def test_a_value_that_is_no_property_is_refused() -> None:
    with pytest.raises(TypeError, match="a property cannot be a set"):
        struct({"a": {1, 2}})


def test_a_change_is_named_by_its_path() -> None:
    old = {"triggers": [{"env": {"NET": "3", "app.kubernetes.io/name": "a"}}], "gone": 1, "same": Secret("s")}
    new = {"triggers": [{"env": {"NET": "4", "app.kubernetes.io/name": "b"}}], "come": 1, "same": "s"}
    answer = compare(old, new, replacing=["triggers"], delete_first=True)
    assert {path: KIND.Name(change.kind) for path, change in answer.detailedDiff.items()} == {
        "come": "ADD",
        "gone": "DELETE",
        "triggers[0].env.NET": "UPDATE_REPLACE",
        'triggers[0].env["app.kubernetes.io/name"]': "UPDATE_REPLACE",
    }
    assert list(answer.replaces) == ["triggers"]
    assert answer.deleteBeforeReplace


def test_an_unknown_value_is_a_change() -> None:
    answer = compare({"vpcId": "vpc-1"}, {"vpcId": UNKNOWN}, replacing=["vpcId"])
    assert list(answer.replaces) == ["vpcId"]
