# Every value that a validation refuses, with a mocked provider.

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

run "reject_owner_with_11_digits" {
  command = plan

  variables {
    owner_account_id = "11112222333"
  }

  expect_failures = [var.owner_account_id]
}

run "reject_image_name_with_capitals" {
  command = plan

  variables {
    image = { name = "Web", stage = "prod" }
  }

  expect_failures = [var.image]
}

run "reject_image_name_with_prefix" {
  command = plan

  variables {
    image = { name = "packer-ami-web", stage = "prod" }
  }

  expect_failures = [var.image]
}

run "reject_stage_and_version" {
  command = plan

  variables {
    image = { name = "web", stage = "prod", version = "1.2.3" }
  }

  expect_failures = [var.image]
}

run "reject_neither_stage_nor_version" {
  command = plan

  variables {
    image = { name = "web" }
  }

  expect_failures = [var.image]
}

run "reject_stage_with_slash" {
  command = plan

  variables {
    image = { name = "web", stage = "prod/eu" }
  }

  expect_failures = [var.image]
}

run "reject_version_with_wildcard" {
  command = plan

  variables {
    image = { name = "web", version = "1.*" }
  }

  expect_failures = [var.image]
}

run "reject_unknown_architecture" {
  command = plan

  variables {
    image = { name = "web", stage = "prod", architecture = "amd64" }
  }

  expect_failures = [var.image]
}

run "reject_region_of_another_partition" {
  command = plan

  variables {
    region = "cn-north-1a"
  }

  expect_failures = [var.region]
}

run "reject_age_of_0_days" {
  command = plan

  variables {
    max_age_days = 0
  }

  expect_failures = [var.max_age_days]
}

run "reject_template_name_with_space" {
  command = plan

  variables {
    launch_template = { name = "my web", instance_type = "m7i.large" }
  }

  expect_failures = [var.launch_template]
}

run "reject_instance_type_without_size" {
  command = plan

  variables {
    launch_template = { name = "web", instance_type = "m7i" }
  }

  expect_failures = [var.launch_template]
}

run "reject_hop_limit_of_3" {
  command = plan

  variables {
    launch_template = { name = "web", instance_type = "m7i.large", metadata_hop_limit = 3 }
  }

  expect_failures = [var.launch_template]
}

run "reject_group_name_with_space" {
  command = plan

  variables {
    autoscaling_group = { name = "my web", subnet_ids = ["subnet-0123456789abcdef0"], min_size = 1, max_size = 1 }
  }

  expect_failures = [var.autoscaling_group]
}

run "reject_group_without_subnets" {
  command = plan

  variables {
    autoscaling_group = { name = "web", subnet_ids = [], min_size = 1, max_size = 1 }
  }

  expect_failures = [var.autoscaling_group]
}

run "reject_min_size_above_max_size" {
  command = plan

  variables {
    autoscaling_group = { name = "web", subnet_ids = ["subnet-0123456789abcdef0"], min_size = 2, max_size = 1 }
  }

  expect_failures = [var.autoscaling_group]
}

run "reject_unknown_health_check" {
  command = plan

  variables {
    autoscaling_group = { name = "web", subnet_ids = ["subnet-0123456789abcdef0"], min_size = 1, max_size = 1, health_check_type = "HTTP" }
  }

  expect_failures = [var.autoscaling_group]
}

run "reject_min_healthy_above_100" {
  command = plan

  variables {
    autoscaling_group = { name = "web", subnet_ids = ["subnet-0123456789abcdef0"], min_size = 1, max_size = 1, instance_refresh = { min_healthy_percentage = 101 } }
  }

  expect_failures = [var.autoscaling_group]
}

run "reject_max_healthy_below_100" {
  command = plan

  variables {
    autoscaling_group = { name = "web", subnet_ids = ["subnet-0123456789abcdef0"], min_size = 1, max_size = 1, instance_refresh = { max_healthy_percentage = 99 } }
  }

  expect_failures = [var.autoscaling_group]
}

run "reject_healthy_percentages_too_far_apart" {
  command = plan

  variables {
    autoscaling_group = { name = "web", subnet_ids = ["subnet-0123456789abcdef0"], min_size = 1, max_size = 1, instance_refresh = { min_healthy_percentage = 50, max_healthy_percentage = 200 } }
  }

  expect_failures = [var.autoscaling_group]
}

run "reject_last_checkpoint_below_100" {
  command = plan

  variables {
    autoscaling_group = { name = "web", subnet_ids = ["subnet-0123456789abcdef0"], min_size = 1, max_size = 1, instance_refresh = { checkpoint_percentages = [50] } }
  }

  expect_failures = [var.autoscaling_group]
}

run "reject_checkpoint_above_100" {
  command = plan

  variables {
    autoscaling_group = { name = "web", subnet_ids = ["subnet-0123456789abcdef0"], min_size = 1, max_size = 1, instance_refresh = { checkpoint_percentages = [150, 100] } }
  }

  expect_failures = [var.autoscaling_group]
}
