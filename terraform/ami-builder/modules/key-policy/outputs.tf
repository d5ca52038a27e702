output "json" {
  description = "Policy of the key as JSON."
  value       = data.aws_iam_policy_document.this.json
}
