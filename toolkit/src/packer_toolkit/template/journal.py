"""Writing an update into a repository, so that one command undoes it, whatever happened meanwhile.

Nothing of the work tree is copied or overwritten: what the update replaces is moved aside below
`.git`, the file itself with all its bytes, and compared after that.  So what an editor saved at any
moment is either moved aside with the file, or saved into the new file.  The undo moves it back, and
needs neither the template nor Copier, and no space on the disk.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shlex
import shutil
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git, GitError
from packer_toolkit.template.file_changes import (
    are_on_one_file_system,
    describe,
    exists,
    has_content,
    move_aside,
    put,
)
from packer_toolkit.template.index import Index
from packer_toolkit.template.merge import SUBMODULE, Conflict, Entry, read_tree
from packer_toolkit.template.path_names import (
    find_other_name,
    group_by_fold,
    has_exact_name,
    is_one_file,
)
from packer_toolkit.template.project import Project
from packer_toolkit.template.report import way_back
from packer_toolkit.template.update import Plan, find_obstacles
from packer_toolkit.text.paths import join_paths, show_path

_FOLDER = "packer-toolkit-update"
_KEPT = "packer-toolkit-kept"

# Of a record, also of release 1.0.0.
_PARTS = {"state", "head", "release", "paths", "saved", "added", "conflicts"}
# Another program has changed a file, or what is around it, where these appear.
_CHANGED_MEANWHILE = {
    errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.ENOTEMPTY,
}  # fmt: skip


@dataclass(frozen=True)
class Undone:
    """What was undone.

    Attributes:
        release: the release that the repository is at again; empty where nothing had to be undone.
        paths: the files that were restored or removed.
        kept: what was written into them after the update: path -> git's id of the object with it,
            empty where that was only looked at, or where it is not an object.
        copies: the same as files: path -> where it is.
        reason: why the record of an update was out of date, where that was so.
    """

    release: str = ""
    paths: list[str] = field(default_factory=list)
    kept: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, Path] = field(default_factory=dict)
    reason: str = ""


class _ChangedMeanwhileError(Exception):
    """Another program has changed a path while the update was written."""

    def __init__(self, path: str | None) -> None:
        what = join_paths([path]) if path else "the commit that is checked out"
        super().__init__(
            f"{what} changed while the update was written, so the update was undone; your change "
            "stays"
        )


class Journal:
    """The record of one update, in git's own folder of a repository.

    Below its folder, or below a folder of the project's where git's is on another file system:

        files/N     what the update replaced or deleted: the path with number N of `saved`
        new/N       what it is going to write: the path with number N of `paths`
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        # Several projects may share a repository, each in a folder of its own.
        own = hashlib.sha256(os.fsencode(project.prefix)).hexdigest()[:12]
        self.folder = project.git_dir / (f"{_FOLDER}-{own}" if project.prefix else _FOLDER)
        self._record = self.folder / "record.json"
        self._beside = project.folder / f".{_FOLDER}"
        self._index = Index(project, self.folder)

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

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other updates and undos away while the block runs; a killed process keeps none.

        Raises:
            SetupError: when another one is running.
        """
        import fcntl

        file = self.folder.with_name(f"{self.folder.name}.lock")
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

    def settle(self) -> Undone:
        """Make sure that no update is open here, and delete a record that is out of date.

        Returns:
            What the record had that is nowhere else.

        Raises:
            SetupError: when an update was interrupted here, or is not committed yet.
        """
        self.require_settled()
        if not self._record.exists():
            return Undone()
        return self._retire(self._read())

    def require_settled(self) -> None:
        """Make sure that no update is open here; a record that is out of date does not count.

        Raises:
            SetupError: when an update was interrupted here, or is not committed yet.
        """
        if not self._record.exists():
            return
        record = self._read()
        if self._find_why_outdated(record):
            return
        if record["state"] != "done":
            raise SetupError(
                f"an update was interrupted here; take it back first: {way_back(self.project)}"
            )
        raise SetupError(
            "the last update is not committed yet; finish and commit it, or take it back: "
            f"{way_back(self.project)}"
        )

    @property
    def kept_earlier(self) -> Path | None:
        """The folder of copies that earlier undos have kept, if there are some."""
        folder = self._kept_folder()
        return folder if folder.is_dir() else None

    def require_unlocked(self) -> None:
        """Make sure that no git command is changing the index.

        Raises:
            SetupError: when one is.
        """
        self._index.require_unlocked("nothing was changed")

    def write(self, plan: Plan) -> dict[str, Path | None]:
        """Write an update into the repository.

        Git's index changes only where there are conflicts: nothing is staged for the user.

        Returns:
            What the user saved into the update's files while they were written, and is in them:
            path -> a copy of what the update has there; None where it deletes the file.

        Raises:
            SetupError: when it cannot be written, or the user changed something meanwhile; then
                everything is as it was, or the message has the command that undoes the update.
        """
        self.require_unlocked()
        try:
            self._prepare(plan)
            return self._apply(plan)
        except BaseException as error:
            with _hold_signals() as is_pending:
                kept = "".join(
                    f"; what you saved into {join_paths([path])} meanwhile "
                    f"is kept: {show_copy(copy)}"
                    for path, copy in self._undo_after(error).items()
                )
                if kept and is_pending():
                    sys.stderr.write(f"packer-toolkit: the update was undone{kept}\n")
            if isinstance(error, _ChangedMeanwhileError):
                raise SetupError(
                    f"{error}{kept}; look at git diff, commit your change, and start again"
                ) from None
            if isinstance(error, (OSError, GitError)):
                raise SetupError(
                    f"the update cannot be written ({describe_error(error)}); everything is as it "
                    f"was{kept}"
                ) from None
            if kept:
                sys.stderr.write(f"packer-toolkit: the update was undone{kept}\n")
            raise

    def copy_saved_aside(self) -> Undone:
        """Copy what editors have saved into replaced files after these were compared.

        The files themselves stay until the next update starts, which looks at them again.
        """
        record = self._read()
        copies = {}
        for number, path in enumerate(record["saved"]):
            old = self._work(record) / "files" / str(number)
            if old.is_file() and describe(old) != record["expected"][path]:
                copies[path] = _find_free_copy(self._kept(record), path)
                shutil.copy2(old, copies[path], follow_symlinks=False)
        return Undone(copies=copies)

    def undo(self, dry_run: bool = False) -> Undone | None:
        """Undo the update; None when there is none.

        Args:
            dry_run: only report what that would come to.

        Raises:
            SetupError: when commits were made since, or it cannot be undone yet.
        """
        if not self._record.exists():
            return None
        record = self._read()
        reason = self._find_why_outdated(record)
        if reason and record["state"] == "done" and self._find_commit_since(record):
            raise SetupError(
                "the update is part of a commit by now, or another commit is checked out; "
                "take it back with git revert COMMIT"
            )
        if reason:
            retired = Undone() if dry_run else self._retire(record)
            return Undone(copies=retired.copies, reason=reason)
        paths = self._find_touched(record)
        if dry_run:
            return Undone(record["release"], paths, dict.fromkeys(self._find_later(record), ""))
        self._index.require_unlocked(
            f"nothing was undone; when the lock is gone, run: {way_back(self.project)}"
        )
        try:
            copies = self._roll_back(record)
        except (OSError, SetupError) as error:
            raise self._not_undone(error) from None
        except BaseException as error:
            sys.stderr.write(f"packer-toolkit: {self._not_undone(error)}\n")
            raise
        kept = {path: self._make_object(copy) for path, copy in copies.items()}
        return Undone(record["release"], paths, kept, copies)

    # ------------------------------------------------------------------ before the first change

    def _prepare(self, plan: Plan) -> None:
        """Record what is going to be touched; the record is complete or not there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        fresh = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        root = self.project.folder
        if self._beside.is_dir():
            shutil.rmtree(self._beside)
        saved = [path for path in plan.changes if _is_saved(plan, path)]
        new_folders = {
            above.relative_to(root).as_posix()
            for path in plan.changes
            for above in list((root / path).parents)[: path.count("/")]
            if not above.is_dir() or above.is_symlink() or not has_exact_name(above)
        }
        # git knows no empty folders: those in the way are made again on the way back.
        empty = [
            place.relative_to(root).as_posix()
            for path in plan.changes
            for place in (root / path, *(root / path).rglob("*"))
            if place.is_dir() and not place.is_symlink()
        ]
        now = datetime.now(timezone.utc)
        record = {
            "state": "started",
            "head": self.project.head,
            "release": self.project.release,
            "paths": [*plan.changes],
            "saved": saved,
            "added": [path for path in plan.changes if path in plan.after and path not in saved],
            "new_folders": sorted(new_folders),
            "empty_folders": sorted(empty),
            "conflicts": [conflict.path for conflict in plan.conflicts],
            "expected": {path: describe(root / path) for path in saved},
            "written": {},
            "kept": now.strftime("%Y%m%d-%H%M%S.%f"),
            "beside": not are_on_one_file_system(self.project.git_dir, root),
        }
        try:
            fresh.mkdir()
            (fresh / "record.json").write_text(json.dumps(record))
            work = self._work(record, fresh)
            (work / "files").mkdir(parents=True)
            (work / "new").mkdir()
            if record["beside"]:
                (work / ".gitignore").write_text("*\n")
            _sync(fresh)
            fresh.rename(self.folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        _sync(self.folder.parent, deep=False)

    def _work(self, record: Mapping[str, Any], folder: Path | None = None) -> Path:
        """Return the folder for files that are moved: on the file system of the project."""
        return self._beside if record.get("beside") else folder or self.folder

    def _require_unchanged(self, plan: Plan) -> None:
        """Make sure that the repository is what the update was computed from.

        Git's index is not asked: it trusts times and sizes.

        Raises:
            SetupError: when something changed.
        """
        project, next_step = self.project, "nothing was changed; start again"
        if self._find_head() != project.head:
            raise SetupError(
                f"another commit was made or checked out while the update was computed; {next_step}"
            )
        changed = {*project.uncommitted(), *find_obstacles(plan)}
        paths = [f":(literal){path}" for path in plan.changes if path in plan.before]
        if paths:
            index = self.folder / "compared.index"
            git = project.git.with_env(GIT_INDEX_FILE=str(index))
            git.text("read-tree", project.head)
            status = ["status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames"]
            prefix = len(project.prefix)
            changed |= {line[3 + prefix :] for line in git.fields(*status, "--", *paths)}
            index.unlink()
        if changed:
            raise SetupError(
                f"{join_paths(sorted(changed))} changed while the update was computed; nothing was "
                "changed; commit it, or put it aside with git stash --include-untracked, and start "
                "again"
            )

    # --------------------------------------------------------------------------- the changes

    def _apply(self, plan: Plan) -> dict[str, Path | None]:
        root = self.project.folder
        # The objects are in the temporary repository; only conflicts need theirs later.
        objects = str(plan.sandbox.folder / ".git" / "objects")
        git = self.project.git.with_env(GIT_ALTERNATE_OBJECT_DIRECTORIES=objects)
        lines = [*self._modes(plan), *self._names(plan), *self._stages(git, plan.conflicts)]
        wanted = [path for path, change in plan.changes.items() if change != "deleted"]
        # What decides on line endings and filters comes first.
        first = [path for path in wanted if path.rpartition("/")[2] == ".gitattributes"]
        others = [path for path in wanted if path not in first]
        self._stage(git, plan, first or others)
        self._require_unchanged(plan)
        record = self._read()
        work = self._work(record)
        saved, expected = record["saved"], record["expected"]

        def replace(path: str) -> None:
            aside = work / "files" / str(saved.index(path)) if path in saved else None
            source = work / "new" / str(record["paths"].index(path))
            try:
                if _find_behind(root, path):
                    raise _ChangedMeanwhileError(path)
                _write(source if exists(source) else None, root, path, aside, plan.after.get(path))
            except OSError as error:
                if error.errno in _CHANGED_MEANWHILE:
                    raise _ChangedMeanwhileError(path) from None
                raise
            if aside and describe(aside) != expected[path]:
                raise _ChangedMeanwhileError(path)

        for path, change in plan.changes.items():
            if change == "deleted" and path in saved:
                replace(path)
        for path in first:
            replace(path)
        if first:
            self._stage(git, plan, others)
        for path in others:
            replace(path)
        if lines:
            self._change_index(lines)
        # Editors that had a file open may have saved into what was moved aside.
        for number, path in enumerate(saved):
            if describe(work / "files" / str(number)) != expected[path]:
                raise _ChangedMeanwhileError(path)
        if self._find_head() != self.project.head:
            raise _ChangedMeanwhileError(None)
        record = self._read()
        later = [
            path
            for path, written in record["written"].items()
            if not has_content(describe(root / path), written)
        ]
        later += [
            path
            for path in plan.changes
            if path not in {*plan.after, *plan.case_renames} and self._came_back(path)
        ]
        copies = {path: self._keep_update(record, plan, path) for path in sorted(later)}
        # Prepared on the disk before: this needs no space.
        (self.folder / "record.done").replace(self._record)
        shutil.rmtree(work / "new", ignore_errors=True)
        return copies

    def _stage(self, git: Git, plan: Plan, paths: list[str]) -> None:
        """Check out what is going to be written, with modes, and record what it is."""
        record = self._read()
        work, root = self._work(record), self.project.folder
        aside = self._check_out_aside(git, work, {path: plan.after[path] for path in paths})
        written = dict(record["written"])
        for path in paths:
            entry = plan.after[path]
            if entry.mode == SUBMODULE:
                continue
            staged = work / "new" / str(record["paths"].index(path))
            (aside / path).rename(staged)
            _set_mode(staged, root / path, entry)
            written[path] = describe(staged)
        shutil.rmtree(work / "aside", ignore_errors=True)
        done = {**record, "written": written}
        for name, state in (("record.done", "done"), ("record.next", record["state"])):
            (self.folder / name).write_text(json.dumps({**done, "state": state}))
        _sync(work)
        _sync(self.folder)
        (self.folder / "record.next").replace(self._record)

    def _check_out_aside(self, git: Git, work: Path, files: Mapping[str, Entry]) -> Path:
        """Let git check files out beside the tree, with this repository's line endings and filters.

        Returns:
            The folder that corresponds to the project's.
        """
        index, aside = self.folder / "aside.index", work / "aside"
        lines = (
            f"{entry.mode} {entry.oid} 0\t".encode() + self._raw(path) + b"\0"
            for path, entry in files.items()
            if entry.mode != SUBMODULE  # Of a submodule nothing but its folder is made.
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

    def _names(self, plan: Plan) -> Iterator[bytes]:
        """Yield entries with new names, where git sees no difference between old and new ones."""
        for old, new in plan.case_renames.items():
            entry = plan.before[old]
            yield self._removal(old)
            if new not in plan.merged.conflicts:
                yield f"{entry.mode} {entry.oid} 0\t".encode() + self._raw(new)

    def _stages(self, git: Git, conflicts: list[Conflict]) -> Iterator[bytes]:
        """Yield the three versions of each file with a conflict, in place of the one."""
        for conflict in conflicts:
            yield self._removal(conflict.path)
            versions = (conflict.base, conflict.ours, conflict.theirs)
            for stage, entry in enumerate(versions, start=1):
                if entry is None:
                    continue
                if entry.mode != SUBMODULE:
                    text = git.raw("cat-file", "blob", entry.oid)
                    self.project.git.raw("hash-object", "-w", "--stdin", stdin=text)
                yield f"{entry.mode} {entry.oid} {stage}\t".encode() + self._raw(conflict.path)

    def _removal(self, path: str) -> bytes:
        """Return the line that takes a path out of the index."""
        # As long as git's ids are in this repository: 40 digits, or 64 of SHA-256.
        return f"0 {'0' * len(self.project.head)}\t".encode() + self._raw(path)

    def _change_index(self, lines: list[bytes]) -> None:
        self._index.change(lines)

    def _raw(self, path: str) -> bytes:
        return (self.project.prefix + path).encode("utf-8", "surrogateescape")

    def _came_back(self, path: str) -> bool:
        """Check whether a file is at a path where the update has deleted one."""
        return describe(self.project.folder / path) not in ("", "folder") and not _find_behind(
            self.project.folder, path
        )

    def _keep_update(self, record: Mapping[str, Any], plan: Plan, path: str) -> Path | None:
        """Write a copy of what the update has at a path, beside what the user saved there."""
        entry = plan.after.get(path)
        if entry is None:
            return None
        copy = _find_free_copy(self._kept_folder() / f"{record['kept']}-{plan.release}", path)
        copy.write_bytes(plan.sandbox.raw("cat-file", "blob", entry.oid))
        return copy

    # ------------------------------------------------------------------------------ the way back

    def _undo_after(self, error: BaseException) -> dict[str, Path]:
        """Undo what was written before an error; return copies of what the user saved."""
        if not self._record.exists():
            return {}
        try:
            return self._roll_back(self._read())
        except BaseException as another:
            if isinstance(error, Exception):
                raise self._not_undone(error, another) from None
            raise self._not_undone(another) from None

    def _not_undone(self, *errors: BaseException) -> SetupError:
        reasons = dict.fromkeys(describe_error(error) for error in errors)
        return SetupError(
            f"the update is not undone yet ({'; '.join(reasons)}); nothing is lost; when that is "
            f"solved: {way_back(self.project)}"
        )

    def _roll_back(self, record: Mapping[str, Any]) -> dict[str, Path]:
        """Restore what differs; it may be repeated after a kill at any point.

        Returns:
            What was in the files instead, and is neither the update's nor what was there before:
            path -> the copy of it.
        """
        root, work = self.project.folder, self._work(record)
        self._start_to_undo(record)
        unwritten = self._sort_staged(record)
        for path in record["added"]:
            # What is in the place of a file that was not written yet is the user's.
            place = root / path
            if path in unwritten or _find_behind(root, path) or not exists(place):
                continue
            if self._is_restored(record, path):
                continue
            if place.is_dir() and not place.is_symlink():
                with contextlib.suppress(OSError):
                    place.rmdir()
                continue
            self._take(record, path)
        for name in sorted(record["new_folders"], reverse=True):
            with contextlib.suppress(OSError):
                (root / name).rmdir()
        for name in record["empty_folders"]:
            with contextlib.suppress(FileExistsError, NotADirectoryError):
                (root / name).mkdir(parents=True, exist_ok=True)
        for number, path in enumerate(record["saved"]):
            self._put_back(record, work / "files" / str(number), path)
        self._restore_index(record)
        return self._close(record)

    def _start_to_undo(self, record: Mapping[str, Any]) -> None:
        """Remove what a killed process left half-done; that frees space too."""
        work = self._work(record)
        self._index.remove_own_lock()
        shutil.rmtree(work / "aside", ignore_errors=True)
        for name in ("index.new", "compared.index", "aside.index", "record.next"):
            (self.folder / name).unlink(missing_ok=True)
        if exists(work / "taken"):
            # Killed between the two steps of `_take`.
            shutil.move(work / "taken", _find_free_copy(self._kept(record), "unknown-name"))
        if "expected" not in record:
            # Release 1.0.0 wrote files under these names first.
            for path in record["paths"]:
                place = self.project.folder / path
                if not _find_behind(self.project.folder, path):
                    place.with_name(f".{place.name[:60]}.packer-toolkit").unlink(missing_ok=True)

    def _sort_staged(self, record: Mapping[str, Any]) -> set[str]:
        """Delete what was not written yet, and return its paths.

        A file that was exchanged with the user's, and not put aside yet, is the user's.
        """
        work = self._work(record)
        unwritten: set[str] = set()
        for number, path in enumerate(record["paths"]):
            staged = work / "new" / str(number)
            if not exists(staged):
                continue
            is_staged = describe(staged) == record["written"].get(path, describe(staged))
            if path in record["saved"] and not is_staged:
                staged.rename(work / "files" / str(record["saved"].index(path)))
                continue
            unwritten.add(path)
            if staged.is_dir() and not staged.is_symlink():
                shutil.rmtree(staged)
            else:
                staged.unlink()
        return unwritten

    def _is_restored(self, record: Mapping[str, Any], path: str) -> bool:
        """Check whether a new path leads to a file that was put back under another name already."""
        return any(
            is_one_file(self.project.folder, old, path)
            and not exists(self._work(record) / "files" / str(number))
            for number, old in enumerate(record["saved"])
        )

    def _put_back(self, record: Mapping[str, Any], old: Path, path: str) -> None:
        """Put a file that was moved aside back into its place."""
        root, place = self.project.folder, self.project.folder / path
        while exists(old):
            while (hindrance := _find_behind(root, path)) is not None:
                self._take(record, hindrance.relative_to(root).as_posix())
            place.parent.mkdir(parents=True, exist_ok=True)
            if exists(place):
                same = describe(place)
                if same == describe(old) and same not in ("folder", "other", "unreadable"):
                    old.unlink()
                    return
                self._take(record, path)
            # Something may have been saved there between the two; then again.
            with contextlib.suppress(FileExistsError):
                put(old, place)

    def _take(self, record: Mapping[str, Any], path: str) -> None:
        """Take what is at a path away; keep it, unless the update has written it."""
        place, aside = self.project.folder / path, self._work(record) / "taken"
        try:
            place.rename(aside)
        except FileNotFoundError:
            return
        if has_content(describe(aside), record.get("written", {}).get(path)):
            aside.unlink()
        else:
            shutil.move(aside, _find_free_copy(self._kept(record), path))

    def _kept(self, record: Mapping[str, Any]) -> Path:
        name: str = record.get("kept", record["head"])
        return self._kept_folder() / name

    def _kept_folder(self) -> Path:
        return self.folder.with_name(self.folder.name.replace(_FOLDER, _KEPT, 1))

    def _restore_index(self, record: Mapping[str, Any]) -> None:
        """Let the index have what HEAD has of the update's files; other entries stay."""
        names = {*record["paths"], *record["conflicts"]}
        try:
            tree = read_tree(self.project.git, f"HEAD:{self.project.prefix}")
        except GitError:
            tree = {}
        wanted = {
            f"{entry.mode} {entry.oid} 0\t{path}" for path, entry in tree.items() if path in names
        }
        listed = self.project.git.fields("ls-files", "--stage", "-z")
        present = {line for line in listed if line.partition("\t")[2] in names}
        if present == wanted:
            return
        lines = [self._removal(path) for path in sorted(names)]
        for line in sorted(wanted):
            meta, _, path = line.partition("\t")
            lines.append(f"{meta}\t".encode() + self._raw(path))
        self._change_index(lines)

    def _close(self, record: Mapping[str, Any]) -> dict[str, Path]:
        """Delete the record, and return what was kept of the user's."""
        work, kept = self._work(record), self._kept(record)
        copies = {
            Path(place, name).relative_to(kept).as_posix(): Path(place, name)
            for place, folders, files in os.walk(kept)
            for name in [*files, *(item for item in folders if Path(place, item).is_symlink())]
        }
        if not copies:
            shutil.rmtree(kept, ignore_errors=True)
            with contextlib.suppress(OSError):
                kept.parent.rmdir()
        if record.get("beside"):
            shutil.rmtree(work, ignore_errors=True)
        # Renamed before it is deleted: half a record would be worse than none.
        spent = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(spent, ignore_errors=True)
        self.folder.rename(spent)
        shutil.rmtree(spent)
        return dict(sorted(copies.items()))

    def _make_object(self, copy: Path) -> str:
        """Make an object of git of a file, and return its id; empty where it cannot be one."""
        if copy.is_symlink():
            return ""
        try:
            return self.project.git.text("hash-object", "-w", "--stdin", stdin=copy.read_bytes())
        except (OSError, GitError):
            return ""

    # ---------------------------------------------------------- records that are out of date

    def _find_head(self) -> str:
        """Return the commit that is checked out now."""
        return self.project.git.text("rev-parse", "--verify", "--quiet", "HEAD^{commit}")

    def _find_why_outdated(self, record: Mapping[str, Any]) -> str:
        """Return why a record does not describe the repository any longer; empty if it does."""
        if self._find_commit_since(record):
            return "commits were made since, or another one is checked out"
        if not self.project.uncommitted():
            return "everything here is as it is committed"
        return ""

    def _find_commit_since(self, record: Mapping[str, Any]) -> bool:
        """Check whether HEAD has moved to a commit with other content of the update's files."""
        if self._find_head() == record["head"]:
            return False
        trees = []
        for commit in (record["head"], "HEAD"):
            try:
                tree = read_tree(self.project.git, f"{commit}:{self.project.prefix}")
            except GitError:
                return True
            trees.append({path: tree.get(path) for path in record["paths"]})
        return trees[0] != trees[1]

    def _retire(self, record: Mapping[str, Any]) -> Undone:
        """Delete a record; what it has that is nowhere else becomes a copy."""
        root, work = self.project.folder, self._work(record)
        self._start_to_undo(record)
        unwritten = self._sort_staged(record)
        if self._find_head() == record["head"]:
            # Git has restored its own files; what it ignores is still there.
            known = read_tree(self.project.git, f"HEAD:{self.project.prefix}")
            others = group_by_fold(known)
            for path in record["added"]:
                written = record.get("written", {}).get(path)
                if path in known or path in unwritten or _find_behind(root, path):
                    continue
                if find_other_name(root, path, others):
                    continue
                if has_content(describe(root / path), written):
                    self._take(record, path)
        for number, path in enumerate(record["saved"]):
            old = work / "files" / str(number)
            if exists(old) and not self._is_known(record, old, path):
                shutil.move(old, _find_free_copy(self._kept(record), path))
        return Undone(copies=self._close(record))

    def _is_known(self, record: Mapping[str, Any], old: Path, path: str) -> bool:
        """Check whether what was moved aside is what git has, or is in the file again."""
        found = describe(old)
        if found == record.get("expected", {}).get(path):
            return True
        if has_content(found, describe(self.project.folder / path)):
            return True
        if old.is_symlink() or not old.is_file():
            return False
        # Release 1.0.0 recorded nothing to compare with.
        name = f"--path={self.project.prefix}{path}"
        oid = self.project.git.text("hash-object", "--stdin", name, stdin=old.read_bytes())
        for commit in (record["head"], "HEAD"):
            committed = self.project.git.run("rev-parse", f"{commit}:{self.project.prefix}{path}")
            if committed.stdout.decode().strip() == oid:
                return True
        return False

    # ------------------------------------------------------------------------------------ helpers

    def _find_touched(self, record: Mapping[str, Any]) -> list[str]:
        """Return the files of an update that an undo changes."""
        if record["state"] == "done":
            return list(record["paths"])
        root, work, paths = self.project.folder, self._work(record), record["paths"]
        staged = {path for n, path in enumerate(paths) if exists(work / "new" / str(n))}
        exchanged = {
            path
            for path in staged & {*record["saved"]}
            if describe(work / "new" / str(paths.index(path))) != record["written"].get(path)
        }
        aside = {
            path
            for number, path in enumerate(record["saved"])
            if exists(work / "files" / str(number))
        }
        added = {path for path in record["added"] if exists(root / path)} - staged
        return [path for path in paths if path in aside | exchanged | added]

    def _find_later(self, record: Mapping[str, Any]) -> list[str]:
        """Return the files with content that is neither the update's nor what was there before."""
        root, found = self.project.folder, []
        for path, written in record.get("written", {}).items():
            now = describe(root / path)
            if now in ("", "folder") or has_content(now, written) or _find_behind(root, path):
                continue
            if path in record["saved"]:
                number = record["saved"].index(path)
                if describe(self._work(record) / "files" / str(number)) == now:
                    continue
            found.append(path)
        return sorted(found)

    def _read(self) -> dict[str, Any]:
        """Read the record.

        Raises:
            SetupError: when it cannot be read, or parts of it are missing.
        """
        try:
            record = json.loads(self._record.read_text())
            missing = _PARTS - {*record}
            if not missing:
                return dict(record)
            reason = f"it has no {min(missing)}"
        except OSError as error:
            reason = str(error.strerror)
        except (ValueError, TypeError, RecursionError):
            reason = "it is not JSON"
        work = self._beside if self._beside.is_dir() else self.folder
        both = " and ".join(str(folder) for folder in dict.fromkeys((work, self.folder)))
        raise SetupError(
            f"{self._record} is damaged ({reason}); what the update replaced is in {work}/files: "
            f"copy from there what you need, then delete {both}"
        )


def find_project(folder: Path, answers_file: str | None = None) -> Project:
    """Find the project of a folder, as `Project.at` does.

    Args:
        folder: the folder that the template was rendered into.
        answers_file: the file's path below the folder; None to look for it.

    Raises:
        SetupError: when it has no answers file, or an interrupted update has moved that aside.
    """
    try:
        return Project.at(folder, answers_file)
    except SetupError:
        journal = None
        with contextlib.suppress(SetupError, GitError):
            journal = Journal(Project.anywhere(folder))
        if journal:
            journal.require_settled()
        raise


def _find_free_copy(folder: Path, path: str) -> Path:
    """Return where a copy of a file goes below a folder, and create the folders that it needs."""
    copy, number = folder / path, 1
    while exists(copy) or _find_behind(folder, copy.relative_to(folder).as_posix()):
        number += 1
        copy = folder / str(number) / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    return copy


@contextlib.contextmanager
def _hold_signals() -> Iterator[Callable[[], bool]]:
    """Let signals that end the command wait: half of an undo would need another one.

    Yields:
        A function that returns whether one is waiting.
    """
    ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        yield lambda: bool(signal.sigpending() & ending)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def show_copy(copy: Path) -> str:
    """Return how to name a copy to the user: from the current folder if it is below that."""
    with contextlib.suppress(ValueError):
        copy = copy.relative_to(Path.cwd())
    return shlex.quote(show_path(str(copy)))


def describe_error(error: BaseException) -> str:
    """Return the reason of an error in a few words."""
    if isinstance(error, GitError):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) if isinstance(error, Exception) else "interrupted"


def _is_saved(plan: Plan, path: str) -> bool:
    """Check whether an update moves what is at a path aside; it does not touch submodules."""
    return path in plan.before and plan.before[path].mode != SUBMODULE


def _find_behind(root: Path, path: str) -> Path | None:
    """Return the file or link that is where a path has a folder, if there is one."""
    for above in reversed(list((root / path).parents)[: path.count("/")]):
        if above.is_symlink() or (exists(above) and not above.is_dir()):
            return above
    return None


def _write(
    source: Path | None, root: Path, path: str, aside: Path | None, entry: Entry | None
) -> None:
    """Move what is at a path aside, and put the update's file there.

    Args:
        source: the file; None where there is none to write.
        root: the project's folder.
        path: where the file goes.
        aside: where the old file goes; None where there is none.
        entry: what the update has there; None to delete the file, and folders empty without it.

    Raises:
        OSError: when it cannot be done.
    """
    place = root / path
    if aside:
        move_aside(place, aside, source)
    if entry is None:
        for above in list(place.parents)[: path.count("/")]:
            try:
                above.rmdir()
            except OSError:
                return
    elif source is None:
        place.mkdir(parents=True, exist_ok=True)  # A submodule.
    elif aside is None:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir() and not place.is_symlink():
            _remove_empty(place)
        put(source, place)


def _set_mode(staged: Path, place: Path, entry: Entry) -> None:
    """Give a new file the permissions of the old one, and the executable bit of the update's."""
    if staged.is_symlink():
        return
    there = place.is_file() and not place.is_symlink()
    mode = stat.S_IMODE((place if there else staged).stat().st_mode)
    readable = (mode & 0o444) >> 2
    staged.chmod(mode | readable if entry.mode == "100755" else mode & ~0o111)


def _remove_empty(folder: Path) -> None:
    """Delete a folder with nothing but folders in it."""
    for place, _, _ in os.walk(folder, topdown=False):
        Path(place).rmdir()


def _sync(folder: Path, deep: bool = True) -> None:
    """Make sure that what is in a folder survives a power cut."""
    below = [item for item in folder.rglob("*") if item.is_file()] if deep else []
    for place in (*below, folder):
        if place.is_symlink():
            continue
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
