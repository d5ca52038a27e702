"""What an update promises, looked at from outside: lines, bytes and git, not our merge."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from rig.repositories.template import git
from rig.run.updating import Answer, File, files, state, toolkit, unmerged

ANSWERS = ".copier-answers.yml"
MARKERS = (b"<<<<<<< before updating", b"=======", b">>>>>>> after updating")


@dataclass(frozen=True)
class Before:
    """A repository before an update.

    Attributes:
        old: the files as the release that it is at renders them.
        new: the same for the release to come.
        tracked: the repository's files that git knows.
        ignored: those that it ignores.
        state: all of it.
    """

    old: dict[str, File]
    new: dict[str, File]
    tracked: dict[str, File]
    ignored: dict[str, File]
    state: object


def look(repository: Path, old: Path, new: Path) -> Before:
    """Look at a repository before an update.

    Args:
        repository: the repository, committed.
        old: an untouched one of the release that it is at.
        new: an untouched one of the release to come.
    """
    there = files(repository)
    known = set(filter(None, _git_bytes(repository, "ls-files", "-z").split("\0")))
    return Before(
        old=files(old),
        new=files(new),
        tracked={path: file for path, file in there.items() if path in known},
        ignored={path: file for path, file in there.items() if path not in known},
        state=state(repository),
    )


def refused(repository: Path, before: Before, answer: Answer) -> list[str]:
    """Return the ignored files for which an update was refused; nothing may be changed then."""
    if answer.code != 3:
        return []
    assert "would be overwritten by the release" in answer.stderr, answer
    assert state(repository) == before.state
    brought = before.new.keys()
    return [
        path
        for path in before.ignored
        if path in brought
        or any(new.startswith(f"{path}/") or path.startswith(f"{new}/") for new in brought)
    ]


def check(repository: Path, before: Before, answer: Answer) -> None:
    """Make sure that an update kept its promises; the answer is that of --json."""
    assert answer.code in (0, 1), answer
    after = files(repository)
    conflicts = {item["path"] for item in answer.json["conflicts"]}
    renamed: dict[str, str] = answer.json["renamed"]
    # The verdict is right, and git's index agrees.
    assert answer.code == (1 if conflicts else 0), answer
    assert set(map(_printable, unmerged(repository))) == conflicts
    assert git(repository, "rev-parse", "HEAD") == dict(before.state)["head"]  # type: ignore[call-overload]
    if not conflicts:
        index = git(repository, "ls-files", "--stage", "-z", "--", ":/")
        assert index == dict(before.state)["index"]  # type: ignore[call-overload]
    # Nothing that git ignores is touched.
    for path, file in before.ignored.items():
        assert after.get(path) == file, f"ignored {path!r}"
    for path in {*before.old, *before.new, *before.tracked} - {ANSWERS}:
        _check_path(path, before, after, conflicts, renamed)
    # No other file has appeared.
    assert after.keys() <= before.new.keys() | before.tracked.keys() | before.ignored.keys()
    assert not [path for path in after if path.endswith((".rej", ".orig", ".packer-toolkit"))]


def _check_path(
    path: str,
    before: Before,
    after: dict[str, File],
    conflicts: set[str],
    renamed: dict[str, str],
) -> None:
    old, new, mine = before.old.get(path), before.new.get(path), before.tracked.get(path)
    found = after.get(path)
    shown = _printable(path)
    name = f"{path!r}: {mine} became {found}"
    if path in renamed.values() and mine is None:
        return  # Looked at by its old name.
    if mine is None:
        if old:
            # Deleted: it stays so. Something ignored may stand there now, which is not touched.
            assert found is None or path in before.ignored, f"deleted {name}"
        elif new and shown not in conflicts:
            assert found, f"new {name}"
            assert _same(found, new), f"new {name}"
        return
    if old and _same(mine, old):
        # Untouched: it is as the new release has it.
        if shown in conflicts:
            # Something of the team's is in the way: nothing is there, or what stood there.
            assert found is None or found == mine, f"in the way {name}"
        elif new is None:
            assert found is None, f"untouched {name}"
        else:
            assert found, f"untouched {name}"
            assert _same(found, new), f"untouched {name}"
        return
    # From here on it is the team's, or the team has changed it.
    if old is None and new is None:
        assert found == mine, f"own {name}"
        return
    target = after.get(renamed.get(shown, path))
    assert target, f"lost {name}"
    new = before.new.get(renamed.get(shown, path))
    conflicting = renamed.get(shown, shown) in conflicts
    expected = _must_conflict(old, mine, new)
    assert expected in (None, conflicting), f"conflict: {conflicting} for {name}, {new}"
    if mine.is_link or b"\0" in mine.content:
        # What cannot be merged by lines stays as it was, unless only its mode was the team's.
        assert target.content == mine.content or (old and mine.content == old.content), (
            f"kept {name}"
        )
        return
    template = set(old.content.splitlines()) if old and not old.is_link else set()
    written = [line for line in mine.content.splitlines() if line not in template]
    standing = target.content.splitlines()
    for line in written:
        assert line in standing, f"line {line!r} of {name}"
    if not old or mine.executable != old.executable:
        assert target.executable == mine.executable, f"mode of {name}"
    if not conflicting:
        # A clean merge leaves no marks but those that the team had.
        marks = {mark for mark in MARKERS if mark in standing} - set(mine.content.splitlines())
        assert not marks, f"marks in {name}"
        # And it has what the release brought, unless the team took it away.
        if new and old and not old.is_link and not new.is_link:
            _check_news(old, new, target, name)
    elif expected is None:
        # A conflict between lines is there for a person to see.
        found_marks = {line.rstrip(b"\r") for line in standing}
        assert set(MARKERS) <= found_marks, f"no marks in {name}"


def _must_conflict(old: File | None, mine: File, new: File | None) -> bool | None:
    """Tell whether a file that the team has changed or added has to be a conflict.

    Returns:
        None when that is a matter of lines.
    """
    if new is None:
        return old is not None
    if _same(mine, new) or (old and _same(old, new)):
        return False
    texts = [item for item in (old, mine, new) if item]
    if any(item.is_link for item in texts):
        return True
    if mine.content == new.content or (old and old.content in (mine.content, new.content)):
        return False  # Only the executable bit differs on one side.
    return True if any(b"\0" in item.content for item in texts) else None


def _check_news(old: File, new: File, found: File, name: str) -> None:
    news = set(new.content.splitlines()) - set(old.content.splitlines())
    if b"\0" in old.content:
        return
    for line in news:
        assert line in found.content.splitlines(), f"news {line!r} missing in {name}"


def _same(left: File, right: File) -> bool:
    """Tell whether git would call two files the same."""
    same = left.is_link == right.is_link and left.content == right.content
    return same and (left.is_link or left.executable == right.executable)


def _printable(path: str) -> str:
    from packer_toolkit.text.paths import show_path

    return show_path(path)


def _git_bytes(repository: Path, *arguments: str) -> str:
    import os

    command = ["git", "-C", str(repository), *arguments]
    return os.fsdecode(subprocess.run(command, check=True, capture_output=True).stdout)


__all__ = ["Before", "check", "look", "toolkit"]
