variable "oidc_provider_arn" {
  description = "ARN of the OIDC provider of the GitHub host, such as `arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com`."
  type        = string
}

variable "repository" {
  description = "Owner and name of the repository, such as `acme/packer-ami-web`."
  type        = string
}

variable "repository_id" {
  description = "Numeric ID of the repository, such as `\"123456789\"`, or null on an Enterprise Server."
  type        = string
}

variable "owner_id" {
  description = "Numeric ID of the owner of the repository, such as `\"1234567\"`, or null on an Enterprise Server."
  type        = string
}

variable "subjects" {
  description = "Patterns of what follows the repository in the subject, such as `[\"ref:refs/heads/main\"]`."
  type        = list(string)
}

variable "refs" {
  description = "Patterns of the branches and tags to compare in addition on github.com, such as `[\"refs/tags/v*\"]`. Empty: no comparison."
  type        = list(string)
  default     = []
}
