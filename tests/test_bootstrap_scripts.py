"""What do the scripts' parts decide, each by itself, on a machine that is played by a few commands?"""

import re
from pathlib import Path

import pytest

from meshvm.bootstrap.quote import quote
from tests.played import played, said

ADDRESSES = """1: lo    inet 127.0.0.1/8 scope host lo
2: eth0    inet 10.0.0.7/24 brd 10.0.0.255 scope global eth0
2: eth0    inet6 fe80::1/64 scope link"""
# What Istio's rules for IPv6 put there, and leave.
OF_ISTIO = "1: lo    inet6 ::6/128 scope global"
# `ip -o addr show`, `... scope global`, `-4` and `-6` of a machine with one IPv4 address.
IP = f"""case "$*" in
*"-6 addr"*) echo '{OF_ISTIO}' ;;
*"-4 addr"*) echo '{ADDRESSES.splitlines()[1]}' ;;
*global*) printf '%s\\n' '{OF_ISTIO}' '{ADDRESSES.splitlines()[1]}' ;;
*type?bridge*) printf '%s\\n' '3: docker0: <UP>' '4: br-1a2b: <UP>' '5: virbr0: <UP>' ;;
*) echo '{ADDRESSES}' ;;
esac"""


LISTENING = {
    'LISTEN 0 128 0.0.0.0:9080 0.0.0.0:* users:(("perl",pid=51,fd=3)) ino:1 sk:9a': "perl 9080",
    'LISTEN 0 128 *:9080 *:* users:(("java",pid=51,fd=3)) ino:1 sk:9a v6only:0': "java 9080",
    'LISTEN 0 128 [::]:15080 [::]:* users:(("a b",pid=51,fd=3)) ino:1 v6only:1': "a_b 15080",
    'LISTEN 0 128 10.0.0.7:9080 0.0.0.0:* users:(("perl",pid=51,fd=3)) ino:1': "perl 9080",
    "LISTEN 0 128 0.0.0.0:9080 0.0.0.0:* ino:1 sk:9a": "something 9080",
    'LISTEN 0 128 127.0.0.1:9080 0.0.0.0:* users:(("perl",pid=51,fd=3)) ino:1': "",
    'LISTEN 0 128 [::1]:9080 [::]:* users:(("perl",pid=51,fd=3)) ino:1': "",
    'LISTEN 0 128 10.0.0.77:9080 0.0.0.0:* users:(("perl",pid=51,fd=3)) ino:1': "",
    'LISTEN 0 128 0.0.0.0:908 0.0.0.0:* users:(("perl",pid=51,fd=3)) ino:1': "",
    'LISTEN 0 128 10.0.0.7:9080 0.0.0.0:* users:(("envoy",pid=51,fd=3)) uid:999 ino:1': "",
    'LISTEN 0 128 0.0.0.0:9080 0.0.0.0:* users:(("perl",pid=51,fd=3)) uid:9990 ino:1': "perl 9080",
}


@pytest.mark.parametrize("line", LISTENING)
def test_who_listens_where_the_sidecar_would_is_named(line: str, tmp_path: Path) -> None:
    done = played(tmp_path, f"echo {quote(line)} | taken_port", id="echo 999")
    assert done.stdout.strip() == LISTENING[line]


def test_a_machine_that_has_its_address_is_fine(tmp_path: Path) -> None:
    assert played(tmp_path, "look_at_addresses", ip=IP).returncode == 0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"MESHVM_ADDRESS": "10.0.0.77"}, "address: the machine has not the address 10.0.0.77 but 10.0.0.7; write one"),
        (
            {"MESHVM_ADDRESS": "10.0.0.77", "MESHVM_NAT": "true"},
            "instance_address: the machine has not the address 10.0.0.77 but 10.0.0.7; write the one to which",
        ),
        ({"MESHVM_DUAL_STACK": "true"}, "dual_stack: the machine has no IPv6 address but 10.0.0.7; give it one"),
        ({"MESHVM_ADDRESS": "fe80::1"}, "address: the machine has the IPv4 address 10.0.0.7 beside fe80::1, and"),
    ],
)
def test_addresses_that_the_machine_has_not_are_named(values: dict[str, str], sentence: str, tmp_path: Path) -> None:
    assert said(played(tmp_path, "look_at_addresses", values, ip=IP)).startswith(sentence)


