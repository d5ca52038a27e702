variable "account_id" {
  description = "ID of the account that builds, such as `111122223333`."
  type        = string
}

variable "names" {
  description = "Names of the images, such as `[\"web\"]`: the permissions apply to resources whose tag `Repository` is `packer-ami-NAME`."
  type        = list(string)
}

variable "regions" {
  description = "The region of the build and the regions to which releases are copied, such as `[\"eu-central-1\"]`."
  type        = list(string)
}

variable "ecr_repository_arn" {
  description = "ARN of the ECR repository of the toolkit image, such as `arn:aws:ecr:eu-central-1:111122223333:repository/packer-toolkit`, or null."
  type        = string
}

variable "instance_profile_role_arn" {
  description = "ARN of the role in the instance profile of build instances, such as `arn:aws:iam::111122223333:role/packer-ami-instance`, or null."
  type        = string
}

variable "kms_key_arns" {
  description = "ARNs of the keys that encrypt the images, such as `[\"arn:aws:kms:eu-central-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef\"]`."
  type        = list(string)
}

variable "session_manager" {
  description = "Whether builds connect through Session Manager, such as `true`."
  type        = bool
}
