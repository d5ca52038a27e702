# The account that builds and owns the images. Each other file has one subject.

data "aws_caller_identity" "this" {}

data "aws_region" "this" {}

locals {
  account_id = data.aws_caller_identity.this.account_id
  region     = coalesce(var.region, data.aws_region.this.region)
  # A build region in the list of copy regions would ask for a replica beside its own key.
  copy_regions = setsubtract(var.copy_regions, [local.region])
  regions      = setunion(local.copy_regions, [local.region])

  image_copy_regions = {
    for name, image in var.images : name => setsubtract(coalesce(image.copy_regions, local.copy_regions), [local.region])
  }
  image_regions = { for name, copies in local.image_copy_regions : name => setunion(copies, [local.region]) }
}

# The issuer of github.com, of GitHub Enterprise Cloud with data residency, or of an Enterprise Server.
locals {
  oidc_issuer = (
    var.github_host == "github.com" ? "token.actions.githubusercontent.com"
    : endswith(var.github_host, ".ghe.com") ? "token.actions.${var.github_host}"
    : "${var.github_host}/_services/token"
  )
  oidc_provider_arn = coalesce(var.oidc_provider_arn, one(aws_iam_openid_connect_provider.this[*].arn))
}

resource "aws_iam_openid_connect_provider" "this" {
  count = var.oidc_provider_arn == null ? 1 : 0

  url            = "https://${local.oidc_issuer}"
  client_id_list = ["sts.amazonaws.com"]
  tags           = var.tags
}
