"""Names what IAM authorizes for a recorded call: actions, resources and condition keys.

The source is the Service Authorization Reference, "Actions, resources, and condition keys for
Amazon EC2", and for calls that create with tags "Grant permission to tag Amazon EC2 resources
during creation" of the EC2 User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rig.aws.rig import Call
from rig.iam.policy import Request

ACCOUNT = "123456789012"  # of every call in the rig

# Prefix of an ID -> type of the resource, and whether its ARN has an account.
_TYPES = {
    "i": ("instance", True),
    "vol": ("volume", True),
    "sg": ("security-group", True),
    "subnet": ("subnet", True),
    "vpc": ("vpc", True),
    "ami": ("image", False),
    "snap": ("snapshot", False),
}
# What a call creates, beside the resources that it names.
_CREATED = {
    "CopyImage": ("image", "snapshot"),
    "CreateImage": ("image", "snapshot"),
    "CreateKeyPair": (),
    "CreateSecurityGroup": ("security-group",),
    "RunInstances": ("instance", "network-interface", "volume"),
}
# What EC2 does with a key on behalf of the caller: "Permissions to use a customer managed key" in
# the Amazon EBS User Guide, "How Amazon EBS encryption works".
_KEY_ACTIONS = (
    "CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom",
    "ReEncryptTo",
)  # fmt: skip


def list_requests(
    call: Call, *, instance_role: str = "", key_arns: Mapping[str, str]
) -> list[Request]:
    """List the requests of a call that IAM authorizes; the call succeeds if all are allowed.

    Args:
        call: The recorded call.
        instance_role: ARN of the role of the instance profile.
        key_arns: ARN of the key in each region, for calls that name a key.
    """
    return list(_list_requests(call, instance_role, key_arns))


def _list_requests(
    call: Call, instance_role: str, key_arns: Mapping[str, str]
) -> Iterator[Request]:
    region = {"aws:RequestedRegion": str(call.region)}
    action = f"{call.service}:{call.action}"
    if action in ("ssm:StartSession", "ssm:TerminateSession"):
        yield from _list_session_requests(call, action, region)
    elif call.service != "ec2" or call.action.startswith(("Describe", "Get")):
        yield Request(action, _name_other(call), region)
    else:
        for arn, tags in _list_resources(call):
            yield Request(action, arn, region | tags)
        yield from _list_tagging(call, region)
    if (call["IamInstanceProfile"] or {}).get("Name"):
        yield Request("iam:PassRole", instance_role, {"iam:PassedToService": "ec2.amazonaws.com"})
    if "KmsKeyId" in str(call.params):
        regions = {str(call.region), call["SourceRegion"] or str(call.region)}
        for each in sorted(regions):
            context = {
                "kms:GrantIsForAWSResource": "true", "kms:ViaService": f"ec2.{each}.amazonaws.com",
            }  # fmt: skip
            yield from (Request(f"kms:{name}", key_arns[each], context) for name in _KEY_ACTIONS)


def _list_resources(call: Call) -> Iterator[tuple[str, dict[str, str]]]:
    """List ARN and tags of the resources that a call of EC2 names or creates."""
    requested = {
        f"aws:RequestTag/{tag['Key']}": str(tag["Value"])
        for tag in call.params.get("Tags", [])
        if call.action == "CreateTags"
    }
    values = {str(value) for value in _list_strings(call.params)}
    for value in sorted(values):
        if (prefix := value.partition("-")[0]) in _TYPES and re.fullmatch(
            r"[a-z]+-[0-9a-f]+", value
        ):
            region = call["SourceRegion"] if prefix == "ami" else None
            kind, has_account = _TYPES[prefix]
            arn = _name(region or call.region, kind, value, has_account)
            yield arn, _name_tags("Resource", call.resource_tags.get(value, {})) | requested
    if name := call["KeyName"]:
        tags = _name_tags("Resource", call.resource_tags.get(name, {}))
        yield (
            _name(call.region, "key-pair", name),
            tags | _name_tags("Request", call.tags("key-pair")),
        )
    for kind in _CREATED.get(call.action, ()):
        arn = _name(call.region, kind, "*", kind not in ("image", "snapshot"))
        yield arn, _name_tags("Request", call.tags(kind))


def _list_tagging(call: Call, region: Mapping[str, str]) -> Iterator[Request]:
    """List the requests for the tags of what a call creates."""
    for each in call.params.get("TagSpecifications") or []:
        kind = each["ResourceType"]
        name = call["KeyName"] if kind == "key-pair" else "*"
        arn = _name(call.region, kind, name, kind not in ("image", "snapshot"))
        context = {"ec2:CreateAction": call.action, **_name_tags("Request", call.tags(kind))}
        yield Request("ec2:CreateTags", arn, {**region, **context})
    if call["CopyImageTags"]:
        tags = _name_tags("Request", call.resource_tags[call["SourceImageId"]])
        arn = _name(call.region, "image", "*", False)
        yield Request("ec2:CreateTags", arn, {**region, "ec2:CreateAction": call.action, **tags})


def _list_session_requests(call: Call, action: str, region: Mapping[str, str]) -> Iterator[Request]:
    """List the requests of Session Manager, which authorizes the instance and the document."""
    if call.action == "TerminateSession":
        yield Request(
            action, f"arn:aws:ssm:{call.region}:{ACCOUNT}:session/{call['SessionId']}", region
        )
        return
    tags = _name_tags("Resource", call.resource_tags[call["Target"]])
    yield Request(action, _name(call.region, "instance", call["Target"]), {**region, **tags})
    yield Request(action, f"arn:aws:ssm:{call.region}::document/{call['DocumentName']}", region)


def _name_other(call: Call) -> str:
    if call.action == "GetInstanceProfile":
        return f"arn:aws:iam::{ACCOUNT}:instance-profile/{call['InstanceProfileName']}"
    if call.action == "AssumeRole":
        return str(call["RoleArn"])
    return "*"


def _name(region: str | None, kind: str, name: str, has_account: bool = True) -> str:
    return f"arn:aws:ec2:{region}:{ACCOUNT if has_account else ''}:{kind}/{name}"


def _name_tags(where: str, tags: Mapping[str, str]) -> dict[str, str]:
    return {f"aws:{where}Tag/{key}": value for key, value in tags.items()}


def _list_strings(value: Any) -> Iterator[str]:
    """List all strings in parameters, except tags, which can contain IDs of other resources."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            if name not in ("Tags", "TagSpecifications"):
                yield from _list_strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _list_strings(each)
