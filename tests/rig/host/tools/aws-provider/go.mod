module template-packer-ami/tests/rig/host/tools/aws-provider

go 1.25.7

require github.com/hashicorp/terraform-provider-aws v0.0.0

// Version 6.34.0.  The provider's own releases are not Go modules; this fork contains the same source.
// rig.terraform.provider compiles a part of it, with the provider's own go.mod and go.sum.
replace github.com/hashicorp/terraform-provider-aws => github.com/upbound/terraform-provider-aws v0.0.0-20260305123303-f7691456b787
