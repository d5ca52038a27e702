"""Histories of a team's edits, drawn by hypothesis, and the edits themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from rig.small_template import RELEASES
from rig.template import git

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
    st.tuples(st.just("move"), st.tuples(_paths, st.one_of(_own, _paths))),
    st.tuples(st.just("copy"), st.tuples(_paths, _own)),
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


class Team:
    """Makes edits in a repository.  An edit that makes no sense there is left out."""

    def __init__(self, repository: Path) -> None:
        self._root = repository
        self._count = 0
        self.ignored: set[str] = set()

    def commit(self, edits: Sequence[Edit]) -> None:
        """Make edits and commit them."""
        for name, arguments in edits:
            edit: Callable[..., None] = getattr(self, name)
            try:
                edit(*arguments)
            except (FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError):
                continue  # A folder is a file by now, or the other way round.
        git(self._root, "add", "--all")
        git(self._root, "commit", "--quiet", "--allow-empty", "-m", "The team's")

    def insert(self, path: str, place: int, text: bytes) -> None:
        """Add a line; most are like no other."""
        lines = self._lines(path)
        lines.insert(min(place, len(lines)), self._line(text))
        self._write(path, b"".join(lines))

    def change(self, path: str, place: int, text: bytes) -> None:
        """Change a line."""
        lines = self._lines(path)
        if lines:
            lines[place % len(lines)] = self._line(text)
            self._write(path, b"".join(lines))

    def delete_line(self, path: str, place: int) -> None:
        """Delete a line."""
        lines = self._lines(path)
        if lines:
            del lines[place % len(lines)]
            self._write(path, b"".join(lines))

    def move_line(self, path: str, place: int, target: int) -> None:
        """Move a line to another place."""
        lines = self._lines(path)
        if lines:
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
        place = self._root / path
        if not place.exists() and not place.is_symlink():
            self._write(path, self._line(text) + b"own\n")

    def add_binary(self, path: str) -> None:
        """Write what is no text."""
        self._write(path, b"\0\1\2 team" + bytes(range(200)))

    def add_ignored(self, path: str, text: bytes) -> None:
        """Add a file that git does not know, maybe because the team told it so."""
        place = self._root / path
        if place.exists() or place.is_symlink():
            return
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
        for number, path in enumerate(paths):
            self.ignored.discard(path)
            (self._root / path).rename(self._root / f"kept-{len(self.ignored)}-{number}")

    def delete(self, path: str) -> None:
        """Delete a file."""
        if path not in self.ignored:
            (self._root / path).unlink()

    def move(self, path: str, target: str) -> None:
        """Move a file, over another one maybe."""
        if path in self.ignored or target in self.ignored:
            return
        (self._root / target).parent.mkdir(parents=True, exist_ok=True)
        (self._root / path).rename(self._root / target)

    def copy(self, path: str, target: str) -> None:
        """Copy a file."""
        if target not in self.ignored and not (self._root / target).is_symlink():
            self._write(target, (self._root / path).read_bytes())

    def mode(self, path: str) -> None:
        """Turn the executable bit around."""
        place = self._root / path
        if not place.is_symlink():
            place.chmod(place.stat().st_mode ^ 0o111)

    def to_link(self, path: str, target: str) -> None:
        """Make a link of a file, or lead a link elsewhere."""
        place = self._root / path
        if path not in self.ignored:
            place.unlink()
            place.symlink_to(target)

    def folder_to_link(self, path: str) -> None:
        """Move a folder away, and leave a link to it."""
        place = self._root / path
        if place.is_symlink() or not place.is_dir() or (self._root / "moved").exists():
            return
        if any(ignored.startswith(f"{path}/") for ignored in self.ignored):
            return
        place.rename(self._root / "moved")
        place.symlink_to("moved")

    def to_folder(self, path: str) -> None:
        """Make a folder with a file in it, where a file was."""
        if path in self.ignored:
            return
        (self._root / path).unlink()
        self._write(f"{path}/inside.txt", self._line(b"inside"))

    def _line(self, text: bytes) -> bytes:
        self._count += 1
        if text in (b"}", b"", b"=======", b"<<<<<<< before updating", b"build 3, better"):
            return text + b"\n"
        number = f" {self._count}".encode()
        return (text[:-1] + number + b"\r\n") if text.endswith(b"\r") else text + number + b"\n"

    def _lines(self, path: str) -> list[bytes]:
        place = self._root / path
        if place.is_symlink() or path in self.ignored:
            raise FileNotFoundError(path)
        return place.read_bytes().splitlines(keepends=True)

    def _write(self, path: str, text: bytes) -> None:
        place = self._root / path
        if path in self.ignored or place.is_symlink():
            raise FileExistsError(path)
        if any(above.is_symlink() for above in list(place.parents)[: path.count("/")]):
            raise FileExistsError(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text)
