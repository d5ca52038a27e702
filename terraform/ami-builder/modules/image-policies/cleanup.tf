locals {
  # What a failed build leaves.
  leftovers = {
    ReadLeftovers = {
      actions = [
        "ec2:DescribeImages",
        "ec2:DescribeInstances",
        "ec2:DescribeKeyPairs",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSnapshots",
        "ec2:DescribeVolumes",
        "sts:GetCallerIdentity",
      ]
      resources = ["*"]
    }
    DeleteOwn = {
      actions    = ["ec2:DeleteKeyPair", "ec2:DeleteSecurityGroup", "ec2:DeleteVolume", "ec2:TerminateInstances"]
      resources  = [for type in ["instance", "key-pair", "security-group", "volume"] : local.arns[type]]
      conditions = local.has_tags
    }
  }

  # Images that are not finished.
  delete_images = {
    DeleteOwnImages = {
      actions    = ["ec2:DeleteSnapshot", "ec2:DeregisterImage"]
      resources  = local.images
      conditions = local.has_tags
    }
    # EC2 creates the snapshots of a copy without tags. Those of another repository have this tag.
    TagNewSnapshots = {
      actions   = ["ec2:CreateTags"]
      resources = [local.images[1]]
      conditions = concat(
        local.requests_tags,
        [for key in keys(local.tags) : { test = "Null", variable = "aws:ResourceTag/${key}", values = ["true"] }],
      )
    }
    # An image cannot be handed to another repository.
    TagOwnImages = {
      actions    = ["ec2:CreateTags"]
      resources  = local.images
      conditions = concat(local.has_tags, local.keeps_tags)
    }
  }
}
