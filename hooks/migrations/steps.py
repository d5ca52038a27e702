"""What migrations are made of; docs/releasing.md says when one is needed and how it is wired.

A migration is a function named for its release and its subject, in `hooks/migrations/vX_Y_Z.py`.
Copier runs that file once for each stage, in the team's repository, on the way from any older
release to that one or a newer one:

before  the answers file and the tree are as the team committed them; answers are changed here
after   the new release is there, and the team's edits are applied again; files are moved here

Only Copier's own requirements can be imported here.  A migration that fails ends the update, so
it fails only where going on would lose something.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

MANIFEST = "hooks/demo-manifest.txt"


class Blob(NamedTuple):
    """A file as git has it."""

    mode: str
    content: bytes


@dataclass(frozen=True)
class Update:
    """One update of a team's repository, which is the working directory.

    Attributes:
        template: checkout of the template's new release, with its whole history.
        release: the release that the repository comes from, as its answers file names it.
        answers_file: where the answers are, below the repository.
    """

    template: Path
    release: str
    answers_file: str

    # ------------------------------------------------------------------------- stage "before"

    def map_answer(self, question: str, new: Mapping[Any, Any], reason: str) -> None:
        """Replace an answer that the new release does not take any longer, and say so.

        Args:
            question: the name of the question.
            new: what each answer that is gone becomes; other answers stay.
            reason: why, in half a sentence.
        """
        answers = self.answers()
        old = answers.get(question)
        if old in new:
            self.change_answers({question: new[old]})
            say(f"{question} was {old!r} and is {new[old]!r} now: {reason}")

    def answers(self) -> dict[str, Any]:
        """Return the recorded answers."""
        text = Path(self.answers_file).read_text(encoding="utf-8")
        return dict(yaml.safe_load(text) or {})

    def change_answers(self, changes: Mapping[str, Any]) -> None:
        """Write answers into the answers file, before Copier reads it for the new release."""
        text = yaml.safe_dump({**self.answers(), **changes}, allow_unicode=True)
        Path(self.answers_file).write_text(f"# Written by Copier\n{text}", encoding="utf-8")

    # -------------------------------------------------------------------------- stage "after"

    def rename(self, old: str, new: str) -> None:
        """Bring what a team did to a file along to the file's new name.

        Without this Copier removes the old file with the team's edits, and brings back under the
        new name what they had deleted.

        Args:
            old: path in the release before, below the repository.
            new: path in the release of this migration.
        """
        base = self._rendered(old)
        here = Path(new)
        if base is None or not os.path.lexists(here):
            return  # the team never had it, or has the demo no longer
        ours, already_there = _committed(old), _committed(new)
        if ours is None and already_there is None:
            here.unlink()  # they had deleted it
        elif ours is None or ours == base:
            return
        elif already_there is not None or not (_is_text(ours) and _is_text(base)):
            _write(Path(old), ours)
            say(f"{old} is called {new} now; yours could not be merged and was left as {old}")
        elif not _is_conflict(here):  # else this has run already, or template-update did it
            _merge(here, ours, base, (f"{old}, before updating", "last update", "after updating"))
            # Copier has removed it; template-update leaves it where git sees no rename.
            if here.exists() and Path(old).exists() and here.samefile(old):
                Path(old).rename(here)  # On a file system that ignores case.
            else:
                Path(old).unlink(missing_ok=True)
            say(f"{old} is called {new} now; your changes came along")

    def _rendered(self, path: str) -> Blob | None:
        """Return a file as the old release made it for these answers, None if it did not."""
        answers = dict(yaml.safe_load(_git("show", f"HEAD:./{self.answers_file}")))
        if not answers.get("keep_demo") and path in self._old(MANIFEST).splitlines():
            return None
        entry = _git("ls-tree", self.release, "--", f"template/{path}", cwd=self.template)
        if entry:
            content = _bytes("show", f"{self.release}:template/{path}", cwd=self.template)
            return Blob(entry.split()[0], content)
        if not self._old(f"template/{path}.jinja"):
            return None
        return self._made_by_copier(path, answers)

    def _old(self, path: str) -> str:
        """Return a file of the old release's template, "" if it has none."""
        if not _git("ls-tree", self.release, "--", path, cwd=self.template):
            return ""
        return _git("show", f"{self.release}:{path}", cwd=self.template)

    def _made_by_copier(self, path: str, answers: Mapping[str, Any]) -> Blob:
        import copier

        with tempfile.TemporaryDirectory() as folder:
            copier.run_copy(
                str(self.template),
                folder,
                {name: value for name, value in answers.items() if not name.startswith("_")},
                vcs_ref=self.release,
                defaults=True,
                overwrite=True,
                quiet=True,
                skip_tasks=True,
            )
            made = Path(folder, path)
            return Blob("100755" if os.access(made, os.X_OK) else "100644", made.read_bytes())


