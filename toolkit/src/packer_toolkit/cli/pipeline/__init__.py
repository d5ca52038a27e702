"""Commands that a workflow runs before and after a build."""
