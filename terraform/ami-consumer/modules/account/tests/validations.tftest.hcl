# Every value that a validation refuses, with a mocked provider.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "222233334444"
    }
  }

  mock_data "aws_region" {
    defaults = {
      region = "eu-central-1"
    }
  }

  mock_data "aws_iam_roles" {
    defaults = {
      arns = ["arn:aws:iam::222233334444:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"]
    }
  }

  mock_data "aws_kms_key" {
    defaults = {
      arn     = "arn:aws:kms:eu-central-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef"
      enabled = true
    }
  }

  mock_resource "aws_iam_service_linked_role" {
    defaults = {
      arn = "arn:aws:iam::222233334444:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    }
  }
}

variables {
  owner_account_id = "111122223333"
}

run "reject_owner_with_11_digits" {
  command = plan

  variables {
    owner_account_id = "11112222333"
  }

  expect_failures = [var.owner_account_id]
}

run "reject_no_region" {
  command = plan

  variables {
    regions = []
  }

  expect_failures = [var.regions]
}

run "reject_region_with_zone" {
  command = plan

  variables {
    regions = ["eu-central-1a"]
  }

  expect_failures = [var.regions]
}

run "reject_alias_without_prefix" {
  command = plan

  variables {
    kms_alias = "packer-ami"
  }

  expect_failures = [var.kms_alias]
}

run "reject_alias_of_aws" {
  command = plan

  variables {
    kms_alias = "alias/aws/ebs"
  }

  expect_failures = [var.kms_alias]
}

run "reject_unknown_state_of_allowed_images" {
  command = plan

  variables {
    allowed_images = { state = "disabled" }
  }

  expect_failures = [var.allowed_images]
}

run "reject_unknown_provider_of_allowed_images" {
  command = plan

  variables {
    allowed_images = { providers = ["canonical"] }
  }

  expect_failures = [var.allowed_images]
}

run "reject_allowed_images_of_0_days" {
  command = plan

  variables {
    allowed_images = { maximum_age_days = 0 }
  }

  expect_failures = [var.allowed_images]
}

run "reject_share_by_name" {
  command = plan

  variables {
    resource_share_arns = ["packer-ami-web"]
  }

  expect_failures = [var.resource_share_arns]
}
