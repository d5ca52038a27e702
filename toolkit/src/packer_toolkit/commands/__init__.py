"""The commands: each module has one `command`, named as on the command line."""
