# Finds an image of another account, by the parameter of a stage or by its version.

data "aws_region" "this" {}

locals {
  region        = coalesce(var.region, data.aws_region.this.region)
  parameter_arn = "arn:aws:ssm:${local.region}:${var.owner_account_id}:parameter/packer-ami/${var.image.name}/${var.image.architecture}/${coalesce(var.image.stage, "-")}"
  # AMIs are named NAME-VERSION-ARCHITECTURE.
  name_prefix = "${var.image.name}-"
  name_suffix = "-${var.image.architecture}"
  # What identifies the image: its ID in the parameter, or its name.
  identifier = (
    var.image.stage == null
    ? "${local.name_prefix}${coalesce(var.image.version, "-")}${local.name_suffix}"
    : one(data.aws_ssm_parameter.published_image[*].insecure_value)
  )
}

# If this fails, the image was not published to the stage, or the parameter is not shared with this account and region.
# A parameter of another account is found by its full ARN only.
data "aws_ssm_parameter" "published_image" {
  count = var.image.stage == null ? 0 : 1

  region = local.region
  name   = local.parameter_arn
}

# The list of IDs is empty if no image matches, so that the message can name the reason. With deprecated images: a
# deprecated image must not break an unrelated apply.
data "aws_ami_ids" "this" {
  region             = local.region
  owners             = [var.owner_account_id]
  include_deprecated = true

  filter {
    name   = var.image.stage == null ? "name" : "image-id"
    values = [local.identifier]
  }

  lifecycle {
    postcondition {
      condition     = length(self.ids) == 1
      error_message = <<-EOT
        No image ${local.identifier} of the account ${var.owner_account_id} can be used in ${local.region}.
        It was not released, was not copied to this region, or is not shared with this account: compare consumers of ami-builder, and image_consumers and aws_copy_regions of the repository.
      EOT
    }
  }
}

data "aws_ami" "this" {
  region             = local.region
  owners             = [var.owner_account_id]
  include_deprecated = true

  filter {
    name   = "image-id"
    values = data.aws_ami_ids.this.ids
  }

  lifecycle {
    postcondition {
      condition     = self.owner_id == var.owner_account_id
      error_message = "The image ${self.id} belongs to the account ${self.owner_id}, not to ${var.owner_account_id}: a parameter must name images of its own account only."
    }

    postcondition {
      condition     = startswith(self.name, local.name_prefix) && endswith(self.name, local.name_suffix)
      error_message = "The image ${self.id} is named ${self.name}, not ${local.name_prefix}VERSION${local.name_suffix}: publish an image of packer-ami-${var.image.name}."
    }

    postcondition {
      condition     = self.architecture == var.image.architecture
      error_message = "The image ${self.id} is for ${self.architecture}, not for ${var.image.architecture}."
    }

    postcondition {
      condition     = self.state == "available"
      error_message = "The image ${self.id} is ${self.state}, so that no instance can be launched from it: publish another version."
    }
  }
}

# Warnings only: an old image must not block an apply that does not concern it.
check "image_age" {
  assert {
    condition = var.max_age_days == null || timecmp(
      timeadd(data.aws_ami.this.creation_date, "${24 * coalesce(var.max_age_days, 1)}h"), plantimestamp()
    ) > 0
    error_message = "The image ${data.aws_ami.this.name} was created at ${data.aws_ami.this.creation_date}, more than ${coalesce(var.max_age_days, 1)} days ago: publish a newer version."
  }
}

check "image_deprecation" {
  assert {
    condition = (
      coalesce(data.aws_ami.this.deprecation_time, "-") == "-"
      || try(timecmp(data.aws_ami.this.deprecation_time, plantimestamp()) > 0, true)
    )
    error_message = "The image ${data.aws_ami.this.name} is deprecated since ${coalesce(data.aws_ami.this.deprecation_time, "-")}: publish a newer version."
  }
}
