"""The git command, and addresses of Git repositories."""
