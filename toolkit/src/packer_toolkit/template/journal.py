"""Writing an update into a repository, so that one command takes it back, whatever happened.

Before the first change, what the update is going to touch is copied below `.git`, with a record of
it.  So the way back works after a power cut too, and needs neither the template nor Copier.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packer_toolkit.errors import SetupError
from packer_toolkit.template.git import Git
from packer_toolkit.template.merge import Conflict, Entry
from packer_toolkit.template.project import Project
from packer_toolkit.template.update import Plan

_FOLDER = "packer-toolkit-update"


@dataclass(frozen=True)
class Undone:
    """What was taken back.

    Attributes:
        release: the release that the repository is at again.
        paths: the files that were put back or removed.
        kept: what was written into them after the update: path -> git's id of the object with it,
            empty where that was only looked at.
    """

    release: str
    paths: list[str]
    kept: Mapping[str, str]


class Journal:
    """The record of one update, in git's own folder of a repository."""

    def __init__(self, project: Project) -> None:
        self.project = project
        # Several projects may share a repository, each in a folder of its own.
        own = hashlib.sha256(os.fsencode(project.prefix)).hexdigest()[:12]
        self.folder = project.git_dir / (f"{_FOLDER}-{own}" if project.prefix else _FOLDER)
        self._record = self.folder / "record.json"

    @classmethod
    def near(cls, folder: Path) -> Journal:
        """Return the record of the project that a folder is in; the nearest one, if there are more.

        The project's answers file may be gone, in the middle of an update.
        """
        here = Project.anywhere(folder)
        for place in (here.folder, *here.folder.parents):
            if place != here.top and here.top not in place.parents:
                break
            journal = cls(Project.anywhere(place))
            if journal._record.exists():
                return journal
        return cls(here)

    @property
    def unfinished(self) -> bool:
        """Whether an update was interrupted here, and has to be taken back."""
        return self._record.exists() and self._read()["state"] != "done"

    def write(self, plan: Plan) -> None:
        """Write an update into the repository.

        Git's index changes only where there are conflicts: nothing is staged for the person.

        Raises:
            OSError: when it cannot be written; everything is as it was.
            GitError: when git cannot, a filter of the team's for instance; as before.
        """
        self._prepare(plan)
        try:
            self._apply(plan)
        except BaseException:
            self.undo()
            raise
        self._note(state="done", written=self._states([*plan.changes]), index=self._index_digest())

    @property
    def open(self) -> bool:
        """Whether an update was written here that is not committed yet."""
        if not self._record.exists():
            return False
        record = self._read()
        return (record["state"], record["head"]) == ("done", self.project.head)

    def undo(self, dry_run: bool = False) -> Undone | None:
        """Take the update back; None when there is none.

        Args:
            dry_run: only tell what that would come to.

        Raises:
            SetupError: when commits were made since.
        """
        if not self._record.exists():
            return None
        record = self._read()
        head = self.project.git.text("rev-parse", "HEAD")
        if head != record["head"]:
            raise SetupError(
                "the update is part of a commit by now, or another commit is checked out; "
                "take it back with git revert COMMIT"
            )
        root, paths = self.project.folder, list(record["paths"])
        later = self._came_later(record)
        if dry_run:
            return Undone(record["release"], paths, dict.fromkeys(later, ""))
        kept = {path: self._keep(path) for path in later}
        for path in paths:
            if not _behind(root, path):
                _half_written(root / path).unlink(missing_ok=True)
        for path in record["added"]:
            if not _behind(root, path):
                with suppress(FileNotFoundError, IsADirectoryError):
                    (root / path).unlink()
        for name in sorted(record["new_folders"], reverse=True):
            with suppress(OSError):
                (root / name).rmdir()
        for name in record["empty_folders"]:
            (root / name).mkdir(parents=True, exist_ok=True)
        for number, path in enumerate(record["saved"]):
            while (hindrance := _behind(root, path)) is not None:
                hindrance.unlink()
            _copy(self.folder / "files" / str(number), root / path)
        self._restore_index(record)
        # Gone at once: half a record would be worse than none.
        spent = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(spent, ignore_errors=True)
        self.folder.rename(spent)
        shutil.rmtree(spent)
        return Undone(record["release"], paths, kept)

    # ------------------------------------------------------------------ before the first change

    def _prepare(self, plan: Plan) -> None:
        """Copy what is going to be touched, and note it; complete or not there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        fresh = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        (fresh / "files").mkdir(parents=True)
        root = self.project.folder
        saved = [path for path, change in plan.changes.items() if change != "added"]
        for number, path in enumerate(saved):
            _copy(root / path, fresh / "files" / str(number))
        added = [path for path, change in plan.changes.items() if change == "added"]
        new_folders = {
            above.relative_to(root).as_posix()
            for path in plan.changes
            for above in list((root / path).parents)[: path.count("/")]
            if not above.is_dir() or above.is_symlink()
        }
        # git knows no empty folders: those in the way are made again on the way back.
        empty = [
            place.relative_to(root).as_posix()
            for path in plan.changes
            for place in (root / path, *(root / path).rglob("*"))
            if place.is_dir() and not place.is_symlink()
        ]
        shutil.copy2(self._index, fresh / "index")
        record = {
            "state": "started",
            "head": self.project.head,
            "release": self.project.release,
            "paths": [*plan.changes],
            "saved": saved,
            "added": added,
            "new_folders": sorted(new_folders),
            "empty_folders": sorted(empty),
            "conflicts": [conflict.path for conflict in plan.conflicts],
        }
        (fresh / "record.json").write_text(json.dumps(record))
        _sync(fresh)
        fresh.rename(self.folder)
        _sync(self.folder.parent)

    # --------------------------------------------------------------------------- the changes

    def _apply(self, plan: Plan) -> None:
        root = self.project.folder
        # The objects lie in the temporary repository; only conflicts need theirs later.
        objects = str(plan.sandbox.folder / ".git" / "objects")
        git = self.project.git.with_env(GIT_ALTERNATE_OBJECT_DIRECTORIES=objects)
        for path, change in plan.changes.items():
            if change == "deleted":
                _remove(root, path)
        wanted = [path for path, change in plan.changes.items() if change != "deleted"]
        # What decides on line endings and filters comes first.
        first = [path for path in wanted if path.rpartition("/")[2] == ".gitattributes"]
        for paths in (first, [path for path in wanted if path not in first]):
            aside = self._check_out_aside(git, {path: plan.after[path] for path in paths})
            for path in paths:
                _write(aside / path, root / path, plan.after[path])
        shutil.rmtree(self.folder / "aside", ignore_errors=True)
        lines = [*self._modes(plan), *self._stages(git, plan.conflicts)]
        if lines:
            self._change_index(lines)

    def _check_out_aside(self, git: Git, files: Mapping[str, Entry]) -> Path:
        """Let git check files out beside the tree, with this repository's line endings and filters.

        Returns:
            The folder that stands for the project's.
        """
        index, aside = self.folder / "aside.index", self.folder / "aside"
        lines = (
            f"{entry.mode} {entry.oid} 0\t".encode() + self._raw(path) + b"\0"
            for path, entry in files.items()
            if entry.mode != "160000"  # Of a submodule nothing but its folder is made.
        )
        at = Git.at(self.project.top, **git.env, GIT_INDEX_FILE=str(index))
        at.raw("update-index", "-z", "--index-info", stdin=b"".join(lines))
        at.raw("checkout-index", "--all", "--quiet", f"--prefix={aside}/")
        index.unlink(missing_ok=True)
        return aside / self.project.prefix

    def _modes(self, plan: Plan) -> Iterator[bytes]:
        """Yield entries with new executable bits, where git does not look at those of files."""
        setting = self.project.git.run("config", "--type=bool", "--get", "core.fileMode")
        if setting.stdout.strip() != b"false":
            return
        for path in plan.changes:
            old, new = plan.before.get(path), plan.after.get(path)
            if old and new and old.is_file and new.is_file and old.mode != new.mode:
                yield f"{new.mode} {old.oid} 0\t".encode() + self._raw(path)

    def _stages(self, git: Git, conflicts: list[Conflict]) -> Iterator[bytes]:
        """Yield the three versions of each file with a conflict, in place of the one."""
        # As long as git's ids are in this repository: 40 digits, or 64 of SHA-256.
        none = "0" * len(self.project.head)
        for conflict in conflicts:
            yield f"0 {none}\t".encode() + self._raw(conflict.path)
            versions = (conflict.base, conflict.ours, conflict.theirs)
            for stage, entry in enumerate(versions, start=1):
                if entry is None:
                    continue
                if entry.mode != "160000":
                    text = git.raw("cat-file", "blob", entry.oid)
                    self.project.git.raw("hash-object", "-w", "--stdin", stdin=text)
                yield f"{entry.mode} {entry.oid} {stage}\t".encode() + self._raw(conflict.path)

    def _change_index(self, lines: list[bytes]) -> None:
        """Change entries of git's index, all of them at once."""
        fresh = self.folder / "index.new"
        shutil.copy2(self._index, fresh)
        index = Git.at(self.project.top, GIT_INDEX_FILE=str(fresh))
        text = b"".join(line + b"\0" for line in lines)
        index.raw("update-index", "-z", "--index-info", stdin=text)
        fresh.replace(self._index)

    def _raw(self, path: str) -> bytes:
        return (self.project.prefix + path).encode("utf-8", "surrogateescape")

    # ------------------------------------------------------------------------------ the way back

    def _came_later(self, record: Mapping[str, Any]) -> list[str]:
        """Return the files that a person wrote into after the update."""
        root, written = self.project.folder, record.get("written", {})
        later = {
            path for path, found in self._states(list(written)).items() if found != written[path]
        }
        for path in record["saved"] if written else ():
            # A file in the place of a folder: the update's own, or the person's.
            hindrance = _behind(root, path)
            if hindrance and hindrance.relative_to(root).as_posix() not in written:
                later.add(hindrance.relative_to(root).as_posix())
        return [
            path
            for path in sorted(later)
            if (root / path).is_file()
            and not (root / path).is_symlink()
            and not _behind(root, path)
        ]

    def _keep(self, path: str) -> str:
        """Make an object of git of a file, and return its id."""
        text = (self.project.folder / path).read_bytes()
        return self.project.git.text("hash-object", "-w", "--stdin", stdin=text)

    def _restore_index(self, record: Mapping[str, Any]) -> None:
        if record["state"] != "done" or record["index"] == self._index_digest():
            shutil.copy2(self.folder / "index", self.folder / "index.new")
            (self.folder / "index.new").replace(self._index)
            return
        # Something else was staged since: only the update's own files are taken out.
        names = [f":(literal){path}" for path in {*record["paths"], *record["conflicts"]}]
        self.project.git.raw("reset", "--quiet", "HEAD", "--", *names)

    # ------------------------------------------------------------------------------------ helpers

    @property
    def _index(self) -> Path:
        return self.project.git_dir / "index"

    def _index_digest(self) -> str:
        return hashlib.sha256(self._index.read_bytes()).hexdigest()

    def _states(self, paths: list[str]) -> dict[str, str]:
        """Return what stands at paths, shortly; empty where nothing does."""
        found = {}
        for path in paths:
            place = self.project.folder / path
            if place.is_symlink():
                found[path] = f"link {os.fsdecode(place.readlink())}"
            elif place.is_file():
                found[path] = hashlib.sha256(place.read_bytes()).hexdigest()
            else:
                found[path] = ""
        return found

    def _read(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self._record.read_text())
        return record

    def _note(self, **more: Any) -> None:
        fresh = self._record.with_suffix(".new")
        fresh.write_text(json.dumps({**self._read(), **more}))
        fresh.replace(self._record)


