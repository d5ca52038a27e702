# What the roles of an image may do, as policy documents only. docs/aws-actions*.txt list the calls of the product;
# tests/terraform compares both.

locals {
  # Every resource of a build has these tags from its creation on (run_tags in sources.pkr.hcl), and the clean-up finds
  # leftovers by them.
  tags = {
    ManagedBy  = ["packer"]
    Repository = [for name in var.names : "packer-ami-${name}"]
  }

  # Conditions: the request sets the tags, the resource has them, or neither of the two has others.
  requests_tags = [for key, values in local.tags : { test = "StringEquals", variable = "aws:RequestTag/${key}", values = values }]
  has_tags      = [for key, values in local.tags : { test = "StringEquals", variable = "aws:ResourceTag/${key}", values = values }]
  keeps_tags = [
    for key, values in local.tags : { test = "StringEqualsIfExists", variable = "aws:RequestTag/${key}", values = values }
  ]
  has_no_other_tags = [
    for key, values in local.tags : { test = "StringEqualsIfExists", variable = "aws:ResourceTag/${key}", values = values }
  ]

  arns = {
    for type in ["instance", "key-pair", "network-interface", "security-group", "volume"] :
    type => "arn:aws:ec2:*:${var.account_id}:${type}/*"
  }
  # These ARNs have no account.
  images = ["arn:aws:ec2:*::image/*", "arn:aws:ec2:*::snapshot/*"]

  common = merge(local.leftovers, local.toolkit, local.regions)
  statements = {
    build   = merge(local.common, local.launch, local.settings)
    release = merge(local.common, local.launch, local.settings, local.create_images, local.delete_images)
    cleanup = merge(local.common, local.delete_images)
  }
}

data "aws_iam_policy_document" "this" {
  for_each = local.statements

  dynamic "statement" {
    for_each = { for sid, statement in each.value : sid => statement if try(statement.enabled, true) }

    content {
      sid       = statement.key
      actions   = statement.value.actions
      effect    = try(statement.value.effect, "Allow")
      resources = statement.value.resources

      dynamic "condition" {
        for_each = try(statement.value.conditions, [])

        content {
          test     = condition.value.test
          values   = condition.value.values
          variable = condition.value.variable
        }
      }
    }
  }
}
