"""Answers that are found in a repository, and the values of its sources that they follow from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from packer_toolkit.aws import partitions
from packer_toolkit.hcl.sources import Packer, Place, Source, Value
from packer_toolkit.text.paths import join_paths


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
        else:
            self.answers.setdefault(question, Value(value, place))

    def add_value(self, question: str, value: Value | None) -> None:
        """Add an answer, where there is a value for it."""
        if value:
            self.add(question, value.value, value.place)


class SourceValues:
    """Reads values of all sources, and adds the answers that follow from them.

    Attributes:
        packer: The Packer files.
        found: Gets the answers.
    """

    def __init__(self, packer: Packer, found: FoundAnswers) -> None:
        self.packer = packer
        self.found = found

    def list_known(self, *paths: str) -> list[Value]:
        """Return the known values of all sources at the first of some paths that has one."""
        return [value for source in self.packer.sources if (value := source.get(*paths))]

    def get_filter(self, source: Source, path: str) -> Value | None:
        """Return a value of the filter of the source AMI, which may be in a data source."""
        value = source.get(f"source_ami_filter.{path}")
        reference = source.values["source_ami"].reference if "source_ami" in source.values else ()
        if value is None and len(reference) == 3:
            data = self.packer.data.get((reference[1], reference[2]))
            value = data.get(path) if data else None
        return value

    def list_filters(self, path: str) -> list[Value]:
        """Return the known values of the filters of all sources."""
        values = (self.get_filter(source, path) for source in self.packer.sources)
        return [value for value in values if value]

    def list_items(self, *paths: str) -> list[tuple[str, Place]]:
        """Return the items of lists in all sources, each once."""
        items: dict[str, Place] = {}
        for source in self.packer.sources:
            for path in paths:
                value = source.get(path)
                parts = value.value if value else []
                for part in parts.split(",") if isinstance(parts, str) else parts:
                    item = str(part).strip()
                    if value and item and self.keep_supported([Value(item, value.place)]):
                        items.setdefault(item, value.place)
        return list(items.items())

    def keep_supported(self, values: Sequence[Value]) -> list[Value]:
        """Return the values of the standard partition; the others are noted as unsupported."""
        others = [each for each in values if partitions.find_other_partition(str(each.value))]
        self.found.unsupported += others
        return [each for each in values if each not in others]

    def add_common(
        self, question: str, values: Sequence[Value], convert: Callable[[str], str]
    ) -> None:
        """Add an answer on which all sources agree, or a note when they do not."""
        answers = {convert(str(value.value)): value for value in reversed(values)}
        answers.pop("", None)
        if len(answers) == 1:
            for answer, value in answers.items():
                self.found.add(question, answer, value.place)
        elif answers and question not in self.found.answers:
            places = [f"{answer} ({value.place})" for answer, value in reversed(answers.items())]
            self.found.notes.append(
                f"{question} is not the same in all sources: {join_paths(places)}"
            )
