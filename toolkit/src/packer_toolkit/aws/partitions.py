"""Partitions of AWS: find the one of a region, an ARN or a registry's host.

Only the standard partition, aws, is supported: in the others the base images have other owners, and
ARNs, hosts and the audience of OIDC tokens are different.  The same rule is in the template's
includes/rules.jinja and variables.pkr.hcl; its docs/decisions/0037 has the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from packer_toolkit.errors import SetupError

_PREFIXES = {r"cn-": "aws-cn", r"eusc-": "aws-eusc", r"[a-z]{2}-gov-": "aws-us-gov"}
_ISOLATED = re.compile(r"[a-z]{2}-iso([a-z]?)-")
_STANDARD = re.compile(r"[a-z]{2}-[a-z]+-\d+", re.ASCII)
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}", re.ASCII)
_ARN = re.compile(r"\barn:(aws[a-z-]*):[a-z0-9-]*:([a-z0-9-]*):")
_ECR = re.compile(r"\b\d{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.", re.ASCII)
# Domains of the services, and so of registries, in the other partitions.
_DOMAINS = {
    r"\.amazon(?:aws|webservices)\.com\.cn\b": "aws-cn",
    r"\.amazon(?:aws|webservices)\.eu\b": "aws-eusc",
    r"\.c2s\.ic\.gov\b": "aws-iso",
    r"\.sc2s\.sgov\.gov\b": "aws-iso-b",
    r"\.cloud\.adc-e\.uk\b": "aws-iso-e",
    r"\.csp\.hci\.ic\.gov\b": "aws-iso-f",
}
_UNKNOWN = "another partition"
# Questions whose answers may name a partition.
QUESTIONS = (
    *("aws_region", "aws_copy_regions", "image_consumers", "aws_kms_key"),
    *("aws_build_role", "aws_release_role", "toolkit_image"),
)


def is_region(text: str) -> bool:
    """Report whether a text has the form of the code of a region, in any partition."""
    return _REGION.fullmatch(text) is not None


def find_partition(region: str) -> str:
    """Return the partition of a region: aws for the standard one.

    Args:
        region: Code of a region, such as cn-north-1.
    """
    for prefix, name in _PREFIXES.items():
        if re.match(prefix, region):
            return name
    if isolated := _ISOLATED.match(region):
        return f"aws-iso-{isolated[1]}".rstrip("-")
    return "aws" if _STANDARD.fullmatch(region) else _UNKNOWN


def find_other_partition(text: str) -> str:
    """Return the first partition other than aws that a text names; otherwise "".

    Args:
        text: A region, an ARN, the name of a container image, or several of them with commas.
    """
    regions = [part for part in re.split(r"[,\s]+", text) if _REGION.fullmatch(part)]
    for partition, region in _ARN.findall(text):
        if partition != "aws":
            return str(partition)
        if region and find_partition(region) != "aws":
            return find_partition(region)
    for region in (*_ECR.findall(text), *regions):
        if find_partition(region) != "aws":
            return find_partition(region)
    return next((name for domain, name in _DOMAINS.items() if re.search(domain, text)), "")


def describe_refusal(text: str) -> str:
    """Return why a text with another partition is refused; "" when it has none.

    Args:
        text: A region, an ARN, or the name of a container image.
    """
    partition = find_other_partition(text)
    return f"{partition} is not supported, only the partition aws is" if partition else ""


def describe_answers(answers: Mapping[str, Any]) -> str:
    """Return which answer is refused, and why; "" when none is.

    Args:
        answers: Answers to the template's questions.
    """
    for question in QUESTIONS:
        value = str(answers.get(question) or "")
        if reason := describe_refusal(value):
            return f"{question} is {value}: {reason}"
    return ""


def require_supported(values: Iterable[tuple[str, str]]) -> None:
    """Make sure that values are of the standard partition.

    Args:
        values: What a value is, such as AWS_REGION, and the value.

    Raises:
        SetupError: One is of another partition.
    """
    for name, value in values:
        if reason := describe_refusal(value):
            raise SetupError(
                f"{name} is {value}: {reason}; use a region such as eu-central-1, or stay at "
                "release 1.1.0 of the template"
            )
