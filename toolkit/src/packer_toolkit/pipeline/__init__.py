"""What a workflow does before and after a build."""
