"""Do the stand-ins of the cloud plugins behave as the originals where it matters, on the real engine?"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pulumi
import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from lab.base.steps import Steps
from lab.cloud.host import CloudHost
from lab.cloud.objects import CloudObject, Objects, all_objects
from lab.engine import Engine, find_or_build
from tests.lab.engine_program import EngineProgram, Raw, drop_what_the_sdk_left_open

pytestmark = pytest.mark.lab

GROUP = "aws:ec2/securityGroup:SecurityGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
INSTANCE = "aws:ec2/instance:Instance"
KEY_PAIR = "aws:ec2/keyPair:KeyPair"
PRIVATE_KEY = "tls:index/privateKey:PrivateKey"
DEBIAN = "ami-0deb1a00000000012"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHuVCTjvZY1OZeQOFRRiIDcGj/xKTxGcQZPJUrWSZQPl"


class FakeMachine:
    """In place of a lab machine: it has addresses and can be ended, nothing boots."""

    count = 0

    def __init__(self, name: str, root: object, network: object, logs: Path, seed: Any) -> None:
        FakeMachine.count += 1
        self.name, self.log, self.seed, self.user, self.running = name, logs / name, seed, seed.user, False
        self.private_ip, self.public_ip = f"198.18.1.{FakeMachine.count}", f"198.19.1.{FakeMachine.count}"
        self.starts = 0

    def start(self) -> None:
        self.running, self.starts = True, self.starts + 1

    def stop(self) -> None:
        self.running = False

    shut_down = stop


class Cloud:
    """The lab's real cloud host with machines that are none."""

    def __init__(self, run: Path) -> None:
        self.run = run
        network = SimpleNamespace(folder=run)
        self.host = CloudHost(run, cast("Any", network), cast("Any", None))

    def calls(self) -> list[str]:
        """Every call so far, `call name`."""
        return [f"{entry['call']} {entry['name']}" for entry in self.host.calls.entries()]

    def machine(self, index: int = 0) -> FakeMachine:
        """A running machine, in the order of creation."""
        return cast("FakeMachine", self.host.machine(self.host.instances[index]))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return find_or_build(Steps())


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setattr("lab.cloud.host.Machine", FakeMachine)
    run = tmp_path / "lab"
    run.mkdir()
    cloud = Cloud(run)
    cloud.host.start()
    cloud.host.ready()
    yield cloud
    cloud.host.stop()


@pytest.fixture
def stack(tmp_path: Path, engine: Engine, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineProgram]:
    environment = {"MESHVM_LAB": str(cloud.run), "MESHVM_CLOUD": str(cloud.host.socket)}
    yield EngineProgram(tmp_path / "stack", engine.binary, ("aws", "gcp", "tls"), environment, monkeypatch)
    drop_what_the_sdk_left_open()


def rule(name: str, group: Any, port: int, opts: pulumi.ResourceOptions | None = None, **more: Any) -> Raw:
    given = {"securityGroupId": group, "ipProtocol": "tcp", "fromPort": port, "toPort": port, "cidrIpv4": "10.0.0.0/16"}
    return Raw(INGRESS, name, {**given, **more}, opts=opts)


def machine(name: str, opts: pulumi.ResourceOptions | None = None, **given: Any) -> Raw:
    inputs = {"ami": DEBIAN, "instanceType": "t3.small", **given}
    return Raw(INSTANCE, name, inputs, ("privateIp", "publicIp"), opts)


def firewalled_machine(port: int = 22, **given: Any) -> None:
    """A key pair, a group with one rule, a machine in it."""
    key = Raw(KEY_PAIR, "key", {"publicKey": PUBLIC_KEY + "\n"}, ("keyName",))
    group = Raw(GROUP, "group", {})
    opened = rule("ssh", group.id, port)
    after = pulumi.ResourceOptions(depends_on=[opened])
    vm = machine("vm", after, keyName=key.out("keyName"), vpcSecurityGroupIds=[group.id], **given)
    pulumi.export("public", vm.out("publicIp"))


def test_a_preview_reaches_no_cloud(stack: EngineProgram, cloud: Cloud) -> None:
    stack.program = firewalled_machine
    cloud.host.stop()
    done = stack.preview()
    assert not done.error
    assert sorted(done.steps) == ["create group", "create key", "create ssh", "create vm"]
    assert all_objects(cloud.run) == {}
    assert cloud.calls() == []


