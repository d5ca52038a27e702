# The grant for Auto Scaling, in two regions.

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
  description = "Account that uses the image."
  type        = string
}

variable "owner_account_id" {
  description = "Account that builds the image."
  type        = string
}

provider "aws" {
  region = "eu-central-1"

  assume_role {
    role_arn = "arn:aws:iam::${var.consumer_account_id}:role/deploy"
  }
}

module "account" {
  source = "../terraform/ami-consumer/modules/account"

  owner_account_id           = var.owner_account_id
  regions                    = ["eu-central-1", "eu-west-1"]
  create_service_linked_role = true
}
