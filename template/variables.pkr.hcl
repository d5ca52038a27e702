# The inputs of a build. Set the values of this image in image.auto.pkrvars.hcl. Override them for a single build in the
# environment (PKR_VAR_version=1.2.3) or on the command line (-var version=1.2.3).

# --- The image: set in image.auto.pkrvars.hcl -------------------------------------------------------------------------

variable "image_name" {
  description = "Name of the image. AMIs are named NAME-VERSION-ARCHITECTURE."
  type        = string

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9])+$", var.image_name)) && length(var.image_name) <= 60
    error_message = "The image_name must be 2 to 60 lowercase letters, digits and single hyphens; e.g. web-server."
  }
}

variable "image_description" {
  description = "Purpose of the image, in one line of at most 255 characters."
  type        = string

  validation {
    condition     = length(var.image_description) >= 1 && length(var.image_description) <= 255
    error_message = "The image_description must be 1 to 255 characters; e.g. Web server of the shop."
  }
}

variable "architectures" {
  description = "Architectures to build for, with one AMI each: x86_64, arm64."
  type        = list(string)

  validation {
    condition = length(var.architectures) > 0 && length([
      for name in var.architectures : name if !contains(["x86_64", "arm64"], name)
    ]) == 0
    error_message = "The architectures must be a list of x86_64, arm64 or both; e.g. [\"x86_64\"]."
  }
}

variable "region" {
  description = "Region to build in, such as eu-central-1."
  type        = string

  # Region codes of other AWS partitions have four parts or start with cn-.
  validation {
    condition     = can(regex("^[a-z]{2}-[a-z]+-[0-9]+$", var.region)) && !can(regex("^cn-", var.region))
    error_message = "The region must be in the standard AWS partition (e.g. eu-central-1); others are not supported."
  }
}

variable "source_ami_owners" {
  description = "Owners of the source AMI: account IDs, or self. Images of other owners are never used."
  type        = list(string)

  validation {
    condition     = length(var.source_ami_owners) > 0
    error_message = "The source_ami_owners must not be empty; without an owner, a build could use any public image."
  }
}

variable "source_ami_names" {
  description = "Name filter of the source AMI for each architecture. The newest match is used."
  type        = map(string)
}

# `packer-toolkit build` sets it if the newest match is not finished, or is an image of this repository.
variable "source_ami_ids" {
  description = "IDs of source AMIs by architecture, used instead of the newest match of source_ami_names."
  type        = map(string)
  default     = {}
}

variable "ssh_username" {
  description = "Login user of the source AMI."
  type        = string
}

variable "root_device_name" {
  description = "Device name of the source AMI's root volume, such as /dev/xvda. Any other name adds a second volume."
  type        = string
}

variable "local_image" {
  description = "Container image that local builds (docker.local) use in place of the source AMI."
  type        = string
}

# --- The image: optional ----------------------------------------------------------------------------------------------

variable "ami_users" {
  description = "Accounts that may launch the image. Empty: only the account that owns it."
  type        = list(string)
  default     = []
}

variable "ami_org_arns" {
  description = "ARNs of organizations whose accounts may launch the image."
  type        = list(string)
  default     = []
}

variable "ami_ou_arns" {
  description = "ARNs of organizational units whose accounts may launch the image."
  type        = list(string)
  default     = []
}

variable "copy_regions" {
  description = "Additional regions to copy the image to."
  type        = list(string)
  default     = []

  validation {
    condition = length([
      for region in var.copy_regions : region
      if !can(regex("^[a-z]{2}-[a-z]+-[0-9]+$", region)) || can(regex("^cn-", region))
    ]) == 0
    error_message = "The copy_regions must be in the standard AWS partition; other partitions are not supported."
  }
}

# In a single region it can also be a key ID or ARN. An image with the account's default key cannot be shared.
variable "kms_key_id" {
  description = "KMS key of the image in each region: an alias or multi-Region key ID. Empty: the default key."
  type        = string
  default     = ""
}

variable "kms_key_ids" {
  description = "KMS keys of regions that need another key than kms_key_id, such as { us-east-1 = \"alias/other\" }."
  type        = map(string)
  default     = {}
}

variable "volume_size" {
  description = "Size of the root volume in GiB. 0: the size of the source AMI's root volume."
  type        = number
  default     = 0
}

