"""Resource Access Manager: what is shared with whom, and who has accepted it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from moto.ssm.models import ssm_backends

from rig.aws.shims._registry import Rig, shim
from rig.aws.shims.accounts import find_organization, is_shared_with
from rig.aws.shims.rest import RefusalError, Request, Service, answer_json

_PERMISSION = "arn:aws:ram::aws:permission/AWSRAMDefaultPermissionSSMParameterReadOnly"


@shim
def resource_access_manager(rig: Rig) -> None:
    """Share parameters, and take them back.

    moto: lacks associations of existing shares, permissions, invitations and the view of the other
    account, and refuses parameters.  RAM: an account outside the organization has to accept an
    invitation first; only advanced parameters can be shared.
    https://docs.aws.amazon.com/ram/latest/APIReference/API_Operations.html
    https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-shared-parameters.html
    """
    rig.services["ram"] = ResourceAccessManager()


@dataclass
class Share:
    """One resource share.

    Attributes:
        arn, name, owner, region: As in the API.
        allow_external: Whether accounts outside the organization may be principals.
        principals: Account IDs, and ARNs of organizations.
        resources: ARNs.
        tags: By key.
        invitations: ID of an invited account to the status of its invitation.
        status: ACTIVE or DELETED.
        created: Unix time.
    """

    arn: str
    name: str
    owner: str
    region: str
    allow_external: bool
    principals: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    invitations: dict[str, str] = field(default_factory=dict)
    status: str = "ACTIVE"
    created: float = field(default_factory=lambda: datetime.now(timezone.utc).timestamp())

    def is_visible_to(self, account: str) -> bool:
        """Tell whether an account may use the resources."""
        principals = [
            principal
            for principal in self.principals
            if self.invitations.get(principal, "ACCEPTED") == "ACCEPTED"
        ]
        return self.status == "ACTIVE" and is_shared_with(principals, account)

    def describe(self) -> dict[str, Any]:
        """Return the share as in the API."""
        return {
            "resourceShareArn": self.arn,
            "name": self.name,
            "owningAccountId": self.owner,
            "allowExternalPrincipals": self.allow_external,
            "status": self.status,
            "creationTime": self.created,
            "lastUpdatedTime": self.created,
            "featureSet": "STANDARD",
            "tags": [{"key": key, "value": value} for key, value in self.tags.items()],
        }

    def describe_association(self, kind: str, entity: str) -> dict[str, Any]:
        """Return an association of a PRINCIPAL or a RESOURCE as in the API."""
        pending = self.invitations.get(entity) == "PENDING"
        return {
            "resourceShareArn": self.arn,
            "resourceShareName": self.name,
            "associatedEntity": entity,
            "associationType": kind,
            "status": "ASSOCIATING" if pending else "ASSOCIATED",
            "creationTime": self.created,
            "lastUpdatedTime": self.created,
            "external": entity in self.invitations,
        }

    def describe_invitation(self, account: str) -> dict[str, Any]:
        """Return the invitation of an account as in the API."""
        return {
            "resourceShareInvitationArn": f"{self.arn.replace('share/', 'share-invitation/')}",
            "resourceShareArn": self.arn,
            "resourceShareName": self.name,
            "senderAccountId": self.owner,
            "receiverAccountId": account,
            "invitationTimestamp": self.created,
            "status": self.invitations[account],
        }


class ResourceAccessManager(Service):
    """All shares of a rig."""

    def __init__(self) -> None:
        self.shares: list[Share] = []

    def is_shared(self, arn: str, account: str) -> bool:
        """Tell whether an account may use the resource of another one."""
        return any(arn in share.resources and share.is_visible_to(account) for share in self.shares)

    def post_createresourceshare(self, request: Request) -> Any:
        """Create a share."""
        body = request.body
        share = Share(
            arn=f"arn:aws:ram:{request.region}:{request.account}:resource-share/{uuid.uuid4()}",
            name=body["name"],
            owner=request.account,
            region=request.region,
            allow_external=body.get("allowExternalPrincipals", True),
            tags={tag["key"]: tag["value"] for tag in body.get("tags", [])},
        )
        self._associate(share, body)
        self.shares.append(share)
        return answer_json({"resourceShare": share.describe()})

    def post_updateresourceshare(self, request: Request) -> Any:
        """Change the name of a share, or whom it may include."""
        share = self._find(request)
        share.name = request.body.get("name", share.name)
        share.allow_external = request.body.get("allowExternalPrincipals", share.allow_external)
        return answer_json({"resourceShare": share.describe()})

    def delete_deleteresourceshare(self, request: Request) -> Any:
        """Delete a share; RAM shows it as DELETED for a while."""
        self._find(request).status = "DELETED"
        return answer_json({"returnValue": True})

    def post_associateresourceshare(self, request: Request) -> Any:
        """Add principals and resources."""
        return self._answer_associations(self._associate(self._find(request), request.body))

    def post_disassociateresourceshare(self, request: Request) -> Any:
        """Remove principals and resources."""
        share, body = self._find(request), request.body
        removed = [
            share.describe_association(kind, entity)
            for kind, entities in _entities(body)
            for entity in entities
        ]
        share.principals = [p for p in share.principals if p not in body.get("principals", [])]
        share.resources = [r for r in share.resources if r not in body.get("resourceArns", [])]
        for principal in body.get("principals", []):
            share.invitations.pop(principal, None)
        return self._answer_associations(
            [{**association, "status": "DISASSOCIATED"} for association in removed]
        )

    def post_getresourceshares(self, request: Request) -> Any:
        """List the shares of the caller, or those that the caller may use."""
        own = request.body["resourceOwner"] == "SELF"
        arns = request.body.get("resourceShareArns")
        return answer_json(
            {
                "resourceShares": [
                    share.describe()
                    for share in self._find_shares(request, arns)
                    if (share.owner == request.account) == own
                    and (own or share.is_visible_to(request.account))
                ]
            }
        )

    def post_getresourceshareassociations(self, request: Request) -> Any:
        """List the principals, or the resources, of the caller's shares."""
        body = request.body
        kind = body["associationType"]
        wanted = body.get("principal") or body.get("resourceArn")
        return self._answer_associations(
            [
                share.describe_association(kind, entity)
                for share in self._find_shares(request, body.get("resourceShareArns"))
                if share.owner == request.account and share.status == "ACTIVE"
                for entity in (share.principals if kind == "PRINCIPAL" else share.resources)
                if wanted in (None, entity)
            ]
        )

    def post_getresourceshareinvitations(self, request: Request) -> Any:
        """List the invitations of the caller."""
        arns = request.body.get("resourceShareInvitationArns")
        invitations = [
            share.describe_invitation(request.account)
            for share in self._find_shares(request, request.body.get("resourceShareArns"))
            if request.account in share.invitations
        ]
        return answer_json(
            {
                "resourceShareInvitations": [
                    invitation
                    for invitation in invitations
                    if not arns or invitation["resourceShareInvitationArn"] in arns
                ]
            }
        )

    def post_acceptresourceshareinvitation(self, request: Request) -> Any:
        """Accept an invitation."""
        arn = request.body["resourceShareInvitationArn"]
        for share in self.shares:
            if request.account in share.invitations:
                invitation = share.describe_invitation(request.account)
                if invitation["resourceShareInvitationArn"] == arn:
                    share.invitations[request.account] = "ACCEPTED"
                    return answer_json(
                        {"resourceShareInvitation": share.describe_invitation(request.account)}
                    )
        raise RefusalError(
            "ResourceShareInvitationArnNotFoundException", f"Invitation {arn} could not be found."
        )

    def post_listresources(self, request: Request) -> Any:
        """List the resources that the caller may use."""
        return answer_json(
            {
                "resources": [
                    {"arn": arn, "resourceShareArn": share.arn, "status": "AVAILABLE"}
                    for share in self._find_shares(request, request.body.get("resourceShareArns"))
                    if share.is_visible_to(request.account)
                    for arn in share.resources
                ]
            }
        )

    def post_listresourcesharepermissions(self, request: Request) -> Any:
        """List the permission that RAM chooses when none is named."""
        share = self._find(request)
        permission = {"arn": _PERMISSION, "resourceType": "ssm:Parameter", "version": "1"}
        return answer_json({"permissions": [permission] if share.resources else []})

    def post_tagresource(self, request: Request) -> Any:
        """Tag a share."""
        tags = {tag["key"]: tag["value"] for tag in request.body["tags"]}
        self._find(request).tags.update(tags)
        return answer_json({})

    def post_untagresource(self, request: Request) -> Any:
        """Remove tags of a share."""
        share = self._find(request)
        for key in request.body["tagKeys"]:
            share.tags.pop(key, None)
        return answer_json({})

    def post_enablesharingwithawsorganization(self, request: Request) -> Any:
        """Let shares name the organization."""
        if find_organization(request.account) is None:
            raise RefusalError("OperationNotPermittedException", "The account has no organization.")
        return answer_json({"returnValue": True})

    def _find_shares(self, request: Request, arns: list[str] | None) -> list[Share]:
        return [
            share
            for share in self.shares
            if share.region == request.region and (not arns or share.arn in arns)
        ]

    def _find(self, request: Request) -> Share:
        """Return the share of the caller that a request names."""
        arn = request.body.get("resourceShareArn") or request.query.get("resourceShareArn")
        for share in self._find_shares(request, [str(arn)]):
            if share.owner == request.account and share.status == "ACTIVE":
                return share
        raise RefusalError("UnknownResourceException", f"ResourceShare {arn} could not be found.")

    def _associate(self, share: Share, body: dict[str, Any]) -> list[dict[str, Any]]:
        for arn in body.get("resourceArns", []):
            _check_resource(arn, share)
        for principal in body.get("principals", []):
            organization = find_organization(share.owner)
            inside = organization is not None and (
                principal == organization.arn
                or (principal.isdigit() and find_organization(principal) is organization)
            )
            if not inside and not share.allow_external:
                raise RefusalError(
                    "OperationNotPermittedException",
                    f"{principal} is outside the organization, and the share excludes those.",
                )
            if not inside:
                share.invitations[principal] = "PENDING"
        share.resources += [a for a in body.get("resourceArns", []) if a not in share.resources]
        share.principals += [p for p in body.get("principals", []) if p not in share.principals]
        return [
            share.describe_association(kind, entity)
            for kind, entities in _entities(body)
            for entity in entities
        ]

    def _answer_associations(self, associations: list[dict[str, Any]]) -> Any:
        return answer_json({"resourceShareAssociations": associations})


def _entities(body: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [("PRINCIPAL", body.get("principals", [])), ("RESOURCE", body.get("resourceArns", []))]


def _check_resource(arn: str, share: Share) -> None:
    """Refuse what is not an advanced parameter of the share's account and region."""
    prefix = f"arn:aws:ssm:{share.region}:{share.owner}:parameter"
    if not arn.startswith(f"{prefix}/"):
        raise RefusalError("MalformedArnException", f"The rig shares parameters only, not {arn}.")
    parameter = ssm_backends[share.owner][share.region].get_parameter(arn.removeprefix(prefix))
    if parameter is None:
        raise RefusalError("UnknownResourceException", f"Resource {arn} could not be found.")
    if parameter.tier != "Advanced":
        raise RefusalError(
            "InvalidParameterException", f"{arn} is not an advanced parameter, so it is not shared."
        )