def test_a_machine_is_booted_with_its_key_pair_and_user_data_and_ended_at_the_end(
    stack: EngineProgram, cloud: Cloud
) -> None:
    stack.program = lambda: firewalled_machine(userData="#cloud-config\nhostname: vm\n")
    done = stack.up()
    booted = cloud.machine()
    assert done.outputs["public"] == booted.public_ip
    assert (booted.seed.user, booted.seed.authorized_keys) == ("admin", (PUBLIC_KEY,))
    assert booted.seed.user_data == "#cloud-config\nhostname: vm\n"
    assert stack.up().steps == []
    assert not stack.destroy().error
    assert cloud.host.instances == []
    assert all_objects(cloud.run) == {}
    names = [call.split()[0] for call in cloud.calls()]
    assert names[2:6] == [
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:RunInstances",
        "ec2:TerminateInstances",
        "ec2:RevokeSecurityGroupIngress",
    ]
    assert sorted(names[:2]) == ["ec2:CreateSecurityGroup", "ec2:ImportKeyPair"]
    assert sorted(names[6:]) == ["ec2:DeleteKeyPair", "ec2:DeleteSecurityGroup"]


def test_user_data_stops_and_starts_an_instance_and_an_image_replaces_it(stack: EngineProgram, cloud: Cloud) -> None:
    stack.program = lambda: firewalled_machine(userData="one")
    stack.up()
    stack.program = lambda: firewalled_machine(userData="two")
    assert stack.up().steps == ["update vm"]
    assert cloud.machine().starts == 2
    assert cloud.calls()[-3:] == ["ec2:StopInstances vm", "ec2:ModifyInstanceAttribute vm", "ec2:StartInstances vm"]
    stack.program = lambda: firewalled_machine(userData="two", ami="ami-0b0b0000000002404")
    steps = stack.up().steps
    assert [step for step in steps if step.endswith(" vm")] == [
        "create-replacement vm",
        "replace vm",
        "delete-replaced vm",
    ]
    assert cloud.machine().seed.user == "ubuntu"
    assert len(cloud.host.instances) == 1


def test_user_data_replaces_an_instance_that_says_so(stack: EngineProgram, cloud: Cloud) -> None:
    stack.program = lambda: firewalled_machine(userData="one", userDataReplaceOnChange=True)
    stack.up()
    stack.program = lambda: firewalled_machine(userData="two", userDataReplaceOnChange=True)
    assert "replace vm" in stack.up().steps


def test_a_rule_is_changed_in_place_and_replaced_when_its_source_is_of_another_type(
    stack: EngineProgram, cloud: Cloud
) -> None:
    def program(**source: Any) -> None:
        group = Raw(GROUP, "group", {})
        given = {"securityGroupId": group.id, "ipProtocol": "tcp", "fromPort": 1, "toPort": 2}
        own = source or {"referencedSecurityGroupId": group.id}
        Raw(INGRESS, "rule", {**given, **own})

    stack.program = lambda: program(cidrIpv4="10.0.0.0/16")
    stack.up()
    stack.program = lambda: program(cidrIpv4="10.1.0.0/16")
    assert stack.up().steps == ["update rule"]
    assert cloud.calls()[-1] == "ec2:ModifySecurityGroupRules rule"
    stack.program = program
    done = stack.up()
    assert "replace rule" in done.steps
    assert done.diffs["rule"] == ["cidrIpv4", "referencedSecurityGroupId"]


def test_the_same_rule_twice_in_one_group_is_refused(stack: EngineProgram, cloud: Cloud) -> None:
    def program() -> None:
        group = Raw(GROUP, "group", {})
        first = rule("first", group.id, 15012)
        rule("second", group.id, 15012, opts=pulumi.ResourceOptions(depends_on=[first]), ipProtocol="6")

    stack.program = program
    error = stack.up().error
    assert "api error InvalidPermission.Duplicate: the specified rule" in error
    assert '"peer: 10.0.0.0/16, TCP, from port: 15012, to port: 15012, ALLOW" already exists' in error


def test_a_rule_is_refused_for_an_apostrophe_in_its_description(stack: EngineProgram, cloud: Cloud) -> None:
    def program() -> None:
        rule("rule", Raw(GROUP, "group", {}).id, 15012, description="the cluster's network")

    stack.program = program
    assert "api error InvalidParameterValue: Invalid rule description" in stack.up().error


