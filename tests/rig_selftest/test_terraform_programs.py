"""Terraform, OpenTofu and their tools come in the pinned versions, and need no network."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from rig.host import tools
from rig.terraform.programs import Terraform, TerraformError
from rig.terraform.provider import PROVIDER_VERSION
from rig.terraform.provider_source import SERVICES

NO_NETWORK = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
VERSIONS_TF = """\
terraform {
  required_version = ">= 1.10"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}
"""


def read_pin(module: str, path: str) -> str:
    """Return the version that a go.mod requires of another module."""
    match = re.search(rf"^\s*{path} v(\S+)", (tools.MODULES / module / "go.mod").read_text(), re.M)
    assert match, path
    return match[1]


@pytest.fixture
def workspace(terraform: Terraform, tmp_path: Path) -> Path:
    """Return a folder in which the provider is installed."""
    (tmp_path / "versions.tf").write_text(VERSIONS_TF)
    terraform.run("init", cwd=tmp_path, env=NO_NETWORK)
    return tmp_path


def test_programs_and_provider_have_the_pinned_versions(
    terraform: Terraform, workspace: Path
) -> None:
    """What runs is what the go.mod files require; the provider is installed without a network."""
    versions = json.loads(terraform.run("version", "-json", cwd=workspace).stdout)
    pinned = {
        "terraform": read_pin("terraform", "github.com/hashicorp/terraform"),
        "tofu": read_pin("opentofu", "github.com/opentofu/opentofu"),
    }
    assert versions["terraform_version"] == pinned[terraform.name]
    assert list(versions["provider_selections"].values()) == [PROVIDER_VERSION] == ["6.34.0"]


def test_provider_has_the_services_of_the_modules(terraform: Terraform, workspace: Path) -> None:
    """The provider is the real one, without the services that no module uses."""
    schemas = json.loads(terraform.run("providers", "schema", "-json", cwd=workspace).stdout)
    (schema,) = schemas["provider_schemas"].values()
    resources = set(schema["resource_schemas"])
    assert {"aws_kms_replica_key", "aws_rbin_rule", "aws_autoscaling_group"} <= resources
    assert "aws_s3_bucket" not in resources
    assert len(SERVICES) < 20


def test_a_failed_command_shows_its_output(terraform: Terraform, tmp_path: Path) -> None:
    """The error contains what Terraform wrote, without colors."""
    (tmp_path / "main.tf").write_text("variable {}\n")
    with pytest.raises(TerraformError, match=r"validate: exit code 1\n(.*\n)*.*[^\x1b]Error:"):
        terraform.run("validate", cwd=tmp_path)


@pytest.mark.parametrize(
    ("program", "module", "path"),
    [
        ("tflint", "opentofu", "github.com/terraform-linters/tflint"),
        ("terraform-docs", "opentofu", "github.com/terraform-docs/terraform-docs"),
    ],
)
def test_linters_have_the_pinned_versions(program: str, module: str, path: str) -> None:
    """What runs is what tests/rig/host/tools/opentofu/go.mod requires."""
    shown = subprocess.run(
        [tools.require(program), "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert read_pin(module, path) in shown
