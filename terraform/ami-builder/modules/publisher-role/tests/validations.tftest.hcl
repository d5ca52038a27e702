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
  repository         = "acme/template-packer-ami"
  oidc_provider_arn  = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  ecr_repository_arn = "arn:aws:ecr:eu-central-1:111122223333:repository/packer-toolkit"
  repository_id      = "123456789"
  owner_id           = "1234567"
}

run "name_of_role" {
  command = plan

  assert {
    condition     = aws_iam_role.this.name == "packer-toolkit-publisher"
    error_message = "The role must have its default name."
  }
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

run "reject_all_ecr_repositories" {
  command = plan

  variables {
    ecr_repository_arn = "arn:aws:ecr:eu-central-1:111122223333:repository/*"
  }

  expect_failures = [var.ecr_repository_arn]
}

run "reject_environment_with_wildcard" {
  command = plan

  variables {
    environment = "*"
  }

  expect_failures = [var.environment]
}

run "reject_name_with_space" {
  command = plan

  variables {
    name = "packer toolkit"
  }

  expect_failures = [var.name]
}
