"""Instances of Google Cloud: one boots a lab machine, with the users and keys of its metadata.

Which inputs replace, and which need the instance stopped: google/services/compute/resource_compute_instance.go of the
Terraform provider that pulumi-gcp bridges. Keys: https://cloud.google.com/compute/docs/connect/add-ssh-keys.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from lab.cloud.objects import CloudObject
from lab.plugins.cloud import Account, Values, short_hex
from lab.plugins.gcp_account import (
    API,
    INSTANCE,
    SUBNETWORK,
    Named,
    labels,
    missing,
    network_path,
    number,
    path,
    project,
    zone,
)
from lab.plugins.serve import UNKNOWN, Refused, plain

_STOPPED_FOR: Final = ("machineType", "minCpuPlatform", "serviceAccount", "shieldedInstanceConfig", "networkInterfaces")
_SETTERS: Final = {
    "deletionProtection": "compute.instances.setDeletionProtection",
    "labels": "compute.instances.setLabels",
    "machineType": "compute.instances.setMachineType",
    "metadata": "compute.instances.setMetadata",
    "minCpuPlatform": "compute.instances.setMinCpuPlatform",
    "networkInterfaces": "compute.instances.updateNetworkInterface",
    "serviceAccount": "compute.instances.setServiceAccount",
    "shieldedInstanceConfig": "compute.instances.updateShieldedInstanceConfig",
    "tags": "compute.instances.setTags",
}
_DEFAULT_USER: Final = "admin"  # when no metadata names one; nobody can log in then


class Instance(Named):
    """An instance."""

    token = INSTANCE
    calls = ("compute.instances.insert", "compute.instances.setMetadata", "compute.instances.delete")
    alone = False  # booting takes seconds
    required = ("bootDisk", "machineType", "networkInterfaces")
    replacing = frozenset(
        {
            "bootDisk",
            "confidentialInstanceConfig",
            "description",
            "guestAccelerators",
            "hostname",
            "metadataStartupScript",
            "name",
            "params",
            "project",
            "reservationAffinity",
            "scratchDisks",
            "zone",
        }
    )
    computed = (
        "cpuPlatform",
        "creationTimestamp",
        "currentStatus",
        "effectiveLabels",
        "instanceId",
        "labelFingerprint",
        "metadataFingerprint",
        "project",
        "pulumiLabels",
        "selfLink",
        "tagsFingerprint",
        "zone",
    )

    def place(self, account: Account, given: Values) -> str:
        """An instance is zonal."""
        return f"projects/{project(account, given)}/zones/{zone(account, given)}"

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """Check what it refers to, boot the machine, answer with its addresses."""
        home = project(account, given)
        id_ = self.own_id(account, "instances", given)
        nic = dict((given.get("networkInterfaces") or [{}])[0])
        where = _where(account, nic, home, zone(account, given))
        user, keys = _login(given.get("metadata") or {})
        machine = account.client.run_instance(
            name=str(given["name"]), user=user, authorized_keys=keys, user_data=_user_data(given)
        )
        return id_, {
            **where,
            "machine": machine["id"],
            "cpuPlatform": "Intel Broadwell",
            "currentStatus": "RUNNING",
            "instanceId": number(id_),
            "metadataFingerprint": short_hex(repr(sorted(given.get("metadata") or {})), 11),
            "networkInterfaces": [_interface(nic, machine), *(given.get("networkInterfaces") or [])[1:]],
            "project": home,
            "selfLink": API + id_,
            "tagsFingerprint": short_hex(repr(given.get("tags")), 11),
            "zone": zone(account, given),
            **labels(given),
        }

    def update_calls(self, changed: Collection[str], given: Values) -> tuple[str, ...]:
        """What needs the instance stopped is refused unless the program allows it."""
        stopping = [name for name in _STOPPED_FOR if name in changed]
        if stopping and not given.get("allowStoppingForUpdate"):
            raise Refused(
                f"Changing the {', '.join(stopping)} on a started instance requires stopping it. To acknowledge this, "
                f"please set allow_stopping_for_update = true in your config."
            )
        calls = tuple(call for name, call in _SETTERS.items() if name in changed)
        return ("compute.instances.stop", *calls, "compute.instances.start") if stopping else calls

    def update(self, account: Account, item: CloudObject, given: Values, changed: Collection[str]) -> Values:
        """Stopped and started where Google does so. New user data is not applied: cloud-init does so once."""
        machine = str(item.get("machine"))
        if set(changed) & set(_STOPPED_FOR):
            account.client.stop_instance(machine)
            account.client.start_instance(machine)
        nic = dict((given.get("networkInterfaces") or [{}])[0])
        found = account.client.instance(machine) or {}
        interfaces = [_interface(nic, found), *(given.get("networkInterfaces") or [])[1:]]
        return {**item.outputs, "networkInterfaces": interfaces, **labels(given)}

    def delete(self, account: Account, item: CloudObject) -> None:
        """End the machine, unless it is protected."""
        if item.get("deletionProtection"):
            raise Refused(
                f"Cannot delete instance {item.id}: instance Deletion Protection is enabled. "
                f"Set deletion_protection to false for this resource and run `pulumi up` before deleting it."
            )
        account.client.terminate_instance(str(item.get("machine")))

    def exists(self, account: Account, item: CloudObject) -> bool:
        """Whether the machine is still there."""
        return account.client.instance(str(item.get("machine"))) is not None


def _where(account: Account, nic: Values, home: str, zone_name: str) -> Values:
    if nic.get("subnetwork"):
        id_ = path(str(nic["subnetwork"]), "subnetworks", f"projects/{home}/regions/{zone_name.rpartition('-')[0]}")
        found = account.objects.get(id_)
        if found is None or found.kind != SUBNETWORK:
            raise missing(id_)
        return {"subnetworkPath": id_, "networkPath": found.get("networkPath")}
    return {"networkPath": network_path(account, str(nic.get("network") or "default"), home)}


def _interface(nic: Values, machine: Mapping[str, Any]) -> Values:
    """The first interface as the API shows it; a public address only when there is an access config."""
    shown = {**nic, "name": "nic0", "networkIp": str(machine["private_ip"]), "stackType": "IPV4_ONLY"}
    if nic.get("accessConfigs"):
        first = nic["accessConfigs"][0] or {}
        public = {"natIp": str(machine["public_ip"]), "networkTier": "PREMIUM"}
        shown["accessConfigs"] = [{**first, **public}, *nic["accessConfigs"][1:]]
    return shown


def foreseen(shown: Values, before: Values) -> Values:
    """What a preview shows of an instance: addresses that Google gives are unknown, or those that it has already.

    :param before: the instance's state; empty for a new one.
    """
    had = [plain(nic) for nic in before.get("networkInterfaces") or []]
    nics = []
    for at, nic in enumerate(shown.get("networkInterfaces") or []):
        if not isinstance(nic, Mapping):
            nics.append(nic)
            continue
        known = had[at] if at < len(had) else {}
        public = (known.get("accessConfigs") or [{}])[0].get("natIp") or UNKNOWN
        configs = [{"natIp": public, **(config or {})} for config in nic.get("accessConfigs") or []]
        filled = {"networkIp": known.get("networkIp") or UNKNOWN, **nic}
        nics.append({**filled, "accessConfigs": configs} if configs else filled)
    return {**shown, "networkInterfaces": nics}


def _login(metadata: Mapping[str, str]) -> tuple[str, list[str]]:
    """The user and the keys of metadata `ssh-keys`: a line is `user:key`."""
    users: dict[str, list[str]] = {}
    for line in str(metadata.get("ssh-keys") or "").splitlines():
        user, _, key = line.strip().partition(":")
        if key:
            users.setdefault(user, []).append(key)
    if len(users) > 1:
        raise Refused(f"a lab machine has one user, metadata ssh-keys names {len(users)}: {', '.join(sorted(users))}")
    return next(iter(users.items()), (_DEFAULT_USER, []))


def _user_data(given: Values) -> str:
    """`user-data` (cloud-init), else the startup script."""
    metadata = given.get("metadata") or {}
    data, script = metadata.get("user-data"), metadata.get("startup-script") or given.get("metadataStartupScript")
    if data and script:
        raise Refused(
            "a lab machine takes metadata `user-data` or a startup script, not both: put the script in runcmd"
        )
    return str(data or script or "")
