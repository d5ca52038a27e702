# One multi-Region key: its ID and its alias are the same in each region, so that one answer to the question aws_kms_key
# fits the build region and all copies.

locals {
  kms_alias = "alias/${try(var.kms_key.alias, "")}"
}

module "key_policy" {
  source = "./modules/key-policy"

  account_id               = local.account_id
  consumer_account_ids     = var.consumers.account_ids
  organization_arns        = var.consumers.organization_arns
  organizational_unit_arns = var.consumers.organizational_unit_arns
}

resource "aws_kms_key" "this" {
  count = var.kms_key == null ? 0 : 1

  region                  = local.region
  description             = "Encrypts the machine images of packer-ami repositories"
  deletion_window_in_days = var.kms_key.deletion_window_in_days
  enable_key_rotation     = true
  multi_region            = true
  policy                  = module.key_policy.json
  tags                    = var.tags
}

resource "aws_kms_replica_key" "this" {
  for_each = var.kms_key == null ? [] : local.copy_regions

  region                  = each.value
  description             = "Encrypts the machine images of packer-ami repositories"
  deletion_window_in_days = var.kms_key.deletion_window_in_days
  primary_key_arn         = aws_kms_key.this[0].arn
  # A replica does not take the policy of its key.
  policy = module.key_policy.json
  tags   = var.tags
}

locals {
  kms_key_arns = merge(
    { for key in aws_kms_key.this : key.region => key.arn },
    { for region, key in aws_kms_replica_key.this : region => key.arn },
  )
}

resource "aws_kms_alias" "this" {
  for_each = var.kms_key == null ? [] : local.regions

  region        = each.value
  name          = local.kms_alias
  target_key_id = local.kms_key_arns[each.value]
}
