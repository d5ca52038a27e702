output "policies" {
  description = "Permission policy of each kind of role as JSON: `build`, `release` and `cleanup`."
  value       = { for role, document in data.aws_iam_policy_document.this : role => document.minified_json }
}
