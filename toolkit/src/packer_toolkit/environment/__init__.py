"""The machine and the image that builds run in."""
