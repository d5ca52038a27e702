# The account that uses the images, reached by a role, with every optional part, in two regions.

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

variable "owner_account_id" {
  description = "Account that builds the images."
  type        = string
}

variable "resource_share_arns" {
  description = "Resource shares to accept."
  type        = set(string)
  default     = []
}

variable "regions" {
  description = "Regions that use the images."
  type        = set(string)
  default     = ["eu-central-1", "eu-west-1"]
}

variable "kms_alias" {
  description = "Alias of the key of the images."
  type        = string
  default     = "alias/packer-ami"
}

provider "aws" {
  alias  = "consumer"
  region = "eu-central-1"

  assume_role {
    role_arn = "arn:aws:iam::${var.consumer_account_id}:role/deploy"
  }
}

module "account" {
  source = "../terraform/ami-consumer/modules/account"

  providers = {
    aws = aws.consumer
  }

  owner_account_id           = var.owner_account_id
  regions                    = var.regions
  kms_alias                  = var.kms_alias
  create_service_linked_role = true
  resource_share_arns        = var.resource_share_arns
  allowed_images             = {}
}

module "web" {
  source   = "../terraform/ami-consumer"
  for_each = var.regions

  providers = {
    aws = aws.consumer
  }

  region           = each.key
  owner_account_id = var.owner_account_id

  image = {
    name  = "web"
    stage = "dev"
  }

  launch_template = {
    name          = "web"
    instance_type = "t3.small"
  }

  autoscaling_group = {
    name       = "web"
    subnet_ids = data.aws_subnets.default[each.key].ids
    min_size   = 1
    max_size   = 2
    instance_refresh = {
      # The credentials in the environment are those of the other account.
      start = false
    }
  }

  depends_on = [module.account]
}

data "aws_subnets" "default" {
  provider = aws.consumer
  for_each = var.regions

  region = each.key

  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}

output "image_ids" {
  description = "ID of the image, by region."
  value       = { for region, web in module.web : region => web.image_id }
}

output "image_versions" {
  description = "Version of the image, by region."
  value       = { for region, web in module.web : region => web.image_version }
}
