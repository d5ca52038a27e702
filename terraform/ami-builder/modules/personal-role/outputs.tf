output "role_arn" {
  description = "ARN of the role: the personal role of the tasks."
  value       = aws_iam_role.this.arn
}

output "policies" {
  description = "Permission policies of the role as JSON: `build` and `tasks`."
  value       = local.policies
}

output "trust_policy" {
  description = "Trust policy of the role as JSON."
  value       = data.aws_iam_policy_document.trust.json
}
