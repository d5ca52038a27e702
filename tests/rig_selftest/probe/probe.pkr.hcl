// The smallest build that touches everything the rig plays; the real renders are tested elsewhere.
packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = "~> 1.8"
    }
  }
}

variable "vpc_id" {
  type = string
}

variable "subnet_id" {
  type = string
}

variable "ssh_interface" {
  type = string
}

variable "ssh_source_cidrs" {
  type = list(string)
}

variable "architectures" {
  type    = list(string)
  default = ["x86_64"]
}

variable "regions" {
  type    = list(string)
  default = []
}

variable "script" {
  type    = string
  default = "hostname"
}

variable "encrypt_boot" {
  type    = bool
  default = null
}

variable "assume_role" {
  type    = string
  default = ""
}

variable "ssh_timeout" {
  type    = string
  default = "20s"
}

variable "deprecate_at" {
  type    = string
  default = ""
}

locals {
  types = { x86_64 = "t3.micro", arm64 = "t4g.micro" }
  debs  = { x86_64 = "amd64", arm64 = "arm64" }
  tags  = { Project = "probe" }
}

source "amazon-ebs" "probe" {
  ami_regions                           = var.regions
  associate_public_ip_address           = true
  deprecate_at                          = var.deprecate_at
  encrypt_boot                          = var.encrypt_boot
  imds_support                          = "v2.0"
  run_tags                              = local.tags
  run_volume_tags                       = local.tags
  snapshot_tags                         = local.tags
  ssh_interface                         = var.ssh_interface
  ssh_timeout                           = var.ssh_timeout
  ssh_username                          = "admin"
  subnet_id                             = var.subnet_id
  tags                                  = local.tags
  temporary_key_pair_type               = "ed25519"
  temporary_security_group_source_cidrs = var.ssh_source_cidrs
  vpc_id                                = var.vpc_id

  aws_polling {
    delay_seconds = 1
    max_attempts  = 60
  }

  dynamic "assume_role" {
    for_each = var.assume_role == "" ? [] : [var.assume_role]
    content {
      role_arn     = assume_role.value
      session_name = "probe"
    }
  }

  launch_block_device_mappings {
    delete_on_termination = true
    device_name           = "/dev/xvda"
    encrypted             = true
    volume_type           = "gp3"
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_put_response_hop_limit = 1
    http_tokens                 = "required"
  }
}

build {
  dynamic "source" {
    for_each = var.architectures
    labels   = ["amazon-ebs.probe"]
    content {
      name          = source.value
      ami_name      = "probe-${source.value}"
      instance_type = local.types[source.value]
      source_ami_filter {
        most_recent = true
        owners      = ["136693071363"]
        filters = {
          architecture     = source.value
          name             = "debian-12-${local.debs[source.value]}-*"
          root-device-type = "ebs"
        }
      }
    }
  }

  provisioner "shell" {
    inline = [
      "echo built | sudo tee /etc/probe > /dev/null",
      var.script,
      "rm -f ~/.ssh/authorized_keys",
      "sudo sh -c 'rm -f /etc/ssh/ssh_host_*; : > /etc/machine-id'",
    ]
  }

  post-processor "manifest" {}
}
