"""What a machine may call and be called by is declared at once, taken as it is, and changed in place."""

from typing import Any

import pytest

import meshvm
from lab.lab import healthy
from tests.life.world import World

pytestmark = pytest.mark.lab


def sidecar(world: World) -> dict[str, Any]:
    path = f"/apis/networking.istio.io/v1/namespaces/{world.name}/sidecars/vm"
    spec: dict[str, Any] = world.lab.cluster.admin.ask("GET", path).body["spec"]
    return spec


def test_hosts_policy_and_listeners_are_in_the_machines_own_sidecar_and_change_nothing_else(world: World) -> None:
    machine = world.boot()
    world.args |= {
        "annotations": {"proxy.istio.io/config": "drainDuration: 10s"},
        "calls": [{"host": "details.bookinfo", "port": 9080}],
        "egress_hosts": ["*/api.example.com"],
        "outbound": meshvm.OutboundPolicy.REGISTRY_ONLY,
        "listeners": [
            {
                "port": {"name": "admin", "number": 9443, "protocol": meshvm.Protocol.HTTP},
                "default_endpoint": "127.0.0.1:9080",
            }
        ],
    }
    world.made(world.existing(machine))
    assert [healthy(entry) for entry in world.entries()] == [True]
    found = sidecar(world)
    assert "*/api.example.com" in found["egress"][0]["hosts"]
    assert found["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}
    assert [listener["port"]["number"] for listener in found["ingress"]] == [9080, 9443]
    settings = world.machine(machine["id"]).run("cat", "/etc/istio/config/mesh", "/var/lib/istio/envoy/cluster.env")
    assert "drainDuration" in settings.stdout
    assert "ISTIO_INBOUND_PORTS='9080,9443'" in settings.stdout
    assert world.made(world.existing(machine)).steps == []

    world.args["outbound"] = meshvm.OutboundPolicy.ALLOW_ANY
    world.args["egress_hosts"] = ["*/api.example.com", "*/other.example.com"]
    changed = world.made(world.existing(machine))
    assert changed.names("update") == ["vm-sidecar"]
    assert changed.names("create", "replace", "create-replacement", "delete") == []
