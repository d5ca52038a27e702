output "role_arn" {
  description = "ARN of the role: the variable `TOOLKIT_PUBLISH_ROLE` of the environment."
  value       = aws_iam_role.this.arn
}

output "policy" {
  description = "Permission policy of the role as JSON."
  value       = data.aws_iam_policy_document.this.minified_json
}

output "trust_policy" {
  description = "Trust policy of the role as JSON."
  value       = module.trust.json
}
