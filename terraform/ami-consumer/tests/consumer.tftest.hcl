# The image is found and verified, and every optional part is on and off, with a mocked provider.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = {
      region = "eu-central-1"
    }
  }

  mock_data "aws_ssm_parameter" {
    defaults = {
      insecure_value = "ami-0123456789abcdef0"
    }
  }

  mock_data "aws_ami_ids" {
    defaults = {
      ids = ["ami-0123456789abcdef0"]
    }
  }

  mock_data "aws_ami" {
    defaults = {
      id               = "ami-0123456789abcdef0"
      owner_id         = "111122223333"
      name             = "web-1.2.3-x86_64"
      architecture     = "x86_64"
      state            = "available"
      creation_date    = "2026-11-27T06:53:56.000Z"
      deprecation_time = ""
    }
  }

  mock_resource "aws_launch_template" {
    defaults = {
      id             = "lt-0123456789abcdef0"
      latest_version = 1
    }
  }
}

variables {
  owner_account_id = "111122223333"
  image            = { name = "web", stage = "prod" }
  # Independent of the day on which the test runs.
  max_age_days = null
}

run "image_of_a_stage" {
  assert {
    condition     = data.aws_ssm_parameter.published_image[0].name == "arn:aws:ssm:eu-central-1:111122223333:parameter/packer-ami/web/x86_64/prod"
    error_message = "The shared parameter is read by its full ARN."
  }

  assert {
    condition     = one(data.aws_ami_ids.this.filter).name == "image-id" && one(data.aws_ami_ids.this.filter).values == toset(["ami-0123456789abcdef0"])
    error_message = "The image is the one that the parameter names."
  }

  assert {
    condition     = data.aws_ami_ids.this.include_deprecated && data.aws_ami.this.include_deprecated
    error_message = "A deprecated image is found, too."
  }

  assert {
    condition = jsonencode([
      output.image_id, output.image_name, output.image_version, output.image_creation_date, output.parameter_arn
      ]) == jsonencode([
      "ami-0123456789abcdef0", "web-1.2.3-x86_64", "1.2.3", "2026-11-27T06:53:56.000Z",
      "arn:aws:ssm:eu-central-1:111122223333:parameter/packer-ami/web/x86_64/prod",
    ])
    error_message = "The outputs describe the image."
  }

  assert {
    condition     = length(aws_launch_template.this) + length(aws_autoscaling_group.this) + length(terraform_data.instance_refresh) == 0
    error_message = "By default, the module only finds the image."
  }

  assert {
    condition     = output.launch_template_id == null && output.autoscaling_group_name == null && output.instance_refresh_command == null
    error_message = "Outputs of absent parts are null."
  }
}

run "image_of_a_version" {
  variables {
    image = { name = "web", version = "1.2.3" }
  }

  assert {
    condition     = length(data.aws_ssm_parameter.published_image) == 0 && output.parameter_arn == null
    error_message = "No parameter is read."
  }

  assert {
    condition     = one(data.aws_ami_ids.this.filter).name == "name" && one(data.aws_ami_ids.this.filter).values == toset(["web-1.2.3-x86_64"]) && data.aws_ami_ids.this.owners == tolist(["111122223333"])
    error_message = "The image is found by its exact name and its owner."
  }
}

run "another_region" {
  variables {
    region = "eu-west-1"
  }

  assert {
    condition     = data.aws_ssm_parameter.published_image[0].region == "eu-west-1" && data.aws_ami.this.region == "eu-west-1" && strcontains(data.aws_ssm_parameter.published_image[0].name, ":eu-west-1:")
    error_message = "Parameter and image are read in the region."
  }
}

run "arm64" {
  variables {
    image = { name = "web", stage = "prod", architecture = "arm64" }
  }

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef1"
      owner_id         = "111122223333"
      name             = "web-1.2.3-arm64"
      architecture     = "arm64"
      state            = "available"
      creation_date    = "2026-11-27T06:53:56.000Z"
      deprecation_time = ""
    }
  }

  assert {
    condition     = output.image_version == "1.2.3" && endswith(output.parameter_arn, "/packer-ami/web/arm64/prod")
    error_message = "Each architecture has its own parameter and image."
  }
}

