"""A stand-in of GitHub's REST API on loopback; README.md says what is real and what is not."""

from rig.github.server import Fault, GitHub, Request
from rig.github.state import Repository

__all__ = ["Fault", "GitHub", "Repository", "Request"]
