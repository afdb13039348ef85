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


@pytest.mark.parametrize(("key", "path"), [("address", "address"), ("ssh", "ssh")])
def test_what_is_missing_is_named(
    plugin: provider_pb2_grpc.ResourceProviderStub, monitor: Monitor, key: str, path: str
) -> None:
    error = refused(plugin, monitor, {name: one for name, one in inputs().items() if name != key})
    assert properties(error)[0][0] == path
