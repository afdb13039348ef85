"""Instances, key pairs and addresses: an instance boots a lab machine, and deleting it ends the machine.

Which inputs replace an instance: the ForceNew fields of internal/service/ec2/ec2_instance.go of the Terraform provider
that pulumi-aws bridges; user data stops and starts it instead, unless `userDataReplaceOnChange` is set.
"""

import base64
import binascii
import hashlib
from collections.abc import Collection
from typing import Any, Final

from lab.cloud.objects import CloudObject
from lab.plugins.aws_account import (
    GROUP,
    INSTANCE,
    KEY_PAIR,
    SUBNET,
    Ec2,
    api_error,
    arn,
    new_id,
    region,
    tagged,
    wanted,
)
from lab.plugins.aws_images import image_user
from lab.plugins.cloud import Account, Kind, Values, short_hex
from lab.plugins.serve import Refused

USER_DATA_LIMIT: Final = 16384  # bytes, https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html
_STOPPED_FOR: Final = frozenset({"ebsOptimized", "instanceType", "userData", "userDataBase64"})


class KeyPair(Ec2):
    """A public key that instances are started with."""

    token = KEY_PAIR
    calls = ("ec2:ImportKeyPair", "ec2:CreateTags", "ec2:DeleteKeyPair")
    required = ("publicKey",)
    replacing = frozenset({"keyName", "keyNamePrefix", "publicKey"})
    computed = ("arn", "fingerprint", "keyPairId", "keyType", "region", "tagsAll")
    autonamed = "keyName"

    def update_calls(self, changed: Collection[str], given: Values) -> tuple[str, ...]:
        """Only tags change in place."""
        return ("ec2:CreateTags",)

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """The id is the key's name; white space around the key is dropped."""
        id_, key = str(given["keyName"]), str(given["publicKey"]).strip()
        if account.objects.get(id_):
            raise api_error("ImportKeyPair", "InvalidKeyPair.Duplicate", "The keypair already exists")
        words = key.split()
        if len(words) < 2 or words[0] not in {"ssh-rsa", "ssh-ed25519"}:
            raise api_error("ImportKeyPair", "InvalidKey.Format", "Key is not in valid OpenSSH public key format")
        digest = base64.b64encode(hashlib.sha256(base64.b64decode(words[1])).digest()).decode()
        own = {"arn": arn(account, "key-pair", id_), "fingerprint": digest, "keyPairId": new_id("key")}
        kind = words[0].removeprefix("ssh-")
        return id_, {**own, "keyType": kind, "publicKey": key, **tagged(account, given)}


class Instance(Ec2):
    """An instance: a lab machine with the key pair's key for the image's own user, and its user data applied."""

    token = INSTANCE
    calls = ("ec2:RunInstances", "ec2:ModifyInstanceAttribute", "ec2:TerminateInstances")
    alone = False  # booting takes seconds
    replacing = frozenset(
        {
            "ami",
            "associatePublicIpAddress",
            "availabilityZone",
            "cpuOptions",
            "enclaveOptions",
            "ephemeralBlockDevices",
            "hibernation",
            "hostResourceGroupArn",
            "instanceMarketOptions",
            "ipv6AddressCount",
            "ipv6Addresses",
            "keyName",
            "networkInterfaces",
            "placementGroup",
            "privateIp",
            "securityGroups",
            "subnetId",
            "tenancy",
        }
    )
    computed = (
        "arn",
        "availabilityZone",
        "instanceState",
        "primaryNetworkInterfaceId",
        "privateDns",
        "privateIp",
        "publicDns",
        "publicIp",
        "region",
        "subnetId",
        "tagsAll",
        "vpcSecurityGroupIds",
    )

    def faults(self, given: Values) -> list[tuple[str, str]]:
        """What the original refuses before it calls AWS."""
        found = []
        if given.get("userData") is not None and given.get("userDataBase64") is not None:
            found.append(("userData", '"user_data": conflicts with user_data_base64'))
        text = given.get("userData")
        if isinstance(text, str) and len(text) > USER_DATA_LIMIT:
            reason = f"expected length of user_data to be in the range (0 - {USER_DATA_LIMIT}), got {len(text)}"
            found.append(("userData", reason))
        coded = given.get("userDataBase64")
        if isinstance(coded, str) and _decoded(coded) is None:
            found.append(("userDataBase64", "user_data_base64 is not valid base64"))
        if not given.get("launchTemplate"):
            found += [
                (name, f"one of `{name},launchTemplate` must be specified")
                for name in ("ami", "instanceType")
                if given.get(name) is None
            ]
        return found

    def replaced_by(self, old: Values, new: Values) -> Collection[str]:
        """User data too, when the program says so."""
        data = {"userData", "userDataBase64"} if new.get("userDataReplaceOnChange") else set()
        return self.replacing | data

    def update_calls(self, changed: Collection[str], given: Values) -> tuple[str, ...]:
        """What needs the instance stopped stops and starts it; groups and tags have calls of their own."""
        rest = set(changed) - {"tags", "vpcSecurityGroupIds", "userDataReplaceOnChange"}
        calls: tuple[str, ...] = ()
        if rest & _STOPPED_FOR:
            calls += ("ec2:StopInstances", "ec2:ModifyInstanceAttribute", "ec2:StartInstances")
        elif rest:
            calls += ("ec2:ModifyInstanceAttribute",)
        if "vpcSecurityGroupIds" in changed:
            calls += ("ec2:ModifyNetworkInterfaceAttribute",)
        return calls + (("ec2:CreateTags",) if "tags" in changed else ())

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """Check what it refers to, boot the machine, answer with its addresses."""
        keys = [_public_key(account, str(given["keyName"]))] if given.get("keyName") else []
        subnet = wanted(account, "RunInstances", given["subnetId"], SUBNET) if given.get("subnetId") else None
        groups = self._groups(account, "RunInstances", given)
        data = given.get("userData") or (_decoded(given.get("userDataBase64") or "") or b"").decode(errors="replace")
        machine = account.client.run_instance(
            name=str((given.get("tags") or {}).get("Name") or name),
            user=image_user(str(given.get("ami"))),
            authorized_keys=keys,
            user_data=data,
        )
        id_, private = str(machine["id"]), str(machine["private_ip"])
        public = str(machine["public_ip"]) if _is_public(given, subnet) else ""
        zone = given.get("availabilityZone") or (subnet and subnet.get("availabilityZone")) or f"{region(account)}a"
        return id_, {
            "arn": arn(account, "instance", id_),
            "associatePublicIpAddress": bool(public),
            "availabilityZone": zone,
            "instanceState": "running",
            "primaryNetworkInterfaceId": f"eni-0{short_hex(id_, 16)}",
            "privateDns": f"ip-{private.replace('.', '-')}.{region(account)}.compute.internal",
            "privateIp": private,
            "publicDns": f"ec2-{public.replace('.', '-')}.{region(account)}.compute.amazonaws.com" if public else "",
            "publicIp": public,
            "subnetId": given.get("subnetId") or "subnet-0def0000000000000",
            "vpcSecurityGroupIds": groups,
            **tagged(account, given),
        }

    def update(self, account: Account, item: CloudObject, given: Values, changed: Collection[str]) -> Values:
        """Stopped and started where EC2 does so. New user data is not applied: cloud-init does so once an instance."""
        if set(changed) & _STOPPED_FOR:
            account.client.stop_instance(item.id)
            account.client.start_instance(item.id)
        groups = self._groups(account, "ModifyNetworkInterfaceAttribute", given)
        return {**super().update(account, item, given, changed), "vpcSecurityGroupIds": groups}

    def delete(self, account: Account, item: CloudObject) -> None:
        """End the machine; one that is gone already is no error."""
        account.client.terminate_instance(item.id)

    def exists(self, account: Account, item: CloudObject) -> bool:
        """Whether the machine is still there."""
        return account.client.instance(item.id) is not None

    def _groups(self, account: Account, call: str, given: Values) -> list[str]:
        groups = [str(group) for group in given.get("vpcSecurityGroupIds") or []]
        for group in groups:
            wanted(account, call, group, GROUP)
        return groups


