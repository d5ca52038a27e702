locals {
  # The toolkit image, which every job pulls.
  toolkit = {
    LogInToRegistry = {
      enabled   = var.ecr_repository_arn != null
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"]
    }
    PullToolkit = {
      enabled   = var.ecr_repository_arn != null
      actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      resources = [var.ecr_repository_arn]
    }
  }

  # One statement instead of each region in each ARN.
  regions = {
    OnlyInRegions = {
      effect     = "Deny"
      actions    = ["ec2:*", "ssm:*"]
      resources  = ["*"]
      conditions = [{ test = "StringNotEquals", variable = "aws:RequestedRegion", values = var.regions }]
    }
  }
}
