"""The functions (`getAmi`, `getVpc`, ...) that the stand-in of AWS answers."""

import fnmatch
import re
from collections.abc import Mapping
from typing import Any, Final

from lab.plugins.aws_account import ACCOUNT, DEFAULT_VPC, GROUP, PREFIX_LIST, SUBNET, VPC, arn, region
from lab.plugins.aws_images import IMAGES, Image
from lab.plugins.cloud import Account, Invoke, Values
from lab.plugins.serve import Refused


def _ami(account: Account, asked: Values) -> Values:
    names = [value for one in asked.get("filters") or [] if one["name"] == "name" for value in one["values"]]
    found = [image for image in IMAGES if _fits(image, names, asked)]
    if not found:
        raise Refused("Your query returned no results. Please change your search criteria and try again.")
    if len(found) > 1 and not asked.get("mostRecent"):
        raise Refused(
            "Your query returned more than one result. Please try a more specific search criteria, "
            "or set `most_recent` attribute to true."
        )
    image = max(found, key=lambda one: one.name)
    return {
        "id": image.id,
        "imageId": image.id,
        "name": image.name,
        "ownerId": image.owner,
        "arn": f"arn:aws:ec2:{region(account)}::image/{image.id}",
        "architecture": "x86_64",
        "creationDate": "2026-03-01T00:00:00.000Z",
        "rootDeviceName": "/dev/xvda",
        "rootDeviceType": "ebs",
        "state": "available",
        "virtualizationType": "hvm",
        "public": True,
        "region": region(account),
        "tags": {},
    }


def _fits(image: Image, names: list[str], asked: Values) -> bool:
    owners = {str(owner) for owner in asked.get("owners") or []} - {"amazon", "aws-marketplace"}
    if owners and image.owner not in owners:
        return False
    if names and not any(fnmatch.fnmatchcase(image.name, pattern) for pattern in names):
        return False
    return not asked.get("nameRegex") or re.search(asked["nameRegex"], image.name) is not None


def _region(account: Account, _asked: Values) -> Values:
    name = region(account)
    endpoint = f"ec2.{name}.amazonaws.com"
    return {"id": name, "name": name, "region": name, "description": "the lab's region", "endpoint": endpoint}


def _caller(_account: Account, _asked: Values) -> Values:
    return {"id": ACCOUNT, "accountId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:user/lab", "userId": "AIDALAB"}


def _zones(account: Account, _asked: Values) -> Values:
    name = region(account)
    return {
        "id": name,
        "names": [f"{name}{letter}" for letter in "abc"],
        "zoneIds": [f"use1-az{number}" for number in (1, 2, 3)],
        "groupNames": [name],
        "region": name,
    }


def _parameter(account: Account, asked: Values) -> Values:
    name = str(asked["name"])
    words = {"debian": "debian-12", "canonical": "ubuntu", "al2023": "al2023"}
    start = next((image for word, image in words.items() if word in name), None)
    image = next((one for one in IMAGES if start and one.name.startswith(start)), None)
    if image is None:
        raise Refused(f"operation error SSM: GetParameter, api error ParameterNotFound: {name}")
    own = {"id": name, "arn": arn(account, "parameter", name.lstrip("/"), "ssm"), "type": "String", "version": 1}
    return {**own, "value": image.id, "insecureValue": image.id, "region": region(account)}


def _vpc(account: Account, asked: Values) -> Values:
    if asked.get("default") or asked.get("id") == DEFAULT_VPC:
        own = {"cidrBlock": "172.31.0.0/16", "default": True, "state": "available", "ownerId": ACCOUNT}
        return {"id": DEFAULT_VPC, "arn": arn(account, "vpc", DEFAULT_VPC), "tags": {}, **own}
    return _one(account, VPC, asked, "VPC")


def _subnets(account: Account, asked: Values) -> Values:
    found = [item.id for item in account.objects.of_kind(SUBNET) if _matches(item.get, asked)]
    return {"id": region(account), "ids": found, "tags": {}, "region": region(account)}


def _one(account: Account, kind: str, asked: Values, what: str) -> Values:
    found = [item for item in account.objects.of_kind(kind) if asked.get("id") in {None, item.id}]
    found = [item for item in found if asked.get("name") in {None, item.get("name")}]
    found = [item for item in found if _matches(item.get, asked)]
    if len(found) != 1:
        many = "multiple" if found else "no"
        raise Refused(f"{many} matching EC2 {what} found: {asked}")
    return {"tags": {}, **found[0].inputs, **found[0].outputs, "id": found[0].id}


_FILTERS: Final = {
    "vpc-id": "vpcId",
    "group-name": "name",
    "availability-zone": "availabilityZone",
    "cidr": "cidrBlock",
}


def _matches(get: Any, asked: Values) -> bool:
    wanted = {_FILTERS.get(one["name"], one["name"]): one["values"] for one in asked.get("filters") or []}
    if asked.get("vpcId"):
        wanted["vpcId"] = [asked["vpcId"]]
    tags = {**(asked.get("tags") or {})}
    for name in [name for name in wanted if name.startswith("tag:")]:
        tags[name.removeprefix("tag:")] = wanted.pop(name)[0]
    own = get("tags") or {}
    return all(get(name) in values for name, values in wanted.items()) and tags.items() <= own.items()


INVOKES: Final[Mapping[str, Invoke]] = {
    "aws:ec2/getAmi:getAmi": _ami,
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": lambda account, asked: _one(
        account, PREFIX_LIST, asked, "Managed Prefix List"
    ),
    "aws:ec2/getSecurityGroup:getSecurityGroup": lambda account, asked: _one(account, GROUP, asked, "Security Group"),
    "aws:ec2/getSubnet:getSubnet": lambda account, asked: _one(account, SUBNET, asked, "Subnet"),
    "aws:ec2/getSubnets:getSubnets": _subnets,
    "aws:ec2/getVpc:getVpc": _vpc,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getRegion:getRegion": _region,
    "aws:ssm/getParameter:getParameter": _parameter,
}
