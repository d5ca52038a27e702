# --- Required ---------------------------------------------------------------------------------------------------------

variable "owner_account_id" {
  description = "ID of the account that builds the images, such as `111122223333`."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.owner_account_id))
    error_message = "The owner_account_id must be 12 digits in quotes; e.g. \"111122223333\"."
  }
}

# --- Optional ---------------------------------------------------------------------------------------------------------

variable "regions" {
  description = "Regions in which images are used, such as `[\"eu-central-1\"]`. Null: the region of the provider. The key of the images must exist in each of them."
  type        = set(string)
  default     = null

  validation {
    condition     = var.regions == null || try(length(var.regions) > 0 && alltrue([for region in var.regions : can(regex("^[a-z]{2}-[a-z]+-[0-9]+$", region))]), false)
    error_message = "The regions must be in the standard AWS partition, at least one; e.g. [\"eu-central-1\"]."
  }
}

variable "kms_alias" {
  description = "Alias of the key of the images in the owner's account, such as `alias/packer-ami`. Null: no grant, because the images are not encrypted with a shared key, or no Auto Scaling group uses them."
  type        = string
  default     = "alias/packer-ami"

  validation {
    condition     = var.kms_alias == null || can(regex("^alias/[A-Za-z0-9/_-]{1,250}$", var.kms_alias)) && !try(startswith(var.kms_alias, "alias/aws/"), false)
    error_message = "The kms_alias must begin with alias/ and not with alias/aws/; e.g. alias/packer-ami."
  }
}

variable "create_service_linked_role" {
  description = "Whether to create the service-linked role of Auto Scaling. An account has it since its first Auto Scaling group, and can have it only once."
  type        = bool
  default     = false
}

variable "allowed_images" {
  description = <<-EOT
    Which images instances of this account may be launched from (Allowed AMIs), in all `regions`. Null: the setting is not managed.
    - `state`: `audit-mode` only marks other images as not allowed; `enabled` refuses them.
    - `providers`: further owners that are allowed beside `owner_account_id`: account IDs, `amazon`, `aws-marketplace` or `aws-backup-vault`. Images of the account itself are always allowed.
    - `maximum_age_days`: age in days above which an image of `owner_account_id` is not allowed. Null: no limit.
  EOT
  type = object({
    state            = optional(string, "audit-mode")
    providers        = optional(set(string), ["amazon"])
    maximum_age_days = optional(number)
  })
  default = null

  validation {
    condition     = var.allowed_images == null || try(contains(["audit-mode", "enabled"], var.allowed_images.state), false)
    error_message = "The state of allowed_images must be audit-mode or enabled."
  }

  validation {
    condition = var.allowed_images == null || try(alltrue([
      for provider in var.allowed_images.providers : can(regex("^([0-9]{12}|amazon|aws-marketplace|aws-backup-vault)$", provider))
    ]), false)
    error_message = "The providers of allowed_images must be account IDs in quotes, amazon, aws-marketplace or aws-backup-vault; e.g. [\"amazon\"]."
  }

  validation {
    condition     = try(var.allowed_images.maximum_age_days, null) == null || try(var.allowed_images.maximum_age_days >= 1, false)
    error_message = "The maximum_age_days of allowed_images must be 1 or more, or null."
  }
}

variable "resource_share_arns" {
  description = "ARNs of the resource shares whose invitations to accept, from the output `resource_share_arns` of ami-builder; they must be known at the time of the plan. Only for an account outside the organization of `owner_account_id`: within an organization, shares need no acceptance. Example: `[\"arn:aws:ram:eu-central-1:111122223333:resource-share/01234567-89ab-cdef-0123-456789abcdef\"]`."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.resource_share_arns : can(regex("^arn:aws:ram:[a-z0-9-]+:[0-9]{12}:resource-share/[0-9a-f-]+$", arn))])
    error_message = "Each item of resource_share_arns must be the ARN of a resource share; e.g. arn:aws:ram:eu-central-1:111122223333:resource-share/01234567-89ab-cdef-0123-456789abcdef."
  }
}
