output "image_id" {
  description = "ID of the image."
  value       = data.aws_ami.this.id
}

output "image_name" {
  description = "Name of the image: NAME-VERSION-ARCHITECTURE."
  value       = data.aws_ami.this.name
}

output "image_version" {
  description = "Version of the image."
  value       = trimsuffix(trimprefix(data.aws_ami.this.name, local.name_prefix), local.name_suffix)
}

output "image_creation_date" {
  description = "Time at which the image was created, such as `2026-11-27T06:53:56.000Z`."
  value       = data.aws_ami.this.creation_date
}

output "parameter_arn" {
  description = "ARN of the parameter that names the image. Null for an image that is found by its version."
  value       = var.image.stage == null ? null : local.parameter_arn
}

output "launch_template_id" {
  description = "ID of the launch template. Null without `launch_template`."
  value       = one(aws_launch_template.this[*].id)
}

output "launch_template_version" {
  description = "Number of the version that launches the image. Null without `launch_template`."
  value       = one(aws_launch_template.this[*].latest_version)
}

output "autoscaling_group_name" {
  description = "Name of the Auto Scaling group. Null without `autoscaling_group`."
  value       = one(aws_autoscaling_group.this[*].name)
}

output "instance_refresh_command" {
  description = "Command that replaces the instances of the Auto Scaling group. Null without `autoscaling_group`."
  value       = local.instance_refresh_command
}
