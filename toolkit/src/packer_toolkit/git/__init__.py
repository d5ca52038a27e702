"""The git command, and addresses of repositories."""
