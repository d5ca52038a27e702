"""The Terraform code passes the checks of its field, and each check finds a planted defect."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rig import CHECKOUT
from rig.host.tools import require
from rig.terraform.programs import Terraform, TerraformError

pytestmark = pytest.mark.integration

TERRAFORM = CHECKOUT / "terraform"
MODULES = sorted(
    str(file.parent.relative_to(TERRAFORM))
    for file in TERRAFORM.glob("ami-*/**/versions.tf")
    if ".terraform" not in file.parts
)
CONFIGURATIONS = sorted(
    str(file.parent.relative_to(TERRAFORM)) for file in TERRAFORM.glob("example/**/versions.tf")
)
Check = Callable[[Path], str]


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """Run a program, and return what it prints; nothing if it succeeds."""
    process = subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    return process.stdout + process.stderr if process.returncode else ""


def check_format(folder: Path, terraform: Terraform) -> str:
    """Return the difference to the format of Terraform or OpenTofu."""
    process = terraform.run("fmt", "-check", "-diff", "-recursive", cwd=folder, check=False)
    return process.stdout if process.returncode else ""


def check_validity(folder: Path, terraform: Terraform) -> str:
    """Return the errors that Terraform or OpenTofu finds in a module."""
    try:
        terraform.run("init", "-backend=false", cwd=folder)
        terraform.run("validate", cwd=folder)
    except TerraformError as error:
        return str(error)
    return ""


def lint(folder: Path) -> str:
    """Return the findings of tflint in a folder and those below it."""
    options = ("--recursive", f"--config={TERRAFORM / '.tflint.hcl'}", "--format=compact")
    plugins = str(require("tflint-ruleset-aws").parent)
    return run(require("tflint"), *options, cwd=folder, TFLINT_PLUGIN_DIR=plugins)


def scan(folder: Path) -> str:
    """Return the findings of Checkov in a folder and those below it, and what it cannot parse."""
    process = subprocess.run(
        [
            require("checkov"),
            "--directory=.",
            f"--config-file={TERRAFORM / '.checkov.yml'}",
            "--output=json",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(process.stdout)
    findings = [
        f"{check['check_id']}: {check['file_path']}" for check in report["results"]["failed_checks"]
    ]
    if unparsed := report["summary"]["parsing_errors"]:
        findings.append(f"{unparsed} files that Checkov cannot parse")
    return "\n".join(findings)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the modules, without what Terraform left in the checkout."""
    ignored = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*")
    return Path(shutil.copytree(TERRAFORM, tmp_path / "terraform", ignore=ignored))


@pytest.mark.parametrize("folder", ["terraform", "tests/terraform"])
def test_code_is_formatted(terraform: Terraform, folder: str) -> None:
    """Terraform and OpenTofu would not change the format of any file."""
    assert check_format(CHECKOUT / folder, terraform) == ""


@pytest.mark.parametrize("module", MODULES)
def test_module_is_valid(terraform: Terraform, module: str, copy: Path) -> None:
    """Terraform and OpenTofu accept each module; the example has a test of its own."""
    assert check_validity(copy / module, terraform) == ""


def test_tflint_finds_nothing(copy: Path) -> None:
    """The rules of tflint for Terraform and for AWS have no finding."""
    assert lint(copy) == ""


def test_checkov_finds_nothing(copy: Path) -> None:
    """Checkov has no finding, except for those that a comment in the code explains."""
    assert scan(copy) == ""


def test_every_exception_has_a_reason() -> None:
    """A check that is skipped in the code states why."""
    skipped = [
        line.strip()
        for file in TERRAFORM.rglob("*.tf")
        for line in file.read_text().splitlines()
        if "checkov:skip" in line or "tflint-ignore" in line
    ]
    assert skipped
    assert [line for line in skipped if not re.search(r": [A-Z].{20,}\.$", line)] == []


def test_every_folder_is_checked() -> None:
    """Each folder with Terraform code is a module or a configuration of the example."""
    folders = {str(file.parent.relative_to(TERRAFORM)) for file in TERRAFORM.rglob("*.tf")}
    folders = {folder for folder in folders if ".terraform" not in folder}
    assert folders == {*MODULES, *CONFIGURATIONS}


UNKNOWN_TYPE = """
resource "aws_instance" "planted" {
  ami           = "ami-0123456789abcdef0"
  instance_type = "t3.mikro"
}
"""
MUTABLE_TAGS = """
resource "aws_ecr_repository" "planted" {
  name = "planted"
}
"""
WRONG_FORMAT_AND_ARGUMENT = """
resource "aws_kms_alias" "planted" {
 name = "alias/a"
  key = "b"
}
"""


@pytest.mark.parametrize(
    ("check", "code", "finding"),
    [
        (lint, UNKNOWN_TYPE, "aws_instance_invalid_type"),
        (lint, 'variable "planted" {}', "terraform_typed_variables"),
        (scan, MUTABLE_TAGS, "CKV_AWS_51"),
    ],
)
def test_planted_defect_is_found(check: Check, code: str, finding: str, copy: Path) -> None:
    """Each linter fails for code that it must refuse."""
    with (copy / "ami-consumer" / "main.tf").open("a") as file:
        file.write(f"\n{code}\n")
    assert finding in check(copy / "ami-consumer")


def test_planted_defects_are_found_by_terraform(terraform: Terraform, copy: Path) -> None:
    """Wrong format and an unknown argument are refused by Terraform and OpenTofu."""
    with (copy / "ami-consumer" / "main.tf").open("a") as file:
        file.write(WRONG_FORMAT_AND_ARGUMENT)
    assert '+  name = "alias/a"' in check_format(copy, terraform)
    assert 'An argument named "key" is not expected here' in check_validity(
        copy / "ami-consumer", terraform
    )
