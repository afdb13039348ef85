"""Does what is sent to a machine arrive whole, run only when it is whole, and show nothing of the user's?"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshvm.bootstrap import bundle as bundling
from meshvm.bootstrap.bundle import bundle, command, digest, program
from meshvm.bootstrap.quote import quote
from meshvm.bootstrap.values import join_settings, join_values
from meshvm.errors import MeshvmError
from meshvm.istio.settings import cluster_env_settings
from tests.imports import CHECKOUT
from tests.samples import http_port, mesh, resolve

SCRIPTS = ("host", "join", "gateway")
SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
SHELL_TEXT = st.text(st.sampled_from("\\'\"$`\n\r\t !*~#;&|<>(){}[]=-%@+1aé\x01\x7f\x81\x88\u2028🙂"))
HOSTILE = [
    "",
    "'",
    "''",
    "it's",
    "\\",
    "\\'",
    "a\nb\n",
    "\n",
    "$(touch hit)",
    "`touch hit`",
    "${HOME}",
    "'; touch hit; '",
    "-n",
    "--help",
    "*",
    "~",
    "é🙂\u2028\x81\x88",
    "\r\n\t\x01\x7f",
    "x" * 100_000,
    "'" * 10_000,
]


def echoed(shell: str, values: list[str], folder: Path) -> list[str]:
    """The values as the shell has them when they come as assignments on its standard input."""
    names = [f"V{index}" for index in range(len(values))]
    text = "".join(f"{name}={quote(value)}\n" for name, value in zip(names, values, strict=True))
    text += "".join(f"printf '%s\\0' \"${name}\"\n" for name in names)
    ran = subprocess.run([shell, "-s"], input=text.encode(), capture_output=True, check=True, cwd=folder)
    assert ran.stderr == b""
    assert not list(folder.iterdir())
    return ran.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_hostile_value_comes_out_of_the_shell_as_it_went_in(shell: str, tmp_path: Path) -> None:
    assert echoed(shell, HOSTILE, tmp_path) == HOSTILE


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(TEXT | SHELL_TEXT, min_size=10, max_size=40))
def test_every_value_comes_out_of_the_shell_as_it_went_in(shell: str, values: list[str], tmp_path: Path) -> None:
    assert echoed(shell, values, tmp_path) == values


def test_a_value_that_no_shell_can_hold_is_refused() -> None:
    with pytest.raises(MeshvmError, match="NUL"):
        quote("a\0b")


def values_of(script: str) -> dict[str, str]:
    """Values of a bundle; one of them would run something if it were cut in its middle and read as code."""
    hostile = "it's $(touch hit)\n`touch hit`\ntouch hit\n"
    if script == "host":
        return {"MESHVM_MARK": hostile}
    if script == "gateway":
        return {"MESHVM_GATEWAY": hostile, "MESHVM_ISTIOD": hostile}
    words = ("address", "entry", "group", "instance_address", "machine", "network", "package", "platform", "rejoin")
    inputs = {
        **dict.fromkeys((*words, "service_account", "sha256", "spiffe", "version", "workload"), hostile),
        "access_log": None,
        "behind_nat": False,
        "calls": [],
        "capture": {"mode": "NONE", "virtual_interfaces": [hostile]},
        "default_config": {"proxyMetadata": {"HOSTILE": hostile}},
        "dual_stack": False,
        "identity": {"kind": "FILES", "certificate": hostile, "private_key": hostile},
        "labels": {"app": hostile},
        "listener_ports": [],
        "mesh": mesh(gatewayAddressKind="host", gatewayAddress=hostile),
        "ports": [http_port()],
        "probe": None,
        "registration": "ENTRY",
    }
    found = resolve(join_settings(), inputs)
    variables = resolve(cluster_env_settings(), inputs)
    rest = {"root_certificate": "x", "token": hostile, "token_error": "", "run": "r", "ask": ""}
    return join_values(found, variables, **rest)


def harmless_copy(script: str, folder: Path) -> str:
    """A bundle that could touch nothing of this machine, not even if it ran: no commands, and a state of its own."""
    text = bundle(script, values_of(script))
    for line, stand_in in (
        ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n", f"PATH={folder}\n"),
        ("STATE=/var/lib/meshvm\n", f"STATE={folder}/state\n"),
        ("LOCK=/run/meshvm.lock\n", f"LOCK={folder}/lock\n"),
    ):
        assert line in text
        text = text.replace(line, stand_in)
    return text


def executed(text: str, folder: Path) -> str:
    """What a shell runs of a text on its standard input, as the shell itself traces it."""
    shell = shutil.which("sh") or "/bin/sh"
    env = {"PATH": str(folder), "PS4": "ran: "}
    ran = subprocess.run([shell, "-x", "-s", "prepare"], input=text.encode(), capture_output=True, env=env, check=False)
    assert ran.stdout == b""
    return "".join(line for line in ran.stderr.decode().splitlines() if line.startswith("ran: "))


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_bundle_that_is_cut_short_runs_nothing(script: str, tmp_path: Path) -> None:
    """A connection that breaks in the middle leaves the machine as it was, wherever it breaks: cut at each end of a
    line, here and there in the values, and at every character of the last lines."""
    text = harmless_copy(script, tmp_path)
    end = len(text) - len("}\n")
    ends_of_lines = {match.end() for match in re.finditer("\n", text[:end])}
    in_values = range(1, text.index("# shellcheck shell=sh"), 60)
    for cut in sorted({*ends_of_lines, *in_values, *range(end - 60, end + 1)}):
        assert executed(text[:cut], tmp_path) == "", f"cut after {text[max(0, cut - 60) : cut]!r}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_bundle_that_is_whole_runs(script: str, tmp_path: Path) -> None:
    """Here in a place without commands, where it can only say that it cannot begin."""
    assert "ran: main prepare" in executed(harmless_copy(script, tmp_path), tmp_path)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_bundle_calls_its_action_last(script: str) -> None:
    assert bundle(script, {"MESHVM_MARK": "i-1"}).endswith('main "$@"; exit $?\n}\n')


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_defined_for_every_variable_that_it_reads(script: str) -> None:
    """Shells end at one that is not set."""
    given = set(values_of(script))
    read = set(re.findall(r"\$\{?(MESHVM_\w+)", program(script)))
    assert read <= given


def test_values_are_never_exported() -> None:
    """An environment can be read by others."""
    assert not [script for script in SCRIPTS if re.search(r"export[^\n]*MESHVM_|set -a\b", program(script))]


def test_every_script_file_is_part_of_a_program() -> None:
    parts = {part for script in SCRIPTS for part in bundling._SCRIPTS[script]}
    assert parts == {file.name for file in (CHECKOUT / "meshvm" / "bootstrap").glob("*.sh")}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_program_is_proper_shell(script: str, shell: str) -> None:
    checked = subprocess.run([shell, "-n"], input=program(script), capture_output=True, text=True, check=False)
    assert checked.stderr == ""


@pytest.mark.parametrize(("script", "action"), [("host", "prepare"), ("host", "offboard"), ("join", "join")])
def test_a_command_is_short_and_says_only_our_own_words(script: str, action: str) -> None:
    """It is printed with every failure."""
    text = command(script, action)
    assert len(text) < 300
    assert "\n" not in text
    assert text.endswith(f"sh -s {action}")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_is_proper_shell(shell: str) -> None:
    checked = subprocess.run([shell, "-n", "-c", command("join", "join")], capture_output=True, text=True, check=False)
    assert checked.stderr == ""


def test_a_user_who_may_not_become_root_reads_one_sentence(tmp_path: Path) -> None:
    for name, text in (
        ("id", "case $1 in -u) echo 1000 ;; *) echo admin ;; esac"),
        ("sudo", "exit 1"),
        ("uname", "echo vm"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": str(tmp_path)}
    ran = subprocess.run(
        ["/bin/sh", "-c", command("join", "join")], env=env, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "meshvm join: admin on vm may not use sudo without a password; allow that (NOPASSWD) or log in as root\n"
    )


def test_another_script_has_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the machine is joined again."""
    before = digest("join")
    assert before == digest("join") != digest("host")
    monkeypatch.setattr(bundling, "program", lambda _: "another")
    assert digest.__wrapped__("join") != before
