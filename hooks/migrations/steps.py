"""Building blocks for migrations; docs/releasing.md explains when and how to write one.

A migration is a function named after its release and its subject, in `hooks/migrations/vX_Y_Z.py`.
Copier runs that file once for each stage, in the team's repository, when it updates from an older
release to that one or a newer one:

before  the answers file and all other files are as committed by the team; change answers here
after   the new release is rendered, and the team's edits are reapplied; rename files here

Only packages that Copier itself requires can be imported.  An exception aborts the update, so
raise one only if the team would otherwise lose something.
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
    """The mode and the content of a file in git."""

    mode: str
    content: bytes


@dataclass(frozen=True)
class Update:
    """An update of a team's repository, which is the working directory.

    Attributes:
        template: Checkout of the template's new release, with its whole history.
        release: Release that the repository is updated from, as its answers file records it.
        answers_file: Path of the answers file, relative to the repository.
    """

    template: Path
    release: str
    answers_file: str

    # ------------------------------------------------------------------------- stage "before"

    def map_answer(self, question: str, new: Mapping[Any, Any], reason: str) -> None:
        """Replace an answer that the new release no longer accepts, and print a note.

        Args:
            question: Name of the question.
            new: New answer for each old answer that is no longer accepted; others are kept.
            reason: Reason of the change, as a clause for the note.
        """
        answers = self.read_answers()
        old = answers.get(question)
        if old in new:
            self.change_answers({question: new[old]})
            say(f"{question} changed from {old!r} to {new[old]!r}: {reason}")

    def read_answers(self) -> dict[str, Any]:
        """Read the recorded answers."""
        text = Path(self.answers_file).read_text(encoding="utf-8")
        return dict(yaml.safe_load(text) or {})

    def change_answers(self, changes: Mapping[str, Any]) -> None:
        """Write answers to the answers file, before Copier reads it for the new release."""
        text = yaml.safe_dump({**self.read_answers(), **changes}, allow_unicode=True)
        Path(self.answers_file).write_text(f"# Written by Copier\n{text}", encoding="utf-8")

    # -------------------------------------------------------------------------- stage "after"

    def rename(self, old: str, new: str) -> None:
        """Apply the team's edits of a file to the file with its new name.

        Without this, Copier removes the old file with the team's edits, and creates the new file
        even if the team had deleted the old one.

        Args:
            old: Path in the previous release, relative to the repository.
            new: Path in the release of this migration.
        """
        base = self._render_old_file(old)
        target = Path(new)
        if base is None or not os.path.lexists(target):
            return  # the team never had the file, or no longer has the demo
        ours, theirs = _read_committed(old), _read_committed(new)
        if ours is None and theirs is None:
            target.unlink()  # the team had deleted the file
        elif ours is None or ours == base:
            return
        elif theirs is not None or not (_is_text(ours) and _is_text(base)):
            _write(Path(old), ours)
            say(f"{old} is now named {new}; your version could not be merged and is kept as {old}")
        elif not _is_conflict(target):  # otherwise this has already run, or template-update did it
            _merge(target, ours, base, (f"{old}, before updating", "last update", "after updating"))
            # Copier has removed the old file; template-update keeps it if git detects no rename.
            if target.exists() and Path(old).exists() and target.samefile(old):
                Path(old).rename(target)  # the file system ignores case
            else:
                Path(old).unlink(missing_ok=True)
            say(f"{old} is now named {new}; your changes were applied to it")

    def _render_old_file(self, path: str) -> Blob | None:
        """Return a file as the old release rendered it with these answers, or None."""
        answers = dict(yaml.safe_load(_run_git("show", f"HEAD:./{self.answers_file}")))
        if not answers.get("keep_demo") and path in self._read_old_template(MANIFEST).splitlines():
            return None
        entry = _run_git("ls-tree", self.release, "--", f"template/{path}", cwd=self.template)
        if entry:
            content = _run_git_raw("show", f"{self.release}:template/{path}", cwd=self.template)
            return Blob(entry.split()[0], content)
        if not self._read_old_template(f"template/{path}.jinja"):
            return None
        return self._render_with_copier(path, answers)

    def _read_old_template(self, path: str) -> str:
        """Return a file of the old release of the template, or "" if it does not exist."""
        if not _run_git("ls-tree", self.release, "--", path, cwd=self.template):
            return ""
        return _run_git("show", f"{self.release}:{path}", cwd=self.template)

    def _render_with_copier(self, path: str, answers: Mapping[str, Any]) -> Blob:
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
            rendered = Path(folder, path)
            return Blob(
                "100755" if os.access(rendered, os.X_OK) else "100644", rendered.read_bytes()
            )


Migration = Callable[[Update], None]


def run(*, before: Sequence[Migration] = (), after: Sequence[Migration] = ()) -> None:
    """Run the migrations of the current stage in order; Copier sets the stage in STAGE."""
    job = json.loads(sys.argv[1])
    update = Update(Path(job["template"]), job["release"], job["answers_file"])
    for migration in before if os.environ["STAGE"] == "before" else after:
        migration(update)


def say(line: str) -> None:
    """Print a note to stderr, like Copier."""
    sys.stderr.write(f"Note: {line}\n")


# -------------------------------------------------------------------------------------------- git


def _run_git_raw(*args: str, cwd: Path | None = None, stdin: bytes | None = None) -> bytes:
    command = ["git", *args]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, input=stdin).stdout


def _run_git(*args: str, cwd: Path | None = None, stdin: str | None = None) -> str:
    return os.fsdecode(
        _run_git_raw(*args, cwd=cwd, stdin=None if stdin is None else os.fsencode(stdin))
    )


def _read_committed(path: str) -> Blob | None:
    entry = _run_git("ls-tree", "HEAD", "--", path)
    if not entry:
        return None
    mode, kind, *_ = entry.split()
    return Blob(mode, _run_git_raw("show", f"HEAD:./{path}") if kind == "blob" else b"")


def _is_text(blob: Blob) -> bool:
    return blob.mode in {"100644", "100755"} and b"\0" not in blob.content


def _is_conflict(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    return any(line.startswith(b"<<<<<<< ") for line in path.read_bytes().splitlines())


def _write(path: Path, blob: Blob) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        path.unlink()  # never write through a symbolic link
    if blob.mode == "120000":
        path.symlink_to(os.fsdecode(blob.content))
        return
    path.write_bytes(blob.content)
    path.chmod(0o755 if blob.mode == "100755" else 0o644)


def _merge(path: Path, ours: Blob, base: Blob, labels: Sequence[str]) -> None:
    """Merge a team's file into the one of the new release, and mark a conflict like Copier."""
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
        full = f"{_run_git('rev-parse', '--show-prefix').strip()}{path.as_posix()}"
        none = "0" * len(_run_git("rev-parse", "HEAD").strip())  # 40 digits, or 64 with SHA-256
        lines = [f"0 {none}\t{full}"]
        for stage, blob in enumerate((base, ours, new), start=1):
            name = _run_git_raw("hash-object", "-w", "--stdin", stdin=blob.content).decode().strip()
            lines.append(f"{blob.mode} {name} {stage}\t{full}")
        _run_git("update-index", "--index-info", stdin="\n".join(lines) + "\n")


__all__ = ["Migration", "Update", "run", "say"]