run "reject_image_that_is_not_shared" {
  command = plan

  override_data {
    target = data.aws_ami_ids.this
    values = {
      ids = []
    }
  }

  expect_failures = [data.aws_ami_ids.this]
}

run "reject_image_of_another_owner" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      owner_id         = "999999999999"
      name             = "web-1.2.3-x86_64"
      architecture     = "x86_64"
      state            = "available"
      creation_date    = "2026-11-27T06:53:56.000Z"
      deprecation_time = ""
    }
  }

  expect_failures = [data.aws_ami.this]
}

run "reject_image_with_another_name" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      owner_id         = "111122223333"
      name             = "database-1.2.3-x86_64"
      architecture     = "x86_64"
      state            = "available"
      creation_date    = "2026-11-27T06:53:56.000Z"
      deprecation_time = ""
    }
  }

  expect_failures = [data.aws_ami.this]
}

run "reject_image_for_another_architecture" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      owner_id         = "111122223333"
      name             = "web-1.2.3-x86_64"
      architecture     = "arm64"
      state            = "available"
      creation_date    = "2026-11-27T06:53:56.000Z"
      deprecation_time = ""
    }
  }

  expect_failures = [data.aws_ami.this]
}

run "reject_image_that_is_disabled" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      owner_id         = "111122223333"
      name             = "web-1.2.3-x86_64"
      architecture     = "x86_64"
      state            = "disabled"
      creation_date    = "2026-11-27T06:53:56.000Z"
      deprecation_time = ""
    }
  }

  expect_failures = [data.aws_ami.this]
}

run "warn_about_an_old_image" {
  command = plan

  variables {
    max_age_days = 30
  }

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      owner_id         = "111122223333"
      name             = "web-1.2.3-x86_64"
      architecture     = "x86_64"
      state            = "available"
      creation_date    = "2020-01-01T00:00:00.000Z"
      deprecation_time = ""
    }
  }

  expect_failures = [check.image_age]
}

run "warn_about_a_deprecated_image" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      owner_id         = "111122223333"
      name             = "web-1.2.3-x86_64"
      architecture     = "x86_64"
      state            = "available"
      creation_date    = "2026-11-27T06:53:56.000Z"
      deprecation_time = "2020-01-01T00:00:00.000Z"
    }
  }

  expect_failures = [check.image_deprecation]
}

run "no_warning_about_a_later_deprecation" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = {
      id               = "ami-0123456789abcdef0"
      owner_id         = "111122223333"
      name             = "web-1.2.3-x86_64"
      architecture     = "x86_64"
      state            = "available"
      creation_date    = "2026-11-27T06:53:56.000Z"
      deprecation_time = "2999-01-01T00:00:00.000Z"
    }
  }

  assert {
    condition     = output.image_version == "1.2.3"
    error_message = "The image is used until then without a warning."
  }
}

run "launch_template" {
  variables {
    launch_template = {
      name                 = "web"
      instance_type        = "m7i.large"
      security_group_ids   = ["sg-0123456789abcdef0"]
      instance_profile_arn = "arn:aws:iam::222233334444:instance-profile/web"
      user_data            = "#!/bin/sh"
    }
    tags = { CostCenter = "1234" }
  }

  assert {
    condition     = aws_launch_template.this[0].image_id == "ami-0123456789abcdef0" && output.launch_template_version == 1
    error_message = "The template names the image, so that each image has a version."
  }

  assert {
    condition     = one(aws_launch_template.this[0].metadata_options).http_tokens == "required" && one(aws_launch_template.this[0].metadata_options).http_put_response_hop_limit == 1
    error_message = "Instances require IMDSv2, and containers cannot read the metadata."
  }

  assert {
    condition     = aws_launch_template.this[0].user_data == base64encode("#!/bin/sh") && one(aws_launch_template.this[0].iam_instance_profile).arn == "arn:aws:iam::222233334444:instance-profile/web"
    error_message = "User data and instance profile are those of the input."
  }

  assert {
    condition     = length(aws_launch_template.this[0].block_device_mappings) == 0
    error_message = "The volumes, and with them the key, are those of the image."
  }
}

