"""The list of shims, and what they share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.vpcs import VPCBackend
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.responses.settings import Settings
from moto.kms.models import KmsBackend
from moto.kms.responses import KmsResponse
from moto.ssm.models import SimpleSystemManagerBackend

from rig.aws.instances import Containers
from rig.aws.parents import parents


@dataclass
class Rig:
    """What the shims need of the rig around moto.

    Attributes:
        containers: The instances.
        parent_images: Release of Debian and the Docker image that plays it.
        blocks: How many regional networks have been handed out.
        seconds: How long state changes take; none by default, which no build can tell from a
            poll that came late.
        key_is_denied: Whether EC2 may not use the KMS key: instances terminate by themselves, and
            new images become `failed`.
        services: What answers instead of moto, by the name that signs the requests.
    """

    containers: Containers
    parent_images: dict[str, str]
    blocks: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    key_is_denied: bool = False
    services: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parents = {parent.ami_id: parent for parent in parents()}

    def image(self, ami: Any) -> str:
        """Name the Docker image that an AMI boots."""
        made = getattr(ami, "rig_image", None)
        debian = getattr(ami, "rig_debian", None)
        return str(made or self.parent_images[debian or self.parents[ami.id].debian])

    def user(self, ami: Any) -> str:
        """Name the login user that cloud-init makes on an AMI."""
        inherited = getattr(ami, "rig_user", None)
        return str(inherited or self.parents[ami.id].user)

    def pace(self, running: float = 0, stopped: float = 0, available: float = 0) -> None:
        """Set the seconds that a start, a stop and a new image take."""
        self.seconds = {"running": running, "stopped": stopped, "available": available}

    def later(self, state: str, settle: Callable[[], None]) -> bool:
        """Arrange for a state to be reached later; False when that is now."""
        seconds = self.seconds.get(state, 0)
        if seconds:
            timer = threading.Timer(seconds, settle)
            timer.daemon = True
            timer.start()
        return bool(seconds)


Shim = Callable[[Rig], None]
SHIMS: list[Shim] = []
_rig: list[Rig] = []
# Every class that a shim changes.  They are put back by `uninstall`.
_PATCHED = (
    Ami,
    AmiBackend,
    AmisResponse,
    EBSBackend,
    ElasticBlockStore,
    InstanceBackend,
    InstanceResponse,
    KmsBackend,
    KmsResponse,
    LaunchTemplates,
    SecurityGroupBackend,
    Settings,
    SimpleSystemManagerBackend,
    VPCBackend,
)
_ORIGINAL = {each: dict(vars(each)) for each in _PATCHED}


def shim(function: Shim) -> Shim:
    """Put a shim on the list."""
    SHIMS.append(function)
    return function


def install(rig: Rig, without: str | None = None) -> None:
    """Apply the shims to moto as it was delivered; leaving one out is for their own tests."""
    rig.blocks = 0
    rig.seconds = {}
    rig.key_is_denied = False
    rig.services = {}
    _rig[:] = [rig]
    for each in SHIMS:
        if each.__name__ != without:
            each(rig)


def uninstall() -> None:
    """Put moto back to how it was delivered."""
    for changed, original in _ORIGINAL.items():
        for name in set(vars(changed)) - set(original):
            delattr(changed, name)
        for name, value in original.items():
            if vars(changed)[name] is not value:
                setattr(changed, name, value)


def rig() -> Rig:
    """Return the rig that the shims were installed for."""
    return _rig[0]


def all_backends() -> list[Any]:
    """List moto's EC2 backends: those accounts and regions that somebody has called."""
    return [
        backend
        for account in list(ec2_backends)
        for backend in list(ec2_backends[account].values())
    ]
