"""The template's macros without the rest of Copier, for what is asked hundreds of times."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from rig.repositories.template import ROOT


@cache
def environment() -> SandboxedEnvironment:
    """Return Jinja as Copier sets it up; paths of templates begin at the checkout.

    That it renders as Copier does is tested in tests/rendered/test_hostile_texts.py.
    """
    return SandboxedEnvironment(
        autoescape=False,
        keep_trailing_newline=True,
        loader=jinja2.FileSystemLoader(ROOT),
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
        undefined=jinja2.StrictUndefined,
    )


@cache
def macros(name: str) -> Any:
    """Return a file of includes/: its macros are functions here, its tables attributes.

    What reads Copier's context cannot be called.
    """
    return environment().get_template(f"includes/{name}.jinja").module


def rules() -> Any:
    """Return includes/rules.jinja."""
    return macros("rules")
