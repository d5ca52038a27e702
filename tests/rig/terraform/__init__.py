"""Terraform, OpenTofu and the AWS provider as the tests run them."""
