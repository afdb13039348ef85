"""What does the command plugin accept, what counts as a change, and what does a preview know?

The expected texts were learned from pulumi-command 1.2.1; with MESHVM_REAL_COMMAND set to its path it is asked itself.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from lab.plugins.serve import UNKNOWN, Secret
from tests.lab.command_plugin import COPY, LOCAL, REMOTE, CommandPlugin, RefusedError, connection

BASE = {"connection": connection(), "create": "a"}
TEXT = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17", "text": "hello", "hash": "2cf2"}


@pytest.fixture(scope="module")
def plugin() -> Iterator[CommandPlugin]:
    running = CommandPlugin()
    yield running
    running.stop()


def test_a_check_adds_the_defaults_and_makes_the_connection_secret(plugin: CommandPlugin) -> None:
    given = {"host": "h", "proxy": {"host": "p", "password": "w"}}
    proxy = {
        "host": "p",
        "user": "root",
        "port": 22,
        "dialErrorLimit": 10,
        "perDialTimeout": 15,
        "password": Secret("w"),
    }
    found = plugin.check(REMOTE, {"connection": given, "create": "a"})
    assert found == ({"connection": connection(host="h", proxy=proxy), "create": "a"}, [])


@pytest.mark.parametrize(
    ("inputs", "name", "reason"),
    [
        ({"create": "a"}, "connection", "Missing required field 'connection' on 'remote.CommandInputs'"),
        ({"connection": {"host": "h"}, "creat": "a"}, "creat", "Unrecognized field 'creat' on 'remote.CommandInputs'"),
        (
            {"connection": {"hots": "h"}},
            "connection",
            (
                "An error occurred decoding 'CommandInputs.connection': 2 failures decoding:\n"
                "\thost: Missing required field 'host' on 'remote.Connection'\n"
                "\thots: Unrecognized field 'hots' on 'remote.Connection'"
            ),
        ),
        (
            {"connection": {"host": "h"}, "create": 5},
            "create",
            "Field 'create' on 'remote.CommandInputs' must be a 'string'; got 'float64' instead",
        ),
        (
            {"connection": {"host": "h"}, "environment": {"A": 1}},
            "environment[A] value",
            "Field 'environment[A] value' on 'remote.CommandInputs' must be a 'string'; got 'float64' instead",
        ),
    ],
)
def test_a_check_names_what_does_not_fit(plugin: CommandPlugin, inputs: dict[str, Any], name: str, reason: str) -> None:
    assert plugin.check(REMOTE, inputs)[1] == [(name, reason)]


def test_a_refused_check_shows_no_private_key(plugin: CommandPlugin) -> None:
    found, mistakes = plugin.check(REMOTE, {"connection": {"host": "h", "privateKey": "k", "wrong": 1}})
    assert mistakes
    assert isinstance(found["connection"], Secret)


def test_a_check_turns_a_secret_that_is_unknown_into_an_empty_secret(plugin: CommandPlugin) -> None:
    """The original's own slip; what the preview of a machine not yet made goes through."""
    found, _ = plugin.check(REMOTE, {"connection": Secret(UNKNOWN), "stdin": Secret(UNKNOWN), "create": UNKNOWN})
    assert found == {"connection": connection(host=""), "stdin": Secret(""), "create": UNKNOWN}


