"""Checks of a pull request, and formatting."""
