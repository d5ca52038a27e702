# One parameter for each image, architecture, stage and region has the ID of the image that the stage runs.
#
# Terraform creates the resource shares, but not the parameters. A parameter of the type aws:ec2:image must name an image
# that exists, and its value changes with each publication, not with Terraform. So the first publication creates the
# parameter and adds it to the share (docs/decisions/0053-what-terraform-does-not-hold.md).

locals {
  parameter_names = {
    for name, image in var.images : name => {
      for architecture in image.architectures : architecture => {
        for stage in var.stages : stage => "/packer-ami/${name}/${architecture}/${stage}"
      }
    }
  }

  consumer_principals = setunion(
    var.consumers.account_ids, var.consumers.organization_arns, var.consumers.organizational_unit_arns
  )
  shares = length(local.consumer_principals) == 0 ? {} : merge([
    for name, regions in local.image_regions : {
      for region in regions : "${name}/${region}" => { name = name, region = region }
    }
  ]...)
  share_principals = merge([
    for key, share in local.shares : {
      for principal in local.consumer_principals :
      "${key}/${principal}" => { share = key, region = share.region, principal = principal }
    }
  ]...)
}

resource "aws_ram_resource_share" "this" {
  for_each = local.shares

  region                    = each.value.region
  name                      = "packer-ami-${each.value.name}"
  allow_external_principals = var.consumers.outside_organization
  tags                      = merge(var.tags, { Repository = "packer-ami-${each.value.name}" })
}

resource "aws_ram_principal_association" "this" {
  for_each = local.share_principals

  region             = each.value.region
  principal          = each.value.principal
  resource_share_arn = aws_ram_resource_share.this[each.value.share].arn
}
