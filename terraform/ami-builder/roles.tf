# The roles of each image. Their policies are in modules/.

module "image_roles" {
  source   = "./modules/image-roles"
  for_each = var.images

  name                      = each.key
  repository                = each.value.repository
  repository_id             = each.value.repository_id
  owner_id                  = each.value.owner_id
  default_branch            = each.value.default_branch
  release_tags              = each.value.release_tags
  release_environment       = each.value.release_environment
  role_prefix               = each.value.role_prefix
  max_session_duration      = each.value.max_session_duration
  github_host               = var.github_host
  oidc_provider_arn         = local.oidc_provider_arn
  regions                   = local.image_regions[each.key]
  kms_key_arns              = [for region, arn in local.kms_key_arns : arn if contains(local.image_regions[each.key], region)]
  ecr_repository_arn        = one(aws_ecr_repository.toolkit[*].arn)
  instance_profile_role_arn = one(aws_iam_role.build_instance[*].arn)
  session_manager           = var.session_manager
  permissions_boundary_arn  = var.permissions_boundary_arn
  path                      = var.role_path
  tags                      = merge(var.tags, { Repository = "packer-ami-${each.key}" })
}
