"""Does the command plugin run commands as pulumi-command 1.2.1 does: over real SSH, with its order, retries and words?

The expected texts were learned from it; with MESHVM_REAL_COMMAND set to its path it is asked itself.
"""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lab.base.ports import free_port
from lab.plugins.command_output import quoted
from lab.plugins.serve import Secret
from tests.lab.command_plugin import COPY, LOCAL, REMOTE, CommandPlugin, RefusedError
from tests.lab.ssh_server import SshServer, full_listener, keys

REFUSED_LOGIN = "ssh: unable to authenticate, attempted methods [{}], no supported methods remain"


@pytest.fixture(scope="module")
def plugin() -> Iterator[CommandPlugin]:
    running = CommandPlugin()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    running = SshServer(tmp_path_factory.mktemp("sshd"))
    yield running
    running.stop()


def refusal(plugin: CommandPlugin, connection: dict[str, Any], **values: Any) -> str:
    with pytest.raises(RefusedError) as caught:
        plugin.create(REMOTE, {"connection": Secret(connection), "create": "true", **values})
    return str(caught.value)


# --- on this machine


def test_a_local_command_gets_its_folder_environment_and_stdin(plugin: CommandPlugin) -> None:
    values = {"create": "pwd; echo $A; cat", "dir": "/", "environment": {"A": "b"}, "stdin": "in\n\n"}
    _, state = plugin.create(LOCAL, values)
    assert (state["stdout"], state["stderr"]) == ("/\nb\nin\n", "")
    assert plugin.said == [("INFO", line) for line in ("/", "b", "in", "")]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"create": "echo 'a\t\"b\"'; exit 3"}, 'exit status 3: running "echo \'a\\t\\"b\\"\'; exit 3":\na\t"b"\n'),
        ({"create": "kill -9 $$"}, 'signal: killed: running "kill -9 $$":\n'),
        ({"create": "x", "dir": "/no/such"}, 'chdir /no/such: no such file or directory: running "x":\n'),
        (
            {"create": "x", "interpreter": ["nosuch"]},
            'exec: "nosuch": executable file not found in $PATH: running "x":\n',
        ),
    ],
)
def test_a_local_command_that_fails_says_why_and_what_it_printed(
    plugin: CommandPlugin, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        plugin.create(LOCAL, values)
    assert str(caught.value) == message


def test_a_local_command_is_killed_at_its_deadline(plugin: CommandPlugin) -> None:
    with pytest.raises(RefusedError, match="signal: killed"):
        plugin.create(LOCAL, {"create": "exec sleep 60"}, timeout=1)


def test_an_update_without_a_command_keeps_the_last_output(plugin: CommandPlugin) -> None:
    state = {"create": "a", "stdout": "OUT", "stderr": "ERR"}
    assert plugin.update(LOCAL, state, {"delete": "b"}) == {"delete": "b", "stdout": "OUT", "stderr": "ERR"}


def test_the_last_output_is_handed_on_in_the_environment_unless_declined(plugin: CommandPlugin) -> None:
    state, news = {"create": "a", "stdout": "OUT", "stderr": ""}, {"create": "echo $PULUMI_COMMAND_STDOUT"}
    assert plugin.update(LOCAL, state, news)["stdout"] == "OUT"
    assert plugin.update(LOCAL, state, {**news, "addPreviousOutputInEnv": False})["stdout"] == ""


def test_logging_none_tells_the_engine_nothing(plugin: CommandPlugin) -> None:
    _, state = plugin.create(LOCAL, {"create": "echo a; echo b >&2", "logging": "none"})
    assert (state["stdout"], state["stderr"], plugin.said) == ("a", "b", [])
    plugin.create(LOCAL, {"create": "echo a; echo b >&2", "logging": "stderr"})
    assert plugin.said == [("INFO", "b")]


def test_a_line_that_would_hang_the_original_is_an_error(plugin: CommandPlugin) -> None:
    if plugin.real:
        pytest.skip("the real plugin hangs for ever after a line of 64 KiB")
    endless = {"create": "head -c 70000 /dev/zero | tr '\\0' a"}
    with pytest.raises(RefusedError, match="a line of 64 KiB or more, after which pulumi-command hangs"):
        plugin.create(LOCAL, endless)
    assert len(plugin.create(LOCAL, {**endless, "logging": "none"})[1]["stdout"]) == 70000


def test_local_run_runs_at_once(plugin: CommandPlugin) -> None:
    assert plugin.run({"command": "echo hi"}) == {"command": "echo hi", "stdout": "hi", "stderr": ""}


def test_text_is_quoted_as_go_does() -> None:
    assert quoted('a"\\\n\x01é\u200b\U0001f600') == '"a\\"\\\\\\n\\x01é\\u200b\U0001f600"'


# --- on another machine


@pytest.mark.lab
def test_a_remote_command_gets_stdin_and_loses_one_newline(plugin: CommandPlugin, server: SshServer) -> None:
    values = {"connection": Secret(server.connection()), "create": "cat; echo err >&2", "stdin": Secret("a\nb\n\n")}
    identity, state = plugin.create(REMOTE, values)
    assert (state["stdout"], state["stderr"]) == ("a\nb\n", "err")
    assert identity.startswith("thing")


@pytest.mark.lab
@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("exit 3", "Process exited with status 3"),
        ("kill -TERM $$", "Process exited with status 143 from signal TERM"),
        ("kill -9 $PPID; sleep 9", "wait: remote command exited without exit status or exit signal"),
    ],
)
def test_a_remote_command_that_fails_says_how_it_ended(
    plugin: CommandPlugin, server: SshServer, command: str, error: str
) -> None:
    assert refusal(plugin, server.connection(), create=command) == f'{error}: running "{command}":\n'


