# The account that builds the images, with every optional part.

terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.20"
    }
  }
}

variable "consumer_account_id" {
  description = "Account that uses the images."
  type        = string
}

variable "organization_arns" {
  description = "Organization of both accounts. Empty: the accounts have no organization."
  type        = set(string)
  default     = []
}

provider "aws" {
  region = "eu-central-1"
}

module "ami_builder" {
  source = "../terraform/ami-builder"

  images = {
    web = {
      repository          = "acme/packer-ami-web"
      repository_id       = "123456789"
      owner_id            = "9876543"
      release_environment = "release"
    }
    db = {
      repository    = "acme/packer-ami-db"
      repository_id = "123456790"
      owner_id      = "9876543"
      architectures = ["x86_64", "arm64"]
    }
  }
  copy_regions = ["eu-west-1"]

  consumers = {
    account_ids          = length(var.organization_arns) == 0 ? [var.consumer_account_id] : []
    organization_arns    = var.organization_arns
    outside_organization = length(var.organization_arns) == 0
  }

  publisher = {
    repository    = "acme/template-packer-ami"
    repository_id = "123456788"
    owner_id      = "9876543"
  }

  personal_role = {
    trusted_arns = ["arn:aws:iam::123456789012:role/developer"]
  }

  toolkit_repository = {
    pull_account_ids = [var.consumer_account_id]
  }

  block_public_access = {
    images    = true
    snapshots = true
  }

  session_manager = true

  tags = {
    CostCenter = "1234"
  }
}

output "resource_share_arns" {
  description = "Resource shares, by image name and region."
  value       = module.ami_builder.resource_share_arns
}

output "kms_alias" {
  description = "Alias of the key."
  value       = module.ami_builder.kms_alias
}

output "copier_data" {
  description = "Answers for the template, by image name."
  value       = module.ami_builder.copier_data
}
