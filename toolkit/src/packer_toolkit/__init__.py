"""Builds, checks and reports on a packer-ami repository."""
