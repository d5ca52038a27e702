# Deleted images and snapshots can be restored for some days.

locals {
  recycle_bin_rules = var.recycle_bin == null ? {} : merge([
    for region in local.regions : {
      for type in ["EBS_SNAPSHOT", "EC2_IMAGE"] : "${region}/${type}" => { region = region, type = type }
    }
  ]...)
}

resource "aws_rbin_rule" "this" {
  for_each = local.recycle_bin_rules

  region        = each.value.region
  description   = "Retain the machine images of packer-ami repositories"
  resource_type = each.value.type
  tags          = var.tags

  dynamic "resource_tags" {
    for_each = var.recycle_bin.tags

    content {
      resource_tag_key   = resource_tags.key
      resource_tag_value = resource_tags.value
    }
  }

  retention_period {
    retention_period_unit  = "DAYS"
    retention_period_value = var.recycle_bin.retention_days
  }
}
