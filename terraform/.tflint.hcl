# Rules for all modules and for the example: tflint --recursive --config=$PWD/terraform/.tflint.hcl --chdir=terraform
# TFLINT_PLUGIN_DIR names the folder with tflint-ruleset-aws.

plugin "terraform" {
  enabled = true
  preset  = "all"
}

plugin "aws" {
  enabled = true
}