def _behind(root: Path, path: str) -> Path | None:
    """Return the file or link that stands where a path has a folder, if there is one."""
    for above in reversed(list((root / path).parents)[: path.count("/")]):
        if above.is_symlink() or above.is_file():
            return above
    return None


def _copy(source: Path, target: Path) -> None:
    """Copy a file or link with its mode and times, in place of whatever is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = _half_written(target)
    fresh.unlink(missing_ok=True)
    if source.is_dir() and not source.is_symlink():
        return  # A submodule: updates do not touch its files.
    shutil.copy2(source, fresh, follow_symlinks=False)
    fresh.replace(target)


def _remove(root: Path, path: str) -> None:
    """Delete a file, and the folders that are empty without it."""
    place = root / path
    if place.is_dir() and not place.is_symlink():
        return
    place.unlink(missing_ok=True)
    for above in list(place.parents)[: path.count("/")]:
        try:
            above.rmdir()
        except OSError:
            return


def _write(source: Path, place: Path, entry: Entry) -> None:
    """Write a file that git has checked out aside; its other permission bits stay."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if entry.mode == "160000":
        place.mkdir(exist_ok=True)
        return
    fresh = _half_written(place)
    fresh.unlink(missing_ok=True)
    shutil.copyfile(source, fresh, follow_symlinks=False)
    if not fresh.is_symlink():
        there = place.is_file() and not place.is_symlink()
        mode = stat.S_IMODE((place if there else source).stat().st_mode)
        readable = (mode & 0o444) >> 2
        fresh.chmod(mode | readable if entry.mode == "100755" else mode & ~0o111)
    if place.is_dir() and not place.is_symlink():
        _remove_empty(place)
    fresh.replace(place)


def _remove_empty(folder: Path) -> None:
    """Delete a folder with nothing but folders in it."""
    for place, _, _ in os.walk(folder, topdown=False):
        Path(place).rmdir()


def _half_written(place: Path) -> Path:
    """Return where a file is written before it takes its place at once."""
    return place.with_name(f".{place.name[:60]}.packer-toolkit")


def _sync(folder: Path) -> None:
    """Make sure that what is in a folder survives a power cut."""
    for place in (*(item for item in folder.rglob("*") if item.is_file()), folder):
        if place.is_symlink():
            continue
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
