################################################################################
# Required
################################################################################

variable "name" {
  description = "Answer `image_name` of the repository, such as `web`. The permissions apply to resources whose tag `Repository` is `packer-ami-NAME`."
  type        = string

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9]){1,59}$", var.name)) && !startswith(var.name, "packer-ami-")
    error_message = "name must consist of lowercase letters, digits and single hyphens, without packer-ami-, such as \"web\"."
  }
}

variable "repository" {
  description = "Owner and name of the repository on GitHub, such as `acme/packer-ami-web`. Both are case-sensitive."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository must be OWNER/NAME without wildcards, such as \"acme/packer-ami-web\"."
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the OIDC provider of the GitHub host, such as `arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com`. Its account is the account of the roles; what follows `oidc-provider/` is the issuer in the trust policies."
  type        = string

  validation {
    condition     = can(regex("^arn:aws:iam::[0-9]{12}:oidc-provider/[^*?]+$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn must be the ARN of an OIDC provider in the standard AWS partition, such as \"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com\"."
  }
}

variable "regions" {
  description = "The region of the build and the regions to which releases are copied, such as `[\"eu-central-1\", \"eu-west-1\"]`. The roles can use EC2 in these regions only."
  type        = list(string)

  validation {
    condition     = length(var.regions) > 0 && alltrue([for region in var.regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", region))])
    error_message = "regions must list at least one region, such as [\"eu-central-1\"]."
  }
}

################################################################################
# Optional: trust
################################################################################

variable "repository_id" {
  description = "Numeric ID of the repository, such as `\"123456789\"`; `gh api repos/OWNER/NAME --jq .id` prints it. Required on github.com, where the next repository of the same name would otherwise be trusted, too; null on an Enterprise Server, whose tokens AWS does not check for it."
  type        = string
  default     = null

  validation {
    condition     = var.repository_id == null || can(regex("^[0-9]+$", var.repository_id))
    error_message = "repository_id must consist of digits, such as \"123456789\"."
  }

  validation {
    condition     = var.repository_id != null || var.github_host != "github.com"
    error_message = "repository_id is required on github.com; print it with: gh api repos/OWNER/NAME --jq .id"
  }
}

variable "owner_id" {
  description = "Numeric ID of the organization or user that owns the repository, such as `\"1234567\"`; `gh api repos/OWNER/NAME --jq .owner.id` prints it. Required and used as `repository_id` is."
  type        = string
  default     = null

  validation {
    condition     = var.owner_id == null || can(regex("^[0-9]+$", var.owner_id))
    error_message = "owner_id must consist of digits, such as \"1234567\"."
  }

  validation {
    condition     = var.owner_id != null || var.github_host != "github.com"
    error_message = "owner_id is required on github.com; print it with: gh api repos/OWNER/NAME --jq .owner.id"
  }
}

variable "github_host" {
  description = "Host of the repository: `github.com`, `SUBDOMAIN.ghe.com`, or the name of an Enterprise Server, such as `github.example.com`."
  type        = string
  default     = "github.com"

  validation {
    condition     = can(regex("^[a-z0-9.-]+$", var.github_host))
    error_message = "github_host must be a host name without https://, such as \"github.example.com\"."
  }

  validation {
    condition = startswith(
      try(split("oidc-provider/", var.oidc_provider_arn)[1], ""),
      var.github_host == "github.com" ? "token.actions.githubusercontent.com" :
      endswith(var.github_host, ".ghe.com") ? "token.actions.${var.github_host}" : "${var.github_host}/_services/token",
    )
    error_message = "github_host must be the host whose issuer oidc_provider_arn names: token.actions.githubusercontent.com for github.com, token.actions.SUBDOMAIN.ghe.com, or HOST/_services/token."
  }
}

variable "default_branch" {
  description = "Branch whose workflow runs may use the clean-up role, such as `main`."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]+$", var.default_branch))
    error_message = "default_branch must be the name of a branch without wildcards, such as \"main\"."
  }
}

variable "release_tags" {
  description = "Patterns of the tags that may use the release role, such as `[\"v*\"]`."
  type        = list(string)
  default     = ["v*"]

  validation {
    condition     = length(var.release_tags) > 0 && alltrue([for tag in var.release_tags : can(regex("^[A-Za-z0-9]", tag))])
    error_message = "release_tags must list patterns that begin with a letter or a digit, such as [\"v*\"]."
  }
}

variable "release_environment" {
  description = "Name of the GitHub environment whose jobs may use the release role, such as `release`; null: jobs without an environment. On github.com, the tag is compared with `release_tags` in both cases; on other hosts, only the deployment rules of the environment restrict the tags."
  type        = string
  default     = null

  validation {
    condition     = var.release_environment == null || can(regex("^[A-Za-z0-9._-]+$", var.release_environment))
    error_message = "release_environment must be the name of an environment without spaces and wildcards, such as \"release\"."
  }
}

################################################################################
# Optional: permissions
################################################################################

variable "kms_key_arns" {
  description = "ARNs of the keys that encrypt the images, one for each region, such as `[\"arn:aws:kms:eu-central-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef\"]`. Empty: the keys of the accounts, which need no permission."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.kms_key_arns : can(regex("^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/", arn))])
    error_message = "kms_key_arns must be ARNs of keys, not of aliases, such as \"arn:aws:kms:eu-central-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef\"."
  }
}

