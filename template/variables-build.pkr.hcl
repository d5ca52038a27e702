# More variables: how a build connects to its instance and waits for EC2, and a value that packer-toolkit build sets.

variable "associate_public_ip_address" {
  description = "Give the build instance a public address, if the subnet assigns none. null: the subnet's setting."
  type        = bool
  default     = null
}

variable "program_folders" {
  description = "Folders to check for session-manager-plugin, separated by colons. Default: PATH. Empty: no check."
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

variable "wait_minutes" {
  description = "Maximum minutes to wait for EC2 to create the image, and again to copy it. Raise it for large images."
  type        = number
  default     = 60

  validation {
    condition     = var.wait_minutes > 0 && var.wait_minutes <= 1440
    error_message = "The wait_minutes must be more than 0 and at most 1440 (one day)."
  }
}

variable "template_version" {
  description = "Release of the template. Empty: read from the answers file. Set by packer-toolkit build."
  type        = string
  default     = ""

  validation {
    condition     = !can(regex("{{", var.template_version))
    error_message = "The template_version must not contain {{, because it starts a template of Packer's plugins."
  }
}
