"""Examples, documentation, workflows and tests name no real organization or host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from rig.repositories.template import ROOT, git

# RFC 2606 and RFC 6761; AWS's own example accounts; services that the product uses.
RESERVED = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org|eu))?|invalid|test|localhost)$", re.I)
HOST = re.compile(
    r"\b(?:github|ghe|git|gitlab|harbor|registry|artifactory|nexus)"
    r"(?:\.[a-z0-9-]+)*\.(?:com|net|org|io|de|eu|cloud|corp|internal|example)\b",
    re.I,
)
PUBLIC = {"github.com", "gitlab.com", "ghe.com", "github.io"}
ACCOUNTS = re.compile(r"(\d)\1{3}(\d)\2{3}(\d)\3{3}")


def text_files() -> list[str]:
    """Return the tracked files that people read or copy."""
    names = git(ROOT, "ls-files").splitlines()
    return [name for name in names if not name.endswith(("uv.lock", "go.sum", "go.mod", ".asc"))]


def test_hosts_of_organizations_are_invented() -> None:
    """Every Git host and registry is public or of a reserved domain (review R24)."""
    real = set()
    for name in text_files():
        path = ROOT / name
        if path.is_symlink() or not path.is_file():
            continue
        for host in HOST.findall(path.read_text(errors="replace")):
            if host.lower() not in PUBLIC and not RESERVED.search(host):
                real.add(f"{name}: {host}")
    assert real == set()


@pytest.mark.parametrize("file", sorted((ROOT / "examples").iterdir()), ids=lambda file: file.name)
def test_examples_are_of_an_invented_organization(file: Path) -> None:
    """Accounts are AWS's example accounts and hosts are reserved (review R24)."""
    answers = yaml.safe_load(file.read_text())
    for question, value in answers.items():
        for account in re.findall(r"\b\d{12}\b", str(value)):
            assert ACCOUNTS.fullmatch(account), (question, account)
    host = answers.get("github_host", "github.com")
    assert host in PUBLIC or RESERVED.search(host)
