# Every value that a validation refuses, with a mocked provider.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "111122223333"
    }
  }

  mock_data "aws_region" {
    defaults = {
      region = "eu-central-1"
    }
  }

  mock_data "aws_iam_policy_document" {
    defaults = {
      json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = {
      arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
    }
  }

  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::111122223333:role/mocked"
    }
  }

  mock_resource "aws_kms_key" {
    defaults = {
      arn    = "arn:aws:kms:eu-central-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef"
      key_id = "mrk-0123456789abcdef0123456789abcdef"
    }
  }

  mock_resource "aws_kms_replica_key" {
    defaults = {
      arn    = "arn:aws:kms:eu-west-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef"
      key_id = "mrk-0123456789abcdef0123456789abcdef"
    }
  }

  mock_resource "aws_ecr_repository" {
    defaults = {
      arn            = "arn:aws:ecr:eu-central-1:111122223333:repository/packer-toolkit"
      repository_url = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/packer-toolkit"
    }
  }

  mock_resource "aws_ram_resource_share" {
    defaults = {
      arn = "arn:aws:ram:eu-central-1:111122223333:resource-share/01234567-89ab-cdef-0123-456789abcdef"
    }
  }
}

# The modules below modules/ have tests of their own.
override_module {
  target = module.image_roles
  outputs = {
    build_role_arn   = "arn:aws:iam::111122223333:role/packer-ami-web-build"
    release_role_arn = "arn:aws:iam::111122223333:role/packer-ami-web-release"
    cleanup_role_arn = "arn:aws:iam::111122223333:role/packer-ami-web-cleanup"
    policies         = {}
    trust_policies   = {}
  }
}

override_module {
  target = module.publisher_role
  outputs = {
    role_arn = "arn:aws:iam::111122223333:role/packer-toolkit-publisher"
  }
}

override_module {
  target = module.personal_role
  outputs = {
    role_arn = "arn:aws:iam::111122223333:role/packer-ami-developer"
  }
}

# OpenTofu evaluates the locals of an overridden module.
override_module {
  target = module.personal_role.module.policies
  outputs = {
    policies = { build = "{}", release = "{}" }
  }
}

variables {
  images = {
    web = { repository = "acme/packer-ami-web", repository_id = "123456789", owner_id = "9876543" }
  }
}

run "reject_image_name_with_capitals" {
  command = plan

  variables {
    images = { Web = { repository = "acme/packer-ami-web" } }
  }

  expect_failures = [var.images]
}

run "reject_image_name_with_prefix" {
  command = plan

  variables {
    images = { packer-ami-web = { repository = "acme/packer-ami-web" } }
  }

  expect_failures = [var.images]
}

run "reject_image_name_of_61_characters" {
  command = plan

  variables {
    images = { (join("", [for n in range(61) : "a"])) = { repository = "acme/packer-ami-web" } }
  }

  expect_failures = [var.images]
}

run "reject_repository_without_owner" {
  command = plan

  variables {
    images = { web = { repository = "packer-ami-web" } }
  }

  expect_failures = [var.images]
}

run "reject_repository_with_wildcard" {
  command = plan

  variables {
    images = { web = { repository = "acme/packer-ami-*" } }
  }

  expect_failures = [var.images]
}

run "reject_unknown_architecture" {
  command = plan

  variables {
    images = { web = { repository = "acme/packer-ami-web", architectures = ["amd64"] } }
  }

  expect_failures = [var.images]
}

run "reject_no_architecture" {
  command = plan

  variables {
    images = { web = { repository = "acme/packer-ami-web", architectures = [] } }
  }

  expect_failures = [var.images]
}

run "reject_region_of_another_partition" {
  command = plan

  variables {
    region = "us-gov-west-1"
  }

  expect_failures = [var.region]
}

run "reject_copy_region_with_zone" {
  command = plan

  variables {
    copy_regions = ["eu-west-1a"]
  }

  expect_failures = [var.copy_regions]
}

run "reject_consumer_with_short_account_id" {
  command = plan

  variables {
    consumers = { account_ids = ["22223333444"] }
  }

  expect_failures = [var.consumers]
}

