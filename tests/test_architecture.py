"""docs/architecture.md describes the rooms that exist."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
PAGE = (CHECKOUT / "docs" / "architecture.md").read_text()
PACKAGE = CHECKOUT / "toolkit" / "src" / "packer_toolkit"


def test_every_module_of_the_page_exists() -> None:
    """A module, folder or file that the page names is where the page says."""
    names = re.findall(r"`([\w./-]+(?:\.py|/))`", PAGE)
    assert len(names) > 30
    outside = {"tests/", "template/", "hooks/", "toolkit/", "docs/", "bench/", "includes/"}
    for name in names:
        in_package = PACKAGE / name
        in_checkout = CHECKOUT / name
        assert in_package.exists() or in_checkout.exists() or name in outside, name


def test_every_room_has_a_paragraph() -> None:
    """A newcomer finds each folder and module of the package on the page."""
    rooms = {
        path.stem
        for path in PACKAGE.iterdir()
        if not path.name.startswith("__")
        and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    described = set(re.findall(r"\*\*(\w+)\*\*", PAGE))
    assert rooms == described
