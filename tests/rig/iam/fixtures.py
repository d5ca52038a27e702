"""Fixtures for proofs about the roles of Terraform; tests/conftest.py loads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from rig.aws.rig import Call
from rig.iam.proof import find_refused
from rig.iam.roles import PlannedRoles, plan_roles
from rig.terraform.programs import find_terraform

# Takes the image, the name of its role, and recorded calls.
RequireAllowed = Callable[[str, str, Iterable[Call]], None]


@pytest.fixture(scope="session")
def planned_roles(tmp_path_factory: pytest.TempPathFactory) -> PlannedRoles:
    """Return the policies of the roles that the modules create."""
    return plan_roles(find_terraform("terraform"), tmp_path_factory.mktemp("roles"))


@pytest.fixture
def require_allowed(request: pytest.FixtureRequest) -> RequireAllowed:
    """Return a function that demands that a role may make recorded calls.

    A test calls it last: without Terraform, the test is skipped there, after its other assertions.
    """

    def check(image: str, role: str, calls: Iterable[Call]) -> None:
        planned: PlannedRoles = request.getfixturevalue("planned_roles")
        refused = find_refused([planned.permissions[image, role]], calls)
        assert refused == [], "\n".join(refused)

    return check
