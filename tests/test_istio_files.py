"""Do cluster.env and the mesh config say what istioctl would write, and does every value come out as it went in?"""

import json
import subprocess
from collections.abc import Mapping

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshvm.errors import ArgumentError
from meshvm.istio.files import (
    cluster_env,
    discovery_host,
    hosts,
    mesh_config,
    proxy_config,
    readiness_probe,
    with_annotations,
)
from tests.samples import http_port

# Anything but NUL, which no shell variable holds.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
# What the shells treat specially, more often than chance would have it.
SHELL_TEXT = st.text(st.sampled_from("w\\'\"$`\n\r\t !*~#;&|<>(){}[]=:,./-%@+1aé\x01\x7f\x81\u2028🙂"))
# Plain in PyYAML, something other than a string to the YAML reader of the agent, which is written in Go.
ONLY_GO_READS_AS_NO_STRING = ["y", "n", "Y", "N", "1e3", "123e45", "7E2", "0o17"]


def sourced(text: str, names: list[str], folder: str) -> list[str]:
    """The variables as bash has them after `set -a; . cluster.env`, as the sidecar's start script reads them."""
    script = 'set -a; . "$1"; shift; for name in "$@"; do printf "%s\\0" "${!name}"; done'
    path = f"{folder}/cluster.env"
    with open(path, "wb") as file:  # noqa: PTH123 bytes as they are
        file.write(text.encode())
    read = subprocess.run(["bash", "-c", script, "bash", path, *names], capture_output=True, check=True)
    assert read.stderr == b""
    return read.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", "''"),
        ("w", "w"),
        ("//", "//"),
        ("w@%+=:,./-", "w@%+=:,./-"),
        ("10.0.0.1", "'10.0.0.1'"),
        ("true", "'true'"),
        ("*", "'*'"),
        ("ratings", "'ratings'"),
        ("W", "'W'"),
        ("_", "'_'"),
        ("it's", """'it'"'"'s'"""),
        ("'", """''"'"''"""),
        ("w\n", "'w\n'"),
    ],
)
def test_a_value_is_quoted_as_istioctl_quotes_it(value: str, written: str) -> None:
    assert cluster_env({"V": value}) == f"V={written}\n"


def test_lines_are_sorted_by_bytes_as_whole_lines() -> None:
    names = ["ISTIO_META_NETWORK", "ISTIO_METAJSON_LABELS", "CA_ADDR", "CANONICAL_SERVICE", "A_B", "A", "z"]
    lines = cluster_env(dict.fromkeys(names, "w")).splitlines()
    assert lines == [
        "A=w",
        "A_B=w",
        "CANONICAL_SERVICE=w",
        "CA_ADDR=w",
        "ISTIO_METAJSON_LABELS=w",
        "ISTIO_META_NETWORK=w",
        "z=w",
    ]


@pytest.mark.parametrize("name", ["", "a.b", "a-b", "1a", "é", "a b", "a\nb", "a;b", "UID", "SHELLOPTS"])
def test_what_no_shell_can_set_is_not_in_cluster_env(name: str) -> None:
    """The sidecar's start script would run it as a command, or end there."""
    assert cluster_env({name: "x", "GOOD": "w"}) == "GOOD=w\n"


def test_an_empty_cluster_env_is_an_empty_file() -> None:
    assert cluster_env({}) == ""


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXT | SHELL_TEXT, min_size=20, max_size=60))
def test_every_value_comes_out_of_bash_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    variables = {f"V{index}": value for index, value in enumerate(values)}
    folder = str(tmp_path_factory.getbasetemp())
    assert sourced(cluster_env(variables), list(variables), folder) == values


