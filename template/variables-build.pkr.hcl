# Further variables: how a build reaches its instance and waits for EC2, and what packer-toolkit build sets.

variable "associate_public_ip_address" {
  description = "Whether the building instance gets a public address: set true in a public subnet that does not assign one. null: the subnet decides."
  type        = bool
  default     = null
}

variable "program_folders" {
  description = "Folders, separated by colons, in which a build with session_manager looks for session-manager-plugin. Empty: it does not look."
  type        = string
  default     = env("PATH")
}

variable "ssh_file_transfer_method" {
  description = "How scripts reach the instance: sftp, or scp for a base image whose sshd offers no SFTP."
  type        = string
  default     = "sftp"

  validation {
    condition     = contains(["sftp", "scp"], var.ssh_file_transfer_method)
    error_message = "The ssh_file_transfer_method is sftp or scp."
  }
}

variable "wait_minutes" {
  description = "Maximum number of minutes that a build waits for EC2 to create the image, and again to copy it to other regions. Raise it for images of several hundred GiB."
  type        = number
  default     = 60

  validation {
    condition     = var.wait_minutes > 0 && var.wait_minutes <= 1440
    error_message = "The wait_minutes are more than 0 and at most 1440, which is a day."
  }
}

variable "template_version" {
  description = "Release of the template, for the tag of that name. Empty: read from the answers file. packer-toolkit build sets it."
  type        = string
  default     = ""

  validation {
    condition     = !can(regex("{{", var.template_version))
    error_message = "The template_version cannot have {{ in it, which begins a template of Packer's plugins."
  }
}
