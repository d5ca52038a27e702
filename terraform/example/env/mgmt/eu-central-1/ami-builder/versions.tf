terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.20, < 7.0"
    }
  }

  # The bucket is an argument of terraform init (README.md), because each account has its own.
  backend "s3" {
    key          = "mgmt/eu-central-1/ami-builder.tfstate"
    region       = "eu-central-1"
    encrypt      = true
    use_lockfile = true
  }
}