def test_the_sixty_first_rule_of_a_group_is_refused(stack: EngineProgram, cloud: Cloud) -> None:
    def program() -> None:
        ports = [{"protocol": "tcp", "fromPort": n, "toPort": n, "cidrBlocks": ["10.0.0.0/8"]} for n in range(1, 60)]
        group = Raw(GROUP, "group", {"ingress": ports})
        sixtieth = rule("sixtieth", group.id, 100)
        rule_of = {"securityGroupId": group.id, "ipProtocol": "-1", "cidrIpv4": "10.0.0.0/8"}
        Raw(INGRESS, "one-more", rule_of, opts=pulumi.ResourceOptions(depends_on=[sixtieth]))

    stack.program = program
    error = stack.up().error
    assert "RulesPerSecurityGroupLimitExceeded" in error
    assert len([item for item in all_objects(cloud.run).values() if item.kind == INGRESS]) == 1


def test_a_rule_without_exactly_one_source_fails_the_preview(stack: EngineProgram, cloud: Cloud) -> None:
    def program() -> None:
        rule("both", "sg-0", 22, referencedSecurityGroupId="sg-1")

    stack.program = program
    assert "Exactly one of these attributes must be configured" in stack.preview().error


def test_a_rule_of_a_group_that_does_not_exist_is_refused(stack: EngineProgram, cloud: Cloud) -> None:
    stack.program = lambda: cast("None", rule("lost", "sg-0123", 22))
    assert "InvalidGroup.NotFound: The security group 'sg-0123' does not exist" in stack.up().error


def test_a_group_in_use_is_not_deleted(stack: EngineProgram, cloud: Cloud) -> None:
    """The engine deletes the machine first; a machine of somebody else's program keeps the group alive."""
    stack.program = lambda: cast("None", Raw(GROUP, "group", {}))
    stack.up()
    group = stack.state("group")["id"]
    Objects(cloud.run).put(CloudObject("i-other", INSTANCE, {}, {"vpcSecurityGroupIds": [group]}))
    assert f"DependencyViolation: resource {group} has a dependent object" in stack.destroy().error
    Objects(cloud.run).remove("i-other")
    assert not stack.destroy().error


def test_a_group_with_a_fixed_name_is_deleted_before_it_is_replaced(stack: EngineProgram, cloud: Cloud) -> None:
    def program(name: str | None, description: str) -> None:
        Raw(GROUP, "group", {"name": name, "description": description})

    stack.program = lambda: program("fixed", "one")
    stack.up()
    stack.program = lambda: program("fixed", "two")
    assert stack.up().steps == ["delete-replaced group", "replace group", "create-replacement group"]
    stack.program = lambda: program(None, "two")
    assert "replace group" in stack.up().steps
    made_up = stack.state("group")["inputs"]["name"]
    assert made_up.startswith("group-")
    stack.program = lambda: program(None, "three")
    steps = stack.up().steps
    assert steps == ["create-replacement group", "replace group", "delete-replaced group"]
    assert stack.state("group")["inputs"]["name"] != made_up


def test_a_failed_call_leaves_the_rest_and_the_next_up_completes(stack: EngineProgram, cloud: Cloud) -> None:
    def program() -> None:
        group = Raw(GROUP, "group", {})
        for port in (1, 2, 3):
            rule(f"port-{port}", group.id, port)

    cloud.host.fail_nth("ec2:AuthorizeSecurityGroupIngress *", 2, "RequestLimitExceeded: Request limit exceeded.")
    stack.program = program
    done = stack.up()
    assert "RequestLimitExceeded: Request limit exceeded." in done.error
    before = all_objects(cloud.run)
    assert GROUP in {item.kind for item in before.values()}
    assert len(before) < 4
    done = stack.up()
    assert not done.error
    assert all(step.startswith("create port-") for step in done.steps)
    assert before.keys() < all_objects(cloud.run).keys()
    assert len(all_objects(cloud.run)) == 4


