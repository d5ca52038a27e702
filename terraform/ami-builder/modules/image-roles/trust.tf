locals {
  issuer = split("oidc-provider/", var.oidc_provider_arn)[1]
  owner  = split("/", var.repository)[0]
  # STS checks further claims than aud and sub for the tokens of github.com only.
  is_checked_by_id = startswith(local.issuer, "token.actions.githubusercontent.com")
  has_ids          = var.repository_id != null && var.owner_id != null
  is_server        = endswith(local.issuer, "/_services/token")

  # Repositories of github.com that were created, renamed or transferred since 15 July 2026 send IDs beside the names.
  prefixes = concat(
    ["repo:${var.repository}"],
    local.has_ids && !local.is_server
    ? [format("repo:%s@%s/%s@%s", local.owner, var.owner_id, split("/", var.repository)[1], var.repository_id)] : [],
  )

  # What follows the repository in the subject, for the events of the template's workflows:
  subjects = {
    # pull requests, pushes, daily runs and manual runs of a branch, and the jobs of a release that only read;
    build = ["pull_request", "ref:refs/heads/*", "ref:refs/tags/*"]
    # the job that builds a release;
    release = (
      var.release_environment != null
      ? ["environment:${var.release_environment}"] : [for tag in var.release_tags : "ref:refs/tags/${tag}"]
    )
    # a scheduled clean-up.
    cleanup = ["ref:refs/heads/${var.default_branch}"]
  }
}

data "aws_iam_policy_document" "trust" {
  for_each = local.subjects

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
      values   = [for pair in setproduct(local.prefixes, each.value) : join(":", pair)]
      variable = "${local.issuer}:sub"
    }

    # The next owner of the names has other IDs.
    dynamic "condition" {
      for_each = local.is_checked_by_id ? { repository_id = var.repository_id, repository_owner_id = var.owner_id } : {}

      content {
        test     = "StringEquals"
        values   = [condition.value]
        variable = "${local.issuer}:${condition.key}"
      }
    }

    # The subject of a job with an environment does not contain the tag.
    dynamic "condition" {
      for_each = local.is_checked_by_id && each.key == "release" && var.release_environment != null ? [var.release_tags] : []

      content {
        test     = "StringLike"
        values   = [for tag in condition.value : "refs/tags/${tag}"]
        variable = "${local.issuer}:ref"
      }
    }
  }
}
