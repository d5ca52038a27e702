# The roles of one image's repository. docs/decisions/0054 has the reasons for their trust and their permissions.

module "policies" {
  source = "../image-policies"

  account_id                = local.account_id
  ecr_repository_arn        = var.ecr_repository_arn
  instance_profile_role_arn = var.instance_profile_role_arn
  kms_key_arns              = var.kms_key_arns
  names                     = [var.name]
  regions                   = var.regions
  session_manager           = var.session_manager
}

locals {
  account_id = split(":", var.oidc_provider_arn)[4]

  descriptions = {
    build   = "Tests packer-ami-${var.name} and cannot create images"
    release = "Creates and shares the images of packer-ami-${var.name}"
    cleanup = "Deletes leftovers of builds of packer-ami-${var.name}"
  }
}

resource "aws_iam_role" "this" {
  for_each = local.descriptions

  name                 = "${coalesce(var.role_prefix, "packer-ami-${var.name}")}-${each.key}"
  assume_role_policy   = module.trust[each.key].json
  description          = each.value
  max_session_duration = var.max_session_duration
  path                 = var.path
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags
}

# Inline, because a policy without its role has no use, and because the size limit is that of all inline policies.
resource "aws_iam_role_policy" "this" {
  for_each = local.descriptions

  name   = "packer-ami"
  policy = module.policies.policies[each.key]
  role   = aws_iam_role.this[each.key].name
}