class Eip(Ec2):
    """An elastic address. The lab cannot move an address: it is the public one of its instance, else a dead one."""

    token = "aws:ec2/eip:Eip"
    calls = ("ec2:AllocateAddress", "ec2:AssociateAddress", "ec2:ReleaseAddress")
    replacing = frozenset({"address", "customerOwnedIpv4Pool", "domain", "networkBorderGroup", "publicIpv4Pool"})
    computed = (
        "allocationId",
        "arn",
        "associationId",
        "domain",
        "privateIp",
        "publicDns",
        "publicIp",
        "region",
        "tagsAll",
    )

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """With `instance`, the lab machine's public address."""
        id_ = new_id("eipalloc")
        own = {"allocationId": id_, "arn": arn(account, "elastic-ip", id_), "domain": "vpc"}
        return id_, {**own, **_address(account, id_, given), **tagged(account, given)}

    def update(self, account: Account, item: CloudObject, given: Values, changed: Collection[str]) -> Values:
        """Moved to another instance: that one's address."""
        return {**super().update(account, item, given, changed), **_address(account, item.id, given)}


class EipAssociation(Kind):
    """An elastic address on an instance."""

    token = "aws:ec2/eipAssociation:EipAssociation"
    calls = ("ec2:AssociateAddress", "ec2:AssociateAddress", "ec2:DisassociateAddress")
    replacing = frozenset({"allocationId", "instanceId", "networkInterfaceId", "privateIpAddress", "publicIp"})
    computed = ("networkInterfaceId", "privateIpAddress", "publicIp", "region")

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """The instance must be there."""
        found = _address(account, "", {"instance": given.get("instanceId")})
        own = {"publicIp": found["publicIp"], "privateIpAddress": found["privateIp"], "region": region(account)}
        return new_id("eipassoc"), own


def _address(account: Account, id_: str, given: Values) -> Values:
    if not given.get("instance"):
        dead = f"203.0.113.{int(short_hex(id_, 2), 16)}"  # for documentation, RFC 5737: nothing answers there
        return {"publicIp": dead, "privateIp": "", "associationId": "", "publicDns": ""}
    machine = account.client.instance(str(given["instance"]))
    if machine is None:
        message = f"The instance ID '{given['instance']}' does not exist"
        raise api_error("AssociateAddress", "InvalidInstanceID.NotFound", message)
    public = {"publicIp": machine["public_ip"], "privateIp": machine["private_ip"], "publicDns": ""}
    return {**public, "associationId": f"eipassoc-0{short_hex(id_, 16)}"}


def _public_key(account: Account, name: str) -> str:
    found = account.objects.get(name)
    if found is None or found.kind != KEY_PAIR:
        raise api_error("RunInstances", "InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
    key = found.get("publicKey")
    if not key:
        raise Refused(f"the lab keeps no secrets, so the public key of key pair {name} must not be one")
    return str(key)


def _is_public(given: Values, subnet: CloudObject | None) -> bool:
    if given.get("associatePublicIpAddress") is not None:
        return bool(given["associatePublicIpAddress"])
    return subnet is None or bool(subnet.get("mapPublicIpOnLaunch"))


def _decoded(value: Any) -> bytes | None:
    try:
        return base64.b64decode(str(value), validate=True)
    except binascii.Error:
        return None
