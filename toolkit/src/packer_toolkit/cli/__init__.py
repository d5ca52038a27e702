"""The command line: one module for each command, grouped as the commands are."""
