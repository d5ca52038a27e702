# More variables: how a build connects to its instance and waits for EC2, and a value that packer-toolkit build sets.

# A public subnet that does not assign a public address needs true.
variable "associate_public_ip_address" {
  description = "Whether the build instance gets a public address. null: as the subnet is configured."
  type        = bool
  default     = null
}

# Session Manager needs one whose role has the policy AmazonSSMManagedInstanceCore.
variable "iam_instance_profile" {
  description = "Instance profile of the build instance. Empty: none."
  type        = string
  default     = ""
}

variable "program_folders" {
  description = "Directories, separated by colons, to search for session-manager-plugin. Empty: do not search."
  type        = string
  default     = env("PATH")
}

variable "ssh_file_transfer_method" {
  description = "How scripts are copied to the instance: sftp, or scp for a source AMI whose sshd has no SFTP."
  type        = string
  default     = "sftp"

  validation {
    condition     = contains(["sftp", "scp"], var.ssh_file_transfer_method)
    error_message = "The ssh_file_transfer_method must be sftp or scp."
  }
}

# private_ip requires the private address of the build host, such as 10.1.2.3/32.
variable "ssh_source_cidrs" {
  description = "CIDRs with SSH access to the instance. Empty: only the public address of the build host."
  type        = list(string)
  default     = []

  # 10.0.0.0/8 and fd00::/8 are private networks, but several of that size could cover most of the internet.
  validation {
    condition = length([
      for cidr in var.ssh_source_cidrs : cidr
      if try(split("/", cidr)[1] * 1, 128) < (can(regex("^(?i)([^:]*$|f[cd][0-9a-f]{2}:)", cidr)) ? 8 : 16)
    ]) == 0
    error_message = "The ssh_source_cidrs must not cover most of the internet: none larger than /8 (IPv6: /16)."
  }

  validation {
    condition = length([
      for cidr in var.ssh_source_cidrs : cidr
      if try(split("/", cidr)[1] * 1, 128) < (can(regex(":", cidr)) ? 32 : 16)
    ]) <= 4
    error_message = "The ssh_source_cidrs must not cover most of the internet: at most 4 larger than /16 (IPv6: /32)."
  }
}

# It applies to the creation of the image, and again to its copies. Raise it for images of several hundred GiB.
variable "wait_minutes" {
  description = "Maximum number of minutes that a build waits for EC2 to create or copy the image."
  type        = number
  default     = 60

  validation {
    condition     = var.wait_minutes > 0 && var.wait_minutes <= 1440
    error_message = "The wait_minutes must be more than 0 and at most 1440 (one day)."
  }
}

# `packer-toolkit build` sets it.
variable "template_version" {
  description = "Release of the template, for the tag TemplateVersion. Empty: read from the answers file."
  type        = string
  default     = ""

  validation {
    condition     = !can(regex("{{", var.template_version))
    error_message = "The template_version must not contain {{, because it starts a template of Packer's plugins."
  }
}