variable "tags" {
  description = "Additional tags of the image and of all resources of a build, such as { CostCenter = \"1234\" }."
  type        = map(string)
  default     = {}

  # The plugin renders keys and values as templates until they no longer change, so {{ cannot be escaped.
  validation {
    condition     = !can(regex("{{", join(" ", concat(keys(var.tags), values(var.tags)))))
    error_message = "The tags must not contain {{ in keys or values, because it starts a template of Packer's plugins."
  }

  # EC2 would reject such tags during the build: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
  validation {
    condition = length(var.tags) <= 38 && length([
      for key, value in var.tags : key
      if length(key) > 128 || length(value) > 256 || can(regex("^(?i)aws:|^$", key))
    ]) == 0
    error_message = "There can be at most 38 tags, with keys of 1 to 128 characters (not aws:) and values of up to 256."
  }
}

variable "temporary_users" {
  description = "Users that the build created for itself. The cleanup deletes them with their home folders."
  type        = list(string)
  default     = []
}

# --- The build --------------------------------------------------------------------------------------------------------

variable "version" {
  description = "Version of the image, such as 1.2.3. Empty: 0.0.0-dev. and the time of the build."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[0-9A-Za-z.-]{0,40}$", var.version))
    error_message = "The version must be at most 40 letters, digits, dots and hyphens; e.g. 1.2.3."
  }
}

variable "git_commit" {
  description = "SHA of the commit to build. Empty: read from .git. Set by packer-toolkit build."
  type        = string
  default     = ""

  validation {
    condition     = !can(regex("{{", var.git_commit))
    error_message = "The git_commit must not contain {{, because it starts a template of Packer's plugins."
  }
}

variable "run_id" {
  description = "ID for the tag RunId of all resources of a build. Default: GITHUB_RUN_ID. Empty: a random ID."
  type        = string
  default     = env("GITHUB_RUN_ID")

  validation {
    condition     = !can(regex("{{", var.run_id))
    error_message = "The run_id must not contain {{, because it starts a template of Packer's plugins."
  }
}

variable "run_hours" {
  description = "Hours after which leftovers of a killed build may be deleted. Must be longer than any build."
  type        = number
  default     = 6
}

variable "toolkit_version" {
  description = "Version of the packer-toolkit image, which sets it. Empty: a build without the toolkit."
  type        = string
  default     = env("PACKER_TOOLKIT_VERSION")
}

variable "skip_create_ami" {
  description = "Run a test build: all steps, except that no image is created."
  type        = bool
  default     = false
}

variable "skip_inspec" {
  description = "Create the image even if InSpec is not available to test it."
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
  description = "Instance type of the build for each architecture. A larger one can speed up a slow build."
  type        = map(string)
  default = {
    arm64  = "m7g.large"
    x86_64 = "m7i.large"
  }
}

variable "assume_role_arn" {
  description = "ARN of the role to assume for the build, renewed when its session expires. Empty: no role is assumed."
  type        = string
  default     = ""
}

variable "max_retries" {
  description = "Maximum attempts of a throttled AWS request. Raise it in accounts with many parallel builds."
  type        = number
  default     = 10
}

variable "vpc_id" {
  description = "VPC to build in. Empty: the VPC of subnet_id, or the account's default VPC."
  type        = string
  default     = ""
}

variable "subnet_id" {
  description = "Subnet to build in. Empty: a subnet of the default VPC."
  type        = string
  default     = ""
}

# session_manager works in a private subnet and opens no port; it needs iam_instance_profile.
variable "ssh_interface" {
  description = "How to connect to the instance: public_ip, private_ip or session_manager."
  type        = string
  default     = "public_ip"

  validation {
    condition     = contains(["public_ip", "private_ip", "session_manager"], var.ssh_interface)
    error_message = "The ssh_interface must be public_ip, private_ip or session_manager."
  }
}

variable "ssh_timeout" {
  description = "Maximum time until the instance accepts SSH connections, such as 5m or 90s."
  type        = string
  default     = "5m"
}

variable "remote_folder" {
  description = "Folder for scripts on the instance. Set another one if the source AMI mounts /tmp with noexec."
  type        = string
  default     = "/tmp"
}

variable "local_network" {
  description = "Container network of a local build. The network host also works with a VPN or a proxy on this machine."
  type        = string
  default     = "host"
}
