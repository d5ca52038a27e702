variable "repository" {
  description = "Owner and name of the repository of the template, such as `acme/template-packer-ami`. Both are case-sensitive."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository must be OWNER/NAME without wildcards, such as \"acme/template-packer-ami\"."
  }
}

variable "ecr_repository_arn" {
  description = "ARN of the ECR repository of the toolkit image, such as `arn:aws:ecr:eu-central-1:111122223333:repository/packer-toolkit`."
  type        = string

  validation {
    condition     = can(regex("^arn:aws:ecr:[a-z0-9-]+:[0-9]{12}:repository/[^*]+$", var.ecr_repository_arn))
    error_message = "ecr_repository_arn must be the ARN of a repository, such as \"arn:aws:ecr:eu-central-1:111122223333:repository/packer-toolkit\"."
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the OIDC provider of the GitHub host, such as `arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com`. Its account is the account of the role; what follows `oidc-provider/` is the issuer in the trust policy."
  type        = string

  validation {
    condition     = can(regex("^arn:aws:iam::[0-9]{12}:oidc-provider/[^*?]+$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn must be the ARN of an OIDC provider in the standard AWS partition, such as \"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com\"."
  }
}

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

variable "environment" {
  description = "Name of the GitHub environment whose jobs may use the role, such as `toolkit`. Its protection rules define which branches may publish, and who must approve."
  type        = string
  default     = "toolkit"

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.environment))
    error_message = "environment must be the name of an environment without spaces and wildcards, such as \"toolkit\"."
  }
}

variable "name" {
  description = "Name of the role, such as `packer-toolkit-publisher`."
  type        = string
  default     = "packer-toolkit-publisher"

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.name))
    error_message = "name must be a valid name of a role, such as \"packer-toolkit-publisher\"."
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
