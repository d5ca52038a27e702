"""Notes about an update that need no decision: answers, renamed and deleted files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any


def describe_answers(
    new: Mapping[str, Any],
    changed: Mapping[str, Sequence[Any]],
    format_name: Callable[[str], str],
    format_value: Callable[[Any], str],
) -> Iterator[tuple[str, str]]:
    """Yield each question whose answer is new or another one, and a note without its period.

    Args:
        new: Questions that the release asks for the first time -> the answer.
        changed: Question -> the answer before and after the update.
        format_name: Formats the name of a question.
        format_value: Formats an answer.
    """
    for name, value in new.items():
        yield name, f"New question {format_name(name)}: {format_value(value)}"
    for name, (old, value) in changed.items():
        change = f"from {format_value(old)} to {format_value(value)}"
        yield name, f"Answer {format_name(name)} changed {change}"


def describe_moved_files(
    renamed: Mapping[str, str], kept_deleted: Iterable[str], format_path: Callable[[str], str]
) -> Iterator[str]:
    """Yield a note about each file that is not where the release has it, without its period.

    Args:
        renamed: Old path -> new path of files with the team's changes in them.
        kept_deleted: Files that the team deleted and the release changes.
        format_path: Formats a path.
    """
    for old, new in renamed.items():
        yield f"{format_path(old)} was renamed to {format_path(new)}, with your changes in it"
    for path in kept_deleted:
        yield f"{format_path(path)} stays deleted, although the release changes it"
