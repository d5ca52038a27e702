output "account_id" {
  description = "ID of the account that builds and owns the images."
  value       = local.account_id
}

output "region" {
  description = "Region that images are built in."
  value       = local.region
}

output "copier_data" {
  description = "Answers for `copier copy --data-file`, by image name."
  value = {
    for name, image in var.images : name => merge(
      {
        image_name             = name
        image_architectures    = sort(image.architectures)
        aws_management_account = local.account_id
        aws_region             = local.region
        aws_copy_regions       = join(", ", sort(local.image_copy_regions[name]))
        image_consumers        = join(", ", sort(local.consumer_principals))
        aws_kms_key            = var.kms_key == null ? "" : local.kms_alias
        github_host            = var.github_host
        github_organization    = split("/", image.repository)[0]
        aws_build_role         = module.image_roles[name].build_role_arn
        aws_release_role       = module.image_roles[name].release_role_arn
      },
      # Without it, Copier asks for the image, or uses its default.
      local.toolkit_image == null ? {} : { toolkit_image = local.toolkit_image },
    )
  }

  precondition {
    condition     = alltrue([for copies in local.image_copy_regions : length(setsubtract(copies, local.copy_regions)) == 0])
    error_message = "The copy_regions of an image must be in copy_regions of the module, because only these regions have the key and the shares."
  }

  precondition {
    condition     = var.kms_key != null || length(local.consumer_principals) == 0
    error_message = "The consumers need kms_key: an image that is encrypted with the account's default key cannot be shared."
  }
}

output "roles" {
  description = "ARNs of the roles of each image: `build`, `release` and `cleanup`."
  value = {
    for name, roles in module.image_roles : name => {
      build   = roles.build_role_arn
      release = roles.release_role_arn
      cleanup = roles.cleanup_role_arn
    }
  }
}

output "publisher_role_arn" {
  description = "ARN of the role that publishes the toolkit image. Null without `publisher`."
  value       = one(module.publisher_role[*].role_arn)
}

output "personal_role_arn" {
  description = "ARN of the role for builds from a developer's machine. Null without `personal_role`."
  value       = one(module.personal_role[*].role_arn)
}

output "oidc_provider_arn" {
  description = "ARN of the OIDC provider of GitHub."
  value       = local.oidc_provider_arn
}

output "kms_alias" {
  description = "Alias of the key in every region, such as `alias/packer-ami`. Null without a key."
  value       = var.kms_key == null ? null : local.kms_alias
}

output "kms_key_arns" {
  description = "ARN of the key in each region."
  value       = local.kms_key_arns
}

output "toolkit_image" {
  description = "Toolkit image without a tag. Null if it is neither in `toolkit_repository` nor in `toolkit_image`."
  value       = local.toolkit_image
}

output "parameter_names" {
  description = "Name of the parameter of each image, architecture and stage. The first publication creates the parameter."
  value       = local.parameter_names
}

output "resource_share_arns" {
  description = "ARNs of the resource shares that the parameters are added to, by image name and region. Empty without consumers."
  value = {
    for name, regions in local.image_regions : name => {
      for region in regions : region => aws_ram_resource_share.this["${name}/${region}"].arn
      if length(local.consumer_principals) > 0
    }
  }
}

output "instance_profile_name" {
  description = "Instance profile for Session Manager: the variable `iam_instance_profile` of a build. Null without `session_manager`."
  value       = one(aws_iam_instance_profile.build_instance[*].name)
}
