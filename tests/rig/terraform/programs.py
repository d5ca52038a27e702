"""Terraform and OpenTofu as the tests run them: with the AWS provider on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rig.host.cache import cache_dir, fingerprint, locked
from rig.host.machine import HOST_ENV
from rig.host.tools import require
from rig.terraform.provider import PROVIDER_VERSION, build_provider

NAMES = ("terraform", "tofu")

_PROVIDER_ONLY = """\
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
"""


class TerraformError(RuntimeError):
    """A command of Terraform failed; the message holds its output."""


@dataclass(frozen=True)
class Terraform:
    """Terraform or OpenTofu.

    Attributes:
        name: terraform or tofu.
        path: The executable.
        env: What it needs in its environment, in addition to the rest.
    """

    name: str
    path: Path
    env: Mapping[str, str]

    def run(
        self,
        *args: str,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a folder, with ENV in addition to the present environment.

        Returns:
            The finished process; its standard error is part of `stdout`.

        Raises:
            TerraformError: The command failed, and CHECK is set.
        """
        process = subprocess.run(
            [self.path, *args],
            cwd=cwd,
            env={**os.environ, **self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and process.returncode:
            command = " ".join((self.name, *args))
            raise TerraformError(f"{command}: exit code {process.returncode}\n{process.stdout}")
        return process


def find_terraform(name: str) -> Terraform:
    """Return Terraform or OpenTofu, compiled if it is not in the cache yet.

    Without Go, the calling test is skipped, or failed in CI.

    Args:
        name: terraform or tofu.
    """
    path = require(name)
    provider = build_provider()
    env = {
        "CHECKPOINT_DISABLE": "1",  # no question about newer versions
        "TF_CLI_ARGS": "-no-color",
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
    }
    mirror = _link_provider(path, provider, env)
    return Terraform(name, path, {**env, "TF_CLI_CONFIG_FILE": str(mirror / "terraformrc")})


def _link_provider(program: Path, provider: Path, env: Mapping[str, str]) -> Path:
    """Return a folder from which the program installs the provider instead of from its registry.

    The layout is that of a filesystem mirror:
    https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation
    """
    mirror = cache_dir("terraform-mirrors") / fingerprint(str(program), str(provider))
    with locked("terraform-mirrors"):
        if not (mirror / "terraformrc").exists():
            shutil.rmtree(mirror, ignore_errors=True)
            folder = mirror / "providers" / _find_provider_address(program, env) / PROVIDER_VERSION
            folder /= provider.parent.name
            folder.mkdir(parents=True)
            (folder / f"terraform-provider-aws_v{PROVIDER_VERSION}_x5").hardlink_to(provider)
            (mirror / "terraformrc").write_text(
                "provider_installation {\n"
                f'  filesystem_mirror {{ path = "{mirror / "providers"}" }}\n'
                "}\n"
            )
    return mirror


def _find_provider_address(program: Path, env: Mapping[str, str]) -> str:
    """Return HOST/hashicorp/aws, with the host of the program's own registry."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.tf").write_text(_PROVIDER_ONLY)
        output = subprocess.run(
            [program, "providers"],
            cwd=folder,
            env={**HOST_ENV, **env, "TF_CLI_CONFIG_FILE": os.devnull},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    match = re.search(r"provider\[(\S+/hashicorp/aws)\]", output)
    assert match, output
    return match[1]
