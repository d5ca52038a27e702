"""What an account sets once for each region: public access, allowed images, defaults."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.responses.settings import Settings

from rig.aws.shims._registry import Rig, shim


@shim
def block_public_access(rig: Rig) -> None:  # noqa: ARG001
    """Keep whether images and snapshots may be shared with the public.

    moto: 500 for all six calls.  EC2: Enable… sets the state, Disable… sets `unblocked`.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageBlockPublicAccess.html
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableSnapshotBlockPublicAccess.html
    """
    for kind, key in (("image", "ImageBlockPublicAccessState"), ("snapshot", "State")):
        _add_switch(f"{kind}_block_public_access", key, off="unblocked", getter="_state")


@shim
def allowed_images(rig: Rig) -> None:  # noqa: ARG001
    """Keep which images of other accounts may be used.

    moto: 500 for all four calls.  EC2: stores the state, and the criteria apart from it.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetAllowedImagesSettings.html
    """
    _add_switch("allowed_images_settings", "AllowedImagesSettingsState", off="disabled")

    def replace(self: Any) -> ActionResult:
        self.ec2_backend.rig_image_criteria = self._get_param("ImageCriteria", []) or []
        return ActionResult({"ReturnValue": True})

    def get(self: Any) -> ActionResult:
        return ActionResult(
            {
                "State": getattr(self.ec2_backend, "rig_allowed_images_settings", "disabled"),
                "ImageCriteria": getattr(self.ec2_backend, "rig_image_criteria", []),
                "ManagedBy": "account",
            }
        )

    Settings.replace_image_criteria_in_allowed_images_settings = replace  # type: ignore[attr-defined]
    Settings.get_allowed_images_settings = get  # type: ignore[attr-defined]


@shim
def default_ebs_key(rig: Rig) -> None:  # noqa: ARG001
    """Return to the key that AWS manages.

    moto: 500.  EC2: alias/aws/ebs is the default key again.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ResetEbsDefaultKmsKeyId.html
    """

    def reset(self: Any) -> ActionResult:
        self.ec2_backend.default_kms_key_id = ""
        return ActionResult({"KmsKeyId": "alias/aws/ebs"})

    Settings.reset_ebs_default_kms_key_id = reset  # type: ignore[attr-defined]


@shim
def instance_metadata_defaults(rig: Rig) -> None:  # noqa: ARG001
    """Keep the account's defaults for instance metadata.

    moto: 500 for both calls.  EC2: `no-preference`, and -1 for the hop limit, remove a default.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceMetadataDefaults.html
    """
    names = ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint", "InstanceMetadataTags")

    def modify(self: Any) -> ActionResult:
        defaults = dict(getattr(self.ec2_backend, "rig_metadata_defaults", {}))
        for name in names:
            value = self._get_param(name)
            if value in ("no-preference", "-1", -1):
                defaults.pop(name, None)
            elif value is not None:
                defaults[name] = value
        self.ec2_backend.rig_metadata_defaults = defaults
        return ActionResult({"Return": True})

    def get(self: Any) -> ActionResult:
        defaults = getattr(self.ec2_backend, "rig_metadata_defaults", {})
        return ActionResult({"AccountLevel": {**defaults, "ManagedBy": "account"}})

    Settings.modify_instance_metadata_defaults = modify  # type: ignore[attr-defined]
    Settings.get_instance_metadata_defaults = get  # type: ignore[attr-defined]


def _add_switch(name: str, key: str, *, off: str, getter: str = "") -> None:
    """Add enable_NAME, disable_NAME and, with a suffix, get_NAME, which keep one value.

    Args:
        name: What is set.
        key: The parameter of enable_NAME, and the key of the answers.
        off: The value after disable_NAME, and before the first call.
        getter: The suffix of get_NAME; without it, the caller adds that function.
    """

    def enable(self: Any) -> ActionResult:
        setattr(self.ec2_backend, f"rig_{name}", self._get_param(key))
        return ActionResult({key: self._get_param(key)})

    def disable(self: Any) -> ActionResult:
        setattr(self.ec2_backend, f"rig_{name}", off)
        return ActionResult({key: off})

    def get(self: Any) -> ActionResult:
        state = getattr(self.ec2_backend, f"rig_{name}", off)
        return ActionResult({key: state, "ManagedBy": "account"})

    setattr(Settings, f"enable_{name}", enable)
    setattr(Settings, f"disable_{name}", disable)
    if getter:
        setattr(Settings, f"get_{name}{getter}", get)
