output "account_id" {
  description = "ID of the account that uses the images."
  value       = data.aws_caller_identity.this.account_id
}

output "kms_key_arns" {
  description = "ARN of the owner's key in each region. Empty without `kms_alias`."
  value       = { for region, key in data.aws_kms_key.images : region => key.arn }
}

output "grant_ids" {
  description = "ID of the grant for Auto Scaling in each region. Empty without `kms_alias`."
  value       = { for region, grant in aws_kms_grant.autoscaling : region => grant.grant_id }
}

output "accepted_resource_share_arns" {
  description = "ARNs of the resource shares that this account accepted."
  value       = [for share in aws_ram_resource_share_accepter.this : share.share_arn]
}
