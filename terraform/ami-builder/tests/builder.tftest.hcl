# Every optional part on and off, with a mocked provider: nothing needs AWS.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "111122223333"
    }
  }

  mock_data "aws_region" {
    defaults = {
      region = "eu-central-1"
    }
  }

  mock_data "aws_iam_policy_document" {
    defaults = {
      json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = {
      arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
    }
  }

  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::111122223333:role/mocked"
    }
  }

  mock_resource "aws_kms_key" {
    defaults = {
      arn    = "arn:aws:kms:eu-central-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef"
      key_id = "mrk-0123456789abcdef0123456789abcdef"
    }
  }

  mock_resource "aws_kms_replica_key" {
    defaults = {
      arn    = "arn:aws:kms:eu-west-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef"
      key_id = "mrk-0123456789abcdef0123456789abcdef"
    }
  }

  mock_resource "aws_ecr_repository" {
    defaults = {
      arn            = "arn:aws:ecr:eu-central-1:111122223333:repository/packer-toolkit"
      repository_url = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/packer-toolkit"
    }
  }

  mock_resource "aws_ram_resource_share" {
    defaults = {
      arn = "arn:aws:ram:eu-central-1:111122223333:resource-share/01234567-89ab-cdef-0123-456789abcdef"
    }
  }
}

# The modules below modules/ have tests of their own.
override_module {
  target = module.image_roles
  outputs = {
    build_role_arn   = "arn:aws:iam::111122223333:role/packer-ami-web-build"
    release_role_arn = "arn:aws:iam::111122223333:role/packer-ami-web-release"
    cleanup_role_arn = "arn:aws:iam::111122223333:role/packer-ami-web-cleanup"
    policies         = {}
    trust_policies   = {}
  }
}

override_module {
  target = module.publisher_role
  outputs = {
    role_arn = "arn:aws:iam::111122223333:role/packer-toolkit-publisher"
  }
}

override_module {
  target = module.personal_role
  outputs = {
    role_arn = "arn:aws:iam::111122223333:role/packer-ami-developer"
  }
}

# OpenTofu evaluates the locals of an overridden module.
override_module {
  target = module.personal_role.module.policies
  outputs = {
    policies = { build = "{}", release = "{}" }
  }
}

variables {
  images = {
    web = { repository = "acme/packer-ami-web", repository_id = "123456789", owner_id = "9876543" }
  }
}

run "defaults" {
  assert {
    condition     = length(aws_iam_openid_connect_provider.this) == 1 && aws_iam_openid_connect_provider.this[0].url == "https://token.actions.githubusercontent.com"
    error_message = "The provider of github.com is created."
  }

  assert {
    condition     = aws_kms_key.this[0].multi_region && aws_kms_key.this[0].enable_key_rotation && length(aws_kms_replica_key.this) == 0
    error_message = "The key can be replicated, is rotated, and has no replica without copy regions."
  }

  assert {
    condition     = keys(aws_kms_alias.this) == ["eu-central-1"] && aws_kms_alias.this["eu-central-1"].name == "alias/packer-ami"
    error_message = "The build region has the alias that the question aws_kms_key suggests."
  }

  assert {
    condition     = aws_ecr_repository.toolkit[0].image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.toolkit[0].image_scanning_configuration[0].scan_on_push
    error_message = "Tags of the toolkit image cannot be moved, and images are scanned."
  }

  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.toolkit[0].policy).rules[*].selection.tagStatus == ["untagged"]
    error_message = "Only untagged images are deleted."
  }

  assert {
    condition     = length(aws_ecr_repository_policy.toolkit) == 0 && length(aws_ram_resource_share.this) == 0
    error_message = "Nothing is shared without consumers."
  }

  assert {
    condition     = keys(aws_rbin_rule.this) == ["eu-central-1/EBS_SNAPSHOT", "eu-central-1/EC2_IMAGE"]
    error_message = "Deleted images and snapshots are retained in the build region."
  }

  assert {
    condition     = alltrue([for rule in aws_rbin_rule.this : one(rule.resource_tags).resource_tag_key == "ExpiresAt" && one(rule.resource_tags).resource_tag_value == "never"])
    error_message = "Only finished images and their snapshots are retained."
  }

  assert {
    condition     = length(aws_ec2_image_block_public_access.this) + length(aws_ebs_snapshot_block_public_access.this) == 0
    error_message = "Settings of the whole account are off by default."
  }

  assert {
    condition     = output.instance_profile_name == null && output.publisher_role_arn == null && output.personal_role_arn == null
    error_message = "Instance profile, publisher and personal role are created on request only."
  }

  assert {
    condition = jsonencode(output.parameter_names) == jsonencode({
      web = { x86_64 = { dev = "/packer-ami/web/x86_64/dev", prod = "/packer-ami/web/x86_64/prod", test = "/packer-ami/web/x86_64/test" } }
    })
    error_message = "Parameters are named /packer-ami/NAME/ARCHITECTURE/STAGE."
  }

  assert {
    condition = jsonencode(output.copier_data.web) == jsonencode({
      image_name             = "web"
      image_architectures    = ["x86_64"]
      aws_management_account = "111122223333"
      aws_region             = "eu-central-1"
      aws_copy_regions       = ""
      image_consumers        = ""
      aws_kms_key            = "alias/packer-ami"
      github_host            = "github.com"
      github_organization    = "acme"
      aws_build_role         = "arn:aws:iam::111122223333:role/packer-ami-web-build"
      aws_release_role       = "arn:aws:iam::111122223333:role/packer-ami-web-release"
      toolkit_image          = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/packer-toolkit"
    })
    error_message = "copier_data has the answers of the image."
  }
}

