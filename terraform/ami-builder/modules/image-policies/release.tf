locals {
  # Creating, copying and sharing. EC2 has no condition keys for the accounts that an image is shared with.
  create_images = {
    CreateFromOwn = {
      actions    = ["ec2:CreateImage"]
      resources  = [local.arns["instance"]]
      conditions = local.has_tags
    }
    CreateWithTags = {
      actions    = ["ec2:CreateImage"]
      resources  = local.images
      conditions = local.requests_tags
    }
    # Source and copy match the same ARN, and only the source has tags: images of other repositories are not copied.
    Copy = {
      actions    = ["ec2:CopyImage"]
      resources  = local.images
      conditions = local.has_no_other_tags
    }
    ShareOwn = {
      actions    = ["ec2:ModifyImageAttribute"]
      resources  = [local.images[0]]
      conditions = local.has_tags
    }
    # While one of these calls creates the image; a copy has the tags of its source.
    TagAtCreationOfImages = {
      actions   = ["ec2:CreateTags"]
      resources = local.images
      conditions = concat(local.keeps_tags, [{
        test     = "StringEquals"
        variable = "ec2:CreateAction"
        values   = ["CopyImage", "CreateImage"]
      }])
    }
  }
}
