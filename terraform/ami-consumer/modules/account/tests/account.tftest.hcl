# Every optional part on and off, with a mocked provider.

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

run "defaults" {
  assert {
    condition     = keys(aws_kms_grant.autoscaling) == ["eu-central-1"] && data.aws_kms_key.images["eu-central-1"].key_id == "arn:aws:kms:eu-central-1:111122223333:alias/packer-ami"
    error_message = "The grant is for the owner's key with the alias in the region of the provider."
  }

  assert {
    condition     = endswith(aws_kms_grant.autoscaling["eu-central-1"].grantee_principal, "/AWSServiceRoleForAutoScaling")
    error_message = "The grant is for the service-linked role of Auto Scaling."
  }

  assert {
    condition     = aws_kms_grant.autoscaling["eu-central-1"].retire_on_delete && aws_kms_grant.autoscaling["eu-central-1"].retiring_principal == "arn:aws:iam::222233334444:root"
    error_message = "This account can retire its grant."
  }

  assert {
    condition     = length(aws_iam_service_linked_role.autoscaling) + length(aws_ec2_allowed_images_settings.this) + length(aws_ram_resource_share_accepter.this) == 0
    error_message = "By default, the module only creates the grant."
  }
}

run "everything" {
  variables {
    regions                    = ["eu-central-1", "eu-west-1"]
    kms_alias                  = "alias/images"
    create_service_linked_role = true
    allowed_images             = { state = "enabled", providers = ["amazon", "333344445555"], maximum_age_days = 365 }
    resource_share_arns        = ["arn:aws:ram:eu-west-1:111122223333:resource-share/01234567-89ab-cdef-0123-456789abcdef"]
  }

  assert {
    condition     = keys(output.grant_ids) == ["eu-central-1", "eu-west-1"] && data.aws_kms_key.images["eu-west-1"].key_id == "arn:aws:kms:eu-west-1:111122223333:alias/images"
    error_message = "Each region has a grant for the key of the region."
  }

  assert {
    condition     = length(data.aws_iam_roles.autoscaling) == 0 && length(aws_iam_service_linked_role.autoscaling) == 1
    error_message = "The service-linked role is created."
  }

  assert {
    condition     = aws_ec2_allowed_images_settings.this["eu-west-1"].state == "enabled" && length(aws_ec2_allowed_images_settings.this["eu-west-1"].image_criterion) == 2
    error_message = "Images of the owner and of the other providers are allowed."
  }

  assert {
    condition     = aws_ram_resource_share_accepter.this["arn:aws:ram:eu-west-1:111122223333:resource-share/01234567-89ab-cdef-0123-456789abcdef"].region == "eu-west-1"
    error_message = "An invitation is accepted in the region of the share."
  }
}

run "nothing_optional" {
  variables {
    kms_alias      = null
    allowed_images = { providers = [] }
  }

  assert {
    condition     = length(aws_kms_grant.autoscaling) + length(data.aws_iam_roles.autoscaling) == 0 && output.kms_key_arns == {}
    error_message = "Without a key, no grant is created."
  }

  assert {
    condition     = aws_ec2_allowed_images_settings.this["eu-central-1"].state == "audit-mode" && length(aws_ec2_allowed_images_settings.this["eu-central-1"].image_criterion) == 1
    error_message = "Allowed AMIs begin in audit mode, with images of the owner only."
  }
}

run "reject_account_without_the_role_of_auto_scaling" {
  command = plan

  override_data {
    target = data.aws_iam_roles.autoscaling
    values = {
      arns = []
    }
  }

  expect_failures = [data.aws_iam_roles.autoscaling]
}

run "reject_disabled_key" {
  command = plan

  override_data {
    target = data.aws_kms_key.images
    values = {
      arn     = "arn:aws:kms:eu-central-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef"
      enabled = false
    }
  }

  expect_failures = [data.aws_kms_key.images]
}
