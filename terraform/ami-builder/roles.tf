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
  regions                   = sort(local.image_regions[each.key])
  kms_key_arns              = [for region, arn in local.kms_key_arns : arn if contains(local.image_regions[each.key], region)]
  ecr_repository_arn        = one(aws_ecr_repository.toolkit[*].arn)
  instance_profile_role_arn = one(aws_iam_role.build_instance[*].arn)
  session_manager           = var.session_manager
  permissions_boundary_arn  = var.permissions_boundary_arn
  path                      = var.role_path
  tags                      = merge(var.tags, { Repository = "packer-ami-${each.key}" })
}

# --- Roles that are not for one image ---------------------------------------------------------------------------------

module "publisher_role" {
  source = "./modules/publisher-role"
  count  = var.publisher == null ? 0 : 1

  repository               = var.publisher.repository
  repository_id            = var.publisher.repository_id
  owner_id                 = var.publisher.owner_id
  environment              = var.publisher.environment
  name                     = var.publisher.role_name
  github_host              = var.github_host
  oidc_provider_arn        = local.oidc_provider_arn
  ecr_repository_arn       = one(aws_ecr_repository.toolkit[*].arn)
  permissions_boundary_arn = var.permissions_boundary_arn
  path                     = var.role_path
  tags                     = var.tags
}

module "personal_role" {
  source = "./modules/personal-role"
  count  = var.personal_role == null ? 0 : 1

  images                    = sort(keys(var.images))
  account_id                = local.account_id
  trusted_arns              = var.personal_role.trusted_arns
  can_release               = var.personal_role.can_release
  parameter_paths           = var.personal_role.parameter_paths
  name                      = var.personal_role.role_name
  regions                   = sort(local.regions)
  kms_key_arns              = values(local.kms_key_arns)
  ecr_repository_arn        = one(aws_ecr_repository.toolkit[*].arn)
  instance_profile_role_arn = one(aws_iam_role.build_instance[*].arn)
  session_manager           = var.session_manager
  permissions_boundary_arn  = var.permissions_boundary_arn
  path                      = var.role_path
  tags                      = var.tags
}
