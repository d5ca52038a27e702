"""Use GitHub: its REST API, its OIDC tokens, and the files and commands of its runner."""
