"""What the tests of renders share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from jinja2.sandbox import SandboxedEnvironment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def questions() -> Mapping[str, Mapping[str, Any]]:
    """Return the questions of copier.yml by name."""
    loaded = yaml.safe_load((ROOT / "copier.yml").read_text())
    return {name: spec for name, spec in loaded.items() if not name.startswith("_")}


@pytest.fixture(scope="session")
def jinja() -> SandboxedEnvironment:
    """Return an environment as Copier makes it, for what is asked hundreds of times.

    That it renders as Copier does is tested in test_hostile_texts.py.
    """
    return SandboxedEnvironment(
        loader=jinja2.FileSystemLoader(ROOT),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
    )
