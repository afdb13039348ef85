"""Does the real engine hand a program's values to the component plugin as meshvm reads them?"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from lab.base.steps import Steps
from lab.lab import prepare_engine
from lab.stack import Stack, environment
from tests.samples import HOST_KEY, MESH, SHA256

CHILDREN = {"ratings-host", "ratings-drain", "ratings-sidecar", "ratings-entry", "ratings-join", "ratings-gate"}


class Remote(pulumi.ComponentResource):
    """A component that a plugin makes, as every language but Python asks for it."""

    def __init__(self, token: str, name: str, inputs: Mapping[str, Any], *outputs: str) -> None:
        super().__init__(token, name, {**dict.fromkeys(outputs), **inputs}, remote=True)

    def out(self, name: str) -> pulumi.Output[Any]:
        """An output by the plugin's name for it."""
        found: pulumi.Output[Any] = getattr(self, name)
        return found


def vm(mesh: pulumi.Input[Mapping[str, Any]]) -> None:
    Remote(
        "meshvm:index:MeshVm",
        "ratings",
        {
            "mesh": mesh,
            "machineId": "i-1",
            "address": "10.0.0.7",
            "ssh": {"host": "203.0.113.7", "hostKey": HOST_KEY, "privateKey": pulumi.Output.secret("the-private-key")},
            "serviceAccount": "bookinfo-ratings",
            "ports": [{"name": "http", "number": 9080, "protocol": "HTTP"}],
            "proxy": {"package": "https://packages.example/a.deb", "sha256": SHA256},
        },
    )


def with_a_plain_map() -> None:
    vm(dict(MESH))


def with_another_components_output() -> None:
    """Known only at the `up`, as there is no cluster."""
    inputs = {"mode": "EXISTING", "address": "192.0.2.10"}
    gateway = Remote("meshvm:index:VmGateway", "east-west", inputs, "endpoint")
    inputs_of_mesh = {"namespace": "bookinfo", "gateway": gateway.out("endpoint"), "kubeconfig": UNREACHABLE}
    vm(Remote("meshvm:index:MeshExpansion", "bookinfo", inputs_of_mesh, "mesh").out("mesh"))


UNREACHABLE = """
current-context: none
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: none, user: {token: none}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
"""


@pytest.mark.lab
@pytest.mark.parametrize("program", [with_a_plain_map, with_another_components_output])
def test_a_vm_of_another_language_is_previewed_whole(program: Callable[[], None], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    prepare_engine(tmp_path, Steps(), {})
    # The Kubernetes plugin wants credentials, and needs no cluster for a preview.
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(UNREACHABLE)
    env = environment(tmp_path, MESHVM_LAB=str(tmp_path), KUBECONFIG=str(kubeconfig))
    shown = Stack(tmp_path, "plugin", program, env=env).preview()
    assert not shown.error, shown.text
    assert set(shown.names("create")) >= CHILDREN
    assert "the-private-key" not in shown.text
