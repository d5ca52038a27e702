locals {
  # All scripts in the folder run, in the order of their names.
  shell_scripts = sort(concat(
    local.missing_content, # a guard, see below
    [for script in fileset(path.root, "provisioners/shell/*.sh") : "${path.root}/${script}"],
  ))
  # Roles with tasks, and roles that only have dependencies in their meta/main.yml.
  roles = sort(distinct(concat(
    [for file in fileset(path.root, "provisioners/ansible/roles/*/tasks/main.{yml,yaml,json}") : split("/", file)[3]],
    [
      for file in fileset(path.root, "provisioners/ansible/roles/*/meta/main.{yml,yaml,json}") : split("/", file)[3]
      if try(length(yamldecode(file("${path.root}/${file}")).dependencies) > 0, false)
      && !contains(local.roles_with_tasks, split("/", file)[3])
    ],
  )))
  roles_with_tasks = [for file in fileset(path.root, "provisioners/ansible/roles/*/tasks/*") : split("/", file)[3]]
  roles_with_folders = [
    for file in try(fileset(path.root, "provisioners/ansible/roles/*/*/*"), []) : split("/", file)[3]
  ]

  # Guard: each of these messages becomes the name of a script. It does not exist, so that `packer validate` fails and
  # prints the message. Without it, an image would lack a role whose folder is empty, and nothing would report that.
  submodule_lines = "(?m)^[ \t]*path[ \t]*=[ \t]*((?:provisioners|inspec)(?:/.*\\S)?)"
  submodules      = flatten(regexall(local.submodule_lines, try(file("${path.root}/.gitmodules"), "")))
  fetch_submodule = "fetch it with: git submodule update --init --recursive (or delete its entry in .gitmodules)"
  missing_content = concat(
    [
      for submodule in local.submodules : "${submodule} is an empty Git submodule; ${local.fetch_submodule}"
      if try(length(fileset(path.root, "${submodule}/{*,*/*}")), 1) == 0
    ],
    [
      for file in try(fileset(path.root, "provisioners/ansible/roles/[^.]*/*"), []) :
      "${dirname(file)} is empty; add tasks/main.yml or delete the folder"
      if !contains(local.roles_with_folders, split("/", file)[3])
    ],
    # Guard: for a symbolic link to a path that does not exist, fileset returns an error.
    [for file in fileset(path.root, "provisioners/ansible/roles/[^.]*") : file if false],
  )

  # This folder, quoted for the shell, whatever characters its path contains.
  shell_root = "'${replace(path.root, "'", "'\\''")}'"

  # An image must not be created untested. A local build or a test build may skip InSpec, and reports it.
  inspec_required = !var.skip_create_ami && !var.skip_inspec

  # Runs as root even if the login user is not root. Containers run as root and need no sudo.
  execute_as_root = "$(test \"$(id -u)\" = 0 || echo sudo) env {{ .Vars }} {{ .Path }}"

  # Metadata of the image for scripts (environment variables) and roles (lowercase variables of the same names).
  image_facts = {
    image_name    = var.image_name
    image_version = local.version
    image_commit  = local.image_tags.Commit
  }
  image_environment = [for name, value in local.image_facts : "${upper(name)}=${value}"]
}

