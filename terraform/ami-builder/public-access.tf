# Both settings apply to the account and the region, so they are off by default. After a destroy, AWS keeps them.

resource "aws_ec2_image_block_public_access" "this" {
  for_each = var.block_public_access.images ? local.regions : []

  region = each.value
  state  = "block-new-sharing"
}

resource "aws_ebs_snapshot_block_public_access" "this" {
  for_each = var.block_public_access.snapshots ? local.regions : []

  region = each.value
  state  = "block-all-sharing"
}
