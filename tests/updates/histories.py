"""Histories of a team's edits, drawn by hypothesis, and the edits themselves."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from rig.repositories.small_template import RELEASES
from rig.repositories.template import git

# What the template has in some release, and paths where a team may put something of its own: some
# that a later release claims, some that it turns into a folder or a file.
TEMPLATE_PATHS = (
    "README.md", ".gitignore", "build.hcl", "sources.hcl", "run.sh", "plain.sh", "tool", "link",
    "scripts/10-first.sh", "scripts/README.md", "lib/one.txt", "lib/two.txt", "logo.bin",
    "latin.txt", "windows.txt", "gone.txt", "old-name.txt", "no-newline.txt",
)  # fmt: skip
OWN_PATHS = (
    "own.txt", "scripts/15-own.sh", "lib/own.txt", "deep/er/own.txt", "tool.d/own",
    "with space.txt", "gr\u00fc\u00dfe \u2603.txt", "-dash.txt", "[glob]*.txt", 'quo"te.txt',
    "line\nbreak.txt", "back\\slash",
    "added.txt", "new-name.txt", "provision.hcl", "scripts/20-second.sh", "lib/three.txt",
    "tool/main.txt", "tool/own.txt", "scripts/20-second.sh/own.txt", "added.txt/own.txt",
)  # fmt: skip
IGNORED_PATHS = (
    "notes.log", "manifest.json", "packer_cache/x", "scripts/y.log",
    # Ignored by a line of the team's own: at paths of later releases.
    "added.txt", "provision.hcl", "scripts/20-second.sh", "new-name.txt", "lib.log/own",
)  # fmt: skip

Edit = tuple[str, tuple[object, ...]]


@dataclass(frozen=True)
class History:
    """What a team does between updates.

    Attributes:
        start: the release that the repository is made by.
        stations: for each update, the commits before it, the release to update to, and whether
            the update is taken back once before it is taken for good.
    """

    start: str
    stations: tuple[tuple[tuple[tuple[Edit, ...], ...], str, bool], ...]


def are_apart(paths: tuple[str, str]) -> bool:
    """Check whether two files can exist side by side: neither is, or is below, the other one."""
    one, other = (f"{path.casefold()}/" for path in paths)
    return not one.startswith(other) and not other.startswith(one)


_paths = st.sampled_from(TEMPLATE_PATHS + TEMPLATE_PATHS + OWN_PATHS)
_own = st.sampled_from(OWN_PATHS)
_place = st.integers(0, 25)
_texts = st.sampled_from(
    [b"team", b"}", b"", b"caf\xe9 team", "\u00fc \u2603 team".encode(), b"team\r", b"  team",
     b"<<<<<<< before updating", b"=======", b"echo one", b"build 3, better"]
)  # fmt: skip
_edits = st.one_of(
    st.tuples(st.just("insert"), st.tuples(_paths, _place, _texts)),
    st.tuples(st.just("insert"), st.tuples(_paths, _place, _texts)),
    st.tuples(st.just("change"), st.tuples(_paths, _place, _texts)),
    st.tuples(st.just("change"), st.tuples(_paths, _place, _texts)),
    st.tuples(st.just("delete_line"), st.tuples(_paths, _place)),
    st.tuples(st.just("move_line"), st.tuples(_paths, _place, _place)),
    st.tuples(st.just("line_endings"), st.tuples(_paths)),
    st.tuples(st.just("last_line_break"), st.tuples(_paths)),
    st.tuples(st.just("add"), st.tuples(_own, _texts)),
    st.tuples(st.just("add_binary"), st.tuples(_paths)),
    st.tuples(st.just("add_ignored"), st.tuples(st.sampled_from(IGNORED_PATHS), _texts)),
    st.tuples(st.just("delete"), st.tuples(_paths)),
    st.tuples(st.just("move"), st.tuples(_paths, st.one_of(_own, _paths)).filter(are_apart)),
    st.tuples(st.just("copy"), st.tuples(_paths, _own).filter(are_apart)),
    st.tuples(st.just("mode"), st.tuples(_paths)),
    st.tuples(
        st.just("to_link"), st.tuples(_paths, st.sampled_from(["README.md", "gone", "../x"]))
    ),
    st.tuples(st.just("folder_to_link"), st.tuples(st.sampled_from(["lib", "scripts", "deep"]))),
    st.tuples(st.just("to_folder"), st.tuples(_paths)),
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw a history: where it starts, the edits, and one to three updates."""
    start = draw(st.integers(0, len(RELEASES) - 2))
    stops = draw(
        st.lists(st.integers(start + 1, len(RELEASES) - 1), min_size=1, max_size=2, unique=True)
    )
    commits = st.lists(st.lists(_edits, min_size=1, max_size=5).map(tuple), min_size=1, max_size=3)
    stations = tuple(
        (tuple(draw(commits)), RELEASES[stop], draw(st.booleans())) for stop in sorted(stops)
    )
    return History(RELEASES[start], stations)


class Impossible(Exception):  # noqa: N818 - not an error: the edit is left out
    """An edit cannot be made in the present state of the repository."""


