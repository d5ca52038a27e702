locals {
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

module "trust" {
  source   = "../github-trust"
  for_each = local.subjects

  oidc_provider_arn = var.oidc_provider_arn
  owner_id          = var.owner_id
  refs              = each.key == "release" ? [for tag in var.release_tags : "refs/tags/${tag}"] : []
  repository        = var.repository
  repository_id     = var.repository_id
  subjects          = each.value
}
