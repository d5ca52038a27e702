# Finds one image of a stage, and creates nothing.

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

module "web" {
  source = "../terraform/ami-consumer"

  owner_account_id = var.owner_account_id

  image = {
    name  = "web"
    stage = "dev"
  }
}

output "image_id" {
  description = "ID of the image."
  value       = module.web.image_id
}
