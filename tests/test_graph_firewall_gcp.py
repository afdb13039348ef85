"""Are the rules on Google Cloud those of the flows: for one target, both ways, in the network of a shared VPC?"""

from typing import Any

import pytest

import meshvm
from meshvm.testing import UNKNOWN, FakeCluster, Recorded, record
from tests.samples import ENDPOINT, Machine, http_port, vm_args

pytest.importorskip(
    "pulumi_gcp",
    reason="the extra gcp is not in the lock, because it is as large as all the rest: pip install 'meshvm[gcp]'",
)

# pulumi_gcp announces its own old resources whenever gcp.compute is imported.
pytestmark = pytest.mark.filterwarnings("ignore:gcp[.]:DeprecationWarning")

NETWORK = "projects/host/global/networks/shared"
TAGGED = {"network": NETWORK, "target_tag": "ratings"}
FIREWALL = {"peer_cidrs": ["10.0.0.0/16", "fd00::/8"], "ssh_from": ["192.0.2.0/24"]}


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def preview(request: pytest.FixtureRequest) -> bool:
    """Each test that asks for it holds in both."""
    return bool(request.param)


def rules(*, preview: bool = False, **changes: Any) -> dict[str, Recorded]:
    def run() -> None:
        machine = Machine("vm")
        given = {"machine_id": machine.id, "address": machine.address, **changes}
        meshvm.MeshVm("ratings", vm_args(**given))

    found = record(run, preview=preview, outputs={"vm": {"address": "10.0.0.7"}})
    return {name: one for name, one in found.items() if one.type.startswith("gcp:")}


def test_each_rule_is_for_the_target_and_has_one_source_or_destination(preview: bool) -> None:
    found = rules(preview=preview, gcp={**TAGGED, "peer_tag": "nodes", "priority": 900}, firewall=FIREWALL)
    assert {name: (one.inputs["direction"], one.inputs["allows"][0]["ports"]) for name, one in found.items()} == {
        "ratings-ssh-192-0-2-0-24": ("INGRESS", ["22"]),
        "ratings-istiod": ("EGRESS", ["15012"]),
        "ratings-port-http-10-0-0-0-16": ("INGRESS", ["9080"]),
        "ratings-port-http-fd00---8": ("INGRESS", ["9080"]),
        "ratings-port-http-peers": ("INGRESS", ["9080"]),
        "ratings-call-9080-10-0-0-0-16": ("EGRESS", ["9080"]),
        "ratings-call-9080-fd00---8": ("EGRESS", ["9080"]),
    }
    for one in found.values():
        assert one.inputs["targetTags"] == ["ratings"]
        assert (one.inputs["network"], one.inputs["priority"]) == (NETWORK, 900)
        ends = [one.inputs[key] for key in ("sourceRanges", "sourceTags", "destinationRanges") if key in one.inputs]
        assert [len(end) for end in ends] == [1]
    assert found["ratings-port-http-peers"].inputs["sourceTags"] == ["nodes"]
    assert found["ratings-istiod"].inputs["destinationRanges"] == ["192.0.2.10/32"]


def test_service_accounts_are_targets_and_sources(preview: bool) -> None:
    gcp = {
        "network": "default",
        "project": "host",
        "target_service_account": "vm@p",
        "ssh_service_account": "bastion@p",
    }
    found = rules(preview=preview, gcp=gcp, ports=None, calls=None)
    assert {one.inputs["project"] for one in found.values()} == {"host"}
    ssh = found["ratings-ssh-source"].inputs
    assert (ssh["targetServiceAccounts"], ssh["sourceServiceAccounts"]) == (["vm@p"], ["bastion@p"])
    assert not {"targetTags", "sourceTags", "sourceRanges"} & ssh.keys()


def test_the_other_ends_rules_are_for_the_nodes_and_carry_the_machines_address(preview: bool) -> None:
    """A load balancer that passes packets through has no firewall of its own."""
    found = rules(preview=preview, gcp={**TAGGED, "nodes_tag": "nodes"}, firewall=FIREWALL)
    far = {name: one for name, one in found.items() if one.inputs["targetTags"] == ["nodes"]}
    address = UNKNOWN if preview else "10.0.0.7/32"
    ranges = {name: (one.inputs.get("sourceRanges"), one.inputs.get("destinationRanges")) for name, one in far.items()}
    assert ranges == {
        "ratings-istiod-load-balancer": ([address], None),
        "ratings-port-http-nodes": (None, [address]),
        "ratings-call-9080-nodes": ([address], None),
    }
    assert {tuple(one.options["replace_on_changes"]) for one in far.values()} == {("sourceRanges", "destinationRanges")}


def test_machines_with_one_tag_share_its_rules(preview: bool) -> None:
    def fleet() -> None:
        shared = {"name": "fleet", "ports": [http_port()], "firewall": FIREWALL, "gcp": TAGGED}
        args: Any = {"namespace": "bookinfo", "gateway": dict(ENDPOINT), "shared_rules": [shared]}
        expansion = meshvm.MeshExpansion("shop", args)
        given = {"mesh": expansion.mesh, "gcp": {**TAGGED, "nodes_tag": "nodes"}, "firewall": {"shared": True}}
        meshvm.MeshVm("one", vm_args(**given, calls=None))

    recording = record(fleet, preview=preview, cluster_answers=FakeCluster())
    of_one = {name for name, one in recording.items() if one.type.startswith("gcp:") and one.parent == "one"}
    assert of_one == {"one-istiod-load-balancer", "one-port-http-nodes"}
    assert "shop-fleet-ssh-192-0-2-0-24" in recording["one-host"].depends_on


def test_two_machines_that_would_declare_one_rule_for_a_tag_are_refused() -> None:
    def two() -> None:
        for name, address in (("one", "10.0.0.7"), ("other", "10.0.0.8")):
            meshvm.MeshVm(name, vm_args(machine_id=name, address=address, gcp=TAGGED))

    with pytest.raises(Exception, match=r"gcp\.target_tag: the rule 'istiod' on 'ratings' is that of MeshVm"):
        record(two, preview=True)


def test_one_tag_in_two_networks_is_two() -> None:
    def two() -> None:
        for name, address in (("one", "10.0.0.7"), ("other", "10.0.0.8")):
            meshvm.MeshVm(name, vm_args(machine_id=name, address=address, gcp={**TAGGED, "network": name}))

    assert len([one for one in record(two).values() if one.type.startswith("gcp:")]) == 2


def test_a_long_name_leaves_room_for_what_the_provider_adds() -> None:
    long = {"peer_cidrs": ["2001:db8:1234:5678:9abc:def0:1234:0/112", "2001:db8:1234:5678:9abc:def0:1235:0/112"]}
    found = rules(gcp=TAGGED, firewall=long, calls=None)
    assert max(map(len, found)) <= 55
    assert len(found) == 3


def test_the_machine_is_told_its_platform() -> None:
    def run() -> None:
        meshvm.MeshVm("ratings", vm_args(gcp=TAGGED))

    (triggers,) = record(run)["ratings-join"].inputs["triggers"]
    assert triggers["CLOUD_PLATFORM"] == "gcp"
