"""The files at the root name what exists, and agree with each other."""

from __future__ import annotations

import re
import sys

import pytest

from rig.repositories.template import ROOT, git

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest depends on it there

PAGES = ["CONTRIBUTING.md", "README.md", "SECURITY.md"]


def read_code_owners() -> list[list[str]]:
    """Return the blocks of CODEOWNERS, each as its lines."""
    text = (ROOT / ".github" / "CODEOWNERS").read_text()
    return [block.splitlines() for block in text.split("\n\n")]


def test_every_path_of_code_owners_exists() -> None:
    """Each pattern matches a file, so that no review is lost when a folder is renamed."""
    patterns = [line.split()[0] for block in read_code_owners() for line in block if line[0] != "#"]
    assert patterns[0] == "*"
    files = git(ROOT, "ls-files").splitlines()
    for pattern in patterns[1:]:
        regex = re.escape(pattern[1:]).replace(r"\*", "[^/]*") + ("" if pattern[-1] == "/" else "$")
        assert [name for name in files if re.match(regex, name)], pattern


def test_every_block_of_code_owners_says_why() -> None:
    """Each block begins with a comment, and each line of it names an owner."""
    _, *blocks = read_code_owners()
    assert blocks
    for first, *lines in blocks:
        assert first.startswith("# ")
        assert lines
        assert [line for line in lines if not re.fullmatch(r"\S+( +@\S+/\S+)+", line)] == []


def test_license_is_the_same_everywhere() -> None:
    """LICENSE has the text that both projects declare."""
    assert re.match(r"\s+Apache License\s+Version 2\.0, ", (ROOT / "LICENSE").read_text())
    for file in ("pyproject.toml", "toolkit/pyproject.toml"):
        assert tomllib.loads((ROOT / file).read_text())["project"]["license"] == "Apache-2.0"


@pytest.mark.parametrize("page", PAGES)
def test_links_of_root_pages_lead_to_files(page: str) -> None:
    """Each relative link names a file or a folder that exists."""
    targets = re.findall(r"\]\(([^)\s#]+)[^)]*\)", (ROOT / page).read_text())
    assert targets
    missing = [name for name in targets if "://" not in name and not (ROOT / name).exists()]
    assert missing == []
