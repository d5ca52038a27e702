"""What the pull request of an update tells its readers, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from packer_toolkit.text.paths import show_path

# How long each text may be, and each list.
_LONG_TEXT, _LONG_LIST = 100_000, 2_000


@dataclass(frozen=True)
class ConflictNote:
    """A file with a conflict.

    Attributes:
        path: where it is.
        reason: what happened, in a few words.
        diff: what the release changes in it.
    """

    path: str
    reason: str
    diff: str


@dataclass(frozen=True)
class Summary:
    """What a reader wants to know about an update.

    Attributes:
        present: the release that the repository is at.
        release: the release to update to.
        conflicts: files that both changed.
        new: questions that are asked for the first time -> the answer.
        changed: question -> the answer before and after.
        gone: questions that are no longer asked.
        renamed: old path -> new path, of files that have the team's changes in them.
        kept_deleted: files that the team deleted and the release changes.
        changelog: what the template's changelog says, in Markdown.
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

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Summary:
        """Read what `as_json` returned, and believe nothing of it: each part is a printable string.

        Raises:
            ValueError, TypeError, KeyError: when a part is missing or is something else.
        """
        return cls(
            present=_line(data["present"]),
            release=_line(data["release"]),
            conflicts=[
                ConflictNote(_line(item["path"]), _line(item["reason"]), _text(item["diff"]))
                for item in _list(data["conflicts"])
            ],
            new={_line(name): _line(value) for name, value in _pairs(data["new"])},
            changed={
                _line(name): [_line(value) for value in _list(both)[:2]]
                for name, both in _pairs(data["changed"])
                if len(_list(both)) == 2
            },
            gone=[_line(name) for name in _list(data["gone"])],
            renamed={_line(old): _line(new) for old, new in _pairs(data["renamed"])},
            kept_deleted=[_line(path) for path in _list(data["kept_deleted"])],
            changelog=_text(data["changelog"]),
        )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of a string")
    lines = value[:_LONG_TEXT].replace("\r\n", "\n").split("\n")
    return "\n".join(show_path(line.replace("\t", "    ")) for line in lines)


def _line(value: Any) -> str:
    return " ".join(_text(value).split())[:1_000]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} instead of a list")
    return value[:_LONG_LIST]


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{type(value).__name__} instead of an object")
    return list(value.items())[:_LONG_LIST]
