# The role of build instances that are reached through Session Manager.

data "aws_iam_policy_document" "build_instance_trust" {
  count = var.session_manager ? 1 : 0

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "build_instance" {
  count = var.session_manager ? 1 : 0

  name                 = "packer-ami-build-instance"
  description          = "Build instances of packer-ami repositories, reached through Session Manager"
  path                 = var.role_path
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy   = data.aws_iam_policy_document.build_instance_trust[0].json
  tags                 = var.tags
}

resource "aws_iam_role_policy_attachment" "build_instance" {
  count = var.session_manager ? 1 : 0

  role       = aws_iam_role.build_instance[0].name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "build_instance" {
  count = var.session_manager ? 1 : 0

  name = "packer-ami-build-instance"
  path = var.role_path
  role = aws_iam_role.build_instance[0].name
  tags = var.tags
}