Migration = Callable[[Update], None]


def run(*, before: Sequence[Migration] = (), after: Sequence[Migration] = ()) -> None:
    """Run the migrations of one stage, in their order; Copier names the stage."""
    given = json.loads(sys.argv[1])
    update = Update(Path(given["template"]), given["release"], given["answers_file"])
    for migration in before if os.environ["STAGE"] == "before" else after:
        migration(update)


def say(line: str) -> None:
    """Tell the person, on stderr like Copier."""
    sys.stderr.write(f"Note: {line}\n")


# -------------------------------------------------------------------------------------------- git


def _bytes(*args: str, cwd: Path | None = None, given: bytes | None = None) -> bytes:
    command = ["git", *args]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, input=given).stdout


def _git(*args: str, cwd: Path | None = None, given: str | None = None) -> str:
    return os.fsdecode(_bytes(*args, cwd=cwd, given=None if given is None else os.fsencode(given)))


def _committed(path: str) -> Blob | None:
    entry = _git("ls-tree", "HEAD", "--", path)
    if not entry:
        return None
    mode, kind, *_ = entry.split()
    return Blob(mode, _bytes("show", f"HEAD:./{path}") if kind == "blob" else b"")


def _is_text(blob: Blob) -> bool:
    return blob.mode in {"100644", "100755"} and b"\0" not in blob.content


def _is_conflict(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    return any(line.startswith(b"<<<<<<< ") for line in path.read_bytes().splitlines())


def _write(path: Path, blob: Blob) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        path.unlink()  # never through a link
    if blob.mode == "120000":
        path.symlink_to(os.fsdecode(blob.content))
        return
    path.write_bytes(blob.content)
    path.chmod(0o755 if blob.mode == "100755" else 0o644)


def _merge(path: Path, ours: Blob, base: Blob, labels: Sequence[str]) -> None:
    """Merge a team's file into the new release's; a conflict is marked as git and Copier do."""
    new = Blob("100755" if os.access(path, os.X_OK) else "100644", path.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        sides = [Path(folder, name) for name in ("ours", "base", "new")]
        for side, blob in zip(sides, (ours, base, new), strict=True):
            side.write_bytes(blob.content)
        command = ["git", "merge-file", "-p"]
        for label in labels:
            command += ["-L", label]
        merged = subprocess.run([*command, *map(str, sides)], check=False, capture_output=True)
    if not 0 <= merged.returncode < 128:
        raise RuntimeError(f"{path} could not be merged: {os.fsdecode(merged.stderr)}")
    mode = ours.mode if ours.mode != base.mode else new.mode
    _write(path, Blob(mode, merged.stdout))
    if merged.returncode:
        full = f"{_git('rev-parse', '--show-prefix').strip()}{path.as_posix()}"
        none = "0" * len(_git("rev-parse", "HEAD").strip())  # 40 digits, or 64 of SHA-256
        lines = [f"0 {none}\t{full}"]
        for stage, blob in enumerate((base, ours, new), start=1):
            name = _bytes("hash-object", "-w", "--stdin", given=blob.content).decode().strip()
            lines.append(f"{blob.mode} {name} {stage}\t{full}")
        _git("update-index", "--index-info", given="\n".join(lines) + "\n")


__all__ = ["Migration", "Update", "run", "say"]
