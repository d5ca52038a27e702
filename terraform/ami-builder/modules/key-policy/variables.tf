variable "account_id" {
  description = "ID of the account that owns the key, such as `111122223333`."
  type        = string
}

variable "consumer_account_ids" {
  description = "IDs of accounts that may use the key, such as `[\"222233334444\"]`."
  type        = set(string)
  default     = []
}

variable "organization_arns" {
  description = "ARNs of organizations whose accounts may use the key, such as `[\"arn:aws:organizations::111122223333:organization/o-exampleorgid\"]`."
  type        = set(string)
  default     = []
}

variable "organizational_unit_arns" {
  description = "ARNs of organizational units whose accounts may use the key, such as `[\"arn:aws:organizations::111122223333:ou/o-exampleorgid/ou-abcd-12345678\"]`."
  type        = set(string)
  default     = []
}
