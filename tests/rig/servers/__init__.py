"""Servers on loopback: Galaxy, a web server, and one that never answers."""
