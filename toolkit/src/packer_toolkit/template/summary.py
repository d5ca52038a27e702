"""The content of the pull request of an update, as data that one job passes to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from packer_toolkit.template.merge import Conflict
from packer_toolkit.template.trees import write_tree
from packer_toolkit.template.update_plan import UpdatePlan
from packer_toolkit.text.paths import show_path

# The length of each text and list that another job may pass.
_LONGEST_TEXT, _LONGEST_LIST = 100_000, 2_000
_LONGEST_DIFF = 6_000


@dataclass(frozen=True)
class ConflictNote:
    """A file with a conflict.

    Attributes:
        path: Its path.
        reason: Why it is a conflict.
        diff: What the release changes in it.
    """

    path: str
    reason: str
    diff: str


@dataclass(frozen=True)
class UpdateSummary:
    """What the readers of a pull request need to know about an update.

    Attributes:
        present: The release that the repository is at.
        release: The release to update to.
        conflicts: Files with conflicts.
        new: Questions that are asked for the first time -> the answer.
        changed: Question -> the answer before and after.
        gone: Questions that are no longer asked.
        renamed: Old path -> new path, of files that have the team's changes in them.
        kept_deleted: Files that the team deleted and the release changes.
        changelog: The changelog of the releases that it brings, in Markdown.
    """

    present: str
    release: str
    conflicts: list[ConflictNote] = field(default_factory=list)
    new: dict[str, str] = field(default_factory=dict)
    changed: dict[str, list[str]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    kept_deleted: list[str] = field(default_factory=list)
    changelog: str = ""

    def to_json(self) -> dict[str, Any]:
        """Convert the summary into values that JSON has."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> UpdateSummary:
        """Read what `to_json` returned, without trust: each part becomes a printable string.

        Raises:
            ValueError, TypeError, KeyError: A part is missing or has another type.
        """
        return cls(
            present=_read_line(data["present"]),
            release=_read_line(data["release"]),
            conflicts=[
                ConflictNote(
                    _read_line(item["path"]), _read_line(item["reason"]), _read_text(item["diff"])
                )
                for item in _read_list(data["conflicts"])
            ],
            new={_read_line(name): _read_line(value) for name, value in _read_pairs(data["new"])},
            changed={
                _read_line(name): [_read_line(value) for value in _read_list(both)[:2]]
                for name, both in _read_pairs(data["changed"])
                if len(_read_list(both)) == 2
            },
            gone=[_read_line(name) for name in _read_list(data["gone"])],
            renamed={_read_line(old): _read_line(new) for old, new in _read_pairs(data["renamed"])},
            kept_deleted=[_read_line(path) for path in _read_list(data["kept_deleted"])],
            changelog=_read_text(data["changelog"]),
        )


def summarize_update(plan: UpdatePlan, changelog: str) -> UpdateSummary:
    """Return the content of the pull request of an update.

    Args:
        plan: The update.
        changelog: The changelog of the releases that it brings.
    """
    answers, merged = plan.answers, plan.merged
    return UpdateSummary(
        present=plan.project.release,
        release=plan.release,
        conflicts=[
            ConflictNote(
                path=show_path(item.path),
                # In the branch no conflict is marked.
                reason=item.cause,
                diff=shorten(_diff_release(plan, item), _LONGEST_DIFF),
            )
            for item in plan.conflicts
        ],
        new={name: str(value) for name, value in answers["new"].items()},
        changed={name: [str(value) for value in both] for name, both in answers["changed"].items()},
        gone=list(answers["gone"]),
        renamed={
            show_path(old): show_path(new)
            for old, new in merged.renamed.items()
            if new not in merged.conflicts
        },
        kept_deleted=[show_path(path) for path in merged.kept_deleted],
        changelog=changelog,
    )


def shorten(text: str, most: int) -> str:
    """Return the first lines of a text, at most so many characters, and a note if it was longer."""
    if len(text) <= most:
        return text
    return text[: max(0, most)].rpartition("\n")[0] + "\n… cut: too long for a pull request"


def _diff_release(plan: UpdatePlan, item: Conflict) -> str:
    """Return what the release changes in a file, as a diff of the template's own versions."""
    git = plan.sandbox
    trees = [
        write_tree(git, {item.path: entry} if entry else {}, git.folder / ".git" / "index.diff")
        for entry in (item.base, item.theirs)
    ]
    options = ["-c", "core.quotePath=false", "diff", "--no-ext-diff", "--no-textconv"]
    text = git.raw(*options, "--no-color", *trees).decode(errors="backslashreplace")
    # The first lines name the file once more.
    lines = text.rstrip("\n").split("\n")
    return "\n".join(line for line in lines if not line.startswith(("diff --git", "index ")))


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of a string")
    lines = value[:_LONGEST_TEXT].replace("\r\n", "\n").split("\n")
    return "\n".join(show_path(line.replace("\t", "    ")) for line in lines)


def _read_line(value: Any) -> str:
    return " ".join(_read_text(value).split())[:1_000]


def _read_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} instead of a list")
    return value[:_LONGEST_LIST]


def _read_pairs(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{type(value).__name__} instead of an object")
    return list(value.items())[:_LONGEST_LIST]
