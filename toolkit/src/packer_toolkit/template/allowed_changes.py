"""Refuse updates that write anything but files and links of the repository."""

from __future__ import annotations

import posixpath
import re

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git
from packer_toolkit.template.trees import SUBMODULE, Entry, Tree
from packer_toolkit.text.paths import show_path

_LINK = "120000"
_MODES = {"100644": "file", "100755": "executable file", _LINK: "link"}
# File systems of macOS and Windows have more names for .git than one: ignored characters, short
# names, trailing dots and spaces, streams.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_GIT = re.compile(r"(\.git|git~[0-9]+)[ .]*(:.*)?", re.IGNORECASE | re.DOTALL)
_MANY_FILES, _LARGE_FILE, _LARGE_UPDATE = 2_000, 5 * 1024 * 1024, 20 * 1024 * 1024
_LONG_PATH = 1_000


def require_harmless(git: Git, before: Tree, after: Tree, below: str = "") -> None:
    """Make sure that an update writes nothing but files and links of the repository.

    Args:
        git: Git in a repository that has all objects.
        before: The files before the update.
        after: The files after it.
        below: The only folder whose files it may change, ending in a slash; empty for all.

    Raises:
        SetupError: It does; the message names the first such file.
    """
    changed = {
        path: after.get(path)
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    }
    if len(changed) > _MANY_FILES:
        _refuse("the update", f"it changes {len(changed)} files, more than {_MANY_FILES}")
    replaced = [before[path] for path in changed if path in before]
    sizes = _read_sizes(git, [entry.oid for entry in (*replaced, *changed.values()) if entry])
    # A release that renames or edits a file carries over what the team has in it: a link that
    # leads out of the repository, or megabytes. Only what is added to that is the release's.
    replaced_sizes = [sizes[entry.oid] for entry in replaced]
    largest, total = max(replaced_sizes, default=0), -sum(replaced_sizes)
    own_links = {entry.oid for entry in replaced if entry.mode == _LINK}
    for path, entry in changed.items():
        reason = _explain_refused_path(path, before.get(path), entry, below)
        if entry and not reason:
            total += sizes[entry.oid]
            reason = _explain_refused_size(sizes[entry.oid], total, largest)
            if not reason and entry.mode == _LINK and entry.oid not in own_links:
                reason = _explain_refused_link(path, git.raw("cat-file", "blob", entry.oid))
        if reason:
            _refuse(show_path(path), reason)


def _read_sizes(git: Git, oids: list[str]) -> dict[str, int]:
    """Return the size of each blob in bytes; 0 for what is not in the repository."""
    lines = "".join(f"{oid}\n" for oid in oids).encode()
    answer = git.text("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=lines)
    pairs = (line.split() for line in answer.splitlines())
    return {oid: int(size) if size.isdigit() else 0 for oid, size in pairs}


def _refuse(what: str, reason: str) -> None:
    raise SetupError(
        f"the release is refused because of {what}: {reason}; nothing was changed here; "
        "report it to the maintainers of the template"
    )


def _explain_refused_path(path: str, old: Entry | None, entry: Entry | None, below: str) -> str:
    """Return why a path may not be changed; empty when it may."""
    parts = path.split("/")
    if not path.startswith(below) or {"", ".", ".."} & {*parts}:
        return "it is outside of the repository's folder"
    if len(path) > _LONG_PATH or "\0" in path:
        return "its name is not a valid file name"
    if any(_GIT.fullmatch(_IGNORED.sub("", part)) for part in parts):
        return "it is in git's own directory"
    if parts[-1] == ".gitmodules":
        return "it declares submodules"
    if SUBMODULE in (old.mode if old else "", entry.mode if entry else ""):
        return "it is a submodule"
    if entry and entry.mode not in _MODES:
        return f"its mode is {entry.mode}; it must be one of {', '.join(_MODES)}"
    return ""


def _explain_refused_size(size: int, total: int, largest: int) -> str:
    """Return why a file may not have its size; empty when it may.

    Args:
        size: Size of the file in bytes.
        total: Number of bytes by which the update enlarges the repository, with this file.
        largest: Size of the largest file that the update replaces, in bytes.
    """
    if size > largest + _LARGE_FILE:
        return f"it has {size} bytes, over {_LARGE_FILE} more than any file that it replaces"
    if total > _LARGE_UPDATE:
        return f"with it the update adds more than {_LARGE_UPDATE} bytes"
    return ""


def _explain_refused_link(path: str, target: bytes) -> str:
    """Return why a link may not lead where it does; empty when it may."""
    text = target.decode(errors="surrogateescape")
    place = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
    first = place.split("/")[0]
    if not text or "\0" in text or text.startswith("/") or "\\" in text or first == "..":
        return f"it is a link that leads out of the repository, to {show_path(text)}"
    if any(_GIT.fullmatch(_IGNORED.sub("", part)) for part in place.split("/")):
        return f"it is a link into git's own directory, to {show_path(text)}"
    return ""