build {
  # One source for each architecture: amazon-ebs.x86_64, amazon-ebs.arm64.
  dynamic "source" {
    for_each = var.architectures
    iterator = architecture
    labels   = ["amazon-ebs.image"]

    content {
      name          = architecture.value
      ami_name      = "${var.image_name}-${local.version}-${architecture.value}"
      instance_type = var.instance_types[architecture.value]

      # A filter, not a data source, so that `packer validate` needs no AWS access. An ID, if set, replaces the name.
      source_ami_filter {
        filters = {
          (can(var.source_ami_ids[architecture.value]) ? "image-id" : "name") = try(
            var.source_ami_ids[architecture.value], var.source_ami_names[architecture.value]
          )
          architecture        = architecture.value
          root-device-type    = "ebs"
          state               = "available"
          virtualization-type = "hvm"
        }
        most_recent = true
        owners      = var.source_ami_owners
      }
    }
  }

  sources = ["source.docker.local"]

  # The manifest post-processor appends, so entries of earlier runs are deleted, but not those of parallel builds of
  # this run. A missing auditor is reported here, before any other step.
  provisioner "shell-local" {
    inline = [
      "grep -qs '${build.PackerRunUUID}' ${local.shell_root}/manifest.json || rm -f ${local.shell_root}/manifest.json",
      "export INSPEC_REQUIRED=${source.type != "docker" && local.inspec_required}",
      "exec ${local.shell_root}/provisioners/inspec.sh --available",
    ]
  }

  # Skipped if packer-toolkit has already installed the requirements for all builds.
  dynamic "provisioner" {
    for_each = var.install_requirements ? ["requirements.sh"] : []
    iterator = script
    labels   = ["shell-local"]

    content {
      inline = ["exec ${local.shell_root}/provisioners/${script.value} '${build.PackerRunUUID}'"]
    }
  }

  # Twice, because some base images restart during their first boot, which stops the first run. The restart may take as
  # long as the first boot.
  dynamic "provisioner" {
    for_each = { first_run = true, second_run = false }
    iterator = may_disconnect
    labels   = ["shell"]

    content {
      execute_command     = local.execute_as_root
      expect_disconnect   = may_disconnect.value
      remote_folder       = var.remote_folder
      script              = "${path.root}/provisioners/prepare.sh"
      start_retry_timeout = var.ssh_timeout
    }
  }

  # Dynamic, because Packer refuses an empty list of scripts.
  dynamic "provisioner" {
    for_each = length(local.shell_scripts) > 0 ? [local.shell_scripts] : []
    iterator = scripts
    labels   = ["shell"]

    content {
      environment_vars = local.image_environment
      execute_command  = local.execute_as_root
      remote_folder    = var.remote_folder
      scripts          = scripts.value
    }
  }

  provisioner "ansible" {
    ansible_env_vars = ["ANSIBLE_CONFIG=${path.root}/provisioners/ansible/ansible.cfg"]
    extra_arguments = [
      "--extra-vars", jsonencode(merge(local.image_facts, { image_roles = local.roles })),
      "--extra-vars", "image_parent=${try(build.SourceAMI, var.local_image)}",
    ]
    playbook_file = "${path.root}/provisioners/ansible/playbook.yml"
    # Ansible reaches a container only through Packer's proxy. On EC2 it connects directly, which is faster; also, the
    # proxy uses a protocol that OpenSSH 9 no longer uses by default.
    use_proxy = source.type == "docker"
    user      = source.type == "docker" ? "root" : var.ssh_username
  }

  provisioner "shell-local" {
    environment_vars = [
      "INSPEC_BUILD=${source.type}.${source.name}",
      "INSPEC_PROFILE=${path.root}/inspec",
      "INSPEC_REQUIRED=${source.type != "docker" && local.inspec_required}",
      source.type == "docker" ? "INSPEC_TARGET=docker://${build.ID}"
      : "INSPEC_TARGET=ssh://${build.User}@${build.Host}:${build.Port}",
    ]
    # The key is here because Packer's debug log contains environment_vars.
    inline = [
      "export INSPEC_SSH_KEY='${source.type == "docker" ? "" : build.SSHPrivateKey}'",
      "exec ${local.shell_root}/provisioners/inspec.sh",
    ]
  }

  # Writes the list of installed packages next to manifest.json, such as packages-x86_64.txt.
  provisioner "shell" {
    remote_folder = var.remote_folder
    script        = "${path.root}/provisioners/packages.sh"
  }

  provisioner "file" {
    destination = "${path.root}/packages-${source.name}.txt"
    direction   = "download"
    source      = "/tmp/packer-packages.txt"
  }

  provisioner "shell" {
    environment_vars = ["TEMPORARY_USERS=${join(" ", var.temporary_users)}"]
    execute_command  = local.execute_as_root
    remote_folder    = var.remote_folder
    # The second script fails the build when the image would contain what the first one promises to remove.
    scripts = ["${path.root}/provisioners/cleanup.sh", "${path.root}/provisioners/validate.sh"]
  }

  post-processor "manifest" {
    custom_data = {
      architecture     = source.type == "docker" ? "local" : source.name
      commit           = local.image_tags.Commit
      image_name       = var.image_name
      source_ami       = try(build.SourceAMI, var.local_image)
      template_version = local.image_tags.TemplateVersion
      toolkit_version  = local.image_tags.ToolkitVersion
      version          = local.version
    }
    output     = "${path.root}/manifest.json"
    strip_path = true
  }

  post-processor "docker-tag" {
    only       = ["docker.local"]
    repository = "packer-ami-${var.image_name}"
    tags       = ["local"]
  }
}