def test_secrets_stay_secret_in_state_journal_store_and_log(stack: EngineProgram, cloud: Cloud) -> None:
    stack.program = lambda: firewalled_machine(userData=pulumi.Output.secret("#cloud-config\n# hush-hush\n"))
    stack.up()
    assert cloud.machine().seed.user_data == "#cloud-config\n# hush-hush\n"
    state = stack.state("vm")
    for side in ("inputs", "outputs"):
        assert state[side]["userData"]["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"
    for file in (path for path in cloud.run.rglob("*") if path.is_file()):
        assert "hush-hush" not in file.read_text(), file
    entry = cloud.host.calls.entries("ec2:RunInstances")[0]
    assert entry["inputs"]["userData"] == "[secret]"
    assert stack.up().steps == []


def test_a_type_that_the_stand_in_does_not_know_is_named(stack: EngineProgram) -> None:
    stack.program = lambda: cast("None", Raw("aws:s3/bucket:Bucket", "bucket", {}))
    assert "does not know the resource type aws:s3/bucket:Bucket" in stack.preview().error


def test_a_function_that_the_stand_in_does_not_know_is_named(stack: EngineProgram) -> None:
    def program() -> None:
        pulumi.runtime.invoke("gcp:dns/getKeys:getKeys", {})

    stack.program = program
    assert "does not know the function gcp:dns/getKeys:getKeys" in stack.preview().error


def test_a_refresh_drops_a_machine_that_is_gone_and_sees_what_was_changed(stack: EngineProgram, cloud: Cloud) -> None:
    stack.program = firewalled_machine
    stack.up()
    group = stack.state("group")
    Objects(cloud.run).put(
        CloudObject(group["id"], GROUP, {**group["inputs"], "tags": {"by": "hand"}}, {"tagsAll": {"by": "hand"}})
    )
    cloud.host.machine(cloud.host.instances[0]).stop()
    cloud.host._machines.clear()
    assert not stack.refresh().error
    assert "vm" not in stack.names()
    assert stack.state("group")["outputs"]["tags"] == {"by": "hand"}
    done = stack.up()
    assert set(done.steps) == {"create vm", "update group"}


def test_the_real_sdk_reads_the_stand_ins_outputs(stack: EngineProgram, cloud: Cloud) -> None:
    aws = pytest.importorskip("pulumi_aws", reason="needs the extra `aws`")

    def program() -> None:
        debian = [{"name": "name", "values": ["debian-12-*"]}]
        image = aws.ec2.get_ami(most_recent=True, owners=["136693071363"], filters=debian)
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        subnet = aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.1.0/24")
        gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id)
        table = aws.ec2.RouteTable("table", vpc_id=vpc.id)
        aws.ec2.Route("route", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", gateway_id=gateway.id)
        aws.ec2.RouteTableAssociation("association", route_table_id=table.id, subnet_id=subnet.id)
        out = [{"protocol": "-1", "from_port": 0, "to_port": 0, "cidr_blocks": ["0.0.0.0/0"]}]
        group = aws.ec2.SecurityGroup("group", vpc_id=vpc.id, egress=out)
        ssh = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_ipv4": "198.19.0.0/16"}
        aws.vpc.SecurityGroupIngressRule("rule", security_group_id=group.id, **ssh)
        place = {"subnet_id": subnet.id, "vpc_security_group_ids": [group.id]}
        vm = aws.ec2.Instance("vm", ami=image.id, instance_type="t3.small", **place)
        eip = aws.ec2.Eip("eip", instance=vm.id)
        pulumi.export("private", vm.private_ip)
        pulumi.export("vm", vm.public_ip)
        pulumi.export("public", eip.public_ip)
        pulumi.export("group", group.arn)
        pulumi.export("default", vpc.default_security_group_id)

    stack.program = program
    assert not stack.preview().error
    done = stack.up()
    booted = cloud.machine()
    assert not done.error
    assert done.outputs["vm"] == ""  # neither the machine nor its subnet asks for a public address
    assert (done.outputs["private"], done.outputs["public"]) == (booted.private_ip, booted.public_ip)
    assert done.outputs["group"].startswith("arn:aws:ec2:us-east-1:123456789012:security-group/sg-0")
    assert done.outputs["default"].startswith("sg-0")
    assert stack.up().steps == []
    assert not stack.destroy().error
    assert all_objects(cloud.run) == {}


def gcp_program(machine_type: str = "e2-small", *, allow: bool = False, cidr: str = "10.0.0.0/24") -> None:
    network = Raw("gcp:compute/network:Network", "network", {"autoCreateSubnetworks": False}, ("selfLink",))
    subnetwork = Raw(
        "gcp:compute/subnetwork:Subnetwork", "sub", {"network": network.id, "ipCidrRange": cidr}, ("selfLink",)
    )
    firewall = {"network": network.out("selfLink"), "allows": [{"protocol": "tcp", "ports": ["22"]}]}
    Raw("gcp:compute/firewall:Firewall", "ssh", {**firewall, "sourceRanges": ["198.19.0.0/16"], "targetTags": ["vm"]})
    keys = pulumi.Output.secret(f"debian:{PUBLIC_KEY}")
    interfaces = [{"subnetwork": subnetwork.out("selfLink"), "accessConfigs": [{}]}]
    given = {"zone": "us-central1-a", "machineType": machine_type, "networkInterfaces": interfaces, "tags": ["vm"]}
    more: dict[str, Any] = {
        "bootDisk": {"initializeParams": {"image": "debian-cloud/debian-12"}},
        "allowStoppingForUpdate": allow,
    }
    metadata = {"ssh-keys": keys, "user-data": "#cloud-config\nhostname: vm\n"}
    vm = Raw("gcp:compute/instance:Instance", "vm", {**given, **more, "metadata": metadata}, ("instanceId",))
    pulumi.export("public", vm.out("networkInterfaces").apply(lambda nics: nics[0]["accessConfigs"][0]["natIp"]))


def test_a_machine_of_google_cloud_has_the_user_and_key_of_its_metadata(stack: EngineProgram, cloud: Cloud) -> None:
    stack.program = gcp_program
    assert not stack.preview().error
    assert cloud.calls() == []
    done = stack.up()
    assert not done.error
    booted = cloud.machine()
    assert done.outputs["public"] == booted.public_ip
    assert (booted.seed.user, booted.seed.authorized_keys) == ("debian", (PUBLIC_KEY,))
    assert stack.up().steps == []
    made = stack.state("vm")
    assert made["id"] == f"projects/lab-project/zones/us-central1-a/instances/{made['inputs']['name']}"
    assert not stack.destroy().error
    assert all_objects(cloud.run) == {}
    assert cloud.host.instances == []


def test_google_cloud_stops_a_machine_only_when_allowed(stack: EngineProgram, cloud: Cloud) -> None:
    stack.program = gcp_program
    stack.up()
    stack.program = lambda: gcp_program("e2-medium")
    assert "allow_stopping_for_update = true" in stack.up().error
    assert cloud.machine().starts == 1
    stack.program = lambda: gcp_program("e2-medium", allow=True)
    assert stack.up().steps == ["update vm"]
    assert cloud.machine().starts == 2


def test_a_range_grows_in_place_and_is_replaced_when_it_moves(stack: EngineProgram, cloud: Cloud) -> None:
    def program(cidr: str) -> None:
        network = Raw("gcp:compute/network:Network", "network", {})
        Raw("gcp:compute/subnetwork:Subnetwork", "sub", {"network": network.id, "ipCidrRange": cidr})

    stack.program = lambda: program("10.0.0.0/24")
    stack.up()
    stack.program = lambda: program("10.0.0.0/20")
    assert stack.up().steps == ["update sub"]
    stack.program = lambda: program("10.9.0.0/24")
    assert "replace sub" in stack.up().steps


@pytest.mark.parametrize(
    "given", [{"algorithm": "ED25519"}, {"algorithm": "ECDSA", "ecdsaCurve": "P256"}, {"algorithm": "RSA"}]
)
def test_a_private_key_is_secret_and_its_public_line_ends_with_a_newline(
    stack: EngineProgram, tmp_path: Path, given: dict[str, str]
) -> None:
    stack.program = lambda: cast("None", Raw(PRIVATE_KEY, "key", given))
    assert not stack.preview().error
    stack.up()
    outputs = stack.state("key")["outputs"]
    for name in ("privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"):
        assert outputs[name]["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"
    line = outputs["publicKeyOpenssh"]
    assert line.endswith("\n")
    private = load_ssh_private_key(json.loads(outputs["privateKeyOpenssh"]["plaintext"]).encode(), None)
    assert private.public_key() == load_ssh_public_key(line.encode())
    (tmp_path / "key.pub").write_text(line)
    told = subprocess.run(["ssh-keygen", "-lf", tmp_path / "key.pub"], capture_output=True, text=True, check=True)
    assert outputs["publicKeyFingerprintSha256"] in told.stdout


def test_another_algorithm_makes_another_key(stack: EngineProgram) -> None:
    stack.program = lambda: cast("None", Raw(PRIVATE_KEY, "key", {"algorithm": "ED25519"}))
    stack.up()
    assert stack.up().steps == []
    stack.program = lambda: cast("None", Raw(PRIVATE_KEY, "key", {"algorithm": "ECDSA", "ecdsaCurve": "P384"}))
    assert "replace key" in stack.up().steps


def test_no_plugin_outlives_its_engine(stack: EngineProgram) -> None:
    stack.program = lambda: cast("None", Raw(PRIVATE_KEY, "key", {"algorithm": "ED25519"}))
    stack.up()
    pid_line = [line for line in _log(stack) if "serves on port" in line][-1]
    assert not Path(f"/proc/{pid_line.split()[2]}").exists()


def _log(stack: EngineProgram) -> list[str]:
    return (stack.lab / "logs" / "tls.log").read_text().splitlines()
