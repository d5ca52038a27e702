"""The actions that the roles need: the lists of docs/, and what no recorded call shows."""

from __future__ import annotations

from rig import CHECKOUT

# Actions that no recorded call shows -> source.
DEPENDENT = {
    # Calls of EC2 on behalf of the role: docs/aws-actions-kms.txt.
    "kms:CreateGrant": "EBS User Guide, Permissions for customer managed keys",
    "kms:Decrypt": "EBS User Guide, Permissions for customer managed keys",
    "kms:DescribeKey": "EBS User Guide, Permissions for customer managed keys",
    "kms:GenerateDataKeyWithoutPlaintext": "EBS User Guide, Permissions for customer managed keys",
    "kms:ReEncrypt*": "EBS User Guide, Permissions for customer managed keys",
    # Permissions that AWS checks for a call with another name.
    "iam:PassRole": "EC2 User Guide, Grant permissions to attach an IAM role to an instance",
    # Docker's calls, which the rig's registry answers instead of AWS.
    "ecr:BatchCheckLayerAvailability": "ECR User Guide, Private repository policy examples",
    "ecr:BatchGetImage": "ECR User Guide, Private repository policy examples",
    "ecr:GetAuthorizationToken": "ECR User Guide, Private registry authentication",
    "ecr:GetDownloadUrlForLayer": "ECR User Guide, Private repository policy examples",
}
PUSH = {
    "ecr:CompleteLayerUpload": "ECR User Guide, Pushing an image: required IAM permissions",
    "ecr:InitiateLayerUpload": "ECR User Guide, Pushing an image: required IAM permissions",
    "ecr:PutImage": "ECR User Guide, Pushing an image: required IAM permissions",
    "ecr:UploadLayerPart": "ECR User Guide, Pushing an image: required IAM permissions",
}
# Calls of the toolkit that need no build: tests/repository and tests/environment cover them.
OF_TASKS = {"iam:GetRole", "ssm:GetParameters", "ssm:GetParametersByPath"}
# The build role's part of the clean-up ends where images begin ("Permissions of the build role").
OF_IMAGES = {"ec2:CreateTags", "ec2:DeleteSnapshot", "ec2:DeregisterImage"}


def read_list(name: str) -> set[str]:
    """Return the actions that a file of docs/ lists."""
    lines = (CHECKOUT / "docs" / f"aws-actions{name}.txt").read_text().splitlines()
    return {line for line in lines if not line.startswith("#")}
