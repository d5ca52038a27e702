# --- Required ---------------------------------------------------------------------------------------------------------

variable "images" {
  description = <<-EOT
    The images that this account builds, by image name (the answer to the question `image_name`):
    - `repository`: GitHub repository of the image, such as `acme/packer-ami-web`. Only this repository can assume the roles of the image.
    - `repository_id`, `owner_id`: numeric IDs of the repository and of its owner. On github.com, set both: without them, the next owner of the same name could assume the roles. `gh api repos/acme/packer-ami-web --jq '.id, .owner.id'` prints them.
    - `default_branch`: branch whose workflow runs may clean up leftovers.
    - `release_tags`: patterns of the tags that may release.
    - `release_environment`: GitHub environment that may release, such as `release`. Null: a release needs no environment.
    - `role_prefix`: first part of the names of the roles. Null: `packer-ami-NAME`. Required for image names of more than 45 characters.
    - `max_session_duration`: seconds that a session of a role may last, 3600 to 43200.
    - `architectures`: architectures that are published, `x86_64`, `arm64` or both.
    - `copy_regions`: the regions of `copy_regions` that this image is copied to. Null: all of them.

    Example: `{ web = { repository = "acme/packer-ami-web", repository_id = "123456789", owner_id = "9876543" } }`.
  EOT
  type = map(object({
    repository           = string
    repository_id        = optional(string)
    owner_id             = optional(string)
    default_branch       = optional(string, "main")
    release_tags         = optional(list(string), ["v*"])
    release_environment  = optional(string)
    role_prefix          = optional(string)
    max_session_duration = optional(number, 3600)
    architectures        = optional(set(string), ["x86_64"])
    copy_regions         = optional(set(string))
  }))

  validation {
    condition     = alltrue([for name in keys(var.images) : can(regex("^[a-z](-?[a-z0-9])+$", name)) && length(name) <= 60])
    error_message = "Each key of images must be an image name of 2 to 60 lowercase letters, digits and single hyphens, without packer-ami-; e.g. web-server."
  }

  validation {
    condition     = alltrue([for name in keys(var.images) : !startswith(name, "packer-ami-")])
    error_message = "A key of images must not begin with packer-ami-: use web for the repository packer-ami-web."
  }

  validation {
    condition = alltrue([
      for image in var.images : can(regex("^[A-Za-z0-9](-?[A-Za-z0-9_]){0,38}/[A-Za-z0-9._-]{1,100}$", image.repository))
    ])
    error_message = "Each repository must be OWNER/NAME without wildcards; e.g. acme/packer-ami-web."
  }

  validation {
    condition = alltrue([
      for image in var.images :
      length(image.architectures) > 0 && length(setsubtract(image.architectures, ["x86_64", "arm64"])) == 0
    ])
    error_message = "The architectures of an image must be x86_64, arm64 or both; e.g. [\"x86_64\"]."
  }
}

# --- Optional: regions and consumers ----------------------------------------------------------------------------------

variable "region" {
  description = "Region that images are built in, such as `eu-central-1`. Null: the region of the provider."
  type        = string
  default     = null

  validation {
    condition     = var.region == null || can(regex("^[a-z]{2}-[a-z]+-[0-9]+$", var.region))
    error_message = "The region must be in the standard AWS partition; e.g. eu-central-1."
  }
}

variable "copy_regions" {
  description = "Additional regions that images are copied to, such as `[\"eu-west-1\"]`. Each one gets a replica of the key, an alias, the resource shares and the Recycle Bin rules."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.copy_regions : can(regex("^[a-z]{2}-[a-z]+-[0-9]+$", region))])
    error_message = "The copy_regions must be in the standard AWS partition; e.g. [\"eu-west-1\"]."
  }
}

