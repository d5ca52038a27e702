"""Fixtures for tests that run the toolkit as a job of a workflow does."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.github import GitHub, Repository
from rig.repositories.build_reports import REPOSITORY, SHA
from rig.run.toolkit_process import Toolkit


@pytest.fixture
def hub(github: GitHub) -> Repository:
    """Return the repository on the stand-in of GitHub."""
    return github.repository(REPOSITORY)


@pytest.fixture(params=["url", "enterprise_url"])
def api_url(request: pytest.FixtureRequest, github: GitHub) -> str:
    """Return the address of the API, for each form of it."""
    return str(getattr(github, request.param))


@pytest.fixture
def toolkit(github: GitHub, tmp_path: Path) -> Toolkit:
    """Return the toolkit in an empty folder, as a daily build's job calls it."""
    return Toolkit(
        tmp_path,
        {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_REF_TYPE": "branch",
            "GITHUB_RUN_ID": "77",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_SHA": SHA,
            "GITHUB_TOKEN": "ghs_0123456789abcdefghij0123456789abcdef",
        },
    )