@pytest.mark.parametrize(
    ("values", "bridges"),
    [
        ({}, ["docker0", "br-1a2b"]),
        ({"MESHVM_BRIDGES": "br-1a2b docker0"}, []),
        ({"MESHVM_BRIDGES": "docker0"}, ["br-1a2b"]),
        ({"MESHVM_CAPTURE": "NONE"}, []),
    ],
)
def test_bridges_of_containers_that_the_rules_are_not_told_of_are_noted(
    values: dict[str, str], bridges: list[str], tmp_path: Path
) -> None:
    notes = played(tmp_path, 'look_at_bridges; echo "$NOTE"', values, ip=IP).stdout
    assert re.findall("containers on ([^ ]*) ", notes) == bridges


def test_an_access_log_without_logrotate_is_refused(tmp_path: Path) -> None:
    call = 'command() { [ "$2" != logrotate ]; }; look_at_logs'
    assert said(played(tmp_path, call, {"MESHVM_LOG_ROTATION": "required"})).startswith("access_log: logrotate is not")
    assert played(tmp_path, call).returncode == 0


GETENT = """case "$*" in
"passwd istio-proxy") exit 2 ;;
"ahosts gateway.test") printf '%s\\n' {answer} ;;
"-s dns ahosts "*) case " {known} " in *" $4 "*) ;; *) exit 2 ;; esac ;;
esac"""


def test_every_address_of_a_host_name_is_a_line_once(tmp_path: Path) -> None:
    answer = "'192.0.2.1 STREAM' '192.0.2.1 DGRAM' '2001:db8::1 STREAM'"
    call = 'one_answers() { [ "$*" = "192.0.2.1 2001:db8::1" ]; }; look_at_gateway; echo "$GATEWAY_LINES"'
    done = played(tmp_path, call, getent=GETENT.format(answer=answer, known=""))
    assert done.stdout == "192.0.2.1 istiod.istio-system.svc\n2001:db8::1 istiod.istio-system.svc\n", done.stderr


def test_a_gateway_of_which_no_address_answers_is_named_with_those_tried(tmp_path: Path) -> None:
    answer = "'192.0.2.1 STREAM' '2001:db8::1 STREAM'"
    done = played(tmp_path, "look_at_gateway", getent=GETENT.format(answer=answer, known=""), timeout="exit 124")
    assert said(done).startswith("the gateway gateway.test does not resolve"), "nothing is found in time"
    only_bash = 'case "$2" in bash) exit 1 ;; esac; shift; exec "$@"'
    done = played(tmp_path, "look_at_gateway", getent=GETENT.format(answer=answer, known=""), timeout=only_bash)
    tried = "does not answer on port 15012 from the machine, tried at 192.0.2.1, 2001:db8::1; check"
    assert said(done).startswith(f"the gateway gateway.test {tried}")


@pytest.mark.parametrize(
    ("values", "known", "name"),
    [
        ({}, "gateway.test vm", "gateway.test"),
        ({}, "packages.test vm", "packages.test"),
        ({"MESHVM_GATEWAY": "192.0.2.1 2001:db8::1"}, "vm", "vm"),
        ({"MESHVM_GATEWAY": "192.0.2.1", "MESHVM_PACKAGE": "/srv/package.deb"}, "192.0.2.1", ""),
        ({"MESHVM_DNS": ""}, "gateway.test", ""),
    ],
)
def test_the_name_to_ask_for_again_is_one_that_the_name_servers_know(
    values: dict[str, str], known: str, name: str, tmp_path: Path
) -> None:
    getent = GETENT.format(answer="", known=known)
    done = played(tmp_path, 'look_at_names; echo "$KNOWN_NAME"', values, getent=getent, uname="echo vm")
    assert done.stdout.strip() == name