variable "ecr_repository_arn" {
  description = "ARN of the ECR repository of the toolkit image, such as `arn:aws:ecr:eu-central-1:111122223333:repository/packer-toolkit`; null: the image is in another registry."
  type        = string
  default     = null

  validation {
    condition     = var.ecr_repository_arn == null || can(regex("^arn:aws:ecr:[a-z0-9-]+:[0-9]{12}:repository/", var.ecr_repository_arn))
    error_message = "ecr_repository_arn must be the ARN of a repository, such as \"arn:aws:ecr:eu-central-1:111122223333:repository/packer-toolkit\"."
  }
}

variable "instance_profile_role_arn" {
  description = "ARN of the role in the instance profile of build instances (HCL variable `iam_instance_profile`), such as `arn:aws:iam::111122223333:role/packer-ami-instance`; null: build instances have no profile."
  type        = string
  default     = null

  validation {
    condition     = var.instance_profile_role_arn == null || can(regex("^arn:aws:iam::[0-9]{12}:role/", var.instance_profile_role_arn))
    error_message = "instance_profile_role_arn must be the ARN of a role, such as \"arn:aws:iam::111122223333:role/packer-ami-instance\"."
  }
}

variable "session_manager" {
  description = "Whether builds connect through Session Manager (`ssh_interface = \"session_manager\"`), which needs an instance profile, such as `true`."
  type        = bool
  default     = false

  validation {
    condition     = !var.session_manager || var.instance_profile_role_arn != null
    error_message = "session_manager needs instance_profile_role_arn, the role of the instance profile."
  }
}

################################################################################
# Optional: roles
################################################################################

variable "max_session_duration" {
  description = "Seconds that a session of a role may last, such as `7200`: at least `PACKER_CREDENTIALS_SECONDS` of the repository."
  type        = number
  default     = 3600

  validation {
    condition     = var.max_session_duration >= 3600 && var.max_session_duration <= 43200
    error_message = "max_session_duration must be 3600 to 43200 seconds."
  }
}

variable "role_prefix" {
  description = "First part of the names of the roles, such as `packer-ami-web`; null: `packer-ami-NAME`. The names end in `-build`, `-release` and `-cleanup`."
  type        = string
  default     = null

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,56}$", coalesce(var.role_prefix, "packer-ami-${var.name}")))
    error_message = "role_prefix is required for image names of more than 45 characters, because IAM limits names of roles to 64 characters; it must have at most 56, such as \"packer-ami-web\"."
  }
}

variable "path" {
  description = "Path of the roles, such as `/packer-ami/`."
  type        = string
  default     = "/"

  validation {
    condition     = can(regex("^/([A-Za-z0-9+=,.@_-]+/)*$", var.path))
    error_message = "path must begin and end with a slash, such as \"/packer-ami/\"."
  }
}

variable "permissions_boundary_arn" {
  description = "ARN of the policy that limits the roles, such as `arn:aws:iam::111122223333:policy/boundary`; null: no boundary."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the roles, such as `{ Team = \"platform\" }`."
  type        = map(string)
  default     = {}
}
