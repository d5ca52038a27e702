"""KMS: replicas of multi-region keys, the rotation period, and keys of other accounts."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.kms.exceptions import NotFoundException
from moto.kms.models import KmsBackend, kms_backends
from moto.kms.responses import KmsResponse

from rig.aws.shims._registry import Rig, shim
from rig.aws.shims.accounts import key_policy_allows

_KEY_ARN = re.compile(r"arn:[^:]+:kms:([^:]+):(\d{12}):((?:key|alias)/.+)")


@shim
def replica_keys(rig: Rig) -> None:  # noqa: ARG001
    """Make a replica with a policy, a description and tags of its own.

    moto: ignores them, and the primary key and its replicas share one description of what they
    are: once a replica was described, the primary key is a replica too.  KMS: a replica shares key
    material, and nothing that an administrator sets.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_ReplicateKey.html
    """
    replicate = KmsResponse.replicate_key

    def describe(self: Any, key_id: str) -> Any:
        return self.keys[self.any_id_to_key_id(key_id)]

    def add_replica(self: Any, key_id: str, replica_region: str) -> Any:
        primary = self.keys[self.get_key_id(key_id)]
        replica = copy.copy(primary)
        replica.region = replica_region
        replica.arn = primary.arn.replace(f":{self.region_name}:", f":{replica_region}:")
        # The list of replicas is the same for all of them.
        primary.multi_region_configuration["ReplicaKeys"].append(
            {"Arn": replica.arn, "Region": replica_region}
        )
        replica.multi_region_configuration = {
            **primary.multi_region_configuration,
            "MultiRegionKeyType": "REPLICA",
        }
        replica.aliases, replica.grants, replica.key_rotation_status = {}, {}, False
        kms_backends[self.account_id][replica_region].keys[replica.id] = replica
        return replica

    def respond(self: Any) -> str:
        answer = json.loads(replicate(self))
        backend = kms_backends[self.current_account][self._get_param("ReplicaRegion")]
        replica = backend.keys[answer["ReplicaKeyMetadata"]["KeyId"]]
        replica.policy = self._get_param("Policy") or replica.generate_default_policy()
        replica.description = self._get_param("Description") or ""
        backend.tagger.tag_resource(replica.id, self._get_param("Tags") or [])
        metadata = replica.to_dict()["KeyMetadata"]
        return json.dumps({"ReplicaKeyMetadata": metadata, "ReplicaPolicy": replica.policy})

    KmsBackend.describe_key = describe  # type: ignore[method-assign]
    KmsBackend.replicate_key = add_replica  # type: ignore[method-assign]
    KmsResponse.replicate_key = respond  # type: ignore[method-assign]


@shim
def rotation_period(rig: Rig) -> None:  # noqa: ARG001
    """Keep the days between two rotations.

    moto: forgets them.  KMS: 365 days unless the caller chooses 90 to 2560.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKeyRotation.html
    """
    enable, get_status = KmsResponse.enable_key_rotation, KmsResponse.get_key_rotation_status

    def find_key(self: Any) -> Any:
        return self.kms_backend.describe_key(self._get_param("KeyId"))

    def enable_with_period(self: Any) -> str:
        answer = enable(self)
        find_key(self).rig_rotation_period = self._get_param("RotationPeriodInDays") or 365
        return answer

    def get_status_with_period(self: Any) -> str:
        status = json.loads(get_status(self))
        if status["KeyRotationEnabled"]:
            status["RotationPeriodInDays"] = find_key(self).rig_rotation_period
        return json.dumps(status)

    KmsResponse.enable_key_rotation = enable_with_period  # type: ignore[method-assign]
    KmsResponse.get_key_rotation_status = get_status_with_period  # type: ignore[method-assign]


@shim
def keys_of_other_accounts(rig: Rig) -> None:  # noqa: ARG001
    """Find the key of another account by its ARN, or by its alias, if the key policy allows it.

    moto: looks in the caller's account only, and in the caller's region whatever the ARN names.
    KMS: the key policy decides; a key of another region is not found.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html
    """

    def find_backend(self: Any) -> Any:
        match = _KEY_ARN.match(self._get_param("KeyId") or "")
        if not match or match.group(1, 2) == (self.region, self.current_account):
            return kms_backends[self.current_account][self.region]
        region, account, name = match.groups()
        backend = kms_backends[account][region]
        key = _find_key(backend, name)
        if region != self.region or key is None:
            raise NotFoundException(f"Key '{match[0]}' does not exist")
        if account != self.current_account and not _may_call(self, key):
            raise JsonRESTError(
                "AccessDeniedException",
                f"User: arn:aws:iam::{self.current_account}:root is not authorized to perform:"
                f" kms:{self._get_action()} on this resource because the resource does not exist in"
                " this Region, no resource-based policies allow access, or a resource-based policy"
                " explicitly denies access",
            )
        return backend

    KmsResponse.kms_backend = property(find_backend)  # type: ignore[method-assign,assignment]


def _find_key(backend: Any, name: str) -> Any:
    """Return the key that the last part of an ARN names, or None."""
    if name.startswith("alias/"):
        return next((key for key in backend.keys.values() if name in key.aliases), None)
    return backend.keys.get(name.removeprefix("key/"))


def _may_call(response: Any, key: Any) -> bool:
    """Return whether the caller of another account may call the action of the request."""
    account, action = response.current_account, response._get_action()
    if action == "RetireGrant":
        # https://docs.aws.amazon.com/kms/latest/APIReference/API_RetireGrant.html
        grant = key.grants.get(response._get_param("GrantId"))
        return grant is not None and grant.retiring_principal == f"arn:aws:iam::{account}:root"
    context: dict[str, str | list[str]] = {}
    if action == "CreateGrant":
        context = {
            "kms:GranteePrincipal": response._get_param("GranteePrincipal"),
            "kms:GrantIsForAWSResource": "false",
            "kms:GrantOperations": response._get_param("Operations"),
        }
    return key_policy_allows(key, account, f"kms:{action}", context)
