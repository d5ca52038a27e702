"""The roles of terraform/ami-builder/modules, as Terraform plans them for the rig's account."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig import CHECKOUT
from rig.aws.trust import GITHUB_COM
from rig.iam.calls import ACCOUNT
from rig.iam.policy import Policy
from rig.terraform.programs import Terraform

REGIONS = ("eu-west-1", "us-east-1")
KEY_ARNS = {
    region: f"arn:aws:kms:{region}:{ACCOUNT}:key/mrk-0123456789abcdef" for region in REGIONS
}
INSTANCE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/builder"
TOOLKIT = f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/packer-toolkit"
SERVER_ISSUER = "ghes.example.com/_services/token"

# A plan of policy documents and roles asks AWS nothing.
_OFFLINE = {
    "region": REGIONS[0],
    "access_key": "none",
    "secret_key": "none",
    "skip_credentials_validation": True,
    "skip_metadata_api_check": True,
    "skip_requesting_account_id": True,
}
_SETTINGS = {
    "regions": REGIONS,
    "kms_key_arns": list(KEY_ARNS.values()),
    "ecr_repository_arn": TOOLKIT,
    "instance_profile_role_arn": INSTANCE_ROLE,
    "session_manager": True,
}
_IDS = {"repository_id": "2002", "owner_id": "1001"}


def _name_provider(issuer: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"


def _describe_image(name: str, **more: Any) -> dict[str, Any]:
    """Return the arguments of image-roles for an image with all settings."""
    return {
        "name": name,
        "repository": f"acme/packer-ami-{name}",
        "oidc_provider_arn": _name_provider(GITHUB_COM),
        **_IDS,
        **_SETTINGS,
        **more,
    }


# Name -> module and its arguments.
_CALLS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "web-server": ("image-roles", _describe_image("web-server")),
    "small": ("image-roles", _describe_image("small")),
    "environment": ("image-roles", _describe_image("web", release_environment="release")),
    "server": (
        "image-roles",
        _describe_image(
            "web",
            github_host="ghes.example.com",
            oidc_provider_arn=_name_provider(SERVER_ISSUER),
            repository_id=None,
            owner_id=None,
        ),
    ),
    "server-environment": (
        "image-roles",
        _describe_image(
            "web",
            github_host="ghes.example.com",
            oidc_provider_arn=_name_provider(SERVER_ISSUER),
            release_environment="release",
            repository_id=None,
            owner_id=None,
        ),
    ),
    # Without any setting.
    "plain": (
        "image-roles",
        {
            "name": "web",
            "repository": "acme/packer-ami-web",
            "oidc_provider_arn": _name_provider(GITHUB_COM),
            "regions": REGIONS[:1],
            **_IDS,
        },
    ),
    "publisher": (
        "publisher-role",
        {
            "repository": "acme/template-packer-ami",
            "oidc_provider_arn": _name_provider(GITHUB_COM),
            "ecr_repository_arn": TOOLKIT,
            **_IDS,
        },
    ),
    "personal": (
        "personal-role",
        {
            "account_id": ACCOUNT,
            "images": ["web-server", "small"],
            "parameter_paths": ["/packer"],
            "trusted_arns": [f"arn:aws:iam::{ACCOUNT}:role/developer"],
            **_SETTINGS,
        },
    ),
    "personal-releaser": (
        "personal-role",
        {
            "account_id": ACCOUNT,
            "images": ["web-server"],
            "can_release": True,
            "name": "packer-ami-releaser",
            "trusted_arns": [f"arn:aws:iam::{ACCOUNT}:role/developer"],
            **_SETTINGS,
        },
    ),
}
_OUTPUTS = {
    "image-roles": ("policies", "trust_policies"),
    "publisher-role": ("policy", "trust_policy"),
    "personal-role": ("policies", "trust_policy"),
}


@dataclass(frozen=True)
class PlannedRoles:
    """Policies of the planned roles.

    Attributes:
        permissions: Policies by call and role, such as ("web-server", "build").
        trust: Trust policies by call and role.
    """

    permissions: Mapping[tuple[str, str], Policy]
    trust: Mapping[tuple[str, str], Policy]


def plan_roles(terraform: Terraform, folder: Path) -> PlannedRoles:
    """Plan all roles at once.

    Args:
        terraform: The program.
        folder: An empty folder for the configuration.
    """
    shutil.copytree(CHECKOUT / "terraform/ami-builder/modules", folder / "modules")
    modules = {
        name: {"source": f"./modules/{module}", **arguments}
        for name, (module, arguments) in _CALLS.items()
    }
    outputs = {
        f"{name}_{output}": {"value": f"${{module.{name}.{output}}}"}
        for name, (module, _) in _CALLS.items()
        for output in _OUTPUTS[module]
    }
    configuration = {"provider": {"aws": _OFFLINE}, "module": modules, "output": outputs}
    (folder / "main.tf.json").write_text(json.dumps(configuration))
    terraform.run("init", "-backend=false", cwd=folder)
    terraform.run("plan", "-out=plan", cwd=folder)
    plan = json.loads(terraform.run("show", "-json", "plan", cwd=folder).stdout)
    permissions: dict[tuple[str, str], Policy] = {}
    trust: dict[tuple[str, str], Policy] = {}
    for output, entry in plan["planned_values"]["outputs"].items():
        name, _, kind = output.partition("_")
        value = entry["value"]
        documents = value if isinstance(value, dict) else {"": value}
        target = trust if kind.startswith("trust") else permissions
        target |= {(name, role): json.loads(text) for role, text in documents.items()}
    return PlannedRoles(permissions, trust)
