# Instances of the released image. dev, test and prod differ in the first local only.

locals {
  environment = "prod"
  region      = "eu-central-1"
  project     = yamldecode(file("${path.module}/../../../../project.yaml"))
}

provider "aws" {
  region = local.region
  # With credentials of another account, a plan fails instead of creating everything there.
  allowed_account_ids = [local.project.accounts[local.environment]]
}

# Once per account, however many images it uses.
module "account" {
  source = "git::https://github.com/ORGANIZATION/template-packer-ami//terraform/ami-consumer/modules/account?ref=v2.0.0"

  owner_account_id           = local.project.accounts.mgmt
  create_service_linked_role = var.create_service_linked_role
  resource_share_arns        = var.resource_share_arns
}

module "web" {
  source = "git::https://github.com/ORGANIZATION/template-packer-ami//terraform/ami-consumer?ref=v2.0.0"

  owner_account_id = local.project.accounts.mgmt

  image = {
    name  = "web"
    stage = local.environment
  }

  launch_template = {
    name          = "web"
    instance_type = "t3.small"
  }

  autoscaling_group = {
    name       = "web"
    subnet_ids = data.aws_subnets.default.ids
    min_size   = 1
    max_size   = 2
  }
}

# The default VPC, so that the example needs no network of its own.
data "aws_subnets" "default" {
  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}
