output "copier_data" {
  description = "Answers for `copier copy --data-file`, by image name."
  value       = module.ami_builder.copier_data
}

output "resource_share_arns" {
  description = "Resource shares of the parameters, by image name and region."
  value       = module.ami_builder.resource_share_arns
}