def test_a_check_refuses_a_copy_whose_source_is_unknown(plugin: CommandPlugin) -> None:
    _, mistakes = plugin.check(COPY, {"connection": connection(), "remotePath": "/x", "source": UNKNOWN})
    assert mistakes == [("asset", "either asset or archive must be set")]
    assert not plugin.check(COPY, {"connection": connection(), "remotePath": "/x", "source": TEXT})[1]


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        (BASE, BASE, {}),
        (BASE, {**BASE, "version": "2", "__internal": ""}, {}),
        (BASE, {**BASE, "create": "b", "update": "c"}, {"create": "UPDATE", "update": "ADD"}),
        (BASE, {**BASE, "connection": connection(user="u")}, {"connection": "UPDATE"}),
        (BASE, {**BASE, "connection": connection().value}, {"connection": "UPDATE"}),
        (
            {**BASE, "triggers": [{"NET": "3", "OLD": "x", "SAME": "y"}, "digest"]},
            {**BASE, "triggers": [{"NET": "4", "a.b": "x", "SAME": "y"}, "digest", 1]},
            {
                "triggers[0].NET": "UPDATE",
                "triggers[0].OLD": "DELETE",
                'triggers[0]["a.b"]': "ADD",
                "triggers[2]": "ADD",
            },
        ),
        (
            {**BASE, "triggers": [{"NET": "3", "o": {"p": "q"}}]},
            {**BASE, "triggers": [{"NET": UNKNOWN, "o": {"p": UNKNOWN}}]},
            {"triggers[0].NET": "UPDATE", "triggers[0].o.p": "UPDATE"},
        ),
        ({**BASE, "triggers": [Secret("a")]}, {**BASE, "triggers": ["a"]}, {"triggers[0]": "UPDATE"}),
    ],
)
def test_a_difference_names_each_changed_leaf(
    plugin: CommandPlugin, old: dict[str, Any], new: dict[str, Any], paths: dict[str, str]
) -> None:
    """None of these replaces by itself: the SDK's `replaceOnChanges` makes the engine replace for a trigger."""
    assert plugin.diff(old, new) == (paths, [])


def test_triggers_that_appear_or_go_replace(plugin: CommandPlugin) -> None:
    with_triggers = {**BASE, "triggers": ["a"]}
    assert plugin.diff(BASE, with_triggers) == ({"triggers": "ADD_REPLACE"}, ["triggers"])
    assert plugin.diff(with_triggers, BASE) == ({"triggers": "DELETE_REPLACE"}, ["triggers"])


def test_an_ignored_stdin_is_no_change(plugin: CommandPlugin) -> None:
    old, new = {**BASE, "stdin": Secret("old token")}, {**BASE, "stdin": Secret("fresh token")}
    assert plugin.diff(old, new, ["stdin"]) == ({}, [])
    assert plugin.diff(old, new) == ({"stdin": "UPDATE"}, [])


def test_a_preview_dials_nothing_and_knows_what_the_inputs_say(plugin: CommandPlugin) -> None:
    values = {**BASE, "connection": connection(host="192.0.2.1"), "stdin": Secret("x"), "triggers": [{"a": "b"}]}
    identity, shown = plugin.create(REMOTE, values, preview=True)
    assert identity.startswith("thing")
    assert shown == {**values, "stdout": UNKNOWN, "stderr": UNKNOWN}


def test_a_preview_keeps_the_last_output_until_an_input_that_was_there_changes(plugin: CommandPlugin) -> None:
    state = {**BASE, "stdout": "out", "stderr": "err"}
    assert plugin.update(REMOTE, state, BASE, preview=True)["stdout"] == "out"
    assert plugin.update(REMOTE, state, {**BASE, "update": "new"}, preview=True)["stdout"] == "out"
    assert plugin.update(REMOTE, state, {**BASE, "create": "b"}, preview=True)["stdout"] is UNKNOWN


def test_outputs_are_secret_where_the_input_of_that_name_is_and_stdout_never(plugin: CommandPlugin) -> None:
    _, state = plugin.create(LOCAL, {"create": Secret("echo hi"), "environment": {"A": Secret("b")}})
    expected = {"create": Secret("echo hi"), "environment": {"A": Secret("b")}, "stdout": "hi", "stderr": ""}
    assert state == expected


def test_a_type_that_does_not_exist_is_refused_by_name(plugin: CommandPlugin) -> None:
    with pytest.raises(RefusedError, match="Resource 'remote:Nope' not found"):
        plugin.check("command:remote:Nope", {})


def test_a_state_without_its_outputs_is_refused(plugin: CommandPlugin) -> None:
    with pytest.raises(RefusedError, match=r"Missing required field 'stderr' on 'remote.CommandOutputs'"):
        plugin.update(REMOTE, {**BASE, "stdout": "out"}, BASE, preview=True)
