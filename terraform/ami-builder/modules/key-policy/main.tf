# The policy of the key that encrypts the images, as a policy document only.

locals {
  # Condition keys that a statement of the key's policy needs beside the principal, by kind of consumer. A principal of
  # an organization is * with a condition.
  consumers = {
    for kind, consumer in {
      Accounts = {
        identifiers = [for id in var.consumer_account_ids : "arn:aws:iam::${id}:root"]
        test        = null
        variable    = null
        values      = []
      }
      Organizations = {
        identifiers = length(var.organization_arns) > 0 ? ["*"] : []
        test        = "StringEquals"
        variable    = "aws:PrincipalOrgID"
        values      = [for arn in var.organization_arns : split("/", arn)[1]]
      }
      OrganizationalUnits = {
        identifiers = length(var.organizational_unit_arns) > 0 ? ["*"] : []
        test        = "ForAnyValue:StringLike"
        variable    = "aws:PrincipalOrgPaths"
        # The path contains all units above the unit: o-exampleorgid/r-abcd/ou-abcd-11111111/ou-abcd-12345678/
        values = [for arn in var.organizational_unit_arns : "${split("/", arn)[1]}/*/${split("/", arn)[2]}/*"]
      }
    } : kind => consumer if length(consumer.identifiers) > 0
  }
  # Twelve characters instead of *, which would also match a path that a role of another name can have.
  autoscaling_roles = "arn:aws:iam::????????????:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling*"
}

data "aws_iam_policy_document" "this" {
  # checkov:skip=CKV_AWS_109: A key policy applies to its key only, and the account must be able to administer it.
  # checkov:skip=CKV_AWS_111: A key policy applies to its key only, so that write actions are limited to it.
  # checkov:skip=CKV_AWS_356: In a key policy, * is the key that the policy belongs to.

  # Without this statement, policies of IAM have no effect on the key, and no user could administer it.
  statement {
    sid       = "Administration"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${var.account_id}:root"]
    }
  }

  # A grant would outlive every policy, so it can only be made for an AWS service or the role of Auto Scaling. This
  # applies to the administrators, too.
  statement {
    sid       = "GrantsForServicesOnly"
    effect    = "Deny"
    actions   = ["kms:CreateGrant"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "BoolIfExists"
      variable = "kms:GrantIsForAWSResource"
      values   = ["false"]
    }

    condition {
      test     = "StringNotLike"
      variable = "kms:GranteePrincipal"
      values   = [local.autoscaling_roles]
    }
  }

  # DescribeKey finds the key by its alias; ListGrants lets Terraform read the grant that it created.
  dynamic "statement" {
    for_each = local.consumers

    content {
      sid       = "${statement.key}ReadKey"
      actions   = ["kms:DescribeKey", "kms:ListGrants"]
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = statement.value.identifiers
      }

      dynamic "condition" {
        for_each = statement.value.test == null ? [] : [statement.value]

        content {
          test     = condition.value.test
          variable = condition.value.variable
          values   = condition.value.values
        }
      }
    }
  }

  # Only through EC2, which decrypts the volumes of an instance.
  dynamic "statement" {
    for_each = local.consumers

    content {
      sid       = "${statement.key}UseKeyThroughEc2"
      actions   = ["kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = statement.value.identifiers
      }

      condition {
        test     = "StringLike"
        variable = "kms:ViaService"
        values   = ["ec2.*.amazonaws.com"]
      }

      dynamic "condition" {
        for_each = statement.value.test == null ? [] : [statement.value]

        content {
          test     = condition.value.test
          variable = condition.value.variable
          values   = condition.value.values
        }
      }
    }
  }

  # EC2 creates a grant for each volume.
  dynamic "statement" {
    for_each = local.consumers

    content {
      sid       = "${statement.key}GrantToServices"
      actions   = ["kms:CreateGrant"]
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = statement.value.identifiers
      }

      condition {
        test     = "Bool"
        variable = "kms:GrantIsForAWSResource"
        values   = ["true"]
      }

      dynamic "condition" {
        for_each = statement.value.test == null ? [] : [statement.value]

        content {
          test     = condition.value.test
          variable = condition.value.variable
          values   = condition.value.values
        }
      }
    }
  }

  # The grant that an Auto Scaling group needs; ami-consumer/modules/account creates it. The account that created the
  # grant may retire it, so no consumer can revoke the grants of another one.
  dynamic "statement" {
    for_each = local.consumers

    content {
      sid       = "${statement.key}GrantToAutoScaling"
      actions   = ["kms:CreateGrant"]
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = statement.value.identifiers
      }

      condition {
        test     = "StringLike"
        variable = "kms:GranteePrincipal"
        values   = [local.autoscaling_roles]
      }

      condition {
        test     = "ForAllValues:StringEquals"
        variable = "kms:GrantOperations"
        values   = ["CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"]
      }

      dynamic "condition" {
        for_each = statement.value.test == null ? [] : [statement.value]

        content {
          test     = condition.value.test
          variable = condition.value.variable
          values   = condition.value.values
        }
      }
    }
  }
}
