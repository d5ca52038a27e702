"""Repositories as people make them by hand: their files, and what adoption finds in them.

Their shapes are those of public repositories that build AMIs; their texts are our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NEW_FILE = "provisioners/new-in-v1.1.0.sh"  # what v1.1.0 of the template adds
X86, ARM = "x86_64", "arm64"
_NOBLE = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"


@dataclass(frozen=True)
class Shape:
    """A repository.

    Attributes:
        files: text by path; bytes for a binary, "-> TARGET" for a link, an executable begins
            with "#!".
        found: answers that adoption finds, each with the place it is found at.
        folder: the folder's name.
        remote: git's remote, "" for none.
        notes: parts of notes, one for each.
        refused: questions whose found value the template does not take.
        data: answers that are given because nothing can be found.
    """

    files: Mapping[str, str | bytes]
    found: Mapping[str, tuple[Any, str]]
    folder: str = "repository"
    remote: str = ""
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


def _source(kind: str = "amazon-ebs", name: str = "it", more: str = "", filter_: str = "") -> str:
    return f"""\
source "{kind}" "{name}" {{
{more}
  source_ami_filter {{
    filters = {{
{filter_ or f'      name = "{_NOBLE}"'}
    }}
    owners      = ["099720109477"]
    most_recent = true
  }}
}}
"""


SHAPES: dict[str, Shape] = {
    "one-file": Shape(
        files={
            "ami.pkr.hcl": """\
packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2"
    }
  }
}

variable "region" {
  type    = string
  default = "eu-west-1"
}

locals {
  stamp = regex_replace(timestamp(), "[- TZ:]", "")
}

