"""Suggest what to try after a failed build, by its output.

The tests compare it with the faults that docs/operating.md lists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_PAGE = '"Roles and whom they trust" in `docs/pipeline.md` of the template'

# What STS, or the action that assumes the role, prints; docs/pipeline.md has the same as a table.
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


# In each of these tables: what matches the output of a build or the name of the failed step, and
# what to try, in one line of Markdown. The first match is the most certain cause.

# Each of these is the only cause of its failure: without the role nothing was started, and the
# check of the clean-up is the last step.
_ONLY_CAUSES = (
    *ROLE_FAILURES,
    (
        r"validate\.sh: FAILED",
        "The image would contain files of the build, which the lines that begin with "
        "`validate.sh:` name. Restore the lines of `provisioners/cleanup.sh` that remove them. "
        "If the image must keep them, delete their checks in `provisioners/validate.sh`.",
    ),
)

_AWS = (
    (
        r"ExpiredToken|RequestExpired|credentials? ha(?:ve|s) expired|token .*expired",
        "The credentials expired before the build ended. Set a larger type in `instance_types` of "
        "`image.auto.pkrvars.hcl`, or give the role longer sessions "
        "(`PACKER_CREDENTIALS_SECONDS`).",
    ),
    (
        r"stopped before the credentials (?:end|expire)",
        "The build was stopped early so that it could still clean up before the credentials "
        "expired. Set a larger type in `instance_types` of `image.auto.pkrvars.hcl`; the table of "
        "phases in the summary of the run shows which phases take long.",
    ),
    (
        r"No AMI was found matching filters|source AMI for \w+: no match|(?:parent|base)[- ]image",
        "No base image matches `source_ami_owners` and `source_ami_names` in "
        "`image.auto.pkrvars.hcl`: it may have been renamed or withdrawn, or it is no longer "
        "shared with the account.",
    ),
    (
        r"Client\.InternalError|Client error on launch|"
        r"KMSKey\w*|InvalidKms\w*|KmsInvalid\w*|Kms\w*(?:Exception|Fault)|(?<!:)\bkms:\w+|"
        r"Alias .*(?:is not found|does not exist)|KMS.*(?:disabled|pending deletion|not found)|"
        r"can(?:not|'t) be shared.*(?:default|managed).*key|encrypted with the AWS Managed",
        "EC2 cannot use the KMS key. Check `kms_key_id` (an alias must exist in the region of the "
        "build and in each of `copy_regions`), that the key is enabled, and that the role and the "
        "key's policy allow `kms:CreateGrant` and the other actions of `docs/aws-actions-kms.txt` "
        "of the template.",
    ),
    (
        r"exceeded max wait time for \w+ waiter|ResourceNotReady: exceeded wait attempts",
        "EC2 took longer than the build waits. Raise `wait_minutes` in `image.auto.pkrvars.hcl`; "
        "the credentials must be valid as long (`PACKER_CREDENTIALS_SECONDS`, or a role that "
        "Packer assumes again).",
    ),
    (
        r"Error waiting for AMI\b(?!.*(?:exceeded max wait|timed? ?out|deadline))",
        "The state of the image or of its copy became `failed`. Usually EC2 cannot use the KMS key "
        "of that region: compare `docs/aws-actions-kms.txt` of the template with the role and the "
        "key's policy, and check that the alias exists there. `aws ec2 describe-images --image-ids "
        "ID --region REGION --query 'Images[].StateReason'` shows the reason while the image "
        "exists.",
    ),
    (
        r"UnauthorizedOperation|AccessDenied|is not authorized to perform",
        "The role lacks a permission that the build needs. The failed line names the call; "
        "`docs/aws-actions.txt` of the template lists the calls of every build, "
        "`docs/aws-actions-release.txt` the calls of releases.",
    ),
)

_CONNECTION = (
    (
        r"session-manager-plugin|Session Manager|ssm error:|TargetNotConnected|portForwarding",
        "Session Manager did not connect. Check `iam_instance_profile` (its role needs "
        "AmazonSSMManagedInstanceCore), the agent in the base image, the route from the subnet to "
        "Systems Manager (VPC endpoints `ssm`, `ssmmessages`, `ec2messages`), and "
        "`ssm:StartSession` of the role.",
    ),
    (
        r"SCP failed to start|scp: (?:command )?not found|\bscp\b.*No such file",
        'The base image does not have the program `scp`: set `ssh_file_transfer_method = "sftp"`.',
    ),
    (
        r"subsystem request failed|Couldn't start sftp|sftp\S* ?(?:session|server).*(?:fail|error)|"
        r"error (?:sending version packet|receiving version packet)|failed to send packet header",
        "The SSH server of the base image does not offer SFTP: set "
        '`ssh_file_transfer_method = "scp"` in `image.auto.pkrvars.hcl`.',
    ),
    (
        r"Timeout waiting for SSH|waiting for SSH to become available|i/o timeout.*:22",
        "The instance could not be reached over SSH. Check subnet, security group, "
        "`ssh_interface`, `ssh_username` and, for a slow base image, `ssh_timeout`. An instance in "
        "a public subnet without a public address needs `associate_public_ip_address = true`.",
    ),
    (
        r"Script disconnected unexpectedly|connection (?:was )?lost|UNREACHABLE!|"
        r"Connection reset by peer",
        "The connection broke during a step. If the next run fails in the same step, that step "
        "restarts the network or the SSH server; otherwise the network failed.",
    ),
)

_ACCOUNT = (
    (
        r"No space left on device|disk full",
        "The volume is full: raise `volume_size` in `image.auto.pkrvars.hcl`.",
    ),
    (
        r"InsufficientInstanceCapacity|InsufficientCapacity",
        "AWS has no capacity for this instance type now. Start the run again, or set another type "
        "in `instance_types`.",
    ),
    (
        r"(?<!Request)LimitExceeded|quota",
        "A quota of the account is exhausted. `packer-toolkit cleanup` deletes what killed builds "
        "left; otherwise request a higher quota from AWS.",
    ),
    (
        r"RequestLimitExceeded|Throttling|Rate exceeded|TooManyRequests",
        "AWS throttled the account for longer than the build retries. Start the run again when "
        "there are fewer requests in the account.",
    ),
    (
        r"InvalidAMIName\.Duplicate|AMI name .* already|name conflicts with",
        "An image of this version exists. Publish a new release; a version is built once.",
    ),
)

_INSPEC = (
    (
        r"can't connect to '\w+' backend|SSH session could not be established|Sudo failed:|"
        r"unsupported key type|connect\(2\) for ",
        "InSpec could not reach the machine, or `sudo` needs a password there. Check "
        "`ssh_username`, and what the scripts and roles change in the configuration of sshd and "
        "sudo.",
    ),
    (
        r"InSpec: FAILED.*(?:could not be loaded|was skipped|no checks|checks were skipped)|"
        r"Failed to load (?:source|profile)|Skipping profile:|No tests executed|"
        r"Could not fetch inspec profile|Unable to parse inspec\.yml|profile requires \w+ version|"
        r"is required and does not have a value",
        "InSpec did not check every control, because it did not execute a profile completely. The "
        "InSpec part of the run's summary shows the reason: check `supports`, `name` and `depends` "
        "in `inspec/inspec.yml`, and `only_if` in `inspec/controls`.",
    ),
    (
        r"InSpec: FAILED.*controls failed:|[1-9]\d* (?:control )?failures?\b",
        "A control failed. The summary of the run names it; `task packer-build-local` runs "
        "the same controls without AWS.",
    ),
    (
        r"inspec|cinc-auditor",
        "The InSpec step failed. The InSpec part of the run's summary and the lines before the "
        "failure show whether a control failed.",
    ),
)

_STEPS = (
    (
        r"Could not resolve host|Temporary failure (?:in name resolution|resolving)|"
        r"Unable to locate package|No package .* available|Unable to find a match|Failed to fetch|"
        r"E: Package .* has no installation candidate|Cannot find a valid baseurl",
        "A package or a package repository was not found: the package repositories of the base "
        "image have changed, or the subnet cannot reach them.",
    ),
    (
        r"ansible|fatal: \[",
        "An Ansible task failed; its name is above the error. `task packer-build-local` runs the "
        "same roles without AWS.",
    ),
    (
        r"Script exited with non-zero exit status|provisioners/shell|exit status",
        "A script failed. `task packer-build-local` runs the same scripts without AWS.",
    ),
    (
        r"pull access denied|manifest unknown|no basic auth credentials|docker-login|docker login|"
        r"Cannot connect to the Docker daemon",
        "The toolkit image could not be pulled. Check the step that logs in to the registry, and "
        "`TOOLKIT_IMAGE` in `toolkit.env`.",
    ),
)

_DEFAULT = (
    "Start the run again with debug logging, and compare it with the last successful run; "
    "`task packer-build-local` runs scripts, roles and controls without AWS."
)


def suggest_fixes(lines: Sequence[str], step: str = "") -> list[str]:
    """Return what to try, the most certain first, in one to three lines of Markdown.

    Args:
        lines: The last lines of the output.
        step: The name of the failed step.
    """
    text = "\n".join([step, *lines])

    def find_texts(failures: Sequence[tuple[str, str]]) -> list[str]:
        return [advice for pattern, advice in failures if re.search(pattern, text, re.I)]

    if causes := find_texts(_ONLY_CAUSES):
        return causes[:1]
    # If a profile of InSpec was not loaded, a failed control is not the cause.
    inspec = find_texts(_INSPEC)[:1]
    texts = [*find_texts((*_AWS, *_CONNECTION, *_ACCOUNT)), *inspec, *find_texts(_STEPS)]
    return texts[:3] or [_DEFAULT]
