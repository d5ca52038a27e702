"""Checks of rendered repositories."""
