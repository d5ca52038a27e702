# Optional: a launch template, and an Auto Scaling group whose instances are replaced by an instance refresh.

resource "aws_launch_template" "this" {
  count = var.launch_template == null ? 0 : 1

  region      = local.region
  name        = var.launch_template.name
  description = "Instances of packer-ami-${var.image.name}"
  # Each image creates a numbered version. A refresh can be rolled back to a number, but not to resolve:ssm:.
  image_id               = var.launch_template.resolve_parameter ? "resolve:ssm:${local.parameter_arn}" : data.aws_ami.this.id
  instance_type          = var.launch_template.instance_type
  vpc_security_group_ids = var.launch_template.security_group_ids
  user_data              = var.launch_template.user_data == null ? null : base64encode(var.launch_template.user_data)
  update_default_version = true
  tags                   = var.tags

  dynamic "iam_instance_profile" {
    for_each = var.launch_template.instance_profile_arn == null ? [] : [var.launch_template.instance_profile_arn]

    content {
      arn = iam_instance_profile.value
    }
  }

  # The images accept IMDSv2 only.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = var.launch_template.metadata_hop_limit
  }

  monitoring {
    enabled = var.launch_template.detailed_monitoring
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume"]

    content {
      resource_type = tag_specifications.value
      tags          = merge({ Name = var.launch_template.name }, var.tags)
    }
  }

  lifecycle {
    precondition {
      condition     = !var.launch_template.resolve_parameter || var.image.stage != null
      error_message = "The resolve_parameter of launch_template needs stage in image, because only stages have a parameter."
    }
  }
}

resource "aws_autoscaling_group" "this" {
  count = var.autoscaling_group == null ? 0 : 1

  region                    = local.region
  name                      = var.autoscaling_group.name
  min_size                  = var.autoscaling_group.min_size
  max_size                  = var.autoscaling_group.max_size
  desired_capacity          = var.autoscaling_group.desired_capacity
  vpc_zone_identifier       = var.autoscaling_group.subnet_ids
  target_group_arns         = var.autoscaling_group.target_group_arns
  health_check_type         = var.autoscaling_group.health_check_type
  health_check_grace_period = var.autoscaling_group.health_check_grace_period

  launch_template {
    id      = one(aws_launch_template.this[*].id)
    version = one(aws_launch_template.this[*].latest_version)
  }

  dynamic "tag" {
    for_each = var.tags

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  lifecycle {
    # The instance refresh sets the version when all instances are replaced. The provider would set it before the
    # refresh starts, and a rollback would return to the version that failed
    # (docs/decisions/0053-what-terraform-does-not-hold.md).
    ignore_changes = [launch_template[0].version]

    precondition {
      condition     = var.launch_template != null
      error_message = "The autoscaling_group needs launch_template."
    }

    precondition {
      condition     = !try(var.launch_template.resolve_parameter, false) || !var.autoscaling_group.instance_refresh.auto_rollback
      error_message = "With resolve_parameter, an instance refresh cannot be rolled back: set auto_rollback of instance_refresh to false, or resolve_parameter to false."
    }
  }
}

locals {
  refresh = try(var.autoscaling_group.instance_refresh, null)
  # Without resolve:ssm:, instances that already run the version are skipped.
  instance_refresh = var.autoscaling_group == null ? null : jsonencode({
    AutoScalingGroupName = one(aws_autoscaling_group.this[*].name)
    Strategy             = "Rolling"
    DesiredConfiguration = {
      LaunchTemplate = {
        LaunchTemplateId = one(aws_launch_template.this[*].id)
        Version          = tostring(one(aws_launch_template.this[*].latest_version))
      }
    }
    Preferences = {
      for name, value in {
        AutoRollback          = local.refresh.auto_rollback
        MinHealthyPercentage  = local.refresh.min_healthy_percentage
        MaxHealthyPercentage  = local.refresh.max_healthy_percentage
        InstanceWarmup        = local.refresh.instance_warmup
        SkipMatching          = !try(var.launch_template.resolve_parameter, false)
        CheckpointPercentages = length(local.refresh.checkpoint_percentages) == 0 ? null : local.refresh.checkpoint_percentages
        CheckpointDelay       = length(local.refresh.checkpoint_percentages) == 0 ? null : local.refresh.checkpoint_delay
        AlarmSpecification    = length(local.refresh.alarm_names) == 0 ? null : { Alarms = local.refresh.alarm_names }
        BakeTime              = local.refresh.bake_time == 0 ? null : local.refresh.bake_time
      } : name => value if value != null
    }
  })
  instance_refresh_command = var.autoscaling_group == null ? null : (
    "aws autoscaling start-instance-refresh --region ${local.region} --cli-input-json '${local.instance_refresh}'"
  )
}

resource "terraform_data" "instance_refresh" {
  count = try(var.autoscaling_group.instance_refresh.start, false) ? 1 : 0

  triggers_replace = [one(aws_autoscaling_group.this[*].name), one(aws_launch_template.this[*].latest_version)]

  # A new group already has the version, so that nothing has to be replaced.
  provisioner "local-exec" {
    interpreter = ["/bin/sh", "-euc"]
    command     = <<-EOT
      version=$(aws autoscaling describe-auto-scaling-groups --region "$REGION" --auto-scaling-group-names "$GROUP" \
        --query 'AutoScalingGroups[0].LaunchTemplate.Version' --output text)
      if [ "$version" != "$VERSION" ]; then
        aws autoscaling start-instance-refresh --region "$REGION" --cli-input-json "$REFRESH"
      fi
    EOT
    environment = {
      GROUP   = one(aws_autoscaling_group.this[*].name)
      REFRESH = local.instance_refresh
      REGION  = local.region
      VERSION = tostring(one(aws_launch_template.this[*].latest_version))
    }
  }
}