HOSTS = """127.0.0.1 localhost
# meshvm begin
192.0.2.1 istiod.istio-system.svc
127.0.0.2 details.bookinfo
# meshvm end
10.0.0.1 own.example
"""


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        (["192.0.2.1"], ["192.0.2.1"]),
        (["192.0.2.2", "2001:db8::1"], ["192.0.2.2", "2001:db8::1"]),
        ([], ["192.0.2.1"]),
    ],
)
def test_the_follower_changes_the_gateways_lines_alone(answer: list[str], lines: list[str], tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(HOSTS)
    words = " ".join(f"'{one} STREAM'" for one in answer) or "''"
    done = played(tmp_path, "main follow", script="gateway", getent=GETENT.format(answer=words, known=""))
    assert done.returncode == 0, done.stderr
    ours = "".join(f"{one} istiod.istio-system.svc\n" for one in lines)
    others = f"# meshvm begin\n{ours}127.0.0.2 details.bookinfo\n# meshvm end\n"
    assert (tmp_path / "hosts").read_text() in {
        f"127.0.0.1 localhost\n10.0.0.1 own.example\n{others}",
        f"127.0.0.1 localhost\n{others}10.0.0.1 own.example\n",
    }


def test_the_follower_leaves_another_order_of_the_same_addresses_alone(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    lines = "".join(f"192.0.2.{last} istiod.istio-system.svc\n" for last in (3, 1, 2))
    hosts.write_text(HOSTS.replace("192.0.2.1 istiod.istio-system.svc\n", lines))
    before = hosts.read_text()
    getent = GETENT.format(answer="'192.0.2.2 STREAM' '192.0.2.3 STREAM' '192.0.2.1 STREAM'", known="")
    assert played(tmp_path, "main follow", script="gateway", getent=getent).returncode == 0
    assert hosts.read_text() == before


def test_the_follower_leaves_a_machine_that_a_run_holds_to_that_run(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(HOSTS)
    getent = GETENT.format(answer="'192.0.2.9 STREAM'", known="")
    done = played(tmp_path, "main follow", script="gateway", getent=getent, flock="exit 1")
    assert (done.returncode, (tmp_path / "hosts").read_text()) == (0, HOSTS)


@pytest.mark.parametrize(("kind", "kept"), [("GCE", True), ("TOKEN", False), ("FILES", False)])
def test_the_folder_of_a_token_that_the_agent_writes_itself_outlives_a_restart(
    kind: str, kept: bool, tmp_path: Path
) -> None:
    """And is not kept any longer when the machine proves itself otherwise."""
    folders = tmp_path / "folders"
    folders.write_text("of before\n")
    call = f"FOLDERS={folders}; mkdir() {{ :; }}; remember_absent() {{ :; }}; keep_token_folder"
    played(tmp_path, call, {"MESHVM_IDENTITY": kind}, chown="exit 0")
    assert folders.exists() is kept
    assert not kept or "d /run/secrets/tokens 0700 istio-proxy istio-proxy\n" in folders.read_text()


@pytest.mark.parametrize("installed", [True, False])
def test_logs_are_rotated_where_logrotate_is(installed: bool, tmp_path: Path) -> None:
    rotation = tmp_path / "meshvm"
    rotation.write_text("of before\n")
    values = {"MESHVM_LOG_MEGABYTES": "7", "MESHVM_LOG_FILES": "2"}
    there = {"logrotate": "exit 0"} if installed else {}
    hidden = "" if installed else "command() { return 1; }; "
    played(tmp_path, f"{hidden}ROTATION={rotation}; rotate_logs", values, chown="exit 0", **there)
    assert rotation.exists() is installed
    assert not installed or "\tsize 7M\n\trotate 2\n\tcopytruncate\n" in rotation.read_text()


@pytest.mark.parametrize(
    ("log", "active", "sentence"),
    [
        (
            "cannot bind '127.0.0.2:80': Permission denied\tthread=1\n",
            "exit 0",
            "cannot bind '127.0.0.2:80': Permission",
        ),
        ("dial tcp 192.0.2.1:15012: i/o timeout\n", "exit 0", "the gateway 192.0.2.1, 2001:db8::1 does not answer on"),
        ("Unauthenticated\n", "exit 0", "istiod refused the token"),
        ("", "exit 3", "its start script ends with an error; see journalctl -u istio on the machine"),
    ],
)
def test_why_a_sidecar_is_not_ready_is_told(log: str, active: str, sentence: str, tmp_path: Path) -> None:
    call = f"awk() {{ printf %s {quote(log)}; }}; why_not_ready"
    done = played(tmp_path, call, {"MESHVM_GATEWAY": "192.0.2.1 2001:db8::1"}, systemctl=active)
    assert done.stdout.startswith(sentence)
