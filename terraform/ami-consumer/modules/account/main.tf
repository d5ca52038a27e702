# What an account needs once, however many images it uses.

data "aws_caller_identity" "this" {}

data "aws_region" "this" {}

locals {
  regions       = var.regions == null ? toset([data.aws_region.this.region]) : var.regions
  grant_regions = var.kms_alias == null ? toset([]) : local.regions
}

# --- The key ----------------------------------------------------------------------------------------------------------

resource "aws_iam_service_linked_role" "autoscaling" {
  count = var.create_service_linked_role ? 1 : 0

  aws_service_name = "autoscaling.amazonaws.com"
}

data "aws_iam_roles" "autoscaling" {
  count = length(local.grant_regions) > 0 && !var.create_service_linked_role ? 1 : 0

  name_regex  = "^AWSServiceRoleForAutoScaling$"
  path_prefix = "/aws-service-role/autoscaling.amazonaws.com/"

  lifecycle {
    postcondition {
      condition     = length(self.arns) == 1
      error_message = "The account ${data.aws_caller_identity.this.account_id} does not have the service-linked role of Auto Scaling yet: set create_service_linked_role = true."
    }
  }
}

# If this fails, the key has no alias in this region, or its policy does not name this account as a consumer.
data "aws_kms_key" "images" {
  for_each = local.grant_regions

  region = each.value
  key_id = "arn:aws:kms:${each.value}:${var.owner_account_id}:${var.kms_alias}"

  lifecycle {
    postcondition {
      condition     = self.enabled
      error_message = "The key ${self.arn} is disabled, so that no instance can be launched: enable it in the account ${var.owner_account_id}."
    }
  }
}

# Auto Scaling launches instances with its service-linked role, to which no policy of the owner's key applies.
resource "aws_kms_grant" "autoscaling" {
  for_each = local.grant_regions

  region = each.value
  name   = "packer-ami-autoscaling"
  key_id = data.aws_kms_key.images[each.value].arn
  grantee_principal = (
    var.create_service_linked_role
    ? one(aws_iam_service_linked_role.autoscaling[*].arn)
    : one(one(data.aws_iam_roles.autoscaling[*].arns))
  )
  operations = [
    "CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo",
  ]
  # This account may retire its own grant; revoking would need a permission for the grants of all accounts.
  retiring_principal = "arn:aws:iam::${data.aws_caller_identity.this.account_id}:root"
  retire_on_delete   = true
}

# --- Images -----------------------------------------------------------------------------------------------------------

resource "aws_ec2_allowed_images_settings" "this" {
  for_each = var.allowed_images == null ? toset([]) : local.regions

  region = each.value
  state  = var.allowed_images.state

  image_criterion {
    image_providers = [var.owner_account_id]

    dynamic "creation_date_condition" {
      for_each = var.allowed_images.maximum_age_days == null ? [] : [var.allowed_images.maximum_age_days]

      content {
        maximum_days_since_created = creation_date_condition.value
      }
    }
  }

  # One criterion is enough for an image to be allowed.
  dynamic "image_criterion" {
    for_each = length(var.allowed_images.providers) == 0 ? [] : [var.allowed_images.providers]

    content {
      image_providers = image_criterion.value
    }
  }
}

# --- Parameters -------------------------------------------------------------------------------------------------------

resource "aws_ram_resource_share_accepter" "this" {
  for_each = var.resource_share_arns

  region    = split(":", each.value)[3]
  share_arn = each.value
}
