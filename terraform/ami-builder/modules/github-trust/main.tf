# Whom a role for GitHub workflows trusts, as a policy document only. docs/pipeline.md describes the subjects.

locals {
  issuer = split("oidc-provider/", var.oidc_provider_arn)[1]
  parts  = split("/", var.repository)
  # STS evaluates claims other than aud and sub only in the tokens of github.com.
  evaluates_claims = startswith(local.issuer, "token.actions.githubusercontent.com")
  is_server        = endswith(local.issuer, "/_services/token")
  has_ids          = var.repository_id != null && var.owner_id != null

  # Repositories that were created, renamed or transferred since 15 July 2026 send IDs beside the names.
  prefixes = concat(
    ["repo:${var.repository}"],
    local.has_ids && !local.is_server ? ["repo:${local.parts[0]}@${var.owner_id}/${local.parts[1]}@${var.repository_id}"] : [],
  )
}

data "aws_iam_policy_document" "this" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      identifiers = [var.oidc_provider_arn]
      type        = "Federated"
    }

    condition {
      test     = "StringEquals"
      values   = ["sts.amazonaws.com"]
      variable = "${local.issuer}:aud"
    }

    condition {
      test     = "StringLike"
      values   = [for pair in setproduct(local.prefixes, var.subjects) : join(":", pair)]
      variable = "${local.issuer}:sub"
    }

    # The next owner of the names has other IDs.
    dynamic "condition" {
      for_each = local.evaluates_claims ? { repository_id = var.repository_id, repository_owner_id = var.owner_id } : {}

      content {
        test     = "StringEquals"
        values   = [condition.value]
        variable = "${local.issuer}:${condition.key}"
      }
    }

    # The subject of a job with an environment does not contain the branch or tag.
    dynamic "condition" {
      for_each = local.evaluates_claims && length(var.refs) > 0 ? [var.refs] : []

      content {
        test     = "StringLike"
        values   = condition.value
        variable = "${local.issuer}:ref"
      }
    }
  }
}