variable "consumers" {
  description = <<-EOT
    Who may launch the images, use the key and read the parameters of the stages. The values must be known at the time of the plan, so they cannot be attributes of accounts that the same apply creates.
    - `account_ids`: account IDs, such as `["222233334444"]`.
    - `organization_arns`: ARNs of organizations. RAM needs sharing within the organization: `aws ram enable-sharing-with-aws-organization` in the management account of the organization.
    - `organizational_unit_arns`: ARNs of organizational units, with the same requirement.
    - `outside_organization`: whether accounts outside the organization of this account may be consumers. They accept an invitation for each resource share.
  EOT
  type = object({
    account_ids              = optional(set(string), [])
    organization_arns        = optional(set(string), [])
    organizational_unit_arns = optional(set(string), [])
    outside_organization     = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for id in var.consumers.account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "Each account ID in consumers must be 12 digits in quotes; e.g. \"222233334444\"."
  }

  validation {
    condition = alltrue([
      for arn in var.consumers.organization_arns :
      can(regex("^arn:aws:organizations::[0-9]{12}:organization/o-[a-z0-9]{10,32}$", arn))
    ])
    error_message = "Each item of organization_arns must be the ARN of an organization; e.g. arn:aws:organizations::111122223333:organization/o-exampleorgid."
  }

  validation {
    condition = alltrue([
      for arn in var.consumers.organizational_unit_arns :
      can(regex("^arn:aws:organizations::[0-9]{12}:ou/o-[a-z0-9]{10,32}/ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}$", arn))
    ])
    error_message = "Each item of organizational_unit_arns must be the ARN of an organizational unit; e.g. arn:aws:organizations::111122223333:ou/o-exampleorgid/ou-abcd-12345678."
  }
}

variable "stages" {
  description = "Stages that images are published to. Each one is a parameter `/packer-ami/NAME/ARCHITECTURE/STAGE`."
  type        = set(string)
  default     = ["dev", "test", "prod"]

  validation {
    condition     = alltrue([for stage in var.stages : can(regex("^[a-z][a-z0-9-]{0,30}$", stage))])
    error_message = "Each stage must be 1 to 31 lowercase letters, digits and hyphens, starting with a letter; e.g. prod."
  }
}

# --- Optional: GitHub and roles ---------------------------------------------------------------------------------------

variable "github_host" {
  description = "Host of GitHub: `github.com`, a host of GitHub Enterprise Cloud such as `acme.ghe.com`, or the hostname of a GitHub Enterprise Server that AWS can reach."
  type        = string
  default     = "github.com"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?\\.[a-z0-9-]+$", var.github_host))
    error_message = "The github_host must be a lowercase hostname without https:// and without a path; e.g. github.com."
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the existing OIDC provider of `github_host`. An account can have one provider for each host, so set it if another configuration created it. Null: the module creates the provider. Example: `arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com`."
  type        = string
  default     = null

  validation {
    condition     = var.oidc_provider_arn == null || can(regex("^arn:aws:iam::[0-9]{12}:oidc-provider/[^*]+$", var.oidc_provider_arn))
    error_message = "The oidc_provider_arn must be the ARN of an OIDC provider; e.g. arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com."
  }
}

variable "publisher" {
  description = <<-EOT
    The repository of the template, whose workflow publishes the toolkit image to `toolkit_repository`. Null: no role for it.
    - `repository`, `repository_id`, `owner_id`: as for an image.
    - `environment`: GitHub environment whose jobs may publish.
    - `role_name`: name of the role.

    Example: `{ repository = "acme/template-packer-ami", repository_id = "123456788", owner_id = "9876543" }`.
  EOT
  type = object({
    repository    = string
    repository_id = optional(string)
    owner_id      = optional(string)
    environment   = optional(string, "toolkit")
    role_name     = optional(string, "packer-toolkit-publisher")
  })
  default = null
}

variable "personal_role" {
  description = <<-EOT
    The role with which developers build from their machines (question `personal_role_variable`). Null: no role for it.
    - `trusted_arns`: users, roles or accounts that may assume the role.
    - `can_release`: whether the role may also create, share and delete images.
    - `parameter_paths`: paths of the SSM parameters that `task create-legacy-packer-deps` reads.
    - `role_name`: name of the role.

    Example: `{ trusted_arns = ["arn:aws:iam::111122223333:role/developer"] }`.
  EOT
  type = object({
    trusted_arns    = list(string)
    can_release     = optional(bool, false)
    parameter_paths = optional(list(string), [])
    role_name       = optional(string, "packer-ami-developer")
  })
  default = null
}

variable "role_path" {
  description = "Path of all roles, such as `/packer-ami/`."
  type        = string
  default     = "/"

  validation {
    condition     = can(regex("^/([A-Za-z0-9._-]+/)*$", var.role_path))
    error_message = "The role_path must begin and end with /; e.g. /packer-ami/."
  }
}

variable "permissions_boundary_arn" {
  description = "ARN of the policy that limits all roles of this module. Example: `arn:aws:iam::111122223333:policy/boundary`. Null: no boundary."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:aws:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "The permissions_boundary_arn must be the ARN of a policy; e.g. arn:aws:iam::111122223333:policy/boundary."
  }
}

variable "session_manager" {
  description = "Whether build instances can be reached through Session Manager (`ssh_interface = \"session_manager\"`). Creates an instance profile and allows the roles to use it."
  type        = bool
  default     = false
}

# --- Optional: the key ------------------------------------------------------------------------------------------------

