# The inputs of a build. Values of this image belong into image.auto.pkrvars.hcl; a single build takes others from the
# environment (PKR_VAR_version=1.2.3) or the command line (-var version=1.2.3).

# --- The image: set in image.auto.pkrvars.hcl -------------------------------------------------------------------------

variable "image_name" {
  description = "Name of the image. AMIs are called NAME-VERSION-ARCHITECTURE."
  type        = string

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9])+$", var.image_name)) && length(var.image_name) <= 60
    error_message = "The image_name takes 2 to 60 lower-case letters, digits and single hyphens, such as web-server."
  }
}

variable "image_description" {
  description = "What the image is for, in one line of at most 255 characters."
  type        = string

  validation {
    condition     = length(var.image_description) >= 1 && length(var.image_description) <= 255
    error_message = "The image_description takes 1 to 255 characters."
  }
}

variable "architectures" {
  description = "Processors to build for, one AMI each: x86_64, arm64."
  type        = list(string)

  validation {
    condition = length(var.architectures) > 0 && length([
      for name in var.architectures : name if !contains(["x86_64", "arm64"], name)
    ]) == 0
    error_message = "The architectures take at least one of x86_64 and arm64."
  }
}

variable "region" {
  description = "Region to build in, such as eu-central-1."
  type        = string

  # The other partitions of AWS have codes of four parts, or begin with cn-.
  validation {
    condition     = can(regex("^[a-z]{2}-[a-z]+-[0-9]+$", var.region)) && !can(regex("^cn-", var.region))
    error_message = "The region must be in the standard partition of AWS, as eu-central-1; others are not supported."
  }
}

variable "source_ami_owners" {
  description = "Accounts whose images can be the source AMI: account IDs, or self. Others are never used."
  type        = list(string)

  validation {
    condition     = length(var.source_ami_owners) > 0
    error_message = "The source_ami_owners need an account; without one, an image of any account could be the source."
  }
}

variable "source_ami_names" {
  description = "Name filter of the parent image for each architecture; the newest match is taken."
  type        = map(string)
}

# `packer-toolkit build` sets it if the newest match is not finished, or is an image of this repository.
variable "source_ami_ids" {
  description = "IDs of source AMIs by architecture, used instead of the newest match of source_ami_names."
  type        = map(string)
  default     = {}
}

variable "ssh_username" {
  description = "Login user of the parent image."
  type        = string
}

variable "root_device_name" {
  description = "Device name of the source AMI's root volume, such as /dev/xvda. Another name adds a second disk."
  type        = string
}

variable "local_image" {
  description = "Container image that stands for the parent in a build of the source docker.local."
  type        = string
}

# --- The image: optional ----------------------------------------------------------------------------------------------

variable "ami_users" {
  description = "Accounts that may launch the image. Empty: only the own account."
  type        = list(string)
  default     = []
}

variable "ami_org_arns" {
  description = "ARNs of organisations whose accounts may launch the image."
  type        = list(string)
  default     = []
}

variable "ami_ou_arns" {
  description = "ARNs of organisational units whose accounts may launch the image."
  type        = list(string)
  default     = []
}

variable "copy_regions" {
  description = "Further regions to copy the image to."
  type        = list(string)
  default     = []

  validation {
    condition = length([
      for region in var.copy_regions : region
      if !can(regex("^[a-z]{2}-[a-z]+-[0-9]+$", region)) || can(regex("^cn-", region))
    ]) == 0
    error_message = "The copy_regions must be in the standard partition of AWS, as eu-west-1; others are not supported."
  }
}

# In a single region it can also be a key ID or ARN. An image with the account's default key cannot be shared.
variable "kms_key_id" {
  description = "KMS key of the image in all regions: an alias or a multi-region key. Empty: the account's default key."
  type        = string
  default     = ""
}

variable "kms_key_ids" {
  description = "KMS keys of regions that need another key than kms_key_id, as { us-east-1 = \"alias/other\" }."
  type        = map(string)
  default     = {}
}

variable "volume_size" {
  description = "Size of the root volume in GiB. 0: as large as the parent's."
  type        = number
  default     = 0
}

