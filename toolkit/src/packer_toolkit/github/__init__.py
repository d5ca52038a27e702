"""GitHub: its REST API, and the files and commands of its runner."""
