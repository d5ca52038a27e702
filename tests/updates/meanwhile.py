"""Other programs that change a repository while an update runs, at points that a test chooses.

A command runs in a child process, in which an audit hook counts points: each change of a file
below the repository, and each start of git.  At a point the child saves something as an editor
does, or is killed.  So each interleaving is exact, and can be repeated.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.repositories.template import git

_CHANGES = {
    "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink",
    "os.truncate", "os.utime", "shutil.rmtree",
}  # fmt: skip

Action = tuple[str, str, str]
"""A kind of action of `Actions`, the path it is about, and the line that it saves."""


@dataclass(frozen=True)
class Ran:
    """How a command ended.

    Attributes:
        code: its exit code; negative for a signal.
        stdout: what it printed.
        stderr: likewise.
        events: what the command was about to do at each point.
        writing: at which point it began to change the work tree; 0 if it did not.
        saved: the lines that were saved meanwhile.
    """

    code: int
    stdout: str
    stderr: str
    events: Sequence[str]
    writing: int
    saved: Sequence[str]

    @property
    def points(self) -> int:
        """How many points there were, or until it was killed."""
        return len(self.events)

    def find(self, text: str) -> int:
        """Return the first point of which the event has a text in it."""
        return next(number for number, event in enumerate(self.events, 1) if text in event)


def run(repository: Path, arguments: Sequence[str], actions: Mapping[int, Sequence[Action]]) -> Ran:
    """Run packer-toolkit in a repository, with actions before its points.

    Args:
        repository: the repository; files about the run are put beside it.
        arguments: the command and its options.
        actions: what happens, by the point before which it does; 1 is the first.
    """
    log = repository.with_name(f"{repository.name}.run")
    log.mkdir(exist_ok=True)
    for name in ("stdout", "stderr", "saved", "points"):
        (log / name).write_text("")
    with warnings.catch_warnings():
        # Newer Pythons warn of forks beside threads: the child uses none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _live_in_child(repository, arguments, actions, log)
    _, status = os.waitpid(child, 0)
    points = [json.loads(line) for line in (log / "points").read_text().splitlines()]
    writing = [number for number, point in enumerate(points, start=1) if point[0]]
    return Ran(
        os.waitstatus_to_exitcode(status),
        (log / "stdout").read_text(),
        (log / "stderr").read_text(),
        [point[1] for point in points],
        writing[0] if writing else 0,
        (log / "saved").read_text().splitlines(),
    )


def _live_in_child(
    repository: Path, arguments: Sequence[str], actions: Mapping[int, Sequence[Action]], log: Path
) -> None:
    """Run the command; never returns."""
    code = 70
    try:
        os.chdir(repository)
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(log / name, os.O_WRONLY | os.O_APPEND), number)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.argv = ["packer-toolkit", *arguments]
        _Hook(repository, actions, log)
        from packer_toolkit.cli.main import main

        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class _Hook:
    """Counts points, and makes the actions before them."""

    def __init__(
        self, repository: Path, actions: Mapping[int, Sequence[Action]], log: Path
    ) -> None:
        self._repository = str(repository)
        self._git = f"{repository}/.git"
        self._actions = actions
        self._log = log
        self._count = 0
        self._is_busy = False
        self._do = Actions(repository)
        sys.addaudithook(self._look)

    def _look(self, event: str, details: tuple[Any, ...]) -> None:
        if self._is_busy or not self._is_point(event, details):
            return
        self._is_busy = True
        try:
            self._count += 1
            places = [str(item) for item in details[:2] if isinstance(item, (str, os.PathLike))]
            is_writing = event in _CHANGES and any(
                "never-exists" not in place
                and place.startswith(f"{self._repository}/")
                and not place.startswith(self._git)
                for place in places
            )
            with (self._log / "points").open("a") as file:
                file.write(f"{json.dumps([is_writing, f'{event} {places}'])}\n")
            for name, path, line in self._actions.get(self._count, ()):
                if name.startswith("SIG"):
                    self._is_busy = False
                    os.kill(os.getpid(), getattr(signal, name))
                elif self._do.make(name, path, line):
                    with (self._log / "saved").open("a") as file:
                        file.write(f"{line}\n")
        finally:
            self._is_busy = False

    def _is_point(self, event: str, details: tuple[Any, ...]) -> bool:
        if event == "subprocess.Popen":
            return True
        if event == "open":
            mode, flags = details[1], details[2]
            writes = isinstance(mode, str) and set("wax+") & set(mode)
            if not writes and not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)):
                return False
        elif event not in _CHANGES:
            return False
        return str(details[0]).startswith(self._repository)


class Actions:
    """What a user and other programs do in a repository."""

    def __init__(self, repository: Path) -> None:
        self._root = repository
        self._buffers: dict[str, bytes] = {}
        self._open: dict[str, Any] = {}
        # Editors opened all files before the update.
        for file in repository.rglob("*"):
            path = file.relative_to(repository)
            if path.parts[0] != ".git" and file.is_file() and not file.is_symlink():
                self._buffers[str(path)] = file.read_bytes()
                self._open[str(path)] = file.open("r+b", buffering=0)

    def make(self, name: str, path: str, line: str) -> bool:
        """Make an action, and return whether it was possible: a line is saved by it then."""
        try:
            getattr(self, name)(path, line.encode() + b"\n")
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def append(self, path: str, line: bytes) -> None:
        """Append, as a shell does: the file is created where it is missing."""
        with (self._root / path).open("ab") as file:
            file.write(line)

    def save(self, path: str, line: bytes) -> None:
        """Write an editor's text over the file, as most editors do."""
        (self._root / path).write_bytes(self._text(path, line))

    def save_by_rename(self, path: str, line: bytes) -> None:
        """Write another file and rename it, as careful editors do."""
        other = self._root / path
        other = other.with_name(f".{other.name}.swp")
        other.write_bytes(self._text(path, line))
        other.rename(self._root / path)

    def save_into_open_file(self, path: str, line: bytes) -> None:
        """Write into the file that has been open since before the update."""
        handle = self._open[path]
        handle.seek(0, os.SEEK_END)
        handle.write(line)

    def save_over_a_backup(self, path: str, line: bytes) -> None:
        """Rename the file and write a new one, as some editors do."""
        place = self._root / path
        place.rename(place.with_name(f"{place.name}~"))
        place.write_bytes(self._text(path, line))

    def make_link(self, path: str, line: bytes) -> None:
        """Rename the file, write into it, and leave a link to it."""
        place, other = self._root / path, self._root / "linked.txt"
        place.rename(other)
        place.symlink_to(os.path.relpath(other, place.parent))
        with other.open("ab") as file:
            file.write(line)

    def make_folder(self, path: str, line: bytes) -> None:
        """Put a folder with the file in it in the file's place."""
        place = self._root / path
        other = place.with_name(f"{place.name}.moved")
        place.rename(other)
        place.mkdir()
        other.rename(place / "inside.txt")
        with (place / "inside.txt").open("ab") as file:
            file.write(line)

    def change_mode(self, path: str, line: bytes) -> None:
        """Make a file private, after a line was appended."""
        self.append(path, line)
        (self._root / path).chmod(0o600)

    def create(self, path: str, line: bytes) -> None:
        """Create a file, such as one that the release brings."""
        (self._root / path).parent.mkdir(parents=True, exist_ok=True)
        with (self._root / path).open("xb") as file:
            file.write(line)

    def create_ignored(self, path: str, line: bytes) -> None:
        """Create a file that git ignores."""
        exclude = self._root / ".git/info/exclude"
        exclude.parent.mkdir(exist_ok=True)
        with exclude.open("a") as file:
            file.write(f"/{path}\n")
        self.create(path, line)

    def commit(self, path: str, line: bytes) -> None:
        """Append, and commit all changes."""
        self.append(path, line)
        git(self._root, "commit", "--quiet", "--all", "-m", "Meanwhile")

    def stage(self, path: str, line: bytes) -> None:
        """Append, and stage the file."""
        self.append(path, line)
        git(self._root, "add", "--", path)

    def stash(self, path: str, line: bytes) -> None:
        """Append, and put everything aside."""
        self.append(path, line)
        git(self._root, "stash", "--quiet", "--include-untracked")

    def check_out(self, path: str, line: bytes) -> None:
        """Append, and go to another branch."""
        self.append(path, line)
        git(self._root, "checkout", "--quiet", "-B", "other")

    def lock_index(self, path: str, line: bytes) -> None:
        """Lock git's index, as a git command does while it changes it."""
        del path, line
        (self._root / ".git/index.lock").touch(exist_ok=False)

    def unlock_index(self, path: str, line: bytes) -> None:
        """Stage a new file, and unlock the index."""
        (self._root / ".git/index.lock").unlink()
        self.stage(path, line)

    def _text(self, path: str, line: bytes) -> bytes:
        text = self._buffers.get(path, b"") + line
        self._buffers[path] = text
        return text


