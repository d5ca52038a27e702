# Every value that a validation refuses, with a mocked provider. tests/terraform has the tests of the policies.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = {
      json          = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
      minified_json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    }
  }
}

variables {
  images       = ["web"]
  account_id   = "111122223333"
  trusted_arns = ["arn:aws:iam::111122223333:role/developer"]
  regions      = ["eu-central-1"]
}

run "name_of_role" {
  command = plan

  assert {
    condition     = aws_iam_role.this.name == "packer-ami-developer"
    error_message = "The role must have its default name."
  }
}

run "reject_no_images" {
  command = plan

  variables {
    images = []
  }

  expect_failures = [var.images]
}

run "reject_image_with_prefix" {
  command = plan

  variables {
    images = ["packer-ami-web"]
  }

  expect_failures = [var.images]
}

run "reject_account_alias" {
  command = plan

  variables {
    account_id = "acme"
  }

  expect_failures = [var.account_id]
}

run "reject_everybody" {
  command = plan

  variables {
    trusted_arns = ["*"]
  }

  expect_failures = [var.trusted_arns]
}

run "reject_all_roles" {
  command = plan

  variables {
    trusted_arns = ["arn:aws:iam::111122223333:role/*"]
  }

  expect_failures = [var.trusted_arns]
}

run "reject_nobody" {
  command = plan

  variables {
    trusted_arns = []
  }

  expect_failures = [var.trusted_arns]
}

run "reject_parameter_path_with_slash" {
  command = plan

  variables {
    parameter_paths = ["/packer/"]
  }

  expect_failures = [var.parameter_paths]
}

run "reject_alias_as_key" {
  command = plan

  variables {
    kms_key_arns = ["arn:aws:kms:eu-central-1:111122223333:alias/packer-ami"]
  }

  expect_failures = [var.kms_key_arns]
}

run "reject_registry_as_ecr_repository" {
  command = plan

  variables {
    ecr_repository_arn = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/packer-toolkit"
  }

  expect_failures = [var.ecr_repository_arn]
}

run "reject_instance_profile_as_role" {
  command = plan

  variables {
    instance_profile_role_arn = "arn:aws:iam::111122223333:instance-profile/x"
  }

  expect_failures = [var.instance_profile_role_arn]
}

run "reject_session_manager_without_role" {
  command = plan

  variables {
    session_manager = true
  }

  expect_failures = [var.session_manager]
}

run "reject_no_regions" {
  command = plan

  variables {
    regions = []
  }

  expect_failures = [var.regions]
}

run "reject_zone_as_region" {
  command = plan

  variables {
    regions = ["eu-central-1a"]
  }

  expect_failures = [var.regions]
}

run "reject_path_without_slash" {
  command = plan

  variables {
    path = "packer-ami"
  }

  expect_failures = [var.path]
}

run "reject_name_with_space" {
  command = plan

  variables {
    name = "packer ami"
  }

  expect_failures = [var.name]
}
