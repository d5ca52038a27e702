"""Change single files without losing a byte, whatever other programs do meanwhile.

To compare a file before it is replaced is not enough: an editor may save between the two.  So a
file is first moved aside as it is, with one system call, and compared afterwards; and a file is
created only where no other one is.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import sys
from pathlib import Path

# https://man7.org/linux/man-pages/man2/rename.2.html
_NOREPLACE, _EXCHANGE = 1, 2
_NOT_SUPPORTED = {
    errno.EINVAL, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM,
    errno.EXDEV,
}  # fmt: skip


def describe_file(place: Path) -> str:
    """Describe what is at a path by its type, mode and content, never by its times or size.

    Returns:
        For a file its mode and the digest of its bytes, for a link "link" and its target; else
        "folder", "other" or "unreadable"; empty where nothing is.
    """
    try:
        mode = place.lstat().st_mode
        if stat.S_ISLNK(mode):
            return f"link {os.fsdecode(place.readlink())}"
        if stat.S_ISREG(mode):
            return f"{stat.S_IMODE(mode):o} {hashlib.sha256(place.read_bytes()).hexdigest()}"
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except PermissionError:
        return "unreadable"
    except OSError as error:
        # It became something else between the two system calls.
        if error.errno not in (errno.EINVAL, errno.EISDIR):
            raise
        return "other"
    return "folder" if stat.S_ISDIR(mode) else "other"


def has_content(description: str, wanted: str | None) -> bool:
    """Check whether two descriptions have the same content, whatever the modes are."""
    if wanted is None or not description:
        return False
    # Release 1.0.0 recorded the digest alone.
    return description == wanted or (
        not description.startswith("link ")
        and description.rpartition(" ")[2] == wanted.rpartition(" ")[2]
    )


def exists(place: Path) -> bool:
    """Check whether anything is at a path, a link without a target included."""
    return os.path.lexists(place)


def find_blocking_file(root: Path, path: str) -> Path | None:
    """Return the file or link that is where a path needs a folder, if there is one.

    Args:
        root: The folder that the path is below.
        path: The path.
    """
    for above in reversed(list((root / path).parents)[: path.count("/")]):
        if above.is_symlink() or (exists(above) and not above.is_dir()):
            return above
    return None


def choose_copy(folder: Path, path: str) -> Path:
    """Return where a copy of a file goes below a folder, and create the folders that it needs."""
    copy, number = folder / path, 1
    while exists(copy) or find_blocking_file(folder, copy.relative_to(folder).as_posix()):
        number += 1
        copy = folder / str(number) / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    return copy


def move_aside(place: Path, aside: Path, replacement: Path | None = None) -> None:
    """Move a file aside as it is, and put another one in its place.

    Args:
        place: The file.
        aside: Where it goes; on the same file system, and nothing is there.
        replacement: The other file, on the same file system.

    Raises:
        FileExistsError: Another program has created a file there meanwhile.
        OSError: The file cannot be moved.
    """
    if replacement is None:
        place.rename(aside)
    elif _rename(replacement, place, _EXCHANGE):
        replacement.rename(aside)
    else:
        place.rename(aside)
        move_to_free_path(replacement, place)


def move_to_free_path(source: Path, place: Path) -> None:
    """Move a file, link or folder to a path where nothing is.

    Raises:
        FileExistsError: Something is there.
        OSError: It cannot be moved.
    """
    if _rename(source, place, _NOREPLACE):
        return
    if source.is_dir() and not source.is_symlink():
        if exists(place):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))
        source.rename(place)
        return
    try:
        os.link(source, place, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        _copy(source, place)
    source.unlink()


def are_on_one_file_system(folder: Path, other: Path) -> bool:
    """Check whether files can be renamed from one folder into another one."""
    if folder.stat().st_dev != other.stat().st_dev:
        return False
    # Two mounts of one device: Linux compares the mounts before it looks for the file.
    name = ".packer-toolkit-never-exists"
    try:
        (folder / name).rename(other / name)
    except OSError as error:
        return error.errno != errno.EXDEV
    return True


def _rename(source: Path, place: Path, flags: int) -> bool:
    """Rename with flags of Linux; return False where system or file system do not have them."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    sys.audit("os.rename", str(source), str(place), -1, -1)
    folder = -100  # AT_FDCWD
    if function(folder, os.fsencode(source), folder, os.fsencode(place), flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_SUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(place))


def _copy(source: Path, place: Path) -> None:
    if source.is_symlink():
        place.symlink_to(source.readlink())
        return
    try:
        with source.open("rb") as reader, place.open("xb") as writer:
            shutil.copyfileobj(reader, writer)
    except FileExistsError:
        raise
    except OSError:
        with contextlib.suppress(OSError):
            place.unlink()
        raise
    shutil.copystat(source, place)
