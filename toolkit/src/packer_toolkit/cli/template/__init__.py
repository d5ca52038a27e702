"""Commands for the relation of a repository to the template."""
