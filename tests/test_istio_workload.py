"""Do a machine's files say what `istioctl x workload entry configure` writes, and what its author meant?

The cases of goldens/istio are written from Istio's rules by hand: cluster.env and hosts byte for byte, mesh.yaml by its
values, the order of the ports ascending where istioctl has a random one.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshvm.errors import ArgumentError
from meshvm.istio import go_yaml, workload
from meshvm.istio.workload import Group, Mesh, Options, files, group_of, read_group, read_mesh
from meshvm.testing import ROOT_CERTIFICATE

GOLDENS = Path(__file__).parent / "goldens" / "istio"
CASES = sorted(path.name for path in GOLDENS.iterdir())

NO_MESH = Mesh("", {})


def made(case: str) -> dict[str, str]:
    folder = GOLDENS / case
    given = yaml.safe_load((folder / "options.yaml").read_text())
    addresses = given.pop("addresses")
    group = read_group((folder / "group.yaml").read_text())
    mesh = read_mesh((folder / "mesh-config.yaml").read_text())
    return files(group, mesh, Options(**given), ROOT_CERTIFICATE, addresses)


def group_with(**changes: Any) -> Group:
    metadata = {"name": "ratings", "namespace": "bookinfo"}
    return group_of({"metadata": metadata})._replace(**changes)


def variables(group: Group, mesh: Mesh = NO_MESH, options: Options = Options()) -> dict[str, str]:  # noqa: B008 it is never changed
    config = yaml.safe_load(files(group, mesh, options, "", [])["mesh.yaml"])
    return dict(config["defaultConfig"]["proxyMetadata"])


def environment(group: Group, mesh: Mesh = NO_MESH, options: Options = Options()) -> set[str]:  # noqa: B008 it is never changed
    return set(files(group, mesh, options, "", [])["cluster.env"].splitlines())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["cluster.env", "hosts"])
def test_a_file_is_istioctls_byte_for_byte(case: str, name: str) -> None:
    assert made(case)[name] == (GOLDENS / case / name).read_text()


@pytest.mark.parametrize("case", CASES)
def test_the_mesh_config_has_istioctls_values(case: str) -> None:
    assert yaml.safe_load(made(case)["mesh.yaml"]) == yaml.safe_load((GOLDENS / case / "mesh.yaml").read_text())


@pytest.mark.parametrize("case", CASES)
def test_the_root_certificate_is_written_as_it_is(case: str) -> None:
    assert made(case)["root-cert.pem"] == ROOT_CERTIFICATE


@pytest.mark.parametrize("case", CASES)
def test_the_same_input_makes_the_same_files(case: str) -> None:
    assert made(case) == made(case)


# Anything but NUL, which no shell variable holds, and halves of characters, which no file holds.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
HOSTILE = st.text(st.sampled_from("w\\'\"$`\n\r\t !*~#;&|<>(){}[]=:,./-%@+1aényo\x01\x7f\x81\x85\u2028\ufeff🙂"))
VALUES = TEXT | HOSTILE | st.sampled_from(["n", "y", "1e3", "0o17", "12:30", "2020-01-01", "null", "~", "<<", "=", ""])
LABELS = st.dictionaries(st.sampled_from(["app", "version", "app.kubernetes.io/name"]) | VALUES, VALUES, max_size=6)
PORTS = st.dictionaries(VALUES, st.integers(1, 65535), max_size=6)
NAMES = st.sampled_from(["A", "FOO_BAR", "ISTIO_META_X", "n", "_1"])


def bash(folder: Path, text: str, names: list[str]) -> list[str]:
    """The variables as the sidecar's start script reads them."""
    path = folder / "cluster.env"
    path.write_bytes(text.encode())
    script = 'set -ae; . "$1"; shift; for name in "$@"; do printf "%s\\0" "${!name}"; done'
    done = subprocess.run(["bash", "-c", script, "bash", path, *names], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode().split("\0")[:-1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LABELS, LABELS, PORTS, st.dictionaries(NAMES, VALUES), VALUES)
def test_what_the_author_wrote_comes_out_of_bash_and_of_yaml_as_it_went_in(
    tmp_path: Path,
    labels: dict[str, str],
    of_template: dict[str, str],
    ports: dict[str, int],
    metadata: dict[str, str],
    network: str,
) -> None:
    """Labels, ports, an annotation and a network, through a YAML file as a person has it, into both files."""
    annotation = go_yaml.dump({"proxyMetadata": metadata}, quoted=True)
    document = {
        "metadata": {"name": "ratings", "namespace": "bookinfo", "annotations": {"proxy.istio.io/config": annotation}},
        "spec": {
            "metadata": {"labels": labels},
            "template": {"labels": of_template, "ports": ports, "network": network},
        },
    }
    written = files(read_group(go_yaml.dump(document, quoted=True)), NO_MESH, Options(), "", [])
    names = ["ISTIO_METAJSON_LABELS", "ISTIO_META_NETWORK", *metadata]
    names += ["ISTIO_META_POD_PORTS"] if ports else []
    out_of_bash = dict(zip(names, bash(tmp_path, written["cluster.env"], names), strict=True))
    for read in (yaml.safe_load, lambda text: go_yaml.load(text)[0]):
        out_of_yaml = read(written["mesh.yaml"])["defaultConfig"]["proxyMetadata"]
        assert {name: out_of_yaml[name] for name in names} == out_of_bash
    assert {**labels, **of_template}.items() <= json.loads(out_of_bash["ISTIO_METAJSON_LABELS"]).items()
    assert out_of_bash["ISTIO_META_NETWORK"] == network
    assert {name: out_of_bash[name] for name in metadata} == metadata
    listed = json.loads(out_of_bash.get("ISTIO_META_POD_PORTS", "[]"))
    assert {port["name"]: port["containerPort"] for port in listed} == ports


@settings(max_examples=100, deadline=None)
@given(LABELS)
def test_the_canonical_name_is_the_first_label_that_is_present(labels: dict[str, str]) -> None:
    order = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
    expected = next((labels[key] for key in order if key in labels), "ratings")
    assert variables(group_with(labels=labels))["CANONICAL_SERVICE"] == expected


def test_labels_of_the_template_win_and_their_author_is_told() -> None:
    spec = {"metadata": {"labels": {"a": "1", "b": "1"}}, "template": {"labels": {"b": "2"}}}
    group = group_of({"metadata": {"name": "n", "namespace": "ns"}, "spec": spec})
    assert group.labels == {"a": "1", "b": "2"}
    assert len(group.notes) == 1


def test_an_annotation_may_bring_proxy_metadata_to_a_mesh_that_has_none() -> None:
    """Istioctl ends in a panic."""
    group = group_with(annotations=({}, {"proxy.istio.io/config": "proxyMetadata: {A: of mine}"}))
    assert variables(group)["A"] == "of mine"
    assert "A='of mine'" in environment(group)


def test_a_group_of_the_cluster_may_have_no_spec() -> None:
    """Istioctl ends in a panic, or asks for a token of an account without a name."""
    assert group_of({"metadata": {"name": "n", "namespace": "ns"}}).service_account == "default"


def test_metadata_that_no_shell_has_a_variable_for_is_in_the_mesh_config_alone() -> None:
    """Bash would run the line as a command, or end the start script."""
    mesh = Mesh("", {"proxyMetadata": {"a.b": "1", "x; reboot": "2", "UID": "3", "OK": "4"}})
    group = group_with()
    assert {"a.b", "x; reboot", "UID", "OK"} <= variables(group, mesh).keys()
    lines = environment(group, mesh)
    assert "OK='4'" in lines
    assert not [line for line in lines if line.startswith(("a.b", "x", "UID"))]
    assert workload.not_in_cluster_env(group, mesh) == ["UID", "a.b", "x; reboot"]


@pytest.mark.parametrize("revision", ["", "default"])
def test_the_default_revision_has_no_name_of_its_own(revision: str) -> None:
    written = files(group_with(), NO_MESH, Options(revision=revision), "", ["192.0.2.1"])
    assert written["hosts"] == "192.0.2.1 istiod.istio-system.svc\n"
    assert "CA_ADDR" not in written["cluster.env"]
    assert "discoveryAddress" not in written["mesh.yaml"]


def test_istiod_of_another_namespace_is_named_to_both_its_clients() -> None:
    """Istioctl leaves it out, and the start script takes istio-system."""
    written = files(group_with(), NO_MESH, Options(istio_namespace="mesh"), "", ["192.0.2.1"])
    assert written["hosts"] == "192.0.2.1 istiod.mesh.svc\n"
    assert "CA_ADDR='istiod.mesh.svc:15012'\n" in written["cluster.env"]
    assert yaml.safe_load(written["mesh.yaml"])["defaultConfig"]["discoveryAddress"] == "istiod.mesh.svc:15012"


def test_an_internal_address_is_asked_by_the_probe_and_an_external_one_is_not() -> None:
    rewritten = "REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION='true'"
    inside = environment(group_with(), options=Options(internal_ip="10.0.0.7"))
    outside = environment(group_with(), options=Options(external_ip="203.0.113.7"))
    assert ("ISTIO_SVC_IP='10.0.0.7'" in inside, rewritten in inside) == (True, False)
    assert ("ISTIO_SVC_IP='203.0.113.7'" in outside, rewritten in outside) == (True, True)
    assert not [line for line in environment(group_with()) if line.startswith(("ISTIO_SVC_IP", "REWRITE"))]


@pytest.mark.parametrize(
    ("status_port", "excluded"),
    [
        (0, "22,15090,15021,15020"),
        (15999, "22,15090,15021,15999"),
        (15021, "22,15090,15021"),
        (15090, "22,15090,15021"),
    ],
)
def test_the_status_port_is_never_captured(status_port: int, excluded: str) -> None:
    mesh = read_mesh(f"defaultConfig: {{statusPort: {status_port}}}")
    assert f"ISTIO_LOCAL_EXCLUDE_PORTS='{excluded}'" in environment(group_with(), mesh)


def test_a_probe_without_a_question_is_kept_and_none_takes_the_meshs_away() -> None:
    mesh = read_mesh("defaultConfig: {readinessProbe: {tcpSocket: {port: 1}}}")
    config = yaml.safe_load(files(group_with(probe={}), mesh, Options(), "", [])["mesh.yaml"])
    assert config["defaultConfig"]["readinessProbe"] == {}
    config = yaml.safe_load(files(group_with(), mesh, Options(), "", [])["mesh.yaml"])
    assert "readinessProbe" not in config["defaultConfig"]


def test_the_one_group_of_a_file_is_taken_whatever_else_is_in_it() -> None:
    text = "---\nkind: Service\n---\nkind: WorkloadGroup\nmetadata: {name: a, namespace: b}\n---\n"
    assert read_group(text).name == "a"


def test_what_a_file_does_not_say_is_taken_from_the_flags() -> None:
    group = read_group("metadata: {name: a}", name="not this", namespace="ns")
    assert (group.name, group.namespace) == ("a", "ns")


ONE = "metadata: {name: a, namespace: b}\n"


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_group, "metadata: {name: a}", "metadata.namespace: it is missing"),
        (
            read_group,
            "metadata: {name: a, namespace: n}",
            "metadata.namespace: false is not a string; put it in quotes",
        ),
        (read_group, "kind: Service", "the file: it holds 0 objects of kind WorkloadGroup"),
        (read_group, f"{ONE}---\n{ONE}", "the file: it holds 2 objects of kind WorkloadGroup"),
        (read_group, "a: [", "the file: it is not YAML"),
        (read_group, "", "the file: it holds 0 objects"),
        (read_group, ONE + "spec: {template: {ports: {http: 0}}}", "spec.template.ports.http: 0 is no port"),
        (read_group, ONE + "spec: {template: {ports: {http: 70000}}}", "spec.template.ports.http: 70000 is no port"),
        (read_group, ONE + "spec: {template: {ports: {http: web}}}", "spec.template.ports.http: 'web' is not a number"),
        (read_group, ONE + "spec: {metadata: {labels: {app: 1}}}", "spec.metadata.labels.app: 1 is not a string"),
        (read_group, ONE + "spec: []", None),
        (read_group, ONE + "spec: {template: [1]}", "spec.template: [1] is not a map"),
        (read_mesh, "a: [", "the mesh config: it is not YAML"),
        (read_mesh, "just a word", "the mesh config: 'just a word' is not a map"),
        (read_mesh, "trustDomain: 1", "the mesh config.trustDomain: 1 is not a string"),
        (
            read_mesh,
            "defaultConfig: {drainDuration: 45}",
            "the mesh config.defaultConfig.drainDuration: 45 is not a dur",
        ),
        (
            read_mesh,
            "defaultConfig: {proxyMetadata: {A: n}}",
            "the mesh config.defaultConfig.proxyMetadata.A: false is",
        ),
        (
            read_mesh,
            "defaultConfig: {proxyMetadata: {n: a}}",
            "the mesh config.defaultConfig.proxyMetadata: the key fal",
        ),
    ],
)
def test_a_mistake_is_named_by_its_place(read: Callable[[str], object], text: str, message: str | None) -> None:
    if message is None:
        read(text)
        return
    with pytest.raises(ArgumentError) as caught:
        read(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("text", ["", "{}", "null", "# nothing\n"])
def test_a_mesh_that_says_nothing_is_one(text: str) -> None:
    assert read_mesh(text) == Mesh("", {})