variable "kms_key" {
  description = <<-EOT
    The multi-Region key that encrypts the images. Null: images use the account's default key and cannot be shared.
    - `alias`: name of the key in every region, without `alias/`. It must equal the answer to the question `aws_kms_key`.
    - `deletion_window_in_days`: days between the deletion of the key and its end, 7 to 30. Without the key, no image can be launched.
  EOT
  type = object({
    alias                   = optional(string, "packer-ami")
    deletion_window_in_days = optional(number, 30)
  })
  default = {}

  validation {
    condition     = var.kms_key == null || can(regex("^[A-Za-z0-9/_-]{1,250}$", var.kms_key.alias)) && !can(regex("^(aws|alias)/", var.kms_key.alias))
    error_message = "The alias of kms_key must be letters, digits and / _ - without alias/ and not begin with aws/; e.g. packer-ami."
  }

  validation {
    condition     = var.kms_key == null || try(var.kms_key.deletion_window_in_days >= 7 && var.kms_key.deletion_window_in_days <= 30, false)
    error_message = "The deletion_window_in_days of kms_key must be 7 to 30."
  }
}

# --- Optional: the toolkit --------------------------------------------------------------------------------------------

variable "toolkit_repository" {
  description = <<-EOT
    The ECR repository of the toolkit image. Null: the image is in another registry; then set `toolkit_image`.
    - `name`: name of the repository.
    - `untagged_days`: days after which untagged images are deleted. Tagged images stay, because repositories pin them by digest.
    - `pull_organization_ids`: organizations whose accounts may pull the image, such as `["o-exampleorgid"]`.
    - `pull_account_ids`: accounts that may pull the image.
    - `force_delete`: whether a destroy deletes the repository although it contains images.
  EOT
  type = object({
    name                  = optional(string, "packer-toolkit")
    untagged_days         = optional(number, 14)
    pull_organization_ids = optional(set(string), [])
    pull_account_ids      = optional(set(string), [])
    force_delete          = optional(bool, false)
  })
  default = {}

  validation {
    condition     = var.toolkit_repository == null || can(regex("^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$", var.toolkit_repository.name))
    error_message = "The name of toolkit_repository must be lowercase letters, digits and . _ - /; e.g. packer-toolkit."
  }

  validation {
    condition     = var.toolkit_repository == null || try(var.toolkit_repository.untagged_days >= 1, false)
    error_message = "The untagged_days of toolkit_repository must be 1 or more."
  }

  validation {
    condition = var.toolkit_repository == null || alltrue([
      for id in try(var.toolkit_repository.pull_organization_ids, []) : can(regex("^o-[a-z0-9]{10,32}$", id))
    ])
    error_message = "Each item of pull_organization_ids must be the ID of an organization; e.g. o-exampleorgid."
  }

  validation {
    condition = var.toolkit_repository == null || alltrue([
      for id in try(var.toolkit_repository.pull_account_ids, []) : can(regex("^[0-9]{12}$", id))
    ])
    error_message = "Each item of pull_account_ids must be 12 digits in quotes; e.g. \"222233334444\"."
  }
}

variable "toolkit_image" {
  description = "Toolkit image in another registry, without a tag, such as `ghcr.io/acme/packer-toolkit`. It is an answer in `copier_data`. Null: the image in `toolkit_repository`."
  type        = string
  default     = null

  validation {
    condition     = var.toolkit_image == null || can(regex("^[a-z0-9.-]+(:[0-9]+)?/[a-z0-9._/-]+$", var.toolkit_image))
    error_message = "The toolkit_image must be registry/name in lowercase, without a tag; e.g. ghcr.io/acme/packer-toolkit."
  }
}

# --- Optional: protection ---------------------------------------------------------------------------------------------

variable "recycle_bin" {
  description = <<-EOT
    Rules that retain deleted images and snapshots, so that they can be restored. Null: no rules.
    - `retention_days`: how long, 1 to 365 days. Retained snapshots cost the same as others.
    - `tags`: tags of the images and snapshots; one of them is enough. Finished images have the tag `ExpiresAt` with the value `never`, so that leftovers of failed builds are not retained.
  EOT
  type = object({
    retention_days = optional(number, 14)
    tags           = optional(map(string), { ExpiresAt = "never" })
  })
  default = {}

  validation {
    condition     = var.recycle_bin == null || try(var.recycle_bin.retention_days >= 1 && var.recycle_bin.retention_days <= 365, false)
    error_message = "The retention_days of recycle_bin must be 1 to 365."
  }

  validation {
    condition     = var.recycle_bin == null || try(length(var.recycle_bin.tags) >= 1 && length(var.recycle_bin.tags) <= 50, false)
    error_message = "The recycle_bin must have 1 to 50 tags: a rule without tags would retain every image and snapshot of the account."
  }
}

variable "block_public_access" {
  description = <<-EOT
    Whether images and snapshots of this account can be made public. It applies to the whole account in every region of this module.
    - `images`: block new public images.
    - `snapshots`: block all public snapshots.
  EOT
  type = object({
    images    = optional(bool, false)
    snapshots = optional(bool, false)
  })
  default  = {}
  nullable = false
}

variable "tags" {
  description = "Tags of all resources, such as `{ CostCenter = \"1234\" }`."
  type        = map(string)
  default     = {}
  nullable    = false
}
