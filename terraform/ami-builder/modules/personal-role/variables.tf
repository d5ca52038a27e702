variable "images" {
  description = "Names of the images that the role can build, such as `[\"web\", \"db\"]`."
  type        = list(string)

  validation {
    condition     = length(var.images) > 0 && alltrue([for name in var.images : can(regex("^[a-z](-?[a-z0-9]){1,59}$", name)) && !startswith(name, "packer-ami-")])
    error_message = "images must list names of images without packer-ami-, such as [\"web\"]."
  }
}

variable "account_id" {
  description = "ID of the account of the role, such as `\"111122223333\"`."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must have 12 digits, such as \"111122223333\"."
  }
}

variable "trusted_arns" {
  description = "ARNs of the users, roles or accounts that may assume the role, such as `[\"arn:aws:iam::111122223333:role/developer\"]`."
  type        = list(string)

  validation {
    condition     = length(var.trusted_arns) > 0 && alltrue([for arn in var.trusted_arns : can(regex("^arn:aws:iam::[0-9]{12}:(root|(user|role)/[^*]+)$", arn))])
    error_message = "trusted_arns must be ARNs of users, roles or accounts without wildcards, such as [\"arn:aws:iam::111122223333:role/developer\"]."
  }
}

variable "regions" {
  description = "The region of the build and the regions to which releases are copied, such as `[\"eu-central-1\", \"eu-west-1\"]`. The role can use EC2 in these regions only."
  type        = list(string)

  validation {
    condition     = length(var.regions) > 0 && alltrue([for region in var.regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", region))])
    error_message = "regions must list at least one region, such as [\"eu-central-1\"]."
  }
}

variable "can_release" {
  description = "Whether the role can also create, share and delete images, such as `true`. Without it, only the workflow of a release can."
  type        = bool
  default     = false
}

variable "parameter_paths" {
  description = "Paths of the SSM parameters that `task create-legacy-packer-deps` reads, such as `[\"/packer\"]`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for path in var.parameter_paths : can(regex("^(/[A-Za-z0-9_.-]+)+$", path))])
    error_message = "parameter_paths must begin with a slash and not end with one, such as [\"/packer\"]."
  }
}

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

variable "name" {
  description = "Name of the role, such as `packer-ami-developer`."
  type        = string
  default     = "packer-ami-developer"

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.name))
    error_message = "name must be a valid name of a role, such as \"packer-ami-developer\"."
  }
}

variable "path" {
  description = "Path of the role, such as `/packer-ami/`."
  type        = string
  default     = "/"

  validation {
    condition     = can(regex("^/([A-Za-z0-9+=,.@_-]+/)*$", var.path))
    error_message = "path must begin and end with a slash, such as \"/packer-ami/\"."
  }
}

variable "permissions_boundary_arn" {
  description = "ARN of the policy that limits the role, such as `arn:aws:iam::111122223333:policy/boundary`; null: no boundary."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the role, such as `{ Team = \"platform\" }`."
  type        = map(string)
  default     = {}
}
