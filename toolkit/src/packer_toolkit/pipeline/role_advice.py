"""Explain why a workflow cannot assume its role; docs/pipeline.md has the same as a table."""

from __future__ import annotations

_PAGE = '"Roles and whom they trust" in `docs/pipeline.md` of the template'

# What STS, or the action that assumes the role, prints, and what to do about it.
ROLE_FAILURES = (
    (
        r"Not authorized to perform:? sts:AssumeRoleWithWebIdentity",
        "The role's trust policy rejects the subject that this repository sends, or the role does "
        "not exist. Repositories that were created on github.com since 15 July 2026 send another "
        f"subject than older ones: use the trust policies of {_PAGE}.",
    ),
    (
        r"No OpenIDConnect provider found in your account",
        "The role's account has no OIDC provider for this GitHub. Create it: `aws iam "
        "create-open-id-connect-provider --url https://ISSUER --client-id-list "
        "sts.amazonaws.com`, with the issuer that the message names.",
    ),
    (
        r"Incorrect token audience",
        "The OIDC provider does not accept the audience `sts.amazonaws.com`. Add it: `aws iam "
        "add-client-id-to-open-id-connect-provider --client-id sts.amazonaws.com "
        "--open-id-connect-provider-arn ARN`.",
    ),
    (
        r"certificate doesn'?t match configured thumbprint",
        "The OIDC provider has an old thumbprint of the issuer's certificate. Replace it: `aws iam "
        "update-open-id-connect-provider-thumbprint`.",
    ),
    (
        r"Couldn'?t retrieve verification key from your identity provider",
        "AWS cannot read the keys of this GitHub's OIDC issuer. On an Enterprise Server, make "
        "`https://HOST/_services/token/.well-known/openid-configuration` reachable from the "
        "internet, with a valid certificate; on github.com, start the run again.",
    ),
    (
        r"Request ARN is invalid",
        "The ARN of the role is not valid. Correct the answers `aws_build_role` and "
        "`aws_release_role` with `task template-update -- --data aws_build_role=ARN`, or the "
        "variable `PACKER_ASSUME_ROLE_ARN`.",
    ),
    (
        r"DurationSeconds exceeds the MaxSessionDuration",
        "The role does not allow sessions of this length. Lower the repository variable "
        "`PACKER_CREDENTIALS_SECONDS`, or extend the role: `aws iam update-role --role-name NAME "
        "--max-session-duration SECONDS`.",
    ),
    (
        r"ACTIONS_ID_TOKEN_REQUEST|Credentials could not be loaded|set the .?id-token|"
        r"Could(?:n't| not) (?:get|fetch) (?:an )?(?:ID|OIDC) token",
        "The job got no OIDC token, because it lacks the permission `id-token: write`. Restore "
        "`.github/workflows/push-packer-build-ami.yml` with git, and check the permissions of a "
        "workflow that calls it.",
    ),
    (
        r"Could not assume role|AssumeRoleWithWebIdentity",
        f"The role could not be assumed. Compare it with {_PAGE}.",
    ),
)
