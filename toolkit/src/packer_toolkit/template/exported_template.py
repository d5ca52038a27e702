"""Pass the template from the job that reads it with a token to the job that renders it."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git, GitError
from packer_toolkit.template.job_files import pack_files, read_line, unpack_files
from packer_toolkit.template.project import Project
from packer_toolkit.template.source import parse_version

WHAT = "the exported template"
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
    """Pack what a render of an update needs into one line.

    That is a git bundle of the two releases, without their history and without what is not
    rendered, and the toolkit of the release that the project is at, for a job that cannot pull the
    toolkit's image.

    Args:
        project: The repository.
        clone: A clone of the template; its tags are changed.
        release: The tag to update to.

    Raises:
        SetupError: The recorded release is not in the template.
    """
    git = Git.open_repository(clone, **_AUTHOR)
    refs = {}
    try:
        toolkit = _read_folder(git, project.release, "toolkit")
        index = clone.with_name("index")
        refs[f"refs/tags/{release}"] = _create_commit(git, release, index)
        # What is recorded may be another name of that commit.
        recorded = str(project.answers["_commit"])
        refs[f"refs/tags/{project.release}"] = _create_commit(git, recorded, index)
        for ref, commit in refs.items():
            git.text("update-ref", ref, commit)
        # `pack_files` compresses the objects, all of them together.
        bundle = git.raw("-c", "pack.compression=0", "bundle", "create", "--quiet", "-", *refs)
    except GitError as error:
        raise SetupError(
            f"the template cannot be exported: {error.reason}; it must have {project.release}, "
            f"which {project.folder} names as its release, and {release}"
        ) from None
    named = json.dumps({"release": release, "present": project.release}).encode()
    return pack_files({_RELEASE: named, _BUNDLE: bundle, **toolkit})


def _create_commit(git: Git, name: str, index: Path) -> str:
    """Create a commit without parents, of those files of a release that renders read."""
    commit = git.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    with_index = git.with_env(GIT_INDEX_FILE=str(index))
    with_index.text("read-tree", commit)
    if _IN_SUBDIRECTORY.search(git.run("cat-file", "blob", f"{commit}:copier.yml").stdout):
        paths = (f":(top,literal){path}" for path in _NOT_RENDERED)
        with_index.text("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "--", *paths)
    return git.text("commit-tree", "-m", f"Release {name}", with_index.text("write-tree"))


def _read_folder(git: Git, name: str, folder: str) -> dict[str, bytes]:
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
    """Create the repository from a line that `pack_template` returned.

    Args:
        file: The file with the line; `-` is standard input.
        folder: Where the repository goes; its parent exists.

    Returns:
        The tag to update to, and the release that the project is at.

    Raises:
        SetupError: The file contains something else.
    """
    files = unpack_files(read_line(file, WHAT), WHAT)
    try:
        named = json.loads(files[_RELEASE])
        release, present = str(named["release"]), str(named["present"])
        if parse_version(release) is None:
            raise ValueError(f"its release {release!r} is not a version")
        bundle = folder.with_name(_BUNDLE)
        bundle.write_bytes(files[_BUNDLE])
        clone = ("clone", "--quiet", "--bare", "--template=", "--", str(bundle), str(folder))
        Git(folder.parent).text(*clone)
    except (KeyError, TypeError, ValueError, GitError) as error:
        raise SetupError(
            f"{WHAT} is not valid ({error}); start a new run of the workflow"
        ) from None
    return release, present
