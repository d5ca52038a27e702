"""Copies of the modules, and root modules that call them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rig import CHECKOUT
from rig.aws import Ec2
from rig.terraform.accounts import Root
from rig.terraform.programs import Terraform


@pytest.fixture
def configurations(tmp_path: Path) -> Path:
    """Return a copy of the folder of root modules, with the modules that they call."""
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*")
    shutil.copytree(CHECKOUT / "terraform", tmp_path / "terraform", ignore=ignored)
    shutil.copytree(Path(__file__).parent / "apply", tmp_path, ignore=ignored, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def open_root(ec2: Ec2, terraform: Terraform, configurations: Path) -> Callable[[str], Root]:
    """Return a function that returns a root module: a folder of tests/terraform/apply."""
    return lambda name: Root(terraform, configurations / name, ec2.env)
