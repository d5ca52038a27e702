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
  name              = "web"
  repository        = "acme/packer-ami-web"
  oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  regions           = ["eu-central-1"]
  repository_id     = "123456789"
  owner_id          = "1234567"
}

run "names_of_roles" {
  command = plan

  assert {
    condition     = { for role, each in aws_iam_role.this : role => each.name } == { build = "packer-ami-web-build", cleanup = "packer-ami-web-cleanup", release = "packer-ami-web-release" }
    error_message = "The roles must have the names of the image and of their purpose."
  }
}

run "server_without_ids" {
  command = plan

  variables {
    github_host       = "github.example.com"
    oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/github.example.com/_services/token"
    repository_id     = null
    owner_id          = null
  }

  assert {
    condition     = length(aws_iam_role.this) == 3
    error_message = "An Enterprise Server must not need IDs."
  }
}

run "data_residency" {
  command = plan

  variables {
    github_host       = "acme.ghe.com"
    oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.acme.ghe.com"
  }

  assert {
    condition     = length(aws_iam_role.this) == 3
    error_message = "A subdomain of ghe.com must have its own issuer."
  }
}

run "long_name_with_prefix" {
  command = plan

  variables {
    name        = "a234567890123456789012345678901234567890123456"
    role_prefix = "long"
  }

  assert {
    condition     = aws_iam_role.this["build"].name == "long-build"
    error_message = "role_prefix must replace the name of the image."
  }
}

run "reject_name_with_prefix" {
  command = plan

  variables {
    name = "packer-ami-web"
  }

  expect_failures = [var.name]
}

run "reject_name_with_underscore" {
  command = plan

  variables {
    name = "web_server"
  }

  expect_failures = [var.name]
}

run "reject_long_name" {
  command = plan

  variables {
    name = "a234567890123456789012345678901234567890123456"
  }

  expect_failures = [var.role_prefix]
}

run "reject_repository_with_wildcard" {
  command = plan

  variables {
    repository = "acme/packer-ami-*"
  }

  expect_failures = [var.repository]
}

run "reject_repository_without_owner" {
  command = plan

  variables {
    repository = "packer-ami-web"
  }

  expect_failures = [var.repository]
}

run "reject_provider_of_another_partition" {
  command = plan

  variables {
    oidc_provider_arn = "arn:aws-cn:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  }

  expect_failures = [var.oidc_provider_arn]
}

run "reject_provider_that_is_a_role" {
  command = plan

  variables {
    oidc_provider_arn = "arn:aws:iam::111122223333:role/x"
  }

  expect_failures = [var.oidc_provider_arn]
}

run "reject_github_without_repository_id" {
  command = plan

  variables {
    repository_id = null
  }

  expect_failures = [var.repository_id]
}

run "reject_github_without_owner_id" {
  command = plan

  variables {
    owner_id = null
  }

  expect_failures = [var.owner_id]
}

run "reject_repository_id_with_letters" {
  command = plan

  variables {
    repository_id = "R_kgDO"
  }

  expect_failures = [var.repository_id]
}

run "reject_owner_id_with_letters" {
  command = plan

  variables {
    owner_id = "O_kgDO"
  }

  expect_failures = [var.owner_id]
}

run "reject_host_with_scheme" {
  command = plan

  variables {
    github_host = "https://github.com"
  }

  expect_failures = [var.github_host]
}

run "reject_host_of_another_issuer" {
  command = plan

  variables {
    github_host = "github.example.com"
  }

  expect_failures = [var.github_host]
}

run "reject_path_without_slash" {
  command = plan

  variables {
    path = "packer-ami"
  }

  expect_failures = [var.path]
}

run "reject_branch_with_wildcard" {
  command = plan

  variables {
    default_branch = "*"
  }

  expect_failures = [var.default_branch]
}

run "reject_all_tags" {
  command = plan

  variables {
    release_tags = ["*"]
  }

  expect_failures = [var.release_tags]
}

run "reject_no_tags" {
  command = plan

  variables {
    release_tags = []
  }

  expect_failures = [var.release_tags]
}

run "reject_environment_with_wildcard" {
  command = plan

  variables {
    release_environment = "*"
  }

  expect_failures = [var.release_environment]
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

run "reject_short_sessions" {
  command = plan

  variables {
    max_session_duration = 900
  }

  expect_failures = [var.max_session_duration]
}