def test_a_backslash_comes_out_of_bash_as_it_went_in(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Istioctl writes it bare, and then bash drops it or joins the next line: not so here."""
    variables = {"A": "\\", "B": "\\w", "C": "w\\\\", "D": "last"}
    folder = str(tmp_path_factory.getbasetemp())
    assert sourced(cluster_env(variables), list(variables), folder) == list(variables.values())


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(TEXT, TEXT | SHELL_TEXT, max_size=8), st.integers(0, 65535))
def test_every_value_comes_out_of_the_mesh_config_as_it_went_in(metadata: Mapping[str, str], port: int) -> None:
    config = {"proxyMetadata": dict(metadata), "statusPort": port, "nested": {"list": list(metadata.values())}}
    assert yaml.safe_load(mesh_config(config)) == {"defaultConfig": config}


@pytest.mark.parametrize("value", ONLY_GO_READS_AS_NO_STRING)
def test_a_string_is_quoted_where_the_agents_reader_would_see_no_string(value: str) -> None:
    """A network called `n` or a version that is a short Git hash: the agent reads YAML 1.1 as Go has it."""
    line = mesh_config({"proxyMetadata": {"V": value}}).splitlines()[-1]
    assert line.split(":", 1)[1].strip() in {f"'{value}'", f'"{value}"'}


def test_every_string_of_the_mesh_config_is_in_double_quotes() -> None:
    config = {"meshId": "plain", "concurrency": 2, "extraStatTags": ["a"]}
    assert mesh_config(config) == ('defaultConfig:\n  concurrency: 2\n  extraStatTags:\n  - "a"\n  meshId: "plain"\n')


def test_the_mesh_config_has_nothing_but_the_default_config() -> None:
    assert yaml.safe_load(mesh_config({"concurrency": 2})) == {"defaultConfig": {"concurrency": 2}}


def test_variables_become_proxy_metadata_and_win_over_the_meshs_own() -> None:
    mesh_default = {"proxyMetadata": {"TRUST_DOMAIN": "old", "THEIRS": "kept"}}
    config = proxy_config(mesh_default, {"TRUST_DOMAIN": "new"}, None, "istiod:15012")
    assert config["proxyMetadata"] == {"TRUST_DOMAIN": "new", "THEIRS": "kept"}


def test_variables_of_cluster_env_alone_stay_out_of_the_mesh_config() -> None:
    only_env = ["CA_ADDR", "CLOUD_PLATFORM", "ISTIO_INBOUND_PORTS", "ISTIO_LOCAL_EXCLUDE_PORTS"]
    only_env += ["ISTIO_NAMESPACE", "ISTIO_SERVICE", "ISTIO_SERVICE_CIDR", "ISTIO_SVC_IP"]
    variables = dict.fromkeys([*only_env, "SERVICE_ACCOUNT"], "x")
    assert proxy_config({}, variables, None, "istiod:15012")["proxyMetadata"] == {"SERVICE_ACCOUNT": "x"}


def test_the_meshs_readiness_probe_is_never_the_vms() -> None:
    mesh_default = {"readinessProbe": {"tcpSocket": {"port": 1}}}
    assert "readinessProbe" not in proxy_config(mesh_default, {}, None, "istiod:15012")
    probe = {"tcpSocket": {"host": "127.0.0.1", "port": 9080}}
    assert proxy_config(mesh_default, {}, probe, "istiod:15012")["readinessProbe"] == probe


def test_the_discovery_address_is_written_even_when_the_mesh_has_none() -> None:
    assert (
        proxy_config({}, {}, None, "istiod.istio-system.svc:15012")["discoveryAddress"]
        == "istiod.istio-system.svc:15012"
    )


def test_the_meshs_default_config_is_not_changed() -> None:
    mesh_default = {"proxyMetadata": {"A": "1"}, "readinessProbe": {}}
    proxy_config(mesh_default, {"B": "2"}, None, "istiod:15012")
    assert mesh_default == {"proxyMetadata": {"A": "1"}, "readinessProbe": {}}


def test_an_empty_proxy_metadata_in_the_mesh_is_none() -> None:
    """YAML has `proxyMetadata:` with nothing behind it as null."""
    assert proxy_config({"proxyMetadata": None}, {"B": "2"}, None, "istiod:15012")["proxyMetadata"] == {"B": "2"}


def test_without_ports_there_is_no_probe() -> None:
    assert readiness_probe({"tcp": {"port": 9080}}, []) is None


def test_the_default_probe_is_tcp_on_the_first_port() -> None:
    assert readiness_probe(None, [http_port(9080), http_port(9090, "more")]) == {
        "tcpSocket": {"host": "127.0.0.1", "port": 9080}
    }


@pytest.mark.parametrize(
    ("given_probe", "expected"),
    [
        ({"http": {"port": 80}}, {"httpGet": {"path": "/", "port": 80}}),
        (
            {"http": {"port": 80, "path": "/health", "scheme": "HTTPS", "headers": {"B": "2", "A": "1"}}},
            {
                "httpGet": {
                    "path": "/health",
                    "port": 80,
                    "scheme": "HTTPS",
                    "httpHeaders": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                }
            },
        ),
        ({"tcp": {"port": 80}}, {"tcpSocket": {"host": "127.0.0.1", "port": 80}}),
        ({"tcp": {"port": 80, "host": "::1"}}, {"tcpSocket": {"host": "::1", "port": 80}}),
        ({"exec": {"command": ["test", "-e", "/up"]}}, {"exec": {"command": ["test", "-e", "/up"]}}),
        (
            {
                "tcp": {"port": 80},
                "initial_delay_seconds": 0,
                "timeout_seconds": 1,
                "period_seconds": 2,
                "success_threshold": 3,
                "failure_threshold": 4,
            },
            {
                "tcpSocket": {"host": "127.0.0.1", "port": 80},
                "initialDelaySeconds": 0,
                "timeoutSeconds": 1,
                "periodSeconds": 2,
                "successThreshold": 3,
                "failureThreshold": 4,
            },
        ),
    ],
)
def test_a_probe_is_written_as_proxy_config_has_it(given_probe: dict[str, object], expected: dict[str, object]) -> None:
    assert readiness_probe(given_probe, [http_port()]) == expected


def annotated(text: str) -> dict[str, str]:
    return {"proxy.istio.io/config": text}


@pytest.mark.parametrize(
    ("default", "annotations", "expected"),
    [
        ({"meshId": "a"}, [{}], {"meshId": "a"}),
        ({"meshId": "a"}, [{"other": "meshId: b"}], {"meshId": "a"}),
        ({"meshId": "a"}, [annotated("")], {"meshId": "a"}),
        ({"meshId": "a"}, [annotated("meshId: b"), annotated("meshId: c")], {"meshId": "c"}),
        ({}, [annotated("proxyMetadata: {A: '1'}")], {"proxyMetadata": {"A": "1"}}),
        (
            {"proxy_metadata": {"A": "1", "B": "1"}},
            [annotated("proxyMetadata: {B: '2', C: '2'}"), annotated('{"proxy_metadata": {"C": "3"}}')],
            {"proxyMetadata": {"A": "1", "B": "2", "C": "3"}},
        ),
        ({"proxyMetadata": {"A": "1"}}, [annotated("proxyMetadata: {}")], {"proxyMetadata": {"A": "1"}}),
        (
            {"tracing": {"zipkin": {"address": "z:1"}, "sampling": 1}},
            [annotated("tracing: {sampling: 50}")],
            {"tracing": {"sampling": 50}},
        ),
        ({"runtimeValues": {"a": "1"}}, [annotated("runtimeValues: {b: '2'}")], {"runtimeValues": {"b": "2"}}),
        ({"extraStatTags": ["a"]}, [annotated("extraStatTags: []")], {}),
        ({"interceptionMode": "NONE"}, [annotated("interceptionMode: REDIRECT")], {}),
        ({"meshId": "a"}, [annotated("mesh_id: null")], {"meshId": "a"}),
        ({"serviceCluster": "a"}, [annotated("tracingServiceName: 1")], {"tracingServiceName": "CANONICAL_NAME_ONLY"}),
        ({"newer": {"than": 1}}, [annotated("newest: 2")], {"newer": {"than": 1}, "newest": 2}),
    ],
)
def test_an_annotation_wins_field_by_field(
    default: dict[str, object], annotations: list[dict[str, str]], expected: dict[str, object]
) -> None:
    before = json.dumps(default)
    assert with_annotations(default, *annotations) == expected
    assert json.dumps(default) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "annotations['proxy.istio.io/config']: it is not YAML"),
        ("[]", "annotations['proxy.istio.io/config']: [] is not a map"),
        ("meshId: 1", "annotations['proxy.istio.io/config'].meshId: 1 is not a string; put it in quotes"),
        ("proxyMetadata: {A: true}", "annotations['proxy.istio.io/config'].proxyMetadata.A: true is not a string"),
    ],
)
def test_a_mistake_in_an_annotation_is_named_by_its_place(text: str, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        with_annotations({}, annotated(text))
    assert str(caught.value).startswith(message)


def test_each_address_of_the_gateway_has_a_line_of_hosts() -> None:
    assert hosts(["192.0.2.1", "2001:db8::1"], "istiod.istio-system.svc") == (
        "192.0.2.1 istiod.istio-system.svc\n2001:db8::1 istiod.istio-system.svc\n"
    )
    assert hosts([], "istiod.istio-system.svc") == ""


def test_the_discovery_host_is_the_address_without_its_port() -> None:
    assert discovery_host("istiod-canary.istio-system.svc:15012") == "istiod-canary.istio-system.svc"
