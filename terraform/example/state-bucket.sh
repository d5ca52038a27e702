#!/usr/bin/env bash
# Prints the name of the bucket for Terraform's state in the account of the current credentials, and creates the bucket
# if it does not exist: private, versioned, encrypted, and for TLS only.
#
# Usage: terraform init -backend-config="bucket=$(PATH_TO/state-bucket.sh REGION)"
set -o errexit -o nounset -o pipefail

region="${1:?usage: state-bucket.sh REGION}"
account=$(aws sts get-caller-identity --query Account --output text)
bucket="packer-ami-terraform-state-${account}-${region}"

if ! aws s3api head-bucket --bucket "${bucket}" --region "${region}" >/dev/null 2>&1; then
  location=(--create-bucket-configuration "LocationConstraint=${region}")
  # S3 refuses a location constraint in this region only.
  if [[ "${region}" == us-east-1 ]]; then
    location=()
  fi
  aws s3api create-bucket --bucket "${bucket}" --region "${region}" ${location[@]+"${location[@]}"} >/dev/null
fi

# Also for an existing bucket, whose creation may have been interrupted.
aws s3api put-public-access-block --bucket "${bucket}" --region "${region}" --public-access-block-configuration \
  'BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true'
aws s3api put-bucket-versioning --bucket "${bucket}" --region "${region}" --versioning-configuration 'Status=Enabled'
aws s3api put-bucket-policy --bucket "${bucket}" --region "${region}" --policy '{
  "Version": "2012-10-17",
  "Statement": [{
    "Sid": "TlsOnly",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::'"${bucket}"'", "arn:aws:s3:::'"${bucket}"'/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}}
  }]
}'
printf '%s\n' "${bucket}"
