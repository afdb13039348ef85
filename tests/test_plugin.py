"""Do the components work for programs in other languages, which reach them as a plugin over gRPC?"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import errors_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from tests.imports import CHECKOUT
from tests.monitor import Monitor
from tests.samples import HOST_KEY, MESH, SHA256

CHILDREN = {"ratings-host", "ratings-drain", "ratings-sidecar", "ratings-entry", "ratings-join", "ratings-gate"}
MACHINE = "urn:pulumi:stack::project::aws:ec2/instance:Instance::vm"
SIGNATURE = "4dabf18193072939515e22adb298388d"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def output(value: Any = None, *dependencies: str, secret: bool = False) -> dict[str, Any]:
    """An Output on the wire; without a value it is not known yet."""
    given = {SIGNATURE: OUTPUT, "dependencies": list(dependencies), "secret": secret}
    return given if value is None else {**given, "value": value}


def inputs(**changes: Any) -> dict[str, Any]:
    """The inputs of a MeshVm as YAML writes them."""
    return {
        "mesh": dict(MESH),
        "machineId": "i-1",
        "address": "10.0.0.7",
        "ssh": {"host": "203.0.113.7", "user": "admin", "port": 2222, "hostKey": HOST_KEY, "dialAttempts": 3},
        "serviceAccount": "bookinfo-ratings",
        "labels": {"app": "ratings"},
        "ports": [{"name": "http", "number": 9080, "protocol": "HTTP"}],
        "probe": {"http": {"port": 9080, "path": "/health"}, "periodSeconds": 2},
        "calls": [{"host": "details.bookinfo", "port": 9080}],
        "proxy": {"package": "https://packages.example/a.deb", "sha256": SHA256},
        "drainSeconds": 5,
        **changes,
    }


@pytest.fixture(scope="module")
def engine() -> Iterator[Monitor]:
    made = Monitor()
    yield made
    made.stop()


@pytest.fixture
def monitor(engine: Monitor) -> Monitor:
    """The engine, as if nothing had been registered."""
    engine.registered.clear()
    return engine


@pytest.fixture(scope="module")
def plugin(engine: Monitor) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """The plugin as the engine starts it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pulumi.run.plugin", "meshvm", engine.address],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "KUBECONFIG": "/nowhere"},
    )
    assert process.stdout
    port = int(process.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    process.terminate()
    process.wait()
    process.stdout.close()


def construct(
    plugin: provider_pb2_grpc.ResourceProviderStub, monitor: Monitor, given: Mapping[str, Any], **dependencies: str
) -> dict[str, Any]:
    """Construct a MeshVm in a preview, and return its outputs as on the wire."""
    struct = struct_pb2.Struct()
    json_format.ParseDict(dict(given), struct)
    request = provider_pb2.ConstructRequest(
        project="project",
        stack="stack",
        dryRun=True,
        parallel=16,
        monitorEndpoint=monitor.address,
        type="meshvm:index:MeshVm",
        name="ratings",
        inputs=struct,
        inputDependencies={
            key: provider_pb2.ConstructRequest.PropertyDependencies(urns=[urn]) for key, urn in dependencies.items()
        },
        accepts_output_values=True,
    )
    response = plugin.Construct(request, timeout=60)
    return json_format.MessageToDict(response.state)


def refused(plugin: provider_pb2_grpc.ResourceProviderStub, monitor: Monitor, given: Mapping[str, Any]) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        construct(plugin, monitor, given)
    return caught.value


def properties(error: Any) -> list[tuple[str, str]]:
    """The properties that an error names to the engine, with the reasons."""
    trailing = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    details = errors_pb2.InputPropertiesError()
    status.details[0].Unpack(details)
    return [(one.property_path, one.reason) for one in details.errors]


def test_a_vm_with_plain_values_is_registered_whole(
    plugin: provider_pb2_grpc.ResourceProviderStub, monitor: Monitor
) -> None:
    state = construct(plugin, monitor, inputs())
    assert set(monitor.registered) == {"ratings", *CHILDREN}
    assert state["entryName"] == "ratings-i-1-10-0-0-7"
    assert state["spiffeId"] == "spiffe://cluster.local/ns/bookinfo/sa/bookinfo-ratings"


def test_numbers_arrive_as_whole_numbers(plugin: provider_pb2_grpc.ResourceProviderStub, monitor: Monitor) -> None:
    """On the wire every number is a float: `9080.0` would be in file names, in labels and in rules."""
    construct(plugin, monitor, inputs())
    (triggers,) = monitor.inputs("ratings-join")["triggers"]
    assert triggers["ISTIO_INBOUND_PORTS"] == "9080"
    assert triggers["ISTIO_META_POD_PORTS"] == '[{"name":"http","containerPort":9080,"protocol":""}]'
    assert triggers["probe"] == '{"httpGet":{"path":"/health","port":9080},"periodSeconds":2}'
    assert monitor.inputs("ratings-drain")["delete"] == "sleep 5"


def test_a_machine_that_is_not_known_yet_hides_only_what_is_made_of_it(
    plugin: provider_pb2_grpc.ResourceProviderStub, monitor: Monitor
) -> None:
    machine = output(None, MACHINE)
    construct(plugin, monitor, inputs(machineId=machine, address=machine), machineId=MACHINE, address=MACHINE)
    (triggers,) = monitor.inputs("ratings-join")["triggers"]
    hidden = {name for name, value in triggers.items() if not isinstance(value, str) or value == UNKNOWN}
    assert hidden == {"machine", "instanceAddress", "ISTIO_SVC_IP", "ISTIO_META_WORKLOAD_ENTRY"}


def test_the_machine_is_found_from_its_id(plugin: provider_pb2_grpc.ResourceProviderStub, monitor: Monitor) -> None:
    """While it is unknown as when it is known."""
    for machine in (output(None, MACHINE), output("i-1", MACHINE)):
        construct(plugin, monitor, inputs(machineId=machine), machineId=MACHINE)
        assert monitor.registered["ratings-host"].deletedWith == MACHINE
        assert list(monitor.registered["ratings-entry"].replace_with) == [MACHINE]


def test_the_mesh_may_be_another_components_output(
    plugin: provider_pb2_grpc.ResourceProviderStub, monitor: Monitor
) -> None:
    source = "urn:pulumi:stack::project::meshvm:index:MeshExpansion::bookinfo"
    construct(plugin, monitor, inputs(mesh=output(dict(MESH), source)), mesh=source)
    (triggers,) = monitor.inputs("ratings-join")["triggers"]
    assert triggers["TRUST_DOMAIN"] == "cluster.local"
    assert set(monitor.registered) == {"ratings", *CHILDREN}


def test_a_mesh_that_is_not_known_yet_hides_what_is_made_of_it_and_registers_all(
    plugin: provider_pb2_grpc.ResourceProviderStub, monitor: Monitor
) -> None:
    source = "urn:pulumi:stack::project::meshvm:index:MeshExpansion::bookinfo"
    construct(plugin, monitor, inputs(mesh=output(None, source)), mesh=source)
    assert set(monitor.registered) == {"ratings", *CHILDREN}
    (triggers,) = monitor.inputs("ratings-join")["triggers"]
    assert triggers["rejoin"] == "1"


def test_a_secret_stays_one(plugin: provider_pb2_grpc.ResourceProviderStub, monitor: Monitor) -> None:
    ssh = {**inputs()["ssh"], "privateKey": output("the-private-key", secret=True)}
    construct(plugin, monitor, inputs(ssh=ssh))
    for name in ("ratings-host", "ratings-join"):
        connection = monitor.inputs(name)["connection"]
        held = connection.get("value", connection)
        key = held["privateKey"]
        assert connection.get(SIGNATURE) == SECRET or key.get(SIGNATURE) == SECRET or key.get("secret") is True


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"address": "not-an-address"}, "address: 'not-an-address' is not an IP address; write one"),
        ({"ports": [{"name": "http", "number": 0, "protocol": "HTTP"}]}, "ports[0].number: 0 is not a port; write"),
    ],
)
def test_a_mistake_is_one_sentence_without_a_traceback(
    plugin: provider_pb2_grpc.ResourceProviderStub, monitor: Monitor, changes: Mapping[str, Any], sentence: str
) -> None:
    details = str(refused(plugin, monitor, inputs(**changes)).details()).strip()
    assert f'MeshVm "ratings": {sentence}' in details
    assert "\n" not in details
    assert 'File "' not in details


@pytest.mark.parametrize(("key", "path"), [("address", "address"), ("ssh", "ssh")])
def test_what_is_missing_is_named(
    plugin: provider_pb2_grpc.ResourceProviderStub, monitor: Monitor, key: str, path: str
) -> None:
    error = refused(plugin, monitor, {name: one for name, one in inputs().items() if name != key})
    assert properties(error)[0][0] == path
