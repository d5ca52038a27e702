"""What to try, by what a failed build says; docs/operating.md has the same faults as a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from packer_toolkit.role_advice import ROLE_FAILURES


class Advice(NamedTuple):
    """One known failure.

    Attributes:
        name: as in docs/pipeline.md.
        pattern: what the output or the name of the failed step has in it.
        text: what to try, in one line of Markdown.
    """

    name: str
    pattern: re.Pattern[str]
    text: str


def _known(name: str, pattern: str, text: str) -> Advice:
    return Advice(name, re.compile(pattern, re.I), text)


# Each of these is the only cause of its failure: without the role nothing was started, and the
# check of the clean-up is the last step.
_ONLY_CAUSES: Sequence[Advice] = [
    *(_known(*failure) for failure in ROLE_FAILURES),
    _known(
        "image-leftovers",
        r"validate\.sh: FAILED",
        "The image would contain files of the build, which the lines that begin with "
        "`validate.sh:` name. Restore the lines of `provisioners/cleanup.sh` that remove them. "
        "Where the image must keep them, delete their checks in `provisioners/validate.sh`.",
    ),
]

# The first ones are the surest: at most three of those that match are shown.
KNOWN: Sequence[Advice] = (
    _known(
        "credentials-expired",
        r"ExpiredToken|RequestExpired|credentials? ha(?:ve|s) expired|token .*expired",
        "The credentials ended before the build did. Name a larger type in `instance_types` of "
        "`image.auto.pkrvars.hcl`, or let the role live longer (`PACKER_CREDENTIALS_SECONDS`).",
    ),
    _known(
        "stopped-in-time",
        r"stopped before the credentials end",
        "The build was stopped so that it could still clean up. Name a larger type in "
        "`instance_types` of `image.auto.pkrvars.hcl`; the table of phases in the run's summary "
        "shows where the time goes.",
    ),
    _known(
        "no-parent",
        r"No AMI was found matching filters|parent[- ]image",
        "No parent image fits `source_ami_owners` and `source_ami_names` in "
        "`image.auto.pkrvars.hcl`: was it renamed, withdrawn, or is it no longer shared with the "
        "account?",
    ),
    _known(
        "key",
        r"Client\.InternalError|Client error on launch|"
        r"KMSKey\w*|InvalidKms\w*|KmsInvalid\w*|Kms\w*(?:Exception|Fault)|(?<!:)\bkms:\w+|"
        r"Alias .*(?:is not found|does not exist)|KMS.*(?:disabled|pending deletion|not found)|"
        r"can(?:not|'t) be shared.*(?:default|managed).*key|encrypted with the AWS Managed",
        "EC2 may not use the KMS key: look at `kms_key_id` (an alias must exist in the region of "
        "the build and in each of `copy_regions`), whether the key is enabled, and whether the "
        "role and the key's policy allow `kms:CreateGrant` and the other actions of "
        "`docs/aws-actions-kms.txt` of the template.",
    ),
    _known(
        "wait-too-short",
        r"exceeded max wait time for \w+ waiter|ResourceNotReady: exceeded wait attempts",
        "EC2 took longer than the build waits: raise `wait_minutes` in `image.auto.pkrvars.hcl`, "
        "and let the credentials live as long (`PACKER_CREDENTIALS_SECONDS`, or a role that Packer "
        "assumes again).",
    ),
    _known(
        "image-failed",
        r"Error waiting for AMI\b(?!.*(?:exceeded max wait|timed? ?out|deadline))",
        "The image or its copy became `failed`. Mostly EC2 may not use the KMS key of that region: "
        "compare `docs/aws-actions-kms.txt` of the template with the role and the key's policy, "
        "and look whether the alias exists there. `aws ec2 describe-images --image-ids ID --region "
        "REGION --query 'Images[].StateReason'` shows the reason while the image exists.",
    ),
    _known(
        "not-allowed",
        r"UnauthorizedOperation|AccessDenied|is not authorized to perform",
        "The role may not make a call that the build needs. The failed line names the call; "
        "`docs/aws-actions.txt` of the template lists the calls of every build, "
        "`docs/aws-actions-release.txt` those of releases.",
    ),
    _known(
        "session-manager",
        r"session-manager-plugin|Session Manager|ssm error:|TargetNotConnected|portForwarding",
        "Session Manager did not connect: look at `iam_instance_profile` (its role needs "
        "AmazonSSMManagedInstanceCore), the agent in the base image, the way from the subnet to "
        "Systems Manager (VPC endpoints `ssm`, `ssmmessages`, `ec2messages`), and "
        "`ssm:StartSession` of the role.",
    ),
    _known(
        "no-scp",
        r"SCP failed to start|scp: (?:command )?not found|\bscp\b.*No such file",
        'The base image has no program `scp`: set `ssh_file_transfer_method = "sftp"`.',
    ),
    _known(
        "no-sftp",
        r"subsystem request failed|Couldn't start sftp|sftp\S* ?(?:session|server).*(?:fail|error)|"
        r"error (?:sending version packet|receiving version packet)|failed to send packet header",
        'sshd of the base image offers no SFTP: set `ssh_file_transfer_method = "scp"` in '
        "`image.auto.pkrvars.hcl`.",
    ),
    _known(
        "ssh-never-up",
        r"Timeout waiting for SSH|waiting for SSH to become available|i/o timeout.*:22",
        "The instance was not reached over SSH: look at subnet, security group, `ssh_interface`, "
        "`ssh_username` and, for a slow base image, `ssh_timeout`. An instance in a public subnet "
        "without a public address needs `associate_public_ip_address = true`.",
    ),
    _known(
        "connection-lost",
        r"Script disconnected unexpectedly|connection (?:was )?lost|UNREACHABLE!|"
        r"Connection reset by peer",
        "The connection broke while a step ran. When the next run fails in the same place, the "
        "step takes the network or sshd down; else it was the network.",
    ),
    _known(
        "disk-full",
        r"No space left on device|disk full",
        "The volume is full: raise `volume_size` in `image.auto.pkrvars.hcl`.",
    ),
    _known(
        "capacity",
        r"InsufficientInstanceCapacity|InsufficientCapacity",
        "AWS has no such instance at the moment. Start the run again, or name another type in "
        "`instance_types`.",
    ),
    _known(
        "limit",
        r"(?<!Request)LimitExceeded|quota",
        "A quota of the account is used up. `packer-toolkit sweep` removes what killed builds "
        "left; else ask AWS for more.",
    ),
    _known(
        "throttled",
        r"RequestLimitExceeded|Throttling|Rate exceeded|TooManyRequests",
        "AWS throttled the account for longer than the build tries again. Start the run again "
        "when less goes on there.",
    ),
    _known(
        "name-taken",
        r"InvalidAMIName\.Duplicate|AMI name .* already|name conflicts with",
        "An image of this version exists. Publish a new release; a version is built once.",
    ),
    _known(
        "inspec-unreachable",
        r"can't connect to '\w+' backend|SSH session could not be established|Sudo failed:|"
        r"unsupported key type|connect\(2\) for ",
        "InSpec did not reach the machine, or `sudo` is not allowed there without a password: "
        "look at `ssh_username`, and at what the scripts and roles change in sshd and sudo.",
    ),
    _known(
        "inspec-profile",
        r"InSpec: FAILED.*(?:could not be loaded|was skipped|no checks|checks were skipped)|"
        r"Failed to load (?:source|profile)|Skipping profile:|No tests executed|"
        r"Could not fetch inspec profile|Unable to parse inspec\.yml|profile requires \w+ version|"
        r"is required and does not have a value",
        "No control was checked, or not all of them, because a profile of InSpec was not executed "
        "completely. The InSpec part of the run's summary shows the reason: look at `supports`, "
        "`name` and `depends` in `inspec/inspec.yml`, and at `only_if` in `inspec/controls`.",
    ),
    _known(
        "inspec-control",
        r"InSpec: FAILED.*controls failed:|[1-9]\d* (?:control )?failures?\b",
        "A control failed. The summary of the run names it; `task packer-build-local` runs "
        "the same controls without AWS.",
    ),
    _known(
        "inspec",
        r"inspec|cinc-auditor",
        "The InSpec step failed. The InSpec part of the run's summary and the lines before the "
        "failure show whether a control failed.",
    ),
    _known(
        "package-source",
        r"Could not resolve host|Temporary failure (?:in name resolution|resolving)|"
        r"Unable to locate package|No package .* available|Unable to find a match|Failed to fetch|"
        r"E: Package .* has no installation candidate|Cannot find a valid baseurl",
        "A package or its source was not found: the parent's repositories have changed, or the "
        "subnet does not reach them.",
    ),
    _known(
        "ansible",
        r"ansible|fatal: \[",
        "A task of Ansible failed; its name stands above the error. `task packer-build-local` "
        "runs the same roles without AWS.",
    ),
    _known(
        "script",
        r"Script exited with non-zero exit status|provisioners/shell|exit status",
        "A script failed. `task packer-build-local` runs the same scripts without AWS.",
    ),
    _known(
        "toolkit-image",
        r"pull access denied|manifest unknown|no basic auth credentials|docker-login|docker login|"
        r"Cannot connect to the Docker daemon",
        "The toolkit image could not be had: look at the step that logs in to the registry, and at "
        "`TOOLKIT_IMAGE` in `toolkit.env`.",
    ),
)

_DEFAULT = (
    "Start the run again with debug logging, and compare with the last good run; "
    "`task packer-build-local` runs scripts, roles and controls without AWS."
)
_MOST = 3


def advice(lines: Sequence[str], step: str = "") -> list[str]:
    """Return what to try, the surest first; never nothing.

    Args:
        lines: the last lines of the output.
        step: the step that failed.
    """
    text = "\n".join([step, *lines])
    only = next((known.text for known in _ONLY_CAUSES if known.pattern.search(text)), None)
    if only:
        return [only]
    matching = [known for known in KNOWN if known.pattern.search(text)]
    # Of InSpec's only the first: when a profile was not loaded, a failed control is not the cause.
    inspec = [known for known in matching if known.name.startswith("inspec")]
    found = [known.text for known in matching if known not in inspec[1:]]
    return found[:_MOST] or [_DEFAULT]
