"""The template as one job reads it, with a token, for the next job, which renders it without."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git, GitError
from packer_toolkit.template import job_files as hand_over
from packer_toolkit.template.project import Project
from packer_toolkit.template.source import parse_version

WHAT = "the template that was handed over"
_BUNDLE, _RELEASE = "template.bundle", "release.json"
# Directories and files of this template that neither renders nor migrations read.
_NOT_RENDERED = (".ci", ".github", "bench", "docs", "examples", "tests", "toolkit", "uv.lock")
_IN_SUBDIRECTORY = re.compile(rb"^_subdirectory:\s*(['\"]?)template\1\s*$", re.MULTILINE)
_AUTHOR = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (
        ("NAME", "packer-toolkit"),
        ("EMAIL", "packer-toolkit@invalid"),
        ("DATE", "2026-01-01T00:00:00Z"),
    )
}


def pack_template(project: Project, clone: Path, release: str) -> str:
    """Return what rendering an update needs, as one line.

    That is a git bundle of the two releases, without their history and without what is not
    rendered, and the toolkit of the release that the project is at, for a job that cannot pull the
    toolkit's image.

    Args:
        project: the repository.
        clone: a clone of the template; its tags are changed.
        release: the tag to update to.

    Raises:
        SetupError: when the recorded release is not in the template.
    """
    git = Git.of_repository(clone, **_AUTHOR)
    refs = {}
    try:
        toolkit = _files(git, project.release, "toolkit")
        index = clone.with_name("index")
        refs[f"refs/tags/{release}"] = _lone_commit(git, release, index)
        # What is recorded may be another name of that commit.
        recorded = str(project.answers["_commit"])
        refs[f"refs/tags/{project.release}"] = _lone_commit(git, recorded, index)
        for ref, commit in refs.items():
            git.text("update-ref", ref, commit)
        # The objects are compressed afterwards, all together.
        bundle = git.raw("-c", "pack.compression=0", "bundle", "create", "--quiet", "-", *refs)
    except GitError as error:
        raise SetupError(
            f"the template cannot be handed over: {error.reason}; it must have {project.release}, "
            f"which {project.folder} names as its release, and {release}"
        ) from None
    named = json.dumps({"release": release, "present": project.release}).encode()
    return hand_over.pack({_RELEASE: named, _BUNDLE: bundle, **toolkit})


def _lone_commit(git: Git, name: str, index: Path) -> str:
    """Return a commit without parents, of those files of a release that renders read."""
    commit = git.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    at = git.with_env(GIT_INDEX_FILE=str(index))
    at.text("read-tree", commit)
    if _IN_SUBDIRECTORY.search(git.run("cat-file", "blob", f"{commit}:copier.yml").stdout):
        paths = (f":(top,literal){path}" for path in _NOT_RENDERED)
        at.text("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "--", *paths)
    return git.text("commit-tree", "-m", f"Release {name}", at.text("write-tree"))


def _files(git: Git, name: str, folder: str) -> dict[str, bytes]:
    """Return the files of a folder of a release; empty when it has none."""
    if git.run("cat-file", "-e", f"{name}:{folder}").returncode:
        return {}
    raw = git.raw("archive", "--format=tar", name, folder)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return {
            entry.name: stream.read()
            for entry in archive
            if entry.isfile() and (stream := archive.extractfile(entry))
        }


def read_template(file: str, folder: Path) -> tuple[str, str]:
    """Make the repository of a line that `pack_template` returned.

    Args:
        file: it holds the line; `-` is standard input.
        folder: where the repository goes; its parent exists.

    Returns:
        The tag to update to, and the release that the project is at.

    Raises:
        SetupError: when the file holds something else.
    """
    files = hand_over.unpack(hand_over.read(file, WHAT), WHAT)
    try:
        named = json.loads(files[_RELEASE])
        release, present = str(named["release"]), str(named["present"])
        bundle = folder.with_name(_BUNDLE)
        bundle.write_bytes(files[_BUNDLE])
        clone = ("clone", "--quiet", "--bare", "--template=", "--", str(bundle), str(folder))
        Git.at(folder.parent).text(*clone)
    except (KeyError, TypeError, ValueError, GitError) as error:
        raise SetupError(
            f"{WHAT} is not valid ({error}); start a new run of the workflow"
        ) from None
    if parse_version(release) is None:
        raise SetupError(
            f"{WHAT} names {release!r} as its release, which is not a version; "
            "start a new run of the workflow"
        )
    return release, present
