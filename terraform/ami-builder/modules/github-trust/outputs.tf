output "json" {
  description = "Trust policy as JSON."
  value       = data.aws_iam_policy_document.this.minified_json
}
