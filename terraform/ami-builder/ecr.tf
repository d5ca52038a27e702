# The toolkit image, which every build runs in.

resource "aws_ecr_repository" "toolkit" {
  # checkov:skip=CKV_AWS_136: The image is not secret, and a key of its own would have to be shared with each account that pulls.
  count = var.toolkit_repository == null ? 0 : 1

  region       = local.region
  name         = var.toolkit_repository.name
  force_delete = var.toolkit_repository.force_delete
  # A tag that could be moved would change the builds of all repositories.
  image_tag_mutability = "IMMUTABLE"
  tags                 = var.tags

  image_scanning_configuration {
    scan_on_push = true
  }
}

# Tagged images are never deleted: repositories that have not been updated still pin them by digest.
resource "aws_ecr_lifecycle_policy" "toolkit" {
  count = var.toolkit_repository == null ? 0 : 1

  region     = local.region
  repository = aws_ecr_repository.toolkit[0].name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Delete untagged images"
      selection = {
        tagStatus   = "untagged"
        countType   = "sinceImagePushed"
        countUnit   = "days"
        countNumber = var.toolkit_repository.untagged_days
      }
      action = { type = "expire" }
    }]
  })
}

locals {
  toolkit_pull_organization_ids = try(var.toolkit_repository.pull_organization_ids, [])
  toolkit_pull_account_ids      = try(var.toolkit_repository.pull_account_ids, [])
  toolkit_is_shared             = length(local.toolkit_pull_organization_ids) + length(local.toolkit_pull_account_ids) > 0
}

data "aws_iam_policy_document" "toolkit" {
  count = local.toolkit_is_shared ? 1 : 0

  dynamic "statement" {
    for_each = length(local.toolkit_pull_organization_ids) > 0 ? [1] : []

    content {
      sid     = "PullByOrganizations"
      actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:PrincipalOrgID"
        values   = local.toolkit_pull_organization_ids
      }
    }
  }

  dynamic "statement" {
    for_each = length(local.toolkit_pull_account_ids) > 0 ? [1] : []

    content {
      sid     = "PullByAccounts"
      actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]

      principals {
        type        = "AWS"
        identifiers = [for id in local.toolkit_pull_account_ids : "arn:aws:iam::${id}:root"]
      }
    }
  }
}

resource "aws_ecr_repository_policy" "toolkit" {
  count = local.toolkit_is_shared ? 1 : 0

  region     = local.region
  repository = aws_ecr_repository.toolkit[0].name
  policy     = data.aws_iam_policy_document.toolkit[0].json
}

locals {
  toolkit_image = try(coalesce(var.toolkit_image, one(aws_ecr_repository.toolkit[*].repository_url)), null)
}