class Team:
    """Makes edits in a repository; one that is impossible in its present state is left out.

    Each edit checks what it needs before it changes anything.  So an OSError is a fault of this
    class, and never of the product.

    Attributes:
        ignored: files that git does not know.
        made: how many edits were made.
    """

    def __init__(self, repository: Path) -> None:
        self._root = repository
        self._count = 0
        self._renamed = 0
        self.ignored: set[str] = set()
        self.made = 0

    def commit(self, edits: Sequence[Edit]) -> None:
        """Make edits and commit them."""
        for name, arguments in edits:
            self.edit(name, arguments)
        git(self._root, "add", "--all")
        git(self._root, "commit", "--quiet", "--allow-empty", "-m", "The team's")

    def edit(self, name: str, arguments: Sequence[object]) -> bool:
        """Make an edit, and return whether it was possible."""
        edit: Callable[..., None] = getattr(self, name)
        try:
            edit(*arguments)
        except Impossible:
            return False
        self.made += 1
        return True

    def insert(self, path: str, place: int, text: bytes) -> None:
        """Add a line; most are like no other."""
        lines = self._lines(path)
        lines.insert(min(place, len(lines)), self._line(text))
        self._write(path, b"".join(lines))

    def change(self, path: str, place: int, text: bytes) -> None:
        """Change a line."""
        lines = self._lines(path)
        _require(bool(lines))
        lines[place % len(lines)] = self._line(text)
        self._write(path, b"".join(lines))

    def delete_line(self, path: str, place: int) -> None:
        """Delete a line."""
        lines = self._lines(path)
        _require(bool(lines))
        del lines[place % len(lines)]
        self._write(path, b"".join(lines))

    def move_line(self, path: str, place: int, target: int) -> None:
        """Move a line to another place."""
        lines = self._lines(path)
        _require(bool(lines))
        line = lines.pop(place % len(lines))
        lines.insert(min(target, len(lines)), line)
        self._write(path, b"".join(lines))

    def line_endings(self, path: str) -> None:
        """Give a file the line endings of Windows."""
        text = b"".join(self._lines(path))
        self._write(path, text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    def last_line_break(self, path: str) -> None:
        """Take the last line break away."""
        self._write(path, b"".join(self._lines(path)).rstrip(b"\r\n"))

    def add(self, path: str, text: bytes) -> None:
        """Add a file of the team's own."""
        _require(self._is_free(path))
        self._write(path, self._line(text) + b"own\n")

    def add_binary(self, path: str) -> None:
        """Write what is not text."""
        self._write(path, b"\0\1\2 team" + bytes(range(200)))

    def add_ignored(self, path: str, text: bytes) -> None:
        """Add a file that git does not know, maybe because the team excludes it."""
        _require(self._is_free(path))
        exclude = self._root / ".git" / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)
        self._write(path, text + b"\nignored\n")
        with exclude.open("a") as file:
            file.write(f"/{path}\n")
        self.ignored.add(path)

    def rename_ignored(self, paths: Sequence[str]) -> None:
        """Give ignored files other names, under which they are ignored too."""
        with (self._root / ".git" / "info" / "exclude").open("a") as file:
            file.write("/kept-*\n")
        for path in paths:
            self.ignored.discard(path)
            self._renamed += 1
            (self._root / path).rename(self._root / f"kept-{self._renamed}")

    def delete(self, path: str) -> None:
        """Delete a file or link."""
        self._require_file(path)
        (self._root / path).unlink()

    def move(self, path: str, target: str) -> None:
        """Move a file or link, over another one maybe."""
        self._require_file(path)
        _require(are_apart((path, target)))
        self._require_place(target)
        (self._root / target).parent.mkdir(parents=True, exist_ok=True)
        (self._root / path).rename(self._root / target)

    def copy(self, path: str, target: str) -> None:
        """Copy a file."""
        self._write(target, b"".join(self._lines(path)))

    def mode(self, path: str) -> None:
        """Turn the executable bit of a file around."""
        self._require_file(path)
        place = self._root / path
        _require(not place.is_symlink())
        place.chmod(place.stat().st_mode ^ 0o111)

    def to_link(self, path: str, target: str) -> None:
        """Make a link of a file, or lead a link elsewhere; never to itself."""
        self._require_file(path)
        _require(path != target)
        place = self._root / path
        place.unlink()
        place.symlink_to(target)

    def folder_to_link(self, path: str) -> None:
        """Move a folder away, and leave a link to it."""
        place = self._root / path
        _require(place.is_dir() and not place.is_symlink())
        _require(self._is_free("moved"))
        _require(not any(ignored.startswith(f"{path}/") for ignored in self.ignored))
        place.rename(self._root / "moved")
        place.symlink_to("moved")

    def to_folder(self, path: str) -> None:
        """Make a folder with a file in it, where a file was."""
        self._require_file(path)
        (self._root / path).unlink()
        self._write(f"{path}/inside.txt", self._line(b"inside"))

    def _line(self, text: bytes) -> bytes:
        self._count += 1
        if text in (b"}", b"", b"=======", b"<<<<<<< before updating", b"build 3, better"):
            return text + b"\n"
        number = f" {self._count}".encode()
        return (text[:-1] + number + b"\r\n") if text.endswith(b"\r") else text + number + b"\n"

    def _lines(self, path: str) -> list[bytes]:
        self._require_file(path)
        _require(not (self._root / path).is_symlink())
        return (self._root / path).read_bytes().splitlines(keepends=True)

    def _write(self, path: str, text: bytes) -> None:
        self._require_place(path)
        place = self._root / path
        _require(not place.is_symlink())
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text)

    def _is_free(self, path: str) -> bool:
        return not os.path.lexists(self._root / path)

    def _require_file(self, path: str) -> None:
        """Require a file or link that git knows, in real folders."""
        self._require_place(path)
        _require(not self._is_free(path))

    def _require_place(self, path: str) -> None:
        """Require that a file of git's can be written there: in real folders, over no folder."""
        place = self._root / path
        _require(path not in self.ignored)
        _require(place.is_symlink() or not place.is_dir())
        for above in list(place.parents)[: path.count("/")]:
            _require(not above.is_symlink() and (above.is_dir() or not os.path.lexists(above)))


def _require(condition: bool) -> None:
    if not condition:
        raise Impossible
