# --- Required ---------------------------------------------------------------------------------------------------------

variable "owner_account_id" {
  description = "ID of the account that builds the image, such as `111122223333`. Images of other accounts are refused."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.owner_account_id))
    error_message = "The owner_account_id must be 12 digits in quotes; e.g. \"111122223333\"."
  }
}

variable "image" {
  description = <<-EOT
    The image to find. Set either `stage` or `version`:
    - `name`: name of the image (the answer to the question `image_name`), such as `web`.
    - `stage`: stage whose parameter names the image, such as `prod`. The image changes when another version is published to the stage.
    - `version`: version of the image, such as `1.2.3`, for images without stages.
    - `architecture`: `x86_64` or `arm64`.
  EOT
  type = object({
    name         = string
    stage        = optional(string)
    version      = optional(string)
    architecture = optional(string, "x86_64")
  })

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9])+$", var.image.name)) && length(var.image.name) <= 60 && !startswith(var.image.name, "packer-ami-")
    error_message = "The name of image must be 2 to 60 lowercase letters, digits and single hyphens, without packer-ami-; e.g. web."
  }

  validation {
    condition     = (var.image.stage == null) != (var.image.version == null)
    error_message = "Set either stage or version of image; e.g. { name = \"web\", stage = \"prod\" }."
  }

  validation {
    condition     = var.image.stage == null || can(regex("^[a-z][a-z0-9-]{0,30}$", var.image.stage))
    error_message = "The stage of image must be 1 to 31 lowercase letters, digits and hyphens; e.g. prod."
  }

  # A wildcard would match images that another version names.
  validation {
    condition     = var.image.version == null || can(regex("^[0-9A-Za-z.-]{1,40}$", var.image.version))
    error_message = "The version of image must be 1 to 40 letters, digits, dots and hyphens, without wildcards; e.g. 1.2.3."
  }

  validation {
    condition     = contains(["x86_64", "arm64"], var.image.architecture)
    error_message = "The architecture of image must be x86_64 or arm64."
  }
}

# --- Optional: the image ----------------------------------------------------------------------------------------------

variable "region" {
  description = "Region of the image and of all resources, such as `eu-central-1`. Null: the region of the provider."
  type        = string
  default     = null

  validation {
    condition     = var.region == null || can(regex("^[a-z]{2}-[a-z]+-[0-9]+$", var.region))
    error_message = "The region must be in the standard AWS partition; e.g. eu-central-1."
  }
}

variable "max_age_days" {
  description = "Age of the image in days above which a plan prints a warning. Null: no warning."
  type        = number
  default     = 90

  validation {
    condition     = var.max_age_days == null || try(var.max_age_days >= 1, false)
    error_message = "The max_age_days must be 1 or more, or null."
  }
}

# --- Optional: instances ----------------------------------------------------------------------------------------------