@pytest.mark.lab
def test_a_failure_shows_the_output_whatever_the_logging(plugin: CommandPlugin, server: SshServer) -> None:
    message = refusal(plugin, server.connection(), create="echo shown; exit 1", logging="none")
    assert message == 'Process exited with status 1: running "echo shown; exit 1":\nshown\n'


@pytest.mark.lab
def test_only_the_pinned_host_key_is_accepted(plugin: CommandPlugin, server: SshServer) -> None:
    failed = "after 0 failed attempts: ssh: handshake failed: "
    other, rsa = server.connection(hostKey=server.other_host_key), server.connection(hostKey=server.rsa_host_key)
    assert refusal(plugin, other) == f"{failed}ssh: host key mismatch"
    offered = "we offered: [ssh-rsa], peer offered: [ssh-ed25519]"
    assert refusal(plugin, rsa) == f"{failed}ssh: no common algorithm for host key; {offered}"
    plugin.create(REMOTE, {"connection": Secret(server.connection(hostKey=None)), "create": "true"})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("garbage", ""),
        ("ssh-ed25519 AAAA!", "; last parsing error for ignored line: illegal base64 data at input byte 4"),
        ("ssh-ed25519 AAAA", "; last parsing error for ignored line: ssh: short read"),
    ],
)
def test_a_malformed_host_key_is_refused_before_dialling(plugin: CommandPlugin, line: str, reason: str) -> None:
    message = refusal(plugin, {"host": "192.0.2.1", "hostKey": line, "user": "u", "perDialTimeout": 1, "port": 22})
    assert message == f"failed to parse host key: ssh: no key found{reason}"


@pytest.mark.lab
def test_a_refused_login_names_the_methods_tried(plugin: CommandPlugin, server: SshServer) -> None:
    failed = "after 0 failed attempts: ssh: handshake failed: "
    wrong, none = server.connection(privateKey=server.other_key), server.connection(privateKey=None)
    assert refusal(plugin, wrong) == failed + REFUSED_LOGIN.format("none publickey")
    assert refusal(plugin, none) == failed + REFUSED_LOGIN.format("none")


def test_a_private_key_that_cannot_be_read_is_refused_before_dialling(plugin: CommandPlugin, tmp_path: Any) -> None:
    login = {"host": "192.0.2.1", "user": "u", "perDialTimeout": 1, "port": 22}
    locked, _ = keys(tmp_path / "locked", passphrase="a passphrase")
    assert refusal(plugin, {**login, "privateKey": "garbage"}) == "ssh: no key found"
    assert refusal(plugin, {**login, "privateKey": locked}) == "ssh: this private key is passphrase protected"
    wrong = {**login, "privateKey": locked, "privateKeyPassword": "another"}
    assert refusal(plugin, wrong) == "x509: decryption password incorrect"


def test_a_closed_port_is_dialled_as_often_as_told(plugin: CommandPlugin) -> None:
    port = free_port()
    login = {"host": "127.0.0.1", "user": "u", "port": port, "dialErrorLimit": 2, "perDialTimeout": 15}
    refused = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert refusal(plugin, login) == f"after 2 failed attempts: {refused}"
    assert plugin.said == [("INFO", "Dial 1/2 failed: retrying"), ("INFO", "Dial 2/2 failed: retrying")]


