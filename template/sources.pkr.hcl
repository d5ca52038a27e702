locals {
  # Packer has no data source for git, so these locals read .git of this folder or of an enclosing repository. In linked
  # worktrees and submodules, .git is a file with the folder's path; worktrees share the folder named in commondir.
  git_places = [
    for up in ["", "../", "../../", "../../../", "../../../../"] : "${path.root}/${up}"
    if can(file("${path.root}/${up}.git/HEAD")) || can(regex("^gitdir: ", file("${path.root}/${up}.git")))
  ]
  git_place  = try(local.git_places[0], "${path.root}/")
  git_named  = try(regex("^gitdir: ([^\n]+)", file("${local.git_place}.git"))[0], "${abspath(local.git_place)}/.git")
  git_folder = substr(local.git_named, 0, 1) == "/" ? local.git_named : "${local.git_place}${local.git_named}"
  git_shared = try("${local.git_folder}/${trimspace(file("${local.git_folder}/commondir"))}", local.git_folder)
  git_head   = try(trimspace(file("${local.git_folder}/HEAD")), "unknown")
  git_ref    = trimprefix(local.git_head, "ref: ")
  # Its lines look like: 0123abc… refs/heads/main
  git_packed_refs = try(split("\n", file("${local.git_shared}/packed-refs")), [])
  # A branch in its own file, a branch in packed-refs, or a detached HEAD.
  git_commit = try(
    trimspace(file("${local.git_shared}/${local.git_ref}")),
    [for line in local.git_packed_refs : split(" ", line)[0] if try(split(" ", line)[1], "") == local.git_ref][0],
    regex("^[0-9a-f]{40,64}$", local.git_head),
    "unknown",
  )

  # The answers file of this template, whatever its name: files of other templates do not record these questions.
  # Subfolders with Packer files are ignored, because their answers files describe those folders.
  questions = "(?m)^(image_name|parent_image|aws_management_account|toolkit_image):"
  answers_files = [
    for file in try(fileset(path.root, "{*,*/*,*/*/*}{.yml,.yaml,answers}"), [".copier-answers.yml"]) : file
    if can(regex("(?m)^_commit:", file("${path.root}/${file}")))
    && length(distinct(flatten(try(regexall(local.questions, file("${path.root}/${file}")), [])))) >= 3
  ]
  own_answers_files = [for file in local.answers_files : file if dirname(file) == "."]
  recorded_release  = "(?m)^_commit: *['\"]?([^'\"\\s]+)"
  template_versions = distinct([
    for file in local.answers_files : try(regex(local.recorded_release, file("${path.root}/${file}"))[0], "unknown")
    if dirname(file) == "."
    || length(local.own_answers_files) + length(fileset("${path.root}/${dirname(file)}", "*.pkr.hcl")) == 0
  ])
  template_version = length(local.template_versions) == 1 ? local.template_versions[0] : "unknown"

  built_at = formatdate("YYYYMMDDhhmmss", timestamp())
  version  = var.version != "" ? var.version : "0.0.0-dev.${local.built_at}"

  # Packer renders the strings of a source as templates, some of them twice, so {{ cannot be escaped. The second replace
  # handles {{{, where the first one leaves a pair. Both lengthen the string; EC2 accepts 255 characters.
  description = substr(replace(replace(var.image_description, "{{", "{ {"), "{{", "{ {"), 0, 255)

  copy_regions = [for region in distinct(var.copy_regions) : region if region != var.region]
  kms_key_ids = {
    for region in concat([var.region], local.copy_regions) : region => lookup(var.kms_key_ids, region, var.kms_key_id)
  }
  # A copy to another region needs a key of that region, which Packer uses only with encrypt_boot. Without copies it is
  # off, because the volumes are encrypted from the start and a second encrypted copy would only take time.
  encrypt_copies = length(local.copy_regions) > 0 && local.kms_key_ids[var.region] != ""

  # The origin and the expiry of a resource. The cleanup finds and deletes leftovers of killed builds by these tags.
  run_tags = merge(var.tags, {
    Name       = "packer-ami-${var.image_name}-build"
    ExpiresAt  = timeadd(timestamp(), "${var.run_hours}h")
    ManagedBy  = "packer"
    Repository = "packer-ami-${var.image_name}"
    RunId      = var.run_id != "" ? var.run_id : uuidv4()
  })

  image_tags = merge(var.tags, {
    Name        = "${var.image_name}-${local.version}"
    Commit      = coalesce(var.git_commit, local.git_commit)
    Description = local.description
    # EC2 creates the image with run_tags, so an unfinished image of a killed build expires. A finished one does not.
    ExpiresAt       = "never"
    ManagedBy       = "packer"
    Repository      = "packer-ami-${var.image_name}"
    RunId           = local.run_tags.RunId
    SourceAMI       = "{{ .SourceAMI }}"
    SourceAMIName   = "{{ .SourceAMIName }}"
    TemplateVersion = var.template_version != "" ? var.template_version : local.template_version
    ToolkitVersion  = var.toolkit_version != "" ? var.toolkit_version : "none"
    Version         = local.version
  })

  # Guard: as the value of ssh_interface, this message makes `packer validate` fail. Without the program, Packer would
  # start one session after the other until ssh_timeout.
  no_session_manager = join(", ", [
    "session_manager needs the program session-manager-plugin on PATH", "as in the toolkit image (task packer-build)",
  ])
  session_manager_plugins = [
    for folder in split(":", var.program_folders) : folder
    if try(length(fileset(folder, "session-manager-plugin")), 0) > 0
  ]
  lacks_session_manager = (
    var.ssh_interface == "session_manager" && var.program_folders != "" && length(local.session_manager_plugins) == 0
  )
  ssh_interface = local.lacks_session_manager ? local.no_session_manager : var.ssh_interface

  # Guard: values that conflict. In place of a CIDR, each of these messages makes `packer validate` fail and shows it.
  # Without ssh_source_cidrs, the plugin would open port 22 to the whole internet.
  arns = concat(
    var.ami_org_arns, var.ami_ou_arns, values(var.kms_key_ids), [var.kms_key_id, var.assume_role_arn]
  )
  misfits = concat(
    var.ssh_interface == "private_ip" && length(var.ssh_source_cidrs) == 0
    ? ["private_ip needs ssh_source_cidrs, the private address of the build host"] : [],
    [
      for arn in local.arns :
      "${arn} must be in the standard AWS partition, as arn:aws:…; other partitions are not supported."
      if can(regex("^arn:aws-", arn))
    ],
    [
      for region, key in local.kms_key_ids : "the KMS key ${key} is not in ${region}"
      if can(regex("^arn:", key)) && try(split(":", key)[3], "") != region
    ],
    [
      for region in local.copy_regions :
      "kms_key_id is a key in ${var.region} only; add a key in ${region} to kms_key_ids"
      if !contains(keys(var.kms_key_ids), region) && can(regex("^[0-9a-f]{8}-", var.kms_key_id))
    ],
  )
  ssh_source_cidrs = length(local.misfits) > 0 ? local.misfits : var.ssh_source_cidrs

  # Packer sets keys of regions only when it encrypts the copies again.
  region_kms_key_ids = { for region in local.copy_regions : region => local.kms_key_ids[region] }
}

