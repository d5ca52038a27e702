variable "oidc_provider_arn" {
  description = "ARN of the OIDC provider of GitHub, if the account already has one: `arn:aws:iam::ACCOUNT:oidc-provider/token.actions.githubusercontent.com`."
  type        = string
  default     = null
}