run "reject_consumer_with_organization_id" {
  command = plan

  variables {
    consumers = { organization_arns = ["o-exampleorgid"] }
  }

  expect_failures = [var.consumers]
}

run "reject_consumer_with_root_as_unit" {
  command = plan

  variables {
    consumers = { organizational_unit_arns = ["arn:aws:organizations::111122223333:root/o-exampleorgid/r-abcd"] }
  }

  expect_failures = [var.consumers]
}

run "reject_stage_with_slash" {
  command = plan

  variables {
    stages = ["prod/eu"]
  }

  expect_failures = [var.stages]
}

run "reject_github_host_with_scheme" {
  command = plan

  variables {
    github_host = "https://github.com"
  }

  expect_failures = [var.github_host]
}

run "reject_github_host_with_capitals" {
  command = plan

  variables {
    github_host = "GitHub.example.com"
  }

  expect_failures = [var.github_host]
}

run "reject_oidc_provider_that_is_a_role" {
  command = plan

  variables {
    oidc_provider_arn = "arn:aws:iam::111122223333:role/github"
  }

  expect_failures = [var.oidc_provider_arn]
}

run "reject_role_path_without_slash" {
  command = plan

  variables {
    role_path = "packer-ami"
  }

  expect_failures = [var.role_path]
}

run "reject_boundary_that_is_a_name" {
  command = plan

  variables {
    permissions_boundary_arn = "boundary"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "reject_alias_with_prefix" {
  command = plan

  variables {
    kms_key = { alias = "alias/packer-ami" }
  }

  expect_failures = [var.kms_key]
}

run "reject_alias_of_aws" {
  command = plan

  variables {
    kms_key = { alias = "aws/ebs" }
  }

  expect_failures = [var.kms_key]
}

run "reject_deletion_window_of_6_days" {
  command = plan

  variables {
    kms_key = { deletion_window_in_days = 6 }
  }

  expect_failures = [var.kms_key]
}

run "reject_deletion_window_of_31_days" {
  command = plan

  variables {
    kms_key = { deletion_window_in_days = 31 }
  }

  expect_failures = [var.kms_key]
}

run "reject_toolkit_repository_with_capitals" {
  command = plan

  variables {
    toolkit_repository = { name = "Packer-Toolkit" }
  }

  expect_failures = [var.toolkit_repository]
}

run "reject_untagged_images_for_0_days" {
  command = plan

  variables {
    toolkit_repository = { untagged_days = 0 }
  }

  expect_failures = [var.toolkit_repository]
}

run "reject_pull_by_organization_arn" {
  command = plan

  variables {
    toolkit_repository = { pull_organization_ids = ["arn:aws:organizations::111122223333:organization/o-exampleorgid"] }
  }

  expect_failures = [var.toolkit_repository]
}

run "reject_pull_by_account_name" {
  command = plan

  variables {
    toolkit_repository = { pull_account_ids = ["dev"] }
  }

  expect_failures = [var.toolkit_repository]
}

run "reject_toolkit_image_with_tag" {
  command = plan

  variables {
    toolkit_image = "ghcr.io/acme/packer-toolkit:1.0.0"
  }

  expect_failures = [var.toolkit_image]
}

run "reject_recycle_bin_for_0_days" {
  command = plan

  variables {
    recycle_bin = { retention_days = 0 }
  }

  expect_failures = [var.recycle_bin]
}

run "reject_recycle_bin_for_366_days" {
  command = plan

  variables {
    recycle_bin = { retention_days = 366 }
  }

  expect_failures = [var.recycle_bin]
}

run "reject_recycle_bin_without_tags" {
  command = plan

  variables {
    recycle_bin = { tags = {} }
  }

  expect_failures = [var.recycle_bin]
}

run "reject_copy_region_of_an_image_without_a_key" {
  command = plan

  variables {
    images       = { web = { repository = "acme/packer-ami-web", repository_id = "123456789", owner_id = "9876543", copy_regions = ["us-east-1"] } }
    copy_regions = ["eu-west-1"]
  }

  expect_failures = [output.copier_data]
}

run "reject_consumers_without_a_key" {
  command = plan

  variables {
    consumers = { account_ids = ["222233334444"] }
    kms_key   = null
  }

  expect_failures = [output.copier_data]
}