# The settings that all architectures share; build.pkr.hcl creates one source for each architecture.
source "amazon-ebs" "image" {
  # EC2 accepts only ASCII characters here; the tag Description has the original.
  ami_description      = regex_replace(local.description, "[^ -~]", "?")
  ami_org_arns         = var.ami_org_arns
  ami_ou_arns          = var.ami_ou_arns
  ami_regions          = local.copy_regions
  ami_users            = var.ami_users
  encrypt_boot         = local.encrypt_copies ? true : null
  iam_instance_profile = var.iam_instance_profile
  # null: the setting of the subnet.
  associate_public_ip_address = var.associate_public_ip_address
  # Instances of the image accept only IMDSv2, even if a launch does not request it.
  imds_support       = "v2.0"
  kms_key_id         = local.encrypt_copies ? local.kms_key_ids[var.region] : null
  max_retries        = var.max_retries
  region             = var.region
  region_kms_key_ids = local.encrypt_copies ? local.region_kms_key_ids : null
  run_tags           = local.run_tags
  run_volume_tags    = local.run_tags
  # An instance that shuts itself down is terminated: a stopped one would remain and incur costs.
  shutdown_behavior = "terminate"
  skip_create_ami   = var.skip_create_ami
  snapshot_tags     = local.image_tags
  # Hardened images often lack scp, and Packer would wait for it for five minutes.
  ssh_file_transfer_method = var.ssh_file_transfer_method
  ssh_interface            = local.ssh_interface
  ssh_timeout              = var.ssh_timeout
  ssh_username             = var.ssh_username
  subnet_id                = var.subnet_id
  tags                     = local.image_tags
  # Newer versions of sshd reject RSA keys, which are the plugin's default.
  temporary_key_pair_type                   = "ed25519"
  temporary_security_group_source_cidrs     = local.ssh_source_cidrs
  temporary_security_group_source_public_ip = var.ssh_interface == "public_ip" && length(var.ssh_source_cidrs) == 0
  vpc_id                                    = var.vpc_id

  # With an empty ARN, Packer uses the credentials without assuming a role. It renews an expired role session. STS
  # accepts session names of up to 64 characters.
  assume_role {
    role_arn     = var.assume_role_arn
    session_name = substr("packer-ami-${var.image_name}", 0, 64)
  }

  # A short delay and many attempts: an instance takes seconds, but copies and encryption of an image can take an hour,
  # or more for large images. The maximum is attempts times delay. Pauses grow from the delay; for images they start at
  # 15 seconds, whatever the delay is (plugin 1.8.2).
  aws_polling {
    delay_seconds = 2
    max_attempts  = ceil(var.wait_minutes * 30)
  }

  # The volume is encrypted from the start, so that no second, encrypted copy is needed.
  launch_block_device_mappings {
    delete_on_termination = true
    device_name           = var.root_device_name
    encrypted             = true
    kms_key_id            = local.kms_key_ids[var.region]
    volume_size           = var.volume_size
    volume_type           = "gp3"
  }

  # The build instance also requires IMDSv2.
  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }
}

# Runs the same steps in a container of the same OS family, without AWS.
source "docker" "local" {
  commit = true
  image  = var.local_image
  # `docker run` pulls a missing image. With pull, every build would need the registry.
  pull = false
  # Omits --entrypoint, which Packer sets by default and which would remain in the image.
  run_command = ["-d", "-i", "-t", "--network=${var.local_network}", "--", "{{ .Image }}", "/bin/sh"]
}
