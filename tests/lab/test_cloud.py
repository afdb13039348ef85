"""Does the lab's cloud write down every call, refuse the one it was told to, and boot what it is asked for?"""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.base.errors import LabError
from lab.cloud.client import CloudClient, CloudRefused
from lab.cloud.host import CloudHost
from lab.cloud.journal import Journal
from lab.machines.network import Network
from lab.machines.root import Root
from tests.lab.keys import Key

INSTANCE = "aws:ec2/instance:Instance"


def test_the_nth_call_fails_as_told_and_only_that(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls")
    journal.fail_nth(f"ec2:RunInstances {INSTANCE}", 2, "no capacity")
    run, other = {"call": "ec2:RunInstances", "type": INSTANCE}, {"call": "ec2:CreateTags", "type": INSTANCE}
    assert [journal.write(entry) for entry in (run, other, run, run)] == [None, None, "no capacity", None]


def test_two_failures_of_one_call_both_count_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls")
    journal.fail_nth("*", 1, "first")
    journal.fail_nth("ec2:*", 2, "second")
    assert [journal.write({"call": "ec2:A", "type": ""}) for _ in range(3)] == ["first", "second", None]


def test_two_failures_due_at_one_call_refuse_two_calls(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls")
    journal.fail_nth("*", 1, "first")
    journal.fail_nth("*", 1, "second")
    assert [journal.write({"call": "ec2:A", "type": ""}) for _ in range(3)] == ["first", "second", None]


def test_a_refused_call_is_in_the_journal_as_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls")
    journal.fail_nth("*", 1, "no")
    journal.write({"call": "ec2:A", "type": "t"})
    journal.write({"call": "ec2:B", "type": "t"})
    assert [(entry["call"], entry.get("refused")) for entry in journal.entries()] == [("ec2:A", "no"), ("ec2:B", None)]
    assert journal.entries("ec2:B")[0]["at"] >= journal.entries("ec2:A")[0]["at"]


def test_a_lab_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CloudRefused, match="is the lab running"):
        CloudClient(tmp_path / "none").instance("i-1")


@pytest.fixture(scope="module")
def cloud(root: Root, network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudHost]:
    host = CloudHost(tmp_path_factory.mktemp("run"), network, root)
    host.start()
    host.ready()
    yield host
    host.stop()


@pytest.fixture
def client(cloud: CloudHost) -> CloudClient:
    return CloudClient(cloud.socket)


@pytest.mark.lab
def test_a_call_is_journaled_with_what_the_plugin_says(cloud: CloudHost, client: CloudClient) -> None:
    client.call("ec2:CreateVolume", type="aws:ebs/volume:Volume", name="data", inputs={"size": 8, "odd": object()})
    entry = cloud.calls.entries("ec2:CreateVolume")[0]
    assert (entry["type"], entry["name"], entry["id"]) == ("aws:ebs/volume:Volume", "data", "")
    assert entry["inputs"] == {"size": 8, "odd": "[object]"}


@pytest.mark.lab
def test_a_call_that_is_told_to_fail_reaches_the_plugin_with_its_message(cloud: CloudHost, client: CloudClient) -> None:
    cloud.fail_nth("ec2:Attach* aws:*", 1, "the volume is in use")
    with pytest.raises(CloudRefused, match=r"^the volume is in use$"):
        client.call("ec2:AttachVolume", type="aws:ec2/volumeAttachment:VolumeAttachment", name="data", inputs={})


@pytest.mark.lab
def test_an_instance_can_be_reached_by_the_key_it_was_given_until_it_is_terminated(
    cloud: CloudHost, client: CloudClient, key: Key
) -> None:
    made = client.run_instance("Web One", user="ubuntu", authorized_keys=[key.public])
    machine = cloud.machine(made["id"])
    machine.ready()
    done = subprocess.run(key.ssh(machine, "id -un", user="ubuntu"), capture_output=True, text=True, check=False)
    assert done.stdout == "ubuntu\n", done.stderr
    assert client.instance(made["id"]) == made
    client.terminate_instance(made["id"])
    client.terminate_instance(made["id"])
    assert client.instance(made["id"]) is None


@pytest.mark.lab
def test_a_stopped_instance_starts_again_with_its_disk_and_addresses(cloud: CloudHost, client: CloudClient) -> None:
    made = client.run_instance("web")
    machine = cloud.machine(made["id"])
    machine.path("/root/kept").touch()
    client.stop_instance(made["id"])
    assert client.instance(made["id"]) == {**made, "state": "stopped"}
    client.start_instance(made["id"])
    machine.ready()
    assert client.instance(made["id"]) == made
    assert machine.path("/root/kept").exists()
    client.terminate_instance(made["id"])


@pytest.mark.lab
def test_instances_of_one_name_boot_side_by_side(cloud: CloudHost, client: CloudClient) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(client.run_instance, ["web"] * 4))
    assert len({instance["private_ip"] for instance in made}) == 4
    for instance in made:
        cloud.machine(instance["id"]).ready()
        client.terminate_instance(instance["id"])


@pytest.mark.lab
def test_user_data_that_cannot_be_applied_makes_no_instance(cloud: CloudHost, client: CloudClient) -> None:
    before = cloud.instances
    with pytest.raises(CloudRefused, match="unknown key 'apt'"):
        client.run_instance("web", user_data="#cloud-config\napt: {}\n")
    assert cloud.instances == before


@pytest.mark.lab
def test_stop_ends_every_machine(root: Root, network: Network, tmp_path: Path) -> None:
    # Beside the shared one: its socket must not be in the way.
    second = Network(tmp_path)
    second.start()
    host = CloudHost(tmp_path, second, root)
    host.start()
    host.ready()
    machine = host.machine(CloudClient(host.socket).run_instance("web")["id"])
    host.stop()
    assert not machine.running
    with pytest.raises(CloudRefused, match="is the lab running"):
        CloudClient(host.socket).instance("i-1")
    second.stop()


@pytest.mark.lab
def test_an_unknown_instance_is_an_error_that_names_those_there_are(cloud: CloudHost) -> None:
    with pytest.raises(LabError, match=r"no instance 'i-x'; there are: "):
        cloud.machine("i-x")
