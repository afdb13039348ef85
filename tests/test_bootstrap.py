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
from meshvm.bootstrap.values import READY_SECONDS, join_settings, join_values, request_to_ask
from meshvm.errors import MeshvmError
from meshvm.istio.settings import cluster_env_settings
from tests.imports import CHECKOUT
from tests.samples import SHA256, http_port, mesh, resolve

SCRIPTS = ("host", "join")
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
    inputs = {
        **dict.fromkeys(("address", "entry", "machine", "name", "network", "package", "platform", "rejoin"), hostile),
        **dict.fromkeys(("service_account", "sha256", "spiffe", "version"), hostile),
        "labels": {"app": hostile},
        "mesh": mesh(),
        "ports": [http_port()],
        "probe": None,
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
    ):
        assert text.count(line) == 1
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
    assert digest("join") != before


JOIN = {
    "defaultConfig": '{"proxyMetadata":{"THEIRS":"kept","POD_NAMESPACE":"theirs"},"concurrency":2}',
    "discoveryAddress": "istiod-canary.istio-system.svc:15012",
    "gateway": "192.0.2.10",
    "gatewayKind": "ip",
    "gatewayPort": "15012",
    "machine": "i-1",
    "package": "/tmp/istio-sidecar.deb",
    "probe": '{"tcpSocket":{"port":9080}}',
    "proxyVersion": "1.30.3",
    "rejoin": "1",
    "rootCertificate": "digest",
    "script": "digest",
    "sha256": SHA256,
    "spiffeId": "spiffe://cluster.local/ns/bookinfo/sa/ratings",
}


def joined(**changes: str) -> dict[str, str]:
    variables = {"POD_NAMESPACE": "bookinfo", "CA_ADDR": "", "ISTIO_SERVICE_CIDR": "*"}
    given = {
        "root_certificate": "PEM",
        "token": "t",
        "token_error": "",
        "run": "r",
        "ask": "",
        **changes,
    }
    return join_values(JOIN, variables, **given)


def test_the_meshs_own_variables_reach_cluster_env_and_ours_win() -> None:
    assert joined()["MESHVM_CLUSTER_ENV"] == "ISTIO_SERVICE_CIDR='*'\nPOD_NAMESPACE='bookinfo'\nTHEIRS='kept'\n"


def test_the_machine_finds_istiod_by_the_name_in_its_certificate() -> None:
    assert joined()["MESHVM_ISTIOD"] == "istiod-canary.istio-system.svc"


def test_every_setting_that_reaches_the_machine_is_a_trigger() -> None:
    """Else a change of it would go unseen. The token and the words of a run are others each time, on purpose."""
    others_each_time = {"MESHVM_TOKEN", "MESHVM_TOKEN_ERROR", "MESHVM_RUN"}
    of_triggers = {"MESHVM_ASK", "MESHVM_CLUSTER_ENV", "MESHVM_ISTIOD", "MESHVM_MESH_CONFIG", "MESHVM_ROOT_CERTIFICATE"}
    constant = {"MESHVM_READY_SECONDS"}
    values = joined()
    rest = {value for name, value in values.items() if name not in others_each_time | of_triggers | constant}
    assert rest <= set(JOIN.values())
    assert values["MESHVM_READY_SECONDS"] == str(READY_SECONDS)


@pytest.mark.parametrize(
    ("address", "ports", "probe", "expected"),
    [
        ("10.0.0.7", [http_port()], None, "http://10.0.0.7:9080/"),
        ("fd00::7", [http_port()], None, "http://[fd00::7]:9080/"),
        ("10.0.0.7", [http_port()], {"http": {"port": 81, "path": "health"}}, "http://10.0.0.7:81/health"),
        ("10.0.0.7", [http_port()], {"http": {"port": 81, "scheme": "HTTPS"}}, "http://10.0.0.7:9080/"),
        ("10.0.0.7", [{"name": "db", "number": 5432, "protocol": "TCP"}], None, ""),
        ("10.0.0.7", [{"name": "web", "number": 80, "protocol": "HTTP"}], None, "http://10.0.0.7:80/"),
        ("10.0.0.7", [], None, ""),
    ],
)
def test_one_request_asks_what_the_probe_asks_or_the_first_http_port(
    address: str, ports: list[dict[str, object]], probe: dict[str, object] | None, expected: str
) -> None:
    assert request_to_ask(address, ports, probe) == expected
