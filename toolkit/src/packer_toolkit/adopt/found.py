"""Answers that are found in the files of a repository, each with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from packer_toolkit.aws import partitions
from packer_toolkit.hcl.sources import Place, Value


@dataclass
class FoundAnswers:
    """The answers that were found.

    Attributes:
        folder: The folder whose Packer files were read, relative to the repository; "" for none.
        answers: The answer to a question, and its place.
        notes: Ambiguous values and files that could not be read, for the user.
        unsupported: Values of a partition of AWS that the template does not support.
    """

    folder: str = ""
    answers: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unsupported: list[Value] = field(default_factory=list)

    def add(self, question: str, value: Any, place: Place) -> None:
        """Add an answer, unless there is one, or its partition is not supported."""
        if question in partitions.QUESTIONS and partitions.find_other_partition(str(value)):
            self.unsupported.append(Value(value, place))
            return
        self.answers.setdefault(question, Value(value, place))

    def add_value(self, question: str, value: Value | None) -> None:
        """Add an answer, where there is a value for it."""
        if value:
            self.add(question, value.value, value.place)