run "everything" {
  variables {
    images = {
      web = { repository = "acme/packer-ami-web", repository_id = "123456789", owner_id = "9876543", architectures = ["x86_64", "arm64"] }
      db  = { repository = "acme/packer-ami-db", repository_id = "123456790", owner_id = "9876543", copy_regions = [], release_environment = "release" }
    }
    region       = "eu-central-1"
    copy_regions = ["eu-central-1", "eu-west-1"]
    consumers = {
      account_ids              = ["222233334444"]
      organization_arns        = ["arn:aws:organizations::111122223333:organization/o-exampleorgid"]
      organizational_unit_arns = ["arn:aws:organizations::111122223333:ou/o-exampleorgid/ou-abcd-12345678"]
      outside_organization     = true
    }
    oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
    publisher         = { repository = "acme/template-packer-ami", repository_id = "123456788", owner_id = "9876543" }
    personal_role     = { trusted_arns = ["arn:aws:iam::111122223333:role/developer"] }
    session_manager   = true
    kms_key           = { alias = "images", deletion_window_in_days = 7 }
    toolkit_repository = {
      name                  = "toolkit"
      untagged_days         = 1
      pull_organization_ids = ["o-exampleorgid"]
      pull_account_ids      = ["222233334444"]
    }
    toolkit_image       = "ghcr.io/acme/packer-toolkit"
    recycle_bin         = { retention_days = 31, tags = { ManagedBy = "packer", ExpiresAt = "never" } }
    block_public_access = { images = true, snapshots = true }
    tags                = { CostCenter = "1234" }
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.this) == 0 && output.oidc_provider_arn == var.oidc_provider_arn
    error_message = "An existing OIDC provider is used."
  }

  assert {
    condition     = keys(aws_kms_replica_key.this) == ["eu-west-1"] && keys(aws_kms_alias.this) == ["eu-central-1", "eu-west-1"]
    error_message = "Each copy region has one replica and an alias, the build region only an alias."
  }

  assert {
    condition     = aws_kms_alias.this["eu-west-1"].name == "alias/images" && aws_kms_replica_key.this["eu-west-1"].policy == aws_kms_key.this[0].policy
    error_message = "The replica has the alias and the policy of the key."
  }

  assert {
    condition     = keys(aws_ram_resource_share.this) == ["db/eu-central-1", "web/eu-central-1", "web/eu-west-1"]
    error_message = "Each image has a share in each region that it is in."
  }

  assert {
    condition     = length(aws_ram_principal_association.this) == 3 * 3 && alltrue([for share in aws_ram_resource_share.this : share.allow_external_principals])
    error_message = "Each share has each consumer, also outside the organization."
  }

  assert {
    condition     = keys(output.resource_share_arns.web) == ["eu-central-1", "eu-west-1"]
    error_message = "The output has the share of each region."
  }

  assert {
    condition     = length(data.aws_iam_policy_document.toolkit[0].statement) == 2
    error_message = "Organizations and accounts may pull the toolkit image."
  }

  assert {
    condition     = length(aws_rbin_rule.this) == 4 && length(aws_rbin_rule.this["eu-west-1/EC2_IMAGE"].resource_tags) == 2
    error_message = "Each region has rules for images and snapshots with all tags."
  }

  assert {
    condition     = aws_ec2_image_block_public_access.this["eu-west-1"].state == "block-new-sharing" && aws_ebs_snapshot_block_public_access.this["eu-central-1"].state == "block-all-sharing"
    error_message = "Public access is blocked in each region."
  }

  assert {
    condition     = output.publisher_role_arn == "arn:aws:iam::111122223333:role/packer-toolkit-publisher" && output.personal_role_arn == "arn:aws:iam::111122223333:role/packer-ami-developer"
    error_message = "The publisher and the developers have a role."
  }

  assert {
    condition     = output.instance_profile_name == "packer-ami-build-instance"
    error_message = "Build instances have an instance profile."
  }

  assert {
    condition = [
      output.copier_data.web.aws_copy_regions, output.copier_data.db.aws_copy_regions, output.copier_data.web.aws_kms_key,
      output.copier_data.web.toolkit_image, join(" ", output.copier_data.web.image_architectures),
    ] == ["eu-west-1", "", "alias/images", "ghcr.io/acme/packer-toolkit", "arm64 x86_64"]
    error_message = "copier_data has the answers of each image."
  }

  assert {
    condition     = output.copier_data.web.image_consumers == "222233334444, arn:aws:organizations::111122223333:organization/o-exampleorgid, arn:aws:organizations::111122223333:ou/o-exampleorgid/ou-abcd-12345678"
    error_message = "copier_data lists all consumers."
  }
}

