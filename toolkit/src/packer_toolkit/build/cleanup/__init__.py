"""Delete what a build left in the AWS account."""
