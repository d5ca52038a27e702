locals {
  # An instance of any image, and what comes with it.
  launch = {
    Read = {
      actions = [
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeRegions",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "ec2:GetEbsDefaultKmsKeyId",
      ]
      resources = ["*"]
    }
    LaunchWithTags = {
      actions    = ["ec2:RunInstances"]
      resources  = [local.arns["instance"], local.arns["network-interface"], local.arns["volume"]]
      conditions = local.requests_tags
    }
    LaunchWithOwn = {
      actions    = ["ec2:RunInstances"]
      resources  = [local.arns["key-pair"], local.arns["security-group"]]
      conditions = local.has_tags
    }
    # Another account can share subnets and networks.
    LaunchFromAny = {
      actions   = ["ec2:RunInstances"]
      resources = [local.images[0], "arn:aws:ec2:*:*:subnet/*"]
    }
    CreateAccess = {
      actions    = ["ec2:CreateKeyPair", "ec2:CreateSecurityGroup"]
      resources  = [local.arns["key-pair"], local.arns["security-group"]]
      conditions = local.requests_tags
    }
    CreateAccessInAny = {
      actions   = ["ec2:CreateSecurityGroup"]
      resources = ["arn:aws:ec2:*:*:vpc/*"]
    }
    # Only while one of these calls creates the resource, and therefore no image.
    TagAtCreation = {
      actions   = ["ec2:CreateTags"]
      resources = values(local.arns)
      conditions = concat(local.requests_tags, [{
        test     = "StringEquals"
        variable = "ec2:CreateAction"
        values   = ["CreateKeyPair", "CreateSecurityGroup", "RunInstances"]
      }])
    }
    UseOwn = {
      actions    = ["ec2:AuthorizeSecurityGroupIngress", "ec2:StopInstances"]
      resources  = [local.arns["instance"], local.arns["security-group"]]
      conditions = local.has_tags
    }
  }

  # Settings of a repository: an instance profile, Session Manager, and keys, which EC2 uses on behalf of the role.
  settings = {
    ReadInstanceProfile = {
      enabled   = var.instance_profile_role_arn != null
      actions   = ["iam:GetInstanceProfile"]
      resources = ["arn:aws:iam::${var.account_id}:instance-profile/*"]
    }
    PassInstanceRole = {
      enabled    = var.instance_profile_role_arn != null
      actions    = ["iam:PassRole"]
      resources  = [var.instance_profile_role_arn]
      conditions = [{ test = "StringEquals", variable = "iam:PassedToService", values = ["ec2.amazonaws.com"] }]
    }
    ForwardPort = {
      enabled   = var.session_manager
      actions   = ["ssm:StartSession"]
      resources = ["arn:aws:ssm:*::document/AWS-StartPortForwardingSession"]
    }
    ConnectToOwn = {
      enabled    = var.session_manager
      actions    = ["ssm:StartSession"]
      resources  = [local.arns["instance"]]
      conditions = local.has_tags
    }
    EndSessions = {
      enabled   = var.session_manager
      actions   = ["ssm:TerminateSession"]
      resources = ["arn:aws:ssm:*:${var.account_id}:session/*"]
    }
    UseKeys = {
      enabled    = length(var.kms_key_arns) > 0
      actions    = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"]
      resources  = var.kms_key_arns
      conditions = [{ test = "StringLike", variable = "kms:ViaService", values = ["ec2.*.amazonaws.com"] }]
    }
    GrantKeysToVolumes = {
      enabled    = length(var.kms_key_arns) > 0
      actions    = ["kms:CreateGrant"]
      resources  = var.kms_key_arns
      conditions = [{ test = "Bool", variable = "kms:GrantIsForAWSResource", values = ["true"] }]
    }
  }
}
