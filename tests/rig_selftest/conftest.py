"""What the rig's own tests share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.aws import Ec2, Finished
from rig.host.tools import Packer

Probe = Callable[..., Finished]


@pytest.fixture
def probe(ec2: Ec2, packer: Packer, tmp_path: Path) -> Probe:
    """Return a function that builds probe/, with variables, and options of `Ec2.run`."""
    workspace = tmp_path / "probe"
    shutil.copytree(Path(__file__).parent / "probe", workspace)

    def build(*arguments: str, env: dict[str, str] | None = None, **options: object) -> Finished:
        return ec2.run(
            [str(packer.path), "build", *arguments, "."],
            cwd=workspace,
            env={**packer.env, **(env or {})},
            **options,  # type: ignore[arg-type]
        )

    return build
