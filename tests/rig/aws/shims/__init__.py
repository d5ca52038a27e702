"""Where moto says less than EC2, or something else: one named shim for each gap.

Written against moto 5.2.5, the newest release.  A shim is a function that takes the rig and
changes moto; its docstring tells what moto does, then what EC2 does and where that is documented.
Each has a test in test_shims.py.
"""

from __future__ import annotations

from rig.aws.shims import (
    images,
    keys,
    launch,
    network,
    ram,
    recycle_bin,
    settings,
    sharing,
)
from rig.aws.shims._registry import SHIMS, Rig, all_backends, install, rig, uninstall

__all__ = [
    "SHIMS",
    "Rig",
    "all_backends",
    "images",
    "install",
    "keys",
    "launch",
    "network",
    "ram",
    "recycle_bin",
    "rig",
    "settings",
    "sharing",
    "uninstall",
]
