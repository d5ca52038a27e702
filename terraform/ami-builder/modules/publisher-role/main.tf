# The role that publishes the toolkit image (.github/workflows/publish-toolkit.yml): it can push to one ECR repository.

module "trust" {
  source = "../github-trust"

  oidc_provider_arn = var.oidc_provider_arn
  owner_id          = var.owner_id
  repository        = var.repository
  repository_id     = var.repository_id
  subjects          = ["environment:${var.environment}"]
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "LogInToRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  # Pulling is part of pushing: the workflow looks for the version, and reads layers that exist.
  statement {
    sid = "PushToolkit"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:CompleteLayerUpload",
      "ecr:GetDownloadUrlForLayer",
      "ecr:InitiateLayerUpload",
      "ecr:PutImage",
      "ecr:UploadLayerPart",
    ]
    resources = [var.ecr_repository_arn]
  }
}

resource "aws_iam_role" "this" {
  name                 = var.name
  assume_role_policy   = module.trust.json
  description          = "Publishes the toolkit image of ${var.repository}"
  max_session_duration = 7200 # the workflow may take 90 minutes, because arm64 is emulated
  path                 = var.path
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "this" {
  name   = "publish-toolkit"
  policy = data.aws_iam_policy_document.this.minified_json
  role   = aws_iam_role.this.name
}
