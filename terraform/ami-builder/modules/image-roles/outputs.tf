output "build_role_arn" {
  description = "ARN of the build role: the answer `aws_build_role`."
  value       = aws_iam_role.this["build"].arn
}

output "release_role_arn" {
  description = "ARN of the release role: the answer `aws_release_role`."
  value       = aws_iam_role.this["release"].arn
}

output "cleanup_role_arn" {
  description = "ARN of the role for a scheduled `packer-toolkit cleanup`."
  value       = aws_iam_role.this["cleanup"].arn
}

output "policies" {
  description = "Permission policy of each role as JSON: `build`, `release` and `cleanup`."
  value       = module.policies.policies
}

output "trust_policies" {
  description = "Trust policy of each role as JSON: `build`, `release` and `cleanup`."
  value       = { for role, trust in module.trust : role => trust.json }
}
