"""The fixture of tests that need GitHub; tests/conftest.py loads it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig.github.server import GitHub


@pytest.fixture
def github() -> Iterator[GitHub]:
    """Return a GitHub without repositories."""
    with GitHub() as server:
        yield server
