"""Stand-ins and tools that the tests run on; tests/rig/README.md says what is real."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
STANDINS = Path(__file__).resolve().parent / "standins"