def find_lost(repository: Path, lines: Sequence[str], printed: str) -> list[str]:
    """Return the lines that are in no file, in no commit and not staged, and in no named copy."""
    texts = [_read_files(repository), _read_git(repository), _read_named(repository, printed)]
    there = set(b"\n".join(texts).splitlines())
    return [line for line in lines if line.encode() not in there]


def _read_files(folder: Path) -> bytes:
    texts = []
    for place, folders, names in os.walk(folder):
        if ".git" in folders and Path(place) == folder:
            folders.remove(".git")
        for name in names:
            file = Path(place, name)
            if file.is_file():
                texts.append(file.read_bytes())
    return b"\n".join(texts)


def _read_git(repository: Path) -> bytes:
    """Return what is committed, stashed or staged: what no garbage collection deletes."""
    oids = [
        line.split(" ")[0]
        for line in git(repository, "rev-list", "--all", "--reflog", "--objects").split("\n")
    ]
    staged = git(repository, "ls-files", "--stage", "-z").split("\0")
    oids += [line.split(" ")[1] for line in staged if line]
    return subprocess.run(
        ["git", "-C", str(repository), "cat-file", "--batch"],
        input="\n".join(oids).encode(),
        capture_output=True,
        check=True,
    ).stdout


def _read_named(repository: Path, printed: str) -> bytes:
    """Return what is in the copies that a command has named; each object and file has to exist."""
    texts = []
    for oid in re.findall(r"git cat-file -p ([0-9a-f]{40,64})", printed):
        command = ["git", "-C", str(repository), "cat-file", "-p", oid]
        texts.append(subprocess.run(command, capture_output=True, check=True).stdout)
    for line in printed.splitlines():
        for word in shlex.split(line.replace("'s ", "s ")):
            copy = repository / word.rstrip(".;,")
            if ".git/packer-toolkit-kept" not in str(copy):
                continue
            if copy.is_dir():
                texts.append(_read_files(copy))
            elif not copy.is_symlink():
                texts.append(copy.read_bytes())
    return b"\n".join(texts)