run "nothing_optional" {
  variables {
    kms_key            = null
    toolkit_repository = null
    recycle_bin        = null
  }

  assert {
    condition     = length(aws_kms_key.this) + length(aws_kms_alias.this) + length(aws_ecr_repository.toolkit) + length(aws_ecr_lifecycle_policy.toolkit) + length(aws_rbin_rule.this) == 0
    error_message = "Without key, repository and Recycle Bin, none of their resources exist."
  }

  assert {
    condition     = output.kms_alias == null && output.kms_key_arns == {} && output.toolkit_image == null
    error_message = "Outputs of absent parts are null or empty."
  }

  assert {
    condition     = output.copier_data.web.aws_kms_key == "" && !contains(keys(output.copier_data.web), "toolkit_image")
    error_message = "Without a key, images use the default key; without a toolkit image, Copier asks for it."
  }
}

run "no_images" {
  variables {
    images = {}
  }

  assert {
    condition     = output.copier_data == {} && length(aws_kms_key.this) == 1
    error_message = "An account can be prepared before it builds the first image."
  }
}

run "enterprise_server" {
  command = plan

  override_resource {
    target = aws_iam_openid_connect_provider.this
    values = {
      arn = "arn:aws:iam::111122223333:oidc-provider/github.example.com/_services/token"
    }
  }

  variables {
    images      = { web = { repository = "acme/packer-ami-web" } }
    github_host = "github.example.com"
  }

  assert {
    condition     = aws_iam_openid_connect_provider.this[0].url == "https://github.example.com/_services/token"
    error_message = "An Enterprise Server is its own issuer."
  }
}

run "data_residency" {
  command = plan

  override_resource {
    target = aws_iam_openid_connect_provider.this
    values = {
      arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.acme.ghe.com"
    }
  }

  variables {
    images      = { web = { repository = "acme/packer-ami-web" } }
    github_host = "acme.ghe.com"
  }

  assert {
    condition     = aws_iam_openid_connect_provider.this[0].url == "https://token.actions.acme.ghe.com"
    error_message = "Enterprise Cloud with data residency has an issuer of its own."
  }
}
