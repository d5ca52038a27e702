# This configuration has no variables: env/project.yaml contains what differs from team to team.
