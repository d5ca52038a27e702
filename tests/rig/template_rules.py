"""includes/rules.jinja as Copier loads it: its macros are functions here, its tables attributes."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from rig.template import ROOT


@cache
def rules() -> Any:
    """Return the rules, with Copier's filters; what reads Copier's context cannot be called."""
    environment = SandboxedEnvironment(
        autoescape=False,
        loader=jinja2.FileSystemLoader(ROOT),
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("includes/rules.jinja").module