source "amazon-ebs" "web" {
  ami_name        = "shop-web-${local.stamp}"
  ami_description = "Web servers of the shop"
  instance_type   = "t3.small"
  region          = var.region
  ssh_username    = "ubuntu"

  source_ami_filter {
    filters = {
      name                = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["099720109477"]
    most_recent = true
  }
}

build {
  sources = ["source.amazon-ebs.web"]

  provisioner "shell" {
    script = "setup.sh"
  }
}
""",
            "setup.sh": "#!/bin/bash\nset -e\napt-get update\n",
            "README.md": "# Our web servers\n\nMade by hand.\n",
        },
        found={
            "image_name": ("shop-web", "ami.pkr.hcl:20"),
            "image_description": ("Web servers of the shop", "ami.pkr.hcl:21"),
            "aws_region": ("eu-west-1", "ami.pkr.hcl:12"),
            "parent_image": ("ubuntu-24.04", "ami.pkr.hcl:28"),
            "image_architectures": ([X86], "ami.pkr.hcl:28"),
            "github_organization": ("acme", "git remote origin"),
            "github_host": ("github.com", "git remote origin"),
        },
        remote="https://github.com/acme/ami-shop-web.git",
    ),
    "files-named-like-the-template's": Shape(
        files={
            "variables.pkr.hcl": 'variable "owner" {\n  type = list(string)\n}\n'
            'variable "kms" {\n  default = null\n}\n',
            "sources.pkr.hcl": _source(
                more='  ami_name = "${var.prefix}-{{timestamp}}"\n  ami_users = var.owner\n'
                "  kms_key_id = var.kms\n  region = local.where"
            ),
            "build.pkr.hcl": 'build {\n  sources = ["amazon-ebs.it"]\n}\n',
            "locals.pkr.hcl": 'locals {\n  where = join("-", ["us", "east", "1"])\n}\n'
            'variable "prefix" {\n  default = "db"\n}\n',
            "image.auto.pkrvars.hcl": 'owner = ["222233334444", "333344445555"]\n'
            'kms   = "alias/db"\nprefix = "orders-db"\n',
            "provisioners/shell/10-update-packages.sh": "#!/bin/sh\necho ours\n",
            "inspec/inspec.yml": "name: ours\n",
        },
        found={
            "image_name": ("orders-db", "sources.pkr.hcl:2"),
            "image_consumers": ("222233334444, 333344445555", "image.auto.pkrvars.hcl:1"),
            "aws_kms_key": ("alias/db", "image.auto.pkrvars.hcl:2"),
            "aws_region": ("us-east-1", "locals.pkr.hcl:2"),
            "parent_image": ("ubuntu-24.04", "sources.pkr.hcl:8"),
        },
    ),
    "json-template": Shape(
        files={
            "template.json": """\
{
  "variables": {
    "aws_region": "eu-central-1",
    "name": "bastion",
    "secret": "{{env `SECRET`}}"
  },
  "builders": [
    {
      "type": "amazon-ebs",
      "region": "{{user `aws_region`}}",
      "instance_type": "t3.micro",
      "ssh_username": "ec2-user",
      "ami_name": "{{user `name`}}-{{isotime | clean_resource_name}}",
      "ami_description": "Bastion hosts",
      "source_ami_filter": {
        "filters": {
          "virtualization-type": "hvm",
          "name": "amzn2-ami-hvm-*-x86_64-gp2"
        },
        "owners": ["amazon"],
        "most_recent": true
      }
    }
  ],
  "provisioners": [{"type": "shell", "script": "bootstrap.sh"}]
}
""",
            "bootstrap.sh": "#!/bin/sh\nyum -y update\n",
            "package.json": '{"name": "not a template"}\n',
        },
        found={
            "image_name": ("bastion", "template.json:13"),
            "image_description": ("Bastion hosts", "template.json:14"),
            "aws_region": ("eu-central-1", "template.json:3"),
            "parent_image": ("amazon-linux-2", "template.json:18"),
            "image_architectures": ([X86], "template.json:18"),
        },
    ),
    "json-with-a-file-of-variables": Shape(
        files={
            "packer/packer.json": '{\n  "variables": {"region": "", "users": ""},\n'
            '  "builders": [{\n    "type": "amazon-ebs",\n    "name": "arm",\n'
            '    "region": "{{user `region`}}",\n    "ami_users": "{{user `users`}}",\n'
            '    "ami_name": "ci-runner {{timestamp}}",\n    "instance_type": "c7g.large",\n'
            '    "source_ami_filter": {"owners": "136693071363",'
            ' "filters": {"name": "debian-13-arm64-*"}}\n  }]\n}\n',
            "packer/prod.json": '{\n  "region": "ap-southeast-2",\n'
            '  "users": "222233334444,333344445555"\n}\n',
            "Makefile": "build:\n\tpacker build -var-file=packer/prod.json packer/packer.json\n",
        },
        found={
            "image_name": ("ci-runner", "packer/packer.json:8"),
            "aws_region": ("ap-southeast-2", "packer/prod.json:2"),
            "image_consumers": ("222233334444, 333344445555", "packer/prod.json:3"),
            "parent_image": ("debian-13", "packer/packer.json:10"),
            "image_architectures": ([ARM], "packer/packer.json:10"),
        },
    ),
    "a-source-for-each-architecture": Shape(
        files={
            "main.pkr.hcl": "\n".join(
                _source(
                    name=name,
                    more=f'  ami_name = "agent-{name}-{{{{timestamp}}}}"\n'
                    f'  instance_type = "{instance}"\n  region = "eu-north-1"',
                    filter_=f'      architecture = "{architecture}"\n      name = '
                    f'"ubuntu/images/*ubuntu-resolute-26.04-{name}-server-*"',
                )
                for name, architecture, instance in (
                    ("amd64", "x86_64", "m7i.large"),
                    ("arm64", "arm64", "m7g.large"),
                )
            ),
        },
        found={
            "image_name": ("agent", "main.pkr.hcl:2"),
            "image_architectures": ([X86, ARM], "main.pkr.hcl:7"),
            "parent_image": ("ubuntu-26.04", "main.pkr.hcl:8"),
            "aws_region": ("eu-north-1", "main.pkr.hcl:4"),
        },
    ),
    "a-data-source": Shape(
        files={
            "data.pkr.hcl": """\
data "amazon-ami" "base" {
  filters = {
    name         = "al2023-ami-2023.*-x86_64"
    architecture = "x86_64"
  }
  owners      = ["137112412989"]
  most_recent = true
}

locals {
  parent = data.amazon-ami.base.id
}
""",
            "image.pkr.hcl": 'source "amazon-ebs" "proxy" {\n'
            '  ami_name = format("%s-%s", "proxy", formatdate("YYYY", timestamp()))\n'
            '  source_ami = local.parent\n  region = "eu-west-2"\n}\n'
            'build {\n  sources = ["source.amazon-ebs.proxy"]\n}\n',
        },
        found={
            "image_name": ("proxy", "image.pkr.hcl:2"),
            "parent_image": ("amazon-linux-2023", "data.pkr.hcl:3"),
            "image_architectures": ([X86], "data.pkr.hcl:4"),
        },
    ),
    "an-own-parent": Shape(
        files={
            "amzn2.pkr.hcl": """\
source "amazon-ebs" "base" {
  ami_name      = "CIS-AMZN2-APP-{{isotime \\"20060102\\"}}"
  instance_type = "t3.medium"
  ssh_username  = "ec2-user"
  region        = "eu-central-1"
  source_ami_filter {
    filters = {
      name = "CIS-AMZN2-2023*"
    }
    owners      = ["222233334444"]
    most_recent = true
  }
}
""",
            ".github/workflows/build.yml": "on: push\njobs:\n  build:\n"
            "    runs-on: [self-hosted, linux]\n"
            "    container: 222233334444.dkr.ecr.eu-central-1.amazonaws.com/packer-toolkit:1.4\n"
            "    steps:\n      - uses: aws-actions/configure-aws-credentials@v4\n        with:\n"
            "          role-to-assume: arn:aws:iam::222233334444:role/ci/packer\n"
            "          aws-region: eu-central-1\n      - run: packer build .\n",
            "Taskfile.yml": "version: '3'\nenv:\n  ROLE: '{{.NGUM_USER_ROLE}}'\n",
        },
        found={
            "image_name": ("amzn2-base", "the folder's name"),
            "parent_image": ("own", "amzn2.pkr.hcl:8"),
            "parent_name": ("CIS-AMZN2-2023*", "amzn2.pkr.hcl:8"),
            "parent_owner": ("222233334444", "amzn2.pkr.hcl:10"),
            "parent_os": ("amazon-linux-2", "amzn2.pkr.hcl:8"),
            "image_architectures": ([X86], "amzn2.pkr.hcl:3"),
            "github_runner": ("self-hosted, linux", ".github/workflows/build.yml:4"),
            "github_host": ("github.example.com", "git remote origin"),
            "github_organization": ("platform", "git remote origin"),
            "aws_build_role": (
                "arn:aws:iam::222233334444:role/ci/packer",
                ".github/workflows/build.yml:9",
            ),
            "aws_management_account": ("222233334444", ".github/workflows/build.yml:9"),
            "toolkit_image": (
                "222233334444.dkr.ecr.eu-central-1.amazonaws.com/packer-toolkit",
                ".github/workflows/build.yml:5",
            ),
            "personal_role_variable": ("NGUM_USER_ROLE", "Taskfile.yml:3"),
        },
        folder="packer-ami-amzn2-base",
        remote="git@github.example.com:platform/base.git",
    ),
    "everything-from-the-environment": Shape(
        files={
            "vars.pkr.hcl": 'variable "region" {\n  default = env("AWS_REGION")\n}\n'
            'variable "name" {\n  default = env("NAME")\n}\n',
            "build.pkr.hcl": _source(more='  ami_name = var.name\n  region = "${var.region}"'),
            ".github/workflows/ci.yaml": "on: push\nenv:\n  AWS_REGION: ca-central-1\njobs:\n"
            "  ami:\n    runs-on: ${{ vars.RUNNER }}\n    steps:\n      - run: packer build .\n",
        },
        found={
            "image_name": ("log-collector", "git remote upstream"),
            "aws_region": ("ca-central-1", ".github/workflows/ci.yaml:3"),
            "github_organization": ("acme", "git remote upstream"),
        },
        remote="upstream ssh://git@github.com:22/acme/log-collector",
    ),
    "shared-and-copied": Shape(
        files={
            "ami.pkr.hcl": """\
variable "accounts" {
  type    = map(string)
  default = {
    dev  = "222233334444"
    prod = "333344445555"
  }
}

source "amazon-ebs" "it" {
  ami_name     = "gateway-v${var.release}"
  region       = "us-west-2"
  ami_regions  = ["us-west-2", "us-east-1", "eu-west-1"]
  ami_users    = values(var.accounts)
  ami_org_arns = ["arn:aws:organizations::111122223333:organization/o-abcdefghij"]
  encrypt_boot = true
  region_kms_key_ids = {
    us-west-2 = "alias/ami"
  }
  launch_block_device_mappings {
    device_name = "/dev/sda1"
  }
  launch_block_device_mappings {
    device_name = "/dev/sdb"
    kms_key_id  = "alias/ami"
  }
  assume_role {
    role_arn = "arn:aws:iam::444455556666:role/builder"
  }
  source_ami_filter {
    filters = { name = "RHEL-9*_HVM-*-x86_64-*" }
    owners  = ["309956199498"]
  }
}
""",
        },
        found={
            "image_name": ("gateway-v", "ami.pkr.hcl:10"),
            "aws_region": ("us-west-2", "ami.pkr.hcl:11"),
            "aws_copy_regions": ("us-east-1, eu-west-1", "ami.pkr.hcl:12"),
            "image_consumers": (
                "222233334444, 333344445555, "
                "arn:aws:organizations::111122223333:organization/o-abcdefghij",
                "ami.pkr.hcl:13",
            ),
            "aws_kms_key": ("alias/ami", "ami.pkr.hcl:24"),
            "aws_management_account": ("444455556666", "ami.pkr.hcl:27"),
            "parent_image": ("rhel-9", "ami.pkr.hcl:30"),
        },
    ),
    "completed-in-the-build": Shape(
        files={
            "sources.pkr.hcl": _source(name="base", more='  region = "eu-west-3"\n'),
            "builds.pkr.hcl": """\
build {
  name = "all"

  source "source.amazon-ebs.base" {
    name     = "web"
    ami_name = "intranet-${formatdate("YYYYMMDD", timestamp())}"
  }

  provisioner "shell" {
    inline = [
      "echo \\"${build.ID}\\" > /etc/build",
      <<-EOT
        cat <<'EOF'
        ${upper("x")} and $${not} %%{this}
        EOF
      EOT
    ]
  }
}
""",
        },
        found={
            "image_name": ("intranet", "builds.pkr.hcl:6"),
            "aws_region": ("eu-west-3", "sources.pkr.hcl:2"),
            "parent_image": ("ubuntu-24.04", "sources.pkr.hcl:6"),
        },
    ),
    "dynamic-sources": Shape(
        files={
            "image.pkr.hcl": """\
locals {
  machines = {
    x86_64 = { type = "m6i.large", name = "debian-12-amd64-*" }
    arm64  = { type = "m6g.large", name = "debian-12-arm64-*" }
  }
}

source "amazon-ebs" "all" {
  region = "eu-south-1"
}

build {
  dynamic "source" {
    for_each = local.machines
    iterator = machine
    labels   = ["amazon-ebs.all"]
    content {
      name          = machine.key
      ami_name      = "metrics-${machine.key}-${timestamp()}"
      instance_type = machine.value.type
      source_ami_filter {
        filters = { name = machine.value["name"], architecture = machine.key }
        owners  = ["136693071363"]
      }
    }
  }
}
""",
        },
        found={
            "image_name": ("metrics", "image.pkr.hcl:19"),
            "image_architectures": ([X86, ARM], "image.pkr.hcl:22"),
            "parent_image": ("debian-12", "image.pkr.hcl:22"),
            "aws_region": ("eu-south-1", "image.pkr.hcl:9"),
        },
    ),
    "hcl-as-json": Shape(
        files={
            "image.pkr.json": """\
{
  "variable": {"region": {"type": "string", "default": "sa-east-1"}},
  "source": {
    "amazon-ebs": {
      "cache": {
        "ami_name": "cache-${timestamp()}",
        "region": "${var.region}",
        "source_ami_filter": {
          "filters": {"name": "RHEL-10*_HVM-*-arm64-*"},
          "owners": ["309956199498"]
        }
      }
    }
  },
  "build": {"sources": ["source.amazon-ebs.cache"]}
}
""",
            "values.auto.pkrvars.json": '{"region": "sa-east-1"}\n',
        },
        found={
            "image_name": ("cache", "image.pkr.json"),
            "aws_region": ("sa-east-1", "values.auto.pkrvars.json"),
            "parent_image": ("rhel-10", "image.pkr.json"),
            "image_architectures": ([ARM], "image.pkr.json"),
        },
    ),
    "several-images": Shape(
        files={
            "images/db/db.pkr.hcl": _source(more='  ami_name = "db-1"\n  region = "eu-west-1"'),
            "images/web/web.pkr.hcl": _source(more='  ami_name = "web-1"\n  region = "us-east-2"'),
            "docs/notes.md": "Ours.\n",
        },
        found={
            "image_name": ("db", "images/db/db.pkr.hcl:2"),
            "aws_region": ("eu-west-1", "images/db/db.pkr.hcl:3"),
        },
        notes=("add --packer and its name: images/web",),
    ),
    "a-surrogate": Shape(
        files={
            "surrogate.pkr.hcl": _source(
                kind="amazon-ebssurrogate",
                more='  ami_name = lower("Minimal-Debian")\n  ami_architecture = "arm64"\n'
                '  region = "eu-west-1"',
                filter_='      name = "debian-11-*"',
            ).replace("099720109477", "136693071363"),
        },
        found={
            "image_name": ("minimal-debian", "surrogate.pkr.hcl:2"),
            "image_architectures": ([ARM], "surrogate.pkr.hcl:3"),
            "parent_image": ("own", "surrogate.pkr.hcl:7"),
            "parent_name": ("debian-11-*", "surrogate.pkr.hcl:7"),
            "parent_owner": ("136693071363", "surrogate.pkr.hcl:9"),
        },
    ),
    "one-file-is-broken": Shape(
        files={
            "good.pkr.hcl": _source(more='  ami_name = "mail-${local.x}"\n  region = "eu-west-1"'),
            "broken.pkr.hcl": 'locals {\n  x = "1"\n\nsource {{\n',
            "old.json": '{"builders": [,]}\n',
            ".github/workflows/odd.yml": "jobs: [\n",
        },
        found={"image_name": ("mail", "good.pkr.hcl:2")},
        notes=(
            "broken.pkr.hcl:4 was not read",
            "old.json:1 was not read: it is not JSON",
            ".github/workflows/odd.yml:2 was not read: it is not YAML",
        ),
    ),
    "a-fixed-parent": Shape(
        files={
            "fixed.pkr.hcl": 'source "amazon-ebs" "it" {\n  ami_name = "vpn"\n'
            '  source_ami = "ami-0123456789abcdef0"\n  region = "eu-west-1"\n'
            '  instance_type = "t4g.nano"\n  ami_groups = ["all"]\n}\n',
        },
        found={
            "image_name": ("vpn", "fixed.pkr.hcl:2"),
            "image_architectures": ([ARM], "fixed.pkr.hcl:5"),
        },
        notes=(
            "the base image is ami-0123456789abcdef0 (fixed.pkr.hcl:3)",
            "the image is public",
        ),
        data={"parent_image": "rhel-9"},
    ),
    "values-that-are-refused": Shape(
        files={
            "it.pkr.hcl": 'variable "description" {\n  default = "'
            + "long " * 80
            + '"\n}\n'
            + _source(
                more='  ami_name = "Corp_App-${timestamp()}"\n  ami_description = var.description\n'
                '  region = "somewhere"\n  kms_key_id = "my key"'
            ),
        },
        found={"image_name": ("corp-app", "it.pkr.hcl:5")},
        refused=("image_description", "aws_region", "aws_kms_key"),
    ),
    "sources-that-disagree": Shape(
        files={
            "a.pkr.hcl": _source(name="a", more='  ami_name = "api-1"\n  region = "eu-west-1"'),
            "b.pkr.hcl": _source(
                name="b",
                more='  ami_name = "batch-1"\n  region = "eu-west-2"',
                filter_='      name = "something-else-*"',
            ),
        },
        found={"github_organization": ("acme", "git remote origin")},
        folder="two-images",
        remote="git@github.com:acme/two-images.git",
        notes=(
            "image_name is not the same in all sources: api (a.pkr.hcl:2), batch (b.pkr.hcl:2)",
            "aws_region is not the same in all sources",
            "the sources have several base images",
        ),
    ),
    "no-packer-at-all": Shape(
        files={
            "build-image.sh": "#!/bin/sh\naws ec2 create-image --name hand-made\n",
            "README.md": "# By hand\n",
        },
        found={"image_name": ("by-hand", "the folder's name")},
        folder="packer-ami-by-hand",
        notes=("no Packer file with a source of an AMI was found",),
    ),
    "links-binaries-and-odd-names": Shape(
        files={
            "image.pkr.hcl": _source(more='  ami_name = "kiosk"\n  region = "eu-west-1"'),
            "logo.png": bytes(range(256)),
            "inspec": "-> tests/inspec",
            "tests/inspec/controls/ours.rb": "# ours\n",
            "provisioners/ansible": "a file where the template has a folder\n",
            "scripts/größe messen.sh": "#!/bin/sh\necho ours\n",
            ".gitignore": "*.log\n/provisioners/shell/\n",
            ".editorconfig": b"root = true\r\n",
        },
        found={"image_name": ("kiosk", "image.pkr.hcl:2")},
        folder="Our Küche 2",
    ),
    "in-circles": Shape(
        files={
            "it.pkr.hcl": "locals {\n  a = local.b\n  b = local.a\n  c = local.c.d[0]\n}\n"
            'variable "v" {\n  default = "${var.v}"\n}\n'
            + _source(
                more="  ami_name = local.a\n  ami_description = local.c\n  ami_users = var.v\n"
                '  region = true ? "eu-west-1" : local.b'
            ),
        },
        found={
            "aws_region": ("eu-west-1", "it.pkr.hcl:13"),
            "image_name": ("loop", "the folder's name"),
        },
        folder="loop",
    ),
}
