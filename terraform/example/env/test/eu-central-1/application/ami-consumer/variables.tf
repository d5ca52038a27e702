variable "create_service_linked_role" {
  description = "Whether to create the service-linked role of Auto Scaling: `true` in an account without an Auto Scaling group so far."
  type        = bool
  default     = false
}

variable "resource_share_arns" {
  description = "Resource shares whose invitations to accept, from the output of ami-builder. Only for an account outside the organization."
  type        = set(string)
  default     = []
}
