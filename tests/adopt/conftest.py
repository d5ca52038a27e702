"""The template with two releases, and repositories to adopt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from shapes import NEW_FILE, SHAPES

from rig.repositories.template import git, release, snapshot


@pytest.fixture(scope="session")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template whose v1.1.0 changes each file of v1.0.0, and adds one."""
    template = snapshot(tmp_path_factory.mktemp("adopt") / "template-packer-ami")
    for path in sorted((template / "template").rglob("*")):
        if path.suffix in {".hcl", ".sh", ".rb", ".yml", ".md", ".cfg"} or path.name in {
            ".editorconfig",
            ".gitattributes",
            ".gitignore",
            "README.md.jinja",
        }:
            text = path.read_text()
            path.write_text(f"# learnt in v1.1.0\n{text}# learnt in v1.1.0, too\n")
    (template / "template" / NEW_FILE).write_text("#!/usr/bin/env bash\necho new\n")
    release(template, "v1.1.0")
    return template


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes one of the shapes, committed."""

    def make_one(name: str) -> Path:
        shape = SHAPES[name]
        folder = tmp_path / shape.folder
        for path, content in shape.files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                file.write_bytes(content)
            elif content.startswith("-> "):
                file.symlink_to(content.removeprefix("-> "))
            else:
                file.write_text(content)
                if content.startswith("#!"):
                    file.chmod(0o755)
        git(tmp_path, "init", "--quiet", "-b", "main", str(folder))
        if shape.remote:
            remote, _, url = shape.remote.rpartition(" ")
            git(folder, "remote", "add", remote or "origin", url)
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "-m", "By hand")
        return folder

    return make_one
