"""Projects and releases without Copier: git repositories, and a render that copies given files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from packer_toolkit.repository.answers_file import DEFAULT as ANSWERS_FILE
from packer_toolkit.template.project import Project
from packer_toolkit.template.render import RenderOptions, RenderSteps
from packer_toolkit.template.update import plan_update
from packer_toolkit.template.update_plan import UpdatePlan, UpdateRequest
from rig.repositories.template import git

Files = Mapping[str, str | bytes]
"""The content of files by path; a string that begins with -> is a link."""

QUESTIONS = "image_name: web\nparent_image: debian-12\ntoolkit_image: example.com/toolkit\n"
OLD: Files = {
    "build.hcl": "one\ntwo\nthree\nfour\nfive\n",
    "run.sh": "#!/bin/sh\necho run\n",
    "scripts/first.sh": "echo first\n",
    "old-name.txt": "".join(f"line {number}\n" for number in range(20)),
    "gone.txt": "gone\n",
    "logo.bin": b"\0\1",
}
NEW: Files = {
    "build.hcl": "one\ntwo\nTHREE\nfour\nfive\n",
    "run.sh": "#!/bin/sh\necho run\necho more\n",
    "scripts/first.sh": "echo first\n",
    "lib/added.txt": "added\n",
    "new-name.txt": "".join(f"line {number}\n" for number in range(21)),
    "logo.bin": b"\0\2",
}


def write_answers(release: str, more: str = "") -> str:
    """Return the text of an answers file."""
    return f"_commit: {release}\n_src_path: https://git.example/acme/t.git\n{QUESTIONS}{more}"


def write_files(folder: Path, files: Files) -> None:
    """Write files and links below a folder."""
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if isinstance(content, bytes):
            place.write_bytes(content)
        elif content.startswith("->"):
            place.symlink_to(content.removeprefix("->"))
        else:
            place.write_text(content)


def commit_all(folder: Path) -> None:
    """Commit everything in a repository."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "Change")


def create_project(folder: Path, files: Files = OLD, answers: str = "") -> Project:
    """Create a committed repository at release v1.0.0.

    Args:
        folder: Where it goes; the repository may be a folder above.
        files: Its files.
        answers: Further lines of its answers file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inside = ["git", "-C", str(folder), "rev-parse", "--git-dir"]
    if subprocess.run(inside, capture_output=True, check=False).returncode:
        git(folder, "init", "--quiet", "--template=", "-b", "main")
    write_files(folder, {**files, ANSWERS_FILE: write_answers("v1.0.0", answers)})
    commit_all(folder)
    return Project.read(folder)


@contextmanager
def plan(
    project: Project,
    old: Files = OLD,
    new: Files = NEW,
    answers: str = "",
    migrate: Callable[[Path, str], None] | None = None,
) -> Iterator[UpdatePlan]:
    """Compute an update to v1.1.0 with a render that writes given files.

    Args:
        project: The repository.
        old: The files of its release.
        new: The files of the new release.
        answers: Further lines of the new answers file.
        migrate: A migration: called with the copy's folder, and "before" or "after".
    """

    def render(
        folder: Path, steps: RenderSteps, options: RenderOptions, env: Mapping[str, str]
    ) -> None:
        assert env["HOME"] != str(Path.home())
        write_files(steps.old, {**old, ANSWERS_FILE: write_answers(options.present)})
        if migrate:
            migrate(folder, "before")
            steps.migrations += 1
        write_files(steps.new, {**new, ANSWERS_FILE: write_answers(options.release, answers)})
        steps.merge()
        if migrate:
            migrate(folder, "after")
            steps.migrations += 1

    with plan_update(project, "v1.1.0", UpdateRequest(), project.folder, render) as computed:
        yield computed