def test_dialling_without_limit_ends_at_the_deadline(plugin: CommandPlugin) -> None:
    login = {"host": "127.0.0.1", "user": "u", "port": free_port(), "dialErrorLimit": -1, "perDialTimeout": 15}
    with pytest.raises(RefusedError, match=r"^context deadline exceeded$"):
        plugin.create(REMOTE, {"connection": Secret(login), "create": "true"}, timeout=1)


def test_a_machine_that_does_not_answer_is_given_up_after_its_timeout(plugin: CommandPlugin) -> None:
    with full_listener() as listener, socket.create_connection(listener.getsockname()):
        port = listener.getsockname()[1]
        login = {"host": "127.0.0.1", "user": "u", "port": port, "dialErrorLimit": 0, "perDialTimeout": 1}
        assert refusal(plugin, login) == f"after 0 failed attempts: dial tcp 127.0.0.1:{port}: i/o timeout"


@pytest.mark.lab
def test_a_variable_that_the_server_refuses_is_an_error(plugin: CommandPlugin, server: SshServer) -> None:
    login = server.connection()
    values = {"connection": Secret(login), "create": "echo $ALLOWED", "environment": {"ALLOWED": "yes"}}
    assert plugin.create(REMOTE, values)[1]["stdout"] == "yes"
    message = refusal(plugin, login, environment={"FORBIDDEN": "yes"})
    assert message == 'could not set environment variable "FORBIDDEN": ssh: setenv failed'
    assert plugin.said[0][0] == "ERROR"


@pytest.mark.lab
def test_the_last_output_is_a_warning_where_the_server_refuses_it(plugin: CommandPlugin, server: SshServer) -> None:
    news = {"connection": Secret(server.connection()), "create": "echo new"}
    assert plugin.update(REMOTE, {**news, "stdout": "old", "stderr": "old"}, news)["stdout"] == "new"
    assert [severity for severity, _ in plugin.said] == ["WARNING", "WARNING", "INFO"]
    plugin.update(REMOTE, {**news, "stdout": "old", "stderr": ""}, {**news, "addPreviousOutputInEnv": False})
    assert plugin.said == [("INFO", "new")]


@pytest.mark.lab
def test_an_update_runs_update_and_a_delete_what_the_state_says(plugin: CommandPlugin, server: SshServer) -> None:
    base = {"connection": Secret(server.connection()), "addPreviousOutputInEnv": False}
    state = {**base, "create": "echo create", "stdout": "old", "stderr": ""}
    assert plugin.update(REMOTE, state, {**base, "create": "echo c", "update": "echo u"})["stdout"] == "u"
    assert plugin.update(REMOTE, state, {**base, "create": "echo c"})["stdout"] == "c"
    gone = server.folder / "deleted"
    plugin.delete(REMOTE, {**state, "delete": f"touch {gone}"})
    assert gone.exists()
    plugin.delete(REMOTE, {**state, "connection": Secret({"host": "192.0.2.1"})})  # no `delete`: nothing is dialled


@pytest.mark.lab
def test_a_proxy_has_its_own_login_and_host_key(plugin: CommandPlugin, server: SshServer) -> None:
    login = server.connection()
    values = {"connection": Secret({**login, "proxy": login}), "create": "echo through"}
    assert plugin.create(REMOTE, values)[1]["stdout"] == "through"
    proxy = server.connection(hostKey=server.other_host_key)
    mismatch = "proxy: after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch"
    assert refusal(plugin, {**login, "proxy": proxy}) == mismatch
    closed = {**login, "port": free_port(), "proxy": login}
    rejected = "ssh: rejected: connect failed (Connection refused)"
    assert refusal(plugin, closed) == f"proxy: after 0 failed attempts: {rejected}"


@pytest.mark.lab
def test_more_stdin_than_anyone_reads_is_an_error(plugin: CommandPlugin, server: SshServer) -> None:
    """The channel's window holds two megabytes; what does not fit and is not read ends in EOF."""
    message = refusal(plugin, server.connection(), create="true", stdin="x" * 3_000_000)
    assert message == 'EOF: running "true":\n'


@pytest.mark.lab
def test_a_text_is_copied_with_the_folders_it_needs(plugin: CommandPlugin, server: SshServer) -> None:
    source = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17", "text": "hello", "hash": "1"}
    target = server.folder / "copied" / "deep" / "file"
    values = {"connection": Secret(server.connection()), "source": source, "remotePath": str(target)}
    plugin.create(COPY, values)
    assert target.read_text() == "hello"
    with pytest.raises(RefusedError, match="is a directory; when using a text asset"):
        plugin.create(COPY, {**values, "remotePath": str(target.parent)})
