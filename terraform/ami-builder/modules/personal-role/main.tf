# The personal role of the tasks on developers' machines: test builds, the toolkit image, and what `packer-toolkit
# doctor` and `task create-legacy-packer-deps` read.

module "policies" {
  source = "../image-policies"

  account_id                = var.account_id
  ecr_repository_arn        = var.ecr_repository_arn
  instance_profile_role_arn = var.instance_profile_role_arn
  kms_key_arns              = var.kms_key_arns
  names                     = var.images
  regions                   = var.regions
  session_manager           = var.session_manager
}

locals {
  policies = {
    build = module.policies.policies[var.can_release ? "release" : "build"]
    tasks = data.aws_iam_policy_document.tasks.minified_json
  }
}

data "aws_iam_policy_document" "tasks" {
  # The doctor compares the trust policies of the workflows' roles with the repository.
  statement {
    sid       = "ReadTrust"
    actions   = ["iam:GetRole"]
    resources = ["arn:aws:iam::${var.account_id}:role/*"]
  }

  dynamic "statement" {
    for_each = length(var.parameter_paths) > 0 ? [var.parameter_paths] : []

    content {
      sid     = "ReadParameters"
      actions = ["ssm:GetParameters", "ssm:GetParametersByPath"]
      resources = flatten([
        for path in statement.value : [
          for arn in ["parameter${path}", "parameter${path}/*"] : "arn:aws:ssm:*:${var.account_id}:${arn}"
        ]
      ])
    }
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      identifiers = var.trusted_arns
      type        = "AWS"
    }
  }
}

resource "aws_iam_role" "this" {
  name                 = var.name
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  description          = "Runs the tasks of packer-ami repositories on developers' machines"
  path                 = var.path
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "this" {
  for_each = local.policies

  name   = each.key
  policy = each.value
  role   = aws_iam_role.this.name
}
