"""Evaluates IAM policies, and the calls that the rig recorded as IAM would see them."""