variable "launch_template" {
  description = <<-EOT
    A launch template with a new version for each image. Null: the module only finds the image.
    - `name`: name of the template.
    - `instance_type`: such as `m7i.large`.
    - `security_group_ids`: security groups of the instances.
    - `instance_profile_arn`: ARN of the instance profile.
    - `user_data`: script of the instances, not encoded.
    - `metadata_hop_limit`: 2 allows containers to read the instance metadata.
    - `detailed_monitoring`: metrics every minute instead of every five.
    - `resolve_parameter`: whether EC2 reads the image from the parameter at each launch (`resolve:ssm:`), instead of Terraform at each plan. New instances then run a newly published image without an apply. But an instance refresh cannot be rolled back, automatically or manually, and cannot skip instances that match; a group with a mixed instances policy cannot use it. Needs `stage` in `image`.
  EOT
  type = object({
    name                 = string
    instance_type        = string
    security_group_ids   = optional(list(string), [])
    instance_profile_arn = optional(string)
    user_data            = optional(string)
    metadata_hop_limit   = optional(number, 1)
    detailed_monitoring  = optional(bool, true)
    resolve_parameter    = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.launch_template == null || can(regex("^[A-Za-z0-9()./_-]{3,128}$", var.launch_template.name))
    error_message = "The name of launch_template must be 3 to 128 letters, digits and ( ) . / _ -; e.g. web."
  }

  validation {
    condition     = var.launch_template == null || can(regex("^[a-z0-9-]+\\.[a-z0-9-]+$", var.launch_template.instance_type))
    error_message = "The instance_type of launch_template must be an instance type; e.g. m7i.large."
  }

  validation {
    condition     = var.launch_template == null || try(contains([1, 2], var.launch_template.metadata_hop_limit), false)
    error_message = "The metadata_hop_limit of launch_template must be 1 or 2."
  }
}

variable "autoscaling_group" {
  description = <<-EOT
    An Auto Scaling group of the launch template. Null: no group. Its instances are replaced by an instance refresh only, see "How instances are replaced".
    - `name`: name of the group.
    - `subnet_ids`: subnets of the instances.
    - `min_size`, `max_size`: smallest and largest number of instances.
    - `desired_capacity`: number of instances. Null: scaling policies decide.
    - `target_group_arns`: target groups of a load balancer.
    - `health_check_type`: `EC2` or `ELB`.
    - `health_check_grace_period`: seconds before the first health check of an instance.
    - `instance_refresh`: how instances are replaced:
      - `start`: whether an apply starts the refresh. It needs a shell, and the AWS CLI with the credentials of this account in its environment. Otherwise, run the output `instance_refresh_command`.
      - `auto_rollback`: whether a failed refresh restores the former version.
      - `alarm_names`: CloudWatch alarms that make the refresh fail.
      - `min_healthy_percentage`, `max_healthy_percentage`: percentage of the capacity that is in service during the refresh.
      - `instance_warmup`: seconds until a new instance counts as healthy.
      - `checkpoint_percentages`, `checkpoint_delay`: percentages after which the refresh waits, and for how many seconds. The last one must be 100.
      - `bake_time`: seconds during which alarms are watched after the last instance.
  EOT
  type = object({
    name                      = string
    subnet_ids                = list(string)
    min_size                  = number
    max_size                  = number
    desired_capacity          = optional(number)
    target_group_arns         = optional(list(string), [])
    health_check_type         = optional(string, "EC2")
    health_check_grace_period = optional(number, 300)
    instance_refresh = optional(object({
      start                  = optional(bool, true)
      auto_rollback          = optional(bool, true)
      alarm_names            = optional(list(string), [])
      min_healthy_percentage = optional(number, 90)
      max_healthy_percentage = optional(number, 110)
      instance_warmup        = optional(number, 300)
      checkpoint_percentages = optional(list(number), [50, 100])
      checkpoint_delay       = optional(number, 600)
      bake_time              = optional(number, 0)
    }), {})
  })
  default = null

  validation {
    condition     = var.autoscaling_group == null || can(regex("^[A-Za-z0-9._/-]{1,255}$", var.autoscaling_group.name))
    error_message = "The name of autoscaling_group must be 1 to 255 letters, digits and . _ / -; e.g. web."
  }

  validation {
    condition     = var.autoscaling_group == null || try(length(var.autoscaling_group.subnet_ids) > 0, false)
    error_message = "The autoscaling_group must have at least one subnet in subnet_ids."
  }

  validation {
    condition = var.autoscaling_group == null || try(
      var.autoscaling_group.min_size >= 0 && var.autoscaling_group.min_size <= var.autoscaling_group.max_size, false
    )
    error_message = "The min_size of autoscaling_group must be 0 or more, and not larger than max_size."
  }

  validation {
    condition     = var.autoscaling_group == null || try(contains(["EC2", "ELB"], var.autoscaling_group.health_check_type), false)
    error_message = "The health_check_type of autoscaling_group must be EC2 or ELB."
  }

  validation {
    condition = var.autoscaling_group == null || try(
      var.autoscaling_group.instance_refresh.min_healthy_percentage >= 0
      && var.autoscaling_group.instance_refresh.min_healthy_percentage <= 100
      && var.autoscaling_group.instance_refresh.max_healthy_percentage >= 100
      && var.autoscaling_group.instance_refresh.max_healthy_percentage <= 200
      && var.autoscaling_group.instance_refresh.max_healthy_percentage - var.autoscaling_group.instance_refresh.min_healthy_percentage <= 100,
      false
    )
    error_message = "The min_healthy_percentage of instance_refresh must be 0 to 100, and max_healthy_percentage 100 to 200 and at most 100 larger."
  }

  validation {
    condition = var.autoscaling_group == null || try(
      try(reverse(var.autoscaling_group.instance_refresh.checkpoint_percentages)[0], 100) == 100
      && alltrue([for percentage in var.autoscaling_group.instance_refresh.checkpoint_percentages : percentage >= 1 && percentage <= 100]),
      false
    )
    error_message = "The checkpoint_percentages of instance_refresh must be 1 to 100 and end with 100, or be empty; e.g. [50, 100]."
  }
}

variable "tags" {
  description = "Tags of all resources and of the instances, such as `{ CostCenter = \"1234\" }`."
  type        = map(string)
  default     = {}
  nullable    = false
}