run "launch_template_that_resolves_the_parameter" {
  variables {
    launch_template = { name = "web", instance_type = "m7i.large", resolve_parameter = true }
  }

  assert {
    condition     = aws_launch_template.this[0].image_id == "resolve:ssm:arn:aws:ssm:eu-central-1:111122223333:parameter/packer-ami/web/x86_64/prod"
    error_message = "EC2 reads the parameter at each launch."
  }
}

run "autoscaling_group" {
  variables {
    launch_template = { name = "web", instance_type = "m7i.large" }
    autoscaling_group = {
      name              = "web"
      subnet_ids        = ["subnet-0123456789abcdef0"]
      min_size          = 1
      max_size          = 3
      target_group_arns = ["arn:aws:elasticloadbalancing:eu-central-1:222233334444:targetgroup/web/0123456789abcdef"]
      health_check_type = "ELB"
      instance_refresh = {
        start                  = false
        alarm_names            = ["web-errors"]
        checkpoint_percentages = [20, 100]
        checkpoint_delay       = 60
        bake_time              = 300
      }
    }
    tags = { CostCenter = "1234" }
  }

  assert {
    condition     = one(aws_autoscaling_group.this[0].launch_template).version == "1"
    error_message = "The group has a numbered version, which a rollback needs."
  }

  assert {
    condition     = length(terraform_data.instance_refresh) == 0
    error_message = "Without start, an apply replaces no instances."
  }

  assert {
    condition = jsonencode(jsondecode(split("'", output.instance_refresh_command)[1])) == jsonencode({
      AutoScalingGroupName = "web"
      DesiredConfiguration = { LaunchTemplate = { LaunchTemplateId = "lt-0123456789abcdef0", Version = "1" } }
      Preferences = {
        AlarmSpecification    = { Alarms = ["web-errors"] }
        AutoRollback          = true
        BakeTime              = 300
        CheckpointDelay       = 60
        CheckpointPercentages = [20, 100]
        InstanceWarmup        = 300
        MaxHealthyPercentage  = 110
        MinHealthyPercentage  = 90
        SkipMatching          = true
      }
      Strategy = "Rolling"
    })
    error_message = "The refresh names the version and all preferences."
  }
}

run "autoscaling_group_with_few_settings" {
  # An apply would run the AWS CLI.
  command = plan

  variables {
    launch_template   = { name = "web", instance_type = "m7i.large" }
    autoscaling_group = { name = "web", subnet_ids = ["subnet-0123456789abcdef0"], min_size = 0, max_size = 1 }
  }

  assert {
    condition     = length(terraform_data.instance_refresh) == 1
    error_message = "By default, an apply starts the refresh."
  }
}

run "autoscaling_group_without_checkpoints" {
  variables {
    launch_template = { name = "web", instance_type = "m7i.large", resolve_parameter = true }
    autoscaling_group = {
      name             = "web"
      subnet_ids       = ["subnet-0123456789abcdef0"]
      min_size         = 1
      max_size         = 1
      instance_refresh = { start = false, auto_rollback = false, checkpoint_percentages = [] }
    }
  }

  assert {
    condition = jsonencode(jsondecode(split("'", output.instance_refresh_command)[1]).Preferences) == jsonencode({
      AutoRollback = false, InstanceWarmup = 300, MaxHealthyPercentage = 110, MinHealthyPercentage = 90, SkipMatching = false
    })
    error_message = "With resolve:ssm:, nothing is rolled back or skipped."
  }
}

run "reject_rollback_of_a_resolved_parameter" {
  command = plan

  variables {
    launch_template   = { name = "web", instance_type = "m7i.large", resolve_parameter = true }
    autoscaling_group = { name = "web", subnet_ids = ["subnet-0123456789abcdef0"], min_size = 1, max_size = 1 }
  }

  expect_failures = [aws_autoscaling_group.this]
}

run "reject_resolved_parameter_without_a_stage" {
  command = plan

  variables {
    image           = { name = "web", version = "1.2.3" }
    launch_template = { name = "web", instance_type = "m7i.large", resolve_parameter = true }
  }

  expect_failures = [aws_launch_template.this]
}

run "reject_group_without_a_template" {
  command = plan

  variables {
    autoscaling_group = { name = "web", subnet_ids = ["subnet-0123456789abcdef0"], min_size = 1, max_size = 1 }
  }

  expect_failures = [aws_autoscaling_group.this]
}
