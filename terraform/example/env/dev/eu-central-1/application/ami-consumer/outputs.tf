output "image_id" {
  description = "ID of the image."
  value       = module.web.image_id
}

output "image_version" {
  description = "Version of the image."
  value       = module.web.image_version
}

output "instance_refresh_command" {
  description = "Command that replaces the instances, if the apply did not start it."
  value       = module.web.instance_refresh_command
}
