"""Fixtures for tests that run Terraform; tests/conftest.py loads them."""

from __future__ import annotations

import pytest

from rig.terraform.programs import NAMES, Terraform, find_terraform


@pytest.fixture(scope="session", params=NAMES)
def terraform(request: pytest.FixtureRequest) -> Terraform:
    """Return Terraform, and in a second run of the test OpenTofu, with the AWS provider."""
    return find_terraform(request.param)
