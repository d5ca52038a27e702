"""The record of an update on the disk: what the update changes, and the files that it replaced.

The format is a contract: a newer toolkit undoes an update of 1.0.0 or 1.1.0 that was killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packer_toolkit.errors import SetupError
from packer_toolkit.template.project import Project

_FOLDER = "packer-toolkit-update"
_COPIES = "packer-toolkit-kept"
# Every record has these, also one of release 1.0.0.
_KEYS = {"state", "head", "release", "paths", "saved", "added", "conflicts"}


class RecordFolder:
    """The folder with the record of one update, in git's own folder of a repository.

    Below it, or below `beside` where that is on another file system:

        files/N     what the update replaced or deleted: the path with number N of `saved`
        new/N       what the update is going to write: the path with number N of `paths`

    Attributes:
        project: The project that is updated.
        path: The folder.
        file: The record in it.
        beside: The folder of the project for files, where git's own folder is on another file
            system.
        copies: The folder with copies of what users saved into files of updates.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        # Several projects may share a repository, each in a folder of its own.
        digest = hashlib.sha256(os.fsencode(project.prefix)).hexdigest()[:12]
        suffix = f"-{digest}" if project.prefix else ""
        self.path = project.git_dir / f"{_FOLDER}{suffix}"
        self.copies = project.git_dir / f"{_COPIES}{suffix}"
        self.file = self.path / "record.json"
        self.beside = project.folder / f".{_FOLDER}"
        # Complete before it becomes the folder, and renamed to this before it is deleted.
        self._spare = self.path.with_name(f"{self.path.name}.new")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other updates and undos away while the block runs; a killed process keeps none.

        Raises:
            SetupError: when another one is running.
        """
        import fcntl

        file = self.path.with_name(f"{self.path.name}.lock")
        try:
            handle = os.open(file, os.O_RDONLY | os.O_CREAT, 0o666)
        except OSError as error:
            raise SetupError(
                f"{file} cannot be written ({error.strerror}); nothing was changed; "
                "make git's folder writable"
            ) from None
        try:
            # Some network file systems have no locks.
            with contextlib.suppress(OSError):
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise SetupError(
                        f"another update or undo of {self.project.folder} is running; nothing was "
                        "changed; wait until it has finished"
                    ) from None
            yield
        finally:
            os.close(handle)

    def clear(self) -> None:
        """Delete an earlier record and its files."""
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.rmtree(self._spare, ignore_errors=True)
        if self.beside.is_dir():
            shutil.rmtree(self.beside)

    def create(self, values: Mapping[str, Any]) -> None:
        """Write a record; it is complete or not there."""
        try:
            self._spare.mkdir()
            (self._spare / "record.json").write_text(json.dumps(values))
            work = self.beside if values["beside"] else self._spare
            (work / "files").mkdir(parents=True)
            (work / "new").mkdir()
            if values["beside"]:
                (work / ".gitignore").write_text("*\n")
            _sync(self._spare)
            self._spare.rename(self.path)
        except BaseException:
            shutil.rmtree(self._spare, ignore_errors=True)
            raise
        _sync(self.path.parent, deep=False)

    def read(self) -> UpdateRecord:
        """Read the record.

        Raises:
            SetupError: when it cannot be read, or parts of it are missing.
        """
        try:
            values = json.loads(self.file.read_text())
            missing = _KEYS - {*values}
            if not missing:
                return UpdateRecord(self, dict(values))
            reason = f"it has no {min(missing)}"
        except OSError as error:
            reason = str(error.strerror)
        except (ValueError, TypeError, RecursionError):
            reason = "it is not JSON"
        work = self.beside if self.beside.is_dir() else self.path
        both = " and ".join(str(folder) for folder in dict.fromkeys((work, self.path)))
        raise SetupError(
            f"{self.file} is damaged ({reason}); what the update replaced is in {work}/files: "
            f"copy from there what you need, then delete {both}"
        )

    def save_written(self, record: UpdateRecord, written: Mapping[str, str]) -> None:
        """Record what the update is going to write, on the disk before it is written.

        The record of the finished update is written too: to finish then needs no space.
        """
        values = {**record.values, "written": written}
        for name, state in (("record.done", "done"), ("record.next", record.state)):
            (self.path / name).write_text(json.dumps({**values, "state": state}))
        _sync(record.work)
        _sync(self.path)
        (self.path / "record.next").replace(self.file)

    def finish(self) -> None:
        """Record that the update is finished."""
        (self.path / "record.done").replace(self.file)

    def delete(self, record: UpdateRecord) -> dict[str, Path]:
        """Delete the record and its files; return the copies of what the user saved, by path."""
        copies = {
            Path(folder, name).relative_to(record.copies).as_posix(): Path(folder, name)
            for folder, folders, files in os.walk(record.copies)
            for name in [*files, *(item for item in folders if Path(folder, item).is_symlink())]
        }
        if not copies:
            shutil.rmtree(record.copies, ignore_errors=True)
            with contextlib.suppress(OSError):
                self.copies.rmdir()
        if record.values.get("beside"):
            shutil.rmtree(self.beside, ignore_errors=True)
        # Renamed before it is deleted: half a record would be worse than none.
        shutil.rmtree(self._spare, ignore_errors=True)
        self.path.rename(self._spare)
        shutil.rmtree(self._spare)
        return dict(sorted(copies.items()))


@dataclass(frozen=True)
class UpdateRecord:
    """The content of a record.

    Attributes:
        folder: Where the record is.
        values: Its values, as JSON has them.
    """

    folder: RecordFolder
    values: Mapping[str, Any]

    @property
    def state(self) -> str:
        """The value "started" or "done"."""
        return str(self.values["state"])

    @property
    def head(self) -> str:
        """The commit that was checked out before the update."""
        return str(self.values["head"])

    @property
    def paths(self) -> list[str]:
        """All paths that the update changes."""
        return list(self.values["paths"])

    @property
    def saved(self) -> list[str]:
        """The paths with a file that the update replaces or deletes."""
        return list(self.values["saved"])

    @property
    def added(self) -> list[str]:
        """The paths without a file before the update."""
        return list(self.values["added"])

    @property
    def written(self) -> Mapping[str, str]:
        """What the update writes: path -> description, as of `describe`."""
        return dict(self.values.get("written", {}))

    @property
    def expected(self) -> Mapping[str, str]:
        """What the update replaces: path -> description; release 1.0.0 did not record it."""
        return dict(self.values.get("expected", {}))

    @property
    def work(self) -> Path:
        """The folder for files that are moved: on the file system of the project."""
        return self.folder.beside if self.values.get("beside") else self.folder.path

    @property
    def copies(self) -> Path:
        """The folder for copies of what the user saved into files of this update."""
        return self.folder.copies / str(self.values.get("kept", self.head))

    def find_old_file(self, path: str) -> Path:
        """Return where the file that the update replaced at a path is kept."""
        return self.work / "files" / str(self.values["saved"].index(path))

    def find_new_file(self, path: str) -> Path:
        """Return where the file that the update is going to write to a path is."""
        return self.work / "new" / str(self.values["paths"].index(path))


def _sync(folder: Path, deep: bool = True) -> None:
    """Make sure that the content of a folder survives a power failure."""
    below = [item for item in folder.rglob("*") if item.is_file()] if deep else []
    for path in (*below, folder):
        if path.is_symlink():
            continue
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
