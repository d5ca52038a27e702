"""The building instance gets a public address where its subnet gives none by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rig.aws.rig import Ec2
from rig.host.tools import Packer
from rig.repositories.repository import build, small_repository


@pytest.mark.parametrize(("value", "asked"), [("true", True), ("false", False), ("", None)])
def test_a_public_address_is_asked_for(
    ec2: Ec2, packer: Packer, template: Path, tmp_path: Path, value: str, asked: Any
) -> None:
    """The value reaches RunInstances; without it the subnet decides (field 32)."""
    repository = small_repository(template, tmp_path / "packer-ami-small")
    fault = ec2.fault("RunInstances", "deny")
    options = ["-var", f"associate_public_ip_address={value}"] if value else []
    done = build(ec2, packer, repository, *options)
    assert (done.code, fault.hits) == (1, 1), done.output[-2000:]
    (call,) = [call for call in ec2.calls() if call.action == "RunInstances"]
    interfaces = call.params.get("NetworkInterfaces") or [{}]
    assert interfaces[0].get("AssociatePublicIpAddress") is asked