variable "tags" {
  description = "Further tags of everything that a build creates and of the image, such as { CostCenter = \"1234\" }."
  type        = map(string)
  default     = {}

  # The plugin reads keys and values as templates until nothing changes any more, so that no escape of {{ exists.
  validation {
    condition     = !can(regex("{{", join(" ", concat(keys(var.tags), values(var.tags)))))
    error_message = "The tags cannot have {{ in keys or values, which begins a template of Packer's plugins."
  }

  # What EC2 refuses only during the build: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
  validation {
    condition = length(var.tags) <= 38 && length([
      for key, value in var.tags : key
      if length(key) > 128 || length(value) > 256 || can(regex("^(?i)aws:|^$", key))
    ]) == 0
    error_message = "The tags are at most 38, with keys of 1 to 128 characters, not aws:…, and values of 0 to 256."
  }
}

variable "temporary_users" {
  description = "Accounts that the build made for itself and that the clean-up removes, with their home folders."
  type        = list(string)
  default     = []
}

# --- The build --------------------------------------------------------------------------------------------------------

variable "version" {
  description = "Version of the image, such as 1.2.3. Empty: 0.0.0-dev with the time of the build."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[0-9A-Za-z.-]{0,40}$", var.version))
    error_message = "The version takes at most 40 letters, digits, dots and hyphens, such as 1.2.3."
  }
}

variable "git_commit" {
  description = "Commit that is built. Empty: read from .git. packer-toolkit build sets it."
  type        = string
  default     = ""

  validation {
    condition     = !can(regex("{{", var.git_commit))
    error_message = "The git_commit cannot have {{ in it, which begins a template of Packer's plugins."
  }
}

variable "run_id" {
  description = "Marks all that one build creates. Empty: a random one; GitHub's workflows give theirs."
  type        = string
  default     = env("GITHUB_RUN_ID")

  validation {
    condition     = !can(regex("{{", var.run_id))
    error_message = "The run_id cannot have {{ in it, which begins a template of Packer's plugins."
  }
}

variable "run_hours" {
  description = "Hours after which what a killed build left behind may be deleted; more than any build takes."
  type        = number
  default     = 6
}

variable "toolkit_version" {
  description = "Version of the packer-toolkit image, which sets it. Empty: built without the toolkit."
  type        = string
  default     = env("PACKER_TOOLKIT_VERSION")
}

variable "skip_create_ami" {
  description = "Do everything but create the image: a test build."
  type        = bool
  default     = false
}

variable "skip_inspec" {
  description = "Create an image although no InSpec is at hand to test it."
  type        = bool
  default     = false
}

# `packer-toolkit build` sets it to false, because it installs them before it starts Packer.
variable "install_requirements" {
  description = "Install the roles and collections of requirements.yml when a build starts."
  type        = bool
  default     = true
}

variable "instance_types" {
  description = "Instance type of the build for each architecture; a larger one makes a slow build faster."
  type        = map(string)
  default = {
    arm64  = "m7g.large"
    x86_64 = "m7i.large"
  }
}

variable "assume_role_arn" {
  description = "Role to assume for the build, again whenever its hour ends. Empty: the credentials as they are."
  type        = string
  default     = ""
}

variable "max_retries" {
  description = "How often a throttled call to AWS is tried, with pauses of up to 20 seconds. Raise it for many builds."
  type        = number
  default     = 10
}

variable "vpc_id" {
  description = "VPC to build in. Empty: the one of subnet_id, or the account's default VPC."
  type        = string
  default     = ""
}

variable "subnet_id" {
  description = "Subnet to build in. Empty: one of the default VPC."
  type        = string
  default     = ""
}

# session_manager works in a private subnet and opens no port; it needs iam_instance_profile.
variable "ssh_interface" {
  description = "How to reach the instance: public_ip, private_ip or session_manager."
  type        = string
  default     = "public_ip"

  validation {
    condition     = contains(["public_ip", "private_ip", "session_manager"], var.ssh_interface)
    error_message = "The ssh_interface is one of public_ip, private_ip, session_manager."
  }
}

variable "ssh_timeout" {
  description = "How long the instance may take until it answers over SSH, such as 5m or 90s."
  type        = string
  default     = "5m"
}

variable "remote_folder" {
  description = "Folder for scripts on the instance. Hardened parents mount /tmp noexec: name another one there."
  type        = string
  default     = "/tmp"
}

variable "local_network" {
  description = "Network of the container of a local build. host: also works behind a VPN or a proxy on this machine."
  type        = string
  default     = "host"
}
