# The account that builds and owns the images.

locals {
  project = yamldecode(file("${path.module}/../../../project.yaml"))
  region  = "eu-central-1"
}

provider "aws" {
  region = local.region
  # With credentials of another account, a plan fails instead of creating everything there.
  allowed_account_ids = [local.project.accounts.mgmt]
}

module "ami_builder" {
  source = "git::https://github.com/ORGANIZATION/template-packer-ami//terraform/ami-builder?ref=v2.0.0"

  images            = local.project.images
  oidc_provider_arn = var.oidc_provider_arn

  consumers = {
    account_ids          = [for name, id in local.project.accounts : id if name != "mgmt"]
    outside_organization = !local.project.one_organization
  }
}
